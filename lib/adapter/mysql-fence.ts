import { equalBytes } from '../core/bytes.ts';
import { ZERO_SUM } from '../core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../core/units.ts';
import { epoch, lsn } from '../core/units.ts';
import type {
  Bootstrap,
  Bootstrapped,
  Fence,
  FenceRow,
  Head,
  Place,
  Probe,
  TakeOverReply,
} from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { NO_SUCH_THREAD, errnoOf } from './mysql-errors.ts';
import type { MysqlSession, SqlRow } from './mysql-session.ts';
import type { Readmission } from './replica-arguments.ts';
import { mayFollow, mayReadmit, withIncarnation } from './replica-arguments.ts';

/** The row of replica_state with what alive says of it. */
export type Vote = FenceRow & {
  readonly clusterId: Uint8Array;
  readonly replicaId: number;
  readonly incarnations: readonly number[];
};

// Never a join: FOR UPDATE would lock the whole MEMORY table against everybody's appends.
const ALIVE = '(SELECT a.incarnation FROM alive a WHERE a.set_id = f.set_id)';
const SELECT_VOTE = `SELECT f.cluster_id, f.replica_id, f.incarnation, f.fence_epoch,
  f.fence_owner, f.cfg, ${ALIVE} AS alive FROM replica_state f WHERE f.set_id = ?`;

/**
 * Who may write to one replica in one MySQL database, and the small rows beside (replication.md,
 * P0, P2, P3b, P9). Each method is given the session of the line that it runs on.
 */
export class MysqlFence {
  readonly #set: SetId;
  readonly #user: string;
  readonly #owns: (sessionId: number) => boolean;

  constructor(args: {
    set: SetId;
    /** The Set's own leader user: whose sessions a taker-over may cut. */
    user: string;
    /** Sessions of this store itself. */
    owns: (sessionId: number) => boolean;
  }) {
    this.#set = args.set;
    this.#user = args.user;
    this.#owns = args.owns;
  }

  async bootstrap(
    session: MysqlSession,
    { clusterId, replicaId, replicas, stillNew }: Bootstrap,
  ): Promise<Bootstrapped> {
    const found = await session.transaction(async () => {
      await this.#lockReadmission(session);
      const vote = await this.lockedVote(session);
      if (vote !== null) {
        const ours = equalBytes(vote.clusterId, clusterId) && vote.replicaId === replicaId;
        return ours ? 'exists' : 'foreign_cluster';
      }
      // P0: whatever is left of an earlier life must come back by P9, with a new incarnation.
      const left = await session.select('SELECT 1 AS there FROM journal LIMIT 1', []);
      if (left.length > 0) return 'exists';
      // Nobody waits for these locks: the replica has no row. If the server goes, so does this.
      if ((await stillNew?.()) === false) return 'late';
      await this.insertAnchor(session);
      await session.change('INSERT INTO replica_state VALUES (?, ?, ?, 1, 0, ?, ?)', [
        this.#set,
        clusterId,
        replicaId,
        new Uint8Array(16),
        JSON.stringify(Array.from({ length: replicas }, () => 1)),
      ]);
      return 'made';
    });
    if (found === 'made') await this.#becomeAlive(session, 1);
    return found;
  }

  async takeOver(
    session: MysqlSession,
    { epoch: at, owner }: { epoch: Epoch; owner: Uint8Array },
  ): Promise<TakeOverReply> {
    const before = await this.vote(session);
    // One that comes too late must not cut those who lead.
    if (before !== null && before.fenceEpoch < at) await this.#killOthers(session);
    return session.transaction(async (): Promise<TakeOverReply> => {
      // P2: first the promise, then the report, so that nothing can be appended in between.
      const fenced = await session.change(
        `UPDATE replica_state SET fence_epoch = ?, fence_owner = ?
         WHERE set_id = ? AND fence_epoch < ?`,
        [at, owner, this.#set, at],
      );
      const vote = await this.vote(session);
      if (vote === null) return { kind: 'no_row' };
      if (fenced === 0) return { kind: 'refused', fenceEpoch: vote.fenceEpoch };
      return {
        kind: 'promised',
        incarnation: vote.incarnation,
        proved: vote.proved,
        incarnations: vote.incarnations,
        commitLsn: await this.commitLsn(session),
        projectedLsn: await this.projectedLsn(session),
        discardedBy: await this.#discardedBy(session),
        head: await this.head(session),
      };
    });
  }

  /** Epochs of fences never fall, so the newest row names the newest epoch. */
  async #discardedBy(session: MysqlSession): Promise<number> {
    const [row] = await session.select(
      'SELECT discarded_by_epoch AS at FROM journal_discarded ORDER BY place DESC LIMIT 1',
      [],
    );
    return row === undefined ? 0 : numberOf(row['at']);
  }

