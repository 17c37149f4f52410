import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseArgs, usageOf, type Verb } from '../cli.ts';
import { completed, lockText, missingEntries, readLock } from '../lock.ts';

const NAME = 'lock';
const SUMMARY = 'complete package-lock.json for the platforms that this machine does not see';
const FLAGS = {
  check: { kind: 'switch', help: 'change nothing; exit 1 when entries are missing' },
} as const;

/** `./hongbao lock`: to be run after every `npm install`, which forgets the entries again. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({ name: NAME, summary: SUMMARY, flags: FLAGS }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    const path = `${import.meta.dirname}/../../package-lock.json`;
    const lock = readLock(await readFile(path, 'utf8'));
    const missing = missingEntries(lock);
    if (missing.length === 0) {
      console.log('package-lock.json is complete.');
      return 0;
    }
    for (const { key } of missing) console.log(`${flags.check ? 'missing' : 'added'}  ${key}`);
    if (flags.check) {
      console.log(`${missing.length} entries are missing: run ./hongbao lock`);
      return 1;
    }
    // Written beside and renamed: a lock file cut in half would stop every later start.
    await writeFile(`${path}.new`, lockText(completed(lock, missing)));
    await rename(`${path}.new`, path);
    return 0;
  },
};
