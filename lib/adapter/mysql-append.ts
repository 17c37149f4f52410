import { assert } from '../core/assert.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import type { SetId } from '../core/units.ts';
import { epoch } from '../core/units.ts';
import type { AppendReply, Fence, Head } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { JOURNAL_COLUMNS, toRow } from './journal-row.ts';
import { DUPLICATE_KEY, errnoOf } from './mysql-errors.ts';
import { bytesOf, numberOf } from './mysql-fence.ts';
import type { MysqlSession, SqlValue } from './mysql-session.ts';

/** Entries of one statement: a lagging replica's whole window (P10). */
const STATEMENT_ENTRIES_MAX = 64;
/** Several rows pass through a table in the server's memory, which holds none larger than 64 KiB. */
const SHARED_BYTES_MAX = 32_768;

/** Somebody else changes the journal meanwhile at most so often before the caller is told. */
const TRIES_MAX = 4;

const COLUMNS = JOURNAL_COLUMNS.join(', ');
const CONDITIONS = `f.set_id = ? AND f.fence_epoch = ? AND f.fence_owner = ? AND f.incarnation = ?
  AND f.incarnation = (SELECT a.incarnation FROM alive a WHERE a.set_id = f.set_id)`;
const BEFORE = 'JOIN journal p ON p.set_id = f.set_id AND p.lsn = ? AND p.sum = ?';
/** In a union a parameter has no type of its own. */
const BYTES = new Set(['leader_id', 'prev', 'sum', 'payload']);

/** P6, to the letter: fence, chain and proof of life are conditions of the one insert. */
const APPEND_ONE = `INSERT INTO journal (${COLUMNS})
  SELECT ${JOURNAL_COLUMNS.map(() => '?').join(', ')} FROM replica_state f ${BEFORE}
  WHERE ${CONDITIONS} FOR UPDATE`;

const appendTexts = new Map<number, string>();

/** Several chained entries: only the first has one before it that must be looked for. */
function appendMany(count: number): string {
  let text = appendTexts.get(count);
  if (text === undefined) {
    const names = JOURNAL_COLUMNS.map((column) => {
      if (column === 'kind') return `CAST(? AS CHAR(16)) AS ${column}`;
      if (BYTES.has(column)) return `CAST(? AS BINARY) AS ${column}`;
      return `CAST(? AS SIGNED) AS ${column}`;
    });
    const rows = Array.from({ length: count }, () => `SELECT ${names.join(', ')}`);
    text = `INSERT INTO journal (${COLUMNS})
      SELECT ${JOURNAL_COLUMNS.map((column) => `v.${column}`).join(', ')}
      FROM replica_state f ${BEFORE} JOIN (${rows.join(' UNION ALL ')}) v
      WHERE ${CONDITIONS} ORDER BY v.lsn FOR UPDATE`;
    appendTexts.set(count, text);
  }
  return text;
}

/** Statements to prepare on a new connection: the usual append is one round trip from the first on. */
export const APPEND_PREPARED = APPEND_ONE;

/**
 * Entries into the journal of one replica. No transaction stays open across a round trip: each
 * insert is one statement that commits itself, and so is the read that explains a refusal.
 */
export class MysqlAppender {
  readonly #set: SetId;
  readonly #head: (session: MysqlSession) => Promise<Head>;

  constructor(set: SetId, head: (session: MysqlSession) => Promise<Head>) {
    this.#set = set;
    this.#head = head;
  }

  async append(
    session: MysqlSession,
    args: { fence: Fence; entries: readonly Entry[]; renew: () => void },
  ): Promise<AppendReply> {
    const { fence, renew } = args;
    let reply: AppendReply | null = null;
    for (const entries of statementsOf(args.entries)) {
      // Each statement has the whole time: only catching up takes more than one.
      if (reply !== null) renew();
      reply = await this.#appendSome(session, { fence, entries });
      if (reply.kind !== 'acked') return reply;
    }
    assert(reply !== null, 'an append has entries');
    return reply;
  }

