import { assert } from '../lib/core/assert.ts';
import type { Random } from '../lib/port/random.ts';

/**
 * Delays between tries: exponential with full jitter, so that those who failed together do not come
 * back together (M. Brooker, "Exponential Backoff And Jitter", 2015).
 */
export class Backoff {
  readonly #random: Random;
  readonly #firstMs: number;
  readonly #lastMs: number;
  #capMs: number;

  /** The n-th delay is uniform in 1 ms .. min(`lastMs`, `firstMs` * 2^n). */
  constructor(args: { random: Random; firstMs: number; lastMs: number }) {
    assert(args.firstMs >= 1 && args.lastMs >= args.firstMs, 'delays grow');
    this.#random = args.random;
    this.#firstMs = args.firstMs;
    this.#lastMs = args.lastMs;
    this.#capMs = args.firstMs;
  }

  next(): number {
    const delayMs = 1 + this.#random.below(this.#capMs);
    this.#capMs = Math.min(this.#lastMs, this.#capMs * 2);
    return delayMs;
  }

  /** After a success. */
  reset(): void {
    this.#capMs = this.#firstMs;
  }
}
