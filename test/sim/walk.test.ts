import { expect, test } from 'vitest';
import { walk } from '../../ops/sim/log/walk.ts';

const SEEDS = 12;

test('one seed is one history, and another seed is another', async () => {
  const first = await walk(5);
  const again = await walk(5);
  expect(again.lines).toEqual(first.lines);
  expect(again.hash).toBe(first.hash);
  expect((await walk(6)).hash).not.toBe(first.hash);
});

test('walks of random faults break no rule of the Set log, and much happens in them', async () => {
  const total = { entries: 0, answers: 0, epochs: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violation, lines, counts } = await walk(seed);
    if (violation !== null) throw new Error(`seed ${seed}: ${violation}\n${lines.join('\n')}`);
    total.entries += counts.entries;
    total.answers += counts.answers;
    total.epochs += counts.epochs;
  }
  // A walk in which nothing happens breaks no rule either.
  expect(total.entries).toBeGreaterThan(20 * SEEDS);
  expect(total.answers).toBeGreaterThan(30 * SEEDS);
  expect(total.epochs).toBeGreaterThan(3 * SEEDS);
});
