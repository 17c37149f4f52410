/** How the full audit reads a replica: by plain SQL, and with none of the program's own code for rows. */
import type { JournalRow } from '../../reconciler/audit/replicas.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { StoredSnapshot } from '../../reconciler/audit/replicas-snapshot.ts';
import type { TableName } from '../../reconciler/audit/tables-layout.ts';

/** What a replica says of itself. */
export type ReplicaState = {
  readonly headLsn: number;
  readonly commitLsn: number;
  /** In hex; '' without the row that makes it a replica. */
  readonly clusterId: string;
  /** Of its row; 0 without one. */
  readonly incarnation: number;
  /** Of the newest re-admission that it has heard of; above `incarnation` while one is under way. */
  readonly readmitting: number;
  /** The newest epoch that took entries away here. */
  readonly discardedBy: number;
};

/** A view of one moment: what it shows does not move on with the cluster. */
export type TablesView = {
  readonly projectedLsn: number;
  /** Names of the tables that this replica was made with. */
  readonly made: readonly string[];
  /** Names of those that are there. */
  readonly names: readonly string[];
  /** Pages of rows, columns in the order of the layout. Rejects when the table cannot be read. */
  rows(table: TableName): AsyncIterable<readonly (readonly unknown[])[]>;
  readonly snapshots: readonly StoredSnapshot[];
  close(): Promise<void>;
};

export type ReplicaReader = {
  /** For messages: `Set 1, replica 2`. */
  readonly where: string;
  /** From 0: its place in what entries say of acknowledgements. */
  readonly replica: number;
  state(): Promise<ReplicaState>;
  /** Rows above `after`, in order: about so many bytes of them, at least one if there is one. */
  journal(args: { after: number; bytes: number }): Promise<JournalRow[]>;
  /** What stands in the journal below its first entry or beside it: nothing else may. */
  strays(): Promise<readonly string[]>;
  /** Rows that a repair or a re-admission took out, in pages. */
  discarded(): AsyncIterable<readonly JournalRow[]>;
  view(): Promise<TablesView>;
  close(): Promise<void>;
};

export const JOURNAL_COLUMNS =
  'lsn, set_id, epoch, leader_id, kind, prev, sum, ts, commit_lsn, acked_0, acked_1, acked_2, ' +
  'fmt, n_ops, money_wallets, money_packets, money_clearing, money_issuer, payload';

type Row = Readonly<Record<string, unknown>>;

/** A stored row as an entry; what cannot be one says why. Numbers may come as bigint or text. */
export function journalRow(row: Row): JournalRow {
  const at = Number(row['lsn']);
  try {
    return { lsn: at, entry: entryOf(row), problem: '' };
  } catch (error) {
    if (!(error instanceof NotAnEntry)) throw error;
    return { lsn: at, entry: null, problem: error.message };
  }
}

class NotAnEntry extends Error {
  override readonly name = 'NotAnEntry';
}

function entryOf(row: Row): Entry {
  const whole = (column: string): number => {
    const value = Number(row[column]);
    if (!Number.isSafeInteger(value)) throw new NotAnEntry(`${column} is ${String(row[column])}`);
    return value;
  };
  const count = (column: string, max = Number.MAX_SAFE_INTEGER): number => {
    const value = whole(column);
    if (value < 0 || value > max) throw new NotAnEntry(`${column} is ${value}`);
    return value;
  };
  const bytes = (column: string, size: number | null): Uint8Array => {
    const value = row[column];
    if (!(value instanceof Uint8Array)) throw new NotAnEntry(`${column} is not bytes`);
    if (size !== null && value.length !== size) {
      throw new NotAnEntry(`${column} has ${value.length} bytes, not ${size}`);
    }
    return value;
  };
  return {
    setId: setId(count('set_id', 1_023)),
    lsn: lsn(count('lsn')),
    epoch: epoch(count('epoch')),
    leaderId: bytes('leader_id', 16),
    kind: kindOf(row['kind']),
    prev: bytes('prev', 32),
    sum: bytes('sum', 32),
    ts: timeMs(count('ts')),
    commitLsn: lsn(count('commit_lsn')),
    acked: [lsn(count('acked_0')), lsn(count('acked_1')), lsn(count('acked_2'))],
    format: count('fmt', 0xffff),
    opCount: count('n_ops', 0xffff_ffff),
    money: {
      walletsCents: cents(whole('money_wallets')),
      packetsCents: cents(whole('money_packets')),
      clearingCents: cents(whole('money_clearing')),
      issuerCents: cents(whole('money_issuer')),
    },
    payload: bytes('payload', null),
  };
}

function kindOf(value: unknown): Entry['kind'] {
  switch (value) {
    case 'OPS':
    case 'EPOCH_START':
    case 'CONFIG':
    case 'SEAL':
      return value;
    default:
      throw new NotAnEntry(`kind is ${String(value)}`);
  }
}

/** The one row below the first entry: LSN 0, all zeros. Returns what else it says. */
export function anchorProblem(row: Row | undefined): string | null {
  if (row === undefined) return 'the row below the first entry is gone';
  const read = journalRow(row);
  if (read.entry === null) return `the row below the first entry: ${read.problem}`;
  const { entry } = read;
  const zeros = [entry.epoch, entry.ts, entry.commitLsn, ...entry.acked, entry.format];
  const more = [entry.opCount, ...Object.values(entry.money), entry.payload.length];
  const bytes = Buffer.concat([entry.leaderId, entry.prev, entry.sum]);
  const isZero = [...zeros, ...more].every((value) => value === 0) && bytes.every((b) => b === 0);
  return isZero ? null : 'the row below the first entry is not empty';
}
