import type { Horizon } from './needs.ts';
import { moneyOf } from './parts.ts';
import type { SetBooks } from './set-books.ts';
import { Violation } from './violation.ts';

/**
 * AU6: what the leader's memory says of outbox and inbox is what the journal up to the same LSN
 * gives. Throws a Violation; the books must stand at the LSN of the answer.
 */
export function holdMemory(books: SetBooks, said: Horizon): void {
  const broken = (what: string): Violation =>
    new Violation(`AU6 Set ${books.setId}, LSN ${said.lsn}: the leader's memory has ${what}`);
  const sent = new Map(said.sent.map((lane) => [`${lane.to}/${lane.lane}`, lane]));
  for (const { to, lane, first, rows } of books.outbox.lanes()) {
    const key = `${to}/${lane}`;
    const other = sent.get(key) ?? { first: 1, next: 1, pendingCents: 0 };
    sent.delete(key);
    const next = first + rows.length;
    if (other.first !== first || other.next !== next) {
      const has = `numbers ${other.first} to below ${other.next} in the outbox`;
      throw broken(`${has} to Set ${to}, lane ${lane}; the journal ${first} to below ${next}`);
    }
    let cents = 0;
    for (const transfer of rows) cents += moneyOf(transfer);
    if (other.pendingCents !== cents) {
      const has = `${other.pendingCents} cents in the outbox`;
      throw broken(`${has} to Set ${to}, lane ${lane}; the journal ${cents}`);
    }
  }
  for (const { to, lane, first, next } of sent.values()) {
    if (first === 1 && next === 1) continue;
    const has = `numbers ${first} to below ${next} in the outbox`;
    throw broken(`${has} to Set ${to}, lane ${lane}; the journal none`);
  }
  holdReceived({ books, said, broken });
}

function holdReceived(args: {
  books: SetBooks;
  said: Horizon;
  broken: (what: string) => Violation;
}): void {
  const { books, said, broken } = args;
  const received = new Map(said.received.map((lane) => [`${lane.from}/${lane.lane}`, lane]));
  for (const lane of books.inbox.lanes()) {
    const key = `${lane.from}/${lane.lane}`;
    const other = received.get(key) ?? { upTo: 0, above: 0, tombstones: 0 };
    received.delete(key);
    for (const field of ['upTo', 'above', 'tombstones'] as const) {
      if (other[field] === lane[field]) continue;
      const where = `in the inbox from Set ${lane.from}, lane ${lane.lane}`;
      throw broken(`${field} ${other[field]} ${where}; the journal ${lane[field]}`);
    }
  }
  for (const { from, lane, upTo, above, tombstones } of received.values()) {
    if (upTo + above + tombstones === 0) continue;
    throw broken(`up to ${upTo} in the inbox from Set ${from}, lane ${lane}; the journal none`);
  }
}