  async #appendSome(
    session: MysqlSession,
    { fence, entries }: { fence: Fence; entries: readonly Entry[] },
  ): Promise<AppendReply> {
    const last = entries.at(-1);
    assert(last !== undefined, 'a statement has entries');
    const acked: AppendReply = { kind: 'acked', lsn: last.lsn };
    let rest = entries;
    for (let time = 0; time < TRIES_MAX; time++) {
      if (await this.#insert(session, { fence, entries: rest })) return acked;
      const found = await this.#explain(session, { fence, entries: rest });
      if (typeof found !== 'number') return found;
      // What is there byte for byte counts; the rest goes again, after it.
      rest = rest.slice(found);
      if (rest.length === 0) return acked;
    }
    throw new StoreError('unknown', 'the journal changes under an append');
  }

  async #insert(
    session: MysqlSession,
    { fence, entries }: { fence: Fence; entries: readonly Entry[] },
  ): Promise<boolean> {
    const first = entries[0] as Entry;
    const rows = entries.flatMap((entry): SqlValue[] => toRow(entry));
    const before: SqlValue[] = [first.lsn - 1, first.prev];
    const by: SqlValue[] = [this.#set, fence.epoch, fence.owner, fence.incarnation];
    try {
      const changed =
        entries.length === 1
          ? await session.change(APPEND_ONE, [...rows, ...before, ...by])
          : await session.change(appendMany(entries.length), [...before, ...rows, ...by]);
      return changed === entries.length;
    } catch (error) {
      if (errnoOf(error) === DUPLICATE_KEY) return false;
      throw error;
    }
  }

  /**
   * Why an insert changed nothing, read under the fence lock: a plain read may say no while the
   * same bytes, sent before, are being committed. A number: so many of the entries are there.
   */
  async #explain(
    session: MysqlSession,
    { fence, entries }: { fence: Fence; entries: readonly Entry[] },
  ): Promise<AppendReply | number> {
    const first = entries[0] as Entry;
    const rows = await session.select(
      `SELECT f.fence_epoch, f.fence_owner, f.incarnation,
         (SELECT a.incarnation FROM alive a WHERE a.set_id = f.set_id) AS alive, j.lsn, j.sum
       FROM replica_state f
       LEFT JOIN journal j ON j.set_id = f.set_id AND j.lsn BETWEEN ? AND ?
       WHERE f.set_id = ? ORDER BY j.lsn FOR UPDATE`,
      [first.lsn - 1, first.lsn + entries.length - 1, this.#set],
    );
    const row = rows[0];
    if (row === undefined) return { kind: 'no_vote' };
    const fenceEpoch = epoch(numberOf(row['fence_epoch']));
    if (fenceEpoch !== fence.epoch || !equalBytes(bytesOf(row['fence_owner']), fence.owner)) {
      return { kind: 'fenced', fenceEpoch };
    }
    if (row['incarnation'] !== fence.incarnation || row['alive'] !== fence.incarnation) {
      return { kind: 'no_vote' };
    }
    const sums = new Map<number, Uint8Array>();
    for (const { lsn, sum } of rows) if (lsn !== null) sums.set(numberOf(lsn), bytesOf(sum));
    const before = sums.get(first.lsn - 1);
    if (before === undefined || !equalBytes(before, first.prev)) {
      return { kind: 'mismatch', head: await this.#head(session) };
    }
    for (const [index, entry] of entries.entries()) {
      const there = sums.get(entry.lsn);
      if (there === undefined) return index;
      if (!equalBytes(there, entry.sum)) {
        return { kind: 'mismatch', head: await this.#head(session) };
      }
    }
    return entries.length;
  }
}

/** Entries in the pieces that go into one statement each: a large one goes alone. */
export function* statementsOf(entries: readonly Entry[]): Generator<readonly Entry[]> {
  let start = 0;
  for (const [index, entry] of entries.entries()) {
    if (index === start) continue;
    const before = entries[index - 1];
    const isLarge = [before, entry].some((each) => (each?.payload.length ?? 0) > SHARED_BYTES_MAX);
    if (isLarge || index - start >= STATEMENT_ENTRIES_MAX) {
      yield entries.slice(start, index);
      start = index;
    }
  }
  if (start < entries.length) yield entries.slice(start);
}
