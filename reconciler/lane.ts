import { assert, unreachable } from '../lib/core/assert.ts';
import type { Tombstone } from '../lib/core/command.ts';
import { DELIVERY_HEAD_BYTES } from '../lib/core/delivery.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Receipt } from '../lib/core/outcome.ts';

/** Deliveries that wait in memory for one lane: the next one is there when one ends. */
export const LANE_HELD_MAX = 2 * LIMITS.deliverTransfersMax;
const DELIVERY_BYTES_MAX = LIMITS.commandBytesMax - DELIVERY_HEAD_BYTES;

/** One outbox entry that was read from its source. */
export type Held = {
  readonly number: number;
  /** The transfer as its source encoded it: carried as it is, and read by nobody before its receiver. */
  readonly transfer: Uint8Array;
  /** When it was first seen, monotonic milliseconds. */
  readonly seenAtMs: number;
};

export type Delivery = { readonly first: number; readonly held: readonly Held[] };

/** Everything up to `upTo` was received or refused for ever, as the receiver committed at its mark. */
export type Ack = {
  readonly upTo: number;
  readonly tombstones: readonly Tombstone[];
  readonly receiptEpoch: number;
  readonly receiptLsn: number;
};

/** What has waited longest: undelivered, or delivered and not confirmed by its source. */
export type Oldest = {
  readonly number: number;
  readonly transfer: Uint8Array;
  readonly seenAtMs: number;
  readonly step: 'deliver' | 'ack';
};

/**
 * What a courier knows of one (source, destination, lane): which entries it holds, what is on its
 * way, what it owes the source. Pure. All of it may be forgotten: both ends are idempotent, and a
 * new courier starts from what the source still has (replication.md, Money between Sets).
 */
export class Lane {
  #held: Held[] = [];
  /** Highest number that was read from the source. */
  #readUpTo = 0;
  #delivering: Delivery | null = null;
  /** The newest receipt that the source has not confirmed; null when it has them all. */
  #owed: Ack | null = null;
  /** The oldest entry of what is owed. */
  #owedFrom: Held | null = null;
  #acking: Ack | null = null;
  /** The first that came after `#acking`: what is owed when that one is confirmed. */
  #owedNext: Held | null = null;
  /** Transfers of one delivery: fewer while the receiver refuses, so that the good ones pass. */
  #countMax: number = LIMITS.deliverTransfersMax;

  /** What to read after; null while enough is held. */
  get cursor(): number | null {
    return this.#held.length < LANE_HELD_MAX ? this.#readUpTo : null;
  }

  /** Nothing held, on its way or owed. */
  get isIdle(): boolean {
    return this.#held.length === 0 && this.#owed === null;
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** null when idle. */
  get oldest(): Oldest | null {
    if (this.#owedFrom !== null) return { ...this.#owedFrom, step: 'ack' };
    const head = this.#held[0];
    return head === undefined ? null : { ...head, step: 'deliver' };
  }

  /**
   * Takes entries in order of number. Earlier ones are known already. A jump is the source's word
   * that those between have left its outbox, which only receipts do (another courier was there).
   */
  offer(entry: Held): void {
    if (entry.number <= this.#readUpTo) return;
    this.#readUpTo = entry.number;
    this.#held.push(entry);
  }

  /** The next delivery: one at a time, in order, without holes. It stays held until it is received. */
  nextDelivery(): Delivery | null {
    const head = this.#held[0];
    if (head === undefined || this.#delivering !== null) return null;
    let count = 0;
    let bytes = 0;
    for (const each of this.#held) {
      if (count === this.#countMax || each.number !== head.number + count) break;
      bytes += each.transfer.length;
      if (count > 0 && bytes > DELIVERY_BYTES_MAX) break;
      count += 1;
    }
    this.#delivering = { first: head.number, held: this.#held.slice(0, count) };
    return this.#delivering;
  }

  /** No receipt came: the same entries go again, in another delivery. */
  deliveryFailed(): void {
    assert(this.#delivering !== null, 'only what is on its way can fail');
    this.#delivering = null;
  }

  /** The receiver takes no such delivery: half of it goes next, down to the one that is in the way. */
  deliveryRefused(): void {
    assert(this.#delivering !== null, 'only what is on its way can be refused');
    this.#countMax = Math.max(1, this.#delivering.held.length >> 1);
    this.#delivering = null;
  }

  /** The receiver has committed these receipts, one for each transfer, at its (epoch, LSN). */
  received(args: { receipts: readonly Receipt[]; epoch: number; lsn: number }): void {
    const delivery = this.#delivering;
    assert(delivery !== null, 'receipts answer a delivery');
    assert(args.receipts.length === delivery.held.length, 'one receipt for each transfer');
    this.#delivering = null;
    this.#countMax = Math.min(LIMITS.deliverTransfersMax, this.#countMax * 2);
    this.#held.splice(0, delivery.held.length);
    const [head] = delivery.held;
    assert(head !== undefined, 'a delivery is not empty');
    this.#owedFrom ??= head;
    if (this.#acking !== null) this.#owedNext ??= head;
    const tombstones = tombstonesOf(args.receipts, delivery.first);
    this.#owed = {
      upTo: delivery.first + delivery.held.length - 1,
      // Those that the source has not confirmed stay: a refund rests on them.
      tombstones: [...(this.#owed?.tombstones ?? []), ...tombstones],
      receiptEpoch: args.epoch,
      receiptLsn: args.lsn,
    };
  }

  /** The next acknowledgement for the source, one at a time; it covers all that was received. */
  nextAck(): Ack | null {
    if (this.#acking !== null || this.#owed === null) return null;
    this.#acking = this.#owed;
    return this.#acking;
  }

  ackFailed(): void {
    assert(this.#acking !== null, 'only an ack on its way can fail');
    this.#acking = null;
    this.#owedNext = null;
  }

  acked(): void {
    const done = this.#acking;
    assert(done !== null && this.#owed !== null, 'an ack was on its way');
    this.#acking = null;
    this.#owedFrom = this.#owedNext;
    this.#owedNext = null;
    if (this.#owed === done) {
      assert(this.#owedFrom === null, 'nothing came meanwhile');
      this.#owed = null;
      return;
    }
    const tombstones = this.#owed.tombstones.filter((each) => each.number > done.upTo);
    this.#owed = { ...this.#owed, tombstones };
  }
}

function tombstonesOf(receipts: readonly Receipt[], first: number): Tombstone[] {
  const found: Tombstone[] = [];
  for (const [index, receipt] of receipts.entries()) {
    switch (receipt.kind) {
      case 'tombstone':
        found.push({ number: first + index, reason: receipt.reason });
        break;
      case 'live':
      case 'message':
      case 'applied':
      case 'duplicate':
      case 'stale':
        break;
      default:
        unreachable(receipt);
    }
  }
  return found;
}
