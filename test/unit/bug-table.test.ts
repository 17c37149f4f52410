/** docs/BUGS.md: what it says holds a bug down is there, by file and title, or by seed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REGRESSIONS } from '../../ops/sim/regressions.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/BUGS.md'), 'utf8');
const COLUMNS = ['number', 'what', 'by', 'commits', 'held'] as const;
const WALK = /^walk (\w+) (\d+)$/;
const FINDERS =
  /^(walk \w+ \d+|property test(, seed -?\d+)?|simulator|conformance|rig|reviewer|browser|test of real processes|not recorded)$/;
const UNHELD = 'no test of its own';
/** Mended before this table was begun, and without a test. No new line may join them. */
const UNHELD_KNOWN = [53, 54, 55, 57];

type Bug = Readonly<Record<(typeof COLUMNS)[number], string>> & { readonly area: string };

function bugsOf(page: string): Bug[] {
  let area = '';
  return page.split('\n').flatMap((line): Bug[] => {
    area = /^## (.+)$/.exec(line)?.[1] ?? area;
    if (!/^\| *\d/.test(line)) return [];
    // A bar within a cell is written with a backslash.
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    const [number = '', what = '', by = '', commits = '', held = ''] = cells.map((c) => c.trim());
    return [{ area, number, what, by, commits, held }];
  });
}

/** Everything of the table that is not so, each with the number of its line. */
function wrongIn(page: string): string[] {
  const bugs = bugsOf(page);
  const last = new Map<string, number>();
  return bugs.flatMap(({ area, number, what, by, commits, held }) => {
    const wrong: string[] = [];
    const n = Number(number);
    if (n <= (last.get(area) ?? 0)) wrong.push('stands before an older one of its area');
    last.set(area, n);
    if (n > bugs.length) wrong.push('is numbered beyond the table');
    if (bugs.filter((bug) => bug.number === number).length > 1) wrong.push('has a number twice');
    if (!/[a-z].*\.$/.test(what)) wrong.push('says nothing');
    if (!FINDERS.test(by)) wrong.push(`found by whom: ${by}`);
    if (!/^[0-9a-f]{7}(, [0-9a-f]{7})*$/.test(commits)) wrong.push(`no commit: ${commits}`);
    if (WALK.test(by)) wrong.push(...whyNotThere(by));
    if (held !== UNHELD) wrong.push(...held.split('; ').flatMap(whyNotThere));
    return wrong.map((why) => `${number}: ${why}`);
  });
}

/** Of a walk, or of a file and a title: what is missing. */
function whyNotThere(place: string): string[] {
  const [, world, seed] = WALK.exec(place.replaceAll('`', '')) ?? [];
  if (world !== undefined) {
    const known = REGRESSIONS.some((one) => one.world === world && one.seed === Number(seed));
    return known ? [] : [`no regression: ${place}`];
  }
  const [, path, title] = /^`(test\/[^`]+\.ts)`: `(.+)`$/.exec(place) ?? [];
  if (path === undefined || title === undefined) return [`neither walk nor test: ${place}`];
  if (!existsSync(join(ROOT, path))) return [`no file: ${path}`];
  return hasTitle(readFileSync(join(ROOT, path), 'utf8'), title) ? [] : [`no test: ${title}`];
}

/** The title of a call or of a numbered rule, whole and as it is written. */
function hasTitle(source: string, title: string): boolean {
  const literal = title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`(\\(|says:)\\s*(['"\`])${literal}\\2\\s*,`).test(source);
}

describe('docs/BUGS.md', () => {
  const bugs = bugsOf(PAGE);

  test('was read', () => {
    expect(bugs.length).toBeGreaterThan(50);
    expect(new Set(bugs.map(({ area }) => area)).size).toBeGreaterThan(5);
  });

  test('names tests and walks that exist', () => {
    expect(wrongIn(PAGE)).toEqual([]);
  });

  test('has every walk that found something', () => {
    const named = bugs.flatMap(({ held }) => held.replaceAll('`', '').split('; '));
    const missing = REGRESSIONS.filter(
      ({ world, seed }) => !named.includes(`walk ${world} ${seed}`),
    );
    expect(missing).toEqual([]);
  });

  test('has no new line without a test', () => {
    const unheld = bugs.filter(({ held }) => held === UNHELD).map(({ number }) => Number(number));
    expect(unheld).toEqual(UNHELD_KNOWN);
  });
});

describe('a table that is wrong is seen', () => {
  const LINE = '| 1 | It broke. | rig | 8d0c687 | `test/unit/ids.test.ts`: `follows log time` |';

  test('the line that is changed below is right', () => {
    expect(wrongIn(LINE)).toEqual([]);
  });

  test.each([
    ['a title that no test has', 'follows log time', 'follows log', 'no test'],
    ['a file that is not there', 'ids.test', 'no-ids.test', 'no file'],
    [
      'a walk that is no regression',
      '`test/unit/ids.test.ts`: `follows log time`',
      '`walk log 2`',
      'no regression',
    ],
    [
      'nothing that holds it',
      '`test/unit/ids.test.ts`: `follows log time`',
      'soon',
      'neither walk nor test',
    ],
    ['a finder that nobody knows', 'rig', 'luck', 'found by whom'],
    ['no commit', '8d0c687', 'today', 'no commit'],
    ['no words', 'It broke.', '', 'says nothing'],
    ['a number that skips others', '| 1 |', '| 3 |', 'beyond the table'],
  ])('%s', (_, from, to, why) => {
    const changed = LINE.replace(from, () => to);
    expect(changed).not.toBe(LINE);
    expect(wrongIn(changed)).toEqual([expect.stringContaining(why)]);
  });

  test('one number for two, and an older line after a newer one', () => {
    const table = ['## Log', LINE.replace('| 1 |', '| 2 |'), LINE.replace('| 1 |', '| 2 |')];
    expect(wrongIn(table.join('\n'))).toEqual([
      '2: has a number twice',
      '2: stands before an older one of its area',
      '2: has a number twice',
    ]);
  });
});
