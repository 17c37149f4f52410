import type { Id } from '../../lib/core/ids.ts';
import { setOfId } from '../../lib/core/ids.ts';
import type { Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { ClaimsQuery__Output } from '../../proto/gen/hongbao/ClaimsQuery.ts';
import type { HistoryQuery__Output } from '../../proto/gen/hongbao/HistoryQuery.ts';
import type { JournalQuery__Output } from '../../proto/gen/hongbao/JournalQuery.ts';
import type { LedgerQuery__Output } from '../../proto/gen/hongbao/LedgerQuery.ts';
import type { Message as WireMessage } from '../../proto/gen/hongbao/Message.ts';
import type { PacketQuery__Output } from '../../proto/gen/hongbao/PacketQuery.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { Driver } from '../lead/driver.ts';
import { firstSeqOf } from '../machine/groups.ts';
import { readJournal } from './journal.ts';
import type { View } from './packet-view.ts';
import { bestOf, claimsPage, projectedView, rightsOf, viewOf, wireClaim } from './packet-view.ts';
import type { Answer } from './reads.ts';
import { needId, needUser, refused } from './reads.ts';
import { readStatement, readStatistics, TooManyLines } from './statement.ts';
import { pageOf, scanLedger, scanMessages } from './table-rows.ts';

/** Answers packets, claims, history and statements from memory or, for what left it, a projection. */
export async function readLists(driver: Driver, query: Query__Output): Promise<Answer> {
  if (query.packet) return packetAnswer(driver, query.packet);
  if (query.claims) return claimsAnswer(driver, query.claims);
  if (query.history) return historyAnswer(driver, query.history);
  if (query.ledger) return ledgerAnswer(driver, query.ledger, lsn(Number(query.atLsn)));
  if (query.journal) return journalAnswer(driver, query.journal);
  const { statement, statistics } = query;
  if (statement) {
    const at = Math.max(Number(query.atLsn), Number(statement.throughLsn));
    return tablesAnswer(driver, at, async (store) => {
      const found = await readStatement(store, statement);
      return found && { asOfLsn: found.asOfLsn, part: { statement: found.answer } };
    });
  }
  if (statistics) {
    return tablesAnswer(driver, Number(query.atLsn), async (store) => {
      const found = await readStatistics(store, statistics);
      return found && { asOfLsn: found.asOfLsn, part: { statistics: found.answer } };
    });
  }
  return refused('malformed');
}

/** `away`: no replica could be asked. */
async function findView(driver: Driver, packetId: Id): Promise<View | 'none' | 'away'> {
  const live = driver.state.packets.get(packetId);
  if (live !== undefined) return viewOf(live);
  if (setOfId(packetId) !== driver.state.setId) return 'none';
  const found = await driver.projections.ask(async (store, atLsn) => {
    const one = await projectedView(store, packetId);
    return one === null || one.asOfLsn < atLsn ? null : one;
  });
  return found === null ? 'away' : (found.view ?? 'none');
}

async function packetAnswer(driver: Driver, ask: PacketQuery__Output): Promise<Answer> {
  const user = needUser(ask.user);
  const view = await findView(driver, needId(ask.packetId));
  if (view === 'none') return refused('packet_not_found');
  if (view === 'away') return refused('set_unavailable');
  const { packetId, groupId, sender, kind } = view;
  const { member, amounts } = rightsOf({ seals: driver.seals, view, user, grant: ask.grant });
  const bare = { packetId: String(packetId), groupId: String(groupId), sender, kind };
  // Enough to find the group and ask it for a grant, and no more.
  if (!member) return { status: 'ok', packet: bare };
  const mine = view.claims.find((claim) => claim.user === user);
  const takenCents = view.claims.reduce((sum, claim) => sum + claim.amountCents, 0);
  return {
    status: 'ok',
    packet: {
      ...bare,
      strategy: view.strategy,
      timing: view.timing,
      count: view.count,
      taken: view.claims.length,
      greeting: view.greeting,
      phase: view.phase,
      createdAt: String(view.createdAt),
      expiresAt: String(view.expiresAt),
      endedAt: String(view.endedAt),
      seedHash: Buffer.from(view.seedHash),
      seed: Buffer.from(view.seed),
      amountsShown: amounts,
      totalCents: amounts ? String(view.totalCents) : '0',
      takenCents: amounts ? String(takenCents) : '0',
      refundedCents: amounts ? String(view.refundCents) : '0',
      mine: mine === undefined ? null : wireClaim(mine),
      best: amounts ? bestOf(view) : null,
    },
  };
}

async function claimsAnswer(driver: Driver, ask: ClaimsQuery__Output): Promise<Answer> {
  const user = needUser(ask.user);
  const view = await findView(driver, needId(ask.packetId));
  if (view === 'none') return refused('packet_not_found');
  if (view === 'away') return refused('set_unavailable');
  const { member, amounts } = rightsOf({ seals: driver.seals, view, user, grant: ask.grant });
  if (!member) return refused('not_a_member');
  if (!amounts) return refused('not_allowed');
  return { status: 'ok', claims: claimsPage(view, ask) };
}

async function historyAnswer(driver: Driver, ask: HistoryQuery__Output): Promise<Answer> {
  const group = driver.state.groups.get(needId(ask.groupId));
  if (group === undefined) return refused('group_not_found');
  const member = group.members.get(needUser(ask.user));
  if (member === undefined) return refused('not_a_member');
  const { groupId } = group;
  const lastSeq = group.seq;
  // All up to it is committed from here on, and so in the tail or in the tables.
  if (!(await driver.settled())) return refused('set_unavailable');
  const fromSeq = Math.max(Number(ask.fromSeq), firstSeqOf(group, member));
  const toSeq = Math.min(Number(ask.toSeq), lastSeq);
  const page = pageOf({ fromSeq, toSeq, limit: ask.limit, reverse: ask.reverse });
  if (page === null) return { status: 'ok', history: { messages: [], lastSeq: String(lastSeq) } };
  const { from, to } = page;
  // The tail is taken before the tables: what it forgets meanwhile is in them (rulings 16).
  const recent = driver.tail.range({ groupId, fromSeq: from, toSeq: to });
  const recentFrom = recent[0]?.seq ?? to + 1;
  let messages: WireMessage[] = [];
  if (recentFrom > from) {
    const projected = await driver.projections.ask(async (store, atLsn) => {
      const found = await scanMessages(store, { groupId, from, to: recentFrom - 1 });
      return found === null || found.asOfLsn < atLsn ? null : found;
    });
    if (projected === null) return refused('overloaded');
    messages = projected.messages;
  }
  for (const m of recent) {
    messages.push({
      groupId: ask.groupId,
      seq: String(m.seq),
      sender: m.sender,
      kind: m.kind,
      body: m.body,
      at: String(m.at),
      clientMsgId: m.clientMsgId,
    });
  }
  return { status: 'ok', history: { messages, lastSeq: String(lastSeq) } };
}

/**
 * A statement is an R=1 read: it says how far it goes (design 3). Only the tables have it, so one
 * that must show a write of a moment ago waits until they do.
 */
async function ledgerAnswer(driver: Driver, ask: LedgerQuery__Output, at: Lsn): Promise<Answer> {
  if (!(await driver.projections.reaches(at))) return refused('overloaded');
  const reply = await driver.projections.ask(async (store) => {
    const page = await scanLedger(store, ask);
    return page.asOfLsn < at ? null : page;
  });
  if (reply === null) return refused('set_unavailable');
  return { status: 'ok', asOfLsn: String(reply.asOfLsn), ledger: { lines: reply.lines } };
}

type Part = { readonly asOfLsn: number; readonly part: Omit<Answer, 'status'> };

/** From tables alone, like a statement: `at` is what they must show at least. */
async function tablesAnswer(
  driver: Driver,
  at: number,
  read: (store: ReplicaStore) => Promise<Part | null>,
): Promise<Answer> {
  // A page behind another names an LSN; nobody was ever shown one that is not there.
  if (at > driver.state.lsn) return refused('bad_argument');
  if (!(await driver.projections.reaches(lsn(at)))) return refused('overloaded');
  try {
    const found = await driver.projections.ask(async (store) => {
      const one = await read(store);
      return one === null || one.asOfLsn < at ? null : one;
    });
    if (found === null) return refused('set_unavailable');
    return { status: 'ok', asOfLsn: String(found.asOfLsn), ...found.part };
  } catch (error) {
    if (error instanceof TooManyLines) return refused('overloaded');
    throw error;
  }
}

/** Entries leave memory when they are stored: also the newest are read from a replica. */
async function journalAnswer(driver: Driver, ask: JournalQuery__Output): Promise<Answer> {
  const found = await driver.projections.ask((store) => readJournal(store, ask));
  return found?.answer ?? refused('set_unavailable');
}
