import { expect, test } from 'vitest';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { randomContract } from './random.contract.ts';

const nothing = async (): Promise<void> => undefined;
randomContract('system', async () => ({ random: new SystemRandom(), dispose: nothing }));
randomContract('seeded', async () => ({ random: new SeededRandom(2026), dispose: nothing }));

test('[RA3a] a seed repeats itself, and another one does not', () => {
  const draw = (seed: number): number[] => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 8 }, () => random.below(2 ** 32));
  };
  expect(draw(7)).toEqual(draw(7));
  const seeds = [0, 1, 2, -1, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER];
  expect(new Set(seeds.map((seed) => draw(seed).join())).size).toBe(seeds.length);
});
