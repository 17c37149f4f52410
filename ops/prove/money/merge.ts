/** Journals of several Sets, in an order in which nobody uses what is not committed yet. */
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { ClusterBooks } from '../../../reconciler/audit/cluster-books.ts';
import type { Op } from '../../../reconciler/audit/decode.ts';
import { missing } from '../../../reconciler/audit/needs.ts';
import { opsOf } from '../../../reconciler/audit/set-books.ts';

/**
 * Books every entry of all journals. Between Sets only causes come before their effects: an entry
 * that rests on another Set's waits for it; one that waits for ever is a violation.
 * @param onEntry told of each entry after it was booked
 * @throws Violation
 */
export function addMerged(args: {
  readonly books: ClusterBooks;
  /** By Set, each in the order of LSN. */
  readonly journals: ReadonlyMap<number, readonly Entry[]>;
  readonly onEntry: (entry: Entry, ops: readonly Op[]) => void;
}): void {
  const { books, journals, onEntry } = args;
  const lines = [...journals].map(([set, entries]) => ({ set, entries, next: 0 }));
  const isOver = (): boolean => lines.every(({ entries, next }) => next === entries.length);
  while (!isOver()) {
    let moved = 0;
    for (const line of lines) {
      for (; line.next < line.entries.length; line.next++, moved++) {
        const entry = line.entries[line.next] as Entry;
        const ops = opsOf(entry);
        if (missing(books, line.set, ops) !== null) break;
        books.addCommitted(line.set, entry);
        onEntry(entry, ops);
      }
    }
    if (moved > 0) continue;
    // Each waits for something that nobody has: the books say what.
    const [stuck] = lines.filter(({ entries, next }) => next < entries.length);
    const entry = stuck?.entries[stuck.next];
    if (stuck === undefined || entry === undefined) return;
    books.addCommitted(stuck.set, entry);
    onEntry(entry, opsOf(entry));
    stuck.next += 1;
  }
}
