import type { Posting } from '../../lib/core/account.ts';
import { assert, unreachable } from '../../lib/core/assert.ts';
import type { PackedBytes } from '../../lib/core/bytes.ts';
import type { HmacKey } from '../../lib/core/hmac.ts';
import type { Id, IdCursor } from '../../lib/core/ids.ts';
import { ID_CURSOR_START, msOfId, sequenceOfId } from '../../lib/core/ids.ts';
import type { MoneyDigest } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { RULES_MIN } from '../../lib/core/rules.ts';
import type { Cents, Lsn, SetId, TimeMs } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { Answers } from './answers.ts';
import type { Group } from './groups.ts';
import { Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import { Payments } from './payments.ts';

export type Claim = { readonly order: number; readonly amountCents: Cents; readonly at: TimeMs };

/** How a packet ended; exactly one of drained, refunded or still live (M7). */
export type PacketEnd = {
  readonly kind: 'drained' | 'refunded';
  readonly at: TimeMs;
  readonly lsn: Lsn;
  readonly refundCents: Cents;
  readonly seed: Uint8Array;
};

export type Packet = {
  readonly definition: PacketDefinition;
  readonly sealedSeed: PackedBytes;
  readonly seedHash: PackedBytes;
  readonly createdAt: TimeMs;
  readonly expiresAt: TimeMs;
  /** The packet's account balance. */
  restCents: number;
  readonly claims: Map<UserId, Claim>;
  end: PacketEnd | null;
  /** Unsealed at the first open; never part of a snapshot. */
  seed: Uint8Array | null;
  seedKey: HmacKey | null;
  /** Shares of a pre-split packet, drawn from the seed when first needed. */
  shares: readonly Cents[] | null;
};

export type GroupHint = {
  readonly version: number;
  readonly present: boolean;
  readonly name: string;
};

/** What a person has sent in packets on one day (payment.ts dayOf), by commands of rules 3. */
export type DayTally = { readonly day: number; readonly cents: number; readonly packets: number };

/** A person at home: wallet and list of groups. */
export type Person = {
  balanceCents: number;
  welcomed: boolean;
  /** Receives, and sends nothing. */
  frozen: boolean;
  tally: DayTally | null;
  readonly hints: Map<Id, GroupHint>;
};

export type SetConfig = {
  readonly clusterId: Uint8Array;
  readonly replicas: number;
  readonly quorum: number;
  readonly rules: number;
  /** One bit per slot that this Set owns (rulings 15). */
  readonly slots: Uint8Array;
};

/**
 * The live state of one Set. Only `machine.ts` and its rooms change it, only by applying ops, so
 * that a replay of the journal builds the same state.
 */
export class SetState {
  readonly setId: SetId;
  lsn = 0 as Lsn;
  /** Log time: never falls (rulings 7). */
  ts = 0 as TimeMs;
  config: SetConfig | null = null;
  idCursor: IdCursor = ID_CURSOR_START;
  readonly people = new Map<UserId, Person>();
  readonly packets = new Map<Id, Packet>();
  readonly groups = new Map<Id, Group>();
  readonly clearing = new Map<SetId, number>();
  readonly outbox = new Outbox();
  readonly inbox = new Inbox();
  readonly answers = new Answers();
  readonly payments = new Payments();
  walletsCents = 0;
  packetsCents = 0;
  /** What is in flight: to and from other Sets, and to the payment gateway. */
  clearingCents = 0;
  gatewayCents = 0;
  issuerCents = 0;

  constructor(setId: SetId) {
    this.setId = setId;
  }

  /** The version that the next entry is written in (rulings 8). */
  get rules(): number {
    return this.config?.rules ?? RULES_MIN;
  }

  money(): MoneyDigest {
    return {
      walletsCents: cents(this.walletsCents),
      packetsCents: cents(this.packetsCents),
      clearingCents: cents(this.clearingCents),
      issuerCents: cents(this.issuerCents),
    };
  }

  person(user: UserId): Person {
    let person = this.people.get(user);
    if (person === undefined) {
      person = {
        balanceCents: 0,
        welcomed: false,
        frozen: false,
        tally: null,
        hints: new Map(),
      };
      this.people.set(user, person);
    }
    return person;
  }

  /** Moves the id cursor behind a block that an outcome gave out. */
  reserveIds(block: { readonly firstId: Id; readonly count: number }): void {
    const { firstId, count } = block;
    const cursor = { ms: msOfId(firstId), sequence: sequenceOfId(firstId) + count };
    const { ms, sequence } = this.idCursor;
    assert(
      cursor.ms > ms || (cursor.ms === ms && cursor.sequence >= sequence + count),
      'rulings 4: ids are never minted twice',
    );
    this.idCursor = cursor;
  }

  /**
   * Lets go of ended packets, ended payments and old answers that projections up to `projectedLsn` can tell of
   * (rulings 9). Not part of replication: every leader forgets when it likes.
   */
  forget(projectedLsn: Lsn): void {
    this.answers.evict({ ts: this.ts, projectedLsn });
    this.payments.evict({ ts: this.ts, projectedLsn });
    for (const [packetId, { end }] of this.packets) {
      if (end === null || end.lsn > projectedLsn) continue;
      if (end.at + LIMITS.endedPacketKeptMs < this.ts) this.packets.delete(packetId);
    }
  }

  ownsSlot(slot: number): boolean {
    const byte = this.config?.slots[slot >> 3] ?? 0;
    return (byte & (1 << (slot & 7))) !== 0;
  }

  /** {@link post} for the two legs of a claim: from its packet to the clearing account of a peer. */
  postClaim(args: { packet: Packet; to: SetId; amountCents: Cents }): void {
    const { packet, to, amountCents } = args;
    packet.restCents -= amountCents;
    assert(packet.restCents >= 0, 'M3: no packet below zero');
    this.packetsCents -= amountCents;
    this.clearing.set(to, (this.clearing.get(to) ?? 0) + amountCents);
    this.clearingCents += amountCents;
  }

  /** Books the legs of one command. Asserts M1 and M3: sums to zero, nobody below zero. */
  post(postings: readonly Posting[]): void {
    let sum = 0;
    for (const { account, amountCents } of postings) {
      sum += amountCents;
      switch (account.kind) {
        case 'wallet': {
          const person = this.person(account.user);
          person.balanceCents += amountCents;
          assert(person.balanceCents >= 0, 'M3: no wallet below zero');
          this.walletsCents += amountCents;
          break;
        }
        case 'packet': {
          const packet = this.packets.get(account.packetId);
          assert(packet !== undefined, 'a posting names a packet in memory');
          packet.restCents += amountCents;
          assert(packet.restCents >= 0, 'M3: no packet below zero');
          this.packetsCents += amountCents;
          break;
        }
        case 'clearing':
          this.clearing.set(account.peer, (this.clearing.get(account.peer) ?? 0) + amountCents);
          this.clearingCents += amountCents;
          break;
        case 'issuer':
          this.issuerCents += amountCents;
          // Above zero when people withdraw what they were sent from other Sets.
          assert(
            Math.abs(this.issuerCents) <= LIMITS.setTotalCentsMax,
            'what is issued is a safe integer',
          );
          break;
        case 'gateway':
          this.gatewayCents += amountCents;
          assert(this.gatewayCents >= 0, 'M11: the gateway confirms only what it was sent');
          this.clearingCents += amountCents;
          break;
        default:
          unreachable(account);
      }
    }
    assert(sum === 0, 'M1: the postings of a command sum to zero');
  }
}
