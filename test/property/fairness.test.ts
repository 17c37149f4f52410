import { describe, expect, test, vi } from 'vitest';
import type { Strategy } from '../../lib/core/allocation.ts';
import { shareOf } from '../../lib/core/allocation.ts';
import type { Deal } from '../../lib/core/fairness.ts';
import { dealer, FairnessTally, roundsToTell, worstOf } from '../../lib/core/fairness.ts';
import type { UniformSource } from '../../lib/core/keystream.ts';
import { cents } from '../../lib/core/units.ts';
import { UsageError } from '../../ops/cli.ts';
import { parseAmount, verb } from '../../ops/verb/fairness.ts';

/** Design 4: every position's mean within 0.5 % of total/count. */
const TOLERANCE = 0.005;
const SEED = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);

type Packet = { readonly total: number; readonly count: number };
const SMALL: Packet = { total: 200, count: 100 };
const ORDINARY: Packet = { total: 1000, count: 10 };

/**
 * A quick source for millions of draws (xorshift32 over a fixed start); the keystream itself is held
 * to golden vectors and to the law below. Good for the small ranges that are asked for here.
 */
function quickSource(start: number): UniformSource {
  let state = start;
  return {
    below(n) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return Math.floor(((state >>> 0) / 2 ** 32) * n);
    },
  };
}

type ShareRule = (args: { remaining: number; left: number; draw: UniformSource }) => number;

function dealWith(packet: Packet, rule: ShareRule): Deal {
  const draw = quickSource(0x2545f491);
  const shares: number[] = [];
  return () => {
    let { total: remaining } = packet;
    for (let index = 0; index < packet.count; index++) {
      const share = rule({ remaining, left: packet.count - index, draw });
      shares[index] = share;
      remaining -= share;
    }
    return shares;
  };
}

const ours =
  (strategy: Strategy): ShareRule =>
  ({ remaining, left, draw }) =>
    shareOf({ strategy, remaining: cents(remaining), left, draw });

/** Twice the mean without a reserve: what the plain descriptions of the method say. */
const naive: ShareRule = ({ remaining, left, draw }) => {
  if (left === 1) return remaining;
  const share = 1 + draw.below(Math.floor((2 * remaining) / left));
  return Math.min(share, remaining - (left - 1));
};

function play(packet: Packet, deal: Deal, rounds: number) {
  const tally = new FairnessTally({ ...packet, deal });
  tally.play(rounds);
  return tally.positions();
}

describe('double_mean gives every position the same', () => {
  test.each([
    { ...SMALL, rounds: 220_000 },
    { ...ORDINARY, rounds: 500_000 },
  ])('$total cents in $count, $rounds rounds', ({ rounds, ...packet }) => {
    const positions = play(packet, dealWith(packet, ours('double_mean')), rounds);
    const needed = roundsToTell({ positions, tolerance: TOLERANCE, sigmas: 4 });
    expect(rounds, 'chance alone is 4 times smaller than what is allowed').toBeGreaterThan(needed);
    for (const { position, off } of positions) {
      expect(Math.abs(off), `position ${position}`).toBeLessThan(TOLERANCE);
    }
  });

  test('with the draws of an open: within 5 standard errors of the fair share', () => {
    for (const { total, count } of [SMALL, ORDINARY, { total: 5, count: 4 }]) {
      const rounds = Math.ceil(1_500_000 / count);
      const deal = dealer({ strategy: 'double_mean', total: cents(total), count, seed: SEED });
      for (const { position, mean, deviation } of play({ total, count }, deal, rounds)) {
        const error = deviation / Math.sqrt(rounds);
        const distance = Math.abs(mean - total / count);
        expect(distance, `${total} in ${count}, position ${position}`).toBeLessThan(5 * error);
      }
    }
  });
});

describe('the check can fail', () => {
  test('the plain double mean gives the first of 2.00 in 100 a quarter more, the last 41 % less', () => {
    const positions = play(SMALL, dealWith(SMALL, naive), 20_000);
    expect(positions[0]!.off).toBeGreaterThan(0.24);
    expect(positions[0]!.off).toBeLessThan(0.26);
    expect(positions[99]!.off).toBeGreaterThan(-0.43);
    expect(positions[99]!.off).toBeLessThan(-0.39);
    expect(Math.abs(worstOf(positions).off)).toBeGreaterThan(TOLERANCE);
  });

  test('a share rounded down, without the b of the ruling, is found too', () => {
    const floored: ShareRule = ({ remaining, left, draw }) =>
      left === 1 ? remaining : 1 + draw.below(Math.floor((2 * (remaining - left)) / left) + 1);
    const positions = play(SMALL, dealWith(SMALL, floored), 20_000);
    expect(Math.abs(worstOf(positions).off)).toBeGreaterThan(TOLERANCE);
  });
});

