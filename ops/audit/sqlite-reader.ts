/** A replica in one SQLite file, opened for reading only: beside a cluster that serves, or at rest. */
import { DatabaseSync } from 'node:sqlite';
import { ChunkSum } from '../../reconciler/audit/replicas-snapshot.ts';
import type { StoredSnapshot } from '../../reconciler/audit/replicas-snapshot.ts';
import type { JournalRow } from '../../reconciler/audit/replicas.ts';
import { layoutOf } from '../../reconciler/audit/tables-layout.ts';
import type { TableName } from '../../reconciler/audit/tables-layout.ts';
import type { ReplicaReader, ReplicaState, TablesView } from './reader.ts';
import { JOURNAL_COLUMNS, anchorProblem, journalRow } from './reader.ts';

const PAGE_ROWS = 1_000;
const PREFIX = 'p_';

type Row = Readonly<Record<string, unknown>>;

/** Throws when there is no such file, or it cannot be read. */
export function openSqliteReader(args: {
  path: string;
  setId: number;
  replica: number;
  where: string;
}): ReplicaReader {
  const { path, setId, where } = args;
  const db = open(path);
  const one = (sql: string): Row | undefined => db.prepare(sql).get();
  const journalSql = db.prepare(
    `SELECT ${JOURNAL_COLUMNS} FROM journal WHERE lsn > ? ORDER BY lsn LIMIT ${PAGE_ROWS}`,
  );
  return {
    where,
    replica: args.replica,
    state: async (): Promise<ReplicaState> => {
      const fence = one(`SELECT hex(cluster_id) AS cluster, incarnation FROM replica_state`);
      const discarded = one('SELECT max(discarded_by_epoch) AS epoch FROM journal_discarded');
      return {
        headLsn: numberOf(one('SELECT max(lsn) AS lsn FROM journal')?.['lsn']),
        commitLsn: numberOf(one('SELECT max(commit_lsn) AS lsn FROM commit_point')?.['lsn']),
        clusterId: textOf(fence?.['cluster']).toLowerCase(),
        incarnation: numberOf(fence?.['incarnation']),
        readmitting: numberOf(one('SELECT max(incarnation) AS at FROM readmission')?.['at']),
        discardedBy: numberOf(discarded?.['epoch']),
      };
    },
    journal: async ({ after, bytes }) => {
      const rows: JournalRow[] = [];
      let size = 0;
      for (const row of journalSql.iterate(after)) {
        rows.push(journalRow(row));
        const { payload } = row;
        if (payload instanceof Uint8Array) size += payload.length;
        if (size >= bytes) break;
      }
      return rows;
    },
    strays: async () => {
      const anchor = one(`SELECT ${JOURNAL_COLUMNS} FROM journal WHERE lsn = 0`);
      const problem = anchorProblem(anchor);
      const isOther = anchor !== undefined && numberOf(anchor['set_id']) !== setId;
      const below = numberOf(one('SELECT count(*) AS n FROM journal WHERE lsn < 0')?.['n']);
      return [
        ...(problem === null ? [] : [problem]),
        ...(isOther ? ['the row below the first entry is of another Set'] : []),
        ...(below > 0 ? [`${below} rows have an LSN below 0`] : []),
      ];
    },
    discarded: () => discardedOf(db),
    view: async () => openView(path),
    close: async () => db.close(),
  };
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true });
  // Its writer may be in the middle of something that nobody may read past.
  db.exec('PRAGMA busy_timeout = 5000');
  return db;
}

async function* discardedOf(db: DatabaseSync): AsyncGenerator<readonly JournalRow[]> {
  const sql = db.prepare(
    `SELECT place, ${JOURNAL_COLUMNS} FROM journal_discarded
     WHERE place > ? ORDER BY place LIMIT ${PAGE_ROWS}`,
  );
  for (let after = -1; ;) {
    const rows: Row[] = sql.all(after);
    if (rows.length > 0) yield rows.map(journalRow);
    if (rows.length < PAGE_ROWS) return;
    after = numberOf(rows.at(-1)?.['place']);
  }
}

/** A read transaction: the log of the file grows until it is closed. */
function openView(path: string): TablesView {
  const db = open(path);
  try {
    db.exec('BEGIN');
    const state = db.prepare('SELECT projected_lsn, tables FROM projection_state').get();
    const there = db
      .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'p_*'`)
      .all();
    return {
      projectedLsn: numberOf(state?.['projected_lsn']),
      made: namesOf(textOf(state?.['tables'])),
      names: there.map(({ name }) => textOf(name).slice(PREFIX.length)),
      rows: (table) => rowsOf(db, table),
      snapshots: snapshotsOf(db),
      close: async () => db.close(),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Text as bytes: what is not UTF-8 must not be made to look like it. */
async function* rowsOf(
  db: DatabaseSync,
  table: TableName,
): AsyncGenerator<readonly (readonly unknown[])[]> {
  const columns = Object.entries(layoutOf(table).columns);
  const list = columns.map(([name, type]) =>
    type === 'words' ? `CAST("${name}" AS BLOB) AS "${name}"` : `"${name}"`,
  );
  const sql = db.prepare(`SELECT ${list.join(', ')} FROM ${PREFIX}${table}`);
  sql.setReadBigInts(true);
  let page: unknown[][] = [];
  for (const row of sql.iterate()) {
    page.push(Object.values(row));
    if (page.length < PAGE_ROWS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function snapshotsOf(db: DatabaseSync): StoredSnapshot[] {
  const chunks = db.prepare('SELECT chunk, bytes FROM snapshot WHERE lsn = ? ORDER BY chunk');
  const manifests = db.prepare('SELECT lsn, chunks, bytes FROM snapshot_manifest').all();
  return manifests.map((row) => {
    const sum = new ChunkSum();
    for (const { chunk, bytes } of chunks.iterate(numberOf(row['lsn']))) {
      sum.add(numberOf(chunk), bytes instanceof Uint8Array ? bytes : new Uint8Array(0));
    }
    const manifest = row['bytes'] instanceof Uint8Array ? row['bytes'] : new Uint8Array(0);
    const { lsn, chunks: count } = row;
    return { lsn: numberOf(lsn), chunks: numberOf(count), manifest, ...sum.end() };
  });
}

function namesOf(text: string): string[] {
  const tables: unknown = text === '' ? [] : JSON.parse(text);
  if (!Array.isArray(tables)) return [];
  return tables.map((table: unknown) =>
    typeof table === 'object' && table !== null && 'name' in table ? String(table.name) : '',
  );
}

function numberOf(value: unknown): number {
  return value === null || value === undefined ? 0 : Number(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
