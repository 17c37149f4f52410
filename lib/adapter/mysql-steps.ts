import { assert, unreachable } from '../core/assert.ts';
import type { Change, Table, Value } from '../port/replica-store.ts';
import { literals } from './mysql-literal.ts';
import { fromSql } from './mysql-scan.ts';
import type { MysqlSession } from './mysql-session.ts';
import { list } from './mysql-tables.ts';
import { UniqueTableChanges } from './mysql-unique.ts';
import { TableFold, pieces, upserts } from './mysql-upsert.ts';
import { columnType, tableOf } from './replica-arguments.ts';

/** One key with the columns to set, where the row is there. */
export type SetRow = {
  /** The key as {@link literals}. */
  readonly text: string;
  readonly values: ReadonlyMap<string, Value>;
};

/** What a chunk does to one replica's tables, in order. `chars`: its share of memory, about. */
export type Step = { readonly chars: number } & (
  | { readonly kind: 'statement'; readonly sql: string }
  | { readonly kind: 'sets'; readonly table: Table; readonly sets: readonly SetRow[] }
  | { readonly kind: 'one_by_one'; readonly table: Table; readonly changes: readonly Change[] }
);

const SET_CHARS = 200;

/** Pure: changes as statements. Tables do not touch each other: only the order within each is kept. */
export function stepsOf(tables: readonly Table[], changes: readonly Change[]): Step[] {
  const folds = new Map<string, TableFold>();
  const plain = new Map<string, Change[]>();
  const steps: Step[] = [];
  let fold: TableFold | null = null;
  let name = '';
  for (const change of changes) {
    if (change.table !== name) {
      ({ name, fold } = { name: change.table, fold: folds.get(change.table) ?? null });
      if (fold === null && !plain.has(name)) {
        const table = tableOf(tables, name);
        if (hasUnique(table)) plain.set(name, []);
        else folds.set(name, (fold = new TableFold(table)));
      }
    }
    if (fold === null) plain.get(name)?.push(change);
    else if (!fold.take(change)) {
      steps.push(...fold.steps());
      assert(fold.take(change), 'an empty fold takes any change');
    }
  }
  for (const each of folds.values()) steps.push(...each.steps());
  for (const [table, some] of plain) {
    const chars = some.length * SET_CHARS;
    steps.push({ kind: 'one_by_one', table: tableOf(tables, table), changes: some, chars });
  }
  return steps;
}

/** Tables where one row can clash with another: changed one by one, so that the clash shows. */
function hasUnique(table: Table): boolean {
  return Object.values(table.indexes ?? {}).some((index) => index.unique);
}

/** In the transaction of the chunk. */
export async function runStep(session: MysqlSession, step: Step): Promise<void> {
  switch (step.kind) {
    case 'statement':
      await session.run(step.sql);
      return;
    case 'sets':
      return writeSets(session, step);
    case 'one_by_one': {
      const one = new UniqueTableChanges(session, step.table);
      for (const change of step.changes) await one.take(change);
      return one.flush();
    }
    default:
      unreachable(step);
  }
}

async function writeSets(
  session: MysqlSession,
  { table, sets }: { table: Table; sets: readonly SetRow[] },
): Promise<void> {
  const there = await keysThere(session, { table, keys: sets.map(({ text }) => text) });
  const groups = new Map<string, { columns: readonly string[]; rows: string[] }>();
  for (const { text, values } of sets) {
    // A missing row stays missing. Nobody else makes it meanwhile: who projects is alone.
    if (!there.has(text)) continue;
    const columns = [...values.keys()];
    const group = groups.get(columns.join()) ?? { columns, rows: [] };
    groups.set(columns.join(), group);
    group.rows.push(`(${text},${literals([...values.values()])})`);
  }
  for (const { columns, rows } of groups.values()) {
    for (const sql of upserts(table, { columns, rows, how: 'replace' })) await session.run(sql);
  }
}

async function keysThere(
  session: MysqlSession,
  { table, keys }: { table: Table; keys: readonly string[] },
): Promise<Set<string>> {
  const there = new Set<string>();
  const names = list(table.key);
  const types = table.key.map((column) => columnType(table, column));
  for (const some of pieces(keys)) {
    const tuples = some.map((key) => `(${key})`).join(',');
    const rows = await session.showCells(
      `SELECT ${names} FROM \`${table.name}\` WHERE (${names}) IN (${tuples})`,
    );
    for (const row of rows) there.add(literals(fromSql(types, row)));
  }
  return there;
}
