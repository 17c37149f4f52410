/** What a Set owes others leaves only on a receipt, in order, once. */
import { describe, expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import { packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { LANES, laneOf, moneyOf } from '../../lib/core/transfer.ts';
import { cents, setId } from '../../lib/core/units.ts';
import { Outbox } from '../../set-node/machine/outbox.ts';
import { TRANSFERS, user } from '../golden/format-examples.ts';

const to = setId(2);
const BOB = user('bob');

function credit(amount: number, kind: 'claim.credit' | 'packet.refund' = 'claim.credit'): Transfer {
  const id = packId({ ms: 1, set: setId(1), sequence: 1 });
  return { kind, packetId: id, groupId: id, user: BOB, amountCents: cents(amount) };
}

function filled(...amounts: number[]): Outbox {
  const outbox = new Outbox();
  for (const amount of amounts) {
    outbox.add({ to, lane: 2, number: outbox.nextNumber(to, 2), transfer: credit(amount) });
  }
  return outbox;
}

test('numbers count from 1 without gaps, in each lane and destination for itself', () => {
  const outbox = filled(1, 2);
  expect(outbox.nextNumber(to, 2)).toBe(3);
  expect(outbox.nextNumber(to, 3)).toBe(1);
  expect(outbox.nextNumber(setId(3), 2)).toBe(1);
  expect(() => outbox.add({ to, lane: 2, number: 4, transfer: credit(1) })).toThrow(
    AssertionFailed,
  );
  expect(() => outbox.add({ to, lane: 2, number: 2, transfer: credit(1) })).toThrow(
    AssertionFailed,
  );
});

test('a receipt finishes all up to its number, once', () => {
  const outbox = filled(10, 20, 30);
  expect(outbox.arriving(BOB)).toBe(60);
  expect(outbox.peek({ to, lane: 2, upTo: 2 })).toEqual({
    first: 1,
    transfers: [credit(10), credit(20)],
  });
  outbox.finish({ to, lane: 2, upTo: 2 });
  expect([outbox.pendingCents, outbox.pendingCount, outbox.arriving(BOB)]).toEqual([30, 1, 30]);
  outbox.finish({ to, lane: 2, upTo: 1 });
  expect(outbox.pendingCount).toBe(1);
  expect(outbox.peek({ to, lane: 2, upTo: 2 }).transfers).toEqual([]);
  expect(outbox.nextNumber(to, 2)).toBe(4);
  outbox.finish({ to, lane: 2, upTo: 3 });
  expect([outbox.pendingCents, outbox.pendingCount, outbox.arriving(BOB)]).toEqual([0, 0, 0]);
});

test('[AU6] each lane knows what its entries are worth together, whatever came and went', () => {
  const outbox = filled(10, 20, 30);
  outbox.add({ to, lane: 3, number: 1, transfer: credit(7) });
  outbox.finish({ to, lane: 2, upTo: 2 });
  outbox.add({ to, lane: 2, number: 4, transfer: credit(5) });
  for (const { pending, pendingCents } of outbox.lanes()) {
    expect(pendingCents).toBe([...pending].reduce((sum, transfer) => sum + moneyOf(transfer), 0));
  }
  expect([...outbox.lanes()].map(({ pendingCents }) => pendingCents)).toEqual([35, 7]);
});

test('a receipt for what was never sent is a bug', () => {
  expect(() => filled(1).finish({ to, lane: 2, upTo: 2 })).toThrow(AssertionFailed);
});

test('a lane comes back from a snapshot where it stood', () => {
  const outbox = new Outbox();
  outbox.restoreLane(to, 2, 17);
  outbox.add({ to, lane: 2, number: 17, transfer: credit(5) });
  expect(outbox.nextNumber(to, 2)).toBe(18);
  expect(outbox.arriving(BOB)).toBe(5);
});

test('only claims and refunds arrive at somebody; packets on their way carry money too', () => {
  const outbox = new Outbox();
  const { value: create } = TRANSFERS['packet.create'];
  outbox.add({ to, lane: 0, number: 1, transfer: create });
  expect(outbox.pendingCents).toBe(20_000);
  expect(outbox.arriving(user('alice'))).toBe(0);
  outbox.add({ to, lane: 3, number: 1, transfer: credit(7, 'packet.refund') });
  expect(outbox.arriving(BOB)).toBe(7);
});

test('a long lane is finished piece by piece, and each piece is the next', () => {
  const outbox = new Outbox();
  const total = 5_000;
  const lane = outbox.lane(to, 2);
  const add = (): void => {
    const number = outbox.nextNumber(to, 2);
    outbox.add({ to, lane: 2, number, transfer: credit(number) });
  };
  while (outbox.nextNumber(to, 2) <= total) add();
  for (let upTo = 0; upTo < total;) {
    const [head] = lane.pending.slice(0, 1);
    expect(head).toMatchObject({ amountCents: upTo + 1 });
    expect(lane.pending.length).toBe(total - upTo);
    upTo = Math.min(total, upTo + 333);
    outbox.finish({ to, lane: 2, upTo });
  }
  add();
  expect([...lane.pending]).toMatchObject([{ amountCents: total + 1 }]);
  expect([lane.first, outbox.pendingCents]).toEqual([total + 1, total + 1]);
});

describe('lanes', () => {
  test.each([
    ['packet.create', LANES.control, 20_000],
    ['packet.announce', LANES.control, 0],
    ['claim.credit', LANES.largeCredit, 5_000],
    ['packet.refund', LANES.refund, 1],
    ['group.found', LANES.control, 0],
    ['member.hint', LANES.control, 0],
  ] as const)('%s goes by lane %i with %i cents', (kind, lane, money) => {
    expect(laneOf(TRANSFERS[kind].value)).toBe(lane);
    expect(moneyOf(TRANSFERS[kind].value)).toBe(money);
  });

  test('large claims go first', () => {
    expect(laneOf(credit(LIMITS.largeClaimCentsMin))).toBe(LANES.largeCredit);
    expect(laneOf(credit(LIMITS.largeClaimCentsMin - 1))).toBe(LANES.credit);
    expect(LANES.largeCredit).toBeLessThan(LANES.credit);
  });
});
