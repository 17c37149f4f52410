import { assert, unreachable } from '../../lib/core/assert.ts';
import { packBytes, toHex } from '../../lib/core/bytes.ts';
import type { ClaimOp } from '../../lib/core/claim-op.ts';
import type { Command } from '../../lib/core/command.ts';
import { fingerprintOf, keyOf } from '../../lib/core/command.ts';
import { isPaymentCommand } from '../../lib/core/payment.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome, Receipt, Success } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import type { Lsn, SetId, TimeMs } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { applyPayment, tallySend } from './apply-payment.ts';
import { appendMessage, countsAt } from './groups.ts';
import type { Packet, SetState } from './state.ts';

/** Where in the log an op stands. */
export type Place = { readonly lsn: Lsn; readonly ts: TimeMs };

type Applied<Type extends Command['type']> = {
  state: SetState;
  command: Extract<Command, { type: Type }>;
  outcome: Extract<Success, { type: Type }>;
  place: Place;
};

/**
 * Applies a recorded outcome to the state, before its postings: the same code for a leader that
 * has just decided and for a replay. Checks invariants, recomputes nothing (rulings 8).
 */
export function applyOutcome(args: {
  state: SetState;
  command: Command;
  outcome: Outcome;
  place: Place;
}): void {
  const { state, command, outcome, place } = args;
  const key = keyOf(command);
  if (key !== null) {
    const fingerprint = toHex(fingerprintOf(command));
    state.answers.add({ key, fingerprint, outcome, ts: place.ts, lsn: place.lsn });
  }
  if (!succeeded(outcome)) return;
  assert(outcome.type === command.type, 'an outcome answers its command');
  applySuccess({ state, command, outcome, place });
}

function applySuccess(args: {
  state: SetState;
  command: Command;
  outcome: Success;
  place: Place;
}): void {
  const { state, command, place } = args;
  if (isPaymentCommand(command)) return applyPayment({ ...args, command });
  // The pair of types was asserted above; each case narrows both.
  const outcome = args.outcome as never;
  switch (command.type) {
    case 'set.configure': {
      const { clusterId, replicas, quorum, rules, slots } = command;
      assert(rules >= state.rules, 'rules are never lowered');
      state.config = { clusterId, replicas, quorum, rules, slots };
      return;
    }
    case 'ids.reserve':
      return state.reserveIds(outcome);
    case 'wallet.open':
      state.person(command.user).welcomed = true;
      return;
    case 'packet.send':
      return tallySend({ state, definition: command.definition, ts: place.ts });
    case 'group.create':
      return;
    case 'packet.open':
      applyClaim({
        state,
        packetId: command.packetId,
        user: command.user,
        share: outcome,
        place,
      });
      return;
    case 'packet.expire':
      return expire({ state, command, outcome, place });
    case 'group.join':
      return join({ state, command, outcome, place });
    case 'group.leave':
      return leave({ state, command, outcome, place });
    case 'message.send':
      return append({ state, command, outcome, place });
    case 'message.read': {
      const { seq, readCount, ownAfter }: Applied<'message.read'>['outcome'] = outcome;
      const member = state.groups.get(command.groupId)?.members.get(command.user);
      assert(member !== undefined, 'a cursor belongs to a member');
      Object.assign(member, { readSeq: seq, readCount, ownAfter });
      return;
    }
    case 'transfer.ack':
      state.outbox.finish({ to: command.to, lane: command.lane, upTo: command.upTo });
      return;
    case 'transfer.deliver':
      assert(false, 'deliveries are applied transfer by transfer');
      return;
    default:
      unreachable(command);
  }
}

/** A won open as its op says it: the leader's own, or one of a journal. Returns its packet. */
export function applyClaim(args: {
  state: SetState;
  packetId: Id;
  user: UserId;
  share: Pick<ClaimOp, 'amountCents' | 'order' | 'left' | 'at' | 'seed'>;
  place: Place;
}): Packet {
  const { state, packetId, user, share, place } = args;
  const { amountCents, order, left, at, seed } = share;
  const packet = state.packets.get(packetId);
  assert(packet !== undefined && packet.end === null, 'a claim is made on a live packet');
  const { definition, claims } = packet;
  assert(left === definition.count - order, 'M4: what is left follows');
  assert(amountCents >= LIMITS.shareCentsMin, 'M4: at least one cent');
  const rest = packet.restCents - amountCents;
  assert(rest >= left * LIMITS.shareCentsMin, 'M4: a cent stays for everyone to come');
  assert(left > 0 || rest === 0, 'M4: the last takes all');
  claims.set(user, { order, amountCents, at });
  // One who had a share would not have made it larger.
  assert(claims.size === order, 'M5: one share a person, orders are 1..k without gaps');
  if (left > 0) return packet;
  assert(seed.length === 32, 'the end reveals the seed');
  packet.end = { kind: 'drained', at: place.ts, lsn: place.lsn, refundCents: cents(0), seed };
  forgetSecrets(packet);
  return packet;
}

