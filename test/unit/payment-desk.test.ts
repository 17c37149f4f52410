/** The desk between wallets and the payment gateway, against Sets and a gateway that fail. */
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { SandboxGateway } from '../../lib/adapter/sandbox-gateway.ts';
import { utf8 } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { asId, packId } from '../../lib/core/ids.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { PaymentPurpose } from '../../lib/core/payment.ts';
import type { Status } from '../../lib/core/status.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, setId } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { PaymentGateway, PaymentReply } from '../../lib/port/payment-gateway.ts';
import type { Payment__Output } from '../../proto/gen/hongbao/Payment.ts';
import type { Ask, CommandAnswer, QueryAnswer } from '../../router/api.ts';
import { startPaymentDesk } from '../../reconciler/payments.ts';
import type { PaymentDeskArgs } from '../../reconciler/payments.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';

const HOUR_MS = 3_600_000;

class World {
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(7);
  readonly metrics = createMetrics();
  readonly payments = new Map<Id, Payment__Output>();
  readonly settles: Extract<Command, { type: 'payment.settle' }>[] = [];
  readonly logged: string[] = [];
  /** What the next settles come to instead. */
  readonly refusals: Status[] = [];
  readonly down = new Set<SetId>();
  readonly gateway = new SandboxGateway({
    secret: utf8('a secret of 32 bytes for callbacks'),
    clock: this.clock,
    random: this.random,
    checkoutBase: () => '',
    // Every callback is lost: the desk is all that there is.
    send: () => Promise.resolve(200),
  });

  /** A payment of `set`, and its checkout or nothing at the gateway. */
  async begin(of: { set: number; purpose: PaymentPurpose; amountCents: number; to?: string }) {
    const { purpose, amountCents, to = '' } = of;
    const sequence = this.payments.size + 1;
    const id = packId({ ms: 5, set: setId(of.set), sequence });
    const now = this.clock.now();
    this.payments.set(id, {
      paymentId: String(id),
      user: 'ann',
      purpose,
      amountCents: String(amountCents),
      state: 'pending',
      packetId: '0',
      destination: to,
      reference: '',
      createdAt: String(now),
      dueAt: String(purpose === 'withdraw' ? 0 : now + HOUR_MS),
      endedAt: '0',
    });
    const asked = { paymentId: id, amountCents: cents(amountCents), dueAt: now };
    if (purpose !== 'withdraw') await this.gateway.createCheckout(asked);
    return id;
  }

  desk(more: Partial<PaymentDeskArgs> = {}) {
    const { clock, random, gateway, metrics } = this;
    const log = { info() {}, warn() {}, error: (event: string) => void this.logged.push(event) };
    const router = {
      sets: () => [setId(0), setId(1)],
      command: (set: SetId, c: Command) => Promise.resolve(this.#command(set, c)),
      query: (set: SetId, ask: Ask) => Promise.resolve(this.#query(set, ask)),
    } as unknown as PaymentDeskArgs['router'];
    return startPaymentDesk({ router, gateway, clock, random, log, metrics, ...more });
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      this.clock.advance(250);
      await new Promise(setImmediate);
    }
  }

  async value(line: string): Promise<number> {
    const text = await this.metrics.expose();
    const found = text.split('\n').find((each) => each.startsWith(`${line} `));
    return Number(found?.split(' ')[1] ?? Number.NaN);
  }

  #command(set: SetId, c: Command): CommandAnswer {
    const mark = { setId: set, epoch: 1, lsn: 1 };
    if (c.type !== 'payment.settle') throw new Error('the desk only settles');
    this.settles.push(c);
    const refusal = this.refusals.shift();
    const payment = this.payments.get(c.paymentId);
    if (refusal !== undefined) return { outcome: refuse(c.type, refusal), mark };
    if (payment === undefined) return { outcome: refuse(c.type, 'payment_not_found'), mark };
    if (Number(payment.amountCents) !== c.amountCents) {
      return { outcome: refuse(c.type, 'amount_mismatch'), mark };
    }
    this.payments.set(c.paymentId, { ...payment, state: c.result });
    const { amountCents } = c;
    const user = parseUserId('ann')!;
    const success = { type: c.type, became: 'credited', user, amountCents } as const;
    return { outcome: { status: 'ok', ...success }, mark };
  }

