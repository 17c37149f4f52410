import type { SQLOutputValue } from 'node:sqlite';
import { assert, unreachable } from '../core/assert.ts';
import { DecodeError } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { CorruptEntry, unseal } from '../core/journal-entry.ts';
import type { Lsn, SetId } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import type {
  Change,
  ColumnType,
  Row,
  Scan,
  ScanReply,
  Schema,
  Table,
  Value,
} from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS, fromRow } from './journal-row.ts';
import { sha256 } from './node-crypto.ts';
import {
  assertKey,
  assertRow,
  assertScan,
  assertValue,
  columnType,
  isNumeric,
  scanOrder,
  tableOf,
} from './replica-arguments.ts';
import { tableName } from './sqlite-schema.ts';
import type { Statements } from './sqlite-statements.ts';
import { inTransaction } from './sqlite-transaction.ts';
import { bindable } from './sqlite-value.ts';

const CHUNK_ENTRIES_MAX = 2_000;
const CHUNK_BYTES_MAX = 4 * 1_048_576;
const CHUNK_BYTES_MIN = 32_768;
const CHUNK_BYTES_START = 262_144;
/** What an append may wait behind a chunk when there are appends: about what its own fsync takes. */
const CHUNK_TARGET_MS = 5;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Projection tables of one replica in its SQLite file: fills them from the journal, answers scans. */
export class SqliteProjection {
  readonly #statements: Statements;
  readonly #set: SetId;
  readonly #schema: Schema;
  #chunkBytes = CHUNK_BYTES_START;

  constructor(args: { statements: Statements; set: SetId; schema: Schema }) {
    this.#statements = args.statements;
    this.#set = args.set;
    this.#schema = args.schema;
  }

  /**
   * One chunk towards `to`; `more` when committed entries up to `to` are left. With `others` waiting
   * chunks shrink until they take about 12 ms, else they grow to 4 MiB.
   */
  projectChunk(to: Lsn, others: boolean): { projected: Lsn; more: boolean } {
    const started = performance.now();
    const { from, until, size } = inTransaction(this.#statements.db, () => this.#chunk(to));
    if (size >= this.#chunkBytes) {
      const slower = others ? (performance.now() - started) / CHUNK_TARGET_MS : 0.5;
      const fit = Math.floor(this.#chunkBytes / Math.min(2, Math.max(0.5, slower)));
      this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, fit));
    }
    return { projected: lsn(until), more: until > from && until < to };
  }

  #chunk(to: number): { from: number; until: number; size: number } {
    const state = this.#statements
      .sql(
        `SELECT p.projected_lsn AS projected, c.commit_lsn AS committed, j.sum AS sum
       FROM projection_state p JOIN commit_point c ON c.set_id = p.set_id
       LEFT JOIN journal j ON j.lsn = p.projected_lsn WHERE p.set_id = ?`,
      )
      .get(this.#set);
    const from = Number(state?.['projected']);
    const end = Math.min(to, Number(state?.['committed']));
    if (from >= end) return { from, until: from, size: 0 };
    const prev = state?.['sum'];
    if (!(prev instanceof Uint8Array)) throw this.#corrupt(from, 'the projected row is missing');
    const { entries, size } = this.#read({ from, end, prev });
    const until = from + entries.length;
    // First this row, under which a second projector would wait (rulings 10).
    const moved = this.#statements
      .sql('UPDATE projection_state SET projected_lsn = ? WHERE set_id = ? AND projected_lsn = ?')
      .run(until, this.#set, from);
    assert(moved.changes === 1, 'the projection moves from where it was');
    this.#apply(this.#changes(entries));
    return { from, until, size };
  }

  /** Entries are checked once more before people see them: a flipped byte never becomes a number. */
  #read(args: { from: number; end: number; prev: Uint8Array }): { entries: Entry[]; size: number } {
    const entries: Entry[] = [];
    let { prev } = args;
    let size = 0;
    const rows = this.#statements
      .sql(
        `SELECT ${JOURNAL_COLUMNS.join(', ')} FROM journal WHERE lsn > ? AND lsn <= ? ORDER BY lsn`,
      )
      .iterate(args.from, args.end);
    for (const row of rows) {
      const entry = fromRow(row);
      if (entry.lsn !== args.from + entries.length + 1) break;
      try {
        unseal({ entry, prev, hash: sha256 });
      } catch (error) {
        if (!(error instanceof CorruptEntry)) throw error;
        throw new StoreError('corrupt', error.message, { cause: error });
      }
      size += entry.payload.length;
      entries.push(entry);
      if (entries.length >= CHUNK_ENTRIES_MAX || size >= this.#chunkBytes) break;
      prev = entry.sum;
    }
    if (entries.length === 0) throw this.#corrupt(args.from + 1, 'a committed row is missing');
    return { entries, size };
  }

  #changes(entries: readonly Entry[]): Change[] {
    try {
      return this.#schema.project(entries);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new StoreError(
        'corrupt',
        `Set ${this.#set}, LSN ${entries[0]?.lsn ?? 0}..${entries.at(-1)?.lsn ?? 0}: ${error.message}`,
        { cause: error },
      );
    }
  }

  #corrupt(at: number, reason: string): StoreError {
    return new StoreError('corrupt', `Set ${this.#set}, LSN ${at}: ${reason}`);
  }

  /** Tables do not touch each other, so only the order within each is kept. */
  #apply(changes: readonly Change[]): void {
    const byTable = new Map<string, Change[]>();
    for (const change of changes) {
      const list = byTable.get(change.table);
      if (list === undefined) byTable.set(change.table, [change]);
      else list.push(change);
    }
    for (const [name, list] of byTable) this.#applyTable(tableOf(this.#schema.tables, name), list);
  }

  #applyTable(table: Table, changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'put':
          assertRow(table, change.row);
          this.#run(`put ${table.name}`, () => putSql(table), change.row);
          break;
        case 'add':
          this.#add(table, change);
          break;
        case 'set':
          this.#update(table, change);
          break;
        default:
          unreachable(change);
      }
    }
  }

  /** One row a statement: in process, a statement of 16 rows took 1.7 times as long a row. */
  #run(key: string, text: () => string, values: Row): void {
    this.#statements.keyed(key, text).run(...values.map(bindable));
  }

  #add(table: Table, change: Extract<Change, { kind: 'add' }>): void {
    assertKey(table, change.key);
    const columns = Object.keys(change.deltas);
    const values: Value[] = [...change.key];
    for (const column of columns) {
      const delta = change.deltas[column];
      assert(isNumeric(columnType(table, column)), 'only numbers are added to');
      assert(delta !== undefined && Number.isSafeInteger(delta), 'a delta is a safe integer');
      values.push(delta);
    }
    this.#run(`add ${table.name} ${columns.join()}`, () => addSql(table, columns), values);
  }

  #update(table: Table, change: Extract<Change, { kind: 'set' }>): void {
    assertKey(table, change.key);
    const columns = Object.keys(change.values);
    if (columns.length === 0) return;
    const values = columns.map((column): Value => {
      assert(!table.key.includes(column), 'a key column is never set');
      const value = change.values[column];
      assert(value !== undefined, 'a value is there');
      assertValue(columnType(table, column), value);
      return value;
    });
    const key = `set ${table.name} ${columns.join()}`;
    this.#run(key, () => setSql(table, columns), [...values, ...change.key]);
  }

  /** Rows and the LSN they show, read in one transaction ([RS13]). */
  scan(scan: Scan): ScanReply {
    const table = tableOf(this.#schema.tables, scan.table);
    assertScan(table, scan);
    const types = Object.values(table.columns);
    const statement = this.#statements.sql(scanSql(table, scan));
    statement.setReturnArrays(true);
    // Ids have 63 bits; without them SQLite's integers come as numbers, which is faster.
    const big = types.includes('id');
    statement.setReadBigInts(big);
    const bounds = [scan.from, scan.to].filter((bound) => bound !== undefined);
    this.#statements.db.exec('BEGIN');
    try {
      const at = this.#statements.sql('SELECT projected_lsn AS at FROM projection_state').get()?.[
        'at'
      ];
      const rows = statement.all(
        ...scan.prefix.map(bindable),
        ...bounds.map(bindable),
        scan.limit,
      ) as unknown as SQLOutputValue[][];
      return { asOfLsn: lsn(Number(at)), rows: rows.map((row) => fromSql(types, row)) };
    } finally {
      this.#statements.db.exec('COMMIT');
    }
  }
}

