/** Journals by plain SQL, with every right and none of the program's own code for rows. */
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../../lib/core/units.ts';
import type { MariaDb } from '../../rig/mariadb.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import type { Disk } from './disk.ts';
import { tableSum } from './disk.ts';

const PAGE_ROWS = 2_000;
/** The replica's own tables: everything else in the database is a projection. */
const OWN_TABLES = new Set([
  'replica_state',
  'alive',
  'readmission',
  'commit_point',
  'projection_state',
  'leader_beat',
  'journal',
  'journal_discarded',
  'snapshot',
  'snapshot_manifest',
]);
const isProjection = (name: string): boolean =>
  !OWN_TABLES.has(name) && !name.startsWith('schema') && !name.startsWith('migration');

type Row = Readonly<Record<string, unknown>>;

/** Reads one running server; nobody else should be writing to it. */
export async function readDisk(args: { server: MariaDb; set: number }): Promise<Disk> {
  const { server, set } = args;
  const database = databaseOf(set);
  const one = async (sql: string): Promise<number> => {
    const [row] = await server.query(sql);
    return Number(Object.values(row ?? {})[0] ?? 0);
  };
  return {
    name: server.name,
    entries: await readEntries(server, { table: `${database}.journal`, by: 'lsn' }),
    discarded: await readEntries(server, { table: `${database}.journal_discarded`, by: 'place' }),
    commitLsn: await one(`SELECT MAX(commit_lsn) FROM ${database}.commit_point`),
    projectedLsn: await one(`SELECT MAX(projected_lsn) FROM ${database}.projection_state`),
    tables: await readTables(server, database),
  };
}

/** Above the anchor, in pages: a journal may be larger than one answer should be. */
async function readEntries(
  server: MariaDb,
  { table, by }: { table: string; by: 'lsn' | 'place' },
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let after = '0'; ;) {
    const rows: Row[] = await server.query(
      `SELECT * FROM ${table} WHERE ${by} > ${after} ORDER BY ${by} LIMIT ${PAGE_ROWS}`,
    );
    for (const row of rows) entries.push(entryOf(row));
    if (rows.length < PAGE_ROWS) return entries;
    after = String(rows.at(-1)?.[by]);
  }
}

function entryOf(row: Row): Entry {
  const number = (column: string): number => {
    const value = Number(row[column]);
    if (!Number.isSafeInteger(value)) throw new Error(`${column} is no safe integer`);
    return value;
  };
  const bytes = (column: string): Uint8Array => {
    const value: unknown = row[column];
    if (!(value instanceof Uint8Array)) throw new Error(`${column} is not bytes`);
    return value;
  };
  return {
    setId: setId(number('set_id')),
    lsn: lsn(number('lsn')),
    epoch: epoch(number('epoch')),
    leaderId: bytes('leader_id'),
    kind: kindOf(row['kind']),
    prev: bytes('prev'),
    sum: bytes('sum'),
    ts: timeMs(number('ts')),
    commitLsn: lsn(number('commit_lsn')),
    acked: [lsn(number('acked_0')), lsn(number('acked_1')), lsn(number('acked_2'))],
    format: number('fmt'),
    opCount: number('n_ops'),
    money: {
      walletsCents: cents(number('money_wallets')),
      packetsCents: cents(number('money_packets')),
      clearingCents: cents(number('money_clearing')),
      issuerCents: cents(number('money_issuer')),
    },
    payload: bytes('payload'),
  };
}

function kindOf(value: unknown): Entry['kind'] {
  switch (value) {
    case 'OPS':
    case 'EPOCH_START':
    case 'CONFIG':
    case 'SEAL':
      return value;
    default:
      throw new Error(`an entry of kind ${String(value)}`);
  }
}

async function readTables(server: MariaDb, database: string): Promise<Map<string, string>> {
  const tables = await server.query(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = '${database}' AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME`,
  );
  const sums = new Map<string, string>();
  for (const name of tables.map((row) => String(row['name'])).filter(isProjection)) {
    const keys = await server.query(
      `SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS
       WHERE TABLE_SCHEMA = '${database}' AND TABLE_NAME = '${name}' AND INDEX_NAME = 'PRIMARY'
       ORDER BY SEQ_IN_INDEX`,
    );
    if (keys.length === 0) throw new Error(`${name} has no primary key`);
    const order = keys.map((row) => `\`${String(row['name'])}\``).join(', ');
    const rows: Row[] = [];
    for (let more = PAGE_ROWS; more === PAGE_ROWS;) {
      const page = await server.query(
        `SELECT * FROM ${database}.\`${name}\` ORDER BY ${order}
         LIMIT ${PAGE_ROWS} OFFSET ${rows.length}`,
      );
      rows.push(...page);
      more = page.length;
    }
    sums.set(name, tableSum(rows));
  }
  return sums;
}
