import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Receipt } from '../../lib/core/outcome.ts';
import type { Bus } from '../../lib/port/bus.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { moneyNow } from '../../reconciler/money.ts';
import type { Reconciler } from '../../reconciler/server.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Router } from '../../router/api.ts';
import type { Faults } from './reconciler-world.ts';
import { FakeWorld, NO_FAULTS, commandOf } from './reconciler-world.ts';

const SILENT = { info() {}, warn() {}, error() {} };
const APPLIED: Receipt = { kind: 'applied' };

/** A bus that rings at once, or swallows every bell. */
function makeBus(deaf = false): { bus: Bus; ring: (set: number) => void } {
  let handler: ((subject: string, payload: Uint8Array) => void) | null = null;
  const bus: Bus = {
    publish: () => Promise.resolve(),
    subscribe: (_, given) => {
      handler = given;
      return Promise.resolve({ unsubscribe: () => Promise.resolve() });
    },
    close: () => Promise.resolve(),
  };
  return { bus, ring: (set) => (deaf ? undefined : handler?.(`outbox.${set}`, new Uint8Array())) };
}

function start(world: FakeWorld, args: { bus?: Bus; router?: Router } = {}): Reconciler {
  return startReconciler({
    router: args.router ?? world.router,
    bus: args.bus ?? makeBus().bus,
    clock: world.clock,
    random: world.random,
    log: SILENT,
    metrics: createMetrics(),
  });
}

type Script = {
  readonly seed: number;
  readonly sets: number;
  readonly faults: Faults;
  readonly rounds: readonly {
    readonly owe: number;
    readonly waitMs: number;
    readonly crash: boolean;
  }[];
};

