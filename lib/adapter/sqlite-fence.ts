import { equalBytes } from '../core/bytes.ts';
import type { Epoch, Lsn, SetId } from '../core/units.ts';
import { epoch, lsn } from '../core/units.ts';
import type { Bootstrapped, Fence, FenceRow, Place, TakeOverReply } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import type { Readmission } from './replica-arguments.ts';
import { mayFollow, mayReadmit, withIncarnation } from './replica-arguments.ts';
import type { AskedBootstrap } from './sqlite-protocol.ts';
import { insertAnchor } from './sqlite-schema.ts';
import type { Statements } from './sqlite-statements.ts';
import { bytesOf, readHead } from './sqlite-statements.ts';
import { inTransaction } from './sqlite-transaction.ts';

/** The row of replica_state with what alive says of it. */
export type Vote = FenceRow & {
  readonly clusterId: Uint8Array;
  readonly replicaId: number;
  readonly incarnations: readonly number[];
};

/**
 * Who may write to one replica in one SQLite file, and the small rows beside (replication.md, P0,
 * P2, P3b, P9). Synchronous: it runs in the worker, which takes one call after the other.
 */
export class SqliteFence {
  readonly #statements: Statements;
  readonly #set: SetId;

  constructor({ statements, set }: { statements: Statements; set: SetId }) {
    this.#statements = statements;
    this.#set = set;
  }

