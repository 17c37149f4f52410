import { NotTheFormat } from '../../reconciler/audit/reader.ts';
import { heapOf } from '../../reconciler/audit/tables-digest.ts';
import type { TableName } from '../../reconciler/audit/tables-layout.ts';
import { cellsText, layoutOf } from '../../reconciler/audit/tables-layout.ts';
import { TableModel } from '../../reconciler/audit/tables.ts';
import type { TablesView } from './reader.ts';
import type { SetFeed } from './set-feed.ts';

export type RowDifference = {
  readonly kind: 'row missing' | 'row extra' | 'row changed';
  readonly table: string;
  /** Columns of the key with their values. */
  readonly key: string;
  readonly expected: string;
  readonly found: string;
};

type Rows = Map<string, readonly string[]>;

/**
 * The second look: rows of the heaps that differ, one against one. The journal and the tables are
 * read once more; only rows of these heaps are in memory.
 */
export async function compareRows(args: {
  feed: SetFeed;
  view: TablesView;
  heaps: ReadonlyMap<TableName, ReadonlySet<number>>;
}): Promise<RowDifference[]> {
  const { view, heaps } = args;
  const due = await rowsDue(args);
  const differences: RowDifference[] = [];
  for (const [table, wanted] of heaps) {
    const expected = due.get(table) ?? new Map<string, readonly string[]>();
    if (!view.names.includes(table)) continue;
    for await (const rows of view.rows(table)) {
      for (const row of rows) {
        const cells = cellsText(table, row);
        if (wanted.has(heapOf(table, cells))) compare({ table, cells, expected, differences });
      }
    }
    for (const cells of expected.values()) {
      const key = keyText(table, cells);
      const words = rowText(table, cells);
      differences.push({ kind: 'row missing', table, key, expected: words, found: 'no row' });
    }
  }
  return differences;
}

async function rowsDue(args: {
  feed: SetFeed;
  view: TablesView;
  heaps: ReadonlyMap<TableName, ReadonlySet<number>>;
}): Promise<Map<TableName, Rows>> {
  const { feed, view, heaps } = args;
  const due = new Map<TableName, Rows>();
  const keep = (table: TableName, cells: readonly string[]): void => {
    if (heaps.get(table)?.has(heapOf(table, cells)) !== true) return;
    let rows = due.get(table);
    if (rows === undefined) due.set(table, (rows = new Map()));
    rows.set(keyText(table, cells), cells);
  };
  const model = new TableModel(({ table, row }) => keep(table, cellsText(table, row)));
  for (;;) {
    const entry = feed.peek();
    if (entry === 'load') {
      await feed.load();
      continue;
    }
    if (entry === null || entry.lsn > view.projectedLsn) break;
    feed.take();
    try {
      model.add(entry);
    } catch (error) {
      if (error instanceof NotTheFormat) break;
      throw error;
    }
  }
  for (const { table, row } of model.kept()) keep(table, cellsText(table, row));
  return due;
}

function compare(args: {
  table: TableName;
  cells: readonly string[];
  /** What was found is taken out of it. */
  expected: Rows;
  differences: RowDifference[];
}): void {
  const { table, cells, expected, differences } = args;
  const key = keyText(table, cells);
  const due = expected.get(key);
  expected.delete(key);
  if (due === undefined) {
    const found = rowText(table, cells);
    differences.push({ kind: 'row extra', table, key, expected: 'no row', found });
    return;
  }
  const columns = Object.keys(layoutOf(table).columns);
  const at = cells.findIndex((cell, index) => cell !== due[index]);
  if (at === -1) return;
  const column = columns[at] ?? '';
  const words = { expected: `${column} ${due[at]}`, found: `${column} ${cells[at]}` };
  differences.push({ kind: 'row changed', table, key, ...words });
}

function keyText(table: TableName, cells: readonly string[]): string {
  const { columns, keyColumns } = layoutOf(table);
  const names = Object.keys(columns).slice(0, keyColumns);
  return names.map((name, at) => `${name} ${cells[at]}`).join(', ');
}

function rowText(table: TableName, cells: readonly string[]): string {
  const names = Object.keys(layoutOf(table).columns);
  return names.map((name, at) => `${name} ${cells[at]}`).join(', ');
}
