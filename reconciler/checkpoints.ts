import type { Log } from '../lib/port/log.ts';
import type { ObjectStore } from '../lib/port/object-store.ts';
import { decodeCheckpoint, encodeCheckpoint } from './audit/checkpoint.ts';
import type { ClusterDump } from './audit/dump.ts';

const PREFIX = 'audit/books-';
const DIGITS = 12;
/** The newest, and the one before it while the newest is being written. */
const KEPT = 2;
/** More names than there ever are. */
const NAMES_MAX = 1_000;

/** The books on disk, so that a restart need not read every journal again. */
export class Checkpoints {
  readonly #store: ObjectStore;
  readonly #log: Log;
  #last = 0;

  constructor(args: { store: ObjectStore; log: Log }) {
    this.#store = args.store;
    this.#log = args.log;
  }

  /** The newest whole one; null: none. Never rejects: the journals say it all again. */
  async load(): Promise<ClusterDump | null> {
    try {
      const names = await this.#store.list({ prefix: PREFIX, limit: NAMES_MAX });
      this.#last = Math.max(0, ...names.map((name) => Number(name.slice(PREFIX.length)) || 0));
      for (const name of names.toReversed()) {
        const bytes = await this.#store.get(name);
        const dump = bytes === null ? null : decodeCheckpoint(bytes);
        if (dump !== null) return dump;
        this.#log.error('audit_checkpoint_damaged', { name });
      }
    } catch (error) {
      this.#log.error('audit_checkpoint_unread', { reason: String(error) });
    }
    return null;
  }

  /** Writes a new one whole, then lets the oldest go. Takes what the dump says now. Never rejects. */
  async save(dump: ClusterDump): Promise<void> {
    const bytes = encodeCheckpoint(dump);
    try {
      this.#last += 1;
      await this.#store.put(PREFIX + String(this.#last).padStart(DIGITS, '0'), bytes);
      const names = await this.#store.list({ prefix: PREFIX, limit: NAMES_MAX });
      // Another auditor may have written beside this one: what counts is their order.
      for (const name of names.slice(0, -KEPT)) await this.#store.delete(name);
    } catch (error) {
      this.#log.warn('audit_checkpoint_unwritten', { reason: String(error) });
    }
  }
}
