import { expect, test } from 'vitest';
import type { CallbackAnswer } from '../../access/payments.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { asId } from '../../lib/core/ids.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { CallbackVerdict, PaymentGateway } from '../../lib/port/payment-gateway.ts';
import type { GatewayRecord } from '../../ops/sim/check/cashbook.ts';
import { SimProcess } from '../../ops/sim/process.ts';
import type { CallbackDoor, GatewayWeather } from '../../ops/sim/sim-gateway.ts';
import { CALM_GATEWAY, SharedGateway } from '../../ops/sim/sim-gateway.ts';
import { Trace } from '../../ops/sim/trace.ts';

const DAY_MS = 86_400_000;
const DONE: CallbackAnswer = { status: 200, code: 'settled', retryAfterMs: 0 };

type Answer = (verdict: CallbackVerdict, times: number) => CallbackAnswer;

/** A gateway before one door that answers as it is told. */
function stage(args: { seed: number; weather?: Partial<GatewayWeather>; answer?: Answer }) {
  const clock = new ManualClock(undefined, { isolated: true });
  const chance = new SeededRandom(args.seed);
  const trace = new Trace(() => clock.monotonicMs());
  const process = new SimProcess({ name: 'a0', clock });
  const told: GatewayRecord[] = [];
  const heard: CallbackVerdict[] = [];
  const callbacks = {
    receive: async (received: Parameters<PaymentGateway['verify']>[0]) => {
      const verdict = port.verify(received);
      heard.push(verdict);
      return (args.answer ?? (() => DONE))(verdict, heard.length);
    },
  };
  const door = { process, callbacks } as unknown as CallbackDoor;
  const gateway = new SharedGateway({
    clock,
    chance,
    trace,
    weather: () => ({ ...CALM_GATEWAY, ...args.weather }),
    doors: () => [door],
    told: (record) => told.push(record),
  });
  const port = gateway.of(process);
  return { clock, trace, gateway, port, told, heard };
}

function checkout(at: number, paymentId = 1n) {
  return { paymentId: asId(paymentId), amountCents: cents(500), dueAt: timeMs(at + 900_000) };
}

test('some pay, some do not, some pay when it is too late, and each is told until it is settled', async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 40; seed++) {
    const { clock, gateway, port, told } = stage({ seed, weather: { silent: 500, repeated: 500 } });
    const asked = checkout(clock.now());
    const opened = port.createCheckout(asked);
    await clock.advanceSettled(30_000);
    expect(await opened).toEqual({ kind: 'open', checkoutUrl: 'pay/1' });
    const inTime = gateway.records()[0]?.state;
    clock.jump(DAY_MS);
    await clock.advanceSettled(60_000);
    const [record] = gateway.records();
    if (record === undefined) throw new Error('it is there');
    seen.add(`${inTime} ${record.state}`);
    const ended = record.state !== 'pending';
    expect(record.isTold).toBe(ended);
    expect(told).toHaveLength(ended ? 1 : 0);
  }
  const kinds = ['denied denied', 'paid paid', 'pending paid', 'pending pending'];
  expect([...seen].toSorted()).toEqual(kinds);
});

test('a payout that is asked for again is paid once, and in other words it is a violation', async () => {
  const { clock, trace, gateway, port } = stage({ seed: 3 });
  const asked = { paymentId: asId(2n), amountCents: cents(70), destination: 'bank' };
  void port.payOut(asked);
  void port.payOut(asked);
  await clock.advanceSettled(10_000);
  expect(gateway.records()).toHaveLength(1);
  expect(trace.broken).toBeNull();
  void port.payOut({ ...asked, amountCents: cents(71) });
  await clock.advanceSettled(1_000);
  expect(trace.broken?.message).toMatch(/^PG1 payment 2/);
});

test('its own word may not be refused for good, nor a lie be taken', async () => {
  const refused: CallbackAnswer = { status: 409, code: 'payment_ended', retryAfterMs: 0 };
  const strict = stage({ seed: 1, answer: () => refused });
  void strict.port.payOut({ paymentId: asId(3n), amountCents: cents(1), destination: 'bank' });
  await strict.clock.advanceSettled(DAY_MS / 1_000);
  strict.clock.jump(DAY_MS);
  await strict.clock.advanceSettled(20_000);
  expect(strict.trace.broken?.message).toMatch(/^M11 payment 3, \w+: the callback is answered/);
  const lies = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    // The second door checks what a verifier and a Set check, and forgets what it was told before.
    const answer: Answer = (verdict) => {
      const isOurs = verdict.ok && verdict.callback.amountCents === 500;
      return isOurs ? DONE : { status: 401, code: 'forged', retryAfterMs: 0 };
    };
    const weather = { false: 1_000 };
    const blind = stage(seed % 2 === 0 ? { seed, weather } : { seed, weather, answer });
    void blind.port.createCheckout(checkout(blind.clock.now()));
    await blind.clock.advanceSettled(30_000);
    lies.add(blind.trace.broken?.message.slice(0, 8) ?? 'none');
  }
  expect([...lies].toSorted()).toEqual(['M11 1 wa', 'M11 anot', 'PG4 a fo', 'none']);
});

test('while it is away nothing is done, and whoever asks is told so', async () => {
  const { clock, gateway, port } = stage({ seed: 1 });
  gateway.goAway(60_000);
  const reply = port.stateOf(asId(4n));
  const opened = port.createCheckout(checkout(clock.now()));
  await clock.advanceSettled(5_000);
  expect(await reply).toEqual({ kind: 'away' });
  expect(await opened).toEqual({ kind: 'away' });
  expect(gateway.records()).toEqual([]);
});
