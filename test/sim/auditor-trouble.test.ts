/** SPEC AU: the auditor beside clusters that change, clocks that are wrong, Sets that were set back. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryObjectStore } from '../../lib/adapter/memory-object-store.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { DecodeError } from '../../lib/core/bytes.ts';
import { setId, timeMs } from '../../lib/core/units.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { decodeCheckpoint } from '../../reconciler/audit/checkpoint.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import type { Finding } from '../../reconciler/audit/feed.ts';
import { Feed } from '../../reconciler/audit/feed.ts';
import { Auditor } from '../../reconciler/auditor.ts';
import type { Ask, QueryAnswer, Router } from '../../router/api.ts';
import { Shown, horizonAfter } from './audit-source.ts';
import { live, reseal, scripts } from './check-journals.ts';

const DAYS = scripts(2, { seed: 7, days: 12, steps: 300 }).map((day) => live(day).journal);
const DAY = DAYS.reduce((a, b) => (b.length > a.length ? b : a), []);
const AWAY: QueryAnswer = { status: 'set_unavailable', reply: null };

afterEach(() => vi.restoreAllMocks());

/** A cluster of two Sets of which the topology names some. */
class Town {
  readonly clock = new ManualClock();
  readonly events: string[] = [];
  readonly shown = new Shown(DAY);
  sets = [1, 2];
  pages = 0;
  /** What a Set has lost: its journal ends so much earlier. */
  readonly lost = new Map<number, number>();
  /** Replicas that know of a commit whose rows they have not. */
  isHollow = false;
  /** How long a Set takes to answer; what it says is of the end of that. */
  delayMs = 0;

