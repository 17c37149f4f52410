import { bestLuckOf } from '../../lib/core/allocation.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import type { Id } from '../../lib/core/ids.ts';
import { setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { ReplicaStore, Row } from '../../lib/port/replica-store.ts';
import type { Claim as WireClaim } from '../../proto/gen/hongbao/Claim.ts';
import type { ClaimsQuery__Output } from '../../proto/gen/hongbao/ClaimsQuery.ts';
import type { HistoryQuery__Output } from '../../proto/gen/hongbao/HistoryQuery.ts';
import type { LedgerQuery__Output } from '../../proto/gen/hongbao/LedgerQuery.ts';
import type { Message as WireMessage } from '../../proto/gen/hongbao/Message.ts';
import type { PacketQuery__Output } from '../../proto/gen/hongbao/PacketQuery.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { Driver } from '../lead/driver.ts';
import { firstSeqOf } from '../machine/groups.ts';
import type { Answer } from './reads.ts';
import { needGrant, needId, needUser, refused } from './reads.ts';
import type { Packet } from '../machine/state.ts';

/** Answers packets, claims, history and statements from memory or, for what left it, a projection. */
export async function readLists(driver: Driver, query: Query__Output): Promise<Answer> {
  if (query.packet) return packetAnswer(driver, query.packet);
  if (query.claims) return claimsAnswer(driver, query.claims);
  if (query.history) return historyAnswer(driver, query.history);
  if (query.ledger) return ledgerAnswer(driver, query.ledger);
  return refused('malformed');
}

/** A packet wherever it is now: the same view from memory and from the tables. */
type View = {
  readonly packetId: Id;
  readonly groupId: Id;
  readonly sender: string;
  readonly kind: string;
  readonly strategy: string;
  readonly timing: string;
  readonly totalCents: number;
  readonly count: number;
  readonly greeting: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly phase: string;
  readonly endedAt: number;
  readonly refundCents: number;
  readonly seedHash: Uint8Array;
  readonly seed: Uint8Array;
  readonly claims: readonly { user: string; order: number; amountCents: number; at: number }[];
};

const NO_SEED = new Uint8Array(0);

function viewOf(packet: Packet): View {
  const { definition, end } = packet;
  return {
    ...definition,
    createdAt: packet.createdAt,
    expiresAt: packet.expiresAt,
    phase: end?.kind ?? 'live',
    endedAt: end?.at ?? 0,
    refundCents: end?.refundCents ?? 0,
    seedHash: unpackBytes(packet.seedHash),
    seed: end?.seed ?? NO_SEED,
    claims: [...packet.claims].map(([user, claim]) => ({ user, ...claim })),
  };
}

async function projectedView(
  store: ReplicaStore,
  packetId: Id,
  atLsn: number,
): Promise<View | 'none' | null> {
  const [packets, claims] = await Promise.all([
    store.scan({ table: 'red_packet', prefix: [packetId], limit: 1 }),
    store.scan({
      table: 'red_packet_record',
      prefix: [packetId],
      limit: LIMITS.packetCountMax,
    }),
  ]);
  if (packets.asOfLsn < atLsn || claims.asOfLsn < atLsn) return null;
  const row = packets.rows[0];
  if (row === undefined) return 'none';
  const [
    ,
    groupId,
    sender,
    kind,
    strategy,
    timing,
    totalCents,
    count,
    greeting,
    createdAt,
    expiresAt,
    phase,
    ,
    ,
    refundCents,
    endedAt,
    seedHash,
    seed,
  ] = row as [
    Id,
    Id,
    string,
    string,
    string,
    string,
    number,
    number,
    string,
    number,
    number,
    string,
    number,
    number,
    number,
    number,
    Uint8Array,
    Uint8Array,
  ];
  return {
    packetId,
    groupId,
    sender,
    kind,
    strategy,
    timing,
    totalCents,
    count,
    greeting,
    createdAt,
    expiresAt,
    phase,
    endedAt,
    refundCents,
    seedHash,
    seed,
    claims: claims.rows.map((claim) => claimOf(claim)),
  };
}

function claimOf(row: Row): View['claims'][number] {
  const [, order, user, amountCents, at] = row as [Id, number, string, number, number];
  return { user, order, amountCents, at };
}

async function findView(driver: Driver, packetId: Id): Promise<View | null> {
  const live = driver.state.packets.get(packetId);
  if (live !== undefined) return viewOf(live);
  if (setOfId(packetId) !== driver.state.setId) return null;
  const found = await driver.projections.ask((store, atLsn) =>
    projectedView(store, packetId, atLsn),
  );
  return found === 'none' ? null : found;
}

/** Who may see the packet, and its amounts: before one has opened, nobody but the sender (design 10). */
function rightsOf(args: { driver: Driver; view: View; user: UserId; grant: Uint8Array }): {
  member: boolean;
  amounts: boolean;
} {
  const { driver, view, user } = args;
  const opened = view.claims.some((claim) => claim.user === user);
  const party = opened || view.sender === user;
  const grant = needGrant(args.grant);
  const member = grant?.groupId === view.groupId && driver.seals.vouches({ user, grant });
  return { member: party || member, amounts: party || (member && view.phase !== 'live') };
}

const wire = (claim: View['claims'][number]): WireClaim => ({
  user: claim.user,
  order: claim.order,
  amountCents: String(claim.amountCents),
  at: String(claim.at),
});

function bestOf(view: View): WireClaim | null {
  if (view.phase === 'live') return null;
  const best = view.claims[bestLuckOf(view.claims.map((claim) => claim.amountCents))];
  return best === undefined ? null : wire(best);
}

async function packetAnswer(driver: Driver, ask: PacketQuery__Output): Promise<Answer> {
  const user = needUser(ask.user);
  const view = await findView(driver, needId(ask.packetId));
  if (view === null) return refused('packet_not_found');
  const { packetId, groupId, sender, kind } = view;
  const { member, amounts } = rightsOf({ driver, view, user, grant: ask.grant });
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
      mine: mine === undefined ? null : wire(mine),
      best: amounts ? bestOf(view) : null,
    },
  };
}

