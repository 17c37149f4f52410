/** What can happen to stored rows without anybody sealing them again: one damage each. */
import type { Random } from '../../lib/port/random.ts';
import type { DiskCell, DiskRow } from './damage-disk.ts';

/** Makes other rows of those of one table; null: this table has nothing to do it to. */
export type RowDamage = (rows: readonly DiskRow[], random: Random) => readonly DiskRow[] | null;

export type Damage = {
  readonly kind: string;
  /** A table of the replica's own, or `*` for any query table. */
  readonly table: string;
  /** On all replicas of the Set in the same way, so that comparing them shows nothing. */
  readonly everywhere: boolean;
  readonly damage: RowDamage;
};

const NUMBERS = [
  'epoch',
  'ts',
  'commit_lsn',
  'acked_0',
  'acked_1',
  'acked_2',
  'fmt',
  'n_ops',
  'set_id',
] as const;
const MONEY = ['money_wallets', 'money_packets', 'money_clearing', 'money_issuer'] as const;
const BYTES = ['payload', 'leader_id', 'prev', 'sum'] as const;

function journalDamages(): Omit<Damage, 'everywhere' | 'table'>[] {
  const kinds: Omit<Damage, 'everywhere' | 'table'>[] = [];
  for (const column of NUMBERS) {
    kinds.push({ kind: `journal: ${column} one off`, damage: onOne(isEntry, bumped(column)) });
  }
  for (const column of MONEY) {
    kinds.push({ kind: `journal: a cent in ${column}`, damage: onOne(isEntry, bumped(column)) });
  }
  for (const column of BYTES) {
    kinds.push({ kind: `journal: a bit of ${column}`, damage: onOne(isEntry, flipped(column)) });
  }
  return [
    ...kinds,
    { kind: 'journal: another kind', damage: onOne(isEntry, otherKind) },
    { kind: 'journal: a hole', damage: hole },
    { kind: 'journal: an entry once more at the end', damage: onceMore },
    { kind: 'journal: an entry of its neighbour', damage: copied },
    { kind: 'journal: two entries swapped', damage: swapped },
    { kind: 'journal: bytes cut off', damage: onOne(isEntry, cut) },
    { kind: 'journal: the row below the first', damage: onOne(isAnchor, flipped('sum')) },
  ];
}

function tableDamages(): Omit<Damage, 'everywhere'>[] {
  const kinds: Omit<Damage, 'everywhere'>[] = [];
  const tables = [
    'red_packet',
    'red_packet_record',
    'chat_group',
    'group_member',
    'message',
    'ledger_entry',
    'wallet_day',
    'command_answer',
    'user_group',
    'payment',
  ];
  for (const table of tables) {
    kinds.push(
      { kind: `${table}: a cell`, table: `*${table}`, damage: onOne(isAny, anyCell) },
      { kind: `${table}: a row missing`, table: `*${table}`, damage: missing },
      { kind: `${table}: a row too many`, table: `*${table}`, damage: extra },
    );
  }
  for (const table of [
    'red_packet',
    'red_packet_record',
    'ledger_entry',
    'wallet_day',
    'payment',
  ]) {
    kinds.push({ kind: `${table}: a cent`, table: `*${table}`, damage: onOne(isAny, aCent) });
  }
  kinds.push({
    kind: 'ledger_entry: two rows changed places',
    table: '*ledger_entry',
    damage: crossed,
  });
  return kinds;
}

const OTHERS: readonly Omit<Damage, 'everywhere'>[] = [
  {
    kind: 'projection: it says more',
    table: 'projection_state',
    damage: onOne(isAny, ahead('projected_lsn')),
  },
  {
    kind: 'commit point: it says more',
    table: 'commit_point',
    damage: onOne(isAny, ahead('commit_lsn')),
  },
  {
    kind: 'replica: of another cluster',
    table: 'replica_state',
    damage: onOne(isAny, flipped('cluster_id')),
  },
  { kind: 'snapshot: a bit of a chunk', table: 'snapshot', damage: onOne(isAny, flipped('bytes')) },
  { kind: 'snapshot: a chunk missing', table: 'snapshot', damage: missing },
  {
    kind: 'snapshot: a bit of the manifest',
    table: 'snapshot_manifest',
    damage: onOne(isAny, sealFlipped),
  },
  {
    kind: 'snapshot: chunks miscounted',
    table: 'snapshot_manifest',
    damage: onOne(isAny, bumped('chunks')),
  },
];

/** Every kind once on one replica; those of journals and tables also on all of them alike. */
export const DAMAGES: readonly Damage[] = [
  ...[true, false].flatMap((everywhere) => [
    ...journalDamages().map((each) => ({ ...each, table: 'journal', everywhere })),
    ...tableDamages().map((each) => ({ ...each, everywhere })),
  ]),
  ...OTHERS.map((each) => ({ ...each, everywhere: false })),
];

type RowChange = (row: DiskRow, random: Random) => DiskRow | null;

function onOne(is: (row: DiskRow) => boolean, change: RowChange): RowDamage {
  return (rows, random) => {
    const at = pick(rows, is, random);
    const row = at === null ? undefined : rows[at];
    const made = row === undefined ? null : change(row, random);
    return made === null ? null : rows.map((each, index) => (index === at ? made : each));
  };
}

function isAny(): boolean {
  return true;
}

function isEntry(row: DiskRow): boolean {
  return Number(row['lsn']) > 0;
}

function isAnchor(row: DiskRow): boolean {
  return Number(row['lsn']) === 0;
}

