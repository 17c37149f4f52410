/** A replica in one MariaDB or MySQL database, read over connections of its own that only read. */
import { createConnection } from 'mysql2';
import type { Connection } from 'mysql2';
import { ChunkSum } from '../../reconciler/audit/replicas-snapshot.ts';
import type { StoredSnapshot } from '../../reconciler/audit/replicas-snapshot.ts';
import type { JournalRow } from '../../reconciler/audit/replicas.ts';
import { layoutOf } from '../../reconciler/audit/tables-layout.ts';
import type { TableName } from '../../reconciler/audit/tables-layout.ts';
import type { ReplicaReader, ReplicaState, TablesView } from './reader.ts';
import { JOURNAL_COLUMNS, anchorProblem, journalRow } from './reader.ts';

const CONNECT_WITHIN_MS = 5_000;
const PAGE_ROWS = 1_000;
/** Rows of the first page of a journal: how large they are is not yet known. */
const FIRST_ROWS = 64;
const NAME = /^[a-z][a-z0-9_]{0,63}$/;

type Row = Readonly<Record<string, unknown>>;
type Value = string | number;

/** One connection whose calls wait for each other. */
class Session {
  readonly #url: URL;
  readonly #password: string;
  #connection: Connection;

  constructor(url: URL, password: string) {
    this.#url = url;
    this.#password = password;
    this.#connection = this.#connect();
  }

  #connect(): Connection {
    const url = this.#url;
    const password = this.#password;
    const connection = createConnection({
      host: url.hostname,
      port: url.port === '' ? 3306 : Number(url.port),
      user: decodeURIComponent(url.username),
      password: password === '' ? decodeURIComponent(url.password) : password,
      database: decodeURIComponent(url.pathname.slice(1)),
      charset: 'utf8mb4_bin',
      connectTimeout: CONNECT_WITHIN_MS,
      supportBigNumbers: true,
      bigNumberStrings: true,
      // Times and small numbers as they are; text columns of ours are bytes.
      dateStrings: true,
    });
    // A call that waits is rejected by itself; without a listener the process would end.
    connection.on('error', () => undefined);
    return connection;
  }

  /** A read that stands alone: a leader who takes over cuts sessions of his user, ours among them. */
  async selectAgain(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    try {
      return await this.select(sql, values);
    } catch (error) {
      if (!isLost(error)) throw error;
      this.#connection.destroy();
      this.#connection = this.#connect();
      return this.select(sql, values);
    }
  }

  select(sql: string, values: readonly Value[] = []): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.#connection.query(sql, [...values], (error, rows) => {
        if (error !== null) reject(error);
        else resolve(Array.isArray(rows) ? (rows as Row[]) : []);
      });
    });
  }

  /** Row by row as they come; the server waits while nobody takes them. */
  stream(sql: string): AsyncIterable<Row> {
    return this.#connection.query(sql).stream({ highWaterMark: PAGE_ROWS });
  }

  end(): void {
    this.#connection.destroy();
  }
}

/** mysql2 calls errors that end the connection fatal. */
function isLost(error: unknown): boolean {
  return error instanceof Error && 'fatal' in error && error.fatal === true;
}

