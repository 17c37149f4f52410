/** M11 in a Set that is led: payments fall due, are forgotten, and are settled all the same. */
import { expect, test } from 'vitest';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PaymentResult } from '../../lib/core/payment.ts';
import type { Success } from '../../lib/core/outcome.ts';
import type { Status } from '../../lib/core/status.ts';
import { cents } from '../../lib/core/units.ts';
import type { PaymentsAnswer } from '../../proto/gen/hongbao/PaymentsAnswer.ts';
import { readMemory } from '../../set-node/read/reads.ts';
import { World, user } from './set-log-world.ts';

const ANN = user('ann');
const LATE_MS = LIMITS.paymentLifetimeMs + 1_000;
/** Old enough to be forgotten, with the timers that come once a second. */
const FORGOTTEN_MS = LIMITS.answerKeptMs + 5_000;

type Settled = { status: Status } & Extract<Success, { type: 'payment.settle' }>;

class Payments {
  readonly w: World;

  constructor(w: World) {
    this.w = w;
  }

  static async start(count: 1 | 3 = 1): Promise<Payments> {
    const w = await World.start(count, 3);
    await w.fund('ann', 10_000);
    return new Payments(w);
  }

  async topup(amount: number): Promise<Id> {
    const said = { commandId: this.w.commandId(), user: ANN, amountCents: cents(amount) };
    const { paymentId } = await this.w.ask<'wallet.topup'>({ type: 'wallet.topup', ...said });
    return paymentId;
  }

  async withdraw(amount: number): Promise<Id> {
    const said = { commandId: this.w.commandId(), user: ANN, amountCents: cents(amount) };
    const command = { type: 'wallet.withdraw', ...said, destination: 'card' } as const;
    return (await this.w.ask<'wallet.withdraw'>(command)).paymentId;
  }

  settle(paymentId: Id, result: PaymentResult, amount: number): Promise<Settled> {
    return this.w.ask<'payment.settle'>(settlement(paymentId, result, amount));
  }

  list(state: string, after = '0', limit = 100): PaymentsAnswer['payments'] {
    const { state: memory, seals } = this.w.driver;
    const query = { payments: { state, after, limit } };
    const args = { state: memory, seals, query: query as never, now: this.w.driver.logTime() };
    const answer = readMemory(args);
    if (answer?.status !== 'ok') throw new Error(answer?.status);
    return answer?.payments?.payments;
  }

  /** Time passes, something is journaled in it, and what is old leaves memory. */
  async forget(ms: number): Promise<void> {
    await this.w.run(ms);
    await this.w.takeId();
    await this.w.run(2_000);
  }

  get balance(): number | undefined {
    return this.w.driver.state.people.get(ANN)?.balanceCents;
  }
}

function settlement(paymentId: Id, result: PaymentResult, amount: number) {
  const amountCents = cents(amount);
  return { type: 'payment.settle', paymentId, result, amountCents, reference: 'gw' } as const;
}

test('[M11] an unpaid payment expires by its leader; money that comes later is kept', async () => {
  const p = await Payments.start();
  const paymentId = await p.topup(500);
  expect(p.list('pending')).toMatchObject([
    { paymentId: String(paymentId), user: 'ann', purpose: 'topup', amountCents: '500' },
  ]);
  await p.w.run(LATE_MS);
  expect(p.list('pending')).toEqual([]);
  expect(p.list('expired')).toHaveLength(1);
  expect(p.balance).toBe(10_000);
  expect(await p.settle(paymentId, 'paid', 500)).toMatchObject({
    status: 'ok',
    became: 'credited',
    user: 'ann',
  });
  expect(p.balance).toBe(10_500);
  expect(await p.settle(paymentId, 'paid', 500)).toMatchObject({ became: 'credited' });
  expect(p.balance).toBe(10_500);
});

test('[M11] a new leader goes on where the old one was', async () => {
  const p = await Payments.start(3);
  const paymentId = await p.topup(500);
  const out = await p.withdraw(300);
  await p.w.restart(2_000);
  expect(p.list('')).toHaveLength(2);
  await p.w.run(LATE_MS);
  expect(p.list('expired')).toMatchObject([{ paymentId: String(paymentId) }]);
  // A withdrawal waits for the gateway as long as it takes.
  expect(p.list('pending')).toMatchObject([{ paymentId: String(out), dueAt: '0' }]);
  expect(p.w.driver.state.gatewayCents).toBe(300);
  expect(await p.settle(out, 'denied', 300)).toMatchObject({ became: 'returned' });
  expect([p.balance, p.w.driver.state.gatewayCents]).toEqual([10_000, 0]);
});

