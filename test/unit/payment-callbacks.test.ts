/** Callbacks against the real machine of a Set under virtual time: late, at once, to a Set that is away. */
import { describe, expect, test } from 'vitest';
import type { Door } from '../../access/door.ts';
import { openCheckout, withoutGateway } from '../../access/ops-payment.ts';
import { Callbacks } from '../../access/payments.ts';
import { signCallback } from '../../lib/adapter/callback-signature.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SandboxGateway } from '../../lib/adapter/sandbox-gateway.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { utf8 } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Grant } from '../../lib/core/grant.ts';
import { RIGHT_SEND_PACKET, grantMac } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { makeCommandId, packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { RULES_MAX } from '../../lib/core/rules.ts';
import type { Status } from '../../lib/core/status.ts';
import { cents, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { CallbackAnswer } from '../../access/payments.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { CheckoutReply } from '../../lib/port/payment-gateway.ts';
import type { CommandAnswer, Router } from '../../router/api.ts';
import { agree } from '../property/machine-agree.ts';
import { PEOPLE, TestSets } from '../property/machine-sets.ts';

const SECRET = utf8('a secret of 32 bytes for callbacks');
const ALICE = PEOPLE[0]!;
const QUARTER_MS = LIMITS.paymentLifetimeMs;

const idOf = (sequence: number): Id => packId({ ms: 1, set: setId(1), sequence });

class World {
  readonly sets = new TestSets({ script: { sets: 1, seed: 3 } });
  readonly clock = new ManualClock(this.sets.now);
  readonly random = new SeededRandom(9);
  readonly metrics = createMetrics();
  /** What the line to the Set answers instead, once each. */
  readonly broken: Status[] = [];
  readonly gateway = new SandboxGateway({
    secret: SECRET,
    clock: this.clock,
    random: this.random,
    checkoutBase: () => '',
    send: () => Promise.resolve(200),
  });
  readonly callbacks = this.door();

  constructor() {
    this.sets.raiseRules(this.cell, RULES_MAX);
  }

  /** Another access node, or this one after a restart. */
  door(): Callbacks {
    const { gateway, clock, metrics } = this;
    const log = { info() {}, warn() {}, error() {} };
    const router = {
      sets: () => [this.cell.setId],
      command: (_: number, c: Command) => Promise.resolve(this.#command(c)),
    } as unknown as Router;
    return new Callbacks({ gateway, router, clock, log, metrics });
  }

  get cell() {
    return this.sets.cells[0]!;
  }

  get walletCents(): number {
    return this.cell.state.people.get(ALICE)?.balanceCents ?? 0;
  }

  get newest(): Id {
    return [...this.cell.state.payments.values()].at(-1)!.paymentId;
  }

  pass(ms: number): void {
    this.clock.advance(ms);
    this.sets.now += ms;
  }

  id(): ReturnType<typeof makeCommandId> {
    return makeCommandId(this.sets.now, this.random.bytes(10));
  }

  topup(amountCents: number): Id {
    const ask = { commandId: this.id(), user: ALICE, amountCents: cents(amountCents) };
    agree('a topup', this.sets.submit(this.cell, { type: 'wallet.topup', ...ask }), 'ok');
    return this.newest;
  }

  /** Of a group that is not here: the payment is what this is about. */
  payPacket(amountCents: number): Id {
    const definition: PacketDefinition = {
      packetId: idOf(1),
      sender: ALICE,
      groupId: idOf(2),
      kind: 'lucky',
      strategy: 'double_mean',
      timing: 'at_open',
      totalCents: cents(amountCents),
      count: 1,
      lifetimeMs: LIMITS.packetLifetimeMs,
      greeting: '',
      receivers: [],
    };
    const grant = this.#grant(definition);
    const ask = { commandId: this.id(), definition, grant };
    agree('a paid packet', this.sets.submit(this.cell, { type: 'packet.pay', ...ask }), 'ok');
    return this.newest;
  }

  #grant({ groupId, sender }: PacketDefinition): Grant {
    const rights = RIGHT_SEND_PACKET;
    const issuedAt = timeMs(this.sets.now);
    const unsigned = { groupId, role: 'member', rights, groupLsn: lsn(1), issuedAt } as const;
    return { ...unsigned, mac: grantMac(this.sets.seals.keyOf(this.cell.setId), sender, unsigned) };
  }

  say(paymentId: Id, of: { amountCents: number; result?: 'paid' | 'denied' }) {
    const { amountCents, result = 'paid' } = of;
    const at = this.clock.now();
    const callback = { paymentId, result, amountCents: cents(amountCents), reference: 'r', at };
    return signCallback({ secret: SECRET, callback, clock: this.clock, random: this.random });
  }

  receive(signed: ReturnType<World['say']>, door = this.callbacks): Promise<CallbackAnswer> {
    return door.receive(signed, '127.0.0.1');
  }

  #command(c: Command): CommandAnswer {
    const mark = { setId: this.cell.setId, epoch: 1, lsn: 1 };
    const instead = this.broken.shift();
    if (instead !== undefined) return { outcome: refuse(c.type, instead), mark };
    const status = this.sets.submit(this.cell, c) ?? 'malformed';
    if (status !== 'ok') return { outcome: refuse(c.type, status), mark };
    const success = { became: 'credited', user: ALICE, amountCents: cents(1) } as const;
    return { outcome: { status, type: 'payment.settle', ...success }, mark };
  }
}

describe('after the time to pay', () => {
  test('a topup that expired and was paid all the same is in the wallet, once', async () => {
    const world = new World();
    const id = world.topup(500);
    world.pass(QUARTER_MS);
    const expire = { type: 'payment.expire', paymentId: id } as const;
    expect(world.sets.submit(world.cell, expire)).toBe('ok');
    const answers = [];
    for (let count = 0; count < 3; count++) {
      answers.push((await world.receive(world.say(id, { amountCents: 500 }))).status);
    }
    expect(answers).toEqual([200, 200, 200]);
    expect(world.walletCents).toBe(500);
  });

  test('a packet in time is sent; one that is paid too late is money in the wallet', async () => {
    for (const [lateMs, walletCents, sends] of [
      [-1, 0, 1],
      [0, 500, 0],
      [QUARTER_MS, 500, 0],
    ] as const) {
      const world = new World();
      const id = world.payPacket(500);
      world.pass(QUARTER_MS + lateMs);
      expect(await world.receive(world.say(id, { amountCents: 500 }))).toMatchObject({
        status: 200,
      });
      expect([lateMs, world.walletCents]).toEqual([lateMs, walletCents]);
      const creates = world.sets.seen.get('payment.settle sent') ?? 0;
      expect([lateMs, creates]).toEqual([lateMs, sends]);
    }
  });

  test('a day later, pending still because nobody could expire it: it is in the wallet', async () => {
    const world = new World();
    const id = world.topup(500);
    world.pass(24 * 4 * QUARTER_MS);
    expect(await world.receive(world.say(id, { amountCents: 500 }))).toMatchObject({ status: 200 });
    expect(world.walletCents).toBe(500);
  });
});

describe('a Set that is away', () => {
  test.each(['set_unavailable', 'unknown', 'overloaded', 'moved'] as const)(
    '%s: 503, and the very same bytes may come again',
    async (word) => {
      const world = new World();
      const signed = world.say(world.topup(500), { amountCents: 500 });
      world.broken.push(word);
      const first = await world.receive(signed);
      expect(first).toMatchObject({ status: 503, code: word });
      expect(first.retryAfterMs).toBeGreaterThan(0);
      expect(await world.receive(signed)).toMatchObject({ status: 200 });
      expect(await world.receive(signed)).toMatchObject({ status: 401, code: 'replayed' });
      expect(world.walletCents).toBe(500);
    },
  );
});

test('a full Set: the money is paid, so the callback must come again', async () => {
  const world = new World();
  const signed = world.say(world.topup(500), { amountCents: 500 });
  world.broken.push('issue_limit');
  const first = await world.receive(signed);
  expect(first).toMatchObject({ status: 503, code: 'issue_limit' });
  expect(first.retryAfterMs).toBeGreaterThan(0);
  expect(await world.receive(signed)).toMatchObject({ status: 200 });
});

describe('at once', () => {
  test('two doors with two callbacks, one paid and one denied: the first one holds for ever', async () => {
    const world = new World();
    const id = world.topup(500);
    const other = world.door();
    const [denied, paid] = await Promise.all([
      world.receive(world.say(id, { amountCents: 500, result: 'denied' })),
      world.receive(world.say(id, { amountCents: 500 }), other),
    ]);
    expect([denied.status, paid.status]).toEqual([200, 409]);
    expect(world.walletCents).toBe(0);
  });

  test('the same bytes at two doors, or at one that restarted, pay once', async () => {
    const world = new World();
    const signed = world.say(world.topup(500), { amountCents: 500 });
    for (const door of [world.callbacks, world.door(), world.door()]) {
      await world.receive(signed, door);
    }
    expect(world.walletCents).toBe(500);
  });
});

describe('whoever forges pays for it', () => {
  test('after 20 in a burst an address waits, another does not, and a real one never', async () => {
    const world = new World();
    const real = world.say(world.topup(500), { amountCents: 500 });
    const forged = { ...real, signature: '0'.repeat(64) };
    const from = (address: string) => world.callbacks.receive(forged, address);
    const statuses = [];
    for (let count = 0; count < 22; count++) statuses.push((await from('10.0.0.1')).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(21);
    expect(statuses.at(-1)).toBe(429);
    // Behind a proxy a thief has the address of the gateway.
    expect(await world.callbacks.receive(real, '10.0.0.1')).toMatchObject({ status: 200 });
    expect(await from('10.0.0.1')).toMatchObject({ status: 429 });
    expect(await from('10.0.0.2')).toMatchObject({ status: 401 });
    world.pass(1_000);
    expect(await from('10.0.0.1')).toMatchObject({ status: 401 });
    const text = await world.metrics.expose();
    expect(text).toContain('hongbao_access_callbacks_total{code="forged"} 23');
    expect(text).toContain('hongbao_access_callbacks_total{code="rate_limited"} 2');
    expect(text).toContain('hongbao_access_callbacks_total{code="settled"} 1');
  });

  test('real ones cost their address nothing', async () => {
    const world = new World();
    const id = world.topup(500);
    for (let count = 0; count < 100; count++) {
      const answer = await world.receive(world.say(id, { amountCents: 500 }));
      expect(answer.status).toBe(200);
    }
    expect(world.walletCents).toBe(500);
  });
});

describe('a checkout', () => {
  const asked = { paymentId: idOf(3), amountCents: cents(5), dueAt: timeMs(7) };
  const doorWith = (reply: CheckoutReply | null): Door => {
    const gateway = reply && { createCheckout: () => Promise.resolve(reply) };
    return { gateway, log: { info() {}, warn() {}, error() {} } } as unknown as Door;
  };

  test('of a gateway that is away may be asked for again; a conflict is a bug of ours', async () => {
    const url = { kind: 'open', checkoutUrl: 'https://pay/1' } as const;
    expect(await openCheckout(doorWith(url), asked)).toEqual({
      ok: true,
      checkoutUrl: url.checkoutUrl,
    });
    const codes = [];
    for (const reply of [{ kind: 'away' }, { kind: 'conflict' }, null] as const) {
      const page = await openCheckout(doorWith(reply), asked);
      codes.push(page.ok ? 'open' : page.code);
    }
    expect(codes).toEqual(['gateway_unavailable', 'internal', 'gateway_unavailable']);
  });

  test('without a gateway nothing is asked of the Set', () => {
    expect(withoutGateway(doorWith(null))).toMatchObject({ code: 'not_allowed' });
    expect(withoutGateway(doorWith({ kind: 'away' }))).toBeNull();
  });
});
