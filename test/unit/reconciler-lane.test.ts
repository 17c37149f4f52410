/** What one lane of a courier holds, sends and owes (SPEC S3, S5). */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import type { Delivery, Held } from '../../reconciler/lane.ts';
import { LANE_HELD_MAX, Lane } from '../../reconciler/lane.ts';

const APPLIED: Receipt = { kind: 'applied' };

function held(number: number, bytes = 100): Held {
  return { number, transfer: new Uint8Array(bytes), seenAtMs: number };
}

function fill(lane: Lane, from: number, to: number): void {
  for (let number = from; number <= to; number++) lane.offer(held(number));
}

describe('a lane', () => {
  test('delivers at most 256 at once, in order', () => {
    const lane = new Lane();
    fill(lane, 1, 300);
    expect(lane.nextDelivery()).toMatchObject({
      first: 1,
      held: { length: LIMITS.deliverTransfersMax },
    });
    expect(lane.nextDelivery()).toBeNull();
    lane.deliveryFailed();
    expect(lane.nextDelivery()).toMatchObject({ first: 1, held: { length: 256 } });
    lane.received({ receipts: Array.from({ length: 256 }, () => APPLIED), epoch: 1, lsn: 9 });
    expect(lane.nextDelivery()).toMatchObject({ first: 257, held: { length: 44 } });
  });

  test('stays below the length of a command', () => {
    const lane = new Lane();
    for (let number = 1; number <= 20; number++) lane.offer(held(number, 7_000));
    expect(lane.nextDelivery()?.held.length).toBe(9);
  });

  test('takes each number once, and delivers no hole in one command', () => {
    const lane = new Lane();
    fill(lane, 1, 3);
    fill(lane, 2, 3);
    fill(lane, 7, 8);
    expect(lane.heldCount).toBe(5);
    expect(lane.nextDelivery()).toMatchObject({ first: 1, held: { length: 3 } });
    lane.received({ receipts: [APPLIED, APPLIED, APPLIED], epoch: 1, lsn: 9 });
    expect(lane.nextDelivery()).toMatchObject({ first: 7, held: { length: 2 } });
  });

  test('reads no more while it holds enough', () => {
    const lane = new Lane();
    fill(lane, 1, LANE_HELD_MAX - 1);
    expect(lane.cursor).toBe(LANE_HELD_MAX - 1);
    fill(lane, 1, LANE_HELD_MAX);
    expect(lane.cursor).toBeNull();
  });

  test('owes nothing before a receipt, and then all receipts in one ack', () => {
    const lane = new Lane();
    fill(lane, 1, 4);
    lane.nextDelivery();
    expect(lane.nextAck()).toBeNull();
    const refused: Receipt = { kind: 'tombstone', reason: 'not_allowed' };
    lane.received({
      receipts: [APPLIED, refused, { kind: 'duplicate' }, APPLIED],
      epoch: 1,
      lsn: 9,
    });
    const ack = {
      upTo: 4,
      tombstones: [{ number: 2, reason: 'not_allowed' }],
      receiptEpoch: 1,
      receiptLsn: 9,
    };
    expect(lane.nextAck()).toEqual(ack);
    expect(lane.nextAck()).toBeNull();
    fill(lane, 5, 6);
    lane.nextDelivery();
    lane.received({ receipts: [refused, APPLIED], epoch: 2, lsn: 12 });
    lane.ackFailed();
    const later = { number: 5, reason: 'not_allowed' };
    expect(lane.nextAck()).toEqual({
      upTo: 6,
      tombstones: [...ack.tombstones, later],
      receiptEpoch: 2,
      receiptLsn: 12,
    });
    lane.acked();
    expect(lane.isIdle).toBe(true);
  });

  test('tells what has waited longest, until its source has confirmed it', () => {
    const lane = new Lane();
    expect(lane.oldest).toBeNull();
    fill(lane, 1, 2);
    expect(lane.oldest).toMatchObject({ number: 1, seenAtMs: 1, step: 'deliver' });
    lane.nextDelivery();
    lane.received({ receipts: [APPLIED, APPLIED], epoch: 1, lsn: 1 });
    expect(lane.oldest).toMatchObject({ number: 1, step: 'ack' });
    lane.nextAck();
    fill(lane, 3, 4);
    lane.nextDelivery();
    lane.received({ receipts: [APPLIED, APPLIED], epoch: 1, lsn: 2 });
    fill(lane, 5, 5);
    lane.ackFailed();
    expect(lane.oldest).toMatchObject({ number: 1, step: 'ack' });
    lane.nextAck();
    lane.nextDelivery();
    lane.received({ receipts: [APPLIED], epoch: 1, lsn: 3 });
    lane.acked();
    expect(lane.oldest).toMatchObject({ number: 5, seenAtMs: 5, step: 'ack' });
    lane.nextAck();
    lane.acked();
    expect([lane.oldest, lane.isIdle]).toEqual([null, true]);
  });

  test('halves what is refused, down to one, and doubles again when something passes', () => {
    const lane = new Lane();
    fill(lane, 1, 300);
    const sizes: number[] = [];
    for (let tries = 0; tries < 10; tries++) {
      sizes.push(lane.nextDelivery()?.held.length ?? 0);
      lane.deliveryRefused();
    }
    expect(sizes).toEqual([256, 128, 64, 32, 16, 8, 4, 2, 1, 1]);
    lane.nextDelivery();
    lane.received({ receipts: [APPLIED], epoch: 1, lsn: 1 });
    expect(lane.nextDelivery()).toMatchObject({ first: 2, held: { length: 2 } });
  });

  test('keeps the tombstones that came while an ack was on its way', () => {
    const lane = new Lane();
    fill(lane, 1, 2);
    lane.nextDelivery();
    lane.received({ receipts: [APPLIED, APPLIED], epoch: 1, lsn: 1 });
    lane.nextAck();
    fill(lane, 3, 3);
    lane.nextDelivery();
    lane.received({ receipts: [{ kind: 'tombstone', reason: 'not_allowed' }], epoch: 1, lsn: 2 });
    lane.acked();
    expect(lane.nextAck()).toMatchObject({ upTo: 3, tombstones: [{ number: 3 }] });
  });
});

