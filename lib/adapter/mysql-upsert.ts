import { assert, unreachable } from '../core/assert.ts';
import type { Change, ColumnType, Row, Table, Value } from '../port/replica-store.ts';
import { literal, literals, tuple } from './mysql-literal.ts';
import type { SetRow, Step } from './mysql-steps.ts';
import { list } from './mysql-tables.ts';
import { assertKey, assertValue, columnType, isNumeric } from './replica-arguments.ts';

/** Characters of one statement: a third of the smallest packet even where each takes four bytes. */
const STATEMENT_CHARS_MAX = 1_048_576;

type Put = Extract<Change, { kind: 'put' }>;
type Update = Extract<Change, { kind: 'set' }>;
type Add = Extract<Change, { kind: 'add' }>;

/** What changes of a row that was not put come to: adds, and then sets. */
type Delta = { readonly adds: Map<string, number>; readonly sets: Map<string, Value> };

/**
 * The changes of one table, folded by row, as few large statements: order matters only within a
 * row, because no row of these tables is found by another's values. Not for unique indexes.
 */
export class TableFold {
  readonly #table: Table;
  readonly #columns: readonly string[];
  readonly #types: readonly ColumnType[];
  readonly #keyPlaces: readonly number[];
  /** Are the columns of the key the first ones, in order? */
  readonly #keyLeads: boolean;
  /** By key, as {@link literals}: a row is put, or changed, or neither. */
  readonly #puts = new Map<string, Row>();
  readonly #deltas = new Map<string, Delta>();

  constructor(table: Table) {
    this.#table = table;
    this.#columns = Object.keys(table.columns);
    this.#types = Object.values(table.columns);
    this.#keyPlaces = table.key.map((column) => this.#columns.indexOf(column));
    this.#keyLeads = this.#keyPlaces.every((place, at) => place === at);
  }

  /** False: the change cannot join those of its row; take {@link steps}, then say it again. */
  take(change: Change): boolean {
    switch (change.kind) {
      case 'put':
        this.#put(change);
        return true;
      case 'set':
        this.#set(change);
        return true;
      case 'add':
        return this.#add(change);
      default:
        return unreachable(change);
    }
  }

  // A million of these a minute: nothing is made that the row's own text does not need.
  #put({ row }: Put): void {
    const types = this.#types;
    assert(row.length === types.length, 'a row has all columns');
    for (let at = 0; at < types.length; at++) {
      const value = row[at];
      assert(value !== undefined, 'a row has no holes');
      assertValue(types[at] ?? 'blob', value);
    }
    let key = '';
    for (const place of this.#keyPlaces) {
      const value = row[place] ?? null;
      assert(value !== null, 'a key has no null');
      key = key === '' ? literal(value) : `${key},${literal(value)}`;
    }
    if (this.#deltas.size > 0) this.#deltas.delete(key);
    this.#puts.set(key, row);
  }

