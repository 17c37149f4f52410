import type { Entry } from '../core/journal-entry.ts';
import type { Epoch, Lsn } from '../core/units.ts';

/**
 * One replica of one Set: passive, independent of its siblings (SPEC section RS, replication.md).
 * Every method is one transaction. A rejected promise is a {@link StoreError}: `unavailable` did
 * nothing for certain, `unknown` may have been done (P8). Over a network every call has a deadline
 * (append, fenceRow, beat, probe 1 s; takeOver 2 s; the others 10 s): late is `unknown` for a write
 * and `unavailable` for a read, and the connection is thrown away.
 */
export interface ReplicaStore {
  /** [RS1] Makes the rows of a new replica; never touches an existing one. */
  bootstrap(args: Bootstrap): Promise<Bootstrapped>;
  /** [RS2] P2: fences and reports in one transaction. */
  takeOver(args: { epoch: Epoch; owner: Uint8Array }): Promise<TakeOverReply>;
  /** [RS3] P6: in LSN order; the answer tells how far. `entries` is not empty and contiguous. */
  append(args: { fence: Fence; entries: readonly Entry[] }): Promise<AppendReply>;
  /**
   * [RS4] P4: under the fence, moves every row above `after` to the discarded ones, and only while
   * the journal ends with `head`: one that lands late finds another head and is a `mismatch`.
   */
  truncate(args: {
    fence: Fence;
    after: Lsn;
    head: Place;
  }): Promise<'done' | 'fenced' | 'mismatch'>;
  /** [RS5] Entries above `after` in order, at most `limitBytes` of payload but at least one if there is one. */
  read(args: { after: Lsn; limitBytes: number }): Promise<Entry[]>;
  /** [RS6] Strong reads and tripwires: the fence row as it is, now. */
  fenceRow(): Promise<FenceRow | null>;
  /**
   * [RS7] P9 (1): records under the fence that `replica` has a new incarnation. `proved`: only while
   * this replica's own alive row carries its incarnation, else `no_vote` and nothing is recorded.
   */
  recordIncarnation(args: {
    fence: Fence;
    replica: number;
    incarnation: number;
    proved: boolean;
  }): Promise<'done' | 'fenced' | 'no_vote'>;
  /**
   * [RS26] Under the fence, takes the proof of life away: the replica is in doubt, as after a
   * restart. It never gives a vote, so a late one costs a re-admission and nothing else.
   */
  unprove(args: { fence: Fence }): Promise<'done' | 'fenced'>;
  /**
   * [RS8] P9 (2): the journal of a replica without a vote, replaced above `after`. The replica
   * remembers (epoch, owner, incarnation) of the newest re-admission, so that a late call never
   * overtakes a newer one (`fenced`). `has_vote`: the alive row proves one. `mismatch`: the entry
   * at `after` is not the one that `entries[0]` chains to; nothing was changed. A call that failed
   * or timed out is never resent: the leader takes a new incarnation.
   */
  restore(args: {
    epoch: Epoch;
    owner: Uint8Array;
    incarnation: number;
    after: Lsn;
    entries: readonly Entry[];
  }): Promise<'done' | 'fenced' | 'has_vote' | 'mismatch'>;
  /**
   * [RS9] P9 (3): the row, then the alive row on the same connection, never resent. `fenced` below
   * the remembered re-admission; `mismatch` unless the journal ends with `head`.
   */
  admit(args: {
    epoch: Epoch;
    owner: Uint8Array;
    incarnation: number;
    incarnations: readonly number[];
    clusterId: Uint8Array;
    replicaId: number;
    head: Place;
  }): Promise<'done' | 'fenced' | 'mismatch'>;
  /** [RS10] Lazily written; never falls. Changes nothing unless the journal has this very entry. */
  setCommit(at: Place): Promise<void>;
  commitLsn(): Promise<Lsn>;
  /** [RS11] The leader's sign of life. */
  beat(epoch: Epoch): Promise<void>;
  /** [RS11] Where the newest beat is of this epoch: it is the last, its leader left on purpose. */
  resign(epoch: Epoch): Promise<void>;
  /** `n` is 0 when nobody ever beat, and when whose epoch it is has left. */
  readBeat(): Promise<{ epoch: number; n: number }>;
  /** [RS12] Projects committed entries up to `to` into the tables, with `projected_lsn`, in one transaction. */
  project(to: Lsn): Promise<Lsn>;
  projectedLsn(): Promise<Lsn>;
  /** [RS13] Rows of one projection table by a prefix of its key or of an index, with the LSN they show. */
  scan(query: Scan): Promise<ScanReply>;
  /** [RS14] A snapshot is its chunks and then its manifest; only whole ones are seen. */
  writeSnapshot(args: {
    lsn: Lsn;
    chunks: readonly Uint8Array[];
    manifest: Uint8Array;
  }): Promise<void>;
  readSnapshot(): Promise<{ lsn: Lsn; chunks: Uint8Array[]; manifest: Uint8Array } | null>;
  /** [RS19] What the server is: its own clock (rulings 7), and which disk it writes to. */
  probe(): Promise<Probe>;
  close(): Promise<void>;
}

