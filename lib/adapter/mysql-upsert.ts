import { assert, unreachable } from '../core/assert.ts';
import type { Change, Row, Table, Value } from '../port/replica-store.ts';
import { fromSql } from './mysql-scan.ts';
import type { MysqlSession } from './mysql-session.ts';
import { list } from './mysql-tables.ts';
import { assertKey, assertRow, assertValue, columnType, isNumeric } from './replica-arguments.ts';

/** Characters of one statement: a third of the smallest packet even where each takes four bytes. */
const STATEMENT_CHARS_MAX = 1_048_576;

type Put = Extract<Change, { kind: 'put' }>;
type Update = Extract<Change, { kind: 'set' }>;
type Add = Extract<Change, { kind: 'add' }>;

/** What all changes of one row come to: at most one put, or adds and then sets. */
type Pending =
  | { kind: 'row'; row: Value[] }
  | { kind: 'changes'; key: Row; adds: Map<string, number>; sets: Map<string, Value> };

/**
 * The changes of one table, folded by row, as few large statements: order matters only within a
 * row, because no row of these tables is found by another's values. Not for unique indexes.
 */
export class TableChanges {
  readonly #session: MysqlSession;
  readonly #table: Table;
  readonly #columns: readonly string[];
  readonly #keyPlaces: readonly number[];
  readonly #pending = new Map<string, Pending>();

  constructor(session: MysqlSession, table: Table) {
    assert(!hasUnique(table), 'a row of this table cannot clash with another');
    this.#session = session;
    this.#table = table;
    this.#columns = Object.keys(table.columns);
    this.#keyPlaces = table.key.map((column) => this.#columns.indexOf(column));
  }

  /** False: the change cannot join those of its row; flush, then say it again. */
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

