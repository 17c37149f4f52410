import type { Posting } from '../lib/core/account.ts';
import { preSplit, shareOf } from '../lib/core/allocation.ts';
import { assert, unreachable } from '../lib/core/assert.ts';
import { toHex } from '../lib/core/bytes.ts';
import type { Command } from '../lib/core/command.ts';
import { fingerprintOf, keyOf } from '../lib/core/command.ts';
import { RIGHT_SEND_PACKET } from '../lib/core/grant.ts';
import { HmacKey } from '../lib/core/hmac.ts';
import { commandIdTime, reserveBlock, setOfId } from '../lib/core/ids.ts';
import { Draw } from '../lib/core/keystream.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Outcome } from '../lib/core/outcome.ts';
import { refuse } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';
import type { Outgoing, Transfer } from '../lib/core/transfer.ts';
import { laneOf } from '../lib/core/transfer.ts';
import type { Cents, SetId } from '../lib/core/units.ts';
import { cents } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import { slotOf } from '../lib/core/user.ts';
import type { Decision, Findings, World } from './context.ts';
import { withoutEffects } from './context.ts';
import { countsAt } from './groups.ts';
import type { Packet, SetState } from './state.ts';

type Of<Type extends Command['type']> = Extract<Command, { type: Type }>;
/** What every room decides by. */
type At = { readonly state: SetState; readonly found: Findings; readonly world: World };

const EMPTY = new Uint8Array(0);

/**
 * Decides one command against the state without changing it. The order in each room is the order
 * of precedence: shape was checked before; then routing, "have I answered this?", the world, money.
 * Deliveries are decided transfer by transfer in deliver.ts.
 */
export function decide(args: {
  state: SetState;
  command: Exclude<Command, { type: 'transfer.deliver' }>;
  found: Findings;
  world: World;
}): Decision {
  const { state, command } = args;
  const misrouted = whyNotHere(state, command);
  if (misrouted !== null) return refused(command, misrouted);
  const repeated = answerAgain(args);
  if (repeated !== null) return withoutEffects(repeated);
  switch (command.type) {
    case 'set.configure':
      return done({ outcome: { type: command.type, status: 'ok' } });
    case 'ids.reserve': {
      const block = reserveBlock({
        cursor: state.idCursor,
        ts: args.world.ts,
        set: state.setId,
        count: command.count,
      });
      const outcome = {
        type: command.type,
        status: 'ok',
        firstId: block.first,
        count: command.count,
      } as const;
      return done({ outcome });
    }
    case 'wallet.open':
      return openWallet(args, command);
    case 'packet.send':
      return sendPacket(args, command);
    case 'packet.open':
      return openPacket(args, command);
    case 'packet.expire':
      return expirePacket(args, command);
    case 'group.create':
      return createGroup(args, command);
    case 'group.join':
      return joinGroup(args, command);
    case 'group.leave':
      return leaveGroup(args, command);
    case 'message.send':
      return sendMessage(args, command);
    case 'message.read':
      return readMessages(args, command);
    case 'transfer.ack':
      return finishTransfers(args, command);
    default:
      return unreachable(command);
  }
}

function done(args: { outcome: Outcome; postings?: Posting[]; sends?: Outgoing[] }): Decision {
  const { outcome, postings = [], sends = [] } = args;
  return { outcome, postings, sends, effects: true };
}

function refused(command: Command, status: Status): Decision {
  return withoutEffects(refuse(command.type, status));
}

export function wallet(user: UserId, amountCents: number): Posting {
  return { account: { kind: 'wallet', user }, amountCents: cents(amountCents) };
}

export function clearing(peer: SetId, amountCents: number): Posting {
  return { account: { kind: 'clearing', peer }, amountCents: cents(amountCents) };
}

/** Numbers a transfer as the next of its lane to `to`. */
export function outgoing(state: SetState, args: { to: SetId; transfer: Transfer }): Outgoing {
  const lane = laneOf(args.transfer);
  return { ...args, lane, number: state.outbox.nextNumber(args.to, lane) };
}

