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
  readonly #rows: Map<string, Row>;
  /** Rows in the order of a key or index; forgotten at every change. */
  readonly #sorted = new Map<string, Row[]>();

  constructor(table: Table, rows: Map<string, Row> = new Map()) {
    this.#table = table;
    this.#columns = Object.keys(table.columns);
    this.#rows = rows;
  }

  /** A copy that changes by itself. Rows are never changed in place, so they are shared. */
  copy(): MemoryTable {
    return new MemoryTable(this.#table, new Map(this.#rows));
  }

  apply(change: Change): void {
    this.#sorted.clear();
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
    for (const { columns, unique } of Object.values(this.#table.indexes ?? {})) {
      const value = this.#pick(row, columns);
      // As in SQL, nulls are never equal to each other.
      if (!unique || value.includes(null)) continue;
      for (const [otherKey, other] of this.#rows) {
        if (otherKey !== key && compareRows(this.#pick(other, columns), value) === 0) {
          throw new StoreError('rejected', `two rows of ${this.#table.name} with one unique value`);
        }
      }
    }
    this.#rows.set(
      key,
      row.map((value) => (value instanceof Uint8Array ? value.slice() : value)),
    );
  }

  scan(scan: Scan): Row[] {
    assertScan(this.#table, scan);
    const order = scanOrder(this.#table, scan.index);
    const bounded = this.#columns.indexOf(order[scan.prefix.length] ?? '');
    const places = order.slice(0, scan.prefix.length).map((c) => this.#columns.indexOf(c));
    const rows = this.#inOrder(order).filter((row) => {
      if (places.some((place, at) => compare(row[place], scan.prefix[at]) !== 0)) return false;
      const value = row[bounded];
      if ((scan.from !== undefined || scan.to !== undefined) && value === null) return false;
      if (scan.from !== undefined && compare(value, scan.from) < 0) return false;
      return scan.to === undefined || compare(value, scan.to) <= 0;
    });
    if (scan.reverse === true) rows.reverse();
    return rows.slice(0, scan.limit).map((row) => [...row]);
  }

  #inOrder(order: readonly string[]): Row[] {
    const name = order.join();
    let rows = this.#sorted.get(name);
    if (rows === undefined) {
      rows = [...this.#rows.values()].sort((a, b) =>
        compareRows(this.#pick(a, order), this.#pick(b, order)),
      );
      this.#sorted.set(name, rows);
    }
    return rows;
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
