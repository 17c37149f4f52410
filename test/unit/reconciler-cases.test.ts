/** Lanes that do not move: when somebody is told, of what, and when it is over. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeCommand } from '../../lib/core/command.ts';
import { encodeDelivery } from '../../lib/core/delivery.ts';
import type { Command } from '../../lib/core/command.ts';
import { Writer } from '../../lib/core/bytes.ts';
import { asId } from '../../lib/core/ids.ts';
import type { Status } from '../../lib/core/status.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { writeTransfer } from '../../lib/core/transfer.ts';
import { cents, setId } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { serveMetrics } from '../../lib/runtime/metrics-endpoint.ts';
import type { RuntimeMetrics } from '../../lib/runtime/metrics.ts';
import { verb } from '../../ops/verb/cases.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import type { Case } from '../../reconciler/cases.ts';
import { Cases } from '../../reconciler/cases.ts';
import { pageOf } from '../../reconciler/outbox-page.ts';
import type { CasesReport, Reconciler } from '../../reconciler/server.ts';
import { startReconciler } from '../../reconciler/server.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { Router } from '../../router/api.ts';
import { FakeWorld, commandOf } from './reconciler-world.ts';

type Watched = {
  reconciler: Reconciler;
  metrics: RuntimeMetrics;
  logged: string[];
};

/** What the router answers instead; null: what it would. */
type Verdict = (set: number, command: Command) => Status | null | 'silence';

function start(world: FakeWorld, verdict: Verdict): Watched {
  const logged: string[] = [];
  const log = {
    info: (event: string) => logged.push(event),
    warn: (event: string) => logged.push(event),
    error: (event: string) => logged.push(event),
  };
  const router: Router = {
    ...world.router,
    command: (set, command, options) => {
      const status = verdict(set, commandOf(command));
      if (status === null) return world.router.command(set, command, options);
      if (status === 'silence') return new Promise(() => {});
      const mark = { setId: set, epoch: 1, lsn: 0 };
      return Promise.resolve({ outcome: refuse(command.type, status), mark });
    },
  };
  const metrics = createMetrics();
  const { clock, random } = world;
  const bus = new MemoryBus({ clock, log });
  const reconciler = startReconciler({ router, bus, clock, random, log, metrics });
  return { reconciler, metrics, logged };
}