describe('the exact law of the code, over every draw it can make', () => {
  test('double_mean: every position of 0.50 in 20 has exactly the mean', () => {
    for (const mean of exactMeans('double_mean', { total: 50, count: 20 })) {
      expect(mean).toBeCloseTo(2.5, 10);
    }
  });

  test('double_mean: and of 1.00 in 4, of 0.13 in 12, of 0.99 in 2', () => {
    for (const packet of [
      { total: 100, count: 4 },
      { total: 13, count: 12 },
      { total: 99, count: 2 },
    ]) {
      for (const mean of exactMeans('double_mean', packet)) {
        expect(mean).toBeCloseTo(packet.total / packet.count, 10);
      }
    }
  });

  test('classic favours the last and uniform the first', () => {
    const classic = exactMeans('classic', { total: 100, count: 10 });
    expect(classic.at(-1)!).toBeGreaterThan(classic[0]! * 1.2);
    const uniform = exactMeans('uniform', { total: 100, count: 10 });
    expect(uniform[0]!).toBeCloseTo(1 + 90 / 2, 10);
    expect(uniform[1]!).toBeCloseTo(1 + 90 / 4, 10);
  });

  test('a long run with the draws of an open comes to the same means', () => {
    for (const strategy of ['double_mean', 'classic', 'uniform'] as const) {
      const packet = { total: 50, count: 20 };
      const means = exactMeans(strategy, packet);
      const deal = dealer({
        strategy,
        total: cents(packet.total),
        count: packet.count,
        seed: SEED,
      });
      const rounds = 20_000;
      for (const { position, mean, deviation } of play(packet, deal, rounds)) {
        const distance = Math.abs(mean - means[position - 1]!);
        expect(distance, `${strategy}, position ${position}`).toBeLessThanOrEqual(
          5 * (deviation / Math.sqrt(rounds)) + 1e-3,
        );
      }
    }
  });

  /** Means by position: pushes the whole distribution of what remains through `shareOf`. */
  function exactMeans(strategy: Strategy, { total, count }: Packet): number[] {
    let states = new Map([[total, 1]]);
    return Array.from({ length: count }, (_, index) => {
      const next = new Map<number, number>();
      let mean = 0;
      for (const [remaining, weight] of states) {
        for (const [share, odds] of lawOf({ strategy, remaining, left: count - index })) {
          mean += share * odds * weight;
          next.set(remaining - share, (next.get(remaining - share) ?? 0) + odds * weight);
        }
      }
      states = next;
      return mean;
    });
  }

  /** Every outcome of one share with its odds: the draws are walked through like an odometer. */
  function lawOf(args: { strategy: Strategy; remaining: number; left: number }) {
    const law = new Map<number, number>();
    const digits: number[] = [];
    const sizes: number[] = [];
    for (;;) {
      let used = 0;
      const draw = {
        below(n: number): number {
          sizes[used] = n;
          digits[used] ??= 0;
          used += 1;
          return digits[used - 1]!;
        },
      };
      const share = shareOf({ ...args, remaining: cents(args.remaining), draw });
      const odds = sizes.slice(0, used).reduce((product, n) => product / n, 1);
      law.set(share, (law.get(share) ?? 0) + odds);
      digits.length = used;
      while (digits.length > 0 && digits.at(-1)! + 1 === sizes[digits.length - 1]) digits.pop();
      if (digits.length === 0) return law;
      digits[digits.length - 1]! += 1;
    }
  }
});