function putSql(table: Table): string {
  const columns = Object.keys(table.columns);
  const rest = columns.filter((column) => !table.key.includes(column));
  return upsertSql({ table, columns, sets: rest.map((c) => `${c} = excluded.${c}`) });
}

function addSql(table: Table, added: readonly string[]): string {
  const sets = added.map((c) => `${c} = coalesce(${c}, 0) + excluded.${c}`);
  return upsertSql({ table, columns: [...table.key, ...added], sets });
}

function upsertSql(args: {
  table: Table;
  columns: readonly string[];
  sets: readonly string[];
}): string {
  const { table, columns, sets } = args;
  // Never INSERT OR REPLACE: that would delete another row which holds the same unique value.
  return `INSERT INTO ${tableName(table.name)} (${columns.join(', ')})
    VALUES (${columns.map(() => '?').join(', ')})
    ON CONFLICT (${table.key.join(', ')})
    DO ${sets.length === 0 ? 'NOTHING' : `UPDATE SET ${sets.join(', ')}`}`;
}

function setSql(table: Table, columns: readonly string[]): string {
  return `UPDATE ${tableName(table.name)} SET ${columns.map((c) => `${c} = ?`).join(', ')}
    WHERE ${table.key.map((c) => `${c} = ?`).join(' AND ')}`;
}

function scanSql(table: Table, scan: Scan): string {
  const order = scanOrder(table, scan.index);
  const bounded = order[scan.prefix.length];
  const where = scan.prefix.map((_, at) => `${order[at] ?? ''} IS ?`);
  if (scan.from !== undefined) where.push(`${bounded ?? ''} >= ?`);
  if (scan.to !== undefined) where.push(`${bounded ?? ''} <= ?`);
  const direction = scan.reverse === true ? 'DESC' : 'ASC';
  // node:sqlite ends text at its first NUL character when it reads; as bytes it comes whole.
  const columns = Object.entries(table.columns).map(([column, type]) =>
    isText(type) ? `CAST(${column} AS BLOB)` : column,
  );
  return `SELECT ${columns.join(', ')} FROM ${tableName(table.name)}
    ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
    ORDER BY ${order.map((column) => `${column} ${direction}`).join(', ')} LIMIT ?`;
}

function isText(type: ColumnType): boolean {
  return type === 'text' || type === 'user';
}

function fromSql(types: readonly ColumnType[], row: readonly SQLOutputValue[]): Row {
  return types.map((type, at): Value => {
    const value = row[at];
    assert(value !== undefined, 'a row has all columns');
    if (typeof value === 'bigint' && type !== 'id') return Number(value);
    if (value instanceof Uint8Array && isText(type)) return decoder.decode(value);
    return value;
  });
}
