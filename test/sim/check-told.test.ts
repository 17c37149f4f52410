/** What people were told, and what tables show, held against the journals: each check can fail. */
import { describe, expect, test } from 'vitest';
import type { Row } from '../../lib/port/replica-store.ts';
import { schema } from '../../set-node/read/projection.ts';
import { TABLES } from '../../set-node/read/tables.ts';
import { Clients } from '../../ops/sim/check/clients.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import type { OpOf } from '../../reconciler/audit/decode.ts';
import type { TableDump } from '../../reconciler/audit/projection.ts';
import { holdEqualTables, holdWallets } from '../../reconciler/audit/projection.ts';
import { opsOf } from '../../reconciler/audit/set-books.ts';
import { DumbTables } from '../property/projection-tables.ts';
import { audit, live, scripts } from './check-journals.ts';

const JOURNAL = scripts(2, { seed: 21, days: 12, steps: 300 })
  .map((day) => live(day).journal)
  .reduce((longest, next) => (next.length > longest.length ? next : longest));
const BOOKS = new ClusterBooks([1, 2]);

test('the journal of these tests is sound', () => {
  expect(audit(JOURNAL, BOOKS)).toBeNull();
});

/** All successes of a type, and where they stand. */
function all<T extends 'packet.open' | 'packet.send' | 'group.create' | 'message.send'>(
  type: T,
): { op: OpOf<T>; said: NonNullable<OpOf<T>['outcome']['success']>; setId: number; lsn: number }[] {
  return JOURNAL.flatMap((entry) =>
    opsOf(entry).flatMap((op) => {
      if (op.type !== type || op.outcome.success === null) return [];
      const said = op.outcome.success as NonNullable<OpOf<T>['outcome']['success']>;
      return [{ op: op as unknown as OpOf<T>, said, setId: entry.setId, lsn: entry.lsn }];
    }),
  );
}

function the<Item>(list: readonly Item[]): Item {
  const [item] = list;
  if (item === undefined) throw new Error('the day has none');
  return item;
}

const OPEN = (() => {
  const { op, said } = the(all('packet.open'));
  const { amountCents, order, at } = said;
  return { user: op.command.user, packetId: String(op.command.packetId), amountCents, order, at };
})();
const SEND = (() => {
  const { op } = the(all('packet.send'));
  const { sender: user, packetId } = op.command.definition;
  return { user, clientId: op.command.commandId, packetId: String(packetId) };
})();
const MESSAGE = (() => {
  const { op, said } = the(all('message.send'));
  const { user, groupId, commandId: clientMsgId, body } = op.command;
  return { user, groupId: String(groupId), clientMsgId, seq: said.seq, body };
})();
const GROUP = (() => {
  const { op } = the(all('group.create'));
  const { user, groupId, commandId: clientId } = op.command;
  return { user, groupId: String(groupId), clientId };
})();
const UNKNOWN_ID = '019b7600-0000-7000-8000-000000000001';

describe('what is true breaks nothing', () => {
  test('said once, and said again', () => {
    const clients = new Clients();
    for (let round = 0; round < 2; round++) {
      clients.toldOpen(OPEN);
      clients.toldSend(SEND);
      clients.toldMessage(MESSAGE);
      clients.toldGroup(GROUP);
      clients.toldSeen({ ...MESSAGE, user: 'bob', sender: MESSAGE.user });
      clients.toldNo({ user: 'bob', clientId: UNKNOWN_ID, status: 'not_a_member' });
      clients.toldNo({ user: SEND.user, clientId: SEND.clientId, status: 'id_reused' });
      clients.toldNo({ user: 'nobody', packetId: OPEN.packetId, status: 'packet_drained' });
      clients.toldNo({ user: OPEN.user, packetId: OPEN.packetId, status: 'not_a_member' });
    }
    expect(() => clients.finish(BOOKS)).not.toThrow();
  });

  test('every balance at its own LSN', () => {
    const clients = new Clients();
    for (const { setId, lsn, ledger } of BOOKS.sets()) {
      for (const user of ledger.wallets()) {
        for (let at = 1; at <= lsn; at++) {
          const mark = `${setId}:256:${at}`;
          const balanceCents = ledger.walletAt(user, at);
          clients.toldBalance({ user, balanceCents, mark, session: 's1', knewMark: mark });
        }
      }
    }
    expect(() => clients.finish(BOOKS)).not.toThrow();
  });
});