test.each([1, 3] as const)('[M11] payments that left memory, N=%i', async (count) => {
  const p = await Payments.start(count);
  const ids = {
    paid: await p.topup(100),
    denied: await p.topup(200),
    expired: await p.topup(300),
    out: await p.withdraw(50),
    back: await p.withdraw(60),
  };
  await p.settle(ids.paid, 'paid', 100);
  await p.settle(ids.denied, 'denied', 200);
  await p.settle(ids.out, 'paid', 50);
  await p.settle(ids.back, 'denied', 60);
  await p.forget(LATE_MS + FORGOTTEN_MS);
  expect(p.w.driver.state.payments.size).toBe(0);
  const { lsn, walletsCents } = p.w.driver.state;
  // The same again is the same answer, another one is none; nothing is journaled.
  expect(await p.settle(ids.paid, 'paid', 100)).toMatchObject({ became: 'credited' });
  expect(await p.settle(ids.paid, 'denied', 100)).toMatchObject({ status: 'payment_ended' });
  expect(await p.settle(ids.paid, 'paid', 101)).toMatchObject({ status: 'amount_mismatch' });
  expect(await p.settle(ids.denied, 'denied', 200)).toMatchObject({ became: 'dropped' });
  expect(await p.settle(ids.expired, 'denied', 300)).toMatchObject({ became: 'dropped' });
  expect(await p.settle(ids.out, 'paid', 50)).toMatchObject({ became: 'paid_out' });
  expect(await p.settle(ids.back, 'denied', 60)).toMatchObject({ became: 'returned' });
  const never = (ids.back + 1n) as Id;
  expect(await p.settle(never, 'paid', 1)).toMatchObject({ status: 'payment_not_found' });
  expect(p.w.driver.state.walletsCents).toBe(walletsCents);
  expect(p.w.driver.state.lsn).toBe(lsn);
  // Two callbacks at once for money that comes half an hour late: it is kept, once.
  const first = p.w.submit(settlement(ids.expired, 'paid', 300));
  const second = p.w.submit(settlement(ids.expired, 'paid', 300));
  await p.w.run(50);
  expect([first[0]?.status, second]).toEqual(['ok', first]);
  expect(p.balance).toBe(10_000 + 100 - 50 + 300);
  // What is journaled is read again by the next leader, who never knew the payment's terms.
  await p.w.restart(2_000);
  expect(p.balance).toBe(10_350);
  expect(await p.settle(ids.expired, 'paid', 300)).toMatchObject({ became: 'credited' });
  expect(p.balance).toBe(10_350);
  await p.forget(FORGOTTEN_MS);
  expect(p.w.driver.state.payments.size).toBe(0);
  expect(await p.settle(ids.expired, 'paid', 300)).toMatchObject({ became: 'credited' });
  expect(p.balance).toBe(10_350);
});

test('[M11] a packet that is paid from outside lives when it is paid in time, and only then', async () => {
  const p = await Payments.start();
  const groupId = await p.w.foundGroup('ann');
  const pay = async (): Promise<{ packetId: Id; paymentId: Id }> => {
    const packetId = await p.w.takeId();
    const definition = p.w.definition({ packetId, groupId, sender: 'ann', totalCents: 700 });
    const grant = p.w.grant('ann', groupId);
    const commandId = p.w.commandId();
    const command = { type: 'packet.pay', commandId, definition, grant } as const;
    const answer = await p.w.ask<'packet.pay'>(command);
    expect(answer).toMatchObject({ status: 'ok', packetId });
    expect(await p.w.ask<'packet.pay'>(command)).toEqual(answer);
    return { packetId, paymentId: answer.paymentId };
  };
  const inTime = await pay();
  expect(p.w.driver.state.packets.has(inTime.packetId)).toBe(false);
  expect(await p.settle(inTime.paymentId, 'paid', 700)).toMatchObject({ became: 'sent' });
  await p.w.carryAll();
  expect(p.w.driver.state.packets.get(inTime.packetId)?.restCents).toBe(700);
  expect(p.balance).toBe(10_000);

  const late = await pay();
  await p.w.run(LATE_MS);
  expect(await p.settle(late.paymentId, 'paid', 700)).toMatchObject({ became: 'credited' });
  await p.w.carryAll();
  expect(p.w.driver.state.packets.has(late.packetId)).toBe(false);
  expect(p.balance).toBe(10_700);

  // Somebody else took its id meanwhile: the receiver refuses it, and the money is the sender's.
  const taken = await pay();
  const other = p.w.definition({ packetId: taken.packetId, groupId, sender: 'ann' });
  expect(await p.w.send(other)).toMatchObject({ status: 'ok' });
  await p.w.carryAll();
  expect(await p.settle(taken.paymentId, 'paid', 700)).toMatchObject({ became: 'sent' });
  await p.w.carryAll();
  expect(p.balance).toBe(10_700 - 100 + 700);
  // Forgotten ones are answered as they were.
  await p.forget(FORGOTTEN_MS);
  expect(p.w.driver.state.payments.size).toBe(0);
  expect(await p.settle(inTime.paymentId, 'paid', 700)).toMatchObject({ became: 'sent' });
  expect(await p.settle(late.paymentId, 'paid', 700)).toMatchObject({ became: 'credited' });
});

test('[C11] [C16] nobody but the leader expires a payment, and none of this is known below rules 3', async () => {
  const p = await Payments.start();
  const paymentId = await p.topup(500);
  const expire: Command = { type: 'payment.expire', paymentId };
  expect(await p.w.ask(expire)).toMatchObject({ status: 'not_allowed' });
  const old = new Payments(await World.start(1, 2));
  const said = { commandId: old.w.commandId(), user: ANN, amountCents: cents(5) };
  expect(await old.w.ask({ type: 'wallet.topup', ...said })).toMatchObject({ status: 'malformed' });
});

test('payments are listed page by page, in the order of their ids', async () => {
  const p = await Payments.start();
  const ids = [await p.topup(1), await p.topup(2), await p.topup(3)];
  await p.settle(ids[1]!, 'denied', 2);
  const listed = p.list('', '0', 2)?.map((one) => one.paymentId);
  expect(listed).toEqual([String(ids[0]), String(ids[1])]);
  expect(p.list('', String(ids[1]), 2)).toMatchObject([{ paymentId: String(ids[2]) }]);
  expect(p.list('denied')).toMatchObject([{ amountCents: '2', reference: 'gw' }]);
});
