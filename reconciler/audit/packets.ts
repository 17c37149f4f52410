import type { OpOf } from './decode.ts';
import type { Effects } from './effects.ts';
import type { Definition, Grant, Receipt, TransferOf } from './parts.ts';
import type { Place } from './place.ts';
import { SHARE_RULES, seedHashOf, sha256, shareOf } from './shares.ts';
import { CONTROL_LANE, CREDIT_LANES, REFUND_LANE, setOf } from './words.ts';

const SEED_BYTES = 32;
/** SPEC C8: a removed member can open for at most that long. */
const GRANT_AGE_MS_MAX = 60_000;

export type Claim = {
  readonly order: number;
  readonly amountCents: number;
  readonly at: number;
  readonly lsn: number;
};

export type Packet = {
  readonly definition: Definition;
  readonly definitionHash: Uint8Array;
  readonly seedHash: string;
  /** Log time from which nobody may open it. */
  readonly expiresAt: number;
  readonly claims: Map<string, Claim>;
  restCents: number;
  end: { readonly kind: 'drained' | 'refunded'; readonly lsn: number; readonly at: number } | null;
};

export type PacketsDump = {
  readonly all: ReadonlyMap<bigint, Packet>;
  readonly ended: readonly bigint[];
};

type Live = Extract<Receipt, { kind: 'live' }>;
type Create = TransferOf<'packet.create'>;

/** M6: whoever sends or opens shows a grant for the packet's group, young enough at log time. */
export function holdGrant(args: { grant: Grant | null; groupId: bigint; place: Place }): void {
  const { grant, groupId, place } = args;
  if (grant === null) throw place.broken('M6', 'there is no grant');
  if (grant.groupId !== groupId) {
    throw place.broken(
      'M6',
      `the grant is for group ${grant.groupId}, the packet is in ${groupId}`,
    );
  }
  const age = place.ts - grant.issuedAt;
  if (age > GRANT_AGE_MS_MAX) throw place.broken('M6', `the grant is ${age} ms old`);
}

/** The packets of one Set: who took what, in which order, and how each ended (M4 to M7, A). */
export class Packets {
  #all = new Map<bigint, Packet>();
  /** In the order of their ends. */
  #ended: bigint[] = [];
  #claimCount = 0;

  dump(): PacketsDump {
    return { all: this.#all, ended: this.#ended };
  }

  restore({ all, ended }: PacketsDump): void {
    this.#all = new Map(all);
    this.#ended = [...ended];
    this.#claimCount = 0;
    for (const { claims } of all.values()) this.#claimCount += claims.size;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Of all packets in memory. */
  get claimCount(): number {
    return this.#claimCount;
  }

  /** Those that ended before this log time leave memory: whoever opens one finds none (M7). */
  forget(before: number): void {
    let gone = 0;
    for (const packetId of this.#ended) {
      const packet = this.#all.get(packetId);
      if ((packet?.end?.at ?? 0) >= before) break;
      this.#claimCount -= packet?.claims.size ?? 0;
      this.#all.delete(packetId);
      gone += 1;
    }
    if (gone > 0) this.#ended.splice(0, gone);
  }

  all(): IterableIterator<Packet> {
    return this.#all.values();
  }

  get(packetId: bigint): Packet | undefined {
    return this.#all.get(packetId);
  }

  create(args: {
    from: number;
    transfer: Create;
    receipt: Live;
    place: Place;
    effects: Effects;
  }): void {
    const { from, transfer, receipt, place, effects } = args;
    const { definition } = transfer;
    const { packetId, groupId, sender, kind, totalCents, count, greeting, lifetimeMs } = definition;
    if (count < 1 || totalCents < count) {
      throw place.broken('M4', `${totalCents} cents in ${count} shares of a cent at least`);
    }
    const { seedHash } = receipt;
    const expiresAt = place.ts + lifetimeMs;
    effects.move({
      from: { kind: 'clearing', peer: from },
      to: { kind: 'packet', packetId },
      amountCents: totalCents,
    });
    const words = { packetId, groupId, sender, packetKind: kind, count, greeting };
    effects.send({
      to: setOf(groupId),
      lanes: [CONTROL_LANE],
      transfer: { kind: 'packet.announce', ...words, seedHash, expiresAt },
    });
    this.#all.set(packetId, {
      // Not a view of the page that it was read from.
      definition: { ...definition, bytes: new Uint8Array(definition.bytes) },
      definitionHash: sha256(definition.bytes),
      seedHash,
      expiresAt,
      claims: new Map(),
      restCents: totalCents,
      end: null,
    });
  }

