import { toHex } from '../lib/core/bytes.ts';
import type { Sha256Function } from '../lib/core/journal-entry.ts';

const KEPT_MAX = 1_024;

/**
 * Commands that broke an assertion while they were decided (P8): a bug of ours, and a second try
 * under a new epoch would only break it again. They were never sealed, so refusing them is the truth.
 */
export class Quarantine {
  readonly #hash: Sha256Function;
  readonly #names = new Set<string>();

  constructor(hash: Sha256Function) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#names.size;
  }

  add(bytes: Uint8Array): void {
    if (this.#names.size < KEPT_MAX) this.#names.add(toHex(this.#hash(bytes)));
  }

  has(bytes: Uint8Array): boolean {
    return this.#names.size > 0 && this.#names.has(toHex(this.#hash(bytes)));
  }
}