function expire({ state, command, outcome, place }: Applied<'packet.expire'>): void {
  const packet = state.packets.get(command.packetId);
  assert(packet !== undefined && packet.end === null, 'M7: a packet ends once');
  assert(outcome.refundCents === packet.restCents, 'M4: the refund is all of the rest');
  assert(place.ts >= packet.expiresAt, 'log time decides expiry');
  packet.end = {
    kind: 'refunded',
    at: place.ts,
    lsn: place.lsn,
    refundCents: outcome.refundCents,
    seed: outcome.seed,
  };
  forgetSecrets(packet);
}

function forgetSecrets(packet: Packet): void {
  packet.seed = null;
  packet.seedKey = null;
  packet.shares = null;
}

function join({ state, command, outcome, place }: Applied<'group.join'>): void {
  const group = state.groups.get(command.invite.groupId);
  assert(group !== undefined && !group.members.has(command.user), 'one joins a group once');
  assert(outcome.version === group.version + 1, 'member versions have no gaps');
  group.version = outcome.version;
  assert(outcome.joinedSeq === group.seq, 'a join stands after the last message');
  group.members.set(command.user, {
    role: outcome.role,
    joinedAt: place.ts,
    joinedSeq: group.seq,
    readSeq: group.seq,
    readCount: group.counting,
    ownAfter: 0,
  });
  const seq = appendMessage(group, { sender: command.user, counts: false });
  assert(seq === outcome.seq, 'seq is contiguous');
}

function leave({ state, command, outcome }: Applied<'group.leave'>): void {
  const group = state.groups.get(command.groupId);
  assert(group !== undefined, 'one leaves a group that is there');
  assert(outcome.version === group.version + 1, 'member versions have no gaps');
  group.version = outcome.version;
  assert(group.members.delete(command.user), 'one leaves a group once');
  const seq = appendMessage(group, { sender: command.user, counts: false });
  assert(seq === outcome.seq, 'seq is contiguous');
}

function append({ state, command, outcome }: Applied<'message.send'>): void {
  const group = state.groups.get(command.groupId);
  const member = group?.members.get(command.user);
  assert(group !== undefined && member !== undefined, 'members write');
  const seen = Math.min(command.seenSeq, group.seq);
  if (seen > member.readSeq) {
    Object.assign(member, countsAt(group, { seq: seen, user: command.user, member }), {
      readSeq: seen,
    });
  }
  const seq = appendMessage(group, { sender: command.user, counts: true });
  assert(seq === outcome.seq, 'seq is contiguous');
}

/** Applies one transfer of a delivery as its receipt says, before its postings. */
export function applyTransfer(args: {
  state: SetState;
  from: SetId;
  lane: number;
  number: number;
  transfer: Transfer;
  receipt: Receipt;
  place: Place;
}): void {
  const { state, transfer, receipt, place } = args;
  if (receipt.kind === 'duplicate') return;
  const known = state.inbox.has(args);
  if (receipt.kind === 'tombstone') {
    if (!known) state.inbox.record({ ...args, refused: receipt.reason });
    return;
  }
  state.inbox.record({ ...args, refused: null });
  if (receipt.kind === 'stale') return;
  switch (transfer.kind) {
    case 'packet.create': {
      assert(receipt.kind === 'live', 'a created packet has a sealed seed');
      const { definition } = transfer;
      assert(!state.packets.has(definition.packetId), 'a packet is created once');
      state.packets.set(definition.packetId, {
        definition,
        sealedSeed: packBytes(receipt.sealedSeed),
        seedHash: packBytes(receipt.seedHash),
        createdAt: place.ts,
        expiresAt: timeMs(place.ts + definition.lifetimeMs),
        restCents: 0,
        claims: new Map(),
        end: null,
        seed: null,
        seedKey: null,
        shares: null,
      });
      return;
    }
    case 'packet.announce': {
      const group = state.groups.get(transfer.groupId);
      assert(group !== undefined && receipt.kind === 'message', 'an announcement has its group');
      const seq = appendMessage(group, { sender: transfer.sender, counts: true });
      assert(seq === receipt.seq, 'seq is contiguous');
      return;
    }
    case 'group.found': {
      const { groupId, owner, name, history } = transfer;
      assert(!state.groups.has(groupId), 'a group is founded once');
      state.groups.set(groupId, {
        groupId,
        name,
        owner,
        history,
        createdAt: place.ts,
        version: 1,
        seq: 1,
        counting: 0,
        recent: [{ seq: 1, sender: null }],
        members: new Map([
          [
            owner,
            {
              role: 'owner',
              joinedAt: place.ts,
              joinedSeq: 0,
              readSeq: 1,
              readCount: 0,
              ownAfter: 0,
            },
          ],
        ]),
      });
      return;
    }
    case 'member.hint': {
      const { groupId, user, version, present, name } = transfer;
      const { hints } = state.person(user);
      assert(version > (hints.get(groupId)?.version ?? 0), 'an older hint is stale');
      hints.set(groupId, { version, present, name });
      return;
    }
    case 'claim.credit':
    case 'packet.refund':
      return;
    default:
      unreachable(transfer);
  }
}
