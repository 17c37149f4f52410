/** Several reconcilers: who carries what, and who takes over when one is gone. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Bus } from '../../lib/port/bus.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { Work } from '../../reconciler/members.ts';
import { Members, ownerOf } from '../../reconciler/members.ts';
import type { Reconciler } from '../../reconciler/server.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Router } from '../../router/api.ts';
import { FakeWorld, NO_FAULTS } from './reconciler-world.ts';

const SILENT = { info() {}, warn() {}, error() {} };
const KEYS = Array.from({ length: 60 }, (_, index) => `outbox.${index}` as const);

/** A bus that can be taken from one of its users, as a dead process or a broken network does. */
class Line implements Bus {
  readonly #bus: Bus;
  isCut = false;
  /** What this one said, for who wants to say it again. */
  readonly said: Uint8Array[] = [];

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  async publish(subject: string, payload: Uint8Array): Promise<void> {
    this.said.push(payload);
    if (!this.isCut) await this.#bus.publish(subject, payload);
  }

  subscribe: Bus['subscribe'] = (subject, handler) =>
    this.#bus.subscribe(subject, (...heard) => {
      if (!this.isCut) handler(...heard);
    });

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Crowd = {
  clock: ManualClock;
  bus: MemoryBus;
  lines: Line[];
  all: Members[];
  join: () => Members;
};

function crowd(size: number): Crowd {
  const clock = new ManualClock();
  const bus = new MemoryBus({ clock, log: SILENT });
  const random = new SeededRandom(7);
  const lines: Line[] = [];
  const join = (): Members => {
    const line = new Line(bus);
    lines.push(line);
    return new Members({ bus: line, clock, random, log: SILENT, metrics: createMetrics() });
  };
  return { clock, bus, lines, all: Array.from({ length: size }, join), join };
}

/** Each key, and which of them own it. */
function ownersOf(members: readonly Members[]): number[][] {
  return KEYS.map((key) => members.flatMap((one, index) => (one.owns(key) ? [index] : [])));
}

describe('members', () => {
  test('[S2] each key has one owner, all have some, and a death moves only the keys of the dead', () => {
    const ids = ['a', 'b', 'c', 'd'];
    const before = KEYS.map((key) => ownerOf(key, ids));
    expect(new Set(before).size).toBe(4);
    const after = KEYS.map((key) => ownerOf(key, ['a', 'b', 'd']));
    const stayed = before.flatMap((owner, index) => (owner === 'c' ? [] : [index]));
    expect(stayed.map((index) => after[index])).toEqual(stayed.map((index) => before[index]));
    expect(KEYS.map((key) => ownerOf(key, ids.toReversed()))).toEqual(before);
  });

  test('[S2] they find each other in a moment and share; a newcomer is told of all', async () => {
    const { clock, all, join } = crowd(3);
    await clock.advanceSettled(10);
    expect(all.map((one) => one.count)).toEqual([3, 3, 3]);
    expect(ownersOf(all).every((owners) => owners.length === 1)).toBe(true);
    const fourth = join();
    await clock.advanceSettled(10);
    expect(fourth.count).toBe(4);
    expect(ownersOf([...all, fourth]).every((owners) => owners.length === 1)).toBe(true);
  });

  test('[S2] one that is silent for 2 s is out, and one that says goodbye at once', async () => {
    const { clock, all, lines } = crowd(3);
    await clock.advanceSettled(700);
    lines[0]!.isCut = true;
    await clock.advanceSettled(1_500);
    expect(all[1]!.count).toBe(3);
    await clock.advanceSettled(600);
    expect(all[1]!.count).toBe(2);
    void all[2]!.stop();
    await clock.advanceSettled(10);
    expect(all[1]!.count).toBe(1);
    expect(KEYS.every((key) => all[1]!.owns(key))).toBe(true);
  });

  test('[S2] without a bus, and in each half of a split one, everybody owns everything', async () => {
    const { clock, all, lines } = crowd(2);
    await clock.advanceSettled(10);
    for (const line of lines) line.isCut = true;
    await clock.advanceSettled(3_000);
    expect(ownersOf(all).every((owners) => owners.length === 2)).toBe(true);
    for (const line of lines) line.isCut = false;
    await clock.advanceSettled(600);
    expect(ownersOf(all).every((owners) => owners.length === 1)).toBe(true);
  });

  test('[S2] who does not audit, or has no gateway, leaves that to those who do', async () => {
    const { clock, bus } = crowd(0);
    const random = new SeededRandom(3);
    const join = (does?: readonly Work[]): Members => {
      const ports = { bus, clock, random, log: SILENT, metrics: createMetrics() };
      return new Members({ ...ports, ...(does === undefined ? {} : { does }) });
    };
    // Whoever the hash would choose: of so many one would have been chosen who does it not.
    const carriers = Array.from({ length: 8 }, () => join(['outbox']));
    const desks = [join(['payments']), join(['payments'])];
    const auditor = join(['audit']);
    await clock.advanceSettled(10);
    expect(carriers.map((one) => one.count)).toEqual(carriers.map(() => 8));
    expect(auditor.owns('audit')).toBe(true);
    expect([...carriers, ...desks].some((one) => one.owns('audit'))).toBe(false);
    expect(ownersOf(carriers).every((owners) => owners.length === 1)).toBe(true);
    expect(KEYS.some((key) => auditor.owns(key) || desks.some((one) => one.owns(key)))).toBe(false);
    const payments = KEYS.map((_, set) => `payments.${set}` as const);
    for (const key of payments) expect(desks.filter((one) => one.owns(key)).length).toBe(1);
    expect(payments.some((key) => carriers.some((one) => one.owns(key)))).toBe(false);
    // The last of its kind does it all.
    await desks[0]!.stop();
    await clock.advanceSettled(10);
    expect(payments.every((key) => desks[1]!.owns(key))).toBe(true);
  });

  test('what a bus repeats or brings late is no life, and what cannot be read is nothing', async () => {
    const { clock, bus, all, lines } = crowd(2);
    await clock.advanceSettled(10);
    void all[1]!.stop();
    await clock.advanceSettled(10);
    expect(all[0]!.count).toBe(1);
    const [first, last] = [lines[1]!.said[0]!, lines[1]!.said.at(-1)!];
    for (const sign of [first, last, new Uint8Array(), new Uint8Array(3), new Uint8Array(80)]) {
      await bus.publish('reconciler.alive', sign);
    }
    await clock.advanceSettled(10);
    expect(all[0]!.count).toBe(1);
  });
});

