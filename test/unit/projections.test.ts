import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { Lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { SetLog } from '../../set-node/log/set-log.ts';
import { Projections } from '../../set-node/read/projections.ts';

/** A replica whose tables take `msAnEntry` for each entry, in virtual time. */
class SlowTables {
  shown = 0;
  readonly #clock: ManualClock;
  readonly #msAnEntry: number;
  largest = 0;

  constructor(clock: ManualClock, msAnEntry: number) {
    this.#clock = clock;
    this.#msAnEntry = msAnEntry;
  }

  setCommit(): Promise<void> {
    return Promise.resolve();
  }

  projectedLsn(): Promise<Lsn> {
    return Promise.resolve(lsn(this.shown));
  }

  project(to: Lsn): Promise<Lsn> {
    const entries = Math.max(0, to - this.shown);
    this.largest = Math.max(this.largest, entries);
    return new Promise((resolve) => {
      this.#clock.after(entries * this.#msAnEntry, () => {
        this.shown += entries;
        resolve(lsn(this.shown));
      });
    });
  }
}

async function world(args: { msAnEntry: number; busy: boolean }): Promise<{
  run: (ms: number, entriesAMs: number) => Promise<void>;
  tables: SlowTables;
  projections: Projections;
}> {
  const clock = new ManualClock();
  const tables = new SlowTables(clock, args.msAnEntry);
  const log = {
    commit: 0,
    ackedBy: () => log.commit,
    committedOn: () => (log.commit === 0 ? null : { lsn: log.commit, sum: ZERO_SUM }),
  };
  const projections = new Projections({
    setId: setId(1),
    replicas: [tables as unknown as ReplicaStore],
    quorum: 1,
    setLog: log as unknown as SetLog,
    adoptedLsn: lsn(0),
    clock,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    isBusy: () => args.busy,
  });
  projections.start();
  const run = async (ms: number, entriesAMs: number): Promise<void> => {
    for (let at = 0; at < ms; at += 10) {
      log.commit += 10 * entriesAMs;
      if (entriesAMs > 0) projections.wake();
      await clock.advanceSettled(10);
    }
  };
  return { run, tables, projections };
}

test('[rulings 24] while the leader is busy its tables get a tenth of the time', async () => {
  const { run, tables, projections } = await world({ msAnEntry: 1, busy: true });
  await run(5_000, 1);
  expect(tables.shown).toBeGreaterThan(200);
  expect(tables.shown).toBeLessThan(800);
  expect(projections.lagMs).toBeGreaterThan(3_000);
  expect(projections.isBehind).toBe(false);
});

test('[rulings 24] tables that are a third of the limit behind no longer yield', async () => {
  const { run, projections } = await world({ msAnEntry: 0.5, busy: true });
  await run(LIMITS.projectionLagMsMax * 2, 1);
  expect(projections.lagMs).toBeGreaterThan(LIMITS.projectionLagMsMax / 6);
  expect(projections.lagMs).toBeLessThan(LIMITS.projectionLagMsMax / 3 + 2_000);
});

test('[rulings 24] admission slows when they are further behind than the limit', async () => {
  const { run, projections } = await world({ msAnEntry: 50, busy: false });
  await run(LIMITS.projectionLagMsMax - 1_000, 1);
  expect(projections.isBehind).toBe(false);
  await run(5_000, 1);
  expect(projections.isBehind).toBe(true);
});

test('an idle leader has its tables at once, in pieces of a bounded time', async () => {
  const { run, tables, projections } = await world({ msAnEntry: 1, busy: false });
  await run(1_000, 0.5);
  await run(1_500, 0);
  expect(tables.shown).toBe(500);
  expect(projections.lagMs).toBe(0);
  expect(tables.largest).toBeLessThanOrEqual(200);
});

test('tables that are gone come back although nothing more is committed', async () => {
  const { run, tables, projections } = await world({ msAnEntry: 0.1, busy: false });
  await run(1_000, 0.5);
  await run(1_000, 0);
  expect(projections.quorumLsn()).toBe(500);
  // A lost disk, brought back by its journal alone.
  tables.shown = 0;
  await run(5_000, 0);
  expect(tables.shown).toBe(500);
  expect(projections.quorumLsn()).toBe(500);
});

test('[M9] what was forgotten is not looked for in tables that are older than it', async () => {
  const clock = new ManualClock();
  const tables = [100, 100, 50].map((shown) => {
    const one = new SlowTables(clock, 1);
    one.shown = shown;
    return one;
  });
  const projections = new Projections({
    setId: setId(1),
    replicas: tables as unknown as ReplicaStore[],
    quorum: 2,
    setLog: { commit: 100, ackedBy: () => 0, committedOn: () => null } as unknown as SetLog,
    adoptedLsn: lsn(0),
    clock,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    isBusy: () => false,
  });
  projections.start();
  await clock.advanceSettled(3_000);
  expect(projections.letGo()).toBe(100);
  // A disk is lost: two replicas show 50 now, and what was forgotten is not in their tables.
  tables[0]!.shown = 50;
  await clock.advanceSettled(3_000);
  expect(projections.letGo()).toBe(50);
  expect(projections.forgottenLsn()).toBe(100);
});