describe('a word that is taken back', () => {
  const twice: Readonly<Record<string, { rule: RegExp; say: (clients: Clients) => void }>> = {
    'another amount': {
      rule: /^M9 .*was told/,
      say: (c) => {
        c.toldOpen(OPEN);
        c.toldOpen({ ...OPEN, amountCents: OPEN.amountCents + 1 });
      },
    },
    'another packet for one id': {
      rule: /^M9 .*was answered/,
      say: (c) => {
        c.toldSend(SEND);
        c.toldSend({ ...SEND, packetId: '1' });
      },
    },
    'another seq for one id': {
      rule: /^M9 .*was answered/,
      say: (c) => {
        c.toldMessage(MESSAGE);
        c.toldMessage({ ...MESSAGE, seq: MESSAGE.seq + 1 });
      },
    },
    'done, then refused': {
      rule: /^M9 .*then refused/,
      say: (c) => {
        c.toldSend(SEND);
        c.toldNo({ ...SEND, status: 'insufficient_funds' });
      },
    },
    'refused, then done': {
      rule: /^M9 .*then done/,
      say: (c) => {
        c.toldNo({ user: GROUP.user, clientId: GROUP.clientId, status: 'too_many_groups' });
        c.toldGroup(GROUP);
      },
    },
    'a share, then drained': {
      rule: /^M9 .*had a share/,
      say: (c) => {
        c.toldOpen(OPEN);
        c.toldNo({ user: OPEN.user, packetId: OPEN.packetId, status: 'packet_drained' });
      },
    },
    'drained, then a share': {
      rule: /^M9 .*was told no/,
      say: (c) => {
        c.toldNo({ user: OPEN.user, packetId: OPEN.packetId, status: 'packet_expired' });
        c.toldOpen(OPEN);
      },
    },
    'two messages of one seq': {
      rule: /^I9 .*saw two messages/,
      say: (c) => {
        c.toldSeen({ ...MESSAGE, user: 'alice', sender: MESSAGE.user });
        c.toldSeen({ ...MESSAGE, user: 'bob', sender: 'somebody' });
      },
    },
  };

  test.each(Object.entries(twice))('%s', (_, { rule, say }) => {
    expect(() => say(new Clients())).toThrow(rule);
  });
});

/** A balance that this person never had. */
const NEVER = 987_654;
/** Somebody's balances before and after a change that did not come back. */
function lastingChange(): { user: string; setId: number; lsn: number; before: number } | null {
  for (const { setId, lsn: end, ledger } of BOOKS.sets()) {
    for (const user of ledger.wallets()) {
      for (let lsn = 2; lsn <= end; lsn++) {
        const before = ledger.walletAt(user, lsn - 1);
        const again = ledger.lsnWithBalance({ user, cents: before, from: lsn });
        if (again === null) return { user, setId, lsn, before };
      }
    }
  }
  return null;
}

describe('a word that no journal bears out', () => {
  const lies: Readonly<Record<string, { rule: RegExp; say: (clients: Clients) => void }>> = {
    'a share that was not given': {
      rule: /^I1 .*no journal has it/,
      say: (c) => c.toldOpen({ ...OPEN, user: 'nobody' }),
    },
    'a cent too much': {
      rule: /^M10 .*the journal has/,
      say: (c) => c.toldOpen({ ...OPEN, amountCents: OPEN.amountCents + 1 }),
    },
    'another order': {
      rule: /^M10 .*the journal has/,
      say: (c) => c.toldOpen({ ...OPEN, order: OPEN.order + 1 }),
    },
    'a packet that was not sent': {
      rule: /^I1 /,
      say: (c) => c.toldSend({ ...SEND, clientId: UNKNOWN_ID }),
    },
    'another packet': { rule: /^M10 /, say: (c) => c.toldSend({ ...SEND, packetId: '1' }) },
    'a message that is not there': {
      rule: /^I1 /,
      say: (c) => c.toldMessage({ ...MESSAGE, clientMsgId: UNKNOWN_ID }),
    },
    'a message with other words': {
      rule: /^M10 /,
      say: (c) => c.toldMessage({ ...MESSAGE, body: `${MESSAGE.body}?` }),
    },
    'a message that became a packet': {
      rule: /^M10 /,
      say: (c) => c.toldMessage({ ...MESSAGE, user: SEND.user, clientMsgId: SEND.clientId }),
    },
    'refused, and done': {
      rule: /^M10 .*was refused with not_a_member/,
      say: (c) => c.toldNo({ user: SEND.user, clientId: SEND.clientId, status: 'not_a_member' }),
    },
    'drained, and a share': {
      rule: /^M10 .*has a share/,
      say: (c) => c.toldNo({ user: OPEN.user, packetId: OPEN.packetId, status: 'packet_drained' }),
    },
    'a message beyond the last': {
      rule: /^I9 .*the journal ends/,
      say: (c) =>
        c.toldSeen({ ...MESSAGE, user: 'bob', sender: 'bob', seq: 9_999, clientMsgId: '' }),
    },
    'a message that nobody sent': {
      rule: /^I9 .*no such message/,
      say: (c) =>
        c.toldSeen({ ...MESSAGE, user: 'bob', sender: MESSAGE.user, clientMsgId: UNKNOWN_ID }),
    },
    'a balance that never was': {
      rule: /^M10 .*never that later/,
      say: (c) => c.toldBalance({ user: OPEN.user, balanceCents: NEVER, mark: '1:256:1' }),
    },
    'a balance of a later LSN than there is': {
      rule: /^I9 .*the journal ends/,
      say: (c) => c.toldBalance({ user: OPEN.user, balanceCents: 0, mark: '1:256:99999' }),
    },
    'a mark that is none': {
      rule: /^Q8 /,
      say: (c) => c.toldBalance({ user: OPEN.user, balanceCents: 0, mark: 'x' }),
    },
    'a session that goes back': {
      rule: /^I9 .*in session/,
      say: (c) => {
        const change = lastingChange();
        if (change === null) throw new Error('the day has none');
        const { user, setId, lsn, before: balanceCents } = change;
        const marks = { mark: `${setId}:256:${lsn - 1}`, knewMark: `${setId}:256:${lsn}` };
        c.toldBalance({ user, balanceCents, ...marks, session: 's1' });
      },
    },
  };

  test.each(Object.entries(lies))('%s', (_, { rule, say }) => {
    const clients = new Clients();
    say(clients);
    expect(() => clients.finish(BOOKS)).toThrow(rule);
  });
});

