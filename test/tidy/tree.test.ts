import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VERBS } from '../../ops/main.ts';
import { checkCode } from './code-rules.ts';
import { checkFile } from './file-rules.ts';
import { checkDetours, checkImports } from './import-rules.ts';
import { GENERATED, fits, zoneOf } from './matrix.ts';
import { parse, readSource, repositoryFiles, ROOT, type Violation } from './source.ts';

/** Files whose bytes are no text. */
const BINARY = /\.(png|jpe?g|gif|webp|ico|woff2?|ttf|otf|mp3|mp4|db|bin|gz|zst)$/;

const paths = repositoryFiles();
const files = paths.filter((path) => !BINARY.test(path)).map(readSource);
const parsed = files.filter(({ path }) => /\.tsx?$/.test(path)).map(parse);

function lines(violations: readonly Violation[]): readonly string[] {
  return violations.map(({ rule, path, line, message }) => `${path}:${line} [${rule}] ${message}`);
}

describe('the tree', () => {
  test('was looked at', () => {
    expect(parsed.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['ops/main.ts', 'lib/core/assert.ts', 'test/tidy/tree.test.ts']),
    );
    expect(parsed.length).toBeGreaterThan(30);
  });

  test('has every TypeScript file in a zone', () => {
    const strays = parsed.filter(({ path }) => path.includes('/') && zoneOf(path) === undefined);
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  test('keeps the import matrix', () => {
    expect(lines(parsed.flatMap(checkImports))).toEqual([]);
    expect(lines(checkDetours(parsed))).toEqual([]);
  });

  test('keeps time, chance and environment in the shell, and the code erasable', () => {
    expect(lines(parsed.flatMap(checkCode))).toEqual([]);
  });

  test('is shallow, its files are short, and none names the machine it was written on', () => {
    expect(lines(files.flatMap(checkFile))).toEqual([]);
  });

  test('has test files where vitest looks for them', () => {
    const lost = paths.filter(
      (path) =>
        /\.(test|spec)\.[cm]?[jt]sx?$/.test(path) &&
        !/^test\/(unit|property|golden|contract|sim|integration|browser|tidy)\/.*\.test\.ts$/.test(
          path,
        ),
    );
    expect(lost).toEqual([]);
  });
});

describe('the verbs', () => {
  test('are the files of ops/verb, all in the table', () => {
    const modules = readdirSync(join(ROOT, 'ops/verb')).map((file) => file.replace(/\.ts$/, ''));
    expect(VERBS.map(({ name }) => name).toSorted()).toEqual(modules.toSorted());
  });

  test.each(VERBS)('$name says what the table says, and has a help text', async (entry) => {
    const { verb } = await entry.load();
    expect({ name: verb.name, summary: verb.summary }).toEqual({
      name: entry.name,
      summary: entry.summary,
    });
    expect(verb.usage).toContain(`./hongbao ${entry.name}`);
    expect(verb.usage).toContain('--help');
  });
});

test('generated files are the only ones that the rules pass over', () => {
  expect(parsed.filter(({ path }) => fits(path, GENERATED)).map(({ path }) => path)).toEqual(
    parsed.map(({ path }) => path).filter((path) => path.startsWith('proto/gen/')),
  );
});
