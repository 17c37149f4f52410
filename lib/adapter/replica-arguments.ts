import { assert, unreachable } from '../core/assert.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { OWNER_BYTES, SUM_BYTES, ZERO_SUM } from '../core/journal-entry.ts';
import type { Epoch } from '../core/units.ts';
import type { ColumnType, Place, Row, Scan, Table, Value } from '../port/replica-store.ts';

const ID_MAX = 2n ** 63n - 1n;
/** Rows of one scan: bounds the memory of an answer. */
const SCAN_ROWS_MAX = 10_000;
/** Entries of one read: bounds an answer of empty payloads. */
export const READ_ENTRIES_MAX = 16_384;

/** What every adapter asserts of entries before it stores one: a bug of the caller, not a race. */
export function assertEntries(args: {
  setId: number;
  after: number;
  epoch: number;
  entries: readonly Entry[];
}): void {
  const { setId, after, epoch, entries } = args;
  let prev: Entry | null = null;
  for (const entry of entries) {
    assert(entry.setId === setId, 'an entry is of the Set of the store');
    assert(entry.lsn === (prev === null ? after : prev.lsn) + 1, 'entries are contiguous');
    assert(entry.lsn >= 1, 'entries count from 1');
    assert(entry.epoch <= epoch, 'no entry is of an epoch above its writer');
    assert(entry.leaderId.length === OWNER_BYTES, 'a leader id has 16 bytes');
    assert(entry.prev.length === SUM_BYTES && entry.sum.length === SUM_BYTES, 'a sum has 32 bytes');
    assert(prev === null || equalBytes(prev.sum, entry.prev), 'entries are chained');
    prev = entry;
  }
}

export function assertOwner(owner: Uint8Array): void {
  assert(owner.length === OWNER_BYTES, 'an owner value has 16 bytes');
}

export function assertPlace({ lsn, sum }: Place): void {
  assert(sum.length === SUM_BYTES, 'a sum has 32 bytes');
  assert(lsn > 0 || equalBytes(sum, ZERO_SUM), 'below the first entry the sum is zero');
}

/** Who re-admits, and with which incarnation; at the replica: the newest it has heard of. */
export type Readmission = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  readonly incarnation: number;
};

/** Replicas of one Set: 1 or 3 (rulings 13). */
const REPLICAS_MAX = 3;

/** The newest known of each replica; a Set that grows has more of them than before. */
export function withIncarnation(
  known: readonly number[],
  { replica, incarnation }: { replica: number; incarnation: number },
): number[] {
  assert(Number.isInteger(replica) && replica >= 0 && replica < REPLICAS_MAX, 'replica 0, 1 or 2');
  const length = Math.max(known.length, replica + 1);
  return Array.from({ length }, (_, at) =>
    Math.max(known[at] ?? 0, at === replica ? incarnation : 0),
  );
}

/** Is this re-admission the newest heard of, or newer? An epoch has one owner (P1). */
export function mayReadmit(by: Readmission, newest: Readmission | null): boolean {
  if (newest === null || by.epoch > newest.epoch) return true;
  if (by.epoch < newest.epoch || !equalBytes(by.owner, newest.owner)) return false;
  return by.incarnation >= newest.incarnation;
}

/**
 * May `by` re-admit a replica with this row? A fence never falls, an epoch has one owner, and an
 * incarnation is admitted once: a late call of it finds itself there.
 */
export function mayFollow(
  by: Readmission,
  row: { fenceEpoch: Epoch; fenceOwner: Uint8Array; incarnation: number },
): boolean {
  if (row.incarnation >= by.incarnation || row.fenceEpoch > by.epoch) return false;
  return row.fenceEpoch < by.epoch || equalBytes(row.fenceOwner, by.owner);
}

export function tableOf(tables: readonly Table[], name: string): Table {
  const table = tables.find((each) => each.name === name);
  assert(table !== undefined, `there is a projection table ${name}`);
  return table;
}

/** Columns that a scan orders by: those of the key or index, then the rest of the key. */
export function scanOrder(table: Table, index: string | undefined): readonly string[] {
  if (index === undefined) return table.key;
  const found = table.indexes?.[index];
  assert(found !== undefined, `table ${table.name} has an index ${index}`);
  return [...found.columns, ...table.key.filter((column) => !found.columns.includes(column))];
}

export function assertScan(table: Table, scan: Scan): void {
  const order = scanOrder(table, scan.index);
  const bounded = scan.from !== undefined || scan.to !== undefined;
  assert(
    scan.prefix.length + (bounded ? 1 : 0) <= order.length,
    'a prefix and its bounds fit the key or index',
  );
  assert(scan.from !== null && scan.to !== null, 'bounds are values');
  assert(
    Number.isInteger(scan.limit) && scan.limit >= 1 && scan.limit <= SCAN_ROWS_MAX,
    'a scan asks for 1 .. 10,000 rows',
  );
  scan.prefix.forEach((value, at) => assertValue(columnType(table, order[at]), value));
  for (const bound of [scan.from, scan.to]) {
    if (bound !== undefined) assertValue(columnType(table, order[scan.prefix.length]), bound);
  }
}

/** The projector's values are what their columns say; null is allowed outside the key. */
export function assertRow(table: Table, row: Row): void {
  const columns = Object.entries(table.columns);
  assert(row.length === columns.length, `a row of ${table.name} has all columns`);
  columns.forEach(([column, type], at) => {
    const value = row[at];
    assert(value !== undefined, 'a row has no holes');
    assert(value !== null || !table.key.includes(column), 'a key has no null');
    assertValue(type, value);
  });
}

export function assertKey(table: Table, key: Row): void {
  assert(key.length === table.key.length, `a key of ${table.name} has all columns`);
  table.key.forEach((column, at) => {
    const value = key[at];
    assert(value !== undefined && value !== null, 'a key has no null');
    assertValue(columnType(table, column), value);
  });
}

export function columnType(table: Table, column: string | undefined): ColumnType {
  const type = column === undefined ? undefined : table.columns[column];
  assert(type !== undefined, `table ${table.name} has a column ${column ?? '?'}`);
  return type;
}

export function isNumeric(type: ColumnType): boolean {
  return type === 'u64' || type === 'cents' || type === 'flag';
}

export function assertValue(type: ColumnType, value: Value): void {
  if (value === null) return;
  switch (type) {
    case 'id':
      assert(typeof value === 'bigint' && value >= 0n && value <= ID_MAX, 'an id has 63 bits');
      break;
    case 'u64':
      assert(Number.isSafeInteger(value) && Number(value) >= 0, 'u64 is a safe integer from 0');
      break;
    case 'cents':
      assert(Number.isSafeInteger(value), 'cents are safe integers');
      break;
    case 'flag':
      assert(value === 0 || value === 1, 'a flag is 0 or 1');
      break;
    case 'text':
    case 'user':
      assert(typeof value === 'string', 'text is a string');
      break;
    case 'blob':
      assert(value instanceof Uint8Array, 'a blob is bytes');
      break;
    default:
      unreachable(type);
  }
}
