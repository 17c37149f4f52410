import { assert, unreachable } from '../lib/core/assert.ts';
import type { Tombstone } from '../lib/core/command.ts';
import { DELIVERY_HEAD_BYTES } from '../lib/core/delivery.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Receipt } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';

/** As many deliveries wait in memory as may be on their way: the next ones are there when those end. */
const HELD_FACTOR = 2;
/** Held for a lane whose deliveries go one by one. */
export const LANE_HELD_MAX = HELD_FACTOR * LIMITS.deliverTransfersMax;
/** Deliveries of money on their way at once: its receiver commits them all together. */
export const LANE_AHEAD_MAX = 12;
const DELIVERY_BYTES_MAX = LIMITS.commandBytesMax - DELIVERY_HEAD_BYTES;
/** Of one acknowledgement: it has to fit a command, whatever has gathered while none was taken. */
const ACK_TOMBSTONES_MAX = 2 * LIMITS.deliverTransfersMax;
assert(
  LANE_AHEAD_MAX * LIMITS.deliverTransfersMax <= LIMITS.transferWindowMax,
  'what is on its way fits the window of its receiver',
);

/** One outbox entry that was read from its source. */
export type Held = {
  readonly number: number;
  /** The transfer as its source encoded it: carried as it is, and read by nobody before its receiver. */
  readonly transfer: Uint8Array;
  /** When it was first seen, monotonic milliseconds. */
  readonly seenAtMs: number;
};

export type Delivery = { readonly first: number; readonly held: readonly Held[] };

/** Its receiver has committed this, one receipt for each transfer, at its (epoch, LSN). */
export type Received = {
  readonly receipts: readonly Receipt[];
  readonly epoch: number;
  readonly lsn: number;
};

