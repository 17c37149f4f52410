import { assert, unreachable } from '../core/assert.ts';
import type { Change, Row, Scan, Table, Value } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import {
  assertKey,
  assertRow,
  assertScan,
  assertValue,
  columnType,
  isNumeric,
  scanOrder,
} from './replica-arguments.ts';

/** One projection table in memory: the plain twin that the databases are compared with. */
export class MemoryTable {
  readonly #table: Table;
  readonly #columns: readonly string[];
  readonly #rows = new Map<string, Row>();
  /** Of each unique index: its values, and the key of the row that has them. */
  readonly #unique: readonly { readonly columns: readonly string[]; keys: Map<string, string> }[];
  /** Rows in the order of a key or index, for those that somebody has asked for. */
  readonly #sorted = new Map<string, { readonly order: readonly string[]; readonly rows: Row[] }>();
  /** What changed since the last {@link keep}: keys, and the rows that they had. */
  #undo: { readonly key: string; readonly row: Row | undefined }[] = [];

  constructor(table: Table, rows: ReadonlyMap<string, Row> = new Map()) {
    this.#table = table;
    this.#columns = Object.keys(table.columns);
    this.#unique = Object.values(table.indexes ?? {})
      .filter(({ unique }) => unique === true)
      .map(({ columns }) => ({ columns, keys: new Map() }));
    for (const [key, row] of rows) this.#place(key, row);
  }

  /** What was applied stays. */
  keep(): void {
    this.#undo = [];
  }