const AHEAD = 8;
const DELIVERY = LIMITS.deliverTransfersMax;
const REFUSED: Receipt = { kind: 'tombstone', reason: 'not_allowed' };

/** All that may leave now. */
function leaving(lane: Lane): Delivery[] {
  const found: Delivery[] = [];
  for (let next = lane.nextDelivery(); next !== null; next = lane.nextDelivery()) found.push(next);
  return found;
}

function receive(lane: Lane, delivery: Delivery, at: { receipt?: Receipt; lsn: number }): void {
  const receipts = delivery.held.map(() => at.receipt ?? APPLIED);
  lane.received({ receipts, epoch: 1, lsn: at.lsn }, delivery);
}

/** A lane with as many deliveries on their way as there may be, numbers from `first` on. */
function busyLane(): { lane: Lane; away: Delivery[] } {
  const lane = new Lane(AHEAD);
  fill(lane, 1, 20 * DELIVERY);
  const widths: number[] = [];
  for (let lsn = 1; lsn <= 3; lsn++) {
    const some = leaving(lane);
    widths.push(some.length);
    for (const each of some) receive(lane, each, { lsn });
  }
  expect(widths).toEqual([1, 2, 8]);
  lane.nextAck();
  lane.acked();
  expect(lane.isIdle).toBe(false);
  return { lane, away: leaving(lane) };
}

describe('[S3] several deliveries of one lane', () => {
  test('leave in order, one after a failure, more after each receipt', () => {
    const { lane, away } = busyLane();
    expect(away.map(({ first }) => (first - 1) / DELIVERY)).toEqual([
      11, 12, 13, 14, 15, 16, 17, 18,
    ]);
    for (const each of away.slice(1)) lane.deliveryFailed(each);
    expect(leaving(lane)).toEqual([]);
    lane.deliveryFailed(away[0]);
    const again = leaving(lane);
    expect(again).toEqual([away[0]]);
    receive(lane, again[0]!, { lsn: 9 });
    expect(leaving(lane)).toEqual(away.slice(1, 3));
  });

  test('are owed to their source only up to the first that has not come', () => {
    const { lane, away } = busyLane();
    const [lost, ...others] = away;
    for (const [index, each] of others.entries()) {
      receive(lane, each, { lsn: 20, ...(index === 0 ? { receipt: REFUSED } : {}) });
    }
    expect(lane.nextAck()).toBeNull();
    expect(lane.oldest).toMatchObject({ number: lost!.first, step: 'deliver' });
    lane.deliveryFailed(lost);
    // Of those that were received nothing goes again.
    const again = lane.nextDelivery();
    expect(again).toEqual(lost);
    receive(lane, again!, { lsn: 10 });
    const ack = lane.nextAck();
    // The mark under which all of it is committed, whichever came last.
    expect(ack).toMatchObject({ upTo: away.at(-1)!.first + DELIVERY - 1, receiptLsn: 20 });
    expect(ack?.tombstones.length).toBe(DELIVERY);
    expect(ack?.tombstones[0]).toEqual({ number: others[0]!.first, reason: 'not_allowed' });
  });

  test('never leave the window of their receiver, however long the first stays away', () => {
    const lane = new Lane(AHEAD);
    fill(lane, 1, 60 * DELIVERY);
    for (let lsn = 1; lsn <= 3; lsn++) {
      for (const each of leaving(lane)) receive(lane, each, { lsn });
    }
    const [first, ...others] = leaving(lane);
    let last = 0;
    for (let round = 0; round < 10; round++) {
      for (const each of others.splice(0)) {
        last = each.first + each.held.length - 1;
        receive(lane, each, { lsn: 10 + round });
      }
      others.push(...leaving(lane));
    }
    expect(last).toBe(first!.first + LIMITS.transferWindowMax - 1);
    expect(others).toEqual([]);
    receive(lane, first!, { lsn: 30 });
    expect(lane.nextAck()).toMatchObject({ upTo: last });
  });

  test('a lane of control keeps to one', () => {
    const lane = new Lane();
    fill(lane, 1, 10 * DELIVERY);
    for (let lsn = 1; lsn <= 5; lsn++) {
      const some = leaving(lane);
      expect(some.length).toBe(1);
      receive(lane, some[0]!, { lsn });
    }
  });

  test('[S5] a refused one is halved, and those behind it wait once they have failed', () => {
    const { lane, away } = busyLane();
    for (const each of away) lane.deliveryRefused(each);
    const sizes: number[] = [];
    for (let tries = 0; tries < 9; tries++) {
      const some = leaving(lane);
      sizes.push(some[0]?.held.length ?? 0);
      expect(some.map(({ first }) => first)).toEqual([away[0]!.first]);
      lane.deliveryRefused();
    }
    expect(sizes).toEqual([128, 64, 32, 16, 8, 4, 2, 1, 1]);
  });
});
