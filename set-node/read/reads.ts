import { DecodeError, Reader, Writer } from '../../lib/core/bytes.ts';
import type { Grant } from '../../lib/core/grant.ts';
import {
  RIGHT_SEND_PACKET,
  grantMac,
  inviteMac,
  readGrant,
  writeGrant,
} from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { parseId, setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { writeTransfer } from '../../lib/core/transfer.ts';
import type { SetId, TimeMs } from '../../lib/core/units.ts';
import { timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId, slotOf } from '../../lib/core/user.ts';
import type { GroupQuery__Output } from '../../proto/gen/hongbao/GroupQuery.ts';
import type { InviteQuery__Output } from '../../proto/gen/hongbao/InviteQuery.ts';
import type { Membership } from '../../proto/gen/hongbao/Membership.ts';
import type { MembershipQuery__Output } from '../../proto/gen/hongbao/MembershipQuery.ts';
import type { OutboxEntry } from '../../proto/gen/hongbao/OutboxEntry.ts';
import type { OutboxQuery__Output } from '../../proto/gen/hongbao/OutboxQuery.ts';
import type { OutboxRun } from '../../proto/gen/hongbao/OutboxRun.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import type { QueryReply } from '../../proto/gen/hongbao/QueryReply.ts';
import type { Seals } from '../machine/findings.ts';
import type { Group, Member } from '../machine/groups.ts';
import { firstSeqOf, unreadOf } from '../machine/groups.ts';
import type { Lane } from '../machine/outbox.ts';
import type { SetState } from '../machine/state.ts';
import { paymentsOf } from './payments.ts';
import { lanesOf } from './journal.ts';

/** An answer without its tag; the caller holds it until what it shows is committed (P7). */
export type Answer = Omit<QueryReply, 'tag'>;

export type ReadArgs = {
  readonly state: SetState;
  readonly seals: Seals;
  readonly query: Query__Output;
  /** Log time: grants are dated by it. */
  readonly now: TimeMs;
};

export function refused(status: Status): Answer {
  return { status };
}

/** Ids and users in queries come from access nodes, which checked them: anything else is malformed. */
export function needId(text: string): Id {
  const id = parseId(text);
  if (id === null) throw new DecodeError('not an id');
  return id;
}

export function needUser(text: string): UserId {
  const user = parseUserId(text);
  if (user === null) throw new DecodeError('not a user id');
  return user;
}

export function needGrant(bytes: Uint8Array): Grant | null {
  if (bytes.length === 0) return null;
  const r = new Reader(bytes);
  const grant = readGrant(r);
  r.end();
  return grant;
}

/** Answers what the owner's memory alone can tell; null for lists and packets. Throws DecodeError. */
export function readMemory(args: ReadArgs): Answer | null {
  const { state, query } = args;
  if (query.wallet) {
    const user = needUser(query.wallet.user);
    if (!state.ownsSlot(slotOf(user))) return refused('moved');
    const person = state.people.get(user);
    const balanceCents = String(person?.balanceCents ?? 0);
    const { frozen = false } = person ?? {};
    return { status: 'ok', wallet: { exists: person !== undefined, balanceCents, frozen } };
  }
  if (query.arriving) {
    const arrivingCents = String(state.outbox.arriving(needUser(query.arriving.user)));
    return { status: 'ok', arriving: { arrivingCents } };
  }
  if (query.groupHints) return hintsOf(state, needUser(query.groupHints.user));
  if (query.membership) return memberships(args, query.membership);
  if (query.group) return groupOf(state, query.group);
  if (query.invite) return inviteOf(args, query.invite);
  if (query.lastSeqs) {
    const last = query.lastSeqs.groupIds.map((groupId) => ({
      groupId,
      seq: String(state.groups.get(needId(groupId))?.seq ?? 0),
    }));
    return { status: 'ok', lastSeqs: { last } };
  }
  if (query.outbox) return outboxOf(state, query.outbox);
  if (query.money) return moneyOf(state);
  if (query.payments) {
    const after = needId(query.payments.after);
    const payments = paymentsOf(state, { ...query.payments, after });
    return payments === null ? refused('bad_argument') : { status: 'ok', payments };
  }
  if (query.lanes) return lanesOf(state);
  return null;
}

function hintsOf(state: SetState, user: UserId): Answer {
  if (!state.ownsSlot(slotOf(user))) return refused('moved');
  const known = state.people.get(user)?.hints ?? new Map();
  const hints = [...known].map(([groupId, { version, present, name }]) => ({
    groupId: String(groupId),
    version: String(version),
    present,
    name,
  }));
  return { status: 'ok', groupHints: { hints } };
}

function memberships(args: ReadArgs, ask: MembershipQuery__Output): Answer {
  const user = needUser(ask.user);
  const list = ask.groupIds.map((text): Membership => {
    const group = args.state.groups.get(needId(text));
    const member = group?.members.get(user);
    if (group === undefined || member === undefined) return { groupId: text, member: false };
    return membershipOf(args, { group, member, user });
  });
  return { status: 'ok', membership: { memberships: list } };
}

function membershipOf(
  { state, seals, now }: ReadArgs,
  of: { group: Group; member: Member; user: UserId },
): Membership {
  const { group, member, user } = of;
  const { groupId, name, seq } = group;
  const body = {
    groupId,
    role: member.role,
    rights: RIGHT_SEND_PACKET,
    groupLsn: state.lsn,
    issuedAt: now,
  };
  const w = new Writer(64);
  writeGrant(w, { ...body, mac: grantMac(seals.keyOf(setOfId(groupId)), user, body) });
  return {
    groupId: String(groupId),
    member: true,
    name,
    role: member.role,
    grant: Buffer.from(w.finish()),
    lastSeq: String(seq),
    readSeq: String(member.readSeq),
    joinedSeq: String(member.joinedSeq),
    unread: unreadOf(group, member),
    memberCount: group.members.size,
    version: String(group.version),
    firstSeq: String(firstSeqOf(group, member)),
  };
}

function groupOf(state: SetState, ask: GroupQuery__Output): Answer {
  const group = state.groups.get(needId(ask.groupId));
  if (group === undefined) return refused('group_not_found');
  if (!group.members.has(needUser(ask.user))) return refused('not_a_member');
  const members = [...group.members].map(([user, { role, joinedAt, readSeq }]) => ({
    user,
    role,
    joinedAt: String(joinedAt),
    readSeq: String(readSeq),
  }));
  const { name, owner, history } = group;
  return {
    status: 'ok',
    group: {
      groupId: ask.groupId,
      name,
      owner,
      history,
      lastSeq: String(group.seq),
      createdAt: String(group.createdAt),
      members,
    },
  };
}

function inviteOf({ state, seals, now }: ReadArgs, ask: InviteQuery__Output): Answer {
  const groupId = needId(ask.groupId);
  const inviter = needUser(ask.user);
  const group = state.groups.get(groupId);
  if (group === undefined) return refused('group_not_found');
  if (!group.members.has(inviter)) return refused('not_a_member');
  const lifetimeMs = Math.min(Number(ask.lifetimeMs), LIMITS.inviteLifetimeMs);
  const expiresAt = timeMs(now + lifetimeMs);
  const mac = inviteMac(seals.keyOf(setOfId(groupId)), { groupId, inviter, expiresAt });
  return {
    status: 'ok',
    invite: { inviter, expiresAt: String(expiresAt), mac: Buffer.from(mac) },
  };
}

/** Committed outbox entries above the caller's cursors, oldest first in each lane. */
function outboxOf(state: SetState, ask: OutboxQuery__Output): Answer {
  const after = new Map(
    ask.cursors.map((cursor) => [cursor.to * 256 + cursor.lane, Number(cursor.after)]),
  );
  const limit = Math.min(ask.limit, LIMITS.transferWindowMax);
  const skipOf = ({ to, lane, first }: Lane): number =>
    Math.max(0, (after.get(to * 256 + lane) ?? 0) - first + 1);
  const lanes = [...state.outbox.lanes()].filter((lane) => lane.pending.length > skipOf(lane));
  // Every lane gets its part: one that nobody empties must not stand before the others, nor take a
  // part while the caller has all that it holds.
  const part = Math.ceil(limit / Math.max(1, lanes.length));
  const found = lanes.map((of): Run => {
    const skip = skipOf(of);
    const { to, lane, first, pending } = of;
    return { to, lane, first: first + skip, transfers: pending.slice(skip, skip + part) };
  });
  if (ask.packed) return { status: 'ok', outbox: { runs: found.map(packedRun) } };
  return { status: 'ok', outbox: { entries: found.flatMap(entriesOf) } };
}

type Run = {
  readonly to: SetId;
  readonly lane: number;
  readonly first: number;
  readonly transfers: readonly Transfer[];
};

function packedRun({ to, lane, first, transfers }: Run): OutboxRun {
  const w = new Writer(transfers.length * 64);
  for (const transfer of transfers) {
    const at = w.openLength();
    writeTransfer(w, transfer);
    w.patchLength(at);
  }
  const bytes = w.view();
  return {
    to,
    lane,
    first: String(first),
    transfers: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
  };
}

/** For couriers of a build before runs. */
function entriesOf({ to, lane, first, transfers }: Run): OutboxEntry[] {
  return transfers.map((transfer, index) => {
    const w = new Writer(128);
    writeTransfer(w, transfer);
    const number = String(first + index);
    return { to, lane, number, transfer: Buffer.from(w.finish()) };
  });
}

function moneyOf(state: SetState): Answer {
  let livePackets = 0;
  for (const { end } of state.packets.values()) if (end === null) livePackets += 1;
  return {
    status: 'ok',
    money: {
      lsn: String(state.lsn),
      walletsCents: String(state.walletsCents),
      packetsCents: String(state.packetsCents),
      clearingCents: String(state.clearingCents),
      issuerCents: String(state.issuerCents),
      pendingCents: String(state.outbox.pendingCents),
      livePackets,
      wallets: state.people.size,
      pendingTransfers: state.outbox.pendingCount,
      gatewayCents: String(state.gatewayCents),
      pendingPayments: state.payments.pendingCount,
    },
  };
}
