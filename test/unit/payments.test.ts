/** M11, M12, C16: what is decided of payments, freezes, adjustments and the operator's policy. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import { checkShape } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { dayOf } from '../../lib/core/payment.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { replay } from '../../set-node/machine/machine.ts';
import { DEFAULT_POLICY } from '../../set-node/machine/policy.ts';
import type { Policy } from '../../set-node/machine/policy.ts';
import { paymentsOf } from '../../set-node/read/payments.ts';
import {
  ANN,
  Bench,
  GRANT,
  GROUP,
  MINUTE,
  OPS,
  SET,
  START,
  same,
  settle,
} from './payment-bench.ts';

describe('[M11] a payment ends once', () => {
  test('two callbacks at once move its money once, and are told the same', () => {
    const b = new Bench();
    const paymentId = b.begin(b.topup(500));
    const first = b.run(settle(paymentId, 'paid', 500));
    const second = b.run(settle(paymentId, 'paid', 500));
    expect([first.effects, second.effects]).toEqual([true, false]);
    expect(second.outcome).toEqual(first.outcome);
    expect(b.status(settle(paymentId, 'denied', 500))).toBe('payment_ended');
    expect(b.balance).toBe(10_500);
    same(b);
  });

  test('a callback and the expiry, in both orders', () => {
    const b = new Bench();
    const ids = [b.begin(b.topup(500)), b.begin(b.topup(500))] as const;
    const expire = (paymentId: Id): Command => ({ type: 'payment.expire', paymentId });
    expect(b.status(expire(ids[0]))).toBe('packet_not_due');
    b.now += 15 * MINUTE;
    expect(b.status(settle(ids[0], 'paid', 500))).toBe('credited');
    expect(b.status(expire(ids[0]))).toBe('payment_ended');
    expect(b.status(expire(ids[1]))).toBe('ok');
    expect(b.status(settle(ids[1], 'denied', 500))).toBe('dropped');
    expect(b.status(settle(ids[1], 'paid', 500))).toBe('credited');
    expect(b.status(settle(ids[1], 'denied', 500))).toBe('payment_ended');
    expect(b.balance).toBe(11_000);
    same(b);
  });

  test('a packet is sent until the millisecond at which its payment is due', () => {
    const b = new Bench();
    const ids = [b.begin(b.packet('packet.pay')), b.begin(b.packet('packet.pay'))] as const;
    b.now += 15 * MINUTE - 1;
    expect(b.status(settle(ids[0], 'paid', 100))).toBe('sent');
    b.now += 1;
    // Its leader has not come to expire it.
    expect(b.status(settle(ids[1], 'paid', 100))).toBe('credited');
    expect(b.balance).toBe(10_100);
    expect(b.state.outbox.pendingCents).toBe(100);
    same(b);
  });

  test('another amount moves nothing, whatever was said before', () => {
    const b = new Bench();
    const paymentId = b.begin(b.topup(500));
    for (const result of ['paid', 'denied'] as const) {
      expect(b.status(settle(paymentId, result, 501))).toBe('amount_mismatch');
    }
    b.run(settle(paymentId, 'paid', 500));
    expect(b.status(settle(paymentId, 'paid', 499))).toBe('amount_mismatch');
    expect(b.balance).toBe(10_500);
  });

  test('elsewhere, never begun, and not known before rules 3', () => {
    const b = new Bench();
    const paymentId = b.begin(b.topup(500));
    const other = packId({ ms: 1, set: setId(2), sequence: 1 });
    expect(b.status(settle(other, 'paid', 500))).toBe('wrong_set');
    expect(b.status(settle((paymentId + 1n) as Id, 'paid', 500))).toBe('payment_not_found');
    const old = new Bench(2);
    expect(old.status(settle(paymentId, 'paid', 500))).toBe('malformed');
    expect(old.status(old.freeze(true))).toBe('malformed');
    same(old);
  });

  test('the eighth is the last that a person has under way', () => {
    const b = new Bench();
    const ids = Array.from({ length: 8 }, () => b.begin(b.topup(1)));
    const ninth = b.topup(1);
    expect(b.status(ninth)).toBe('too_many_payments');
    expect(b.status(b.withdraw(1))).toBe('too_many_payments');
    expect(b.status(settle(ids[3]!, 'denied', 1))).toBe('dropped');
    // Who was told no is told no for ever; another one may.
    expect(b.status(ninth)).toBe('too_many_payments');
    expect(b.status(b.topup(1))).toBe('ok');
    same(b);
  });

  test('what the journal cannot mean is not replayed', () => {
    const b = new Bench();
    const paymentId = b.begin(b.topup(500));
    const command = settle(paymentId, 'paid', 500);
    const place = { lsn: lsn(9), ts: timeMs(b.now) };
    const said = { type: 'payment.settle', status: 'ok', user: ANN, amountCents: cents(500) };
    const told = (change: object): (() => void) => {
      const outcome = { ...said, became: 'credited', ...change } as never;
      return () =>
        replay({ state: b.twin, op: { command, outcome, postings: [], sends: [] }, place });
    };
    for (const lie of [{ became: 'paid_out' }, { became: 'dropped' }, { user: OPS }]) {
      expect(told(lie)).toThrow(AssertionFailed);
    }
    expect(told({ amountCents: cents(499) })).toThrow('M11');
    told({})();
    expect(told({})).toThrow('M11: a payment ends once');
  });
});

describe('[M11] withdrawals', () => {
  test('the gateway has the money until it says what became of it', () => {
    const b = new Bench();
    const [paid, denied] = [b.begin(b.withdraw(300)), b.begin(b.withdraw(200))];
    expect([b.balance, b.state.gatewayCents]).toEqual([9_500, 500]);
    expect(b.state.money()).toMatchObject({ clearingCents: 500, issuerCents: -10_000 });
    same(b);
    expect(b.status(settle(paid, 'paid', 300))).toBe('paid_out');
    // Frozen meanwhile: what comes back still arrives.
    b.run(b.freeze(true));
    expect(b.status(settle(denied, 'denied', 200))).toBe('returned');
    expect([b.balance, b.state.gatewayCents]).toEqual([9_700, 0]);
    expect(b.state.money()).toMatchObject({ clearingCents: 0, issuerCents: -9_700 });
    same(b);
  });

  test('never expire, and never overdraw', () => {
    const b = new Bench();
    const paymentId = b.begin(b.withdraw(10_000));
    expect(b.status(b.withdraw(1))).toBe('insufficient_funds');
    b.now += 365 * 24 * 60 * MINUTE;
    expect(b.status({ type: 'payment.expire', paymentId })).toBe('packet_not_due');
    expect(b.status(settle(paymentId, 'paid', 10_000))).toBe('paid_out');
  });

  test('may take out of a Set what came in to another', () => {
    const b = new Bench();
    const credit = {
      kind: 'claim.credit',
      packetId: packId({ ms: 1, set: setId(2), sequence: 7 }),
      groupId: GROUP,
      user: ANN,
      amountCents: cents(5_000),
    } as const;
    const lane = { from: setId(2), lane: 1, first: 1 };
    b.run({ type: 'transfer.deliver', ...lane, transfers: [credit] });
    const paymentId = b.begin(b.withdraw(15_000));
    expect(b.status(settle(paymentId, 'paid', 15_000))).toBe('paid_out');
    expect(b.state.issuerCents).toBe(5_000);
    same(b);
  });
});

describe('[M11] money has an end', () => {
  test('what is under way keeps its room; what comes beyond it waits at the gateway', () => {
    const b = new Bench();
    const room = LIMITS.topupCentsMax;
    b.run(b.adjust(LIMITS.issuedCentsMax - 10_000 - room));
    const all = b.begin(b.topup(room));
    expect(b.status(b.topup(1))).toBe('issue_limit');
    expect(b.status(b.packet('packet.pay'))).toBe('issue_limit');
    expect(b.status(b.adjust(1))).toBe('issue_limit');
    b.now += 15 * MINUTE;
    b.run({ type: 'payment.expire', paymentId: all });
    const more = b.begin(b.topup(room));
    // Late money for both: more than may be issued by intent, and far from the end of integers.
    expect(b.status(settle(all, 'paid', room))).toBe('credited');
    expect(b.status(settle(more, 'paid', room))).toBe('credited');
    expect(b.balance).toBe(LIMITS.issuedCentsMax + room);
    // Nor may the gateway hold more than could come back.
    expect(b.status(b.withdraw(LIMITS.issuedCentsMax))).toBe('ok');
    expect(b.status(b.withdraw(1))).toBe('issue_limit');
  });

  test('nobody takes the room of a Set with top-ups that he never pays', () => {
    const b = new Bench();
    const all = { ...b.topup(1), amountCents: LIMITS.issuedCentsMax - 10_000 } as Command;
    expect(checkShape(all)).toBe('amount_out_of_range');
    for (let count = 0; count < LIMITS.paymentsUnderWayMax; count++) {
      expect(b.status(b.topup(LIMITS.topupCentsMax))).toBe('ok');
    }
    expect(b.status(b.adjust(1))).toBe('ok');
  });

  test('money that leaves keeps totals safe, whatever came over a stream', () => {
    const b = new Bench();
    const paymentId = b.begin(b.withdraw(5));
    const { issuerCents } = b.state;
    b.state.issuerCents = LIMITS.setTotalCentsMax;
    expect(b.status(settle(paymentId, 'paid', 5))).toBe('issue_limit');
    expect(b.status(b.adjust(-1))).toBe('issue_limit');
    b.state.issuerCents = issuerCents;
    expect(b.status(settle(paymentId, 'paid', 5))).toBe('paid_out');
    same(b);
  });

  test('a full Set takes no money and forgets no payment', () => {
    const b = new Bench();
    const paymentId = b.begin(b.topup(5));
    const { issuerCents } = b.state;
    b.state.issuerCents = -LIMITS.setTotalCentsMax;
    expect(b.status(settle(paymentId, 'paid', 5))).toBe('issue_limit');
    b.state.issuerCents = issuerCents;
    expect(b.status(settle(paymentId, 'paid', 5))).toBe('credited');
  });

  test('shapes', () => {
    const b = new Bench();
    const shape = (command: Command, change: object) => checkShape({ ...command, ...change });
    for (const amountCents of [0, LIMITS.issuedCentsMax + 1]) {
      for (const each of [b.topup(1), b.withdraw(1), settle(GROUP, 'paid', 1), b.adjust(1)]) {
        expect(shape(each, { amountCents })).toBe('amount_out_of_range');
      }
    }
    expect(shape(b.adjust(1), { amountCents: -LIMITS.issuedCentsMax })).toBeNull();
    expect(shape(b.topup(LIMITS.topupCentsMax), {})).toBeNull();
    expect(shape(b.topup(LIMITS.topupCentsMax + 1), {})).toBe('amount_out_of_range');
    const long = '长'.repeat(43);
    expect(shape(b.withdraw(1), { destination: '' })).toBe('bad_argument');
    expect(shape(b.withdraw(1), { destination: long })).toBe('bad_argument');
    expect(shape(settle(GROUP, 'paid', 1), { reference: long })).toBe('bad_argument');
    expect(shape(b.adjust(1), { reason: '\ud800' })).toBe('bad_argument');
    expect(shape(b.freeze(true), { reason: long })).toBe('bad_argument');
  });
});

test('[M11] payments are told page by page, by id and by what became of them', () => {
  const b = new Bench();
  const ids = Array.from({ length: 6 }, () => b.begin(b.topup(1)));
  b.run(settle(ids[1]!, 'denied', 1));
  // One that had left memory is paid after all: it stands behind those that are younger.
  const earlier = { kind: 'payment', state: 'expired', purpose: 'topup', owner: ANN } as const;
  const late = { ...earlier, amountCents: cents(7), inTime: false };
  const old = packId({ ms: 1, set: SET, sequence: 0 });
  expect(b.status(settle(old, 'paid', 7), { earlier: late })).toBe('credited');
  b.run(settle(ids[4]!, 'paid', 1));
  const told = (state: string, limit = 2): string[] => {
    const found: string[] = [];
    for (let after = 0n as Id; ; after = BigInt(found.at(-1)!) as Id) {
      const { payments = [] } = paymentsOf(b.state, { state, after, limit })!;
      found.push(...payments.map(({ paymentId }) => String(paymentId)));
      if (payments.length < limit) return found;
    }
  };
  const text = (...of: (Id | undefined)[]): string[] => of.map(String);
  expect(told('pending')).toEqual(text(ids[0], ids[2], ids[3], ids[5]));
  expect(told('paid')).toEqual(text(old, ids[4]));
  expect(told('denied')).toEqual(text(ids[1]));
  expect(told('')).toEqual(text(old, ...ids));
  expect(b.state.payments.pendingCount).toBe(4);
});

describe('[M12] what an operator does', () => {
  test('a frozen wallet receives and sends nothing; what was paid already is sent', () => {
    const b = new Bench();
    const paid = b.begin(b.packet('packet.pay'));
    const freeze = b.freeze(true);
    expect(b.status(freeze)).toBe('ok');
    expect(b.status(freeze)).toBe('ok');
    const refused = [b.packet('packet.send'), b.packet('packet.pay'), b.topup(1), b.withdraw(1)];
    for (const each of refused) expect(b.status(each)).toBe('wallet_frozen');
    expect(b.status(settle(paid, 'paid', 100))).toBe('sent');
    expect(b.status(b.adjust(5))).toBe('ok');
    expect(b.status(b.freeze(false))).toBe('ok');
    // M9: a late duplicate of what was refused does not spend.
    for (const each of refused) expect(b.status(each)).toBe('wallet_frozen');
    expect(b.status(b.packet('packet.send'))).toBe('ok');
    same(b);
  });

  test('an adjustment is kept by operator and id, and takes no more than there is', () => {
    const b = new Bench();
    const plus = b.adjust(25);
    expect(b.run(plus).outcome).toMatchObject({ balanceCents: 10_025 });
    expect(b.run(plus)).toMatchObject({ effects: false, outcome: { balanceCents: 10_025 } });
    expect(b.status({ ...plus, amountCents: cents(26) } as Command)).toBe('id_reused');
    expect(b.status(b.adjust(-10_026))).toBe('insufficient_funds');
    expect(b.status(b.adjust(-10_025))).toBe('ok');
    expect([b.balance, b.state.issuerCents]).toEqual([0, 0]);
    same(b);
  });
});

describe("[C16] the operator's policy", () => {
  test.each<[Partial<Policy>, Partial<PacketDefinition>, string]>([
    [{ packetTotalCentsMax: 99 }, {}, 'amount_out_of_range'],
    [{ packetCountMax: 2 }, { count: 3 }, 'count_out_of_range'],
    [{ shareCentsMax: 49 }, { count: 2 }, 'amount_out_of_range'],
    [{ shareCentsMin: 51 }, { count: 2 }, 'share_below_minimum'],
    [{ shareCentsMin: 50, shareCentsMax: 50 }, { count: 2 }, 'ok'],
    [{ dailyCentsMax: 99 }, {}, 'daily_limit'],
    [{ dailyPacketsMax: 1 }, {}, 'ok'],
  ])('%j', (policy, more, status) => {
    const b = new Bench();
    b.policy = { ...DEFAULT_POLICY, ...policy };
    expect(b.status(b.packet('packet.send', more))).toBe(status);
    const c = new Bench();
    c.policy = b.policy;
    expect(c.status(c.packet('packet.pay', more))).toBe(status);
  });

  test('a sender opens his own packet, or not', () => {
    for (const [ownPackets, status] of [
      [true, 'ok'],
      [false, 'not_allowed'],
    ] as const) {
      const b = new Bench();
      b.policy = { ...DEFAULT_POLICY, ownPackets };
      const { outcome } = b.run({ type: 'ids.reserve', count: 1 });
      if (!('firstId' in outcome)) throw new Error(outcome.status);
      const packetId = outcome.firstId;
      const send = b.packet('packet.send', { packetId, count: 2 });
      if (send.type !== 'packet.send') throw new Error(send.type);
      const { definition } = send;
      const create = { kind: 'packet.create', definition, sentAt: timeMs(b.now) } as const;
      const lane = { from: SET, lane: 0, first: 1 };
      b.run({ type: 'transfer.deliver', ...lane, transfers: [create] });
      expect(b.status({ type: 'packet.open', packetId, user: ANN, grant: GRANT })).toBe(status);
      expect(b.status({ type: 'packet.open', packetId, user: OPS, grant: GRANT })).toBe('ok');
    }
  });

  test('a day is one of UTC+8, and both ways of sending count', () => {
    const b = new Bench();
    b.policy = { ...DEFAULT_POLICY, dailyPacketsMax: 2, dailyCentsMax: 250 };
    // One minute before midnight in China.
    b.now = Date.UTC(2026, 5, 1, 15, 59);
    expect(b.status(b.packet('packet.send'))).toBe('ok');
    expect(b.status(b.packet('packet.pay', { totalCents: cents(151) }))).toBe('daily_limit');
    expect(b.status(b.packet('packet.pay'))).toBe('ok');
    const third = b.packet('packet.send', { totalCents: cents(1) });
    expect(b.status(third)).toBe('daily_limit');
    same(b);
    b.now += MINUTE;
    expect(b.status(third)).toBe('daily_limit');
    expect(b.status(b.packet('packet.send'))).toBe('ok');
    expect(b.state.people.get(ANN)?.tally).toMatchObject({ cents: 100, packets: 1 });
    same(b);
  });

  test('days change at 16:00 UTC and nowhere else', () => {
    fc.assert(
      fc.property(fc.integer({ min: START, max: START + 2e9 }), (ts) => {
        const inChina = (at: number): string =>
          new Date(at + 28_800_000).toISOString().slice(0, 10);
        expect(dayOf(ts) === dayOf(START)).toBe(inChina(ts) === inChina(START));
      }),
    );
  });

  test('before rules 3 nothing is counted', () => {
    const b = new Bench(2);
    b.run(b.packet('packet.send'));
    expect(b.state.people.get(ANN)?.tally).toBeNull();
    same(b);
  });
});
