import type { Split } from './allocation.ts';
import { bestLuckOf, shareOf } from './allocation.ts';
import { assert } from './assert.ts';
import { HmacKey } from './hmac.ts';
import { Draw } from './keystream.ts';
import { cents } from './units.ts';

/** Deals one whole packet: the shares in the order of opening. The list may be reused by the next. */
export type Deal = (round: number) => readonly number[];

/** What the n-th opener gets, over all rounds. Money in cents. */
export type PositionFigures = {
  /** 1 for the first opener. */
  readonly position: number;
  readonly mean: number;
  /** The mean's distance from total/count, as a part of it: +0.25 is a quarter more. */
  readonly off: number;
  /** Standard deviation of one share. */
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
  /** Part of the rounds in which this share was the largest, the first of equals. */
  readonly bestLuck: number;
};

/**
 * Deals the packet again and again: round r is played with the words of draw number r, one share
 * after the other. At open every share has a draw of its own; both are streams of independent
 * words, and this is twice as fast.
 */
export function dealer({ strategy, total, count, seed }: Split): Deal {
  const key = new HmacKey(seed);
  const shares = Array.from({ length: count }, () => 0);
  return (round) => {
    const draw = new Draw(key, round);
    let remaining = total;
    for (let index = 0; index < count; index++) {
      const share = shareOf({ strategy, remaining, left: count - index, draw });
      shares[index] = share;
      remaining = cents(remaining - share);
    }
    return shares;
  };
}

/** Counts what every position gets over many rounds. Deterministic: rounds are numbered from 1. */
export class FairnessTally {
  readonly #fair: number;
  readonly #base: number;
  readonly #deal: Deal;
  // Sums of distances from a whole number of cents near the fair share: sums of integers are exact,
  // and small ones keep the digits that squares of large amounts would lose.
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #least: Float64Array;
  readonly #most: Float64Array;
  readonly #wins: Float64Array;
  #rounds = 0;

  constructor({ total, count, deal }: { total: number; count: number; deal: Deal }) {
    assert(Number.isInteger(count) && count >= 1, 'a packet has at least one share');
    this.#fair = total / count;
    this.#base = Math.round(total / count);
    this.#deal = deal;
    this.#sums = new Float64Array(count);
    this.#squares = new Float64Array(count);
    this.#least = new Float64Array(count).fill(Infinity);
    this.#most = new Float64Array(count).fill(-Infinity);
    this.#wins = new Float64Array(count);
  }

  get rounds(): number {
    return this.#rounds;
  }

  /** Plays `rounds` more. */
  play(rounds: number): void {
    const last = this.#rounds + rounds;
    while (this.#rounds < last) {
      this.#rounds += 1;
      this.#count(this.#deal(this.#rounds));
    }
  }

  #count(shares: readonly number[]): void {
    assert(shares.length === this.#sums.length, 'every round deals all shares');
    for (let index = 0; index < shares.length; index++) {
      const share = shares[index]!;
      const distance = share - this.#base;
      this.#sums[index] = this.#sums[index]! + distance;
      this.#squares[index] = this.#squares[index]! + distance * distance;
      if (share < this.#least[index]!) this.#least[index] = share;
      if (share > this.#most[index]!) this.#most[index] = share;
    }
    const best = bestLuckOf(shares);
    this.#wins[best] = this.#wins[best]! + 1;
  }

  /** The figures of every position; at least one round must have been played. */
  positions(): PositionFigures[] {
    const rounds = this.#rounds;
    assert(rounds >= 1, 'figures need a round');
    return Array.from(this.#sums, (sum, index) => {
      const distance = sum / rounds;
      const variance = this.#squares[index]! / rounds - distance * distance;
      return {
        position: index + 1,
        mean: this.#base + distance,
        off: (this.#base + distance - this.#fair) / this.#fair,
        deviation: Math.sqrt(Math.max(0, variance)),
        min: this.#least[index]!,
        max: this.#most[index]!,
        bestLuck: this.#wins[index]! / rounds,
      };
    });
  }
}

/** The position whose mean is farthest from the fair share, the first of equals. */
export function worstOf(positions: readonly PositionFigures[]): PositionFigures {
  return positions.reduce((a, b) => (Math.abs(b.off) > Math.abs(a.off) ? b : a));
}

/**
 * How many rounds it takes until chance alone moves no mean by `tolerance` (a part of the fair
 * share): then the tolerance is `sigmas` standard errors of the position that spreads the most.
 */
export function roundsToTell(args: {
  readonly positions: readonly PositionFigures[];
  readonly tolerance: number;
  readonly sigmas: number;
}): number {
  const { positions, tolerance, sigmas } = args;
  let most = 0;
  for (const { mean, off, deviation } of positions) {
    const fair = mean / (1 + off);
    most = Math.max(most, deviation / fair);
  }
  return Math.ceil(((sigmas * most) / tolerance) ** 2);
}
