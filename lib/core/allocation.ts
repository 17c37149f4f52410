import { assert, unreachable } from './assert.ts';
import { HmacKey } from './hmac.ts';
import { Draw, SEED_BYTES } from './keystream.ts';
import type { UniformSource } from './keystream.ts';
import type { Cents } from './units.ts';
import { cents } from './units.ts';

/** How a packet is divided. The words of the wire and of the journal. */
export type Strategy = 'double_mean' | 'classic' | 'uniform' | 'equal';

/**
 * Twice the money that can be divided among others must fit a draw (2^48). Far above any limit of
 * the business: it bounds the arithmetic.
 */
const MONEY_MAX = 2 ** 47;

/** A packet before anybody opened it. */
export type Split = {
  readonly strategy: Strategy;
  readonly total: Cents;
  /** Number of shares. */
  readonly count: number;
  /** The packet's 32 bytes. */
  readonly seed: Uint8Array;
};

/**
 * The share of the next opener, in cents, when `remaining` is still to be divided among `left`
 * people, himself included. The last takes all. `draw` is the draw whose number is the order of
 * this open; a strategy takes from it only what it needs.
 *
 * Every strategy keeps one cent for each of those who come later. A caller that breaks
 * 1 <= left <= remaining has a bug: it asserts.
 */
export function shareOf(args: {
  readonly strategy: Strategy;
  readonly remaining: Cents;
  readonly left: number;
  readonly draw: UniformSource;
}): Cents {
  const { remaining, left } = args;
  assert(Number.isInteger(left) && left >= 1, 'somebody is left to take a share');
  assert(Number.isSafeInteger(remaining) && remaining <= MONEY_MAX, 'money fits a draw');
  assert(remaining >= left, 'one cent is left for each');
  if (left === 1) return remaining;
  const share = ordinaryShare(args);
  assert(share >= 1, 'a share is never empty');
  assert(share <= remaining - (left - 1), 'a share leaves one cent for each of the others');
  return cents(share);
}

/** A share that is not the last one. */
function ordinaryShare(args: {
  readonly strategy: Strategy;
  readonly remaining: Cents;
  readonly left: number;
  readonly draw: UniformSource;
}): number {
  const { strategy, remaining, left, draw } = args;
  const rest = remaining - left; // what is to be divided once everybody has his cent
  switch (strategy) {
    case 'double_mean':
      return 1 + doubleMean(rest, left, draw);
    case 'classic':
      return 1 + classic(rest, left, draw);
    case 'uniform':
      return 1 + draw.below(rest + 1);
    case 'equal':
      return Math.ceil(remaining / left); // the first `total mod count` get a cent more
    default:
      return unreachable(strategy);
  }
}

/**
 * Uniform in [0, u], where u is 2·rest/left rounded down, and one more with the probability of its
 * fraction (rulings 21): first b in [0, left), drawn even when there is no fraction, then the share.
 * The mean of u is exactly 2·rest/left, so that of the share is remaining/left, and by induction
 * every position has the same mean, total/count.
 *
 * It never overdraws: u <= ⌈2·rest/left⌉, and left >= 2 makes that at most `rest`. Nothing has to be
 * clipped, which would shift the means.
 */
function doubleMean(rest: number, left: number, draw: UniformSource): number {
  const whole = Math.floor((2 * rest) / left);
  const fraction = 2 * rest - whole * left;
  const most = whole + (draw.below(left) < fraction ? 1 : 0);
  return draw.below(most + 1);
}

/**
 * The sources' algorithm (reserve a cent for each, then up to twice the mean) in integers. They
 * compute round2(U·max + 0.01) with U in [0, 1), average = rest/left rounded down to cents,
 * max = 2·average − 0.01, and max = 0 when average = 0; the last takes what is left.
 *
 * Rounding to cents gives the two ends of 0 … max half the probability of the others: a draw of half
 * cents in [0, 2·max) does the same exactly: 0 → 0, 1 and 2 → 1, 3 and 4 → 2, …, 2·max − 1 → max.
 * It never overdraws: max < 2·average <= rest. The average is rounded down and the mean lies half a
 * cent under it, so those who come late get more: the last of 10.00 in 10 gets 2 % over the fair
 * share, the last of 2.00 in 100 three times it. That is the sources' bias, kept.
 */
function classic(rest: number, left: number, draw: UniformSource): number {
  const average = Math.floor(rest / left);
  if (average === 0) return 0;
  const max = 2 * average - 1;
  return Math.floor((draw.below(2 * max) + 1) / 2);
}

/**
 * All shares in the order of opening, as they are drawn at open too: the same seed gives the same
 * shares either way.
 */
export function preSplit(split: Split): Cents[] {
  const { strategy, total, count, seed } = split;
  assert(Number.isInteger(count) && count >= 1, 'a packet has at least one share');
  assert(seed.length === SEED_BYTES, 'a seed has 32 bytes');
  const key = new HmacKey(seed);
  const shares: Cents[] = [];
  let remaining = total;
  for (let order = 1; order <= count; order++) {
    const left = count - order + 1;
    const share = shareOf({ strategy, remaining, left, draw: new Draw(key, order) });
    shares.push(share);
    remaining = cents(remaining - share);
  }
  assert(remaining === 0, 'the last share takes all');
  return shares;
}

/**
 * Recomputes a packet from its revealed seed and compares: the index of the first share that is not
 * what the seed gives, or -1 when all are right. A missing share and one too many are differences.
 * Strategy, total and count are the packet's definition; an impossible one (less than one cent a
 * share) asserts, as in {@link shareOf}.
 *
 * @param claims.shares amounts in the order of opening
 * @param claims.expired the packet ended before all were opened: then the list may end early
 */
export function verifyShares(
  claims: Split & { readonly shares: readonly number[]; readonly expired?: boolean },
): number {
  const { shares } = claims;
  const expected = preSplit(claims);
  const most = Math.max(shares.length, expected.length);
  const end = claims.expired === true ? shares.length : most;
  for (let index = 0; index < end; index++) {
    if (shares[index] !== expected[index]) return index;
  }
  return -1;
}

/** Index of the best luck: the largest share, the first of equals. -1 when there is none. */
export function bestLuckOf(shares: readonly number[]): number {
  let best = -1;
  for (let index = 0; index < shares.length; index++) {
    if (best === -1 || shares[index]! > shares[best]!) best = index;
  }
  return best;
}
