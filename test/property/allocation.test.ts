import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Strategy } from '../../lib/core/allocation.ts';
import { preSplit, shareOf, verifyShares } from '../../lib/core/allocation.ts';
import { Draw } from '../../lib/core/keystream.ts';
import { cents } from '../../lib/core/units.ts';

const STRATEGIES: readonly Strategy[] = ['double_mean', 'classic', 'uniform', 'equal'];

/** Amounts of 1..20000 cents in 1..100 shares, the small and tight ones often. */
const packet = fc
  .record({
    strategy: fc.constantFrom(...STRATEGIES),
    count: fc.integer({ min: 1, max: 100 }),
    spare: fc.oneof(fc.integer({ min: 0, max: 150 }), fc.integer({ min: 0, max: 20_000 })),
    seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })
  .map(({ strategy, count, spare, seed }) => ({
    strategy,
    count,
    total: cents(Math.min(20_000, count + spare)),
    seed,
  }));

/** The same rules a second time, from their text, in big integers over node:crypto. */
function twin(split: { strategy: Strategy; total: number; count: number; seed: Uint8Array }) {
  const shares: number[] = [];
  let remaining = BigInt(split.total);
  for (let k = 1; k <= split.count; k++) {
    const left = BigInt(split.count - k + 1);
    const below = twinDraw(split.seed, k);
    const share = twinShare({ strategy: split.strategy, remaining, left, below });
    shares.push(Number(share));
    remaining -= share;
  }
  return shares;
}

function twinDraw(seed: Uint8Array, k: number): (n: bigint) => bigint {
  const words = twinWords(seed, k);
  return (n) => {
    if (n === 1n) return 0n;
    for (;;) {
      const word = words.next().value;
      if (word < (2n ** 48n / n) * n) return word % n;
    }
  };
}

function* twinWords(seed: Uint8Array, k: number): Generator<bigint, never> {
  for (let i = 0; ; i++) {
    const message = Buffer.alloc(8);
    message.writeUInt32LE(k, 0);
    message.writeUInt32LE(i, 4);
    const block = createHmac('sha256', seed).update(message).digest();
    for (let at = 0; at < 30; at += 6) yield BigInt(block.readUIntLE(at, 6));
  }
}

function twinShare(args: {
  strategy: Strategy;
  remaining: bigint;
  left: bigint;
  below: (n: bigint) => bigint;
}): bigint {
  const { strategy, remaining, left, below } = args;
  if (left === 1n) return remaining;
  const rest = remaining - left;
  if (strategy === 'uniform') return 1n + below(rest + 1n);
  if (strategy === 'equal') return (remaining + left - 1n) / left;
  if (strategy === 'double_mean') {
    const more = below(left) < (2n * rest) % left ? 1n : 0n;
    return 1n + below((2n * rest) / left + more + 1n);
  }
  const average = rest / left;
  return average === 0n ? 1n : 1n + (below(4n * average - 2n) + 1n) / 2n;
}

/** A chance that says what it is told, and complains when asked for another range. */
function scripted(...values: number[]) {
  return {
    below(n: number): number {
      const value = values.shift();
      if (value === undefined) throw new Error('more was drawn than the script holds');
      if (value >= n) throw new RangeError('the script leaves the range');
      return value;
    },
  };
}

