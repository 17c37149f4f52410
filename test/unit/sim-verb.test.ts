import { afterEach, describe, expect, test, vi } from 'vitest';
import { parseArgs, UsageError } from '../../ops/cli.ts';
import { main } from '../../ops/main.ts';
import type { Mutant } from '../../ops/sim/mutant/mutant.ts';
import { MUTANTS as ALL } from '../../ops/sim/mutant/mutants.ts';
import { SEEDS } from '../../ops/sim/mutant/seeds.ts';
import { callOf, FLAGS } from '../../ops/verb/sim.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function mutantOf(name: string, world: Mutant['world']): Mutant {
  return { name, what: '', source: 'a test', world, patches: [], rule: /^I1 /, seed: 1 };
}

const MUTANTS = [mutantOf('one-write', 'log'), mutantOf('ids-from-a-clock', 'whole')];

function call(line: string) {
  const args = line === '' ? [] : line.split(' ');
  return callOf(parseArgs({ args, flags: FLAGS }).flags, MUTANTS);
}

describe('the flags of sim', () => {
  test('walk twenty seeds of the whole world when nothing is said', () => {
    expect(call('')).toEqual({
      kind: 'walk',
      world: 'whole',
      seeds: { from: 1, to: 20 },
      ops: undefined,
      trace: false,
      mutant: null,
    });
  });

  test('say which seeds, which world, how long, with which mistake', () => {
    expect(call('--seeds 17..17 --world log --ops 2000 --trace')).toMatchObject({
      world: 'log',
      seeds: { from: 17, to: 17 },
      ops: 2_000,
      trace: true,
    });
    expect(call('--seeds=0..4294967295')).toMatchObject({ seeds: { from: 0, to: 4_294_967_295 } });
    // A mistake is walked where it can be seen.
    expect(call('--mutant one-write')).toMatchObject({ world: 'log', mutant: 'one-write' });
  });

  test('hunt all mutants, those of a world, or one', () => {
    expect(call('--mutants')).toEqual({ kind: 'hunt', mutants: MUTANTS, record: false });
    expect(call('--mutants --world log')).toMatchObject({ mutants: [MUTANTS[0]] });
    expect(call('--record --mutant ids-from-a-clock')).toEqual({
      kind: 'hunt',
      mutants: [MUTANTS[1]],
      record: true,
    });
  });

  test.each([
    ['--seeds 5', '--seeds is A..B'],
    ['--seeds 5..', '--seeds is A..B'],
    ['--seeds 9..5', '--seeds is A..B'],
    ['--seeds -1..5', '--seeds is A..B'],
    ['--seeds 1..4294967296', '--seeds is A..B'],
    ['--seeds 1.5..2', '--seeds is A..B'],
    ['--ops 0', '--ops is a whole number'],
    ['--world moon', '--world is one of log, whole'],
    ['--mutant nobody', '--mutant is one of one-write, ids-from-a-clock'],
    ['--mutants --seeds 1..2', 'do not go with --mutants'],
    ['--record --trace', 'do not go with --mutants'],
    ['--mutants --world whole --mutant one-write', 'no mutant fits'],
    ['--sedes 1..2', 'unknown flag --sedes'],
  ])('%s is refused', (line, message) => {
    expect(() => call(line)).toThrow(UsageError);
    expect(() => call(line)).toThrow(message);
  });

  test('a bad range ends with status 2 and says what would be right', async () => {
    const error = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await main(['sim', '--seeds', '9..5'])).toBe(2);
    expect(error.mock.calls.join('')).toContain('--seeds is A..B, whole numbers, A <= B');
    expect(error.mock.calls.join('')).toContain("not '9..5'");
    expect(await main(['sim', '--no-such-flag'])).toBe(2);
  });
});

test('every known mistake has a name of its own, and a recorded seed belongs to one', () => {
  const names = ALL.map(({ name }) => name);
  expect(names.length).toBeGreaterThan(0);
  expect(new Set(names).size).toBe(names.length);
  expect(Object.keys(SEEDS).filter((name) => !names.includes(name))).toEqual([]);
});
