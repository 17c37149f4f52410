import { verifyShares } from '../lib/core/allocation.ts';
import { fromHex, toHex } from '../lib/core/bytes.ts';
import { parseId } from '../lib/core/ids.ts';
import { SEED_BYTES } from '../lib/core/keystream.ts';
import {
  PACKET_KINDS,
  STRATEGIES,
  TIMINGS,
  checkDefinition,
  seedHashOf,
} from '../lib/core/packet.ts';
import type { PacketDefinition } from '../lib/core/packet.ts';
import { cents } from '../lib/core/units.ts';
import { parseUserId } from '../lib/core/user.ts';
import type { Claim, Packet } from './protocol.ts';

export type Verdict =
  /** The seed is the one promised before the first open, and gives every share as it was paid. */
  | { readonly status: 'verified'; readonly shares: number }
  /** Not now or not here: ask again when the packet has ended, or with the whole list. */
  | {
      readonly status: 'not_verifiable';
      readonly reason: 'not_ended' | 'amounts_hidden' | 'receivers_hidden' | 'claims_missing';
    }
  /** Somebody broke the promise. */
  | {
      readonly status: 'broken';
      readonly what: 'definition' | 'seed_hash' | 'share' | 'sums';
      /** 1-based order of the first wrong share. */
      readonly order?: number;
    };

/**
 * Recomputes a packet from its revealed seed, on this machine (rulings 21): first that the seed and
 * everything the sender said hash to what was published before the first open, then every share.
 * The receivers of an exclusive packet are not shown, so its hash can be checked by the server's
 * operator only.
 *
 * @param claims every claim of the packet, in any order
 */
export function verifyPacket(args: {
  readonly packet: Packet;
  readonly claims: readonly Claim[];
}): Verdict {
  const { packet } = args;
  if (packet.seed === null || packet.phase === 'live') return unverifiable('not_ended');
  if (packet.totalCents === null) return unverifiable('amounts_hidden');
  if (packet.kind === 'exclusive') return unverifiable('receivers_hidden');
  if (args.claims.length !== packet.taken) return unverifiable('claims_missing');
  const definition = definitionOf(packet, packet.totalCents);
  const seed = bytesOf(packet.seed);
  if (definition === null || seed === null || checkDefinition(definition) !== null) {
    return { status: 'broken', what: 'definition' };
  }
  if (toHex(seedHashOf({ definition, seed })) !== packet.seedHash) {
    return { status: 'broken', what: 'seed_hash' };
  }
  const claims = args.claims.toSorted((a, b) => a.order - b.order);
  const { strategy, totalCents: total, count } = definition;
  const shares = claims.map((claim) => claim.amountCents);
  const expired = packet.phase === 'refunded';
  const wrong = verifyShares({ strategy, total, count, seed, shares, expired });
  if (wrong >= 0) return { status: 'broken', what: 'share', order: wrong + 1 };
  const isOrdered = claims.every((claim, index) => claim.order === index + 1);
  const taken = shares.reduce((sum, share) => sum + share, 0);
  const refunded = packet.refundedCents ?? 0;
  if (!isOrdered || taken !== packet.takenCents || taken + refunded !== total) {
    return { status: 'broken', what: 'sums' };
  }
  return { status: 'verified', shares: shares.length };
}

function unverifiable(reason: Extract<Verdict, { status: 'not_verifiable' }>['reason']): Verdict {
  return { status: 'not_verifiable', reason };
}

/** null when a field is not what any packet could have. */
function definitionOf(packet: Packet, totalCents: number): PacketDefinition | null {
  const packetId = parseId(packet.packetId);
  const groupId = parseId(packet.groupId);
  const sender = parseUserId(packet.sender);
  const kind = PACKET_KINDS.find((one) => one === packet.kind);
  const strategy = STRATEGIES.find((one) => one === packet.strategy);
  const timing = TIMINGS.find((one) => one === packet.timing);
  if (packetId === null || groupId === null || sender === null) return null;
  if (kind === undefined || strategy === undefined || timing === undefined) return null;
  const { count, greeting, createdAt, expiresAt } = packet;
  return {
    packetId,
    sender,
    groupId,
    kind,
    strategy,
    timing,
    totalCents: cents(totalCents),
    count,
    lifetimeMs: expiresAt - createdAt,
    greeting,
    receivers: [],
  };
}

function bytesOf(hex: string): Uint8Array | null {
  return new RegExp(`^[0-9a-f]{${SEED_BYTES * 2}}$`).test(hex) ? fromHex(hex) : null;
}
