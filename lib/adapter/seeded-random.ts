import { assert } from '../core/assert.ts';
import type { Random } from '../port/random.ts';

const TWO_32 = 2 ** 32;

/**
 * Chance that repeats from a seed, for tests and the simulator: sfc32 (PractRand). Anyone can
 * predict it, so it never stands in for SystemRandom in a server.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is any safe integer. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed), 'a seed is a safe integer');
    this.#a = seed | 0;
    this.#b = Math.floor(seed / TWO_32) | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let round = 0; round < 15; round++) this.#next();
  }

  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at++) bytes[at] = this.#next() >>> 24;
    return bytes;
  }

  below(n: number): number {
    assert(Number.isInteger(n) && n >= 1 && n <= TWO_32, 'below takes 1 .. 2^32');
    // Words in the last, incomplete run of n would favour small results.
    const fair = TWO_32 - (TWO_32 % n);
    for (;;) {
      const word = this.#next();
      if (word < fair) return word % n;
    }
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }
}
