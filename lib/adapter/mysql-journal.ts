import { equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { ZERO_SUM } from '../core/journal-entry.ts';
import type { Lsn, SetId } from '../core/units.ts';
import type { Fence, Place } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS, fromRow, toRow } from './journal-row.ts';
import { statementsOf } from './mysql-append.ts';
import type { MysqlFence } from './mysql-fence.ts';
import { bytesOf, holds, numberOf } from './mysql-fence.ts';
import type { MysqlSession, SqlValue } from './mysql-session.ts';
import type { Readmission } from './replica-arguments.ts';
import { READ_ENTRIES_MAX } from './replica-arguments.ts';

const COLUMNS = JOURNAL_COLUMNS.join(', ');
const PLACES = JOURNAL_COLUMNS.map(() => '?').join(', ');
/** Rows whose sizes are asked before they are read: at most 64 MiB within the server. */
const SIZED_ROWS = 64;
/** Rows of a first page, before their size is known: at most 16 MiB of the largest batches. */
const PAGE_ROWS_FIRST = 16;
const PAGE_ROWS_MAX = 2_048;

/** The journal of one replica in one MySQL database (replication.md, P4, P9); appends are beside. */
export class MysqlJournal {
  readonly #set: SetId;
  readonly #fence: MysqlFence;

  constructor(set: SetId, fence: MysqlFence) {
    this.#set = set;
    this.#fence = fence;
  }

  async truncate(
    session: MysqlSession,
    { fence, after, head: wanted }: { fence: Fence; after: Lsn; head: Place },
  ): Promise<'done' | 'fenced' | 'mismatch'> {
    return session.transaction(async () => {
      const vote = await this.#fence.lockedVote(session);
      if (vote === null || !holds(vote, fence)) return 'fenced';
      const head = await this.#fence.head(session);
      if (head.lsn !== wanted.lsn || !equalBytes(head.sum, wanted.sum)) return 'mismatch';
      const committed = await this.#fence.commitLsn(session);
      if (after < committed) {
        throw new StoreError('rejected', `LSN ${after + 1}..${committed} are committed`);
      }
      await this.#discard(session, { after, by: fence.epoch });
      return 'done';
    });
  }

  /** Entries of one moment, in pages, because only rows tell how large they are. */
  async read(
    session: MysqlSession,
    { after, limitBytes }: { after: Lsn; limitBytes: number },
  ): Promise<Entry[]> {
    return session.snapshot(async () => {
      const entries: Entry[] = [];
      let rest = limitBytes;
      // Also where nothing is left: entries without a payload still fit.
      while (entries.length < READ_ENTRIES_MAX) {
        const from = entries.at(-1)?.lsn ?? after;
        const rows = Math.min(SIZED_ROWS, READ_ENTRIES_MAX - entries.length);
        const fitting = await this.#rowsWithin(session, { after: from, rows, bytes: rest });
        // One entry is given whatever its size.
        if (fitting.rows === 0 && entries.length > 0) return entries;
        const page = await this.page(session, { after: from, rows: Math.max(1, fitting.rows) });
        for (const entry of page) entries.push(entry);
        rest -= fitting.bytes;
        if (page.length < rows || fitting.rows < rows) return entries;
      }
      return entries;
    });
  }

