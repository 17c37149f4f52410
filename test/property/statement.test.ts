/** Statements, balances in the past and years add up, on tables that move while they are read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryTable } from '../../lib/adapter/memory-table.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Change, ReplicaStore, Row, Scan } from '../../lib/port/replica-store.ts';
import type { StatementQuery__Output } from '../../proto/gen/hongbao/StatementQuery.ts';
import type { LedgerLine } from '../../proto/gen/hongbao/LedgerLine.ts';
import { decodeOps } from '../../reconciler/audit/decode.ts';
import { Ledger } from '../../reconciler/audit/ledger.ts';
import { Place } from '../../reconciler/audit/place.ts';
import { schema } from '../../set-node/read/projection.ts';
import { readStatement, readStatistics } from '../../set-node/read/statement.ts';
import { TABLES } from '../../set-node/read/tables.ts';
import { PEOPLE } from './machine-sets.ts';
import { runScript } from './machine-world.ts';
import type { Script } from './machine-script.ts';
import { script } from './machine-script.ts';

const ZONE_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;
const MAX = Number.MAX_SAFE_INTEGER;

type Tamper = (change: Change) => Change | null;

/** Tables of one replica that project one entry more before each scan, from `shown` on. */
class MovingTables implements Pick<ReplicaStore, 'scan'> {
  readonly #tables = new Map(TABLES.map((table) => [table.name as string, new MemoryTable(table)]));
  readonly #entries: readonly Entry[];
  readonly #tamper: Tamper;
  #shown = 0;

  constructor(args: { entries: readonly Entry[]; shown: number; tamper?: Tamper }) {
    this.#entries = args.entries;
    this.#tamper = args.tamper ?? ((change) => change);
    while (this.#shown < args.shown) this.#project();
  }

  #project(): void {
    const entry = this.#entries[this.#shown];
    if (entry === undefined) return;
    for (const change of schema.project([entry])) {
      const real = this.#tamper(change);
      if (real !== null) this.#tables.get(real.table)!.apply(real);
    }
    this.#shown += 1;
  }

  rows(table: string): Row[] {
    return this.#tables.get(table)!.rows();
  }