/** An entry until everything up to it is received. */
type Slot = {
  readonly entry: Held;
  phase: 'waits' | 'away' | 'received';
  /** Why its receiver refused it for ever. */
  refused: Status | null;
};

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
  /** From the first that is not received on, in order of number. */
  #slots: Slot[] = [];
  /** Highest number that was read from the source. */
  #readUpTo = 0;
  /** On their way, in the order in which they left. */
  readonly #away = new Set<Delivery>();
  readonly #aheadMax: number;
  /** Deliveries that may be on their way now: one after a failure, doubled by each receipt. */
  #ahead = 1;
  /** The newest mark at which receipts were committed. */
  #mark = { epoch: 0, lsn: 0 };
  /** The newest receipt that the source has not confirmed; null when it has them all. */
  #owed: Ack | null = null;
  /** The oldest entry of what is owed. */
  #owedFrom: Held | null = null;
  #acking: Ack | null = null;
  /** `#acking` covers the first part of what is owed. */
  #isPart = false;
  /** The first that came after `#acking`: what is owed when that one is confirmed. */
  #owedNext: Held | null = null;
  /** Transfers of one delivery: fewer while the receiver refuses, so that the good ones pass. */
  #countMax: number = LIMITS.deliverTransfersMax;

  /** `aheadMax`: deliveries on their way at once; more than one where their order does not matter. */
  constructor(aheadMax = 1) {
    assert(aheadMax >= 1 && aheadMax <= LANE_AHEAD_MAX, 'within the window');
    this.#aheadMax = aheadMax;
  }

  /** What to read after; null while enough is held. */
  get cursor(): number | null {
    return this.#slots.length < this.#ahead * LANE_HELD_MAX ? this.#readUpTo : null;
  }

  /** Nothing held, on its way or owed. */
  get isIdle(): boolean {
    return this.#slots.length === 0 && this.#owed === null;
  }

  get heldCount(): number {
    return this.#slots.length;
  }

  /** null when idle. */
  get oldest(): Oldest | null {
    if (this.#owedFrom !== null) return { ...this.#owedFrom, step: 'ack' };
    const head = this.#slots[0];
    return head === undefined ? null : { ...head.entry, step: 'deliver' };
  }

  /**
   * Takes entries in order of number. Earlier ones are known already. A jump is the source's word
   * that those between have left its outbox, which only receipts do (another courier was there).
   */
  offer(entry: Held): void {
    if (entry.number <= this.#readUpTo) return;
    this.#readUpTo = entry.number;
    this.#slots.push({ entry, phase: 'waits', refused: null });
  }

  /**
   * The next delivery: of the oldest entries that are not on their way, without holes; null while
   * enough is on its way. Its entries stay held until all up to them are received.
   */
  nextDelivery(): Delivery | null {
    if (this.#away.size >= this.#ahead) return null;
    const from = this.#slots.findIndex(({ phase }) => phase === 'waits');
    const head = this.#slots[from]?.entry;
    // Beyond the window of its receiver it would be refused.
    if (head === undefined || from + this.#countMax > LIMITS.transferWindowMax) return null;
    let count = 0;
    let bytes = 0;
    for (const { entry: each, phase } of this.#slots.slice(from, from + this.#countMax)) {
      if (phase !== 'waits' || each.number !== head.number + count) break;
      bytes += each.transfer.length;
      if (count > 0 && bytes > DELIVERY_BYTES_MAX) break;
      count += 1;
    }
    const taken = this.#slots.slice(from, from + count);
    for (const slot of taken) slot.phase = 'away';
    const delivery = { first: head.number, held: taken.map(({ entry }) => entry) };
    this.#away.add(delivery);
    return delivery;
  }

  /** No receipt came: the same entries go again, in another delivery. */
  deliveryFailed(delivery = this.#firstAway): void {
    this.#ahead = 1;
    for (const slot of this.#back(delivery)) slot.phase = 'waits';
  }

  /** The receiver takes no such delivery: half of it goes next, down to the one that is in the way. */
  deliveryRefused(delivery = this.#firstAway): void {
    this.#countMax = Math.max(1, delivery.held.length >> 1);
    this.deliveryFailed(delivery);
  }

  /** Receipts for a delivery; they are owed to the source when all before them have come as well. */
  received({ receipts, epoch, lsn }: Received, delivery = this.#firstAway): void {
    assert(receipts.length === delivery.held.length, 'one receipt for each transfer');
    for (const [index, slot] of this.#back(delivery).entries()) {
      slot.phase = 'received';
      slot.refused = refusalOf(receipts[index]);
    }
    this.#countMax = Math.min(LIMITS.deliverTransfersMax, this.#countMax * 2);
    this.#ahead = Math.min(this.#aheadMax, this.#ahead * 2);
    const isNewer =
      epoch > this.#mark.epoch || (epoch === this.#mark.epoch && lsn > this.#mark.lsn);
    if (isNewer) this.#mark = { epoch, lsn };
    const hole = this.#slots.findIndex(({ phase }) => phase !== 'received');
    this.#owe(this.#slots.splice(0, hole === -1 ? this.#slots.length : hole));
  }

  #owe(done: readonly Slot[]): void {
    const head = done[0]?.entry;
    const last = done.at(-1)?.entry;
    if (head === undefined || last === undefined) return;
    this.#owedFrom ??= head;
    if (this.#acking !== null) this.#owedNext ??= head;
    // Those that the source has not confirmed stay: a refund rests on them.
    const tombstones = [...(this.#owed?.tombstones ?? [])];
    for (const { entry, refused } of done) {
      if (refused !== null) tombstones.push({ number: entry.number, reason: refused });
    }
    const { epoch: receiptEpoch, lsn: receiptLsn } = this.#mark;
    this.#owed = { upTo: last.number, tombstones, receiptEpoch, receiptLsn };
  }

  get #firstAway(): Delivery {
    const [first] = this.#away;
    assert(first !== undefined, 'something is on its way');
    return first;
  }

  /** Its slots; it is not on its way any more. */
  #back(delivery: Delivery): Slot[] {
    assert(this.#away.delete(delivery), 'only what is on its way can end');
    const from = this.#slots.findIndex(({ entry }) => entry.number === delivery.first);
    const slots = this.#slots.slice(from, from + delivery.held.length);
    assert(from >= 0 && slots.length === delivery.held.length, 'it is held');
    return slots;
  }

  /**
   * The next acknowledgement for the source, one at a time; it covers all that was received, or the
   * first part of it where very much was refused.
   */
  nextAck(): Ack | null {
    if (this.#acking !== null || this.#owed === null) return null;
    this.#acking = firstPartOf(this.#owed);
    this.#isPart = this.#acking !== this.#owed;
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
    // After a part the oldest that is left is not held any more: it is told as older than it is.
    if (!this.#isPart) this.#owedFrom = this.#owedNext;
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

/** As much of it as one command can say: up to before the first refusal that does not fit. */
function firstPartOf(owed: Ack): Ack {
  const next = owed.tombstones[ACK_TOMBSTONES_MAX];
  if (next === undefined) return owed;
  const tombstones = owed.tombstones.slice(0, ACK_TOMBSTONES_MAX);
  return { ...owed, upTo: next.number - 1, tombstones };
}

/** Why never; null: it was taken. */
function refusalOf(receipt: Receipt | undefined): Status | null {
  switch (receipt?.kind) {
    case 'tombstone':
      return receipt.reason;
    case 'live':
    case 'message':
    case 'applied':
    case 'duplicate':
    case 'stale':
    case undefined:
      return null;
    default:
      return unreachable(receipt);
  }
}
