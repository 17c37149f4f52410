import { describe, expect, test } from 'vitest';
import type { Strategy } from '../../lib/core/allocation.ts';
import { bestLuckOf, preSplit, shareOf } from '../../lib/core/allocation.ts';
import { Draw } from '../../lib/core/keystream.ts';
import { cents } from '../../lib/core/units.ts';

const COUNTING = Uint8Array.from({ length: 32 }, (_, i) => i);

describe('the results that the sources print for the classic algorithm, under every chance', () => {
  test.each([
    { amount: '0.05 in 4', total: 5, shares: [1, 1, 1, 2] },
    { amount: '0.06 in 5', total: 6, shares: [1, 1, 1, 1, 2] },
    { amount: '0.04 in 3', total: 4, shares: [1, 1, 2] },
  ])('$amount', ({ total, shares }) => {
    for (let n = 0; n < 200; n++) {
      const seed = new Uint8Array(32).fill(n);
      const split = preSplit({
        strategy: 'classic',
        total: cents(total),
        count: shares.length,
        seed,
      });
      expect(split).toEqual(shares);
    }
  });
});

describe('equal', () => {
  test.each([
    { total: 1000, count: 10, shares: [100, 100, 100, 100, 100, 100, 100, 100, 100, 100] },
    { total: 5, count: 4, shares: [2, 1, 1, 1] },
    { total: 11, count: 4, shares: [3, 3, 3, 2] },
    { total: 3, count: 3, shares: [1, 1, 1] },
    { total: 20_000, count: 7, shares: [2858, 2857, 2857, 2857, 2857, 2857, 2857] },
  ])(
    '$total in $count: the first (total mod count) get a cent more',
    ({ total, count, shares }) => {
      expect(preSplit({ strategy: 'equal', total: cents(total), count, seed: COUNTING })).toEqual(
        shares,
      );
    },
  );
});

describe('shares of the seed 00 01 … 1f, fixed for ever', () => {
  // Made by the separate program of draws.test.ts.
  const SPLITS: { strategy: Strategy; total: number; shares: number[] }[] = [
    {
      strategy: 'double_mean',
      total: 1000,
      shares: [43, 65, 38, 77, 147, 59, 126, 6, 274, 165],
    },
    {
      strategy: 'double_mean',
      total: 200,
      shares: [16, 9, 14, 14, 15, 7, 13, 3, 6, 15, 15, 14, 10, 2, 14, 4, 4, 13, 9, 3],
    },
    { strategy: 'double_mean', total: 5, shares: [1, 1, 2, 1] },
    {
      strategy: 'double_mean',
      total: 20_000,
      shares: [3671, 831, 584, 1870, 5544, 5743, 1757],
    },
    {
      strategy: 'classic',
      total: 1000,
      shares: [125, 27, 186, 186, 155, 68, 119, 12, 68, 54],
    },
    {
      strategy: 'classic',
      total: 200,
      shares: [14, 7, 11, 6, 13, 8, 10, 12, 14, 5, 8, 3, 3, 20, 11, 15, 2, 9, 23, 6],
    },
    { strategy: 'classic', total: 20_000, shares: [582, 652, 3461, 7357, 3375, 743, 3830] },
    { strategy: 'uniform', total: 1000, shares: [799, 81, 61, 50, 4, 1, 1, 1, 1, 1] },
    { strategy: 'uniform', total: 5, shares: [2, 1, 1, 1] },
    { strategy: 'uniform', total: 20_000, shares: [15_000, 3643, 524, 170, 543, 103, 17] },
  ];
  test.each(SPLITS)('$strategy, $total cents', ({ strategy, total, shares }) => {
    const count = shares.length;
    expect(preSplit({ strategy, total: cents(total), count, seed: COUNTING })).toEqual(shares);
  });
});

test('what is no share asserts', () => {
  const draw = new Draw(COUNTING, 1);
  const share = (remaining: number, left: number) => () =>
    shareOf({
      strategy: 'double_mean',
      remaining: remaining as ReturnType<typeof cents>,
      left,
      draw,
    });
  expect(share(10, 0)).toThrow('somebody is left');
  expect(share(10, 2.5)).toThrow('somebody is left');
  expect(share(10, -1)).toThrow('somebody is left');
  expect(share(4, 5)).toThrow('one cent is left for each');
  expect(share(0, 1)).toThrow('one cent is left for each');
  expect(share(-5, 1)).toThrow('one cent is left for each');
  expect(share(10.5, 2)).toThrow('money fits a draw');
  expect(share(Number.NaN, 2)).toThrow('money fits a draw');
  expect(share(2 ** 47 + 1, 2)).toThrow('money fits a draw');
  const split = { strategy: 'uniform', total: cents(10), count: 2, seed: COUNTING } as const;
  expect(() => preSplit({ ...split, count: 0 })).toThrow('at least one share');
  expect(() => preSplit({ ...split, seed: new Uint8Array(16) })).toThrow('32 bytes');
  expect(share(2 ** 47, 2)).not.toThrow();
});

test.each(['double_mean', 'classic', 'uniform'] as const)(
  '%s catches a source of chance that lies: no share is empty or leaves too little',
  (strategy) => {
    const shareBy = (below: (n: number) => number) => () =>
      shareOf({ strategy, remaining: cents(10), left: 2, draw: { below } });
    expect(shareBy((n) => n + 20)).toThrow('leaves one cent');
    expect(shareBy(() => -20)).toThrow('never empty');
  },
);

test('best luck is the largest share, the first of equals', () => {
  expect(bestLuckOf([3, 9, 4, 9])).toBe(1);
  expect(bestLuckOf([7])).toBe(0);
  expect(bestLuckOf([2, 2, 2])).toBe(0);
  expect(bestLuckOf([1, 2, 3])).toBe(2);
  expect(bestLuckOf([])).toBe(-1);
});
