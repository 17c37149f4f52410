/** The auditor agrees with the real machine, and sees every rule broken that is broken by hand. */
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { decodeOps } from '../../lib/core/journal-entry.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import { Place } from '../../reconciler/audit/place.ts';
import { audit, auditAlone, live, rehead, reseal, scripts, tamper } from './check-journals.ts';
import { MONEY_TAMPERS } from './check-money-tampers.ts';
import { PAYMENT_TAMPERS } from './check-payment-tampers.ts';
import { OTHER_TAMPERS } from './check-tampers.ts';

/** Two Sets each. */
const DAYS = scripts(2, { seed: 7, days: 30, steps: 300 }).map((day) => live(day).journal);
/** A lie is told in so many journals. */
const TOLD = 3;

describe('journals of the real machine', () => {
  test.each([1, 2] as const)('of %s Set(s) break no rule', (sets) => {
    let ops = 0;
    for (const day of scripts(sets, { seed: 42 + sets, days: 40, steps: 250 })) {
      const books = new ClusterBooks([1, 2]);
      expect(audit(live(day).journal, books)).toBeNull();
      for (const each of books.sets()) ops += each.opCount;
    }
    expect(ops).toBeGreaterThan(1_500);
  });

  test('what they did is what rules are about', () => {
    const seen = new Set<string>();
    for (const entry of DAYS.flat()) {
      for (const { command, outcome, postings } of decodeOps(entry)) {
        seen.add(`${command.type} ${outcome.status}`);
        if (command.type === 'transfer.ack' && postings.length > 0) seen.add('refund at home');
        if (!('receipts' in outcome) || command.type !== 'transfer.deliver') continue;
        for (const [at, { kind }] of command.transfers.entries()) {
          seen.add(`${kind} ${outcome.receipts[at]?.kind}`);
        }
      }
    }
    const wanted = [
      'packet.open ok',
      'packet.expire ok',
      'packet.send insufficient_funds',
      'refund at home',
      'member.hint duplicate',
      'packet.refund applied',
      'packet.create tombstone',
      'group.found tombstone',
      'message.read ok',
    ];
    expect(wanted.filter((what) => !seen.has(what))).toEqual([]);
  });

  test('take little time', () => {
    const before = process.cpuUsage();
    let ops = 0;
    for (let round = 0; round < 3; round++) {
      for (const journal of DAYS) {
        const books = new ClusterBooks([1, 2]);
        audit(journal, books);
        for (const each of books.sets()) ops += each.opCount;
      }
    }
    const { user, system } = process.cpuUsage(before);
    // About 16 µs each on a quiet machine; a busy one doubles it, looking at everything again would
    // make it a thousand.
    expect((user + system) / ops).toBeLessThan(150);
  });
});

describe('a journal with a lie in it', () => {
  test.each(Object.entries({ ...MONEY_TAMPERS, ...OTHER_TAMPERS, ...PAYMENT_TAMPERS }))(
    '%s',
    (_, { rule, change, alone }) => {
      const found: string[] = [];
      for (const journal of DAYS) {
        const tampered = tamper(journal, change());
        if (tampered === null) continue;
        // Some days end before the lie can be told from the truth.
        const message = alone ? auditAlone(tampered) : audit(tampered);
        if (message !== null) found.push(message);
        if (found.length === TOLD) break;
      }
      expect(found.length).toBeGreaterThan(0);
      expect(found.filter((message) => !rule.test(message))).toEqual([]);
    },
  );
});

/** The first entry of all days for which this holds, and its day. */
function entryWith(wanted: (entry: Entry, before: Entry | undefined) => boolean): {
  journal: readonly Entry[];
  entry: Entry;
  before: Entry | undefined;
} {
  for (const journal of DAYS) {
    for (const entry of journal) {
      const before = journal.find(({ setId: set, lsn: at }) => {
        return set === entry.setId && at === entry.lsn - 1;
      });
      if (wanted(entry, before)) return { journal, entry, before };
    }
  }
  throw new Error('no day has such an entry');
}

function firstType(entry: Entry): string {
  return decodeOps(entry)[0]?.command.type ?? '';
}

describe('an entry that is not what was sealed', () => {
  const { journal, entry } = entryWith(({ lsn: at }) => at === 5);

  test.each([
    { what: 'an LSN is left out', rule: /^I3 .*after LSN 4/, head: { lsn: lsn(6) } },
    { what: 'another chain', rule: /^I3 .*chained/, head: { prev: new Uint8Array(32) } },
    { what: 'an epoch that falls', rule: /^I3 .*epoch/, head: { epoch: epoch(1) } },
    { what: 'log time that falls', rule: /^L12 .*falls/, head: { ts: timeMs(1) } },
    { what: 'a later format', rule: /^L23 .*format 2/, head: { format: 2 } },
    { what: 'totals that are none', rule: /^M1 .*the entry says/, head: { money: shifted(entry) } },
    { what: 'another Set', rule: /^I3 .*journal of/, head: { setId: setId(7) } },
    {
      what: 'bytes left over',
      rule: /^F2 .*left over/,
      head: { payload: new Uint8Array([...entry.payload, 0]) },
    },
  ])('$what', ({ rule, head }) => {
    const books = new ClusterBooks([1, 2]);
    const at = journal.indexOf(entry);
    expect(audit(journal.slice(0, at), books)).toBeNull();
    const sealed = reseal({ ...entry, ...head });
    expect(() => books.addCommitted(entry.setId, sealed)).toThrow(rule);
  });

  test('another checksum', () => {
    const books = new ClusterBooks([1, 2]);
    expect(audit(journal.slice(0, journal.indexOf(entry)), books)).toBeNull();
    const torn = { ...entry, commitLsn: lsn(entry.commitLsn + 1) };
    expect(() => books.addCommitted(entry.setId, torn)).toThrow(/^I2 .*checksum/);
  });
});