  bootstrap({ clusterId, replicaId, replicas, makes }: AskedBootstrap): Bootstrapped {
    const found = inTransaction(this.#statements.db, (): Bootstrapped => {
      const vote = this.vote();
      if (vote !== null) {
        const ours = equalBytes(vote.clusterId, clusterId) && vote.replicaId === replicaId;
        return ours ? 'exists' : 'foreign_cluster';
      }
      // P0: whatever is left of an earlier life must come back by P9, with a new incarnation.
      if (this.#statements.sql('SELECT 1 FROM journal LIMIT 1').get() !== undefined)
        return 'exists';
      if (!makes) return 'late';
      insertAnchor(this.#statements.db, this.#set);
      this.#statements
        .sql('INSERT INTO replica_state VALUES (?, ?, ?, 1, 0, ?, ?)')
        .run(
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
    return inTransaction(this.#statements.db, (): TakeOverReply => {
      // P2: first the promise, then the report, so that nothing can be appended in between.
      const fenced = this.#statements
        .sql(
          `UPDATE replica_state SET fence_epoch = ?, fence_owner = ?
         WHERE set_id = ? AND fence_epoch < ?`,
        )
        .run(at, owner, this.#set, at);
      const vote = this.vote();
      if (vote === null) return { kind: 'no_row' };
      if (fenced.changes === 0) return { kind: 'refused', fenceEpoch: vote.fenceEpoch };
      return {
        kind: 'promised',
        incarnation: vote.incarnation,
        proved: vote.proved,
        incarnations: vote.incarnations,
        commitLsn: this.commitLsn(),
        projectedLsn: this.projectedLsn(),
        head: readHead(this.#statements),
        discardedBy: this.#discardedBy(),
      };
    });
  }

  /** Epochs of fences never fall, so the newest row names the newest epoch. */
  #discardedBy(): number {
    const sql =
      'SELECT discarded_by_epoch AS by FROM journal_discarded ORDER BY place DESC LIMIT 1';
    return Number(this.#statements.sql(sql).get()?.['by'] ?? 0);
  }

  fenceRow(): FenceRow | null {
    const vote = this.vote();
    if (vote === null) return null;
    const { fenceEpoch, fenceOwner, incarnation, proved } = vote;
    return { fenceEpoch, fenceOwner, incarnation, proved };
  }

  recordIncarnation(args: {
    fence: Fence;
    replica: number;
    incarnation: number;
    proved: boolean;
  }): 'done' | 'fenced' | 'no_vote' {
    return inTransaction(this.#statements.db, () => {
      const vote = this.vote();
      if (vote === null || !holds(vote, args.fence)) return 'fenced';
      if (args.proved && !vote.proved) return 'no_vote';
      const known = withIncarnation(vote.incarnations, args);
      this.#statements
        .sql('UPDATE replica_state SET cfg = ? WHERE set_id = ?')
        .run(JSON.stringify(known), this.#set);
      return 'done';
    });
  }

  unprove({ fence }: { fence: Fence }): 'done' | 'fenced' {
    return inTransaction(this.#statements.db, () => {
      if (!this.holds(fence)) return 'fenced';
      this.#statements.sql('DELETE FROM alive.alive WHERE set_id = ?').run(this.#set);
      return 'done';
    });
  }

  admit(
    args: Readmission & {
      incarnations: readonly number[];
      clusterId: Uint8Array;
      replicaId: number;
      head: Place;
    },
  ): 'done' | 'fenced' | 'mismatch' {
    const done = inTransaction(this.#statements.db, () => {
      const vote = this.vote();
      if (vote !== null) {
        if (!equalBytes(vote.clusterId, args.clusterId) || vote.replicaId !== args.replicaId) {
          throw new StoreError('rejected', 'the replica belongs to another cluster or place');
        }
      }
      if (!this.mayReadmit(args, vote)) return 'fenced';
      if (!this.endsWith(args.head)) return 'mismatch';
      this.remember(args);
      insertAnchor(this.#statements.db, this.#set);
      this.#statements
        .sql('INSERT OR REPLACE INTO replica_state VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(
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

  setCommit(at: Place): void {
    this.#statements
      .sql(
        `UPDATE commit_point SET commit_lsn = ?1 WHERE set_id = ?2 AND commit_lsn < ?1
       AND ?3 = (SELECT sum FROM journal WHERE lsn = ?1)`,
      )
      .run(at.lsn, this.#set, at.sum);
  }

  commitLsn(): Lsn {
    const sql = 'SELECT commit_lsn AS at FROM commit_point WHERE set_id = ?';
    return lsn(Number(this.#statements.sql(sql).get(this.#set)?.['at']));
  }

  projectedLsn(): Lsn {
    const sql = 'SELECT projected_lsn AS at FROM projection_state WHERE set_id = ?';
    return lsn(Number(this.#statements.sql(sql).get(this.#set)?.['at']));
  }

  beat(at: Epoch): void {
    this.#statements
      .sql(
        `UPDATE leader_beat SET epoch = ?1, n = n + 1
         WHERE set_id = ?2 AND (epoch < ?1 OR (epoch = ?1 AND n > 0))`,
      )
      .run(at, this.#set);
  }

  resign(at: Epoch): void {
    this.#statements
      .sql('UPDATE leader_beat SET n = 0 WHERE set_id = ? AND epoch = ?')
      .run(this.#set, at);
  }

  readBeat(): { epoch: number; n: number } {
    const row = this.#statements
      .sql('SELECT epoch, n FROM leader_beat WHERE set_id = ?')
      .get(this.#set);
    return { epoch: Number(row?.['epoch']), n: Number(row?.['n']) };
  }

  vote(): Vote | null {
    const row = this.#statements
      .sql(
        `SELECT f.*, a.incarnation AS alive FROM replica_state f
       LEFT JOIN alive.alive a ON a.set_id = f.set_id WHERE f.set_id = ?`,
      )
      .get(this.#set);
    if (row === undefined) return null;
    return {
      clusterId: bytesOf(row['cluster_id']),
      replicaId: Number(row['replica_id']),
      incarnation: Number(row['incarnation']),
      fenceEpoch: epoch(Number(row['fence_epoch'])),
      fenceOwner: bytesOf(row['fence_owner']),
      proved: row['alive'] === row['incarnation'],
      incarnations: readIncarnations(row['cfg']),
    };
  }

  /** Does the caller hold the fence of this incarnation? */
  holds(fence: Fence): boolean {
    const vote = this.vote();
    return vote !== null && holds(vote, fence);
  }

  /** Is this the newest re-admission that the replica has heard of, and may it follow its row? */
  mayReadmit(by: Readmission, vote: Vote | null): boolean {
    const row = this.#statements
      .sql('SELECT epoch, owner, incarnation FROM readmission WHERE set_id = ?')
      .get(this.#set);
    const newest =
      row === undefined
        ? null
        : {
            epoch: epoch(Number(row['epoch'])),
            owner: bytesOf(row['owner']),
            incarnation: Number(row['incarnation']),
          };
    return mayReadmit(by, newest) && (vote === null || mayFollow(by, vote));
  }

  remember(by: Readmission): void {
    this.#statements
      .sql('INSERT OR REPLACE INTO readmission VALUES (?, ?, ?, ?)')
      .run(this.#set, by.epoch, by.owner, by.incarnation);
  }

  /** Is this the last entry of the journal? */
  endsWith(place: Place): boolean {
    const head = readHead(this.#statements);
    return head.lsn === place.lsn && equalBytes(head.sum, place.sum);
  }

  #becomeAlive(incarnation: number): void {
    this.#statements
      .sql('INSERT OR REPLACE INTO alive.alive VALUES (?, ?)')
      .run(this.#set, incarnation);
  }
}

function holds(vote: Vote, fence: Fence): boolean {
  return (
    vote.fenceEpoch === fence.epoch &&
    equalBytes(vote.fenceOwner, fence.owner) &&
    vote.incarnation === fence.incarnation
  );
}

function readIncarnations(text: unknown): number[] {
  const list: unknown = typeof text === 'string' ? JSON.parse(text) : null;
  if (!Array.isArray(list) || !list.every((each) => Number.isSafeInteger(each))) {
    throw new StoreError('corrupt', 'replica_state.cfg is not a list of incarnations');
  }
  return list;
}