  #set(change: Update): void {
    const key = this.#keyOf(change.key);
    const row = this.#puts.get(key);
    const delta = row === undefined ? this.#deltaOf(key) : null;
    let changed = row;
    for (const [column, value] of Object.entries(change.values)) {
      assert(!this.#table.key.includes(column), 'a key column is never set');
      assertValue(columnType(this.#table, column), value);
      delta?.sets.set(column, value);
      changed = changed?.with(this.#columns.indexOf(column), value);
    }
    if (changed !== undefined) this.#puts.set(key, changed);
  }

  #add(change: Add): boolean {
    const key = this.#keyOf(change.key);
    const row = this.#puts.get(key);
    const delta = row === undefined ? this.#deltaOf(key) : null;
    // A set leaves a missing row missing, where an add makes it: the order shows.
    if (delta !== null && delta.sets.size > 0) return false;
    let changed = row;
    for (const [column, by] of Object.entries(change.deltas)) {
      assert(isNumeric(columnType(this.#table, column)), 'only numbers are added to');
      assert(Number.isSafeInteger(by), 'a delta is a safe integer');
      delta?.adds.set(column, (delta.adds.get(column) ?? 0) + by);
      const place = this.#columns.indexOf(column);
      changed = changed?.with(place, Number(changed[place] ?? 0) + by);
    }
    // No deltas: the row is made all the same.
    if (delta?.adds.size === 0) delta.adds.set('', 0);
    if (changed !== undefined) this.#puts.set(key, changed);
    return true;
  }

  #keyOf(key: Row): string {
    assertKey(this.#table, key);
    return literals(key);
  }

  #deltaOf(key: string): Delta {
    let delta = this.#deltas.get(key);
    if (delta === undefined) {
      delta = { adds: new Map(), sets: new Map() };
      this.#deltas.set(key, delta);
    }
    return delta;
  }

  /** All that was taken: first whole rows, then sums, then what is set. The fold is empty again. */
  steps(): Step[] {
    const statements = upserts(this.#table, {
      columns: this.#columns.filter((column) => !this.#table.key.includes(column)),
      all: this.#columns,
      rows: this.#tuples(),
      how: 'replace',
    });
    const adds = new Map<string, { columns: readonly string[]; rows: string[] }>();
    const sets: SetRow[] = [];
    for (const [key, { adds: sums, sets: values }] of this.#deltas) {
      if (sums.size > 0) {
        sums.delete('');
        const columns = [...sums.keys()];
        const group = adds.get(columns.join()) ?? { columns, rows: [] };
        adds.set(columns.join(), group);
        const all = columns.length === 0 ? key : `${key},${literals([...sums.values()])}`;
        group.rows.push(`(${all})`);
      }
      if (values.size > 0) sets.push({ text: key, values });
    }
    this.#puts.clear();
    this.#deltas.clear();
    for (const { columns, rows } of adds.values()) {
      statements.push(...upserts(this.#table, { columns, rows, how: 'add' }));
    }
    const steps = statements.map((sql): Step => ({ kind: 'statement', sql, chars: sql.length }));
    if (sets.length > 0) {
      steps.push({ kind: 'sets', table: this.#table, sets, chars: sets.length * SET_CHARS });
    }
    return steps;
  }

  /** Rows as text in the order of the table, so that its pages fill one after the other. */
  #tuples(): string[] {
    const puts = [...this.#puts];
    const compare = (a: readonly [string, Row], b: readonly [string, Row]): number => {
      for (const place of this.#keyPlaces) {
        const order = compareValues(a[1][place] ?? null, b[1][place] ?? null);
        if (order !== 0) return order;
      }
      return 0;
    };
    // Often they come so: then this is all that it costs.
    const isSorted = puts.every((put, at) => at === 0 || compare(puts[at - 1] ?? put, put) <= 0);
    if (!isSorted) puts.sort(compare);
    return puts.map(([key, row]) => this.#tuple(key, row));
  }

  #tuple(key: string, row: Row): string {
    if (!this.#keyLeads) return tuple(row);
    let text = `(${key}`;
    for (let at = this.#keyPlaces.length; at < row.length; at++) {
      text += `,${literal(row[at] ?? null)}`;
    }
    return `${text})`;
  }
}

const SET_CHARS = 200;

/** Roughly the server's order, and always the same one. */
function compareValues(a: Value, b: Value): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a === null || b === null || a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Statements that make or change rows of a key and these columns. VALUES() is what MariaDB and
 * MySQL 8 both know; the row alias of MySQL 8.0.19 is not.
 */
export function upserts(
  table: Table,
  args: {
    /** Those that a row that is there takes. */
    columns: readonly string[];
    /** Names of a row's values; the key's and `columns` when absent. */
    all?: readonly string[];
    rows: readonly string[];
    how: 'replace' | 'add';
  },
): string[] {
  const { columns, rows, how } = args;
  const names = list(args.all ?? [...table.key, ...columns]);
  const sets = columns.map(how === 'add' ? toSum : toNew);
  // Nothing to change: the key is set to itself.
  const update = sets.length === 0 ? toNew(table.key[0] ?? '') : sets.join(', ');
  const head = `INSERT INTO \`${table.name}\` (${names}) VALUES `;
  return [...pieces(rows)].map(
    (some) => `${head}${some.join(',')} ON DUPLICATE KEY UPDATE ${update}`,
  );
}

function toNew(column: string): string {
  return `\`${column}\` = VALUES(\`${column}\`)`;
}

function toSum(column: string): string {
  return `\`${column}\` = COALESCE(\`${column}\`, 0) + VALUES(\`${column}\`)`;
}

export function* pieces(rows: readonly string[]): Generator<readonly string[]> {
  let start = 0;
  let size = 0;
  for (let at = 0; at < rows.length; at++) {
    const { length } = rows[at] ?? '';
    if (at > start && size + length > STATEMENT_CHARS_MAX) {
      yield rows.slice(start, at);
      start = at;
      size = 0;
    }
    size += length;
  }
  if (start < rows.length) yield rows.slice(start);
}