  /**
   * P2, rulings 16c: a paused leader may hold the row for as long as it sleeps. Every other session
   * of the Set's leader user on this database is cut; one of ours that still lives is not.
   */
  async #killOthers(session: MysqlSession): Promise<void> {
    const rows = await session.select(
      `SELECT ID AS id FROM information_schema.PROCESSLIST
       WHERE USER = ? AND DB = DATABASE() AND ID <> CONNECTION_ID()`,
      [this.#user],
    );
    for (const row of rows) {
      const id = Number(row['id']);
      if (this.#owns(id)) continue;
      try {
        await session.run(`KILL ${id}`);
      } catch (error) {
        if (errnoOf(error) !== NO_SUCH_THREAD) throw error;
      }
    }
  }

  async fenceRow(session: MysqlSession): Promise<FenceRow | null> {
    const vote = await this.vote(session);
    if (vote === null) return null;
    const { fenceEpoch, fenceOwner, incarnation, proved } = vote;
    return { fenceEpoch, fenceOwner, incarnation, proved };
  }

  /** One statement that changes the row as it was read: no lock outlives a round trip. */
  async recordIncarnation(
    session: MysqlSession,
    args: { fence: Fence; replica: number; incarnation: number; proved: boolean },
  ): Promise<'done' | 'fenced' | 'no_vote'> {
    const { fence } = args;
    for (;;) {
      const vote = await this.vote(session);
      if (vote === null || !holds(vote, fence)) return 'fenced';
      if (args.proved && !vote.proved) return 'no_vote';
      const before = JSON.stringify(vote.incarnations);
      const known = JSON.stringify(withIncarnation(vote.incarnations, args));
      if (known === before) return 'done';
      const changed = await session.change(
        `UPDATE replica_state f SET f.cfg = ?
         WHERE f.set_id = ? AND f.fence_epoch = ? AND f.fence_owner = ? AND f.incarnation = ?
           AND f.cfg = ?${args.proved ? ` AND f.incarnation = ${ALIVE}` : ''}`,
        [known, this.#set, fence.epoch, fence.owner, fence.incarnation, before],
      );
      if (changed === 1) return 'done';
    }
  }

  async unprove(session: MysqlSession, { fence }: { fence: Fence }): Promise<'done' | 'fenced'> {
    return session.transaction(async () => {
      const vote = await this.lockedVote(session);
      if (vote === null || !holds(vote, fence)) return 'fenced';
      await session.change('DELETE FROM alive WHERE set_id = ?', [this.#set]);
      return 'done';
    });
  }

  async admit(
    session: MysqlSession,
    args: Readmission & {
      incarnations: readonly number[];
      clusterId: Uint8Array;
      replicaId: number;
      head: Place;
    },
  ): Promise<'done' | 'fenced' | 'mismatch'> {
    const done = await session.transaction(async () => {
      const newest = await this.#lockReadmission(session);
      const vote = await this.lockedVote(session);
      if (vote !== null) {
        if (!equalBytes(vote.clusterId, args.clusterId) || vote.replicaId !== args.replicaId) {
          throw new StoreError('rejected', 'the replica belongs to another cluster or place');
        }
      }
      if (!mayReadmit(args, newest) || (vote !== null && !mayFollow(args, vote))) return 'fenced';
      const head = await this.head(session);
      if (head.lsn !== args.head.lsn || !equalBytes(head.sum, args.head.sum)) return 'mismatch';
      await this.remember(session, args);
      await this.insertAnchor(session);
      await session.change('REPLACE INTO replica_state VALUES (?, ?, ?, ?, ?, ?, ?)', [
        this.#set,
        args.clusterId,
        args.replicaId,
        args.incarnation,
        args.epoch,
        args.owner,
        JSON.stringify(args.incarnations),
      ]);
      return 'done';
    });
    // Only after the row is durable, on the same connection, and never again for this incarnation.
    if (done === 'done') await this.#becomeAlive(session, args.incarnation);
    return done;
  }

  /** In the transaction of a restore: may it go on? Locks what two of them would both change. */
  async beginRestore(
    session: MysqlSession,
    by: Readmission,
  ): Promise<'go' | 'fenced' | 'has_vote'> {
    const newest = await this.#lockReadmission(session);
    const vote = await this.lockedVote(session);
    if (vote?.proved === true) return 'has_vote';
    if (!mayReadmit(by, newest) || (vote !== null && !mayFollow(by, vote))) return 'fenced';
    return 'go';
  }

  async setCommit(session: MysqlSession, at: Place): Promise<void> {
    // A plain read: what the caller names was acknowledged to him before. Committed rows stay.
    const [row] = await session.select('SELECT sum FROM journal WHERE set_id = ? AND lsn = ?', [
      this.#set,
      at.lsn,
    ]);
    if (row === undefined || !equalBytes(bytesOf(row['sum']), at.sum)) return;
    await session.change(
      'UPDATE commit_point SET commit_lsn = ? WHERE set_id = ? AND commit_lsn < ?',
      [at.lsn, this.#set, at.lsn],
    );
  }

  async commitLsn(session: MysqlSession): Promise<Lsn> {
    const sql = 'SELECT commit_lsn AS at FROM commit_point WHERE set_id = ?';
    return lsn(numberOf((await this.#single(session, sql))['at']));
  }

  async projectedLsn(session: MysqlSession): Promise<Lsn> {
    const sql = 'SELECT projected_lsn AS at FROM projection_state WHERE set_id = ?';
    return lsn(numberOf((await this.#single(session, sql))['at']));
  }

  async beat(session: MysqlSession, at: Epoch): Promise<void> {
    await session.change(
      `UPDATE leader_beat SET n = n + 1, epoch = ?
       WHERE set_id = ? AND (epoch < ? OR (epoch = ? AND n > 0))`,
      [at, this.#set, at, at],
    );
  }

  async resign(session: MysqlSession, at: Epoch): Promise<void> {
    await session.change('UPDATE leader_beat SET n = 0 WHERE set_id = ? AND epoch = ?', [
      this.#set,
      at,
    ]);
  }

  async readBeat(session: MysqlSession): Promise<{ epoch: number; n: number }> {
    const row = await this.#single(session, 'SELECT epoch, n FROM leader_beat WHERE set_id = ?');
    return { epoch: numberOf(row['epoch']), n: numberOf(row['n']) };
  }

  async probe(session: MysqlSession): Promise<Probe> {
    const [row] = await session.show(
      `SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED) AS clock,
       @@hostname AS host, @@datadir AS data`,
    );
    const [named] = await session.show(
      `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')`,
    );
    // Hosts may have one name, as containers do: MySQL keeps a UUID in the directory, newer MariaDB
    // has a name for the machine and port. Without either by the host's name, and without the port:
    // two servers on one directory would be one replica.
    const server = String(named?.['Value'] ?? row?.['host']);
    return {
      clockMs: numberOf(row?.['clock']),
      dataDirectory: `${server}:${String(row?.['data'])}`,
    };
  }

  async vote(session: MysqlSession): Promise<Vote | null> {
    return this.#readVote(session, SELECT_VOTE);
  }

  /** The row, locked until the transaction ends. */
  async lockedVote(session: MysqlSession): Promise<Vote | null> {
    return this.#readVote(session, `${SELECT_VOTE} FOR UPDATE`);
  }

  async head(session: MysqlSession): Promise<Head> {
    const [row] = await session.select(
      'SELECT lsn, epoch, sum FROM journal WHERE set_id = ? ORDER BY lsn DESC LIMIT 1',
      [this.#set],
    );
    if (row === undefined) return { lsn: lsn(0), epoch: epoch(0), sum: ZERO_SUM };
    return {
      lsn: lsn(numberOf(row['lsn'])),
      epoch: epoch(numberOf(row['epoch'])),
      sum: bytesOf(row['sum']),
    };
  }

  /** The row below the first entry: P6 finds `lsn - 1` with a zero checksum there. */
  async insertAnchor(session: MysqlSession): Promise<void> {
    await session.change(
      `INSERT IGNORE INTO journal (lsn, set_id, epoch, leader_id, kind, prev, sum, ts, commit_lsn,
         acked_0, acked_1, acked_2, fmt, n_ops, money_wallets, money_packets, money_clearing,
         money_issuer, payload)
       VALUES (0, ?, 0, ?, 'OPS', ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '')`,
      [this.#set, new Uint8Array(16), ZERO_SUM, ZERO_SUM],
    );
  }

  async #readVote(session: MysqlSession, sql: string): Promise<Vote | null> {
    const [row] = await session.select(sql, [this.#set]);
    if (row === undefined) return null;
    const incarnation = numberOf(row['incarnation']);
    return {
      clusterId: bytesOf(row['cluster_id']),
      replicaId: numberOf(row['replica_id']),
      incarnation,
      fenceEpoch: epoch(numberOf(row['fence_epoch'])),
      fenceOwner: bytesOf(row['fence_owner']),
      proved: row['alive'] === incarnation,
      incarnations: readIncarnations(row['cfg']),
    };
  }

  /** First of all in every transaction that needs it: it is there also where there is no vote. */
  async #lockReadmission(session: MysqlSession): Promise<Readmission | null> {
    const sql = 'SELECT epoch, owner, incarnation FROM readmission WHERE set_id = ? FOR UPDATE';
    const row = await this.#single(session, sql);
    const at = numberOf(row['epoch']);
    if (at === 0) return null;
    return {
      epoch: epoch(at),
      owner: bytesOf(row['owner']),
      incarnation: numberOf(row['incarnation']),
    };
  }

  async remember(session: MysqlSession, by: Readmission): Promise<void> {
    await session.change(
      'UPDATE readmission SET epoch = ?, owner = ?, incarnation = ? WHERE set_id = ?',
      [by.epoch, by.owner, by.incarnation, this.#set],
    );
  }

  async #becomeAlive(session: MysqlSession, incarnation: number): Promise<void> {
    await session.change('REPLACE INTO alive VALUES (?, ?)', [this.#set, incarnation]);
  }

  async #single(session: MysqlSession, sql: string): Promise<SqlRow> {
    const [row] = await session.select(sql, [this.#set]);
    if (row === undefined)
      throw new StoreError('corrupt', 'a single row of the replica is missing');
    return row;
  }
}

/** Does the caller hold the fence of this incarnation? */
export function holds(vote: Vote, fence: Fence): boolean {
  return (
    vote.fenceEpoch === fence.epoch &&
    equalBytes(vote.fenceOwner, fence.owner) &&
    vote.incarnation === fence.incarnation
  );
}

/** A column of bytes as a copy of its own. Throws StoreError `corrupt` on anything else. */
export function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreError('corrupt', 'a column is not bytes');
  return new Uint8Array(value);
}

/** A column of safe integers. Throws StoreError `corrupt` on anything else. */
export function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new StoreError('corrupt', 'a column is not a safe integer');
  }
  return value;
}

function readIncarnations(text: unknown): number[] {
  const list: unknown = typeof text === 'string' ? JSON.parse(text) : null;
  if (!Array.isArray(list) || !list.every((each) => Number.isSafeInteger(each))) {
    throw new StoreError('corrupt', 'replica_state.cfg is not a list of incarnations');
  }
  return list;
}
