import { Writer } from '../../lib/core/bytes.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { writeGrant } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { asId, setOfId } from '../../lib/core/ids.ts';
import type { Status } from '../../lib/core/status.ts';
import type { SetId } from '../../lib/core/units.ts';
import { lsn, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Event__Output } from '../../proto/gen/hongbao/Event.ts';
import type { QueryReply__Output } from '../../proto/gen/hongbao/QueryReply.ts';
import type { Ask } from '../../router/api.ts';
import type { Group, Message, World } from './access-world.ts';

/** Whenever anything happens in a {@link World}. */
export const AT = 1_790_000_000_000;
export const INVITE_MAC = new Uint8Array(16).fill(7);

/** What a Set of this world says to a question. */
export function answerOf(world: World, set: SetId, ask: Ask): Partial<QueryReply__Output> | Status {
  if (ask.wallet) {
    const balance = world.wallets.get(ask.wallet.user ?? '');
    const exists = balance !== undefined;
    return { wallet: { exists, balanceCents: String(balance ?? 0), frozen: false } };
  }
  if (ask.arriving) return { arriving: { arrivingCents: '5', transfers: 1 } };
  if (ask.ledger) {
    const line = { lsn: '3', index: 0, amountCents: '-100', reason: 'send', at: String(AT) };
    return { ledger: { lines: [{ ...line, packetId: '0' }] } };
  }
  if (ask.statement) {
    const line = { lsn: '3', index: 0, amountCents: '-100', reason: 'send', at: String(AT) };
    const lines = (ask.statement.limit ?? 0) > 0 ? [{ ...line, packetId: '0' }] : [];
    const balances = { openingCents: '500', closingCents: '400' };
    return { statement: { ...balances, throughLsn: '9', lines, more: false } };
  }
  if (ask.statistics) return { statistics: statisticsOf(world, ask.statistics.user ?? '') };
  if (ask.groupHints) {
    const mine = [...world.groups.values()].filter((group) =>
      group.members.has(ask.groupHints?.user as UserId),
    );
    const hints = mine.map(({ groupId, name }) => ({
      groupId: String(groupId),
      version: '1',
      present: true,
      name,
    }));
    return { groupHints: { hints } };
  }
  if (ask.lastSeqs) {
    const last = (ask.lastSeqs.groupIds ?? []).map((id) => ({
      groupId: String(id),
      seq: String(world.groups.get(asId(BigInt(String(id))))?.messages.length ?? 0),
    }));
    return { lastSeqs: { last } };
  }
  if (ask.membership) {
    const { user, groupIds } = ask.membership;
    const ids = (groupIds ?? []).map((id) => asId(BigInt(String(id))));
    return {
      membership: { memberships: ids.map((id) => membershipOf(world, id, user as UserId)) },
    };
  }
  if (ask.packet || ask.claims) return packetAnswer(world, ask);
  return groupAnswer(world, set, ask);
}

/** Every claim of this person as a line, on one page. */
function statisticsOf(world: World, user: string) {
  const received = [...world.packets].flatMap(([packetId, { claims }]) =>
    claims
      .filter((claim) => claim.user === user)
      .map(({ amountCents, at }, index) => ({
        lsn: '3',
        index,
        amountCents: String(amountCents),
        reason: 'claim.credit',
        packetId: String(packetId),
        at: String(at),
      })),
  );
  const sums = { sentLucky: '1', sentEqual: '2', sentExclusive: '3', sentCents: '600' };
  const more = { backCents: '7', receivedPackets: '8', receivedCents: '9' };
  return { ...sums, ...more, received, more: false, lastLsn: '3', lastLeg: 0 };
}

function membershipOf(world: World, groupId: Id, user: UserId) {
  const group = world.groups.get(groupId);
  const member = group?.members.get(user);
  const w = new Writer();
  const grant: Grant = {
    groupId,
    role: 'member',
    rights: 1,
    groupLsn: lsn(1),
    issuedAt: timeMs(AT),
    mac: new Uint8Array(16),
  };
  if (member !== undefined) writeGrant(w, grant);
  const last = group?.messages.length ?? 0;
  return {
    groupId: String(groupId),
    member: member !== undefined,
    name: group?.name ?? '',
    role: member === undefined ? '' : 'member',
    grant: Buffer.from(w.finish()),
    lastSeq: String(last),
    readSeq: String(member?.readSeq ?? 0),
    joinedSeq: String(member?.joinedSeq ?? 0),
    unread: 0,
    memberCount: group?.members.size ?? 0,
    version: String(group?.version ?? 0),
    firstSeq: '1',
  };
}

