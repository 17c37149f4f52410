import { assert, unreachable } from '../core/assert.ts';
import type { Change, Row, Table, Value } from '../port/replica-store.ts';
import type { MysqlSession } from './mysql-session.ts';
import { list } from './mysql-tables.ts';
import { literal, literals, tuple } from './mysql-literal.ts';
import { assertKey, assertRow, assertValue, columnType, isNumeric } from './replica-arguments.ts';

/** Rows of one INSERT: a few round trips for a chunk. */
const RUN_ROWS_MAX = 500;

/**
 * The changes of a table with a unique index, in their order: an upsert would change the row that
 * it clashes with, so plain statements are used, which fail. Rows that are new go in together.
 */
export class UniqueTableChanges {
  readonly #session: MysqlSession;
  readonly #table: Table;
  readonly #columns: readonly string[];
  /** Puts of different rows, not written yet. */
  readonly #run = new Map<string, Row>();

  constructor(session: MysqlSession, table: Table) {
    this.#session = session;
    this.#table = table;
    this.#columns = Object.keys(table.columns);
  }

  async take(change: Change): Promise<void> {
    if (change.kind === 'put') {
      assertRow(this.#table, change.row);
      const key = literals(this.#keyOf(change.row));
      if (this.#run.has(key) || this.#run.size >= RUN_ROWS_MAX) await this.flush();
      this.#run.set(key, change.row);
      return;
    }
    await this.flush();
    assertKey(this.#table, change.key);
    switch (change.kind) {
      case 'set':
        return this.#update(change.key, this.#setTexts(change.values));
      case 'add': {
        const names = list(this.#table.key);
        // A missing row is made of its key and of the columns' own zeros.
        if (!(await this.#isThere(change.key))) await this.#insert(names, [tuple(change.key)]);
        return this.#update(change.key, this.#addTexts(change.deltas));
      }
      default:
        unreachable(change);
    }
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    const rows = [...this.#run.values()];
    this.#run.clear();
    if (rows.length === 0) return;
    const there = await this.#session.show(
      `SELECT 1 AS there FROM \`${this.#table.name}\` WHERE (${list(this.#table.key)})
       IN (${rows.map((row) => tuple(this.#keyOf(row))).join(', ')}) LIMIT 1`,
    );
    if (there.length === 0) return this.#insert(list(this.#columns), rows.map(tuple));
    for (const row of rows) {
      const key = this.#keyOf(row);
      if (!(await this.#isThere(key))) await this.#insert(list(this.#columns), [tuple(row)]);
      else {
        const rest = this.#columns.map((column, at) => [column, row[at] ?? null] as const);
        const values = rest.filter(([column]) => !this.#table.key.includes(column));
        await this.#update(key, this.#setTexts(Object.fromEntries(values)));
      }
    }
  }

  async #insert(columns: string, tuples: readonly string[]): Promise<void> {
    const into = `INSERT INTO \`${this.#table.name}\` (${columns})`;
    await this.#session.run(`${into} VALUES ${tuples.join(', ')}`);
  }

  async #update(key: Row, sets: readonly string[]): Promise<void> {
    if (sets.length === 0) return;
    await this.#session.run(
      `UPDATE \`${this.#table.name}\` SET ${sets.join(', ')} ${this.#where(key)}`,
    );
  }

  #setTexts(values: Readonly<Record<string, Value>>): string[] {
    return Object.entries(values).map(([column, value]) => {
      assert(!this.#table.key.includes(column), 'a key column is never set');
      assertValue(columnType(this.#table, column), value);
      return `\`${column}\` = ${literal(value)}`;
    });
  }

  #addTexts(deltas: Readonly<Record<string, number>>): string[] {
    return Object.entries(deltas).map(([column, delta]) => {
      assert(isNumeric(columnType(this.#table, column)), 'only numbers are added to');
      assert(Number.isSafeInteger(delta), 'a delta is a safe integer');
      return `\`${column}\` = COALESCE(\`${column}\`, 0) + ${literal(delta)}`;
    });
  }

  async #isThere(key: Row): Promise<boolean> {
    const sql = `SELECT 1 AS there FROM \`${this.#table.name}\` ${this.#where(key)}`;
    return (await this.#session.show(sql)).length > 0;
  }

  #where(key: Row): string {
    const equal = this.#table.key.map((c, at) => `\`${c}\` = ${literal(key[at] ?? null)}`);
    return `WHERE ${equal.join(' AND ')}`;
  }

  #keyOf(row: Row): Value[] {
    return this.#table.key.map((column) => row[this.#columns.indexOf(column)] ?? null);
  }
}