/** C1: is this the Set that owns what the command is about? null: yes. */
function whyNotHere(state: SetState, command: Command): Status | null {
  switch (command.type) {
    case 'wallet.open':
    case 'group.create':
      return state.ownsSlot(slotOf(command.user)) ? null : 'moved';
    case 'packet.send':
      return state.ownsSlot(slotOf(command.definition.sender)) ? null : 'moved';
    case 'packet.open':
      return setOfId(command.packetId) === state.setId ? null : 'wrong_set';
    case 'group.join':
      return setOfId(command.invite.groupId) === state.setId ? null : 'wrong_set';
    case 'group.leave':
    case 'message.send':
    case 'message.read':
      return setOfId(command.groupId) === state.setId ? null : 'wrong_set';
    case 'set.configure':
    case 'ids.reserve':
    case 'packet.expire':
    case 'transfer.deliver':
    case 'transfer.ack':
      return null;
    default:
      return unreachable(command);
  }
}

/** Style 2: idempotency before the rules of the world. null: this id has not been answered. */
function answerAgain(args: {
  state: SetState;
  command: Command;
  found: Findings;
  world: World;
}): Outcome | null {
  const { command, state, found, world } = args;
  const key = keyOf(command);
  if (key === null) return null;
  if (commandIdTime(key.commandId) > world.ts + LIMITS.commandIdAheadMsMax) {
    return refuse(command.type, 'id_in_future');
  }
  const earlier =
    state.answers.get(key) ?? (found.earlier?.kind === 'answer' ? found.earlier : undefined);
  if (earlier !== undefined) {
    const same = earlier.fingerprint === toHex(fingerprintOf(command));
    return same ? earlier.outcome : refuse(command.type, 'id_reused');
  }
  return state.answers.size >= LIMITS.answersMax ? refuse(command.type, 'overloaded') : null;
}

function openWallet({ state }: At, command: Of<'wallet.open'>): Decision {
  const { type, user, welcomeCents } = command;
  const person = state.people.get(user);
  const balance = person?.balanceCents ?? 0;
  if (person?.welcomed || welcomeCents === 0) {
    return withoutEffects({ type, status: 'ok', balanceCents: cents(balance), welcomed: false });
  }
  if (welcomeCents - state.issuerCents > LIMITS.issuedCentsMax)
    return refused(command, 'issue_limit');
  return done({
    outcome: { type, status: 'ok', balanceCents: cents(balance + welcomeCents), welcomed: true },
    postings: [
      { account: { kind: 'issuer' }, amountCents: cents(-welcomeCents) },
      wallet(user, welcomeCents),
    ],
  });
}

function sendPacket({ state, found, world }: At, command: Of<'packet.send'>): Decision {
  const { definition } = command;
  const { sender, totalCents, packetId } = definition;
  const denied = membershipOf({ command, found, groupId: definition.groupId, ts: world.ts });
  if (denied !== null) return refused(command, denied);
  if (((command.grant?.rights ?? 0) & RIGHT_SEND_PACKET) === 0)
    return refused(command, 'not_allowed');
  const balance = state.people.get(sender)?.balanceCents ?? 0;
  if (balance < totalCents) {
    // Sealed like a success: the sender was told no, and a late duplicate must not spend (M9).
    return done({ outcome: refuse(command.type, 'insufficient_funds') });
  }
  const home = setOfId(packetId);
  return done({
    outcome: { type: command.type, status: 'ok', packetId },
    postings: [wallet(sender, -totalCents), clearing(home, totalCents)],
    sends: [
      outgoing(state, {
        to: home,
        transfer: { kind: 'packet.create', definition, sentAt: world.ts },
      }),
    ],
  });
}

/** Does the grant in the command make its user a member of this group? */
function membershipOf(args: {
  command: Of<'packet.send'> | Of<'packet.open'>;
  found: Findings;
  groupId: bigint;
  ts: number;
}): Status | null {
  switch (args.found.grant) {
    case 'absent':
      return 'not_a_member';
    case 'invalid':
      return 'grant_invalid';
    case 'expired':
      return 'grant_expired';
    case 'valid': {
      const { grant } = args.command;
      if (grant?.groupId !== args.groupId) return 'grant_invalid';
      // Measured at the entry's own time, not when the command came (M6).
      return args.ts - grant.issuedAt > LIMITS.grantAgeMsMax ? 'grant_expired' : null;
    }
    default:
      return unreachable(args.found.grant);
  }
}