  scan(scan: Scan): ReturnType<ReplicaStore['scan']> {
    this.#project();
    const asOfLsn = lsn(this.#shown);
    return Promise.resolve({ asOfLsn, rows: this.#tables.get(scan.table)!.scan(scan) });
  }
}

/** The books of the audit: postings alone, by their own decoder. */
class Oracle {
  readonly #entries: readonly Entry[];
  readonly #ledger = new Ledger();

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    for (const entry of entries) {
      const place = new Place(entry);
      for (const op of decodeOps(entry)) this.#ledger.post(op.postings, place);
    }
  }

  before(user: string, args: { at: number; throughLsn: number }): number {
    const last = this.#entries.findLast(({ ts, lsn: at }) => ts < args.at && at <= args.throughLsn);
    return last === undefined ? 0 : this.#ledger.walletAt(user, last.lsn);
  }

  /** What was sent in a time, by the packets that left. */
  sent(user: string, args: { fromAt: number; toAt: number; throughLsn: number }) {
    const { fromAt, toAt, throughLsn } = args;
    const inTime = this.#entries.filter(
      ({ ts, lsn: at }) => ts >= fromAt && ts < toAt && at <= throughLsn,
    );
    const sends = inTime.flatMap((entry) => decodeOps(entry).flatMap((op) => op.sends));
    const definitions = sends.flatMap(({ transfer }) =>
      transfer.kind === 'packet.create' && transfer.definition.sender === user
        ? [transfer.definition]
        : [],
    );
    return {
      lucky: definitions.filter(({ kind }) => kind === 'lucky').length,
      equal: definitions.filter(({ kind }) => kind === 'equal').length,
      exclusive: definitions.filter(({ kind }) => kind === 'exclusive').length,
      cents: definitions.reduce((sum, { totalCents }) => sum + totalCents, 0),
    };
  }
}

function query(ask: Partial<Record<keyof StatementQuery__Output, string | number>>) {
  const none = { fromAt: '0', toAt: '0', throughLsn: '0', afterLsn: '0', afterLeg: 0, limit: 0 };
  return { ...none, ...ask } as StatementQuery__Output;
}

type Whole = {
  readonly openingCents: number;
  readonly closingCents: number;
  readonly throughLsn: number;
  readonly lines: LedgerLine[];
};

/** All pages, as the SDK asks for them. */
async function whole(
  store: Pick<ReplicaStore, 'scan'>,
  ask: { user: UserId; fromAt: number; toAt: number; limit: number },
): Promise<Whole> {
  const times = { ...ask, fromAt: String(ask.fromAt), toAt: String(ask.toAt) };
  const first = await readStatement(store, query(times));
  const throughLsn = first!.answer.throughLsn!;
  const lines: LedgerLine[] = [];
  for (let page = first; ;) {
    lines.push(...page!.answer.lines!);
    expect(page!.answer.lines!.length).toBeLessThanOrEqual(ask.limit);
    if (page!.answer.more !== true) break;
    const last = lines.at(-1)!;
    const after = { afterLsn: String(last.lsn), afterLeg: last.index! };
    page = await readStatement(
      store,
      query({ ...times, throughLsn: String(throughLsn), ...after }),
    );
  }
  const { openingCents, closingCents } = first!.answer;
  return {
    openingCents: Number(openingCents),
    closingCents: Number(closingCents),
    throughLsn: Number(throughLsn),
    lines,
  };
}

/** Days go by: a wait of a minute becomes one of up to two days. */
function slowed(day: Script, times: number): Script {
  const steps = day.steps.map((step) =>
    step.do === 'time' ? { do: 'time' as const, with: step.with * times } : step,
  );
  return { ...day, steps };
}

const histories = fc
  .tuple(
    fc.constantFrom(1 as const, 2 as const).chain((sets) => script({ sets, steps: 300 })),
    fc.constantFrom(1, 700, 3_000),
  )
  .map(([day, times]) => slowed(day, times));

type Asked = {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly back: number;
};
const asked: fc.Arbitrary<Asked> = fc.record({
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
  limit: fc.integer({ min: 1, max: 6 }),
  back: fc.nat({ max: 20 }),
});

async function check(day: Script, ask: Asked, tamper?: Tamper): Promise<number> {
  let lineCount = 0;
  for (const { entries } of runScript({ script: day }).cells) {
    const oracle = new Oracle(entries);
    const [first, last] = [entries[0]!.ts, entries.at(-1)!.ts];
    const timeOf = (part: number): number => Math.floor(first - 10 + part * (last - first + 20));
    const fromAt = Math.min(timeOf(ask.from), timeOf(ask.to));
    const until = Math.max(timeOf(ask.from), timeOf(ask.to));
    const shown = Math.max(0, entries.length - ask.back);
    for (const user of PEOPLE) {
      for (const toAt of [until, MAX]) {
        const store = new MovingTables({ entries, shown, ...(tamper && { tamper }) });
        const found = await whole(store, { user, fromAt, toAt, limit: ask.limit });
        const { openingCents, closingCents, throughLsn, lines } = found;
        const sum = lines.reduce((cents, line) => cents + Number(line.amountCents), 0);
        expect(openingCents + sum).toBe(closingCents);
        expect(openingCents).toBe(oracle.before(user, { at: fromAt, throughLsn }));
        expect(closingCents).toBe(oracle.before(user, { at: toAt, throughLsn }));
        lineCount += lines.length;
      }
    }
  }
  return lineCount;
}

describe('statements', () => {
  test('opening and all lines are closing, both as the audit has them, at any time', async () => {
    let lines = 0;
    await fc.assert(
      fc.asyncProperty(histories, asked, async (day, ask) => {
        lines += await check(day, ask);
      }),
      { numRuns: 60 },
    );
    expect(lines).toBeGreaterThan(150);
  });

  test('a balance at a point in time is that of the books', async () => {
    await fc.assert(
      fc.asyncProperty(histories, asked, async (day, ask) => {
        for (const { entries } of runScript({ script: day }).cells) {
          const oracle = new Oracle(entries);
          const some = entries.filter((_, index) => index % 7 === Math.floor(ask.from * 7));
          for (const user of PEOPLE) {
            for (const { ts } of some) {
              const store = new MovingTables({ entries, shown: entries.length });
              const at = String(ts + 1);
              const found = await readStatement(store, query({ user, fromAt: at, toAt: at }));
              const due = oracle.before(user, { at: ts + 1, throughLsn: entries.length });
              expect(Number(found!.answer.openingCents)).toBe(due);
            }
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test('tables that are behind what a later page is about say so', async () => {
    const store = new MovingTables({ entries: [], shown: 0 });
    const ask = query({ user: 'alice', toAt: '9', throughLsn: '5', afterLsn: '1', limit: 3 });
    expect(await readStatement(store, ask)).toBe(null);
  });

  const FAULTS: Record<string, Tamper> = {
    'a line is not written': (c) =>
      c.table === 'ledger_entry' && c.kind === 'put' && Number(c.row[3]) < 0 ? null : c,
    'a day is a cent off': (c) =>
      c.table === 'wallet_day' && c.kind === 'add' && 'net_cents' in c.deltas
        ? { ...c, deltas: { ...c.deltas, net_cents: 1 + Number(c.deltas['net_cents']) } }
        : c,
    'a day is another day': (c) =>
      c.table === 'wallet_day' && c.kind === 'add'
        ? { ...c, key: [c.key[0]!, Number(c.key[1]) + 1] }
        : c,
  };

  test.each(Object.entries(FAULTS))('found: %s', async (_, tamper) => {
    const found = await fc.check(
      fc.asyncProperty(histories, asked, (day, ask) => check(day, ask, tamper).then(() => true)),
      { numRuns: 60, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});

describe('years', () => {
  test('are what the journal says was sent and received, and the walk meets every share', async () => {
    let packets = 0;
    await fc.assert(
      fc.asyncProperty(histories, asked, async (day, ask) => {
        for (const { entries } of runScript({ script: day }).cells) {
          const oracle = new Oracle(entries);
          const first = entries[0]!.ts + Math.floor(ask.from * 3) * DAY_MS;
          const fromAt = first - ((first + ZONE_MS) % DAY_MS);
          const toAt = fromAt + 2 * DAY_MS;
          for (const user of PEOPLE) {
            const store = new MovingTables({ entries, shown: entries.length });
            const year = { user, fromAt: String(fromAt), toAt: String(toAt) };
            let after = { afterLsn: '0', afterLeg: 0 };
            let seen = 0;
            let cents = 0;
            let [walked, due] = [{}, {}];
            for (;;) {
              const { answer } = (await readStatistics(store, { ...year, ...after }))!;
              seen += answer.received!.length;
              for (const line of answer.received!) cents += Number(line.amountCents);
              const throughLsn = entries.length;
              expect({
                lucky: Number(answer.sentLucky),
                equal: Number(answer.sentEqual),
                exclusive: Number(answer.sentExclusive),
                cents: Number(answer.sentCents),
              }).toEqual(oracle.sent(user, { fromAt, toAt, throughLsn }));
              walked = { packets: seen, cents };
              due = {
                packets: Number(answer.receivedPackets),
                cents: Number(answer.receivedCents),
              };
              if (answer.more !== true) break;
              after = { afterLsn: String(answer.lastLsn), afterLeg: answer.lastLeg! };
            }
            expect(walked).toEqual(due);
            packets += seen;
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(packets).toBeGreaterThan(20);
  });
});
