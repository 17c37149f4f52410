/** SPEC AU: the auditor beside a live cluster: pages, delays, restarts, checkpoints, metrics. */
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryObjectStore } from '../../lib/adapter/memory-object-store.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { setId } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { decodeCheckpoint } from '../../reconciler/audit/checkpoint.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import { Auditor } from '../../reconciler/auditor.ts';
import type { Ask, QueryAnswer, Router } from '../../router/api.ts';
import { Shown, horizonAfter, plain } from './audit-source.ts';
import { live, scripts, tamper } from './check-journals.ts';
import { MONEY_TAMPERS } from './check-money-tampers.ts';

const SETS = [setId(1), setId(2)];
const DAYS = scripts(2, { seed: 7, days: 12, steps: 300 }).map((day) => live(day).journal);
const DAY = DAYS.reduce((a, b) => (b.length > a.length ? b : a), []);
const AWAY: QueryAnswer = { status: 'set_unavailable', reply: null };

class World {
  readonly clock: ManualClock;
  readonly shown: Shown;
  readonly lines: { event: string; fields: Readonly<Record<string, unknown>> | undefined }[] = [];
  readonly away = new Set<number>();
  readonly pages: { set: number; after: number }[] = [];
  /** A leader's memory that is not what its journal says. */
  lie: ((set: number, value: ReturnType<typeof horizonAfter>) => object) | null = null;

  constructor(journal: readonly Entry[], clock = new ManualClock()) {
    this.shown = new Shown(journal);
    this.clock = clock;
  }

  readonly log: Log = {
    info: (event, fields) => void this.lines.push({ event, fields }),
    warn: (event, fields) => void this.lines.push({ event, fields }),
    error: (event, fields) => void this.lines.push({ event, fields }),
  };

  get router(): Router {
    const router: Pick<Router, 'sets' | 'query'> = {
      sets: () => SETS,
      query: (set, ask) => Promise.resolve(this.#answer(set, ask)),
    };
    return router as Router;
  }

  #answer(set: number, { journal, lanes }: Ask): QueryAnswer {
    if (this.away.has(set)) return AWAY;
    if (journal) {
      const after = Number(journal.afterLsn);
      this.pages.push({ set, after });
      const { entries, commitLsn } = this.shown.page(set, after, 7);
      return answer({ journal: { entries, commitLsn: String(commitLsn) } });
    }
    if (!lanes) return AWAY;
    const value = horizonAfter(this.shown.of(set));
    const said = { ...value, ...this.lie?.(set, value) };
    return answer({ lanes: said, asOfLsn: String(value.lsn) });
  }

  lsnsOf(auditor: Auditor): number[] {
    return SETS.map((set) => auditor.lsnOf(set));
  }

  lengths(): number[] {
    return SETS.map((set) => this.shown.of(set).length);
  }

  has(event: string): boolean {
    return this.lines.some((line) => line.event === event);
  }
}

function answer(fields: object): QueryAnswer {
  return { status: 'ok', reply: { tag: 0, status: 'ok', ...fields } } as unknown as QueryAnswer;
}

function auditorOf(
  world: World,
  more: Partial<ConstructorParameters<typeof Auditor>[0]> = {},
): { auditor: Auditor; expose: () => Promise<string> } {
  const metrics = createMetrics();
  const { clock, log, router } = world;
  const auditor = new Auditor({ router, clock, log, metrics, store: null, ...more });
  return { auditor, expose: () => metrics.expose() };
}