describe('the tally', () => {
  test('counts mean, deviation, ends and best luck as one would by hand', () => {
    const rounds = [
      [1, 5, 3],
      [4, 4, 1],
      [2, 1, 6],
      [3, 3, 3],
    ];
    const tally = new FairnessTally({ total: 9, count: 3, deal: (round) => rounds[round - 1]! });
    tally.play(1);
    tally.play(3);
    expect(tally.rounds).toBe(4);
    const positions = tally.positions();
    expect(positions.map(({ position }) => position)).toEqual([1, 2, 3]);
    expect(positions.map(({ mean }) => mean)).toEqual([2.5, 3.25, 3.25]);
    expect(positions[0]!.off).toBeCloseTo(-1 / 6, 12);
    expect(positions[1]!.off).toBeCloseTo(1 / 12, 12);
    expect(positions.map(({ min, max }) => [min, max])).toEqual([
      [1, 4],
      [1, 5],
      [1, 6],
    ]);
    expect(positions.map(({ bestLuck }) => bestLuck)).toEqual([0.5, 0.25, 0.25]);
    expect(positions[0]!.deviation).toBeCloseTo(Math.sqrt(1.25), 12);
    expect(worstOf(positions).position).toBe(1);
  });

  test('best luck goes to one position a round', () => {
    const deal = dealer({ strategy: 'uniform', total: cents(300), count: 7, seed: SEED });
    const positions = play({ total: 300, count: 7 }, deal, 1_000);
    expect(positions.reduce((sum, { bestLuck }) => sum + bestLuck, 0)).toBeCloseTo(1, 12);
  });

  test('no round, no figures', () => {
    const tally = new FairnessTally({ total: 1, count: 1, deal: () => [1] });
    expect(() => tally.positions()).toThrow('need a round');
  });
});

describe('the verb', () => {
  test.each([
    ['2', 200],
    ['2.5', 250],
    ['2.00', 200],
    ['0.01', 1],
    ['0.29', 29],
    ['1.15', 115],
    ['200', 20_000],
  ])('%s is %i cents', (text, amount) => {
    expect(parseAmount(text)).toBe(amount);
  });

  test.each([
    '',
    '2.',
    '.5',
    '-1',
    '+1',
    '1e3',
    '2,00',
    '2.001',
    ' 2',
    '2 ',
    '0x2',
    '２',
    'NaN',
    '¥2',
  ])("'%s' is no amount", (text) => {
    expect(parseAmount(text)).toBeNull();
  });

  test.each([
    [['0', '1']],
    [['abc', '1']],
    [['200.01', '1']],
    [['2.00', '0']],
    [['2.00', '101']],
    [['2.00', '1.5']],
    [['2.00', 'ten']],
    [['0.09', '10']],
    [['2.00']],
    [['2.00', '10', '30']],
    [['2.00', '10', '--strategy', 'lucky']],
    [['2.00', '10', '--rounds', '0']],
    [['2.00', '10', '--seed', '12']],
    [['2.00', '10', '--seed', 'zz'.repeat(32)]],
    [['2.00', '10', '--nonsense']],
  ])('%j is refused', async (args) => {
    await expect(verb.run(args)).rejects.toThrow(UsageError);
  });

  test('ends with one line for machines, the same for the same seed', async () => {
    const args = ['0.06', '5', '--json'];
    const first = await linesOf(args);
    const second = await linesOf(args);
    expect(first.status).toBe(0);
    expect(first.lines.at(-1)).toBe(second.lines.at(-1));
    const result = JSON.parse(first.lines.at(-1)!);
    expect(result).toMatchObject({ ok: true, name: 'fairness' });
    expect(result.conditions).toMatchObject({ totalCents: 6, count: 5 });
    expect(result.figures[0]).toMatchObject({ unit: '%', goal: '<= 0.5', met: true });
    const last = result.figures.find(
      ({ name }: { name: string }) => name === 'classic, position 5, mean',
    );
    expect(last.value).toBe(2);
  });

  test('a missed goal is exit status 1: a handful of rounds is too noisy', async () => {
    const args = ['2.00', '100', '--strategy', 'double_mean', '--rounds', '20', '--json'];
    const { status, lines } = await linesOf(args);
    expect(status).toBe(1);
    expect(JSON.parse(lines.at(-1)!).ok).toBe(false);
    expect(lines.join('\n')).toContain('too few rounds to tell');
  });

  async function linesOf(args: readonly string[]) {
    let text = '';
    const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      const status = await verb.run(args);
      return { status, lines: text.trimEnd().split('\n') };
    } finally {
      stdout.mockRestore();
    }
  }
});
