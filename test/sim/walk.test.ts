import { expect, test } from 'vitest';
import { MUTANTS } from '../../ops/sim/log/mutants.ts';
import type { WalkResult } from '../../ops/sim/log/walk.ts';
import { walk } from '../../ops/sim/log/walk.ts';

/** More by hand: `SEEDS=5000 FROM=1000 vitest run --project sim`. */
const SEEDS = Number(process.env.SEEDS ?? 80);
const FROM = Number(process.env.FROM ?? 1);
const HOURS_MS = 4 * 3_600_000;
const MUTANT_SEEDS_MAX = 150;

/**
 * Bugs that walks found, by the seed that saw each first. A history moves with the code and with the
 * faults that are drawn: today these are walks like others, and the mutants show that walks see.
 */
const REGRESSIONS: readonly { seed: number; what: string }[] = [
  {
    seed: 3,
    what: 'a voter whose journal could not be read was locked out by a new incarnation',
  },
  {
    seed: 108,
    what: 'a takeover gave up for ever although copies that did not answer may be good',
  },
  {
    seed: 301,
    what: 'a recovery gave up for ever although copies that did not answer may be good',
  },
  {
    seed: 1053,
    what: 'a takeover that was itself taken over read entries of its successor as its own',
  },
  {
    seed: 943,
    what: 'over two connections a late restore cut off what a newer one had brought',
  },
];

function report(seed: number, { violation, lines }: WalkResult): string {
  return `seed ${seed}: ${violation}\n${lines.slice(-60).join('\n')}`;
}

test('one seed is one history, and another seed is another', async () => {
  const first = await walk(5);
  const again = await walk(5);
  expect(again.lines).toEqual(first.lines);
  expect(again.hash).toBe(first.hash);
  expect((await walk(6)).hash).not.toBe(first.hash);
});

test(
  'walks of random faults break no rule of the Set log, and end served, healed and equal',
  async () => {
    const total = { entries: 0, answers: 0, epochs: 0 };
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const result = await walk(seed);
      if (result.violation !== null) throw new Error(report(seed, result));
      total.entries += result.counts.entries;
      total.answers += result.counts.answers;
      total.epochs += result.counts.epochs;
    }
    // A walk in which nothing happens breaks no rule either.
    expect(total.entries).toBeGreaterThan(20 * SEEDS);
    expect(total.answers).toBeGreaterThan(40 * SEEDS);
    expect(total.epochs).toBeGreaterThan(3 * SEEDS);
  },
  HOURS_MS,
);

for (const { seed, what } of REGRESSIONS) {
  test(`seed ${seed}: ${what}`, async () => {
    expect((await walk(seed)).violation).toBeNull();
  });
}

for (const { name, mutant, rule, seed } of MUTANTS) {
  test(`a planted bug is seen: ${name}`, async () => {
    // The seed that is known to see it first; code that moves in time moves the seed as well.
    const seeds = [seed, ...Array.from({ length: MUTANT_SEEDS_MAX }, (_, at) => at + 1)];
    const seen: string[] = [];
    for (const each of seeds) {
      const { violation } = await walk(each, mutant);
      if (violation === null) continue;
      if (rule.test(violation)) return;
      seen.push(`seed ${each}: ${violation}`);
    }
    expect.fail(`${name}: nothing in ${seeds.length} seeds breaks ${rule}\n${seen.join('\n')}`);
  });
}