/** A reconciler that can be killed: nothing of it is heard and nothing reaches it any more. */
type Mortal = { reconciler: Reconciler; kill: () => void; mend: () => void; line: Line };

function mortal(
  world: FakeWorld,
  args: { bus: Bus; wrap?: (router: Router) => Router; seed?: number },
): Mortal {
  const { bus, wrap = (router) => router, seed = 1 } = args;
  const line = new Line(bus);
  let isDead = false;
  const never = new Promise<never>(() => {});
  const router = wrap(world.router);
  const dying: Router = {
    ...router,
    command: async (...given) => {
      if (isDead) return never;
      const answer = await router.command(...given);
      return isDead ? never : answer;
    },
    query: async (...given) => {
      if (isDead) return never;
      const answer = await router.query(...given);
      return isDead ? never : answer;
    },
  };
  const reconciler = startReconciler({
    router: dying,
    bus: line,
    clock: world.clock,
    random: new SeededRandom(seed),
    log: SILENT,
    metrics: createMetrics(),
  });
  const kill = (): void => {
    isDead = true;
    line.isCut = true;
  };
  return { reconciler, line, kill, mend: () => (line.isCut = false) };
}

describe('reconcilers that share the work', () => {
  const busOf = (world: FakeWorld): MemoryBus => new MemoryBus({ clock: world.clock, log: SILENT });

  function counting(counts: number[], index: number): (router: Router) => Router {
    return (router) => ({
      ...router,
      command: (set, command, options) => {
        if (command.type === 'transfer.deliver') counts[index] = (counts[index] ?? 0) + 1;
        return router.command(set, command, options);
      },
    });
  }

  test('[S2] each carries its own outboxes, and together all of them', async () => {
    const world = new FakeWorld({ sets: 12, seed: 1 });
    const bus = busOf(world);
    const counts = [0, 0];
    const all = [0, 1].map((index) =>
      mortal(world, { bus, wrap: counting(counts, index), seed: index + 1 }),
    );
    await world.clock.advanceSettled(300);
    for (let from = 0; from < 12; from++) world.owe({ from, to: 0, amountCents: 100 });
    await world.clock.advanceSettled(1_000);
    expect(world.check()).toEqual([]);
    // Once each: nobody did another's.
    expect(counts[0]! + counts[1]!).toBe(12);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(all.filter(({ reconciler }) => reconciler.mayAudit()).length).toBe(1);
    for (const { reconciler } of all) await reconciler.stop();
  });

  test('[S2] one is killed: the other has taken over within 3 s', async () => {
    const world = new FakeWorld({ sets: 6, seed: 2 });
    const bus = busOf(world);
    const [first, second] = [0, 1].map((seed) => mortal(world, { bus, seed: seed + 1 }));
    await world.clock.advanceSettled(700);
    first!.kill();
    for (let from = 0; from < 6; from++) world.owe({ from, to: 0, amountCents: 100 });
    await world.clock.advanceSettled(200);
    expect(world.pendingTransfers).toBeGreaterThan(0);
    await world.clock.advanceSettled(2_800);
    expect(world.check()).toEqual([]);
    await second!.reconciler.stop();
  });

  test('[S2] one lives and reaches nobody: its lanes are adopted, and given back', async () => {
    const world = new FakeWorld({ sets: 6, seed: 3 });
    const bus = busOf(world);
    let isLame = true;
    const lame = (router: Router): Router => ({
      ...router,
      command: (set, command, options) =>
        isLame
          ? Promise.resolve({
              outcome: { type: command.type, status: 'set_unavailable' as const },
              mark: { setId: set, epoch: 0, lsn: 0 },
            })
          : router.command(set, command, options),
    });
    const counts = [0, 0];
    const first = mortal(world, { bus, wrap: (r) => counting(counts, 0)(lame(r)), seed: 1 });
    const second = mortal(world, { bus, wrap: counting(counts, 1), seed: 2 });
    await world.clock.advanceSettled(700);
    for (let from = 0; from < 6; from++) world.owe({ from, to: 0, amountCents: 100 });
    await world.clock.advanceSettled(4_000);
    expect(world.pendingTransfers).toBeGreaterThan(0);
    await world.clock.advanceSettled(8_000);
    expect(world.check()).toEqual([]);
    isLame = false;
    await world.clock.advanceSettled(6_000);
    counts.fill(0);
    for (let from = 0; from < 6; from++) world.owe({ from, to: 0, amountCents: 100 });
    await world.clock.advanceSettled(1_000);
    expect(world.check()).toEqual([]);
    expect(counts[0]! + counts[1]!).toBe(6);
    expect(counts[0]).toBeGreaterThan(0);
    for (const { reconciler } of [first, second]) await reconciler.stop();
  });

  test('[S1][S2] they die, come, lose the bus and each other: nothing is lost and nothing doubled', async () => {
    const turns = fc.array(
      fc.record({
        owe: fc.integer({ min: 0, max: 200 }),
        waitMs: fc.integer({ min: 0, max: 4_000 }),
        what: fc.constantFrom('nothing', 'kill', 'start', 'cut', 'mend', 'stop'),
        who: fc.nat({ max: 3 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    const faults = fc.record({
      lostReplies: fc.integer({ min: 0, max: 40 }),
      lostRequests: fc.integer({ min: 0, max: 40 }),
      overloaded: fc.integer({ min: 0, max: 20 }),
      down: fc.integer({ min: 0, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(), turns, faults, fc.boolean(), async (seed, script, bad, isOld) => {
        const world = new FakeWorld({ sets: 3, seed });
        world.isOld = isOld;
        const bus = busOf(world);
        let born = 0;
        const start = (): Mortal => mortal(world, { bus, seed: ++born });
        let living = [start(), start()];
        world.faults = bad;
        for (const { owe, waitMs, what, who } of script) {
          for (let count = 0; count < owe; count++) {
            const [from, to] = [world.random.below(3), world.random.below(3)];
            world.owe({ from, to, amountCents: 1 + world.random.below(9_999) });
          }
          const one = living[who % living.length];
          if (what === 'kill') one?.kill();
          if (what === 'stop') await one?.reconciler.stop();
          if (what === 'kill' || what === 'stop') living = living.filter((each) => each !== one);
          if (what === 'start' && living.length < 4) living.push(start());
          if (one !== undefined && what === 'cut') one.line.isCut = true;
          if (what === 'mend') one?.mend();
          await world.clock.advanceSettled(waitMs);
        }
        world.faults = NO_FAULTS;
        if (living.length === 0) living.push(start());
        for (let second = 0; second < 30 && world.pendingTransfers > 0; second++) {
          await world.clock.advanceSettled(1_000);
        }
        await world.clock.advanceSettled(1_000);
        for (const { reconciler } of living) await reconciler.stop();
        expect(world.check()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