export type Bootstrap = {
  clusterId: Uint8Array;
  replicaId: number;
  replicas: number;
  /**
   * Asked where a new replica's rows are made, on the connection that makes them: has still nobody
   * led? false: `late`, and nothing is made. A disk that was lost meanwhile came after it.
   */
  stillNew?: () => Promise<boolean>;
};

export type Bootstrapped = 'made' | 'exists' | 'foreign_cluster' | 'late';

/** What a write must find on the replica: P6. */
export type Fence = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  readonly incarnation: number;
};

export type FenceRow = {
  readonly fenceEpoch: Epoch;
  readonly fenceOwner: Uint8Array;
  readonly incarnation: number;
  /** The alive row carries this incarnation: the server has not been away (P3b). */
  readonly proved: boolean;
};

/** One entry by its place and checksum; LSN 0 with a zero sum below the first. */
export type Place = { readonly lsn: Lsn; readonly sum: Uint8Array };

export type Head = Place & { readonly epoch: Epoch };

export type Probe = {
  /** Milliseconds since 1970 by the replica's own clock. */
  readonly clockMs: number;
  /** Equal only for replicas that live on one data directory, which are one replica (rulings 6). */
  readonly dataDirectory: string;
};

export type TakeOverReply =
  | {
      kind: 'promised';
      incarnation: number;
      proved: boolean;
      /** Newest incarnation that this replica knows of each (cfg). */
      incarnations: readonly number[];
      commitLsn: Lsn;
      projectedLsn: Lsn;
      /** LSN 0 with a zero sum when the journal is empty. */
      head: Head;
      /** Newest epoch that took entries away here (truncate, restore); 0 when none ever did. */
      discardedBy: number;
    }
  | { kind: 'refused'; fenceEpoch: Epoch }
  /** P0: no row, no vote. */
  | { kind: 'no_row' };

export type AppendReply =
  /** Every entry is there, byte for byte. */
  | { kind: 'acked'; lsn: Lsn }
  | { kind: 'fenced'; fenceEpoch: Epoch }
  /** No row, another incarnation, or no alive row. */
  | { kind: 'no_vote' }
  /** The entry before is not there, or another one is: the head tells which. */
  | { kind: 'mismatch'; head: Head };

export type StoreErrorCode = 'unavailable' | 'unknown' | 'corrupt' | 'rejected';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

// ---- projection tables as data: adapters make them, the projector fills them, scans read them

export type ColumnType = 'id' | 'u64' | 'cents' | 'text' | 'user' | 'blob' | 'flag';
/** id: bigint · u64, cents, flag: number · text, user: string · blob: bytes. */
export type Value = bigint | number | string | Uint8Array | null;

export type Table = {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Column names of the primary key, in order. */
  readonly key: readonly string[];
  /** Further indexes: name → columns in order. */
  readonly indexes?: Readonly<Record<string, { columns: readonly string[]; unique: boolean }>>;
};

/** Values in the order of the table's columns. */
export type Row = readonly Value[];

export type Change =
  | { kind: 'put'; table: string; row: Row }
  /** Sets columns of the row with this key; a missing row stays missing. */
  | { kind: 'set'; table: string; key: Row; values: Readonly<Record<string, Value>> }
  /** Adds to numeric columns of the row with this key; the row is made with zeros when missing. */
  | { kind: 'add'; table: string; key: Row; deltas: Readonly<Record<string, number>> };

/** Pure: the changes of committed entries, in order. Bound where stores are made. */
export type Projector = (entries: readonly Entry[]) => Change[];

export type Schema = { readonly tables: readonly Table[]; readonly project: Projector };

export type Scan = {
  readonly table: string;
  /** Index name; the primary key when absent. */
  readonly index?: string;
  /** Equal values of the first columns of the key or index. */
  readonly prefix: Row;
  /** Bounds on the next column, inclusive. */
  readonly from?: Value;
  readonly to?: Value;
  readonly reverse?: boolean;
  readonly limit: number;
};

export type ScanReply = { readonly asOfLsn: Lsn; readonly rows: Row[] };