describe('every strategy', () => {
  test('gives all the money, at least a cent to each, and is the same at open and pre-split', () => {
    fc.assert(
      fc.property(packet, (split) => {
        const { strategy, total, count, seed } = split;
        const shares = preSplit(split);
        expect(shares.length).toBe(count);
        let remaining = total;
        for (let k = 1; k <= count; k++) {
          const left = count - k + 1;
          const share = shareOf({ strategy, remaining, left, draw: new Draw(seed, k) });
          expect(share).toBe(shares[k - 1]);
          expect(share).toBeGreaterThanOrEqual(1);
          expect(share).toBeLessThanOrEqual(remaining - (left - 1));
          remaining = cents(remaining - share);
        }
        expect(remaining, 'the last takes all').toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  test('agrees with its twin in big integers', () => {
    fc.assert(
      fc.property(packet, (split) => {
        expect(preSplit(split)).toEqual(twin(split));
      }),
      { numRuns: 300 },
    );
  });

  test('agrees with its twin at the end of the range, 2^47 cents', () => {
    fc.assert(
      fc.property(packet, fc.integer({ min: 0, max: 1_000 }), (split, less) => {
        const huge = { ...split, total: cents(2 ** 47 - less) };
        expect(preSplit(huge)).toEqual(twin(huge));
      }),
      { numRuns: 100 },
    );
  });
});

describe('double_mean', () => {
  test('never overdraws and has exactly the mean, for every b and draw of small packets', () => {
    let cases = 0;
    for (let left = 2; left <= 14; left++) {
      for (let remaining = left; remaining <= left + 45; remaining++) {
        // The sum over b of the mean for that b, in half cents: u ends a uniform 0 … u.
        let halves = 0;
        for (let b = 0; b < left; b++) {
          const shares = everyDraw(cents(remaining), left, b);
          shares.forEach((share, d) => expect(share).toBe(1 + d));
          expect(Math.max(...shares)).toBeLessThanOrEqual(remaining - (left - 1));
          halves += 1 + shares.length;
          cases += shares.length;
        }
        expect(halves).toBe(2 * remaining);
      }
    }
    expect(cases).toBeGreaterThan(30_000);
  });

  /** The shares for this b, in the order of the second draw, until it leaves its range. */
  function everyDraw(remaining: ReturnType<typeof cents>, left: number, b: number): number[] {
    const shares: number[] = [];
    for (;;) {
      const last = shares.length === 0;
      const draw = scripted(b, shares.length);
      try {
        shares.push(shareOf({ strategy: 'double_mean', remaining, left, draw }));
      } catch (error) {
        if (error instanceof RangeError && !last) return shares;
        throw error;
      }
    }
  }
});

describe('classic', () => {
  test('is the floating point of the sources, rounded where they round', () => {
    for (let average = 1; average <= 200; average++) {
      // The sources, in yuan: max = 2·average − 0.01; money = round2(U·max + 0.01).
      const max = 2 * (average / 100) - 0.01;
      const halves = 2 * (2 * average - 1);
      for (let x = 0; x < halves; x++) {
        const chance = (x + 0.5) / halves; // the middle of the x-th half cent of U·max
        const money = Math.round(Number((chance * max + 0.01).toFixed(2)) * 100);
        const remaining = cents(3 * average + 3); // the sources hold back a cent for each of the 3
        const share = shareOf({ strategy: 'classic', remaining, left: 3, draw: scripted(x) });
        expect(share).toBe(money);
      }
    }
  });

  test('draws nothing when the average is under a cent', () => {
    const draw = scripted();
    expect(shareOf({ strategy: 'classic', remaining: cents(9), left: 5, draw })).toBe(1);
  });
});

describe('verifyShares', () => {
  test('accepts what the seed gives and names the first share that it does not', () => {
    fc.assert(
      fc.property(packet, fc.nat(), fc.integer({ min: 1, max: 9 }), (split, pick, by) => {
        const shares: number[] = preSplit(split);
        const index = pick % shares.length;
        expect(verifyShares({ ...split, shares })).toBe(-1);
        expect(verifyShares({ ...split, shares: shares.with(index, shares[index]! + by) })).toBe(
          index,
        );
        expect(verifyShares({ ...split, shares: shares.slice(0, index) })).toBe(index);
        expect(verifyShares({ ...split, shares: [...shares, by] })).toBe(shares.length);
      }),
      { numRuns: 200 },
    );
  });

  test('of a packet that expired the claims may end early, but not differ', () => {
    fc.assert(
      fc.property(packet, fc.nat(), (split, pick) => {
        const shares: number[] = preSplit(split);
        const claims = shares.slice(0, pick % (shares.length + 1));
        expect(verifyShares({ ...split, shares: claims, expired: true })).toBe(-1);
        const wrong = [...claims, 0];
        expect(verifyShares({ ...split, shares: wrong, expired: true })).toBe(claims.length);
      }),
      { numRuns: 200 },
    );
  });

  test('another seed is noticed', () => {
    const seed = new Uint8Array(32).fill(1);
    const split = { strategy: 'double_mean', total: cents(20_000), count: 50, seed } as const;
    const shares = preSplit(split);
    const other = verifyShares({ ...split, seed: seed.with(31, 2), shares });
    expect(other).toBeGreaterThanOrEqual(0);
    expect(other, 'shares of 400 cents rarely agree twice').toBeLessThan(2);
  });
});