/** Rejects when the server does not answer or does not let us in. */
export async function openMysqlReader(args: {
  dsn: string;
  password: string;
  setId: number;
  replica: number;
  where: string;
}): Promise<ReplicaReader> {
  const { dsn, password, setId, where } = args;
  const url = new URL(dsn);
  const session = new Session(url, password);
  const one = async (sql: string): Promise<Row | undefined> => (await session.selectAgain(sql))[0];
  await one('SELECT 1');
  let rowsHint = FIRST_ROWS;
  return {
    where,
    replica: args.replica,
    state: async (): Promise<ReplicaState> => {
      const fence = await one('SELECT HEX(cluster_id) AS cluster, incarnation FROM replica_state');
      const number = async (sql: string): Promise<number> => numberOf((await one(sql))?.['n']);
      return {
        headLsn: await number(`SELECT MAX(lsn) AS n FROM journal WHERE set_id = ${setId}`),
        commitLsn: await number('SELECT MAX(commit_lsn) AS n FROM commit_point'),
        clusterId: textOf(fence?.['cluster']).toLowerCase(),
        incarnation: numberOf(fence?.['incarnation']),
        readmitting: await number('SELECT MAX(incarnation) AS n FROM readmission'),
        discardedBy: await number('SELECT MAX(discarded_by_epoch) AS n FROM journal_discarded'),
      };
    },
    journal: async ({ after, bytes }) => {
      const rows = await session.selectAgain(
        `SELECT ${JOURNAL_COLUMNS} FROM journal WHERE set_id = ? AND lsn > ?
         ORDER BY lsn LIMIT ?`,
        [setId, after, rowsHint],
      );
      const size = rows.reduce((sum, row) => sum + sizeOf(row['payload']), 0);
      // The next page of about so many bytes; an entry has at most one MiB.
      const each = Math.max(1, size / Math.max(1, rows.length));
      rowsHint = Math.max(1, Math.min(PAGE_ROWS, Math.floor(bytes / each)));
      return rows.map(journalRow);
    },
    strays: async () => {
      const [anchor] = await session.selectAgain(
        `SELECT ${JOURNAL_COLUMNS} FROM journal WHERE set_id = ? AND lsn = 0`,
        [setId],
      );
      const problem = anchorProblem(anchor);
      const others = await session.selectAgain(
        'SELECT COUNT(*) AS n, MIN(lsn) AS lsn FROM journal WHERE set_id <> ?',
        [setId],
      );
      const count = numberOf(others[0]?.['n']);
      const first = numberOf(others[0]?.['lsn']);
      return [
        ...(problem === null ? [] : [problem]),
        ...(count > 0 ? [`${count} rows of another Set, the first at LSN ${first}`] : []),
      ];
    },
    discarded: () => discardedOf(session),
    view: () => openView(url, password),
    close: async () => session.end(),
  };
}

async function* discardedOf(session: Session): AsyncGenerator<readonly JournalRow[]> {
  for (let after = -1; ;) {
    const rows = await session.selectAgain(
      `SELECT place, ${JOURNAL_COLUMNS} FROM journal_discarded
       WHERE place > ? ORDER BY place LIMIT ${FIRST_ROWS}`,
      [after],
    );
    if (rows.length > 0) yield rows.map(journalRow);
    if (rows.length < FIRST_ROWS) return;
    after = numberOf(rows.at(-1)?.['place']);
  }
}

/** One transaction that reads: the server keeps old versions of rows until it is closed. */
async function openView(url: URL, password: string): Promise<TablesView> {
  const session = new Session(url, password);
  try {
    await session.select('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await session.select('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    const [state] = await session.select('SELECT projected_lsn, tables_made FROM projection_state');
    const made = state?.['tables_made'];
    const there = await session.select(
      `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()`,
    );
    return {
      projectedLsn: numberOf(state?.['projected_lsn']),
      made: made instanceof Uint8Array ? namesOf(Buffer.from(made).toString()) : [],
      names: there.map(({ name }) => String(name)),
      rows: (table) => rowsOf(session, table),
      snapshots: await snapshotsOf(session),
      close: async () => session.end(),
    };
  } catch (error) {
    session.end();
    throw error;
  }
}

async function* rowsOf(
  session: Session,
  table: TableName,
): AsyncGenerator<readonly (readonly unknown[])[]> {
  const list = Object.keys(layoutOf(table).columns).map((name) => `\`${name}\``);
  let page: unknown[][] = [];
  for await (const row of session.stream(`SELECT ${list.join(', ')} FROM \`${table}\``)) {
    page.push(Object.values(row));
    if (page.length < PAGE_ROWS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

async function snapshotsOf(session: Session): Promise<StoredSnapshot[]> {
  const found: StoredSnapshot[] = [];
  for (const row of await session.select('SELECT lsn, chunks, bytes FROM snapshot_manifest')) {
    const sum = new ChunkSum();
    const lsn = numberOf(row['lsn']);
    const chunks = session.stream(
      `SELECT chunk, bytes FROM snapshot WHERE lsn = ${lsn} ORDER BY chunk`,
    );
    for await (const { chunk, bytes } of chunks) {
      sum.add(numberOf(chunk), bytes instanceof Uint8Array ? bytes : new Uint8Array(0));
    }
    const manifest = row['bytes'] instanceof Uint8Array ? row['bytes'] : new Uint8Array(0);
    found.push({ lsn, chunks: numberOf(row['chunks']), manifest, ...sum.end() });
  }
  return found;
}

function namesOf(text: string): string[] {
  const names: unknown = text === '' ? [] : JSON.parse(text);
  return Array.isArray(names) ? names.map(String).filter((name) => NAME.test(name)) : [];
}

function sizeOf(payload: unknown): number {
  return payload instanceof Uint8Array ? payload.length : 0;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: unknown): number {
  return value === null || value === undefined ? 0 : Number(value);
}