const scripts: fc.Arbitrary<Script> = fc.record({
  seed: fc.nat(),
  sets: fc.integer({ min: 1, max: 4 }),
  faults: fc.record({
    lostReplies: fc.integer({ min: 0, max: 40 }),
    lostRequests: fc.integer({ min: 0, max: 40 }),
    overloaded: fc.integer({ min: 0, max: 20 }),
    down: fc.integer({ min: 0, max: 60 }),
  }),
  rounds: fc.array(
    fc.record({
      owe: fc.integer({ min: 0, max: 400 }),
      waitMs: fc.integer({ min: 0, max: 900 }),
      crash: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

/** Runs a script with one to two couriers at work, then heals the line and waits 30 s at most. */
async function run(
  script: Script,
  mutate: (router: Router) => Router = (router) => router,
): Promise<FakeWorld> {
  const world = new FakeWorld({ sets: script.sets, seed: script.seed });
  const { bus, ring } = makeBus();
  const router = mutate(world.router);
  world.faults = script.faults;
  let reconciler = start(world, { bus, router });
  const second = start(world, { router });
  for (const round of script.rounds) {
    for (let index = 0; index < round.owe; index++) {
      const from = world.random.below(script.sets);
      world.owe({
        from,
        to: world.random.below(script.sets),
        amountCents: 1 + world.random.below(9_999),
      });
      if (index % 50 === 0) ring(from);
    }
    await world.clock.advanceSettled(round.waitMs);
    if (!round.crash) continue;
    await reconciler.stop();
    reconciler = start(world, { bus, router });
  }
  world.faults = NO_FAULTS;
  for (let second_ = 0; second_ < 30 && world.pendingTransfers > 0; second_++) {
    await world.clock.advanceSettled(1_000);
  }
  // What is still on its way when all is confirmed must be harmless too.
  await world.clock.advanceSettled(1_000);
  await reconciler.stop();
  await second.stop();
  return world;
}

/** Takes whatever came of a delivery for a receipt: done on publish. */
function hasty(router: Router): Router {
  return {
    ...router,
    command: async (set, command, options) => {
      const answer = await router.command(set, command, options);
      const sent = commandOf(command);
      if (sent.type !== 'transfer.deliver' || answer.outcome.status === 'ok') return answer;
      const receipts = sent.transfers.map(() => APPLIED);
      return { ...answer, outcome: { type: 'transfer.deliver', status: 'ok', receipts } };
    },
  };
}

/** Never tells the source what was refused. */
function forgetful(router: Router): Router {
  return {
    ...router,
    command: (set, command, options) =>
      router.command(
        set,
        command.type === 'transfer.ack' ? { ...command, tombstones: [] } : command,
        options,
      ),
  };
}

const ROUGH: Script = {
  seed: 7,
  sets: 3,
  faults: { lostReplies: 10, lostRequests: 30, overloaded: 5, down: 20 },
  rounds: Array.from({ length: 4 }, () => ({ owe: 200, waitMs: 300, crash: true })),
};

describe('the courier', () => {
  test('delivers everything once, and refunds what was refused, whatever the line does', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (script) => {
        const world = await run(script);
        expect(world.check()).toEqual([]);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('the checker sees a courier that acknowledges without a receipt', async () => {
    expect((await run(ROUGH)).check()).toEqual([]);
    expect((await run(ROUGH, hasty)).check().join('\n')).toContain('acked unreceived');
  });

  test('the checker sees a courier that forgets tombstones', async () => {
    expect((await run(ROUGH, forgetful)).check().join('\n')).toContain('told false');
  });

  test('settles within 50 ms of the bell, and within the poll without it', async () => {
    const world = new FakeWorld({ sets: 2, seed: 1 });
    const { bus, ring } = makeBus();
    const reconciler = start(world, { bus });
    await world.clock.advanceSettled(100);
    world.owe({ from: 0, to: 1, amountCents: 500 });
    ring(0);
    await world.clock.advanceSettled(50);
    expect(world.pendingTransfers).toBe(0);
    world.owe({ from: 0, to: 1, amountCents: 500 });
    await world.clock.advanceSettled(250);
    expect(world.pendingTransfers).toBe(0);
    await reconciler.stop();
  });

  test('a destination that is away holds up no other, and no other lane', async () => {
    const world = new FakeWorld({ sets: 3, seed: 2 });
    for (let index = 0; index < 2_000; index++) world.owe({ from: 0, to: 1, amountCents: 100 });
    world.owe({ from: 0, to: 2, amountCents: 100 });
    const away: Router = {
      ...world.router,
      command: async (set, command, options) =>
        set === 1
          ? {
              outcome: { type: command.type, status: 'set_unavailable' },
              mark: { setId: set, epoch: 0, lsn: 0 },
            }
          : world.router.command(set, command, options),
    };
    const reconciler = start(world, { router: away });
    await world.clock.advanceSettled(100);
    expect(world.of(2).walletsCents).toBe(100);
    expect(world.pendingTransfers).toBe(2_000);
    await reconciler.stop();
  });

  test('large credits go before the others', async () => {
    const world = new FakeWorld({ sets: 2, seed: 3 });
    for (let index = 0; index < 300; index++) world.owe({ from: 0, to: 1, amountCents: 100 });
    world.owe({ from: 0, to: 1, amountCents: 9_000 });
    const order: number[] = [];
    const router: Router = {
      ...world.router,
      command: (set, command, options) => {
        const sent = commandOf(command);
        if (sent.type === 'transfer.deliver') order.push(sent.lane);
        return world.router.command(set, command, options);
      },
    };
    const reconciler = start(world, { router });
    await world.clock.advanceSettled(200);
    expect(order).toEqual([1, 2, 2]);
    await reconciler.stop();
  });

  test('[S3] large credits of every destination go before the small ones of any', async () => {
    const world = new FakeWorld({ sets: 4, seed: 11 });
    for (let to = 1; to < 4; to++) {
      for (let index = 0; index < 300; index++) world.owe({ from: 0, to, amountCents: 100 });
      world.owe({ from: 0, to, amountCents: 9_000 });
    }
    const order: [number, number][] = [];
    const router: Router = {
      ...world.router,
      command: (set, command, options) => {
        const sent = commandOf(command);
        if (sent.type === 'transfer.deliver') order.push([sent.lane, set]);
        return world.router.command(set, command, options);
      },
    };
    const reconciler = start(world, { router });
    await world.clock.advanceSettled(200);
    expect(order.slice(0, 6)).toEqual([
      ...[1, 2, 3].map((set) => [1, set]),
      ...[1, 2, 3].map((set) => [2, set]),
    ]);
    expect(world.pendingTransfers).toBe(0);
    await reconciler.stop();
  });

  test('[S3] a slow destination holds up no other, and its large credits not each other', async () => {
    const world = new FakeWorld({ sets: 3, seed: 12 });
    const router: Router = {
      ...world.router,
      command: (set, command, options) => {
        if (set !== 1) return world.router.command(set, command, options);
        return new Promise((resolve) => {
          world.clock.after(3_000, () => resolve(world.router.command(set, command, options)));
        });
      },
    };
    const reconciler = start(world, { router });
    for (let index = 0; index < 900; index++) world.owe({ from: 0, to: 1, amountCents: 100 });
    await world.clock.advanceSettled(400);
    world.owe({ from: 0, to: 1, amountCents: 9_000 });
    for (let index = 0; index < 900; index++) world.owe({ from: 0, to: 2, amountCents: 100 });
    await world.clock.advanceSettled(600);
    // The slow one has been asked for a second; the other has everything.
    expect([world.of(1).walletsCents, world.of(2).walletsCents]).toEqual([0, 90_000]);
    await world.clock.advanceSettled(2_800);
    // The large one did not wait for the small ones that were there before it.
    expect(world.of(1).booked.get(1)?.length).toBe(1);
    expect(world.of(1).booked.get(2)?.length).toBeLessThanOrEqual(512);
    await world.clock.advanceSettled(30_000);
    expect(world.check()).toEqual([]);
    await reconciler.stop();
  });

  test('drain settles what there is, and gives up in time when a Set is away', async () => {
    const world = new FakeWorld({ sets: 2, seed: 4 });
    for (let index = 0; index < 1_500; index++) world.owe({ from: 0, to: 1, amountCents: 100 });
    let drained = false;
    void start(world)
      .drain()
      .then(() => (drained = true));
    await world.clock.advanceSettled(1_000);
    expect([drained, world.pendingTransfers]).toEqual([true, 0]);
    world.owe({ from: 0, to: 1, amountCents: 100 });
    world.faults = { ...NO_FAULTS, overloaded: 100 };
    drained = false;
    void start(world)
      .drain()
      .then(() => (drained = true));
    await world.clock.advanceSettled(1_900);
    expect(drained).toBe(false);
    await world.clock.advanceSettled(200);
    expect(drained).toBe(true);
  });
});

describe('where every cent is', () => {
  async function count(world: FakeWorld): ReturnType<typeof moneyNow> {
    const money = moneyNow(world.router);
    await world.clock.advanceSettled(20);
    return money;
  }

  test('in flight is what has left and not arrived; the mismatch is 0', async () => {
    const world = new FakeWorld({ sets: 2, seed: 5 });
    world.owe({ from: 0, to: 1, amountCents: 700 });
    expect(await count(world)).toEqual({
      walletsCents: 0,
      packetsCents: 0,
      inFlightCents: 700,
      gatewayCents: 0,
      issuedCents: 700,
      pendingCents: 700,
      pendingTransfers: 1,
      mismatchCents: 0,
      quiet: true,
      missing: [],
    });
    const reconciler = start(world);
    await world.clock.advanceSettled(100);
    expect(await count(world)).toMatchObject({
      walletsCents: 700,
      inFlightCents: 0,
      mismatchCents: 0,
    });
    await reconciler.stop();
  });

  test('a withdrawal that the gateway has not answered is in flight, and no mismatch', async () => {
    const world = new FakeWorld({ sets: 2, seed: 8 });
    world.gatewayCents = 76;
    expect(await count(world)).toMatchObject({
      inFlightCents: 152,
      gatewayCents: 152,
      mismatchCents: 0,
    });
  });

  test('money that was confirmed and never booked is a mismatch, and money booked twice', async () => {
    const lost = new FakeWorld({ sets: 2, seed: 6 });
    lost.owe({ from: 0, to: 1, amountCents: 700 });
    lost.of(0).outLane(1, 2).pending.pop();
    expect(await count(lost)).toMatchObject({ mismatchCents: 700 });
    const twice = new FakeWorld({ sets: 2, seed: 6 });
    twice.of(1).walletsCents += 300;
    twice.of(1).clearingCents -= 300;
    expect(await count(twice)).toMatchObject({ mismatchCents: 300 });
  });

  test('says which Sets did not answer', async () => {
    const world = new FakeWorld({ sets: 2, seed: 8 });
    world.faults = { ...NO_FAULTS, lostReplies: 100 };
    expect(await count(world)).toMatchObject({ missing: [0, 1], quiet: false });
  });

  test('is published, with the mismatch', async () => {
    const world = new FakeWorld({ sets: 2, seed: 9 });
    world.owe({ from: 0, to: 1, amountCents: 700 });
    const metrics = createMetrics();
    const { router, clock, random } = world;
    const reconciler = startReconciler({
      router,
      bus: makeBus().bus,
      clock,
      random,
      log: SILENT,
      metrics,
    });
    await world.clock.advanceSettled(2_100);
    const text = await metrics.expose();
    expect(text).toContain('hongbao_money_cents{where="wallets"} 700');
    expect(text).toContain('hongbao_money_mismatch_cents 0');
    expect(text).toContain('hongbao_settle_transfers_total{lane="2"} 1');
    await reconciler.stop();
  });
});