function groupAnswer(world: World, set: SetId, ask: Ask): Partial<QueryReply__Output> | Status {
  const { user, groupId } = ask.group ?? ask.invite ?? ask.history ?? {};
  const group = world.groups.get(asId(BigInt(String(groupId))));
  if (group === undefined || setOfId(group.groupId) !== set) return 'group_not_found';
  if (!group.members.has(user as UserId)) return 'not_a_member';
  if (ask.invite) {
    const expiresAt = String(AT + Number(ask.invite.lifetimeMs));
    return { invite: { inviter: user ?? '', expiresAt, mac: Buffer.from(INVITE_MAC) } };
  }
  if (ask.history) {
    const { fromSeq, toSeq, limit = 0, reverse = false } = ask.history;
    const range = group.messages.filter(
      ({ seq }) => seq >= Number(fromSeq) && seq <= Number(toSeq),
    );
    const page = reverse ? range.slice(-limit) : range.slice(0, limit);
    const messages = page.map((m) => messageOutput(group, m));
    return { history: { messages, lastSeq: String(group.messages.length) } };
  }
  const members = [...group.members].map(([member, { readSeq }]) => ({
    user: member,
    role: 'member',
    joinedAt: String(AT),
    readSeq: String(readSeq),
  }));
  const { name, owner } = group;
  return {
    group: {
      groupId: String(groupId),
      name,
      owner,
      history: 'all',
      members,
      lastSeq: String(group.messages.length),
      createdAt: String(AT),
    },
  };
}

function packetAnswer(world: World, ask: Ask): Partial<QueryReply__Output> | Status {
  const { user, packetId, grant } = ask.packet ?? ask.claims ?? {};
  const id = asId(BigInt(String(packetId)));
  const packet = world.packets.get(id);
  if (packet === undefined) return 'packet_not_found';
  const claims = packet.claims.map((c) => ({
    user: c.user,
    order: c.order,
    amountCents: String(c.amountCents),
    at: String(c.at),
  }));
  const isParty =
    packet.definition.sender === user || packet.claims.some((claim) => claim.user === user);
  const isMember = (grant?.length ?? 0) > 0;
  if (ask.claims && !isParty) return isMember ? 'not_allowed' : 'not_a_member';
  const { kind } = packet.definition;
  if (ask.claims) return { claims: { claims, best: claims[0] ?? null, kind } };
  const mine = claims.find((claim) => claim.user === user) ?? null;
  const { strategy, timing, totalCents, lifetimeMs } = packet.definition;
  const event = world.packetOutput(id, packet.phase);
  if (!isParty && !isMember) {
    // As a real Set: enough to find the group, and nothing of the packet.
    const none = { strategy: '', timing: '', count: 0, taken: 0, greeting: '', phase: '' };
    const zeros = { createdAt: '0', expiresAt: '0', endedAt: '0', totalCents: '0' };
    const more = { takenCents: '0', refundedCents: '0', mine: null, best: null };
    const { packetId: sameId, groupId, sender, kind } = event;
    const bare = { packetId: sameId, groupId, sender, kind, amountsShown: false };
    const nothing = Buffer.alloc(0);
    return {
      packet: { ...bare, ...none, ...zeros, ...more, seedHash: nothing, seed: nothing },
    };
  }
  const total = (packet.definition.totalCents - packet.restCents).toString();
  return {
    packet: {
      ...event,
      phase: packet.phase,
      strategy,
      timing,
      createdAt: String(AT),
      expiresAt: String(AT + lifetimeMs),
      endedAt: '0',
      totalCents: String(totalCents),
      amountsShown: isParty,
      takenCents: total,
      refundedCents: '0',
      mine,
      best: claims[0] ?? null,
    },
  };
}

export function messageOutput(group: Group, m: Message): NonNullable<Event__Output['message']> {
  return { ...m, groupId: String(group.groupId), seq: String(m.seq), at: String(AT) };
}
