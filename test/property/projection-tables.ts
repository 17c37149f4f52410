/** A table store in twenty lines: what any database must make of the projector's changes. */
import type { Change, Row, Value } from '../../lib/port/replica-store.ts';
import { TABLES } from '../../set-node/read/tables.ts';

type Named = Record<string, Value>;

export class DumbTables {
  readonly #rows = new Map<string, Named>();

  apply(change: Change): void {
    const table = TABLES.find(({ name }) => name === change.table);
    if (table === undefined) throw new Error(`no table ${change.table}`);
    const columns = Object.keys(table.columns);
    const name = (key: Row): string => `${table.name} ${key.map(String).join('\u0000')}`;
    if (change.kind === 'put') {
      const row = Object.fromEntries(columns.map((column, at) => [column, change.row[at] ?? null]));
      this.#rows.set(name(table.key.map((column) => row[column] ?? null)), row);
      return;
    }
    const made = change.kind === 'add' && table.name === 'wallet_day';
    if (made && !this.#rows.has(name(change.key))) {
      const zeros = Object.entries(table.columns).map(([column]) => [column, 0]);
      const keys = table.key.map((column, at) => [column, change.key[at] ?? null]);
      this.#rows.set(name(change.key), Object.fromEntries([...zeros, ...keys]));
    }
    const row = this.#rows.get(name(change.key));
    if (row === undefined) throw new Error(`${change.kind} of a row that is not there`);
    if (change.kind === 'set') Object.assign(row, change.values);
    else {
      for (const [column, delta] of Object.entries(change.deltas)) {
        row[column] = Number(row[column]) + delta;
      }
    }
  }

  all(table: (typeof TABLES)[number]['name']): Named[] {
    return [...this.#rows].filter(([name]) => name.startsWith(`${table} `)).map(([, row]) => row);
  }
}