  #query(set: SetId, ask: Ask): QueryAnswer {
    if (this.down.has(set)) return { status: 'set_unavailable', reply: null };
    const { state = '', after = '0', limit = 0 } = ask.payments ?? {};
    const payments: Payment__Output[] = [];
    for (const [id, payment] of this.payments) {
      if (payments.length === limit) break;
      const isHere = Number((id >> 12n) & 1023n) === set && payment.state === state;
      if (isHere && id > BigInt(String(after))) payments.push(payment);
    }
    const reply = { tag: 1, status: 'ok', asOfLsn: '1', payments: { payments } };
    return { status: 'ok', reply };
  }
}

describe('withdrawals', () => {
  test('are handed over within two looks and settled once', async () => {
    const world = new World();
    const id = await world.begin({ set: 1, purpose: 'withdraw', amountCents: 700, to: 'bank' });
    const desk = world.desk();
    await world.pass(60_000);
    expect(world.settles).toEqual([
      {
        type: 'payment.settle',
        paymentId: id,
        result: 'paid',
        amountCents: 700,
        reference: `sandbox-${id}`,
      },
    ]);
    expect(
      await world.value('hongbao_payments_settled_total{purpose="withdraw",result="paid"}'),
    ).toBe(1);
    await desk.stop();
  });

  test('that the gateway denies come back', async () => {
    const world = new World();
    const id = await world.begin({ set: 0, purpose: 'withdraw', amountCents: 700, to: 'deny' });
    const desk = world.desk();
    await world.pass(3_000);
    expect(world.settles).toMatchObject([{ paymentId: id, result: 'denied' }]);
    await desk.stop();
  });

  test('wait for a gateway that is away for an hour, and are asked about at most once a second', async () => {
    const world = new World();
    await world.begin({ set: 0, purpose: 'withdraw', amountCents: 700, to: 'bank' });
    let asked = 0;
    let away = true;
    const gateway = Object.create(world.gateway) as PaymentGateway;
    gateway.payOut = (payout) => {
      asked += 1;
      return away ? Promise.resolve({ kind: 'away' }) : world.gateway.payOut(payout);
    };
    const desk = world.desk({ gateway });
    await world.pass(HOUR_MS);
    expect(world.settles).toEqual([]);
    expect(asked).toBeGreaterThan(60);
    expect(asked).toBeLessThan(400);
    expect(
      await world.value('hongbao_payments_oldest_seconds{purpose="withdraw"}'),
    ).toBeGreaterThan(3_590);
    expect(await world.value('hongbao_payments_pending_cents{purpose="withdraw"}')).toBe(700);
    away = false;
    await world.pass(62_000);
    expect(world.settles).toMatchObject([{ result: 'paid' }]);
    expect(await world.value('hongbao_payments_pending{purpose="withdraw"}')).toBe(0);
    expect(await world.value('hongbao_payments_oldest_seconds{purpose="withdraw"}')).toBe(0);
    await desk.stop();
  });

  test('that are settled by nobody are settled again until they are: the payout is done once', async () => {
    const world = new World();
    await world.begin({ set: 0, purpose: 'withdraw', amountCents: 700, to: 'bank' });
    world.refusals.push('unknown', 'set_unavailable', 'overloaded');
    const desk = world.desk();
    await world.pass(30_000);
    expect(world.settles).toHaveLength(4);
    expect(new Set(world.settles.map(({ reference }) => reference)).size).toBe(1);
    expect(world.logged).toEqual([]);
    await desk.stop();
  });

  test('that contradict the gateway are a case for a person, and are not settled', async () => {
    const world = new World();
    const id = await world.begin({ set: 0, purpose: 'withdraw', amountCents: 700, to: 'bank' });
    await world.gateway.payOut({ paymentId: id, amountCents: cents(1), destination: 'bank' });
    const desk = world.desk();
    await world.pass(2_000);
    expect(world.settles).toEqual([]);
    expect(new Set(world.logged)).toEqual(new Set(['payment_stuck']));
    expect(await world.value('hongbao_payments_stuck_total{reason="conflict"}')).toBeGreaterThan(0);
    await desk.stop();
  });
});

