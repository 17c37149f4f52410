import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { repositoryFiles } from './source.ts';

const TREE = /```\n(hongbao [\s\S]*?)```/;

/** File names that the tree of docs/ARCHITECTURE.md gives to each folder. */
function described(text: string): Set<string> {
  const names = new Set<string>();
  let folder = '';
  for (const line of (TREE.exec(text)?.[1] ?? '').split('\n')) {
    const head = /^([a-z][\w./-]*\/)(\s|$)/.exec(line);
    if (head !== null) folder = head[1] ?? '';
    const indented = line.startsWith('  ');
    for (const [name] of line.matchAll(/[\w.-]+\.(?:tsx|ts|proto)\b/g)) {
      names.add(indented ? folder + name : name);
    }
    for (const [path] of line.matchAll(/[\w-]+\/[\w.-]+\.(?:ts|proto)\b/g)) names.add(path);
  }
  return names;
}

/** Everything but tests and generated files. */
function existing(): string[] {
  return repositoryFiles().filter(
    (path) => /\.(?:tsx|ts)$/.test(path) && !/^(?:test|proto\/gen)\//.test(path),
  );
}

test('docs/ARCHITECTURE.md names every file, and no file that is not there', () => {
  const files = existing();
  expect(files.length).toBeGreaterThan(100);
  const names = described(readFileSync('docs/ARCHITECTURE.md', 'utf8'));
  expect(files.filter((path) => !names.has(path))).toEqual([]);
  const known = new Set(files);
  const folders = [...names].filter((name) => name.includes('/') && name.endsWith('.ts'));
  expect(folders.filter((name) => !known.has(name) && !name.startsWith('test/'))).toEqual([]);
});

test('a file that the tree does not name is seen', () => {
  const names = described('```\nhongbao x\nlib/core/   pure\n  bytes.ts  writer\n```');
  expect(names.has('lib/core/bytes.ts')).toBe(true);
  expect(names.has('lib/core/ids.ts')).toBe(false);
});
