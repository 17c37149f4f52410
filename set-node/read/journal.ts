import { encodeEntry } from '../../lib/core/journal-entry.ts';
import type { Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { JournalQuery__Output } from '../../proto/gen/hongbao/JournalQuery.ts';
import type { SetState } from '../machine/state.ts';
import type { TableAnswer } from './replica-lists.ts';
import type { Answer } from './reads.ts';

/** An answer holds so much of payloads, and an entry more: it fits one message between tiers. */
const PAGE_BYTES_MAX = 1_048_576;

/**
 * Committed entries from one replica's journal, and how far it proves them to be committed (rulings
 * 11): by its commit row, or by what a later entry of the same chain says. Above that it shows
 * nothing. Entries are passed on as they are stored: who asks checks them. Throws StoreError.
 */
export async function readJournal(
  store: ReplicaStore,
  ask: JournalQuery__Output,
): Promise<TableAnswer> {
  const after = lsn(Number(ask.afterLsn));
  const limitBytes = Math.max(1, Math.min(ask.maxBytes, PAGE_BYTES_MAX));
  // Before the rows: the row of the commit point speaks of the journal that is there.
  const told = await store.commitLsn();
  const entries = await store.read({ after, limitBytes });
  let commitLsn: Lsn = told;
  for (const entry of entries) if (entry.commitLsn > commitLsn) commitLsn = entry.commitLsn;
  const committed = entries.filter(({ lsn: at }) => at <= commitLsn);
  return {
    asOfLsn: commitLsn,
    answer: {
      status: 'ok',
      journal: {
        entries: committed.map((entry) => Buffer.from(encodeEntry(entry))),
        commitLsn: String(commitLsn),
      },
    },
  };
}

/** What memory holds of outbox and inbox; the audit compares it with the journal at this LSN. */
export function lanesOf(state: SetState): Answer {
  const sent = [...state.outbox.lanes()].map(({ to, lane, first, pending, pendingCents }) => ({
    to,
    lane,
    first: String(first),
    next: String(first + pending.length),
    pendingCents: String(pendingCents),
  }));
  const received = [...state.inbox.lanes()].map(({ from, lane, upTo, above, tombstones }) => ({
    from,
    lane,
    upTo: String(upTo),
    above: above.size,
    tombstones: tombstones.size,
  }));
  return { status: 'ok', lanes: { sent, received } };
}
