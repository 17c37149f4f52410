import { assert, unreachable } from '../lib/core/assert.ts';
import type { Tombstone } from '../lib/core/command.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Receipt } from '../lib/core/outcome.ts';
import type { Transfer } from '../lib/core/transfer.ts';

/** Deliveries that wait in memory for one lane: the next one is there when one ends. */
export const LANE_HELD_MAX = 2 * LIMITS.deliverTransfersMax;
/** A command has at most 64 KiB; this leaves room for its head. */
const DELIVERY_BYTES_MAX = LIMITS.commandBytesMax - 1_024;

/** One outbox entry that was read from its source. */
export type Held = {
  readonly number: number;
  readonly transfer: Transfer;
  /** Encoded length. */
  readonly bytes: number;
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
  #acking: Ack | null = null;

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
      if (count === LIMITS.deliverTransfersMax || each.number !== head.number + count) break;
      bytes += each.bytes;
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

  /** The receiver has committed these receipts, one for each transfer, at its (epoch, LSN). */
  received(args: { receipts: readonly Receipt[]; epoch: number; lsn: number }): void {
    const delivery = this.#delivering;
    assert(delivery !== null, 'receipts answer a delivery');
    assert(args.receipts.length === delivery.held.length, 'one receipt for each transfer');
    this.#delivering = null;
    this.#held.splice(0, delivery.held.length);
    const tombstones = args.receipts.flatMap((receipt, index) =>
      tombstoneOf(receipt, delivery.first + index),
    );
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
  }

  acked(): void {
    const done = this.#acking;
    assert(done !== null && this.#owed !== null, 'an ack was on its way');
    this.#acking = null;
    if (this.#owed === done) {
      this.#owed = null;
      return;
    }
    const tombstones = this.#owed.tombstones.filter((each) => each.number > done.upTo);
    this.#owed = { ...this.#owed, tombstones };
  }
}

function tombstoneOf(receipt: Receipt, number: number): Tombstone[] {
  switch (receipt.kind) {
    case 'tombstone':
      return [{ number, reason: receipt.reason }];
    case 'live':
    case 'message':
    case 'applied':
    case 'duplicate':
    case 'stale':
      return [];
    default:
      return unreachable(receipt);
  }
}
