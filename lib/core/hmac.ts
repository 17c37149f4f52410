import { assert } from './assert.ts';
import { absorbLast, compress, digestBytes, initialState, sha256 } from './sha256.ts';
import type { Sha256State } from './sha256.ts';

const BLOCK_BYTES = 64;
const INNER_PAD = 0x36363636;
const OUTER_PAD = 0x5c5c5c5c;

const scratchState = new Int32Array(8);
const scratchWords = new Int32Array(16);

/**
 * HMAC-SHA-256 (RFC 2104, RFC 4231) under one key. The two blocks that depend on the key alone are
 * compressed once, here; each MAC then costs one compression for the message and one for the
 * digest, as long as the message has at most 55 bytes.
 */
export class HmacKey {
  readonly #inner: Sha256State = initialState();
  readonly #outer: Sha256State = initialState();

  /** @param key any length; one over 64 bytes is hashed first, as the RFC says. Not kept. */
  constructor(key: Uint8Array) {
    const short = key.length > BLOCK_BYTES ? sha256(key) : key;
    scratchWords.fill(INNER_PAD);
    for (let i = 0; i < short.length; i++) {
      scratchWords[i >> 2] = scratchWords[i >> 2]! ^ (short[i]! << (24 - 8 * (i & 3)));
    }
    compress(this.#inner, scratchWords);
    for (let i = 0; i < 16; i++) scratchWords[i] = scratchWords[i]! ^ (INNER_PAD ^ OUTER_PAD);
    compress(this.#outer, scratchWords);
  }

  /** The MAC of `message`: 32 fresh bytes. */
  mac(message: Uint8Array): Uint8Array {
    scratchState.set(this.#inner);
    absorbLast(scratchState, BLOCK_BYTES, message);
    this.#finish();
    return digestBytes(scratchState);
  }

  /**
   * The MAC of the eight bytes `first ‖ second` (u32 little-endian each), as eight big-endian words
   * in `into`: what the keystream asks for, without a byte array on the way.
   */
  macOfPair(first: number, second: number, into: Int32Array): void {
    assert(into.length === 8, 'a MAC has eight words');
    scratchState.set(this.#inner);
    scratchWords.fill(0);
    scratchWords[0] = swapBytes(first);
    scratchWords[1] = swapBytes(second);
    scratchWords[2] = 0x80000000;
    scratchWords[15] = (BLOCK_BYTES + 8) * 8;
    compress(scratchState, scratchWords);
    this.#finish();
    into.set(scratchState);
  }

  /** Turns the inner digest in the scratch state into the MAC: the outer hash of its 32 bytes. */
  #finish(): void {
    scratchWords.set(scratchState);
    scratchWords.fill(0, 8);
    scratchWords[8] = 0x80000000;
    scratchWords[15] = (BLOCK_BYTES + 32) * 8;
    scratchState.set(this.#outer);
    compress(scratchState, scratchWords);
  }
}

/** The four bytes of a word in the opposite order, as a signed word. */
export function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** HMAC-SHA-256 of `message` under `key`: 32 fresh bytes. For many messages keep an {@link HmacKey}. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  return new HmacKey(key).mac(message);
}