/** Shape → already opened → membership → phase → share → claim (design 4). */
function openPacket({ state, found, world }: At, command: Of<'packet.open'>): Decision {
  const { type, packetId, user } = command;
  const packet = state.packets.get(packetId);
  if (packet === undefined) return openForgotten({ command, found, ts: world.ts });
  const earlier = packet.claims.get(user);
  if (earlier !== undefined) {
    const { amountCents, order, at } = earlier;
    const left = packet.definition.count - packet.claims.size;
    const status = 'already_opened';
    return withoutEffects({ type, status, amountCents, order, left, at, seed: EMPTY });
  }
  const { definition } = packet;
  const denied = membershipOf({ command, found, groupId: definition.groupId, ts: world.ts });
  if (denied !== null) return refused(command, denied);
  if (definition.kind === 'exclusive' && !definition.receivers.includes(user)) {
    return refused(command, 'not_allowed');
  }
  if (packet.end?.kind === 'drained') return refused(command, 'packet_drained');
  if (packet.end !== null || world.ts >= packet.expiresAt)
    return refused(command, 'packet_expired');

  const order = packet.claims.size + 1;
  const left = definition.count - packet.claims.size;
  const amountCents = drawShare({ packet, order, left, world });
  const home = world.homeOf(user);
  const transfer = {
    kind: 'claim.credit',
    packetId,
    groupId: definition.groupId,
    user,
    amountCents,
  } as const;
  const seed = left === 1 ? seedOf(packet, world) : EMPTY;
  return done({
    outcome: { type, status: 'ok', amountCents, order, left: left - 1, at: world.ts, seed },
    postings: [
      { account: { kind: 'packet', packetId }, amountCents: cents(-amountCents) },
      clearing(home, amountCents),
    ],
    sends: [outgoing(state, { to: home, transfer })],
  });
}

/** A packet that ended and left memory, or never was. */
function openForgotten(args: {
  command: Of<'packet.open'>;
  found: Findings;
  ts: number;
}): Decision {
  const { command, found } = args;
  const { earlier } = found;
  if (earlier?.kind === 'claim') {
    const { amountCents, order, at } = earlier;
    const { type } = command;
    const status = 'already_opened';
    return withoutEffects({ type, status, amountCents, order, left: 0, at, seed: EMPTY });
  }
  if (earlier?.kind !== 'ended') return refused(command, 'packet_not_found');
  const denied = membershipOf({ ...args, groupId: earlier.groupId });
  if (denied !== null) return refused(command, denied);
  return refused(command, earlier.phase === 'drained' ? 'packet_drained' : 'packet_expired');
}

function seedOf(packet: Packet, world: World): Uint8Array {
  packet.seed ??= world.openSeed({
    sealed: packet.sealedSeed,
    packetId: packet.definition.packetId,
  });
  return packet.seed;
}

function drawShare(args: { packet: Packet; order: number; left: number; world: World }): Cents {
  const { packet, order, left, world } = args;
  const { strategy, timing, totalCents, count } = packet.definition;
  const seed = seedOf(packet, world);
  if (timing === 'pre_split') {
    packet.shares ??= preSplit({ strategy, total: totalCents, count, seed });
    const share = packet.shares[order - 1];
    assert(share !== undefined, 'a pre-split packet has a share for everyone');
    return share;
  }
  packet.seedKey ??= new HmacKey(seed);
  const draw = new Draw(packet.seedKey, order);
  const share = shareOf({ strategy, remaining: cents(packet.restCents), left, draw });
  assert(share >= 1 && share <= packet.restCents, 'M4: each share is at least a cent and there');
  return share;
}

function expirePacket({ state, world }: At, command: Of<'packet.expire'>): Decision {
  const { type, packetId } = command;
  const packet = state.packets.get(packetId);
  if (packet === undefined) return refused(command, 'packet_not_found');
  if (packet.end !== null) {
    return refused(command, packet.end.kind === 'drained' ? 'packet_drained' : 'packet_expired');
  }
  if (world.ts < packet.expiresAt) return refused(command, 'packet_not_due');
  const { sender, groupId } = packet.definition;
  const rest = cents(packet.restCents);
  assert(rest > 0, 'a live packet has money left');
  const home = world.homeOf(sender);
  const transfer = {
    kind: 'packet.refund',
    packetId,
    groupId,
    user: sender,
    amountCents: rest,
  } as const;
  return done({
    outcome: { type, status: 'ok', refundCents: rest, seed: seedOf(packet, world) },
    postings: [
      { account: { kind: 'packet', packetId }, amountCents: cents(-rest) },
      clearing(home, rest),
    ],
    sends: [outgoing(state, { to: home, transfer })],
  });
}

