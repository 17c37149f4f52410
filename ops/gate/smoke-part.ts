import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nothingYet, type Part } from './part.ts';

/** Every process and library that is started or imported from outside. */
const ENTRIES = [
  'set-node/main.ts',
  'access/main.ts',
  'reconciler/main.ts',
  'ops/main.ts',
  'client/index.ts',
];
/** An import that takes longer has started something. */
const IMPORT_TIMEOUT_MS = 20_000;

/**
 * Imports every entry and every verb under plain Node, each in a process of its own: vitest accepts
 * syntax that Node's type stripping refuses. Importing must be silent and end by itself; a file
 * acts only when `import.meta.main` says that it is the entry.
 */
export const smokePart: Part = {
  name: 'smoke',
  weight: 'light',
  async run({ root, processes }) {
    const verbs = (await readdir(join(root, 'ops/verb'))).map((file) => `ops/verb/${file}`);
    const files = [...ENTRIES.filter((file) => existsSync(join(root, file))), ...verbs];
    if (files.length === 0) return nothingYet('no entries yet');
    const complaints: string[] = [];
    for (const file of files) {
      const { status, output } = await processes.run({
        command: process.execPath,
        args: [
          '--disable-warning=ExperimentalWarning',
          '--input-type=module',
          '--eval',
          `await import(${JSON.stringify(join(root, file))});`,
        ],
        cwd: root,
        timeoutMs: IMPORT_TIMEOUT_MS,
      });
      if (status !== 0 || output !== '') complaints.push(`${file}: status ${status}\n${output}`);
    }
    return {
      passed: files.length - complaints.length,
      failed: complaints.length,
      skipped: 0,
      output: complaints.join('\n'),
    };
  },
};
