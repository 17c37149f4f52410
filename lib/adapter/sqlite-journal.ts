import { assert } from '../core/assert.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { ZERO_SUM } from '../core/journal-entry.ts';
import type { Lsn, SetId } from '../core/units.ts';
import type { AppendReply, Fence, Place } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS, fromRow, toRow } from './journal-row.ts';
import type { Readmission } from './replica-arguments.ts';
import { READ_ENTRIES_MAX } from './replica-arguments.ts';
import type { SqliteFence } from './sqlite-fence.ts';
import { insertAnchor } from './sqlite-schema.ts';
import type { Statements } from './sqlite-statements.ts';
import { bytesOf, readHead } from './sqlite-statements.ts';
import { inTransaction } from './sqlite-transaction.ts';
import { bindable } from './sqlite-value.ts';

const COLUMNS = JOURNAL_COLUMNS.join(', ');

/** The journal of one replica in one SQLite file (replication.md, P4, P6, P9). Synchronous. */
export class SqliteJournal {
  readonly #statements: Statements;
  readonly #set: SetId;
  readonly #fence: SqliteFence;

  constructor(args: { statements: Statements; set: SetId; fence: SqliteFence }) {
    this.#statements = args.statements;
    this.#set = args.set;
    this.#fence = args.fence;
  }

  append({ fence, entries }: { fence: Fence; entries: readonly Entry[] }): AppendReply {
    const only = entries.length === 1 ? entries[0] : undefined;
    // One statement needs no transaction around it: two calls into SQLite less on the hot path.
    if (only !== undefined && this.#insert(fence, only)) return { kind: 'acked', lsn: only.lsn };
    return inTransaction(this.#statements.db, (): AppendReply => {
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
    const done = this.#statements
      .sql(
        `INSERT INTO journal (${COLUMNS})
       SELECT ${JOURNAL_COLUMNS.map(() => '?').join(', ')}
       FROM replica_state f JOIN journal p ON p.set_id = f.set_id AND p.lsn = ? AND p.sum = ?
       WHERE f.set_id = ? AND f.fence_epoch = ? AND f.fence_owner = ? AND f.incarnation = ?
         AND f.incarnation = (SELECT a.incarnation FROM alive.alive a WHERE a.set_id = f.set_id)
       ON CONFLICT (lsn) DO NOTHING`,
      )
      .run(
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
    const vote = this.#fence.vote();
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
    return { kind: 'mismatch', head: readHead(this.#statements) };
  }

  truncate(args: { fence: Fence; after: Lsn; head: Place }): 'done' | 'fenced' | 'mismatch' {
    const { fence, after, head } = args;
    return inTransaction(this.#statements.db, () => {
      if (!this.#fence.holds(fence)) return 'fenced';
      if (!this.#fence.endsWith(head)) return 'mismatch';
      const committed = this.#fence.commitLsn();
      if (after < committed) {
        throw new StoreError('rejected', `LSN ${after + 1}..${committed} are committed`);
      }
      this.#discard(after, fence.epoch);
      return 'done';
    });
  }

  read({ after, limitBytes }: { after: Lsn; limitBytes: number }): Entry[] {
    const entries: Entry[] = [];
    let size = 0;
    const sql = `SELECT ${COLUMNS} FROM journal WHERE lsn > ? ORDER BY lsn LIMIT ${READ_ENTRIES_MAX}`;
    for (const row of this.#statements.sql(sql).iterate(after)) {
      const entry = fromRow(row);
      size += entry.payload.length;
      if (entries.length > 0 && size > limitBytes) break;
      entries.push(entry);
    }
    return entries;
  }

  restore(
    args: Readmission & { after: Lsn; entries: readonly Entry[] },
  ): 'done' | 'fenced' | 'has_vote' | 'mismatch' {
    return inTransaction(this.#statements.db, () => {
      const vote = this.#fence.vote();
      if (vote?.proved === true) return 'has_vote';
      if (!this.#fence.mayReadmit(args, vote)) return 'fenced';
      const before = args.after === 0 ? ZERO_SUM : this.#sumAt(args.after);
      const first = args.entries[0];
      if (first !== undefined && (before === null || !equalBytes(before, first.prev))) {
        return 'mismatch';
      }
      this.#fence.remember(args);
      insertAnchor(this.#statements.db, this.#set);
      let kept: number = args.after;
      for (const entry of args.entries) {
        // Rows that are already right stay where they are: a committed row is never discarded.
        if (!this.#hasExactly(entry)) break;
        kept = entry.lsn;
      }
      this.#discard(kept, args.epoch);
      const insert = this.#statements.sql(
        `INSERT INTO journal (${COLUMNS}) VALUES (${JOURNAL_COLUMNS.map(() => '?').join(', ')})`,
      );
      for (const entry of args.entries)
        if (entry.lsn > kept) insert.run(...toRow(entry).map(bindable));
      return 'done';
    });
  }

  #discard(after: number, by: number): void {
    this.#statements
      .sql(
        `INSERT INTO journal_discarded (${COLUMNS}, discarded_by_epoch)
       SELECT ${COLUMNS}, ? FROM journal WHERE lsn > ? ORDER BY lsn`,
      )
      .run(by, after);
    this.#statements.sql('DELETE FROM journal WHERE lsn > ?').run(after);
  }

  #sumAt(at: number): Uint8Array | null {
    const row = this.#statements.sql('SELECT sum FROM journal WHERE lsn = ?').get(at);
    return row === undefined ? null : bytesOf(row['sum']);
  }

  #hasExactly(entry: Entry): boolean {
    const row = this.#statements.sql(`SELECT ${COLUMNS} FROM journal WHERE lsn = ?`).get(entry.lsn);
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
}
