import { assert } from '../core/assert.ts';
import { DecodeError, equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { CorruptEntry, ZERO_SUM, encodeEntry, unseal } from '../core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../core/units.ts';
import { epoch, lsn } from '../core/units.ts';
import type {
  AppendReply,
  Bootstrap,
  Bootstrapped,
  Change,
  Fence,
  FenceRow,
  Head,
  Place,
  Probe,
  ReplicaStore,
  Row,
  Scan,
  ScanReply,
  Schema,
  TakeOverReply,
} from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import type { Discarded, Disk, Snapshot, StateRow } from './memory-disk.ts';
import { MemoryDisk, copyEntry, copySnapshot, newDisk } from './memory-disk.ts';
import type { MemoryTable } from './memory-table.ts';
import { sha256 } from './node-crypto.ts';
import type { Readmission } from './replica-arguments.ts';
import {
  READ_ENTRIES_MAX,
  assertEntries,
  assertOwner,
  assertPlace,
  mayFollow,
  mayReadmit,
  tableOf,
  withIncarnation,
} from './replica-arguments.ts';

let made = 0;

/**
 * One replica in memory, by the letter of replication.md, for tests and the simulator (SPEC section
 * RS). Disk and life are apart: {@link restart} loses the alive row and keeps the rest.
 */
export class MemoryReplica implements ReplicaStore {
  readonly #setId: SetId;
  readonly #schema: Schema;
  #disk: Disk;
  /** Incarnation in the alive row, or null: never part of the disk. */
  #alive: number | null = null;
  #closed = false;
  readonly #dataDirectory = `memory-${made++}`;

  readonly #now: () => number;

  constructor(setId: SetId, schema: Schema, now: () => number = Date.now) {
    this.#now = now;
    this.#setId = setId;
    this.#schema = schema;
    this.#disk = newDisk(this.#schema);
  }

  // ---- what a test may do besides

  /** The server stops and comes back, also after `close`. */
  restart(): void {
    this.#alive = null;
    this.#closed = false;
  }

  diskCopy(): MemoryDisk {
    return new MemoryDisk(this.#disk);
  }

  /** Somebody puts an old copy back while the server is down. */
  restoreDisk(copy: MemoryDisk): void {
    this.#disk = copy.take();
    this.restart();
  }

  /** A machine is set back with its memory: the server does not know that it was away. */
  revert(copy: MemoryDisk): void {
    this.#disk = copy.take();
    this.#alive = this.#disk.state?.incarnation ?? null;
  }

  /** The server comes back with a new, empty disk. */
  wipe(): void {
    this.#disk = newDisk(this.#schema);
    this.restart();
  }

  /** An operator deletes the row of replica_state while the server is down. */
  dropFenceRow(): void {
    this.#disk.state = null;
    this.restart();
  }

  /** One bit of a payload flips on the disk. */
  flipPayloadBit(at: number): void {
    const entry = this.#disk.journal[at - 1];
    assert(entry !== undefined && entry.payload.length > 0, 'there is a payload to flip');
    const payload = entry.payload.slice();
    payload[0] = (payload[0] ?? 0) ^ 1;
    this.#disk.journal[at - 1] = { ...entry, payload };
  }

  /** What a crash before the manifest leaves: nothing that anyone sees. */
  dropManifest(): void {
    this.#disk.snapshot = null;
  }

  /** All rows of a projection table, in no order. */
  rows(table: string): Row[] {
    return this.#table(table).rows();
  }

  discarded(): readonly Discarded[] {
    return this.#disk.discarded;
  }

  // ---- the port

  async bootstrap({ clusterId, replicaId, replicas, stillNew }: Bootstrap): Promise<Bootstrapped> {
    assert(replicaId >= 0 && replicaId < replicas, 'a replica is 0 .. replicas - 1');
    const { state, anchor } = this.#use();
    const isLate = state === null && !anchor && (await stillNew?.()) === false;
    const disk = this.#use();
    if (disk.state !== null) {
      const ours =
        equalBytes(disk.state.clusterId, clusterId) && disk.state.replicaId === replicaId;
      return ours ? 'exists' : 'foreign_cluster';
    }
    // P0: whatever is left of an earlier life must come back by P9, with a new incarnation.
    if (disk.anchor) return 'exists';
    if (isLate) return 'late';
    disk.anchor = true;
    disk.state = {
      clusterId: clusterId.slice(),
      replicaId,
      incarnation: 1,
      fenceEpoch: epoch(0),
      fenceOwner: new Uint8Array(16),
      incarnations: Array.from({ length: replicas }, () => 1),
    };
    this.#alive = 1;
    return 'made';
  }

  async takeOver(args: { epoch: Epoch; owner: Uint8Array }): Promise<TakeOverReply> {
    assertOwner(args.owner);
    const disk = this.#use();
    const { state } = disk;
    if (state === null) return { kind: 'no_row' };
    if (state.fenceEpoch >= args.epoch) return { kind: 'refused', fenceEpoch: state.fenceEpoch };
    disk.state = { ...state, fenceEpoch: args.epoch, fenceOwner: args.owner.slice() };
    return {
      kind: 'promised',
      incarnation: state.incarnation,
      proved: this.#alive === state.incarnation,
      incarnations: [...state.incarnations],
      commitLsn: disk.commit,
      projectedLsn: disk.projected,
      head: this.#head(),
      discardedBy: disk.discarded.at(-1)?.by ?? 0,
    };
  }

  async append(args: { fence: Fence; entries: readonly Entry[] }): Promise<AppendReply> {
    const { fence, entries } = args;
    const first = entries[0];
    assert(first !== undefined, 'an append has entries');
    assertOwner(fence.owner);
    assertEntries({ setId: this.#setId, after: first.lsn - 1, epoch: fence.epoch, entries });
    const { state, journal } = this.#use();
    if (state === null) return { kind: 'no_vote' };
    if (!holdsFence(state, fence)) return { kind: 'fenced', fenceEpoch: state.fenceEpoch };
    if (state.incarnation !== fence.incarnation || this.#alive !== state.incarnation) {
      return { kind: 'no_vote' };
    }
    let last = first.lsn;
    for (const entry of entries) {
      const before = this.#sumAt(entry.lsn - 1);
      const there = this.#sumAt(entry.lsn);
      const chained = before !== null && equalBytes(before, entry.prev);
      const other = there !== null && !equalBytes(there, entry.sum);
      if (!chained || other) return { kind: 'mismatch', head: this.#head() };
      if (there === null) journal.push(copyEntry(entry));
      last = entry.lsn;
    }
    return { kind: 'acked', lsn: last };
  }

  async truncate(args: {
    fence: Fence;
    after: Lsn;
    head: Place;
  }): Promise<'done' | 'fenced' | 'mismatch'> {
    assertPlace(args.head);
    const disk = this.#use();
    if (!this.#holds(args.fence)) return 'fenced';
    if (!this.#endsWith(args.head)) return 'mismatch';
    if (args.after < disk.commit) {
      throw new StoreError('rejected', `LSN ${args.after + 1}..${disk.commit} are committed`);
    }
    this.#discard(args.after, args.fence.epoch);
    return 'done';
  }

  async read(args: { after: Lsn; limitBytes: number }): Promise<Entry[]> {
    const entries: Entry[] = [];
    let size = 0;
    for (const entry of this.#use().journal.slice(args.after, args.after + READ_ENTRIES_MAX)) {
      size += entry.payload.length;
      if (entries.length > 0 && size > args.limitBytes) break;
      entries.push(copyEntry(entry));
    }
    return entries;
  }

  async fenceRow(): Promise<FenceRow | null> {
    const { state } = this.#use();
    if (state === null) return null;
    return {
      fenceEpoch: state.fenceEpoch,
      fenceOwner: state.fenceOwner.slice(),
      incarnation: state.incarnation,
      proved: this.#alive === state.incarnation,
    };
  }

  async recordIncarnation(args: {
    fence: Fence;
    replica: number;
    incarnation: number;
    proved: boolean;
  }): Promise<'done' | 'fenced' | 'no_vote'> {
    const disk = this.#use();
    const { state } = disk;
    if (state === null || !this.#holds(args.fence)) return 'fenced';
    if (args.proved && this.#alive !== state.incarnation) return 'no_vote';
    disk.state = { ...state, incarnations: withIncarnation(state.incarnations, args) };
    return 'done';
  }

  async unprove({ fence }: { fence: Fence }): Promise<'done' | 'fenced'> {
    this.#use();
    if (!this.#holds(fence)) return 'fenced';
    this.#alive = null;
    return 'done';
  }

  async restore(
    args: Readmission & { after: Lsn; entries: readonly Entry[] },
  ): Promise<'done' | 'fenced' | 'has_vote' | 'mismatch'> {
    assertOwner(args.owner);
    assertEntries({ ...args, setId: this.#setId });
    const disk = this.#use();
    if (disk.state !== null && this.#alive === disk.state.incarnation) return 'has_vote';
    if (!this.#mayReadmit(args)) return 'fenced';
    const before = args.after === 0 ? ZERO_SUM : this.#sumAt(args.after);
    const first = args.entries[0];
    if (first !== undefined && (before === null || !equalBytes(before, first.prev))) {
      return 'mismatch';
    }
    this.#remember(args);
    disk.anchor = true;
    // Rows that are already right stay where they are: a committed row is never discarded.
    let kept: number = args.after;
    for (const entry of args.entries) {
      const there = disk.journal[entry.lsn - 1];
      if (there === undefined || !equalBytes(encodeEntry(there), encodeEntry(entry))) break;
      kept = entry.lsn;
    }
    this.#discard(kept, args.epoch);
    for (const entry of args.entries) if (entry.lsn > kept) disk.journal.push(copyEntry(entry));
    return 'done';
  }

  async admit(
    args: Readmission & {
      incarnations: readonly number[];
      clusterId: Uint8Array;
      replicaId: number;
      head: Place;
    },
  ): Promise<'done' | 'fenced' | 'mismatch'> {
    assertOwner(args.owner);
    assertPlace(args.head);
    const disk = this.#use();
    const { state } = disk;
    if (state !== null) {
      if (!equalBytes(state.clusterId, args.clusterId) || state.replicaId !== args.replicaId) {
        throw new StoreError('rejected', 'the replica belongs to another cluster or place');
      }
    }
    if (!this.#mayReadmit(args)) return 'fenced';
    if (!this.#endsWith(args.head)) return 'mismatch';
    this.#remember(args);
    disk.anchor = true;
    disk.state = {
      clusterId: args.clusterId.slice(),
      replicaId: args.replicaId,
      incarnation: args.incarnation,
      fenceEpoch: args.epoch,
      fenceOwner: args.owner.slice(),
      incarnations: [...args.incarnations],
    };
    this.#alive = args.incarnation;
    return 'done';
  }

  async setCommit(at: Place): Promise<void> {
    assertPlace(at);
    const disk = this.#use();
    const there = this.#sumAt(at.lsn);
    if (at.lsn > disk.commit && there !== null && equalBytes(there, at.sum)) disk.commit = at.lsn;
  }

  async commitLsn(): Promise<Lsn> {
    return this.#use().commit;
  }

  async beat(at: Epoch): Promise<void> {
    const disk = this.#use();
    const { epoch: of, n } = disk.beat;
    if (of < at || (of === at && n > 0)) disk.beat = { epoch: at, n: n + 1 };
  }

  async resign(at: Epoch): Promise<void> {
    const disk = this.#use();
    if (disk.beat.epoch === at) disk.beat = { epoch: at, n: 0 };
  }

  async readBeat(): Promise<{ epoch: number; n: number }> {
    return this.#use().beat;
  }

  async project(to: Lsn): Promise<Lsn> {
    const disk = this.#use();
    const end = lsn(Math.max(disk.projected, Math.min(to, disk.commit)));
    const entries = disk.journal.slice(disk.projected, end);
    const until = lsn(disk.projected + entries.length);
    const touched = new Set<MemoryTable>();
    try {
      for (const change of this.#changes(entries)) {
        tableOf(this.#schema.tables, change.table);
        const table = this.#table(change.table);
        touched.add(table);
        table.apply(change);
      }
    } catch (error) {
      // One transaction: an error in the middle leaves the tables as they were.
      for (const table of touched) table.undo();
      throw error;
    }
    for (const table of touched) table.keep();
    disk.projected = until;
    // As far as there are entries, and never past a hole.
    if (until < end) {
      const text = `Set ${this.#setId}, LSN ${until + 1}: a committed row is missing`;
      throw new StoreError('corrupt', text);
    }
    return until;
  }

  async projectedLsn(): Promise<Lsn> {
    return this.#use().projected;
  }

  async scan(query: Scan): Promise<ScanReply> {
    const disk = this.#use();
    return { asOfLsn: disk.projected, rows: this.#table(query.table).scan(query) };
  }

  async writeSnapshot(args: {
    lsn: Lsn;
    chunks: readonly Uint8Array[];
    manifest: Uint8Array;
  }): Promise<void> {
    const disk = this.#use();
    if (disk.snapshot !== null && disk.snapshot.lsn >= args.lsn) return;
    disk.snapshot = copySnapshot({ ...args, chunks: [...args.chunks] });
  }

  async readSnapshot(): Promise<Snapshot | null> {
    const { snapshot } = this.#use();
    return snapshot === null ? null : copySnapshot(snapshot);
  }

  async probe(): Promise<Probe> {
    this.#use();
    return { clockMs: this.#now(), dataDirectory: this.#dataDirectory };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  // ---- inside

  #use(): Disk {
    if (this.#closed) throw new StoreError('unavailable', 'the replica is closed');
    return this.#disk;
  }

  #table(name: string): MemoryTable {
    const table = this.#disk.tables.get(name);
    assert(table !== undefined, `there is a projection table ${name}`);
    return table;
  }

  /** Entries are checked once more before people see them: a flipped byte never becomes a number. */
  #changes(entries: readonly Entry[]): Change[] {
    try {
      for (const entry of entries) {
        unseal({ entry, prev: this.#sumAt(entry.lsn - 1), hash: sha256 });
      }
      return this.#schema.project(entries);
    } catch (error) {
      if (!(error instanceof CorruptEntry || error instanceof DecodeError)) throw error;
      throw new StoreError('corrupt', error.message, { cause: error });
    }
  }

  #head(): Head {
    const last = this.#disk.journal.at(-1);
    if (last === undefined) return { lsn: lsn(0), epoch: epoch(0), sum: ZERO_SUM };
    return { lsn: last.lsn, epoch: last.epoch, sum: last.sum.slice() };
  }

  #sumAt(at: number): Uint8Array | null {
    if (at === 0) return this.#disk.anchor ? ZERO_SUM : null;
    return this.#disk.journal[at - 1]?.sum ?? null;
  }

  #endsWith(place: Place): boolean {
    const head = this.#head();
    return head.lsn === place.lsn && equalBytes(head.sum, place.sum);
  }

  #mayReadmit(by: Readmission): boolean {
    const { state, readmission } = this.#disk;
    return mayReadmit(by, readmission) && (state === null || mayFollow(by, state));
  }

  #remember({ epoch: at, owner, incarnation }: Readmission): void {
    this.#disk.readmission = { epoch: at, owner: owner.slice(), incarnation };
  }

  #holds(fence: Fence): boolean {
    const { state } = this.#disk;
    return state !== null && holdsFence(state, fence) && state.incarnation === fence.incarnation;
  }

  #discard(after: number, by: Epoch): void {
    const moved = this.#disk.journal.slice(after).map((entry) => ({ entry, by }));
    this.#disk.discarded = [...this.#disk.discarded, ...moved];
    this.#disk.journal = this.#disk.journal.slice(0, after);
  }
}

function holdsFence(state: StateRow, fence: Fence): boolean {
  return state.fenceEpoch === fence.epoch && equalBytes(state.fenceOwner, fence.owner);
}