  open(args: {
    op: OpOf<'packet.open'>;
    share: NonNullable<OpOf<'packet.open'>['outcome']['success']>;
    place: Place;
    effects: Effects;
  }): void {
    const { op, share, place, effects } = args;
    const { packetId, user, grant } = op.command;
    const { amountCents, order, left, at, seed } = share;
    const packet = this.#live(packetId, place);
    const { definition, claims } = packet;
    const what = `packet ${packetId}, ${user}:`;
    if (claims.has(user)) throw place.broken('M5', `${what} a second share`);
    holdGrant({ grant, groupId: definition.groupId, place });
    if (definition.kind === 'exclusive' && !definition.receivers.includes(user)) {
      throw place.broken('M6', `${what} it is not for him`);
    }
    if (place.ts >= packet.expiresAt) {
      throw place.broken('M6', `${what} opened ${place.ts - packet.expiresAt} ms after its end`);
    }
    if (at !== place.ts) throw place.broken('L12', `${what} at ${at}, in an entry of ${place.ts}`);
    if (order !== claims.size + 1) {
      throw place.broken('M5', `${what} order ${order} after ${claims.size}`);
    }
    if (left !== definition.count - order) {
      throw place.broken('M4', `${what} ${left} left after ${order} of ${definition.count}`);
    }
    const rest = packet.restCents - amountCents;
    if (amountCents < 1) throw place.broken('M4', `${what} a share of ${amountCents}`);
    if (rest < left) throw place.broken('M4', `${what} ${rest} cents stay for ${left} people`);
    if (left === 0 && rest !== 0) throw place.broken('M4', `${what} the last leaves ${rest} cents`);
    const home = effects.send({
      to: null,
      lanes: CREDIT_LANES,
      transfer: { kind: 'claim.credit', packetId, groupId: definition.groupId, user, amountCents },
    });
    effects.move({
      from: { kind: 'packet', packetId },
      to: { kind: 'clearing', peer: home },
      amountCents,
    });
    claims.set(user, { order, amountCents, at, lsn: place.lsn });
    this.#claimCount += 1;
    packet.restCents = rest;
    if (left > 0) {
      if (seed.length > 0) throw place.broken('A7', `${what} the seed is shown before the end`);
      return;
    }
    packet.end = { kind: 'drained', lsn: place.lsn, at: place.ts };
    this.#ended.push(packetId);
    holdShares({ packet, seed, place });
  }

  expire(args: {
    op: OpOf<'packet.expire'>;
    end: NonNullable<OpOf<'packet.expire'>['outcome']['success']>;
    place: Place;
    effects: Effects;
  }): void {
    const { op, end, place, effects } = args;
    const { packetId } = op.command;
    const { refundCents, seed } = end;
    const packet = this.#live(packetId, place);
    const { groupId, sender } = packet.definition;
    if (place.ts < packet.expiresAt) {
      throw place.broken('M7', `packet ${packetId} ends ${packet.expiresAt - place.ts} ms early`);
    }
    if (refundCents !== packet.restCents || refundCents < 1) {
      const rest = `${packet.restCents} are there`;
      throw place.broken('M4', `packet ${packetId} refunds ${refundCents} cents, ${rest}`);
    }
    const home = effects.send({
      to: null,
      lanes: [REFUND_LANE],
      transfer: {
        kind: 'packet.refund',
        packetId,
        groupId,
        user: sender,
        amountCents: refundCents,
      },
    });
    effects.move({
      from: { kind: 'packet', packetId },
      to: { kind: 'clearing', peer: home },
      amountCents: refundCents,
    });
    packet.restCents = 0;
    packet.end = { kind: 'refunded', lsn: place.lsn, at: place.ts };
    this.#ended.push(packetId);
    holdShares({ packet, seed, place });
  }

  #live(packetId: bigint, place: Place): Packet {
    const packet = this.#all.get(packetId);
    if (packet === undefined) throw place.broken('M7', `there is no packet ${packetId}`);
    if (packet.end !== null) {
      const { kind, lsn } = packet.end;
      throw place.broken('M7', `packet ${packetId} is ${kind} since LSN ${lsn}`);
    }
    return packet;
  }
}

/** The end reveals the seed that was fixed before the first open, and every share follows from it. */
function holdShares(args: { packet: Packet; seed: Uint8Array; place: Place }): void {
  const { packet, seed, place } = args;
  const { definition, definitionHash, claims } = packet;
  const { packetId, strategy, totalCents, count } = definition;
  if (seed.length !== SEED_BYTES) throw place.broken('A7', `packet ${packetId} shows no seed`);
  if (seedHashOf({ packetId, definitionHash, seed }) !== packet.seedHash) {
    throw place.broken('A7', `packet ${packetId}: the seed is not the one of the announcement`);
  }
  let remaining = totalCents;
  for (const [user, { order, amountCents }] of claims) {
    const due = shareOf({ strategy, seed, order, remaining, left: count - order + 1 });
    if (amountCents !== due) {
      const what = `packet ${packetId}, share ${order} (${user}): ${amountCents} cents, not ${due}`;
      throw place.broken(SHARE_RULES[strategy], what);
    }
    remaining -= amountCents;
  }
}