  /** The rows are again those of the last {@link keep}. */
  undo(): void {
    for (const { key, row } of this.#undo.reverse()) this.#place(key, row);
    this.#undo = [];
  }

  /** All of them, in no order. */
  rows(): Row[] {
    return [...this.#rows.values()];
  }

  /** A copy that changes by itself. Rows are never changed in place, so they are shared. */
  copy(): MemoryTable {
    return new MemoryTable(this.#table, this.#rows);
  }

  apply(change: Change): void {
    switch (change.kind) {
      case 'put':
        assertRow(this.#table, change.row);
        this.#store(change.row);
        break;
      case 'set':
        this.#set(change);
        break;
      case 'add':
        this.#add(change);
        break;
      default:
        unreachable(change);
    }
  }

  #set(change: Extract<Change, { kind: 'set' }>): void {
    assertKey(this.#table, change.key);
    const row = this.#rows.get(keyText(change.key));
    const next = [...(row ?? [])];
    for (const [column, value] of Object.entries(change.values)) {
      assert(!this.#table.key.includes(column), 'a key column is never set');
      assertValue(columnType(this.#table, column), value);
      next[this.#columns.indexOf(column)] = value;
    }
    if (row !== undefined) this.#store(next);
  }

  #add(change: Extract<Change, { kind: 'add' }>): void {
    assertKey(this.#table, change.key);
    const next = [...(this.#rows.get(keyText(change.key)) ?? this.#zeros(change.key))];
    for (const [column, delta] of Object.entries(change.deltas)) {
      assert(isNumeric(columnType(this.#table, column)), 'only numbers are added to');
      assert(Number.isSafeInteger(delta), 'a delta is a safe integer');
      const at = this.#columns.indexOf(column);
      next[at] = Number(next[at] ?? 0) + delta;
    }
    this.#store(next);
  }

  #zeros(key: Row): Value[] {
    const row = this.#columns.map((c): Value => (isNumeric(columnType(this.#table, c)) ? 0 : null));
    this.#table.key.forEach((column, at) => {
      row[this.#columns.indexOf(column)] = key[at] ?? null;
    });
    return row;
  }

  #store(row: Row): void {
    const key = keyText(this.#pick(row, this.#table.key));
    for (const { columns, keys } of this.#unique) {
      const other = keys.get(keyText(this.#pick(row, columns)));
      // As in SQL, nulls are never equal to each other: they are not in this map.
      if (other !== undefined && other !== key) {
        throw new StoreError('rejected', `two rows of ${this.#table.name} with one unique value`);
      }
    }
    this.#undo.push({ key, row: this.#rows.get(key) });
    this.#place(
      key,
      row.map((value) => (value instanceof Uint8Array ? value.slice() : value)),
    );
  }

  /** Puts a row under its key, or takes it away, in every order and index. */
  #place(key: string, row: Row | undefined): void {
    const before = this.#rows.get(key);
    for (const { columns, keys } of this.#unique) {
      if (before !== undefined) keys.delete(keyText(this.#pick(before, columns)));
      const value = row === undefined ? [null] : this.#pick(row, columns);
      if (!value.includes(null)) keys.set(keyText(value), key);
    }
    for (const { order, rows } of this.#sorted.values()) {
      if (before !== undefined) rows.splice(this.#firstAt(rows, { order, like: before }), 1);
      if (row !== undefined) rows.splice(this.#firstAt(rows, { order, like: row }), 0, row);
    }
    if (row === undefined) this.#rows.delete(key);
    else this.#rows.set(key, row);
  }

  /** Where the first row stands that is not below `like` in these columns. */
  #firstAt(rows: readonly Row[], by: { order: readonly string[]; like: Row }): number {
    const places = by.order.map((column) => this.#columns.indexOf(column));
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = rows[middle];
      let order = 0;
      for (const at of places) if ((order = compare(row?.[at], by.like[at])) !== 0) break;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  scan(scan: Scan): Row[] {
    assertScan(this.#table, scan);
    const order = scanOrder(this.#table, scan.index);
    const bounded = this.#columns.indexOf(order[scan.prefix.length] ?? '');
    const places = order.slice(0, scan.prefix.length).map((c) => this.#columns.indexOf(c));
    const sorted = this.#inOrder(order);
    const like: Value[] = this.#columns.map(() => null);
    for (const [at, place] of places.entries()) like[place] = scan.prefix[at] ?? null;
    const rows: Row[] = [];
    const first = this.#firstAt(sorted, { order: order.slice(0, places.length), like });
    for (let at = first; at < sorted.length; at++) {
      const row = sorted[at];
      if (row === undefined) break;
      if (places.some((place, index) => compare(row[place], scan.prefix[index]) !== 0)) break;
      const value = row[bounded];
      if ((scan.from !== undefined || scan.to !== undefined) && value === null) continue;
      if (scan.from !== undefined && compare(value, scan.from) < 0) continue;
      if (scan.to !== undefined && compare(value, scan.to) > 0) break;
      rows.push(row);
    }
    if (scan.reverse === true) rows.reverse();
    return rows.slice(0, scan.limit).map((row) => [...row]);
  }

  #inOrder(order: readonly string[]): Row[] {
    const name = order.join();
    let sorted = this.#sorted.get(name);
    if (sorted === undefined) {
      const rows = this.rows().sort((a, b) =>
        compareRows(this.#pick(a, order), this.#pick(b, order)),
      );
      sorted = { order, rows };
      this.#sorted.set(name, sorted);
    }
    return sorted.rows;
  }

  #pick(row: Row, columns: readonly string[]): Row {
    return columns.map((column) => row[this.#columns.indexOf(column)] ?? null);
  }
}

function compareRows(a: Row, b: Row): number {
  for (let at = 0; at < a.length; at++) {
    const order = compare(a[at], b[at]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Null first, numbers by size, text and bytes by their bytes. */
function compare(a: Value | undefined, b: Value | undefined): number {
  if (a === null || a === undefined || b === null || b === undefined) {
    return Number(a !== null && a !== undefined) - Number(b !== null && b !== undefined);
  }
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The order of UTF-8 bytes, which for characters beyond 16 bits is not that of `<`. */
function compareText(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function keyText(key: Row): string {
  return key
    .map((value) => {
      if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('hex')}`;
      return `${typeof value}${String(value)}`;
    })
    .map((part) => `${part.length}:${part}`)
    .join();
}