describe('a live cluster', () => {
  test('is followed to its end, and where every cent is stands in the gauges', async () => {
    const world = new World(DAY);
    const { auditor, expose } = auditorOf(world);
    while (!world.shown.isOver) {
      world.shown.happen(5);
      await world.clock.advanceSettled(150);
    }
    await world.clock.advanceSettled(3_000);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(auditor.findings()).toEqual([]);
    expect(auditor.lagMs()).toBeLessThan(1_500);
    const text = await expose();
    const cents = (where: string): number =>
      Number(new RegExp(`hongbao_audit_cents\\{where="${where}"\\} (\\d+)`).exec(text)?.[1]);
    const parts = ['wallets', 'packets', 'in_flight', 'refunding'].map(cents);
    expect(parts.reduce((a, b) => a + b, 0)).toBe(cents('issued'));
    expect(cents('issued')).toBeGreaterThan(0);
    expect(text).toContain('hongbao_audit_mismatch 0');
    expect(text).toContain(`hongbao_audit_lsn{set="1"} ${world.lengths()[0]}`);
    await auditor.stop();
  });

  test('one Set away is lag and no alarm; it comes back and all is well', async () => {
    const world = new World(DAY);
    const { auditor } = auditorOf(world);
    world.away.add(2);
    world.shown.happen(DAY.length);
    await world.clock.advanceSettled(20_000);
    expect(auditor.lsnOf(setId(1))).toBeGreaterThan(0);
    expect(auditor.findings()).toEqual([]);
    expect(auditor.lagMs()).toBeGreaterThan(19_000);
    expect(world.lines.filter(({ event }) => event === 'audit_waits')).toHaveLength(1);
    world.away.clear();
    await world.clock.advanceSettled(20_000);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(auditor.findings()).toEqual([]);
    expect(auditor.lagMs()).toBeLessThan(1_500);
    await auditor.stop();
  });

  test('a lie stops one Set, counts one, is told once, and stays', async () => {
    const change = MONEY_TAMPERS['a leg is a cent off']?.change();
    const tampered = change === undefined ? null : tamper(DAY, change);
    if (tampered === null) throw new Error('a tampered day');
    const world = new World(tampered);
    const { auditor, expose } = auditorOf(world);
    world.shown.happen(tampered.length);
    await world.clock.advanceSettled(10_000);
    expect(auditor.findings()).toMatchObject([{ rule: 'M1', stops: true }]);
    expect(world.lines.filter(({ event }) => event === 'audit_violation')).toHaveLength(1);
    const text = await expose();
    expect(text).toContain('hongbao_audit_mismatch 1');
    expect(text).toContain('hongbao_audit_violations_total{rule="M1"} 1');
    expect(auditor.lagMs()).toBeGreaterThan(5_000);
    await auditor.stop();
  });

  test('a leader’s outbox that lost a row is seen within two words of it', async () => {
    const world = new World(DAY);
    const { auditor } = auditorOf(world);
    world.shown.happen(DAY.length);
    await world.clock.advanceSettled(3_000);
    expect(auditor.findings()).toEqual([]);
    world.lie = (set, { sent }) =>
      set === 1
        ? { sent: sent.map((lane, at) => (at === 0 ? { ...lane, next: lane.next + 1 } : lane)) }
        : {};
    await world.clock.advanceSettled(2_500);
    expect(auditor.findings()).toMatchObject([{ set: 1, rule: 'AU6', stops: false }]);
    await auditor.stop();
  });

  test('who may not audit reads nothing, and begins when he may', async () => {
    const world = new World(DAY);
    let may = false;
    const { auditor, expose } = auditorOf(world, { mayAudit: () => may });
    world.shown.happen(DAY.length);
    await world.clock.advanceSettled(3_000);
    expect(world.pages).toEqual([]);
    expect(await expose()).toContain('hongbao_audit_active 0');
    may = true;
    await world.clock.advanceSettled(20_000);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(await expose()).toContain('hongbao_audit_active 1');
    await auditor.stop();
  });
});

describe('[AU4] the horizon', () => {
  test('comes nearer while there is too much in memory, and goes back', async () => {
    const [few, many] = [await memoryOf({ keptMax: 1 }), await memoryOf({})];
    expect(few.horizons.at(-1)).toBe(2);
    expect(new Set(many.horizons)).toEqual(new Set([3_600]));
    expect(few.kept).toBeLessThan(many.kept);
    // More for a while than what is left when it has come nearer.
    const { horizons } = await memoryOf({ keptMax: many.kept - 1 });
    expect(Math.min(...horizons)).toBeLessThan(3_000);
    expect(horizons.at(-1)).toBe(3_600);
  });

  /** A day with a long evening: each look's horizon in seconds, and what is in memory at the end. */
  async function memoryOf(more: {
    keptMax?: number;
  }): Promise<{ horizons: number[]; kept: number }> {
    const store = new MemoryObjectStore();
    const world = new World(DAY);
    const times = { horizonMsMin: 2_000, ...more };
    const { auditor, expose } = auditorOf(world, { store, times });
    const horizonNow = async (): Promise<number> =>
      Number(/^hongbao_audit_horizon_seconds (\S+)$/m.exec(await expose())?.[1]);
    const horizons: number[] = [];
    while (!world.shown.isOver) {
      world.shown.happen(5);
      await world.clock.advanceSettled(1_000);
      horizons.push(await horizonNow());
    }
    await world.clock.advanceSettled(60_000);
    horizons.push(await horizonNow());
    await auditor.stop();
    expect(auditor.findings()).toEqual([]);
    const [name = ''] = (await store.list({ prefix: 'audit/', limit: 9 })).slice(-1);
    const dump = decodeCheckpoint((await store.get(name)) ?? new Uint8Array());
    const books = new ClusterBooks([], { history: false });
    if (dump !== null) books.restore(dump);
    return { horizons, kept: books.forgettable };
  }
});

