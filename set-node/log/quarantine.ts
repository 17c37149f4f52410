import { toHex } from '../../lib/core/bytes.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { decodeOps } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';

const KEPT_MAX = 1_024;
/** A few whole batches. */
const SUSPECTS_MAX = 8 * LIMITS.batchOpsMax;

/**
 * Commands that broke an assertion while they were decided (P8): a bug of ours, and a second try
 * under a new epoch would only break it again. They were never sealed, so refusing them is the truth.
 * And those that Q replicas will not store: the next takeover leaves their entry out.
 */
export class Quarantine {
  readonly #hash: Sha256Function;
  readonly #names = new Set<string>();
  /** Commands of a batch that Q replicas rejected: one of them is to blame. */
  readonly #suspects = new Set<string>();
  /** Checksums of entries that Q replicas rejected. */
  readonly #rejected = new Set<string>();

  constructor(hash: Sha256Function) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#names.size;
  }

  add(bytes: Uint8Array): void {
    if (this.#names.size < KEPT_MAX) this.#names.add(this.#nameOf(bytes));
  }

  has(bytes: Uint8Array): boolean {
    return this.#names.size > 0 && this.#names.has(this.#nameOf(bytes));
  }

  /**
   * Q replicas rejected this entry (P8). Its commands are suspects, to be sealed alone under a new
   * epoch; one that was alone is to blame.
   */
  reject(entry: Entry): void {
    if (this.#rejected.size < KEPT_MAX) this.#rejected.add(toHex(entry.sum));
    const names = this.#namesIn(entry);
    const kept = names.length === 1 ? this.#names : this.#suspects;
    for (const name of names) if (kept.size < SUSPECTS_MAX) kept.add(name);
  }

  rejects(entry: Entry): boolean {
    return this.#rejected.size > 0 && this.#rejected.has(toHex(entry.sum));
  }

  /** Must this command have a batch of its own? */
  isSuspect(bytes: Uint8Array): boolean {
    return this.#suspects.size > 0 && this.#suspects.has(this.#nameOf(bytes));
  }

  /** It is in the log after all: whatever was rejected, it was not this. */
  adopt(entry: Entry): void {
    if (this.#suspects.size === 0 && this.#names.size === 0) return;
    for (const name of this.#namesIn(entry)) {
      this.#suspects.delete(name);
      this.#names.delete(name);
    }
  }

  /** Committed: a suspect that was sealed alone is none. */
  clear(entry: Entry): void {
    if (this.#suspects.size === 0 || entry.opCount !== 1) return;
    for (const name of this.#namesIn(entry)) this.#suspects.delete(name);
  }

  #nameOf(bytes: Uint8Array): string {
    return toHex(this.#hash(bytes));
  }

  /** Commands are encoded in one way only: what comes again has the same bytes. */
  #namesIn(entry: Entry): string[] {
    return decodeOps(entry).map(({ command }) => this.#nameOf(encodeCommand(command)));
  }
}