describe('cases', () => {
  test('[S5] fifty failed tries open one, and it closes itself when the lane moves', async () => {
    const world = new FakeWorld({ sets: 2, seed: 1 });
    let isAway = true;
    const { reconciler, metrics, logged } = start(world, (set) =>
      set === 1 && isAway ? 'set_unavailable' : null,
    );
    world.owe({ from: 0, to: 1, amountCents: 700 });
    world.owe({ from: 0, to: 1, amountCents: 300 });
    await world.clock.advanceSettled(5_000);
    expect(reconciler.cases().open).toEqual([]);
    await world.clock.advanceSettled(25_000);
    const { open, more, members } = reconciler.cases();
    expect([open.length, more, members]).toEqual([1, 0, 1]);
    expect(open[0]).toMatchObject({
      reason: 'failing',
      from: 0,
      to: 1,
      lane: 2,
      laneName: 'credit',
      number: 1,
      step: 'deliver',
      kind: 'claim.credit',
      cents: 700,
      behind: 1,
      lastAnswer: 'set_unavailable',
      what: 'claim.credit number 1 of Set 0 does not reach Set 1',
    });
    expect(open[0]?.tries).toBeGreaterThanOrEqual(50);
    expect(open[0]?.advice).toContain('Does Set 1 serve');
    expect(world.clock.now() - (open[0]?.firstSeenMs ?? 0)).toBeGreaterThan(29_000);
    expect(await metrics.expose()).toContain('hongbao_settle_cases{reason="failing"} 1');
    expect(await metrics.expose()).toMatch(/hongbao_settle_oldest_seconds\{lane="2"\} (29|30)/);
    isAway = false;
    await world.clock.advanceSettled(1_000);
    expect(reconciler.cases().open).toEqual([]);
    expect(world.check()).toEqual([]);
    expect(await metrics.expose()).toContain('hongbao_settle_cases{reason="failing"} 0');
    expect(await metrics.expose()).toContain('hongbao_settle_oldest_seconds{lane="2"} 0');
    expect(logged.filter((event) => event.startsWith('case_'))).toEqual([
      'case_opened',
      'case_closed',
    ]);
    await reconciler.stop();
  });

  test('[S5] silence opens one after a minute', async () => {
    const world = new FakeWorld({ sets: 2, seed: 2 });
    const { reconciler } = start(world, (set) => (set === 1 ? 'silence' : null));
    world.owe({ from: 0, to: 1, amountCents: 9_000 });
    await world.clock.advanceSettled(59_000);
    expect(reconciler.cases().open).toEqual([]);
    await world.clock.advanceSettled(2_000);
    expect(reconciler.cases().open).toMatchObject([
      { reason: 'old', lane: 1, laneName: 'largeCredit', lastAnswer: null },
    ]);
    await reconciler.stop();
  });

  test('[S4][S5] of a refused delivery all before the bad one pass, and the case names that one', async () => {
    const world = new FakeWorld({ sets: 3, seed: 3 });
    const bad = 130;
    let isFull = true;
    const { reconciler } = start(world, (set, command) => {
      if (set !== 1 || command.type !== 'transfer.deliver' || !isFull) return null;
      const { first, transfers } = command;
      return first <= bad && bad < first + transfers.length ? 'issue_limit' : null;
    });
    for (let count = 0; count < 300; count++) world.owe({ from: 0, to: 1, amountCents: 700 });
    world.owe({ from: 0, to: 1, amountCents: 9_000 });
    world.owe({ from: 0, to: 2, amountCents: 100 });
    await world.clock.advanceSettled(20_000);
    const booked = world.of(1).booked.get(2) ?? [];
    expect(booked.filter((number) => number < bad).length).toBe(bad - 1);
    expect(booked).not.toContain(bad);
    expect(world.of(1).booked.get(1)?.length).toBe(1);
    expect(world.of(2).walletsCents).toBe(100);
    expect(reconciler.cases().open).toMatchObject([
      { reason: 'refused', number: bad, lastAnswer: 'issue_limit', kind: 'claim.credit' },
    ]);
    expect(reconciler.cases().open[0]?.advice).toContain('as much money as a Set may');
    isFull = false;
    await world.clock.advanceSettled(3_000);
    expect(world.check()).toEqual([]);
    expect(reconciler.cases().open).toEqual([]);
    await reconciler.stop();
  });

  test('[S5] what neither receiver nor courier can read is a case of its own', async () => {
    const world = new FakeWorld({ sets: 2, seed: 4 });
    const strange: Router = {
      ...world.router,
      query: async (set, ask) => {
        const answer = await world.router.query(set, ask);
        for (const run of answer.reply?.outbox?.runs ?? []) run.transfers[4] = 99;
        return answer;
      },
      command: (set, command) => {
        const mark = { setId: set, epoch: 1, lsn: 0 };
        return Promise.resolve({ outcome: refuse(command.type, 'malformed'), mark });
      },
    };
    const odd = Object.create(world, { router: { value: strange } }) as FakeWorld;
    world.owe({ from: 0, to: 1, amountCents: 700 });
    const { clock, random } = world;
    const log = { info() {}, warn() {}, error() {} };
    const bus = new MemoryBus({ clock, log });
    const metrics = createMetrics();
    const { router } = odd;
    const reconciler = startReconciler({ router, bus, clock, random, log, metrics });
    await clock.advanceSettled(1_000);
    expect(reconciler.cases().open).toMatchObject([{ reason: 'unreadable', kind: null, cents: 0 }]);
    await reconciler.stop();
  });

  test('[S5] a source that does not know what was received of it is a case', async () => {
    const world = new FakeWorld({ sets: 2, seed: 5 });
    const { reconciler } = start(world, (_, command) =>
      command.type === 'transfer.ack' ? 'bad_argument' : null,
    );
    world.owe({ from: 0, to: 1, amountCents: 700 });
    await world.clock.advanceSettled(1_000);
    expect(reconciler.cases().open).toMatchObject([
      { reason: 'refused', step: 'ack', number: 1, lastAnswer: 'bad_argument' },
    ]);
    expect(reconciler.cases().open[0]?.what).toContain('Set 0 does not confirm it');
    await reconciler.stop();
  });

  test('the worst come first, and the list is bounded', () => {
    const log = { info() {}, warn() {}, error() {} };
    const cases = new Cases({ log, metrics: createMetrics() });
    const one = (to: number, reason: Case['reason'], firstSeenMs: number): Case => ({
      reason,
      from: setId(0),
      to: setId(to),
      lane: 2,
      number: 1,
      step: 'deliver',
      kind: 'claim.credit',
      cents: 1,
      behind: 0,
      firstSeenMs,
      tries: 1,
      lastAnswer: null,
    });
    for (let to = 0; to < 300; to++) cases.tell(one(to, to === 77 ? 'refused' : 'old', 1_000 - to));
    const { open, more } = cases.report();
    expect([open.length, more]).toEqual([256, 44]);
    expect(open.slice(0, 2).map(({ to }) => to)).toEqual([77, 299]);
    for (let to = 0; to < 300; to++) cases.close(one(to, 'old', 0));
    expect(cases.report()).toEqual({ open: [], more: 0 });
  });
});

