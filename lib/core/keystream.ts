import { assert } from './assert.ts';
import { HmacKey, swapBytes } from './hmac.ts';

/** Length of a packet's seed. */
export const SEED_BYTES = 32;

const WORD_SPAN = 2 ** 48;
const TWO_16 = 2 ** 16;
const TWO_32 = 2 ** 32;
const WORDS_PER_BLOCK = 5;

const block = new Int32Array(8);

/** Where fair integers come from. {@link Draw} is the real one; statistics may use a cheaper one. */
export interface UniformSource {
  /** A uniform integer in [0, n). */
  below(n: number): number;
}

/**
 * Draw number `k` of a packet (rulings 21): the chance of its k-th open, k = 1, 2, …, whoever comes.
 *
 * Block i = 0, 1, … is HMAC-SHA-256(seed, k ‖ i), both as u32 little-endian (8 bytes). A block gives
 * five 48-bit little-endian words: bytes 0..5, 6..11, 12..17, 18..23, 24..29; bytes 30 and 31 are not
 * used. Golden vectors: `test/golden/draws.test.ts`.
 *
 * Nothing is computed before the first word is asked for, so the seed's bytes must stay until then.
 */
export class Draw implements UniformSource {
  #seed: Uint8Array | HmacKey;
  readonly #k: number;
  #block = 0;
  #words: readonly number[] = [];
  #next = WORDS_PER_BLOCK;

  /**
   * @param seed the packet's 32 bytes, or its key when many draws of one packet are made at once
   * @param k 1-based order number of the open, below 2^32
   */
  constructor(seed: Uint8Array | HmacKey, k: number) {
    assert(seed instanceof HmacKey || seed.length === SEED_BYTES, 'a seed has 32 bytes');
    assert(Number.isInteger(k) && k >= 1 && k < TWO_32, 'a draw has a number 1..2^32-1');
    this.#seed = seed;
    this.#k = k;
  }

  /**
   * A uniform integer in [0, n), n an integer in 1..2^48: the next word that is below
   * ⌊2^48/n⌋·n, modulo n; words at or above it are skipped. n = 1 uses no word.
   */
  below(n: number): number {
    assert(Number.isInteger(n) && n >= 1 && n <= WORD_SPAN, 'a draw is below 1..2^48');
    if (n === 1) return 0;
    // Quotients of integers up to 2^48 round down exactly: a quotient that is not whole lies at
    // least 1/n below the next integer, and the error of a division is at most (2^48/n)·2^-53.
    const limit = Math.floor(WORD_SPAN / n) * n;
    for (;;) {
      if (this.#next === WORDS_PER_BLOCK) this.#refill();
      const word = this.#words[this.#next]!;
      this.#next += 1;
      if (word < limit) return word - Math.floor(word / n) * n;
    }
  }

  #refill(): void {
    assert(this.#block < TWO_32, 'a draw has 2^32 blocks');
    const key = this.#seed instanceof HmacKey ? this.#seed : new HmacKey(this.#seed);
    this.#seed = key;
    key.macOfPair(this.#k, this.#block, block);
    const w0 = swapBytes(block[0]!) >>> 0;
    const w1 = swapBytes(block[1]!) >>> 0;
    const w2 = swapBytes(block[2]!) >>> 0;
    const w3 = swapBytes(block[3]!) >>> 0;
    const w4 = swapBytes(block[4]!) >>> 0;
    const w5 = swapBytes(block[5]!) >>> 0;
    const w6 = swapBytes(block[6]!) >>> 0;
    const w7 = swapBytes(block[7]!) >>> 0;
    this.#words = [
      (w1 & 0xffff) * TWO_32 + w0,
      w2 * TWO_16 + (w1 >>> 16),
      (w4 & 0xffff) * TWO_32 + w3,
      w5 * TWO_16 + (w4 >>> 16),
      (w7 & 0xffff) * TWO_32 + w6,
    ];
    this.#block += 1;
    this.#next = 0;
  }
}