function createGroup({ state }: At, command: Of<'group.create'>): Decision {
  const { type, user, groupId, name, history } = command;
  const hints = state.people.get(user)?.hints.size ?? 0;
  if (hints >= LIMITS.userGroupsMax) return refused(command, 'too_many_groups');
  const transfer = { kind: 'group.found', groupId, owner: user, name, history } as const;
  return done({
    outcome: { type, status: 'ok', groupId },
    sends: [outgoing(state, { to: setOfId(groupId), transfer })],
  });
}

function joinGroup({ state, found, world }: At, command: Of<'group.join'>): Decision {
  const { type, user, invite } = command;
  const group = state.groups.get(invite.groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member !== undefined) {
    const { role, joinedSeq } = member;
    return withoutEffects({
      type,
      status: 'ok',
      role,
      version: group.version,
      joinedSeq,
      seq: group.seq,
    });
  }
  if (found.invite !== 'valid') return refused(command, 'invite_invalid');
  if (world.ts >= invite.expiresAt) return refused(command, 'invite_expired');
  if (group.members.size >= LIMITS.groupMembersMax) return refused(command, 'group_full');
  const version = group.version + 1;
  const { groupId, name } = group;
  const transfer = { kind: 'member.hint', groupId, user, version, present: true, name } as const;
  return done({
    outcome: {
      type,
      status: 'ok',
      role: 'member',
      version,
      joinedSeq: group.seq,
      seq: group.seq + 1,
    },
    sends: [outgoing(state, { to: world.homeOf(user), transfer })],
  });
}

function leaveGroup({ state, world }: At, command: Of<'group.leave'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member === undefined) return refused(command, 'not_a_member');
  // An owner hands the group over first; only the last one may turn off the light.
  if (member.role === 'owner' && group.members.size > 1) return refused(command, 'not_allowed');
  const version = group.version + 1;
  const transfer = {
    kind: 'member.hint',
    groupId,
    user,
    version,
    present: false,
    name: group.name,
  } as const;
  return done({
    outcome: { type, status: 'ok', version, seq: group.seq + 1 },
    sends: [outgoing(state, { to: world.homeOf(user), transfer })],
  });
}

function sendMessage({ state, world }: At, command: Of<'message.send'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  if (!group.members.has(user)) return refused(command, 'not_a_member');
  return done({ outcome: { type, status: 'ok', seq: group.seq + 1, at: world.ts } });
}

function readMessages({ state }: At, command: Of<'message.read'>): Decision {
  const { type, user, groupId } = command;
  const group = state.groups.get(groupId);
  if (group === undefined) return refused(command, 'group_not_found');
  const member = group.members.get(user);
  if (member === undefined) return refused(command, 'not_a_member');
  const seq = Math.min(command.seq, group.seq);
  const unchanged = seq <= member.readSeq;
  const { readCount, ownAfter } = unchanged ? member : countsAt(group, { seq, user, member });
  const unread = Math.min(group.counting - readCount - ownAfter, LIMITS.unreadShownMax);
  const outcome = {
    type,
    status: 'ok',
    seq: Math.max(seq, member.readSeq),
    readCount,
    ownAfter,
    unread,
  } as const;
  return unchanged ? withoutEffects(outcome) : done({ outcome });
}

/** Receipts: rows below `upTo` are done; money of a tombstoned one goes back to who sent it. */
function finishTransfers({ state }: At, command: Of<'transfer.ack'>): Decision {
  const { type, to, lane, upTo } = command;
  if (upTo >= state.outbox.nextNumber(to, lane)) return refused(command, 'bad_argument');
  const { first, transfers } = state.outbox.peek({ to, lane, upTo });
  if (transfers.length === 0) return withoutEffects({ type, status: 'ok', upTo });
  const postings: Posting[] = [];
  for (const number of new Set(command.tombstones.map((tombstone) => tombstone.number))) {
    const transfer = transfers[number - first];
    if (transfer?.kind !== 'packet.create') continue;
    const { sender, totalCents } = transfer.definition;
    postings.push(clearing(to, -totalCents), wallet(sender, totalCents));
  }
  return done({ outcome: { type, status: 'ok', upTo }, postings });
}
