import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { missingEntries, readLock } from '../lock.ts';
import { oneTest, type Part } from './part.ts';

/** The page has settings of its own (the browser's types, a bundler's resolution). */
const WEB_PROJECT = 'client/web';

const types: Part = {
  name: 'types',
  weight: 'light',
  async run({ root, processes }) {
    const projects = existsSync(join(root, WEB_PROJECT, 'tsconfig.json'))
      ? ['.', WEB_PROJECT]
      : ['.'];
    let passed = true;
    let output = '';
    for (const project of projects) {
      const ended = await processes.run({ command: 'tsc', args: ['-p', project], cwd: root });
      passed &&= ended.status === 0;
      output += ended.output;
    }
    return oneTest(passed, output);
  },
};

const lock: Part = {
  name: 'lock',
  weight: 'light',
  async run({ root }) {
    const text = await readFile(join(root, 'package-lock.json'), 'utf8');
    const missing = missingEntries(readLock(text));
    const lines = missing.map(({ key }) => `missing  ${key}`);
    return oneTest(missing.length === 0, [...lines, 'Run ./hongbao lock', ''].join('\n'));
  },
};

function toolPart(name: string, command: readonly [string, ...string[]]): Part {
  const [tool, ...args] = command;
  return {
    name,
    weight: 'light',
    async run({ root, processes }) {
      const ended = await processes.run({ command: tool, args, cwd: root });
      return oneTest(ended.status === 0, ended.output);
    },
  };
}

/** What reads the code without running it. */
export const STATIC_PARTS: readonly Part[] = [
  types,
  toolPart('lint', ['oxlint', '--type-aware']),
  toolPart('format', ['oxfmt', '--check']),
  toolPart('unused', ['knip', '--no-progress']),
  lock,
];
