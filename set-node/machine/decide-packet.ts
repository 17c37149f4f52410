import { preSplit, shareOf } from '../../lib/core/allocation.ts';
import { assert } from '../../lib/core/assert.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import { RIGHT_SEND_PACKET } from '../../lib/core/grant.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import { setOfId } from '../../lib/core/ids.ts';
import { Draw } from '../../lib/core/keystream.ts';
import type { Cents } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';
import type { Decision, Findings, World } from './context.ts';
import { withoutEffects } from './context.ts';
import type { At, Of } from './decision.ts';
import { whyNotToday } from './decide-payment.ts';
import {
  clearing,
  done,
  membershipOf,
  outgoing,
  refused,
  refusedForGood,
  wallet,
} from './decision.ts';
import { checkPolicy } from './policy.ts';
import type { Packet } from './state.ts';

const EMPTY = new Uint8Array(0);

export function sendPacket({ state, found, world }: At, command: Of<'packet.send'>): Decision {
  const { definition } = command;
  const { sender, totalCents, packetId, groupId } = definition;
  const denied =
    checkPolicy(world.policy, definition) ??
    membershipOf({ command, found, groupId, ts: world.ts });
  if (denied !== null) return refused(command, denied);
  if (((command.grant?.rights ?? 0) & RIGHT_SEND_PACKET) === 0)
    return refused(command, 'not_allowed');
  const person = state.people.get(sender);
  if (person?.frozen) return refusedForGood(command, 'wallet_frozen');
  if ((person?.balanceCents ?? 0) < totalCents) {
    return refusedForGood(command, 'insufficient_funds');
  }
  const beyond = whyNotToday({ state, world, definition });
  if (beyond !== null) return refusedForGood(command, beyond);
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

/** Shape → already opened → membership → phase → share → claim (design 4). */
export function openPacket({ state, found, world }: At, command: Of<'packet.open'>): Decision {
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
  if (definition.sender === user && !world.policy.ownPackets) {
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
    sealed: unpackBytes(packet.sealedSeed),
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

export function expirePacket({ state, world }: At, command: Of<'packet.expire'>): Decision {
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
