import type { Row, Value } from '../../lib/port/replica-store.ts';
import { Violation } from './violation.ts';
import type { SetBooks } from './set-books.ts';

/** All rows of the projection tables of one replica, in any order, and the LSN that they show. */
export type TableDump = {
  /** For messages: `Set 1, replica 2`. */
  readonly where: string;
  readonly projectedLsn: number;
  /** By name of table: its columns in order, and its rows. */
  readonly tables: ReadonlyMap<
    string,
    { readonly columns: readonly string[]; readonly rows: readonly Row[] }
  >;
};

/** I11: replicas whose tables show the same LSN have the same rows. Throws a Violation. */
export function holdEqualTables(a: TableDump, b: TableDump): void {
  if (a.projectedLsn !== b.projectedLsn) return;
  const both = `${a.where} and ${b.where} at LSN ${a.projectedLsn}`;
  for (const name of new Set([...a.tables.keys(), ...b.tables.keys()])) {
    const left = sortedRows(a.tables.get(name)?.rows ?? []);
    const right = sortedRows(b.tables.get(name)?.rows ?? []);
    const at = left.findIndex((row, index) => row !== right[index]);
    if (at === -1 && left.length === right.length) continue;
    const first = at === -1 ? left.length : at;
    const rows = `${left[first] ?? 'no row'} and ${right[first] ?? 'no row'}`;
    throw new Violation(`I11 ${both}: table ${name} has ${rows}`);
  }
}

/**
 * I11: what the statement table adds up to for everybody is what the journal gave him, up to the
 * LSN that the tables show. The books must have come that far. Throws a Violation.
 */
export function holdWallets(dump: TableDump, books: SetBooks): void {
  const { where, projectedLsn } = dump;
  if (books.lsn < projectedLsn) {
    throw new Violation(
      `I11 ${where}: tables show LSN ${projectedLsn}, committed are ${books.lsn}`,
    );
  }
  const ledger = dump.tables.get('ledger_entry') ?? { columns: [], rows: [] };
  const owner = ledger.columns.indexOf('owner');
  const amount = ledger.columns.indexOf('amount_cents');
  const sums = new Map<string, number>();
  for (const row of ledger.rows) {
    const user = String(row[owner]);
    sums.set(user, (sums.get(user) ?? 0) + Number(row[amount]));
  }
  for (const user of new Set([...books.ledger.wallets(), ...sums.keys()])) {
    const due = books.ledger.walletAt(user, projectedLsn);
    const sum = sums.get(user) ?? 0;
    if (sum === due) continue;
    const what = `the statement of ${user} adds up to ${sum}`;
    throw new Violation(`I11 ${where}: ${what}, at LSN ${projectedLsn} there are ${due}`);
  }
}

function sortedRows(rows: readonly Row[]): string[] {
  return rows.map((row) => row.map(textOf).join(' | ')).sort();
}

function textOf(value: Value): string {
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'string') return JSON.stringify(value);
  return String(value);
}
