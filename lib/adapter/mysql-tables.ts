import { createHash } from 'node:crypto';
import { assert } from '../core/assert.ts';
import type { ColumnType, Table } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { locked } from './mysql-migrations.ts';
import type { MysqlSession } from './mysql-session.ts';

const NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** Marks which tables a database has, so that programs with other ones keep off. */
export function tablesSum(tables: readonly Table[]): Uint8Array {
  return createHash('sha256').update(JSON.stringify(tables)).digest();
}

/** Makes the projection tables of a database that has none. Other ones stay: see {@link remakeTables}. */
export async function makeFirstTables(
  session: MysqlSession,
  args: { set: number; tables: readonly Table[] },
): Promise<void> {
  if ((await readMade(session, args.set)).length > 0) return;
  await remakeTables(session, args);
}

/**
 * Drops the projection tables that are not those of this program and makes ours, to be filled from
 * the journal: nothing in them is the only copy (P11). Called by who projects, never by a standby.
 */
export async function remakeTables(
  session: MysqlSession,
  { set, tables }: { set: number; tables: readonly Table[] },
): Promise<void> {
  const wanted = tablesSum(tables);
  await locked(session, async () => {
    const same = 'SELECT 1 AS same FROM projection_state WHERE set_id = ? AND tables_sum = ?';
    if ((await session.select(same, [set, wanted])).length > 0) return;
    const old = await readMade(session, set);
    // First nobody may take them for whole, nor fill them.
    await session.change(
      'UPDATE projection_state SET projected_lsn = 0, tables_sum = ? WHERE set_id = ?',
      [new Uint8Array(32), set],
    );
    for (const name of new Set([...old, ...tables.map((table) => table.name)])) {
      assertName(name);
      await session.run(`DROP TABLE IF EXISTS \`${name}\``);
    }
    for (const table of tables) await session.run(tableSql(table));
    await session.change(
      'UPDATE projection_state SET tables_sum = ?, tables_made = ? WHERE set_id = ?',
      [wanted, Buffer.from(JSON.stringify(tables.map((table) => table.name))), set],
    );
  });
}

async function readMade(session: MysqlSession, set: number): Promise<string[]> {
  const [row] = await session.select(
    'SELECT tables_made AS made FROM projection_state WHERE set_id = ?',
    [set],
  );
  const made = row?.['made'];
  if (!(made instanceof Uint8Array)) throw new StoreError('corrupt', 'projection_state has no row');
  if (made.length === 0) return [];
  const names: unknown = JSON.parse(Buffer.from(made).toString());
  assert(Array.isArray(names), 'the names of tables are a list');
  return names.map(String);
}

function tableSql(table: Table): string {
  const { name, columns, key, indexes = {} } = table;
  for (const each of [name, ...Object.keys(columns), ...Object.keys(indexes)]) assertName(each);
  const indexed = new Set([...key, ...Object.values(indexes).flatMap((index) => index.columns)]);
  const lines = Object.entries(columns).map(([column, type]) => {
    const sqlType = indexed.has(column) ? INDEXED_TYPES[type] : SQL_TYPES[type];
    if (key.includes(column)) return `\`${column}\` ${sqlType} NOT NULL`;
    const counts = type === 'u64' || type === 'cents' || type === 'flag';
    return `\`${column}\` ${sqlType}${counts ? ' DEFAULT 0' : ''}`;
  });
  lines.push(`PRIMARY KEY (${list(key)})`);
  for (const [index, { columns: of, unique }] of Object.entries(indexes)) {
    lines.push(`${unique ? 'UNIQUE ' : ''}KEY \`${index}\` (${list(of)})`);
  }
  return `CREATE TABLE \`${name}\` (${lines.join(', ')}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`;
}

// Text is bytes: a character set would pad, fold or order it (rulings 5). A text of the journal has
// at most 65,535 bytes. u64 is signed, as its values are safe integers and sums may pass below zero.
const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  id: 'BIGINT UNSIGNED',
  u64: 'BIGINT',
  cents: 'BIGINT',
  flag: 'TINYINT',
  text: 'BLOB',
  user: 'VARBINARY(64)',
  blob: 'MEDIUMBLOB',
};
/** A key has at most 3,072 bytes. */
const INDEXED_TYPES: Readonly<Record<ColumnType, string>> = {
  ...SQL_TYPES,
  text: 'VARBINARY(255)',
  blob: 'VARBINARY(255)',
};

export function list(columns: readonly string[]): string {
  return columns.map((column) => `\`${column}\``).join(', ');
}

function assertName(name: string): void {
  assert(NAME.test(name), `a name is lower case and plain: ${name}`);
}
