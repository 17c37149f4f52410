import type { Entry } from '../../lib/core/journal-entry.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import type { SetId } from '../../lib/core/units.ts';

/** Incarnations are (epoch, counter): a leader re-admits at most this many times less one. */
export const READMITS_PER_EPOCH = 4_096;

const REPLICAS_MAX = 3;

/** That a leader of epoch `by` had an acknowledgement of `lsn`. */
type Word = { readonly lsn: number; readonly by: number };

/** `committed`: the part of it that was committed when it was said. */
type Noted = Word & { readonly committed: number };

/**
 * What the entries of one chain say that replicas have acknowledged: the newest word on each. A
 * later word is never of a lower LSN or epoch, so the newest is the strongest.
 */
export class Evidence {
  readonly #words: (Noted | null)[];

  constructor(words: readonly (Noted | null)[] = []) {
    this.#words = Array.from({ length: REPLICAS_MAX }, (_, replica) => words[replica] ?? null);
  }

  /** Entries in their order. */
  note(entry: Pick<Entry, 'acked' | 'epoch' | 'commitLsn'>): void {
    for (const [replica, acked] of entry.acked.entries()) {
      // 0: the replica did not count just then; what was said of it before still stands.
      if (acked === 0) continue;
      const committed = Math.min(acked, entry.commitLsn);
      this.#words[replica] = { lsn: acked, by: entry.epoch, committed };
    }
  }

  copy(): Evidence {
    return new Evidence(this.#words);
  }

  /**
   * The LSN that a replica must have, unless it was legally taken away: by a re-admission, which
   * begins with a new incarnation, or by P4 of a later leader (`discardedBy`). null: nothing is
   * known that still counts. A leader that re-admitted a replica may have said it before that; what
   * was committed then came back with it, once it is `proved` in its newest incarnation.
   */
  of(args: {
    replica: number;
    incarnation: number;
    discardedBy: number;
    proved: boolean;
  }): Word | null {
    const word = this.#words[args.replica] ?? null;
    if (word === null || word.by < args.discardedBy) return null;
    const { lsn, by, committed } = word;
    const admittedBy = Math.floor(args.incarnation / READMITS_PER_EPOCH);
    if (by > admittedBy) return { lsn, by };
    const counts = by === admittedBy && args.proved && committed > 0;
    return counts ? { lsn: committed, by } : null;
  }
}

/** Two replicas have forgotten what they acknowledged: committed entries may be gone. Final. */
export class Amnesia extends CorruptEntry {
  constructor(args: { setId: SetId; lsn: number; replicas: readonly number[] }) {
    const { setId, lsn, replicas } = args;
    super({
      setId,
      lsn,
      reason: `replicas ${replicas.join(' and ')} have forgotten entries that they acknowledged`,
    });
  }
}
