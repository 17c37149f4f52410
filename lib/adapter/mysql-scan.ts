import { assert } from '../core/assert.ts';
import type { SetId } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import type { ColumnType, Row, Scan, ScanReply, Table, Value } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { numberOf } from './mysql-fence.ts';
import type { MysqlSession, SqlCells, SqlValue } from './mysql-session.ts';
import { list, tablesSum } from './mysql-tables.ts';
import { assertScan, scanOrder, tableOf } from './replica-arguments.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads of the projection tables of one replica in a MySQL database. */
export class MysqlScanner {
  readonly #set: SetId;
  readonly #tables: readonly Table[];
  readonly #sum: Uint8Array;

  constructor(set: SetId, tables: readonly Table[]) {
    this.#set = set;
    this.#tables = tables;
    this.#sum = tablesSum(tables);
  }

  /** Rows and the LSN they show, of one moment ([RS13]). */
  async scan(session: MysqlSession, scan: Scan): Promise<ScanReply> {
    const table = tableOf(this.#tables, scan.table);
    assertScan(table, scan);
    const bounds = [scan.from, scan.to].filter((bound) => bound !== undefined);
    const values = [...scan.prefix, ...bounds].map(sqlValue);
    return session.snapshot(async () => {
      const [state] = await session.select(
        'SELECT projected_lsn AS at, tables_sum = ? AS same FROM projection_state WHERE set_id = ?',
        [this.#sum, this.#set],
      );
      if (state?.['same'] !== 1) {
        throw new StoreError('unavailable', 'the tables are being made, or are of another version');
      }
      const rows = await session.selectCells(scanSql(table, scan), [...values, scan.limit]);
      const types = Object.values(table.columns);
      return {
        asOfLsn: lsn(numberOf(state['at'])),
        rows: rows.map((row) => fromSql(types, row)),
      };
    });
  }
}

function scanSql(table: Table, scan: Scan): string {
  const order = scanOrder(table, scan.index);
  const bounded = order[scan.prefix.length] ?? '';
  // Null-safe: a null in the prefix finds nulls.
  const where = scan.prefix.map((_, at) => `\`${order[at] ?? ''}\` <=> ?`);
  if (scan.from !== undefined) where.push(`\`${bounded}\` >= ?`);
  if (scan.to !== undefined) where.push(`\`${bounded}\` <= ?`);
  const direction = scan.reverse === true ? 'DESC' : 'ASC';
  return `SELECT ${list(Object.keys(table.columns))} FROM \`${table.name}\`
    ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
    ORDER BY ${order.map((column) => `\`${column}\` ${direction}`).join(', ')} LIMIT ?`;
}

/** Text as its bytes, which is what its columns hold. */
function sqlValue(value: Value): SqlValue {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** Values of columns of these types, exactly as they were written. */
export function fromSql(types: readonly ColumnType[], row: SqlCells): Row {
  return types.map((type, at): Value => {
    const value = row[at];
    assert(value !== undefined, 'a row has all columns');
    if (value === null) return null;
    // A number where it is safe, else text: nothing was rounded.
    if (type === 'id') return BigInt(value as number | string);
    if (!(value instanceof Uint8Array)) return numberOf(value);
    return type === 'blob' ? new Uint8Array(value) : decoder.decode(value);
  });
}
