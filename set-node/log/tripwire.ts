import type { Entry } from '../../lib/core/journal-entry.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import type { SetId } from '../../lib/core/units.ts';

/** Incarnations are (epoch, counter): a leader re-admits at most this many times less one. */
export const READMITS_PER_EPOCH = 4_096;

const REPLICAS_MAX = 3;

/** That a leader of epoch `by` had an acknowledgement of `lsn`. */
type Word = { readonly lsn: number; readonly by: number };

/**
 * What the entries of one chain say that replicas have acknowledged: the newest word on each. A
 * later word is never of a lower LSN or epoch, so the newest is the strongest.
 */
export class Evidence {
  readonly #words: (Word | null)[];

  constructor(words: readonly (Word | null)[] = []) {
    this.#words = Array.from({ length: REPLICAS_MAX }, (_, replica) => words[replica] ?? null);
  }

  /** Entries in their order. */
  note(entry: Pick<Entry, 'acked' | 'epoch'>): void {
    for (const [replica, acked] of entry.acked.entries()) {
      // 0: the replica did not count just then; what was said of it before still stands.
      if (acked > 0) this.#words[replica] = { lsn: acked, by: entry.epoch };
    }
  }

  copy(): Evidence {
    return new Evidence(this.#words);
  }

  /**
   * The LSN that a replica must have, unless it was legally taken away: by a re-admission, which
   * begins with a new incarnation, or by P4 of a later leader (`discardedBy`). null: nothing is
   * known that still counts.
   */
  of(args: { replica: number; incarnation: number; discardedBy: number }): Word | null {
    const word = this.#words[args.replica] ?? null;
    if (word === null) return null;
    const admittedBy = Math.floor(args.incarnation / READMITS_PER_EPOCH);
    return word.by > admittedBy && word.by >= args.discardedBy ? word : null;
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