async function claimsAnswer(driver: Driver, ask: ClaimsQuery__Output): Promise<Answer> {
  const user = needUser(ask.user);
  const view = await findView(driver, needId(ask.packetId));
  if (view === null) return refused('packet_not_found');
  const { member, amounts } = rightsOf({ driver, view, user, grant: ask.grant });
  if (!member) return refused('not_a_member');
  if (!amounts) return refused('not_allowed');
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  const claims = view.claims
    .filter(({ order }) => order > ask.afterOrder)
    .slice(0, limit)
    .map(wire);
  return { status: 'ok', claims: { claims, best: bestOf(view) } };
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
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  if (fromSeq > toSeq || limit === 0) {
    return { status: 'ok', history: { messages: [], lastSeq: String(lastSeq) } };
  }
  // The page by seq is known before anything is read: seq is contiguous.
  const first = ask.reverse ? Math.max(fromSeq, toSeq - limit + 1) : fromSeq;
  const last = ask.reverse ? toSeq : Math.min(toSeq, fromSeq + limit - 1);
  // The tail is taken before the tables: what it forgets meanwhile is in them (rulings 16).
  const recent = driver.tail.range({ groupId, fromSeq: first, toSeq: last });
  const recentFrom = recent[0]?.seq ?? last + 1;
  let messages: WireMessage[] = [];
  if (recentFrom > first) {
    const projected = await driver.projections.ask(async (store, atLsn) => {
      const reply = await store.scan({
        table: 'message',
        prefix: [groupId],
        from: first,
        to: recentFrom - 1,
        limit,
      });
      return reply.asOfLsn < atLsn ? null : reply.rows;
    });
    if (projected === null || projected.length !== recentFrom - first) return refused('overloaded');
    messages = projected.map(messageOf);
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

function messageOf(row: Row): WireMessage {
  const [groupId, seq, sender, kind, body, at, clientMsgId] = row as [
    Id,
    number,
    string,
    string,
    string,
    number,
    string,
  ];
  return {
    groupId: String(groupId),
    seq: String(seq),
    sender,
    kind,
    body,
    at: String(at),
    clientMsgId,
  };
}

/** A statement is an R=1 read: it says how far it goes (design 3). */
async function ledgerAnswer(driver: Driver, ask: LedgerQuery__Output): Promise<Answer> {
  const owner = needUser(ask.user);
  const before = Number(ask.beforeLsn);
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  const reply = await driver.projections.ask((store) =>
    store.scan({
      table: 'ledger_entry',
      prefix: [owner],
      reverse: true,
      limit,
      ...(before > 0 ? { to: before - 1 } : {}),
    }),
  );
  if (reply === null) return refused('set_unavailable');
  const lines = reply.rows.map((row) => {
    const [, lsn, leg, amountCents, reason, packetId, at] = row as [
      string,
      number,
      number,
      number,
      string,
      Id,
      number,
    ];
    return {
      lsn: String(lsn),
      index: leg,
      amountCents: String(amountCents),
      reason,
      packetId: String(packetId),
      at: String(at),
    };
  });
  return { status: 'ok', asOfLsn: String(reply.asOfLsn), ledger: { lines } };
}