  /** How many of the next rows fit: asked first, because a row may be a hundred bytes or a MiB. */
  async #rowsWithin(
    session: MysqlSession,
    { after, rows, bytes }: { after: number; rows: number; bytes: number },
  ): Promise<{ rows: number; bytes: number }> {
    const sizes = await session.select(
      'SELECT LENGTH(payload) AS size FROM journal WHERE set_id = ? AND lsn > ? ORDER BY lsn LIMIT ?',
      [this.#set, after, rows],
    );
    let sum = 0;
    for (const [index, row] of sizes.entries()) {
      const size = numberOf(row['size']);
      if (sum + size > bytes) return { rows: index, bytes: sum };
      sum += size;
    }
    return { rows: sizes.length, bytes: sum };
  }

  async page(
    session: MysqlSession,
    { after, rows }: { after: number; rows: number },
  ): Promise<Entry[]> {
    const found = await session.select(
      `SELECT ${COLUMNS} FROM journal WHERE set_id = ? AND lsn > ? ORDER BY lsn LIMIT ?`,
      [this.#set, after, rows],
    );
    return found.map((row) => ownEntry(fromRow(row)));
  }

  /** Checksums above `after` up to `until`, without holes from its first on: what this replica says it has. */
  async sums(
    session: MysqlSession,
    { after, until }: { after: number; until: number },
  ): Promise<Uint8Array[]> {
    const found = await session.selectCells(
      `SELECT lsn, sum FROM journal WHERE set_id = ? AND lsn > ? AND lsn <= ? ORDER BY lsn`,
      [this.#set, after, until],
    );
    const sums: Uint8Array[] = [];
    for (const [at, sum] of found) {
      if (at !== after + sums.length + 1) break;
      sums.push(bytesOf(sum));
    }
    return sums;
  }

  async restore(
    session: MysqlSession,
    args: Readmission & { after: Lsn; entries: readonly Entry[]; renew: () => void },
  ): Promise<'done' | 'fenced' | 'has_vote' | 'mismatch'> {
    const { after, entries, renew } = args;
    return session.transaction(async () => {
      const may = await this.#fence.beginRestore(session, args);
      if (may !== 'go') return may;
      const before = after === 0 ? ZERO_SUM : await this.#sumAt(session, after);
      const first = entries[0];
      if (first !== undefined && (before === null || !equalBytes(before, first.prev))) {
        return 'mismatch';
      }
      await this.#fence.remember(session, args);
      await this.#fence.insertAnchor(session);
      // Rows that are already right stay where they are: a committed row is never discarded.
      const kept = await this.#countKept(session, { after, entries });
      await this.#discard(session, { after: after + kept, by: args.epoch });
      for (const some of statementsOf(entries.slice(kept))) {
        renew();
        const rows = some.map(() => `(${PLACES})`).join(', ');
        const values = some.flatMap((entry): SqlValue[] => toRow(entry));
        await session.change(`INSERT INTO journal (${COLUMNS}) VALUES ${rows}`, values);
      }
      return 'done';
    });
  }

  /** How many of the first entries are there with every column equal. */
  async #countKept(
    session: MysqlSession,
    { after, entries }: { after: number; entries: readonly Entry[] },
  ): Promise<number> {
    let kept = 0;
    for (const some of statementsOf(entries)) {
      const there = await this.page(session, { after: after + kept, rows: some.length });
      for (const [index, entry] of some.entries()) {
        const found = there[index];
        if (found === undefined || !isSame(found, entry)) return kept;
        kept += 1;
      }
    }
    return kept;
  }

  async #discard(session: MysqlSession, { after, by }: { after: number; by: number }) {
    await session.change(
      `INSERT INTO journal_discarded (${COLUMNS}, discarded_by_epoch)
       SELECT ${COLUMNS}, ? FROM journal WHERE set_id = ? AND lsn > ? ORDER BY lsn`,
      [by, this.#set, after],
    );
    await session.change('DELETE FROM journal WHERE set_id = ? AND lsn > ?', [this.#set, after]);
  }

  async #sumAt(session: MysqlSession, at: number): Promise<Uint8Array | null> {
    const sql = 'SELECT sum FROM journal WHERE set_id = ? AND lsn = ?';
    const [row] = await session.select(sql, [this.#set, at]);
    return row === undefined ? null : bytesOf(row['sum']);
  }
}

/** Rows of the next page, by the mean size so far: about as much as is still wanted. */
export function nextPage(args: { size: number; count: number; rest: number }): number {
  const mean = Math.max(1, args.size / Math.max(1, args.count));
  const fit = Math.ceil(args.rest / mean) + 1;
  return Math.min(PAGE_ROWS_MAX, Math.max(PAGE_ROWS_FIRST, fit));
}

/** Plain bytes of its own: the driver hands out views of what came over the network. */
function ownEntry(entry: Entry): Entry {
  return {
    ...entry,
    leaderId: new Uint8Array(entry.leaderId),
    prev: new Uint8Array(entry.prev),
    sum: new Uint8Array(entry.sum),
    payload: new Uint8Array(entry.payload),
  };
}

function isSame(a: Entry, b: Entry): boolean {
  const other = toRow(b);
  return toRow(a).every((value, at) => {
    const wanted = other[at];
    return value instanceof Uint8Array && wanted instanceof Uint8Array
      ? equalBytes(value, wanted)
      : value === wanted;
  });
}