describe('payments from outside', () => {
  test('whose callback is lost are found after 10 s, not before', async () => {
    const world = new World();
    const id = await world.begin({ set: 1, purpose: 'topup', amountCents: 500 });
    const desk = world.desk();
    world.gateway.end(id, 'paid');
    await world.pass(9_000);
    expect(world.settles).toEqual([]);
    await world.pass(3_000);
    expect(world.settles).toMatchObject([{ paymentId: id, result: 'paid', amountCents: 500 }]);
    await desk.stop();
  });

  test('that nobody pays are asked about ever more rarely and never settled', async () => {
    const world = new World();
    await world.begin({ set: 1, purpose: 'packet', amountCents: 500 });
    let asked = 0;
    const gateway = Object.create(world.gateway) as PaymentGateway;
    gateway.stateOf = (id): Promise<PaymentReply> => {
      asked += 1;
      return world.gateway.stateOf(id);
    };
    const desk = world.desk({ gateway });
    await world.pass(15 * 60_000);
    expect(world.settles).toEqual([]);
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(120);
    await desk.stop();
  });

  test('that were paid in the last moment and expired are found, too', async () => {
    const world = new World();
    const id = await world.begin({ set: 1, purpose: 'topup', amountCents: 500 });
    world.gateway.end(id, 'paid');
    world.payments.set(id, { ...world.payments.get(id)!, state: 'expired' });
    const desk = world.desk();
    await world.pass(40_000);
    expect(world.settles).toMatchObject([{ paymentId: id, result: 'paid' }]);
    await desk.stop();
  });

  test('of which the gateway knows nothing are never denied', async () => {
    const world = new World();
    const id = await world.begin({ set: 1, purpose: 'topup', amountCents: 500 });
    const gateway = Object.create(world.gateway) as PaymentGateway;
    gateway.stateOf = () => Promise.resolve({ kind: 'unknown' });
    const desk = world.desk({ gateway });
    await world.pass(120_000);
    expect(world.settles).toEqual([]);
    expect(world.payments.get(id)).toMatchObject({ state: 'pending' });
    await desk.stop();
  });
});