function shifted({ money }: Entry): Entry['money'] {
  return {
    ...money,
    walletsCents: cents(money.walletsCents + 1),
    issuerCents: cents(money.issuerCents - 1),
  };
}

describe('log time', () => {
  test('a packet does not end before its time', () => {
    const { journal, entry, before } = entryWith(
      (each, last) =>
        firstType(each) === 'packet.expire' && last !== undefined && last.ts < each.ts,
    );
    const early = rehead(journal, entry, { ts: before?.ts ?? timeMs(0) });
    expect(audit(early)).toMatch(/^M7 .*early/);
  });

  test('nobody opens a packet after its time', () => {
    const { journal, entry } = entryWith((each) => {
      const [op] = decodeOps(each);
      return op?.command.type === 'packet.open';
    });
    // Grants of the test live for a minute: the packet must be one that lives for less.
    const [open] = decodeOps(entry);
    if (open?.command.type !== 'packet.open') throw new Error('an open was looked for');
    const { packetId } = open.command;
    const short = tamper(journal, (op) => {
      if (op.command.type === 'packet.send' && op.command.definition.packetId === packetId) {
        const definition = { ...op.command.definition, lifetimeMs: 1_000 };
        const sends = op.sends.map((send) => ({
          ...send,
          transfer: { ...send.transfer, definition } as typeof send.transfer,
        }));
        return [{ ...op, command: { ...op.command, definition }, sends }];
      }
      if (op.command.type !== 'transfer.deliver') return null;
      const transfers = op.command.transfers.map((transfer) =>
        transfer.kind === 'packet.create' && transfer.definition.packetId === packetId
          ? { ...transfer, definition: { ...transfer.definition, lifetimeMs: 1_000 } }
          : transfer,
      );
      const sends = op.sends.map((send) =>
        send.transfer.kind === 'packet.announce' && send.transfer.packetId === packetId
          ? { ...send, transfer: { ...send.transfer, expiresAt: expiry(op, journal) } }
          : send,
      );
      return [{ ...op, command: { ...op.command, transfers }, sends }];
    });
    const at = journal.indexOf(entry);
    const target = short?.[at];
    if (short === null || target === undefined) throw new Error('the packet was not found');
    const late = rehead(short, target, { ts: timeMs(target.ts + 30_000) });
    // What its group was told of it is another matter: the books of all Sets would see that first.
    expect(auditAlone(late.slice(0, at + 1))).toMatch(/^M6 .*after its end/);
  });
});

/** A second after the entry that this op stands in. */
function expiry(op: unknown, journal: readonly Entry[]): ReturnType<typeof timeMs> {
  const wanted = JSON.stringify(op, text);
  const entry = journal.find((each) => {
    return decodeOps(each).some((other) => JSON.stringify(other, text) === wanted);
  });
  return timeMs((entry?.ts ?? 0) + 1_000);
}

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

describe('between Sets', () => {
  test('nothing is received before its sender has committed it', () => {
    const { journal, entry } = entryWith((each) => {
      const [op] = decodeOps(each);
      if (op?.command.type !== 'transfer.deliver') return false;
      return op.command.from !== each.setId;
    });
    const [op] = decodeOps(entry);
    if (op?.command.type !== 'transfer.deliver') throw new Error('a delivery was looked for');
    const { from } = op.command;
    const at = journal.indexOf(entry);
    // The sender's last entries come too late.
    const first = journal.slice(0, at).filter(({ setId: set }) => set !== from);
    const early = journal.slice(0, at).filter(({ setId: set, lsn: n }) => set === from && n === 1);
    expect(audit([...early, ...first, entry])).toMatch(/^M8 .*never committed there|^M6 /);
  });

  test('[M2] money that moves between clearing accounts by itself', () => {
    const books = new ClusterBooks([1, 2]);
    const { ledger } = books.set(1);
    const leg = (peer: number, amountCents: number) =>
      ({ account: { kind: 'clearing', peer }, amountCents }) as const;
    const place = new Place({ setId: 1, lsn: 1, ts: 0 });
    ledger.post([leg(1, -5), leg(2, 5)], place);
    expect(audit(DAYS[0] ?? [], books)).toMatch(/^M2 .*clearing says/);
  });

  test('[M2] money that appears in a wallet out of nothing', () => {
    const { journal } = entryWith(({ setId: set, lsn: at }) => set === 2 && at === 1);
    const books = new ClusterBooks([1, 2]);
    const place = new Place({ setId: 2, lsn: 1, ts: 0 });
    const wallet = { account: { kind: 'wallet', user: 'thief' }, amountCents: 5 } as const;
    const taken = { account: { kind: 'clearing', peer: 1 }, amountCents: -5 } as const;
    books.set(2).ledger.post([wallet, taken], place);
    expect(audit(journal, books)).toMatch(/^M2 .*in wallets/);
  });
});
