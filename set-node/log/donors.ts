import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, unseal } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';

/** Reads for a replica that lags from the journals of others (P10), and remembers who could not. */
export class Donors {
  readonly #args: {
    readonly setId: SetId;
    readonly hash: Sha256Function;
    readonly log: Log;
    readonly onDamage: (replica: number, error: CorruptEntry) => void;
  };
  /** Those of which the log has been told. */
  readonly #unreadable = new Set<number>();

  constructor(args: {
    setId: SetId;
    hash: Sha256Function;
    log: Log;
    onDamage: (replica: number, error: CorruptEntry) => void;
  }) {
    this.#args = args;
  }

  /** Good entries of this replica above `after`; none when it has none or cannot be read. */
  async read({
    replica,
    store,
    after,
  }: {
    replica: number;
    store: ReplicaStore;
    after: Lsn;
  }): Promise<Entry[]> {
    const { hash, log, setId, onDamage } = this.#args;
    try {
      const entries = await store.read({ after, limitBytes: LIMITS.batchBytesMax });
      // Damage must not spread: what one replica hands on is checked like what a leader reads.
      let prev: Uint8Array | null = null;
      for (const entry of entries) {
        unseal({ entry, prev, hash });
        prev = entry.sum;
      }
      this.#unreadable.delete(replica);
      return entries;
    } catch (error) {
      if (error instanceof CorruptEntry) onDamage(replica, error);
      else if (!(error instanceof StoreError)) throw error;
      else if (!this.#unreadable.has(replica)) {
        this.#unreadable.add(replica);
        log.warn('replica_not_read', { set: setId, replica, reason: error.message });
      }
      return [];
    }
  }
}