describe('many', () => {
  test('2,500 withdrawals of two Sets: all settled once, at most 32 in hand', async () => {
    const world = new World();
    for (let index = 0; index < 2_500; index++) {
      await world.begin({ set: index % 2, purpose: 'withdraw', amountCents: 1 + index, to: 'b' });
    }
    let inHand = 0;
    let most = 0;
    const gateway = Object.create(world.gateway) as PaymentGateway;
    gateway.payOut = async (payout) => {
      most = Math.max(most, (inHand += 1));
      const reply = await world.gateway.payOut(payout);
      await new Promise((resolve) => world.clock.after(20, () => resolve(null)));
      inHand -= 1;
      return reply;
    };
    const desk = world.desk({ gateway });
    await world.pass(120_000);
    expect(most).toBe(32);
    expect(world.settles).toHaveLength(2_500);
    expect(new Set(world.settles.map(({ paymentId }) => paymentId)).size).toBe(2_500);
    await desk.stop();
  });

  test('a withdrawal behind a full page of payments that nobody pays is found', async () => {
    const world = new World();
    for (let index = 0; index < 1_000; index++) {
      await world.begin({ set: 1, purpose: 'topup', amountCents: 1 });
    }
    const id = await world.begin({ set: 1, purpose: 'withdraw', amountCents: 2, to: 'b' });
    const desk = world.desk();
    await world.pass(3_000);
    expect(world.settles).toMatchObject([{ paymentId: id }]);
    expect(await world.value('hongbao_payments_pending{purpose="topup"}')).toBe(1_000);
    await desk.stop();
  });

  test('50,000 top-ups that nobody pays keep no withdrawal out', async () => {
    const world = new World();
    const topup = await world.begin({ set: 1, purpose: 'topup', amountCents: 1 });
    const one = world.payments.get(topup)!;
    for (let index = 0; index < 50_000; index++) {
      const id = packId({ ms: 6 + (index >> 12), set: setId(1), sequence: index & 4_095 });
      world.payments.set(id, { ...one, paymentId: String(id) });
    }
    const desk = world.desk({ times: { askAfterMs: 0, lookMs: 5_000 } });
    await world.pass(1_000);
    const id = packId({ ms: 99, set: setId(1), sequence: 1 });
    const purpose = 'withdraw';
    world.payments.set(id, { ...one, paymentId: String(id), purpose, destination: 'b' });
    await world.pass(6_000);
    expect(world.settles).toMatchObject([{ paymentId: id }]);
    await desk.stop();
  });

  test('a slow gateway gets withdrawals before a long line of questions, and those as well', async () => {
    const world = new World();
    for (let index = 0; index < 640; index++) {
      await world.begin({ set: 1, purpose: 'topup', amountCents: 1 });
    }
    let asked = 0;
    const gateway = Object.create(world.gateway) as PaymentGateway;
    const later = (): Promise<unknown> =>
      new Promise((resolve) => world.clock.after(1_000, () => resolve(null)));
    gateway.stateOf = async (id) => {
      asked += 1;
      await later();
      return world.gateway.stateOf(id);
    };
    gateway.payOut = async (payout) => {
      await later();
      return world.gateway.payOut(payout);
    };
    const desk = world.desk({ gateway, times: { askAfterMs: 2_000 } });
    // Twenty seconds of questions stand in line.
    await world.pass(3_500);
    for (let index = 0; index < 100; index++) {
      await world.begin({ set: 1, purpose: 'withdraw', amountCents: 2, to: 'b' });
    }
    const before = asked;
    await world.pass(10_000);
    expect(world.settles).toHaveLength(100);
    expect(asked - before).toBeGreaterThan(100);
    await desk.stop();
  });

  test('a Set that is away holds up no other, and its payments are kept', async () => {
    const world = new World();
    const away = await world.begin({ set: 0, purpose: 'withdraw', amountCents: 1, to: 'b' });
    const there = await world.begin({ set: 1, purpose: 'withdraw', amountCents: 2, to: 'b' });
    world.down.add(setId(0));
    const desk = world.desk();
    await world.pass(3_000);
    expect(world.settles.map(({ paymentId }) => paymentId)).toEqual([there]);
    world.down.clear();
    await world.pass(3_000);
    expect(world.settles.map(({ paymentId }) => paymentId)).toEqual([there, away]);
    await desk.stop();
  });

  test('a desk that owns one Set leaves the other alone', async () => {
    const world = new World();
    await world.begin({ set: 0, purpose: 'withdraw', amountCents: 1, to: 'b' });
    const mine = await world.begin({ set: 1, purpose: 'withdraw', amountCents: 2, to: 'b' });
    const desk = world.desk({ owns: (set) => set === 1 });
    await world.pass(5_000);
    expect(world.settles.map(({ paymentId }) => paymentId)).toEqual([mine]);
    await desk.stop();
  });

  test('after stop nothing is asked', async () => {
    const world = new World();
    const desk = world.desk();
    await world.pass(1_000);
    await desk.stop();
    await world.begin({ set: 0, purpose: 'withdraw', amountCents: 1, to: 'b' });
    await world.pass(5_000);
    expect(world.settles).toEqual([]);
    expect(await world.gateway.stateOf(asId(1n))).toEqual({ kind: 'unknown' });
  });
});