  #put({ row }: Put): void {
    assertRow(this.#table, row);
    const key = keyText(this.#keyPlaces.map((place) => row[place] ?? null));
    this.#pending.set(key, { kind: 'row', row: [...row] });
  }

  #set(change: Update): void {
    const pending = this.#changesOf(change.key);
    for (const [column, value] of Object.entries(change.values)) {
      assert(!this.#table.key.includes(column), 'a key column is never set');
      assertValue(columnType(this.#table, column), value);
      if (pending.kind === 'row') pending.row[this.#columns.indexOf(column)] = value;
      else pending.sets.set(column, value);
    }
  }

  #add(change: Add): boolean {
    const pending = this.#changesOf(change.key);
    // A set leaves a missing row missing, where an add makes it: the order shows.
    if (pending.kind === 'changes' && pending.sets.size > 0) return false;
    for (const [column, delta] of Object.entries(change.deltas)) {
      assert(isNumeric(columnType(this.#table, column)), 'only numbers are added to');
      assert(Number.isSafeInteger(delta), 'a delta is a safe integer');
      if (pending.kind === 'changes') {
        pending.adds.set(column, (pending.adds.get(column) ?? 0) + delta);
      } else {
        const place = this.#columns.indexOf(column);
        pending.row[place] = Number(pending.row[place] ?? 0) + delta;
      }
    }
    // No deltas: the row is made all the same.
    if (pending.kind === 'changes' && pending.adds.size === 0) pending.adds.set('', 0);
    return true;
  }

  #changesOf(key: Row): Pending {
    assertKey(this.#table, key);
    const text = keyText(key);
    let pending = this.#pending.get(text);
    if (pending === undefined) {
      pending = { kind: 'changes', key, adds: new Map(), sets: new Map() };
      this.#pending.set(text, pending);
    }
    return pending;
  }

  /** Writes all that was taken: first whole rows, then sums, then what is set. */
  async flush(): Promise<void> {
    const rows: string[] = [];
    const adds: Groups = new Map();
    const sets: { text: string; key: Row; values: Map<string, Value> }[] = [];
    for (const [text, pending] of this.#pending) {
      if (pending.kind === 'row') rows.push(tuple(pending.row));
      else {
        const { key, adds: sums, sets: values } = pending;
        if (sums.size > 0) {
          sums.delete('');
          groupOf(adds, [...sums.keys()]).push(tuple([...key, ...sums.values()]));
        }
        if (values.size > 0) sets.push({ text, key, values });
      }
    }
    this.#pending.clear();
    // Neighbours lie on one page of the table.
    rows.sort();
    const rest = this.#columns.filter((column) => !this.#table.key.includes(column));
    await this.#upsert(this.#columns, { rows, sets: rest.map(toNew) });
    for (const [columns, group] of adds.values()) {
      const names = [...this.#table.key, ...columns];
      await this.#upsert(names, { rows: group, sets: columns.map(toSum) });
    }
    await this.#writeSets(sets);
  }

  async #writeSets(
    sets: readonly { text: string; key: Row; values: Map<string, Value> }[],
  ): Promise<void> {
    const there = await this.#keysThere(sets.map(({ key }) => tuple(key)));
    const groups: Groups = new Map();
    for (const { text, key, values } of sets) {
      // A missing row stays missing. Nobody else makes it meanwhile: who projects is alone.
      if (!there.has(text)) continue;
      groupOf(groups, [...values.keys()]).push(tuple([...key, ...values.values()]));
    }
    for (const [columns, rows] of groups.values()) {
      await this.#upsert([...this.#table.key, ...columns], { rows, sets: columns.map(toNew) });
    }
  }

  async #keysThere(keys: readonly string[]): Promise<Set<string>> {
    const there = new Set<string>();
    const names = list(this.#table.key);
    const types = this.#table.key.map((column) => columnType(this.#table, column));
    for (const some of pieces(keys)) {
      const rows = await this.#session.showCells(
        `SELECT ${names} FROM \`${this.#table.name}\` WHERE (${names}) IN (${some.join(',')})`,
      );
      for (const row of rows) there.add(keyText(fromSql(types, row)));
    }
    return there;
  }

  // VALUES() is what MariaDB and MySQL 8 both know; the row alias of MySQL 8.0.19 is not.
  async #upsert(
    columns: readonly string[],
    { rows, sets }: { rows: readonly string[]; sets: readonly string[] },
  ): Promise<void> {
    // Nothing to change: the key is set to itself.
    const update = sets.length === 0 ? toNew(this.#table.key[0] ?? '') : sets.join(', ');
    for (const some of pieces(rows)) {
      await this.#session.run(
        `INSERT INTO \`${this.#table.name}\` (${list(columns)}) VALUES ${some.join(',')}
         ON DUPLICATE KEY UPDATE ${update}`,
      );
    }
  }
}

/** Rows by the columns that they name. */
type Groups = Map<string, readonly [columns: readonly string[], rows: string[]]>;

function toNew(column: string): string {
  return `\`${column}\` = VALUES(\`${column}\`)`;
}

function toSum(column: string): string {
  return `\`${column}\` = COALESCE(\`${column}\`, 0) + VALUES(\`${column}\`)`;
}

/** Tables where one row can clash with another: changed one by one, so that the clash shows. */
export function hasUnique(table: Table): boolean {
  return Object.values(table.indexes ?? {}).some((index) => index.unique);
}

function groupOf(groups: Groups, columns: readonly string[]): string[] {
  const name = columns.join();
  let group = groups.get(name);
  if (group === undefined) {
    group = [columns, []];
    groups.set(name, group);
  }
  return group[1];
}

function* pieces(rows: readonly string[]): Generator<readonly string[]> {
  let start = 0;
  let size = 0;
  for (const [index, row] of rows.entries()) {
    if (index > start && size + row.length > STATEMENT_CHARS_MAX) {
      yield rows.slice(start, index);
      start = index;
      size = 0;
    }
    size += row.length;
  }
  if (start < rows.length) yield rows.slice(start);
}

export function tuple(values: readonly Value[]): string {
  let text = '(';
  for (let at = 0; at < values.length; at++) {
    if (at > 0) text += ',';
    text += literal(values[at] ?? null);
  }
  return `${text})`;
}

const SPECIAL = /['\\\0]/;
const EACH_SPECIAL = /['\\\0]/g;

/** A value as text of a statement, for a session with backslash escapes (asserted at connect). */
export function literal(value: Value): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') {
    if (!SPECIAL.test(value)) return `'${value}'`;
    return `'${value.replace(EACH_SPECIAL, (each) => (each === '\0' ? '\\0' : `\\${each}`))}'`;
  }
  if (value instanceof Uint8Array) {
    return `x'${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}'`;
  }
  return String(value);
}

/** Text that two keys share only when they are equal. */
export function keyText(key: Row): string {
  if (key.length === 1 && typeof key[0] === 'string') return key[0];
  let text = '';
  for (const value of key) {
    const part = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
    text += `${part.length}:${part},`;
  }
  return text;
}