describe('[AU5] restarts', () => {
  const half = Math.floor(DAY.length / 2);

  async function firstHalf(store: MemoryObjectStore): Promise<World> {
    const world = new World(DAY);
    const { auditor } = auditorOf(world, { store });
    world.shown.happen(half);
    await world.clock.advanceSettled(20_000);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    await auditor.stop();
    return world;
  }

  async function secondHalf(
    store: MemoryObjectStore,
    journal: readonly Entry[] = DAY,
  ): Promise<{ world: World; auditor: Auditor }> {
    const world = new World(journal);
    world.shown.happen(journal.length);
    const { auditor } = auditorOf(world, { store });
    await world.clock.advanceSettled(20_000);
    return { world, auditor };
  }

  test('go on where the last one stood', async () => {
    const store = new MemoryObjectStore();
    const before = (await firstHalf(store)).lengths();
    const { world, auditor } = await secondHalf(store);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(auditor.findings()).toEqual([]);
    for (const [at, set] of SETS.entries()) {
      const [first] = world.pages.filter((page) => page.set === set);
      expect(first?.after).toBe((before[at] ?? 0) - 1);
    }
    await auditor.stop();
  });

  test('a damaged checkpoint is a line of log, and the one before it serves', async () => {
    const store = new MemoryObjectStore();
    await firstHalf(store);
    const [name = ''] = await store.list({ prefix: 'audit/', limit: 9 });
    const bytes = await store.get(name);
    await store.put('audit/books-000000000099', new Uint8Array(bytes ?? []).fill(7, 60, 61));
    const { world, auditor } = await secondHalf(store);
    expect(world.has('audit_checkpoint_damaged')).toBe(true);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(world.pages[0]?.after).toBeGreaterThan(0);
    await auditor.stop();
  });

  test('none that is whole: from LSN 1', async () => {
    const store = new MemoryObjectStore();
    await store.put('audit/books-000000000001', new Uint8Array(100));
    const { world, auditor } = await secondHalf(store);
    expect(world.has('audit_checkpoint_damaged')).toBe(true);
    expect(world.pages[0]?.after).toBe(0);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(auditor.findings()).toEqual([]);
    await auditor.stop();
  });

  test('one of another cluster: from LSN 1, without an alarm', async () => {
    const store = new MemoryObjectStore();
    await firstHalf(store);
    const other = DAYS.find((day) => day !== DAY && day.length > DAY.length / 2) ?? [];
    const { world, auditor } = await secondHalf(store, other);
    expect(world.has('audit_checkpoint_foreign')).toBe(true);
    expect(world.lsnsOf(auditor)).toEqual(world.lengths());
    expect(auditor.findings()).toEqual([]);
    await auditor.stop();
  });

  test('books that broke a rule are never written', async () => {
    const store = new MemoryObjectStore();
    await firstHalf(store);
    const change = MONEY_TAMPERS['a leg is a cent off']?.change();
    const tampered = change === undefined ? null : tamper(DAY, change);
    const names = await store.list({ prefix: 'audit/', limit: 9 });
    for (const name of names) await store.delete(name);
    const { auditor } = await secondHalf(store, tampered ?? []);
    expect(auditor.findings()).toHaveLength(1);
    await auditor.stop();
    expect(await store.list({ prefix: 'audit/', limit: 9 })).toEqual([]);
  });

  test('is taken down in slices, and says what the books were at one moment', async () => {
    let inTheMiddle = 0;
    for (const day of DAYS) {
      for (const bytes of (await checkpointsOf(day)).values()) {
        const dump = decodeCheckpoint(bytes);
        const lsns = new Map(dump?.sets.map(({ setId: set, lsn }) => [set, lsn]));
        const books = new ClusterBooks([1, 2], { history: false });
        for (const entry of day) {
          if (entry.lsn <= (lsns.get(entry.setId) ?? 0)) books.addCommitted(entry.setId, entry);
          else inTheMiddle += 1;
        }
        expect(plain(dump)).toEqual(plain(books.dump()));
      }
    }
    expect(inTheMiddle).toBeGreaterThan(100);
  });

  /** All that an auditor writes while a day happens slowly, each slice of it between other things. */
  async function checkpointsOf(day: readonly Entry[]): Promise<Map<string, Uint8Array>> {
    const store = new MemoryObjectStore();
    const world = new World(day);
    const { clock } = world;
    let looks = 0;
    const busy: Clock = {
      now: () => clock.now(),
      // Every look takes longer than a slice, which ends as soon as it can.
      monotonicMs: () => clock.monotonicMs() + 5 * ++looks,
      after: (delayMs, run) => clock.after(Math.max(20, delayMs), run),
      every: (periodMs, run) => clock.every(periodMs, run),
      soon: (run) => clock.soon(run),
    };
    const times = { pollMs: 50, checkpointMs: 15_000, horizonMs: 1e12 };
    const { auditor } = auditorOf(world, { store, clock: busy, times });
    const seen = new Map<string, Uint8Array>();
    while (!world.shown.isOver) {
      world.shown.happen(1);
      await clock.advanceSettled(200);
      for (const name of await store.list({ prefix: 'audit/', limit: 9 })) {
        seen.set(name, (await store.get(name)) ?? new Uint8Array());
      }
    }
    const stopped = auditor.stop();
    await clock.advanceSettled(60_000);
    await stopped;
    return seen;
  }

  test('two checkpoints are kept, however many were written', async () => {
    const store = new MemoryObjectStore();
    const world = new World(DAY);
    const { auditor } = auditorOf(world, { store, times: { checkpointMs: 1_000 } });
    for (let round = 0; round < 10; round++) {
      world.shown.happen(20);
      await world.clock.advanceSettled(1_500);
    }
    await auditor.stop();
    expect(await store.list({ prefix: 'audit/', limit: 9 })).toHaveLength(2);
  });
});
