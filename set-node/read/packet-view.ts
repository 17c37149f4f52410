import { bestLuckOf } from '../../lib/core/allocation.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { ReplicaStore, Row } from '../../lib/port/replica-store.ts';
import type { Claim as WireClaim } from '../../proto/gen/hongbao/Claim.ts';
import type { ClaimsAnswer } from '../../proto/gen/hongbao/ClaimsAnswer.ts';
import type { ClaimsQuery__Output } from '../../proto/gen/hongbao/ClaimsQuery.ts';
import type { Seals } from '../machine/findings.ts';
import type { Packet } from '../machine/state.ts';
import { needGrant } from './reads.ts';

/** A packet wherever it is now: the same view from memory and from the tables. */
export type View = {
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

/** A packet in the owner's memory. */
export function viewOf(packet: Packet): View {
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

/**
 * The packet as one replica shows it, and at least how much of the Set is in that; view null: not
 * there. null when the two tables were read apart and do not fit. Throws StoreError.
 */
export async function projectedView(
  store: ReplicaStore,
  packetId: Id,
): Promise<{ readonly asOfLsn: number; readonly view: View | null } | null> {
  const [packets, claims] = await Promise.all([
    store.scan({ table: 'red_packet', prefix: [packetId], limit: 1 }),
    store.scan({ table: 'red_packet_record', prefix: [packetId], limit: LIMITS.packetCountMax }),
  ]);
  const asOfLsn = Math.min(packets.asOfLsn, claims.asOfLsn);
  const row = packets.rows[0];
  if (row === undefined) return { asOfLsn, view: null };
  const { view, taken } = packetOf(row);
  // An ended packet without its last claims would name another best luck.
  if (claims.rows.length < taken) return null;
  return { asOfLsn, view: { ...view, claims: claims.rows.map(claimOf) } };
}

function packetOf(row: Row): { view: Omit<View, 'claims'>; taken: number } {
  const [
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
    taken,
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
  const view = {
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
  };
  return { view, taken };
}

function claimOf(row: Row): View['claims'][number] {
  const [, order, user, amountCents, at] = row as [Id, number, string, number, number];
  return { user, order, amountCents, at };
}

/** Who may see the packet, and its amounts: before one has opened, nobody but the sender (design 10). */
export function rightsOf(args: { seals: Seals; view: View; user: UserId; grant: Uint8Array }): {
  member: boolean;
  amounts: boolean;
} {
  const { seals, view, user } = args;
  const opened = view.claims.some((claim) => claim.user === user);
  const party = opened || view.sender === user;
  const grant = needGrant(args.grant);
  const member = grant?.groupId === view.groupId && seals.vouches({ user, grant });
  return { member: party || member, amounts: party || (member && view.phase !== 'live') };
}

export function wireClaim(claim: View['claims'][number]): WireClaim {
  return {
    user: claim.user,
    order: claim.order,
    amountCents: String(claim.amountCents),
    at: String(claim.at),
  };
}

/** Best luck is known when the packet has ended. */
export function bestOf(view: View): WireClaim | null {
  if (view.phase === 'live') return null;
  const best = view.claims[bestLuckOf(view.claims.map((claim) => claim.amountCents))];
  return best === undefined ? null : wireClaim(best);
}

/** One page of a packet's claims, in order. */
export function claimsPage(view: View, ask: ClaimsQuery__Output): ClaimsAnswer {
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  const claims = view.claims
    .filter(({ order }) => order > ask.afterOrder)
    .slice(0, limit)
    .map(wireClaim);
  return { claims, best: bestOf(view), kind: view.kind };
}