  get router(): Router {
    const router: Pick<Router, 'sets' | 'query'> = {
      sets: () => this.sets.map(setId),
      query: (set, ask) =>
        this.delayMs === 0
          ? Promise.resolve(this.#answer(set, ask))
          : new Promise((resolve) => {
              this.clock.after(this.delayMs, () => resolve(this.#answer(set, ask)));
            }),
    };
    return router as Router;
  }

  /** The end of what the Set has. */
  lsnOf(set: number): number {
    return this.shown.of(set).length - (this.lost.get(set) ?? 0);
  }

  start(store: MemoryObjectStore | null = null, mayAudit = (): boolean => true): Auditor {
    const { clock, router } = this;
    const say = (event: string): void => void this.events.push(event);
    const log = { info: say, warn: say, error: say };
    return new Auditor({ router, clock, log, metrics: createMetrics(), store, mayAudit });
  }

  #answer(set: number, { journal, lanes }: Ask): QueryAnswer {
    if (!this.sets.includes(set)) return AWAY;
    const end = this.lsnOf(set);
    if (journal) {
      this.pages += 1;
      // Who does not pause must not hang the test.
      if (this.isHollow && this.pages > 1_000) this.sets = [];
      const after = Number(journal.afterLsn);
      const count = this.isHollow ? 0 : Math.max(0, Math.min(50, end - after));
      const { entries } = this.shown.page(set, after, count);
      return answer({ journal: { entries, commitLsn: String(end) } });
    }
    if (!lanes) return AWAY;
    const value = horizonAfter(this.shown.of(set).slice(0, end));
    return answer({ lanes: value, asOfLsn: String(value.lsn) });
  }
}

function answer(fields: object): QueryAnswer {
  return { status: 'ok', reply: { tag: 0, status: 'ok', ...fields } } as unknown as QueryAnswer;
}

describe('[AU2] Sets that come and go', () => {
  test('one that joins, and is used before the next tick, is not called M8', async () => {
    const town = new Town();
    // The Set of the first entry that names the other one is the old one.
    const old = DAY.find(({ lsn }) => lsn > 3)?.setId ?? 1;
    town.sets = [old];
    town.delayMs = 50;
    const auditor = town.start();
    await town.clock.advanceSettled(50 + 200 + 20);
    // A page is on its way, and the next tick is later than its end.
    town.sets = [1, 2];
    town.shown.happen(Infinity);
    await town.clock.advanceSettled(10_000);
    expect(auditor.findings()).toEqual([]);
    expect([1, 2].map((set) => auditor.lsnOf(setId(set)))).toEqual(
      [1, 2].map((s) => town.lsnOf(s)),
    );
    await auditor.stop();
  });

  test('one that was retired is no lag, and checkpoints go on being written', async () => {
    const town = new Town();
    const store = new MemoryObjectStore();
    const first = town.start(store);
    town.shown.happen(Infinity);
    await town.clock.advanceSettled(10_000);
    await first.stop();
    town.sets = [1];
    const auditor = town.start(store);
    await town.clock.advanceSettled(100_000);
    expect(auditor.lagMs()).toBeLessThan(1_500);
    const [oldest = ''] = await store.list({ prefix: 'audit/', limit: 9 });
    expect(oldest).not.toBe('audit/books-000000000001');
    await auditor.stop();
  });
});

describe('[AU4] the hour of what is forgotten', () => {
  test('counts from log time where this clock runs ahead', async () => {
    const town = new Town();
    const forget = vi.spyOn(ClusterBooks.prototype, 'forget');
    const newest = Math.max(...DAY.map(({ ts }) => ts));
    vi.spyOn(town.clock, 'now').mockImplementation(() => timeMs(newest + 24 * 3_600_000));
    const auditor = town.start();
    town.shown.happen(Infinity);
    await town.clock.advanceSettled(10_000);
    const latest = Math.max(...forget.mock.calls.map(([before]) => before));
    expect(latest).toBeGreaterThan(newest - 3_700_000);
    expect(latest).toBeLessThanOrEqual(newest - 3_600_000);
    await auditor.stop();
  });
});

test('[AU5] two share a folder: who does not audit writes nothing, who takes over goes on behind', async () => {
  const town = new Town();
  const store = new MemoryObjectStore();
  const names = (): Promise<string[]> => store.list({ prefix: 'audit/', limit: 9 });
  let isFirst = true;
  const first = town.start(store, () => isFirst);
  // Before they have heard of each other both begin.
  let isSecond = true;
  const second = town.start(store, () => isSecond);
  await town.clock.advanceSettled(500);
  isSecond = false;
  town.shown.happen(Infinity);
  await town.clock.advanceSettled(100_000);
  const before = await names();
  expect(before).toHaveLength(2);
  isFirst = false;
  isSecond = true;
  await first.stop();
  expect(await names()).toEqual(before);
  await town.clock.advanceSettled(40_000);
  const [, newest = ''] = await names();
  expect(newest > (before[1] ?? '')).toBe(true);
  const books = decodeCheckpoint((await store.get(newest)) ?? new Uint8Array());
  expect(books?.sets.map(({ lsn }) => lsn)).toEqual([1, 2].map((set) => town.lsnOf(set)));
  await second.stop();
});

describe('[AU6] a Set that was set back', () => {
  test('is seen by the next word of its leader, although it writes nothing', async () => {
    const town = new Town();
    const auditor = town.start();
    town.shown.happen(Infinity);
    await town.clock.advanceSettled(10_000);
    expect(auditor.findings()).toEqual([]);
    town.lost.set(2, 3);
    await town.clock.advanceSettled(2_000);
    expect(auditor.findings()).toMatchObject([{ set: 2, rule: 'AU6', stops: false }]);
    expect(auditor.findings()[0]?.message).toContain(
      `after LSN ${town.lsnOf(2) + 3} was committed`,
    );
    await auditor.stop();
  });

  test('behind a checkpoint: all is read again', async () => {
    const town = new Town();
    const store = new MemoryObjectStore();
    town.shown.happen(40);
    const first = town.start(store);
    await town.clock.advanceSettled(10_000);
    await first.stop();
    town.lost.set(1, 2);
    town.pages = 0;
    const auditor = town.start(store);
    await town.clock.advanceSettled(5_000);
    expect(town.events).toContain('audit_checkpoint_foreign');
    expect(auditor.lsnOf(setId(1))).toBe(town.lsnOf(1));
    await auditor.stop();
  });
});

test('replicas that know of more than they have are asked at the pace of the poll', async () => {
  const town = new Town();
  town.isHollow = true;
  const auditor = town.start();
  town.shown.happen(Infinity);
  await town.clock.advanceSettled(2_000);
  expect(town.pages).toBeGreaterThan(5);
  expect(town.pages).toBeLessThan(40);
  await auditor.stop();
});

test('a Set that is read faster than it is judged does not stand before the others', () => {
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => void findings.push(finding);
  const feed = new Feed({ sets: [1, 2], nowMs: 0, onFinding, from: null });
  const shown = new Shown(DAY);
  shown.happen(Infinity);
  for (let round = 0; round < 2; round++) {
    for (const set of [1, 2]) {
      const after = feed.next(set);
      if (after !== null) feed.offer(set, { ...shown.page(set, after, 5), atMs: 0 });
    }
    // One entry, and the slice is over.
    expect(feed.advance(() => false)).toBe(true);
  }
  expect(findings).toEqual([]);
  expect([1, 2].map((set) => feed.books.set(set).lsn)).toEqual([1, 1]);
});

test('[AU1] whatever the bytes of an entry say, books judge or stop, and nothing else is thrown', () => {
  const random = new SeededRandom(5);
  let stopped = 0;
  for (let run = 0; run < 150; run++) {
    const journal = spoiled(DAYS[random.below(DAYS.length)] ?? [], random);
    const findings: Finding[] = [];
    const onFinding = (finding: Finding): void => void findings.push(finding);
    const feed = new Feed({ sets: [1, 2], nowMs: 0, onFinding, from: null });
    const shown = new Shown(journal);
    shown.happen(Infinity);
    for (let round = 0; round < 6; round++) {
      for (const set of [1, 2]) shown.offer(feed, set, { count: 1_000 });
      for (const set of [1, 2]) tell(feed, { set, entries: shown.of(set) });
    }
    if (findings.some(({ stops }) => stops)) stopped += 1;
  }
  expect(stopped).toBeGreaterThan(75);
});

/** One entry has a few bytes that are others; the journal is sealed as if it had been written so. */
function spoiled(journal: readonly Entry[], random: SeededRandom): Entry[] {
  const target = random.below(journal.length);
  const sums = new Map<number, Uint8Array>();
  return journal.slice(0, target + 30).map((entry, at) => {
    const payload = new Uint8Array(entry.payload);
    for (let byte = 0; at === target && byte < 3; byte++) {
      payload[random.below(payload.length)] = [0, 1, 128, 255][random.below(4)] ?? 0;
    }
    const sealed = reseal({ ...entry, payload, prev: sums.get(entry.setId) ?? entry.prev });
    sums.set(entry.setId, sealed.sum);
    return sealed;
  });
}

/** The leader's word, if the writer's own decoder can say it. */
function tell(feed: Feed, { set, entries }: { set: number; entries: readonly Entry[] }): void {
  const asked = feed.ask();
  let value = { lsn: entries.at(-1)?.lsn ?? 0, sent: [], received: [] } as ReturnType<
    typeof horizonAfter
  >;
  try {
    value = horizonAfter(entries);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  feed.horizon(set, { asked, atMs: 0, value });
  feed.advance(() => true);
}