describe('./hongbao cases', () => {
  const NONE: CasesReport = { reconciler: 'a', members: 2, open: [], more: 0 };
  let printed: string[] = [];
  let complained: string[] = [];
  let ends: (() => Promise<void> | void)[] = [];

  beforeEach(() => {
    printed = [];
    complained = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
    vi.spyOn(console, 'error').mockImplementation((line: string) => void complained.push(line));
  });
  afterEach(async () => {
    for (const end of ends) await end();
    ends = [];
    vi.restoreAllMocks();
  });

  /** Where this report is served. */
  async function serve(report: CasesReport | null): Promise<string> {
    const documents = { '/cases': () => report };
    const served = await serveMetrics({ port: 0, metrics: createMetrics(), documents });
    ends.push(() => served.close?.() ?? Promise.resolve());
    return `http://127.0.0.1:${served.port}`;
  }

  function reportOf(tries: number): CasesReport {
    const log = { info() {}, warn() {}, error() {} };
    const cases = new Cases({ log, metrics: createMetrics() });
    cases.tell({
      reason: 'refused',
      from: setId(1),
      to: setId(2),
      lane: 1,
      number: 7,
      step: 'deliver',
      kind: 'claim.credit',
      cents: 123_405,
      behind: 3,
      firstSeenMs: Date.now() - 90_000,
      tries,
      lastAnswer: 'issue_limit',
    });
    return { ...NONE, ...cases.report() };
  }

  test('says in plain words what does not move and what to do, once for each lane', async () => {
    const urls = [await serve(reportOf(5)), await serve(reportOf(80)), await serve(NONE)];
    expect(await verb.run(urls.map((url) => `--url=${url}`))).toBe(1);
    expect(printed).toHaveLength(1);
    expect(printed[0]).toContain('refused: claim.credit number 7 of Set 1 does not reach Set 2');
    expect(printed[0]).toContain('lane largeCredit, 1,234.05, 3 more behind it');
    expect(printed[0]).toMatch(/seen here for 9\d s, 80 tries, last answer issue_limit/);
    expect(printed[0]).toContain('taken as soon as there is room');
  });

  test('is 0 only when every reconciler has answered and has none', async () => {
    const none = await serve(NONE);
    expect(await verb.run(['--url', none])).toBe(0);
    expect(printed).toEqual(['no open cases']);
    // One that is starting has nothing to say yet.
    expect(await verb.run(['--url', none, '--url', await serve(null)])).toBe(1);
    expect(complained.join('')).toContain('no answer (status 503)');
    await expect(verb.run(['--url', 'nowhere'])).rejects.toThrow("'nowhere' is no URL");
  });
});

describe('what a courier carries', () => {
  const credit = (amount: number): Transfer => ({
    kind: 'claim.credit',
    packetId: asId(1n),
    groupId: asId(2n),
    user: parseUserId('小红')!,
    amountCents: cents(amount),
  });
  const bytesOf = (transfer: Transfer): Uint8Array => {
    const w = new Writer();
    writeTransfer(w, transfer);
    return w.finish();
  };

  test('a delivery of encoded transfers is the very command that would be encoded of them', () => {
    for (const count of [1, 2, 256]) {
      const transfers = Array.from({ length: count }, (_, index) => credit(1 + index));
      const head = { from: setId(3), lane: 2, first: 2 ** 40 + 7 };
      expect(encodeDelivery({ ...head, transfers: transfers.map(bytesOf) })).toEqual(
        encodeCommand({ type: 'transfer.deliver', ...head, transfers }),
      );
    }
  });

  test('a page is the same of runs and of entries, and lies are found', () => {
    const transfers = [credit(5), credit(6)];
    const w = new Writer();
    for (const transfer of transfers) w.blob(bytesOf(transfer));
    const run = { to: 1, lane: 2, first: '7', transfers: Buffer.from(w.finish()) };
    const entries = transfers.map((transfer, index) => ({
      to: 1,
      lane: 2,
      number: String(7 + index),
      transfer: Buffer.from(bytesOf(transfer)),
    }));
    const plain = (page: ReturnType<typeof pageOf>): unknown =>
      page.map((each) => ({ ...each, transfer: [...each.transfer] }));
    const page = plain(pageOf({ runs: [run], entries: [] }));
    expect(page).toEqual(plain(pageOf({ runs: [], entries })));
    expect(page).toMatchObject([{ number: 7 }, { number: 8 }]);
    for (const wrong of [
      { ...run, transfers: run.transfers.subarray(1) },
      { ...run, lane: 4 },
      { ...run, to: 1_024 },
    ]) {
      expect(() => pageOf({ runs: [wrong], entries: [] })).toThrow('');
    }
  });
});
