import { ENTRY_KINDS, OWNER_BYTES, SUM_BYTES } from '../core/journal-entry.ts';
import type { Entry, EntryKind } from '../core/journal-entry.ts';
import { cents, epoch, lsn, setId, timeMs } from '../core/units.ts';
import { StoreError } from '../port/replica-store.ts';

/** Columns of `journal` and `journal_discarded`, in the order in which an entry is bound. */
export const JOURNAL_COLUMNS = [
  'lsn',
  'set_id',
  'epoch',
  'leader_id',
  'kind',
  'prev',
  'sum',
  'ts',
  'commit_lsn',
  'acked_0',
  'acked_1',
  'acked_2',
  'fmt',
  'n_ops',
  'money_wallets',
  'money_packets',
  'money_clearing',
  'money_issuer',
  'payload',
] as const;

type Cell = null | number | bigint | string | Uint8Array;
export type JournalRow = Readonly<Record<string, Cell>>;

export function toRow(e: Entry): (number | string | Uint8Array)[] {
  const m = e.money;
  return [
    e.lsn,
    e.setId,
    e.epoch,
    e.leaderId,
    e.kind,
    e.prev,
    e.sum,
    e.ts,
    e.commitLsn,
    ...e.acked,
    e.format,
    e.opCount,
    m.walletsCents,
    m.packetsCents,
    m.clearingCents,
    m.issuerCents,
    e.payload,
  ];
}

/** Checks types and lengths; checksums are for `unseal`. Throws StoreError `corrupt` with Set and LSN. */
export function fromRow(row: JournalRow): Entry {
  const bad = (column: string): StoreError =>
    new StoreError('corrupt', `Set ${cell(row['set_id'])}, LSN ${cell(row['lsn'])}: bad ${column}`);
  const count = (column: string): number => {
    const value = row[column];
    if (!Number.isSafeInteger(value) || Number(value) < 0) throw bad(column);
    return Number(value);
  };
  const amount = (column: string): number => {
    if (!Number.isSafeInteger(row[column])) throw bad(column);
    return Number(row[column]);
  };
  const bytes = (column: string, size: number | null): Uint8Array => {
    const value = row[column];
    if (!(value instanceof Uint8Array) || (size !== null && value.length !== size))
      throw bad(column);
    return value;
  };
  const set = count('set_id');
  if (set > 1023) throw bad('set_id');
  const format = count('fmt');
  if (format > 0xffff) throw bad('fmt');
  const opCount = count('n_ops');
  if (opCount > 0xffff_ffff) throw bad('n_ops');
  const kind = ENTRY_KINDS.find((each: EntryKind) => each === row['kind']);
  if (kind === undefined) throw bad('kind');
  return {
    setId: setId(set),
    lsn: lsn(count('lsn')),
    epoch: epoch(count('epoch')),
    leaderId: bytes('leader_id', OWNER_BYTES),
    kind,
    prev: bytes('prev', SUM_BYTES),
    sum: bytes('sum', SUM_BYTES),
    ts: timeMs(count('ts')),
    commitLsn: lsn(count('commit_lsn')),
    acked: [lsn(count('acked_0')), lsn(count('acked_1')), lsn(count('acked_2'))],
    format,
    opCount,
    money: {
      walletsCents: cents(amount('money_wallets')),
      packetsCents: cents(amount('money_packets')),
      clearingCents: cents(amount('money_clearing')),
      issuerCents: cents(amount('money_issuer')),
    },
    payload: bytes('payload', null),
  };
}

function cell(value: Cell | undefined): string {
  return typeof value === 'number' ? String(value) : '?';
}
