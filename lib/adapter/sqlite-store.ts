import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { assert } from '../core/assert.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { ZERO_SUM } from '../core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../core/units.ts';
import { epoch, lsn } from '../core/units.ts';
import type {
  AppendReply,
  Bootstrap,
  Fence,
  FenceRow,
  Head,
  TakeOverReply,
} from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS, fromRow, toRow } from './journal-row.ts';
import { READ_ENTRIES_MAX } from './replica-arguments.ts';
import { insertAnchor } from './sqlite-schema.ts';
import { inTransaction } from './sqlite-transaction.ts';
import { bindable } from './sqlite-value.ts';

const COLUMNS = JOURNAL_COLUMNS.join(', ');

/** The row of replica_state with what alive says of it. */
type Vote = FenceRow & {
  readonly clusterId: Uint8Array;
  readonly replicaId: number;
  readonly incarnations: readonly number[];
};

/**
 * Fence and journal of one replica in one SQLite file (replication.md, P2, P4, P6, P9). Synchronous:
 * it runs in the worker, which takes one call after the other.
 */
export class SqliteStore {
  readonly #db: DatabaseSync;
  readonly #set: SetId;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, set: SetId) {
    this.#db = db;
    this.#set = set;
  }

  bootstrap({ clusterId, replicaId, replicas }: Bootstrap): 'made' | 'exists' | 'foreign_cluster' {
    const found = inTransaction(this.#db, () => {
      const vote = this.#vote();
      if (vote !== null) {
        const ours = equalBytes(vote.clusterId, clusterId) && vote.replicaId === replicaId;
        return ours ? 'exists' : 'foreign_cluster';
      }
      // P0: whatever is left of an earlier life must come back by P9, with a new incarnation.
      if (this.#sql('SELECT 1 FROM journal LIMIT 1').get() !== undefined) return 'exists';
      insertAnchor(this.#db, this.#set);
      this.#sql('INSERT INTO replica_state VALUES (?, ?, ?, 1, 0, ?, ?)').run(
        this.#set,
        clusterId,
        replicaId,
        new Uint8Array(16),
        JSON.stringify(Array.from({ length: replicas }, () => 1)),
      );
      return 'made';
    });
    if (found === 'made') this.#becomeAlive(1);
    return found;
  }

  takeOver({ epoch: at, owner }: { epoch: Epoch; owner: Uint8Array }): TakeOverReply {
    return inTransaction(this.#db, (): TakeOverReply => {
      // P2: first the promise, then the report, so that nothing can be appended in between.
      const fenced = this.#sql(
        `UPDATE replica_state SET fence_epoch = ?, fence_owner = ?
         WHERE set_id = ? AND fence_epoch < ?`,
      ).run(at, owner, this.#set, at);
      const vote = this.#vote();
      if (vote === null) return { kind: 'no_row' };
      if (fenced.changes === 0) return { kind: 'refused', fenceEpoch: vote.fenceEpoch };
      return {
        kind: 'promised',
        incarnation: vote.incarnation,
        proved: vote.proved,
        incarnations: vote.incarnations,
        commitLsn: this.commitLsn(),
        projectedLsn: this.projectedLsn(),
        head: this.#head(),
      };
    });
  }

  append({ fence, entries }: { fence: Fence; entries: readonly Entry[] }): AppendReply {
    const only = entries.length === 1 ? entries[0] : undefined;
    // One statement needs no transaction around it: two calls into SQLite less on the hot path.
    if (only !== undefined && this.#insert(fence, only)) return { kind: 'acked', lsn: only.lsn };
    return inTransaction(this.#db, (): AppendReply => {
      for (const entry of entries) {
        if (this.#insert(fence, entry)) continue;
        const why = this.#whyNot(fence, entry);
        // What came before stays: the caller reads the head.
        if (why.kind !== 'acked') return why;
      }
      const last = entries.at(-1);
      assert(last !== undefined, 'an append has entries');
      return { kind: 'acked', lsn: last.lsn };
    });
  }

  /** P6, to the letter: the fence, the chain and the proof of life are conditions of the insert. */
  #insert(fence: Fence, entry: Entry): boolean {
    const done = this.#sql(
      `INSERT INTO journal (${COLUMNS})
       SELECT ${JOURNAL_COLUMNS.map(() => '?').join(', ')}
       FROM replica_state f JOIN journal p ON p.set_id = f.set_id AND p.lsn = ? AND p.sum = ?
       WHERE f.set_id = ? AND f.fence_epoch = ? AND f.fence_owner = ? AND f.incarnation = ?
         AND f.incarnation = (SELECT a.incarnation FROM alive.alive a WHERE a.set_id = f.set_id)
       ON CONFLICT (lsn) DO NOTHING`,
    ).run(
      ...toRow(entry).map(bindable),
      entry.lsn - 1,
      entry.prev,
      this.#set,
      fence.epoch,
      fence.owner,
      fence.incarnation,
    );
    return done.changes === 1;
  }

  /** Read in the transaction of the insert that changed nothing. */
  #whyNot(fence: Fence, entry: Entry): AppendReply {
    const vote = this.#vote();
    if (vote === null) return { kind: 'no_vote' };
    if (vote.fenceEpoch !== fence.epoch || !equalBytes(vote.fenceOwner, fence.owner)) {
      return { kind: 'fenced', fenceEpoch: vote.fenceEpoch };
    }
    if (vote.incarnation !== fence.incarnation || !vote.proved) return { kind: 'no_vote' };
    const before = this.#sumAt(entry.lsn - 1);
    const there = this.#sumAt(entry.lsn);
    const chained = before !== null && equalBytes(before, entry.prev);
    if (chained && there !== null && equalBytes(there, entry.sum)) {
      return { kind: 'acked', lsn: entry.lsn };
    }
    return { kind: 'mismatch', head: this.#head() };
  }

  truncate({ fence, after }: { fence: Fence; after: Lsn }): 'done' | 'fenced' {
    return inTransaction(this.#db, () => {
      if (!this.#holds(fence)) return 'fenced';
      const committed = this.commitLsn();
      if (after < committed) {
        throw new StoreError('rejected', `LSN ${after + 1}..${committed} are committed`);
      }
      this.#discard(after, fence.epoch);
      return 'done';
    });
  }

  #discard(after: number, by: number): void {
    this.#sql(
      `INSERT INTO journal_discarded (${COLUMNS}, discarded_by_epoch)
       SELECT ${COLUMNS}, ? FROM journal WHERE lsn > ? ORDER BY lsn`,
    ).run(by, after);
    this.#sql('DELETE FROM journal WHERE lsn > ?').run(after);
  }

  read({ after, limitBytes }: { after: Lsn; limitBytes: number }): Entry[] {
    const entries: Entry[] = [];
    let size = 0;
    const sql = `SELECT ${COLUMNS} FROM journal WHERE lsn > ? ORDER BY lsn LIMIT ${READ_ENTRIES_MAX}`;
    for (const row of this.#sql(sql).iterate(after)) {
      const entry = fromRow(row);
      size += entry.payload.length;
      if (entries.length > 0 && size > limitBytes) break;
      entries.push(entry);
    }
    return entries;
  }

  fenceRow(): FenceRow | null {
    const vote = this.#vote();
    if (vote === null) return null;
    const { fenceEpoch, fenceOwner, incarnation, proved } = vote;
    return { fenceEpoch, fenceOwner, incarnation, proved };
  }

  recordIncarnation(args: {
    fence: Fence;
    replica: number;
    incarnation: number;
  }): 'done' | 'fenced' {
    return inTransaction(this.#db, () => {
      if (!this.#holds(args.fence)) return 'fenced';
      const known = [...(this.#vote()?.incarnations ?? [])];
      const before = known[args.replica];
      assert(before !== undefined, 'the replica is one of the configuration');
      known[args.replica] = Math.max(before, args.incarnation);
      this.#sql('UPDATE replica_state SET cfg = ? WHERE set_id = ?').run(
        JSON.stringify(known),
        this.#set,
      );
      return 'done';
    });
  }

  restore(args: {
    epoch: Epoch;
    owner: Uint8Array;
    after: Lsn;
    entries: readonly Entry[];
  }): 'done' | 'fenced' | 'has_vote' {
    return inTransaction(this.#db, () => {
      const vote = this.#vote();
      if (vote?.proved === true) return 'has_vote';
      if (vote !== null && !this.#mayAdmit(vote, args)) return 'fenced';
      insertAnchor(this.#db, this.#set);
      let prev = this.#sumAt(args.after);
      let kept = args.after as number;
      for (const entry of args.entries) {
        if (prev === null || !equalBytes(prev, entry.prev)) {
          throw new StoreError('rejected', `LSN ${entry.lsn} does not follow what is there`);
        }
        prev = entry.sum;
        // Rows that are already right stay where they are: a committed row is never discarded.
        if (kept === entry.lsn - 1 && this.#hasExactly(entry)) kept = entry.lsn;
      }
      this.#discard(kept, args.epoch);
      const insert = this.#sql(
        `INSERT INTO journal (${COLUMNS}) VALUES (${JOURNAL_COLUMNS.map(() => '?').join(', ')})`,
      );
      for (const entry of args.entries)
        if (entry.lsn > kept) insert.run(...toRow(entry).map(bindable));
      return 'done';
    });
  }

  admit(args: {
    epoch: Epoch;
    owner: Uint8Array;
    incarnation: number;
    incarnations: readonly number[];
    clusterId: Uint8Array;
    replicaId: number;
  }): 'done' | 'fenced' {
    const done = inTransaction(this.#db, () => {
      const vote = this.#vote();
      if (vote !== null) {
        if (!equalBytes(vote.clusterId, args.clusterId) || vote.replicaId !== args.replicaId) {
          throw new StoreError('rejected', 'the replica belongs to another cluster or place');
        }
        if (!this.#mayAdmit(vote, args) || args.incarnation <= vote.incarnation) return 'fenced';
      }
      insertAnchor(this.#db, this.#set);
      this.#sql('INSERT OR REPLACE INTO replica_state VALUES (?, ?, ?, ?, ?, ?, ?)').run(
        this.#set,
        args.clusterId,
        args.replicaId,
        args.incarnation,
        args.epoch,
        args.owner,
        JSON.stringify(args.incarnations),
      );
      return 'done';
    });
    // Only after the row is durable, on the same connection, and never again for this incarnation.
    if (done === 'done') this.#becomeAlive(args.incarnation);
    return done;
  }

  setCommit(at: Lsn): void {
    this.#sql(
      `UPDATE commit_point SET commit_lsn = ?1 WHERE set_id = ?2 AND commit_lsn < ?1
       AND ?1 <= (SELECT max(lsn) FROM journal)`,
    ).run(at, this.#set);
  }

  beat(at: Epoch): void {
    this.#sql('UPDATE leader_beat SET epoch = ?1, n = n + 1 WHERE set_id = ?2 AND epoch <= ?1').run(
      at,
      this.#set,
    );
  }

  readBeat(): { epoch: number; n: number } {
    const row = this.#sql('SELECT epoch, n FROM leader_beat WHERE set_id = ?').get(this.#set);
    return { epoch: Number(row?.['epoch']), n: Number(row?.['n']) };
  }

  projectedLsn(): Lsn {
    const sql = 'SELECT projected_lsn AS at FROM projection_state WHERE set_id = ?';
    return lsn(Number(this.#sql(sql).get(this.#set)?.['at']));
  }

  commitLsn(): Lsn {
    const sql = 'SELECT commit_lsn AS at FROM commit_point WHERE set_id = ?';
    return lsn(Number(this.#sql(sql).get(this.#set)?.['at']));
  }

  #head(): Head {
    const row = this.#sql('SELECT lsn, epoch, sum FROM journal ORDER BY lsn DESC LIMIT 1').get();
    if (row === undefined) return { lsn: lsn(0), epoch: epoch(0), sum: ZERO_SUM };
    return {
      lsn: lsn(Number(row['lsn'])),
      epoch: epoch(Number(row['epoch'])),
      sum: bytes(row['sum']),
    };
  }

  #sumAt(at: number): Uint8Array | null {
    const row = this.#sql('SELECT sum FROM journal WHERE lsn = ?').get(at);
    return row === undefined ? null : bytes(row['sum']);
  }

  #hasExactly(entry: Entry): boolean {
    const row = this.#sql(`SELECT ${COLUMNS} FROM journal WHERE lsn = ?`).get(entry.lsn);
    if (row === undefined) return false;
    const wanted = toRow(entry);
    return JOURNAL_COLUMNS.every((column, at) => {
      const value = row[column];
      const other = wanted[at];
      return value instanceof Uint8Array && other instanceof Uint8Array
        ? equalBytes(value, other)
        : value === other;
    });
  }

  #vote(): Vote | null {
    const row = this.#sql(
      `SELECT f.*, a.incarnation AS alive FROM replica_state f
       LEFT JOIN alive.alive a ON a.set_id = f.set_id WHERE f.set_id = ?`,
    ).get(this.#set);
    if (row === undefined) return null;
    return {
      clusterId: bytes(row['cluster_id']),
      replicaId: Number(row['replica_id']),
      incarnation: Number(row['incarnation']),
      fenceEpoch: epoch(Number(row['fence_epoch'])),
      fenceOwner: bytes(row['fence_owner']),
      proved: row['alive'] === row['incarnation'],
      incarnations: readIncarnations(row['cfg']),
    };
  }

  #holds(fence: Fence): boolean {
    const vote = this.#vote();
    return (
      vote !== null &&
      vote.fenceEpoch === fence.epoch &&
      equalBytes(vote.fenceOwner, fence.owner) &&
      vote.incarnation === fence.incarnation
    );
  }

  /** A fence never falls, and one epoch has one owner. */
  #mayAdmit(vote: Vote, by: { epoch: Epoch; owner: Uint8Array }): boolean {
    if (vote.fenceEpoch !== by.epoch) return vote.fenceEpoch < by.epoch;
    return equalBytes(vote.fenceOwner, by.owner);
  }

  #becomeAlive(incarnation: number): void {
    this.#sql('INSERT OR REPLACE INTO alive.alive VALUES (?, ?)').run(this.#set, incarnation);
  }

  /** Prepared once for the life of the connection. */
  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

function bytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreError('corrupt', 'a column is not bytes');
  return value;
}

function readIncarnations(text: unknown): number[] {
  const list: unknown = typeof text === 'string' ? JSON.parse(text) : null;
  if (!Array.isArray(list) || !list.every((each) => Number.isSafeInteger(each))) {
    throw new StoreError('corrupt', 'replica_state.cfg is not a list of incarnations');
  }
  return list;
}