/** The tables of Set 1 up to an LSN, as a replica would have them. */
function dump(where: string, upTo: number): TableDump {
  const tables = new DumbTables();
  const entries = JOURNAL.filter(({ setId, lsn }) => setId === 1 && lsn <= upTo);
  for (const change of schema.project(entries)) tables.apply(change);
  const dumped = TABLES.map((table) => {
    const columns = Object.keys(table.columns);
    const rows = tables.all(table.name).map((row) => columns.map((name) => row[name] ?? null));
    return [table.name, { columns, rows }] as const;
  });
  return { where, projectedLsn: upTo, tables: new Map(dumped) };
}

/** The same tables with some rows of one changed. */
function changed(
  from: TableDump,
  name: string,
  change: (rows: readonly Row[]) => Row[],
): TableDump {
  const table = from.tables.get(name) ?? { columns: [], rows: [] };
  const tables = new Map(from.tables);
  tables.set(name, { ...table, rows: change(table.rows) });
  return { ...from, tables };
}

describe('[I11] tables', () => {
  const end = JOURNAL.filter(({ setId }) => setId === 1).length;

  test('of one LSN are equal in any order, and statements add up at every LSN', () => {
    const a = dump('replica 0', end);
    const b = changed(dump('replica 1', end), 'message', (rows) => rows.toReversed());
    expect(() => holdEqualTables(a, b)).not.toThrow();
    for (let lsn = 0; lsn <= end; lsn += 7) {
      expect(() => holdWallets(dump('replica 0', lsn), BOOKS.set(1))).not.toThrow();
    }
  });

  test('of other LSNs are not compared', () => {
    expect(() => holdEqualTables(dump('replica 0', end), dump('replica 1', 3))).not.toThrow();
  });

  test.each(['red_packet_record', 'message', 'ledger_entry', 'command_answer'])(
    'a row of %s is missing or another',
    (name) => {
      const a = dump('replica 0', end);
      const without = changed(a, name, (rows) => rows.slice(1));
      expect(() => holdEqualTables(a, without)).toThrow(/^I11 .*table/);
      expect(() => holdEqualTables(without, a)).toThrow(/^I11 .*table/);
      const other = changed(a, name, ([row = [], ...rows]) => [[...row.slice(0, -1), 7], ...rows]);
      expect(() => holdEqualTables(a, other)).toThrow(/^I11 .*table/);
    },
  );

  test('a statement is a cent off, or ahead of what is committed', () => {
    const a = dump('replica 0', end);
    const amount = a.tables.get('ledger_entry')?.columns.indexOf('amount_cents') ?? -1;
    const off = changed(a, 'ledger_entry', ([row = [], ...rows]) => [
      row.map((value, at) => (at === amount ? Number(value) + 1 : value)),
      ...rows,
    ]);
    expect(() => holdWallets(off, BOOKS.set(1))).toThrow(/^I11 .*adds up to/);
    const ahead = { ...a, projectedLsn: end + 1 };
    expect(() => holdWallets(ahead, BOOKS.set(1))).toThrow(/^I11 .*committed are/);
  });
});
