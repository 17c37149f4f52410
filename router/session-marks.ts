import type { SetId } from '../lib/core/units.ts';

/**
 * What one session has been shown of each Set (rulings 16). Its next lists show at least as much,
 * whichever node answers: it sees its own writes, and never less than before. One that has no mark
 * of a Set asks its leader, whose answer gives the first.
 */
export class SessionMarks {
  readonly #lsns = new Map<SetId, number>();

  /** 0: nothing yet. */
  at(set: SetId): number {
    return this.#lsns.get(set) ?? 0;
  }

  /** The session was shown something of this LSN. */
  note(set: SetId, lsn: number): void {
    if (lsn > this.at(set)) this.#lsns.set(set, lsn);
  }
}
