import type { DatabaseSync } from 'node:sqlite';
import { assert } from '../core/assert.ts';
import { ZERO_SUM } from '../core/journal-entry.ts';
import type { ColumnType, Table } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS } from './journal-row.ts';
import { inTransaction } from './sqlite-transaction.ts';

// A file holds one replica of one Set, so the LSN alone is the key: rows lie in the order of LSN
// and an append goes to the end. The money digest is four columns that an operator can sum.
const JOURNAL_BODY = `
  set_id INTEGER NOT NULL, epoch INTEGER NOT NULL, leader_id BLOB NOT NULL, kind TEXT NOT NULL,
  prev BLOB NOT NULL, sum BLOB NOT NULL, ts INTEGER NOT NULL, commit_lsn INTEGER NOT NULL,
  acked_0 INTEGER NOT NULL, acked_1 INTEGER NOT NULL, acked_2 INTEGER NOT NULL,
  fmt INTEGER NOT NULL, n_ops INTEGER NOT NULL, money_wallets INTEGER NOT NULL,
  money_packets INTEGER NOT NULL, money_clearing INTEGER NOT NULL, money_issuer INTEGER NOT NULL,
  payload BLOB NOT NULL`;

/** Forward only: a file of version v runs the steps from v on. A step is never edited once released. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE replica_state (
     set_id INTEGER PRIMARY KEY, cluster_id BLOB NOT NULL, replica_id INTEGER NOT NULL,
     incarnation INTEGER NOT NULL, fence_epoch INTEGER NOT NULL, fence_owner BLOB NOT NULL,
     cfg TEXT NOT NULL) STRICT;
   CREATE TABLE commit_point (set_id INTEGER PRIMARY KEY, commit_lsn INTEGER NOT NULL) STRICT;
   CREATE TABLE projection_state (
     set_id INTEGER PRIMARY KEY, projected_lsn INTEGER NOT NULL, tables TEXT NOT NULL) STRICT;
   CREATE TABLE leader_beat (
     set_id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, n INTEGER NOT NULL) STRICT;
   CREATE TABLE journal (lsn INTEGER PRIMARY KEY, ${JOURNAL_BODY}) STRICT;
   CREATE TABLE journal_discarded (
     place INTEGER PRIMARY KEY, lsn INTEGER NOT NULL, ${JOURNAL_BODY},
     discarded_by_epoch INTEGER NOT NULL) STRICT;
   CREATE TABLE snapshot (
     lsn INTEGER NOT NULL, chunk INTEGER NOT NULL, bytes BLOB NOT NULL,
     PRIMARY KEY (lsn, chunk)) STRICT;
   CREATE TABLE snapshot_manifest (
     lsn INTEGER PRIMARY KEY, chunks INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;`,
  // Not in replica_state: it stands before there is a row, and the row is only the fence.
  `CREATE TABLE readmission (
     set_id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, owner BLOB NOT NULL,
     incarnation INTEGER NOT NULL) STRICT;`,
];

/**
 * Brings the file to the newest version and makes the single rows that are no vote. Refuses the
 * file of another Set or of a newer program.
 */
export function migrate(db: DatabaseSync, setId: number): void {
  inTransaction(db, () => {
    db.exec(`CREATE TABLE IF NOT EXISTS schema_version (
      only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL, set_id INTEGER NOT NULL
    ) STRICT`);
    const found = db.prepare('SELECT version, set_id FROM schema_version').get();
    if (found !== undefined && found['set_id'] !== setId) {
      throw new StoreError('rejected', `file belongs to Set ${String(found['set_id'])}`);
    }
    const version = Number(found?.['version'] ?? 0);
    if (version > MIGRATIONS.length) {
      throw new StoreError('rejected', `file has schema ${version}, newer than this program`);
    }
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    db.prepare('INSERT OR REPLACE INTO schema_version VALUES (1, ?, ?)').run(
      MIGRATIONS.length,
      setId,
    );
    db.prepare('INSERT OR IGNORE INTO commit_point VALUES (?, 0)').run(setId);
    db.prepare("INSERT OR IGNORE INTO projection_state VALUES (?, 0, '')").run(setId);
    db.prepare('INSERT OR IGNORE INTO leader_beat VALUES (?, 0, 0)').run(setId);
  });
  // Lost with the process, as ENGINE=MEMORY is with a server: the proof that it has not been away.
  db.exec(`ATTACH ':memory:' AS alive`);
  db.exec('CREATE TABLE alive.alive (set_id INTEGER PRIMARY KEY, incarnation INTEGER NOT NULL)');
}

/** The row below the first entry: P6 finds `lsn - 1` with a zero checksum there. */
export function insertAnchor(db: DatabaseSync, setId: number): void {
  db.prepare(
    `INSERT OR IGNORE INTO journal (${JOURNAL_COLUMNS.join(', ')})
     VALUES (0, ?, 0, ?, 'OPS', ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, x'')`,
  ).run(setId, new Uint8Array(16), ZERO_SUM, ZERO_SUM);
}

/** Name of a projection table in the file; the prefix keeps it apart from the replica's own. */
export function tableName(table: string): string {
  return `p_${table}`;
}

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  // Signed 64 bits; ids use 63.
  id: 'INTEGER',
  u64: 'INTEGER',
  cents: 'INTEGER',
  flag: 'INTEGER',
  // SQLite's BINARY collation compares UTF-8 bytes and pads nothing.
  text: 'TEXT',
  user: 'TEXT',
  blob: 'BLOB',
};

const NAME = /^[a-z][a-z0-9_]*$/;

/**
 * Makes the projection tables. When they are not those that the file was made with, they are
 * emptied and rebuilt from the journal: nothing in them is the only copy (P11).
 */
export function makeProjectionTables(
  db: DatabaseSync,
  setId: number,
  tables: readonly Table[],
): void {
  const wanted = JSON.stringify(tables);
  inTransaction(db, () => {
    const state = db.prepare('SELECT tables FROM projection_state WHERE set_id = ?').get(setId);
    assert(state !== undefined, 'projection_state has its row');
    if (state['tables'] === wanted) return;
    const old = db
      .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'p_*'`)
      .all();
    for (const { name } of old) db.exec(`DROP TABLE ${String(name)}`);
    for (const table of tables) db.exec(tableSql(table));
    db.prepare('UPDATE projection_state SET projected_lsn = 0, tables = ? WHERE set_id = ?').run(
      wanted,
      setId,
    );
  });
}

function tableSql(table: Table): string {
  const name = tableName(table.name);
  const names = [table.name, ...Object.keys(table.columns), ...Object.keys(table.indexes ?? {})];
  for (const each of names) assert(NAME.test(each), `a name is lower case and plain: ${each}`);
  const columns = Object.entries(table.columns).map(([column, type]) => {
    const counts = type === 'u64' || type === 'cents' || type === 'flag';
    return `${column} ${SQL_TYPES[type]}${counts ? ' DEFAULT 0' : ''}`;
  });
  // Without rowid: rows lie in the order of their key, and every index ends with the key, so that
  // scans come in order without sorting.
  const sql = [
    `CREATE TABLE ${name} (${columns.join(', ')}, PRIMARY KEY (${table.key.join(', ')})) STRICT, WITHOUT ROWID`,
  ];
  for (const [index, { columns: of, unique }] of Object.entries(table.indexes ?? {})) {
    sql.push(
      `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${name}__${index} ON ${name} (${of.join(', ')})`,
    );
  }
  return sql.join(';');
}
