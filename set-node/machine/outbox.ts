import { assert } from '../../lib/core/assert.ts';
import type { Outgoing, Transfer } from '../../lib/core/transfer.ts';
import { moneyOf } from '../../lib/core/transfer.ts';
import type { SetId } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';

/** Below this, what was taken is left in place. */
const COMPACT_MIN = 1_024;

/**
 * A queue whose front goes for the price of what goes: an array's `splice` moves all the rest, and
 * with 400,000 waiting that was 7 µs for each transfer.
 */
class Pending {
  #items: Transfer[] = [];
  /** Those before it are taken; never more than are left, but for a few. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(transfer: Transfer): void {
    this.#items.push(transfer);
  }

  slice(from: number, to: number): Transfer[] {
    assert(from >= 0 && from <= to, 'a slice of what waits');
    return this.#items.slice(this.#head + from, this.#head + to);
  }

  take(count: number): Transfer[] {
    assert(count <= this.length, 'no more than there is');
    const taken = this.slice(0, count);
    this.#head += count;
    if (this.#head >= COMPACT_MIN && this.#head >= this.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  *[Symbol.iterator](): Iterator<Transfer> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at] as Transfer;
  }
}

/** Entries of one (destination, lane): numbers `first` … `first + pending.length - 1`. */
export type Lane = {
  readonly to: SetId;
  readonly lane: number;
  first: number;
  readonly pending: Pending;
  /** Money of all of `pending`: who asks for it each second must not make the leader add it up. */
  pendingCents: number;
};

/** What this Set owes others: an entry leaves only on a committed receipt of its destination. */
export class Outbox {
  readonly #lanes = new Map<number, Lane>();
  readonly #arriving = new Map<UserId, number>();
  #pendingCents = 0;
  #pendingCount = 0;

  get pendingCents(): number {
    return this.#pendingCents;
  }

  get pendingCount(): number {
    return this.#pendingCount;
  }

  lanes(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  lane(to: SetId, lane: number): Lane {
    const key = to * 256 + lane;
    let found = this.#lanes.get(key);
    if (found === undefined) {
      found = { to, lane, first: 1, pending: new Pending(), pendingCents: 0 };
      this.#lanes.set(key, found);
    }
    return found;
  }

  nextNumber(to: SetId, lane: number): number {
    const found = this.#lanes.get(to * 256 + lane);
    return found === undefined ? 1 : found.first + found.pending.length;
  }

  add(entry: Outgoing): void {
    const lane = this.lane(entry.to, entry.lane);
    assert(entry.number === lane.first + lane.pending.length, 'outbox numbers have no gaps');
    lane.pending.push(entry.transfer);
    this.#count(lane, entry.transfer, 1);
  }

  /** The transfers that an acknowledgement up to `upTo` would finish, with the first one's number. */
  peek(args: { to: SetId; lane: number; upTo: number }): { first: number; transfers: Transfer[] } {
    const lane = this.#lanes.get(args.to * 256 + args.lane);
    if (lane === undefined) return { first: 1, transfers: [] };
    const count = Math.max(0, Math.min(args.upTo - lane.first + 1, lane.pending.length));
    return { first: lane.first, transfers: lane.pending.slice(0, count) };
  }

  finish(args: { to: SetId; lane: number; upTo: number }): void {
    const lane = this.lane(args.to, args.lane);
    const count = Math.max(0, args.upTo - lane.first + 1);
    assert(count <= lane.pending.length, 'a receipt names what was sent');
    for (const transfer of lane.pending.take(count)) this.#count(lane, transfer, -1);
    lane.first += count;
  }

  /** Money of committed claims and refunds on its way to this person. */
  arriving(user: UserId): number {
    return this.#arriving.get(user) ?? 0;
  }

  restoreLane(to: SetId, lane: number, first: number): void {
    this.lane(to, lane).first = first;
  }

  #count(lane: Lane, transfer: Transfer, sign: 1 | -1): void {
    const money = moneyOf(transfer);
    lane.pendingCents += sign * money;
    assert(lane.pendingCents >= 0, 'nothing of a lane is finished twice');
    this.#pendingCents += sign * money;
    this.#pendingCount += sign;
    assert(this.#pendingCents >= 0 && this.#pendingCount >= 0, 'nothing is finished twice');
    if (transfer.kind !== 'claim.credit' && transfer.kind !== 'packet.refund') return;
    const left = (this.#arriving.get(transfer.user) ?? 0) + sign * money;
    assert(left >= 0, 'nothing arrives twice');
    if (left === 0) this.#arriving.delete(transfer.user);
    else this.#arriving.set(transfer.user, left);
  }
}
