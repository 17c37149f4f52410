import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Lsn } from '../../lib/core/units.ts';
import type { Message } from '../machine/messages.ts';

type Kept = { readonly message: Message; readonly lsn: Lsn; readonly bytes: number };

/**
 * Committed messages that no projection shows yet (rulings 16): with the projection they make
 * history whole. Bounded by bytes; a full tail slows admission, it never forgets.
 */
export class Tail {
  readonly #groups = new Map<Id, Kept[]>();
  #bytes = 0;

  get isFull(): boolean {
    return this.#bytes >= LIMITS.tailBytesMax;
  }

  add(message: Message, lsn: Lsn): void {
    const bytes = message.body.length * 2 + 128;
    const kept = this.#groups.get(message.groupId) ?? [];
    if (kept.length === 0) this.#groups.set(message.groupId, kept);
    kept.push({ message, lsn, bytes });
    this.#bytes += bytes;
  }

  /** Messages of a group in a range of seq, ascending. */
  range(args: { groupId: Id; fromSeq: number; toSeq: number }): Message[] {
    const kept = this.#groups.get(args.groupId) ?? [];
    return kept
      .map(({ message }) => message)
      .filter(({ seq }) => seq >= args.fromSeq && seq <= args.toSeq);
  }

  /** Forgets what every reader finds in the projection. */
  prune(projectedLsn: Lsn): void {
    for (const [groupId, kept] of this.#groups) {
      let count = 0;
      for (const one of kept) {
        if (one.lsn > projectedLsn) break;
        this.#bytes -= one.bytes;
        count += 1;
      }
      if (count === kept.length) this.#groups.delete(groupId);
      else kept.splice(0, count);
    }
  }
}