function pick(
  rows: readonly DiskRow[],
  is: (row: DiskRow) => boolean,
  random: Random,
): number | null {
  const places = [...rows.keys()].filter((at) => is(rows[at] ?? {}));
  return places.length === 0 ? null : (places[random.below(places.length)] ?? null);
}

function bumped(column: string, by = 1n): RowChange {
  return (row) => ({ ...row, [column]: plus(row[column], by) });
}

function ahead(column: string): RowChange {
  return bumped(column, 7n);
}

/** As large as before, and of the same kind as the database gave it. */
function plus(cell: DiskCell | undefined, by: bigint): DiskCell {
  const sum =
    BigInt(typeof cell === 'number' || typeof cell === 'string' ? cell : (cell as bigint)) + by;
  return typeof cell === 'number' ? Number(sum) : typeof cell === 'string' ? String(sum) : sum;
}

function flipped(column: string): RowChange {
  return (row, random) => {
    const cell = row[column];
    if (!(cell instanceof Uint8Array) || cell.length === 0) return null;
    return { ...row, [column]: flip(cell, random) };
  };
}

/** Its first two bytes are a version that only who loads it can judge. */
function sealFlipped(row: DiskRow, random: Random): DiskRow | null {
  const cell = row['bytes'];
  if (!(cell instanceof Uint8Array)) return null;
  const rest = flip(cell.subarray(2), random);
  return { ...row, bytes: Buffer.concat([cell.subarray(0, 2), rest]) };
}

function flip(cell: Uint8Array, random: Random): Uint8Array {
  const bytes = new Uint8Array(cell);
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
}

function otherKind(row: DiskRow): DiskRow {
  return { ...row, kind: row['kind'] === 'OPS' ? 'SEAL' : 'OPS' };
}

function cut(row: DiskRow): DiskRow | null {
  const { payload } = row;
  if (!(payload instanceof Uint8Array) || payload.length === 0) return null;
  return { ...row, payload: payload.subarray(0, payload.length - 1) };
}

/** Not the last one: whether that was ever there nobody can tell from a replica that lags. */
function hole(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const last = rows.length - 1;
  const at = pick(rows.slice(0, last), isEntry, random);
  return at === null ? null : rows.filter((_, index) => index !== at);
}

function onceMore(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows, isEntry, random);
  const last = rows.at(-1);
  if (at === null || last === undefined) return null;
  return [...rows, { ...rows[at], lsn: plus(last['lsn'], 1n) }];
}

function copied(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows.slice(0, -1), isEntry, random);
  if (at === null) return null;
  const lsn = rows[at]?.['lsn'] ?? 0;
  return rows.map((row, index) => (index === at ? { ...rows[at + 1], lsn } : row));
}

function swapped(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows.slice(0, -1), isEntry, random);
  const [a, b] = at === null ? [] : [rows[at], rows[at + 1]];
  if (at === null || a === undefined || b === undefined) return null;
  const [lsnA, lsnB] = [a['lsn'] ?? 0, b['lsn'] ?? 0];
  return rows.map((row, index) =>
    index === at ? { ...b, lsn: lsnA } : index === at + 1 ? { ...a, lsn: lsnB } : row,
  );
}

function missing(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows, isAny, random);
  return at === null ? null : rows.filter((_, index) => index !== at);
}

/** A copy of a row with another key: the database takes no key twice. */
function extra(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows, isAny, random);
  const row = at === null ? undefined : rows[at];
  if (row === undefined) return null;
  const [key = ''] = Object.keys(row);
  return [...rows, { ...row, [key]: changed(row[key] ?? null, random) }];
}

function anyCell(row: DiskRow, random: Random): DiskRow | null {
  const columns = Object.keys(row);
  const column = columns[random.below(columns.length)] ?? '';
  return { ...row, [column]: changed(row[column] ?? null, random) };
}

function aCent(row: DiskRow, random: Random): DiskRow | null {
  const columns = Object.keys(row).filter((column) => column.endsWith('_cents'));
  const column = columns[random.below(columns.length)] ?? '';
  return bumped(column, random.below(2) === 0 ? 1n : -1n)(row, random);
}

function changed(cell: DiskCell, random: Random): DiskCell {
  if (cell instanceof Uint8Array) {
    return cell.length === 0 ? new Uint8Array([65]) : flipText(cell, random);
  }
  if (typeof cell === 'string' && !/^-?\d{1,20}$/.test(cell)) {
    const at = random.below(cell.length + 1);
    return `${cell.slice(0, at)}~${cell.slice(at)}`;
  }
  return cell === null ? null : plus(cell, 1n);
}

/** The lowest bit of one byte. */
function flipText(cell: Uint8Array, random: Random): Uint8Array {
  const bytes = new Uint8Array(cell);
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

/** Amounts of two lines of statements: every sum stays what it was. */
function crossed(rows: readonly DiskRow[], random: Random): DiskRow[] | null {
  const at = pick(rows, isAny, random);
  const a = at === null ? undefined : rows[at];
  if (a === undefined) return null;
  const other = pick(rows, (row) => row['amount_cents'] !== a['amount_cents'], random);
  const b = other === null ? undefined : rows[other];
  if (b === undefined) return null;
  const [x, y] = [a['amount_cents'] ?? 0, b['amount_cents'] ?? 0];
  return rows.map((row, index) =>
    index === at
      ? { ...row, amount_cents: y }
      : index === other
        ? { ...row, amount_cents: x }
        : row,
  );
}
