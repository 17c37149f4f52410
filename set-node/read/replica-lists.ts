import { lsn } from '../../lib/core/units.ts';
import type { Lsn } from '../../lib/core/units.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { ClaimsQuery__Output } from '../../proto/gen/hongbao/ClaimsQuery.ts';
import type { HistoryQuery__Output } from '../../proto/gen/hongbao/HistoryQuery.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { Seals } from '../machine/findings.ts';
import { claimsPage, projectedView, rightsOf } from './packet-view.ts';
import { readJournal } from './journal.ts';
import type { Answer } from './reads.ts';
import { needId, needUser } from './reads.ts';
import { readStatement, readStatistics, TooManyLines } from './statement.ts';
import { pageOf, scanLedger, scanMessages } from './table-rows.ts';

/** An answer from the tables of one replica, and how much of the Set it shows. */
export type TableAnswer = { readonly answer: Answer; readonly asOfLsn: Lsn };

/**
 * Claims, history and statements from the tables of one replica alone (P11), or its committed
 * journal. null: its tables have no yes for this; the leader decides,
 * because only its no is one. Throws DecodeError, StoreError.
 */
export async function readTables(args: {
  store: ReplicaStore;
  seals: Seals;
  query: Query__Output;
}): Promise<TableAnswer | null> {
  const { store, seals, query } = args;
  if (query.claims) return claimsOf({ store, seals, ask: query.claims });
  if (query.history) return historyOf(store, query.history);
  if (query.ledger) {
    const { asOfLsn, lines } = await scanLedger(store, query.ledger);
    return { answer: { status: 'ok', ledger: { lines } }, asOfLsn: lsn(asOfLsn) };
  }
  if (query.statement || query.statistics) return walletOf(store, query);
  return query.journal ? readJournal(store, query.journal) : null;
}

async function walletOf(store: ReplicaStore, query: Query__Output): Promise<TableAnswer | null> {
  const { statement, statistics } = query;
  try {
    if (statement) {
      const found = await readStatement(store, statement);
      if (found === null) return null;
      return { answer: { status: 'ok', statement: found.answer }, asOfLsn: lsn(found.asOfLsn) };
    }
    const found = statistics ? await readStatistics(store, statistics) : null;
    if (found === null) return null;
    return { answer: { status: 'ok', statistics: found.answer }, asOfLsn: lsn(found.asOfLsn) };
  } catch (error) {
    if (error instanceof TooManyLines) return null;
    throw error;
  }
}

async function claimsOf(args: {
  store: ReplicaStore;
  seals: Seals;
  ask: ClaimsQuery__Output;
}): Promise<TableAnswer | null> {
  const { store, seals, ask } = args;
  const found = await projectedView(store, needId(ask.packetId));
  if (found === null || found.view === null) return null;
  const { view, asOfLsn } = found;
  const { member, amounts } = rightsOf({
    seals,
    view,
    user: needUser(ask.user),
    grant: ask.grant,
  });
  if (!member || !amounts) return null;
  return { answer: { status: 'ok', claims: claimsPage(view, ask) }, asOfLsn: lsn(asOfLsn) };
}

async function historyOf(
  store: ReplicaStore,
  ask: HistoryQuery__Output,
): Promise<TableAnswer | null> {
  const groupId: Id = needId(ask.groupId);
  const member = needUser(ask.user);
  const [groups, members, newest] = await Promise.all([
    store.scan({ table: 'chat_group', prefix: [groupId], limit: 1 }),
    store.scan({ table: 'group_member', prefix: [groupId, member], limit: 1 }),
    store.scan({ table: 'message', prefix: [groupId], reverse: true, limit: 1 }),
  ]);
  const history = groups.rows[0]?.[3];
  const [, , , , joinedSeq, , present] = members.rows[0] ?? [];
  if (history === undefined || typeof joinedSeq !== 'number' || present !== 1) return null;
  const lastSeq = Number(newest.rows[0]?.[1] ?? 0);
  const wanted = Number(ask.toSeq);
  // A range that ends beyond these tables is answered by who knows whether there is more.
  if (wanted > lastSeq && wanted < OPEN_END) return null;
  const page = pageOf({
    fromSeq: Math.max(Number(ask.fromSeq), history === 'all' ? 1 : joinedSeq + 1),
    toSeq: Math.min(wanted, lastSeq),
    limit: ask.limit,
    reverse: ask.reverse,
  });
  const found = page === null ? NO_MESSAGES : await scanMessages(store, { groupId, ...page });
  if (found === null) return null;
  const shown = [groups, members, newest, found].map(({ asOfLsn }) => asOfLsn);
  const answer = {
    status: 'ok',
    history: { messages: [...found.messages], lastSeq: String(lastSeq) },
  };
  return { answer, asOfLsn: lsn(Math.min(...shown)) };
}

/** "To the end", whatever it is. */
const OPEN_END = Number.MAX_SAFE_INTEGER;
const NO_MESSAGES = { asOfLsn: OPEN_END, messages: [] };
