import { assert } from '../lib/core/assert.ts';

/** Fractions of tokens are floats: a wait that is over must not miss by a rounding. */
const EPSILON = 1e-6;

/**
 * A token bucket: `perSecond` on average, `burst` at once (design 10). Pure: the caller brings the
 * monotonic time, so nothing ticks while nobody asks.
 */
export class Bucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  constructor(args: { perSecond: number; burst: number; nowMs: number }) {
    assert(args.perSecond > 0 && args.burst >= 1, 'a bucket fills and holds at least one');
    this.#perMs = args.perSecond / 1_000;
    this.#burst = args.burst;
    this.#tokens = args.burst;
    this.#atMs = args.nowMs;
  }

  /** Takes one token: 0 when there was one, else the milliseconds until there is. */
  take(nowMs: number): number {
    const passed = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + passed * this.#perMs);
    if (this.#tokens >= 1 - EPSILON) {
      this.#tokens = Math.max(0, this.#tokens - 1);
      return 0;
    }
    return Math.ceil((1 - this.#tokens) / this.#perMs - EPSILON);
  }
}
