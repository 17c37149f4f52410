import { DecodeError, equalBytes } from '../core/bytes.ts';
import type { Entry } from '../core/journal-entry.ts';
import { CorruptEntry, unseal } from '../core/journal-entry.ts';
import type { Lsn, SetId } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import type { Clock } from '../port/clock.ts';
import type { Schema } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import type { Chunk, MysqlChunks } from './mysql-chunks.ts';
import { numberOf } from './mysql-fence.ts';
import type { MysqlJournal } from './mysql-journal.ts';
import { nextPage } from './mysql-journal.ts';
import type { MysqlLine } from './mysql-line.ts';
import type { MysqlSession } from './mysql-session.ts';
import type { Step } from './mysql-steps.ts';
import { runStep, stepsOf } from './mysql-steps.ts';
import { remakeTables, tablesSum } from './mysql-tables.ts';
import { sha256 } from './node-crypto.ts';

const CHUNK_ENTRIES_MAX = 2_000;
const CHUNK_BYTES_MAX = 4 * 1_048_576;
const CHUNK_BYTES_MIN = 65_536;
const CHUNK_BYTES_START = 524_288;
/** A transaction of about so long: large enough to be cheap, short enough for a purge and a stop. */
const CHUNK_TARGET_MS = 200;
/** A chunk's reads, and its transaction. */
const CHUNK_WITHIN_MS = 10_000;
const NO_SUM = new Uint8Array(0);

type State = { from: number; committed: number; prev: Uint8Array | null; isOurs: boolean };

/** Projection tables of one replica in its MySQL database, filled from the journal. */
export class MysqlProjection {
  readonly #set: SetId;
  readonly #schema: Schema;
  readonly #tablesSum: Uint8Array;
  readonly #journal: MysqlJournal;
  readonly #clock: Clock;
  readonly #reads: MysqlLine;
  readonly #writes: MysqlLine;
  readonly #chunks: MysqlChunks;
  #chunkBytes = CHUNK_BYTES_START;
  #rowsHint = 64;
  #isStopping = false;

  constructor(args: {
    set: SetId;
    schema: Schema;
    journal: MysqlJournal;
    clock: Clock;
    /** Two connections: the next chunk is read while this one is written. */
    reads: MysqlLine;
    writes: MysqlLine;
    /** What siblings have made, and what they may take from this one. */
    chunks: MysqlChunks;
  }) {
    this.#set = args.set;
    this.#schema = args.schema;
    this.#tablesSum = tablesSum(args.schema.tables);
    this.#journal = args.journal;
    this.#clock = args.clock;
    this.#reads = args.reads;
    this.#writes = args.writes;
    this.#chunks = args.chunks;
  }

  /** Chunk by chunk up to `to` or the commit point, each with its LSN in one transaction. */
  async project(to: Lsn): Promise<Lsn> {
    const state = await this.#on(this.#writes, (session) => this.#prepare(session));
    const end = Math.min(to, state.committed);
    let { from } = state;
    let reading = from < end ? this.#read({ from, end, sum: state.prev }) : null;
    while (reading !== null) {
      const chunk = await reading;
      const isLast = chunk.until >= end || this.#isStopping;
      reading = isLast
        ? null
        : this.#read({ from: chunk.until, end, sum: chunk.sums.at(-1) ?? null });
      // What is wrong with the next chunk is said when its turn comes.
      reading?.catch(() => undefined);
      await this.#on(this.#writes, (session) => this.#write(session, chunk));
      from = chunk.until;
    }
    return lsn(from);
  }

  /** The chunk under way is the last. */
  stop(): void {
    this.#isStopping = true;
  }

  #on<T>(line: MysqlLine, work: (session: MysqlSession) => Promise<T>): Promise<T> {
    return line.run({ withinMs: CHUNK_WITHIN_MS, writes: line === this.#writes, work });
  }

  async #prepare(session: MysqlSession): Promise<State> {
    const state = await this.#state(session);
    if (state.isOurs) return state;
    await remakeTables(session, { set: this.#set, tables: this.#schema.tables });
    return this.#state(session);
  }

  async #state(session: MysqlSession): Promise<State> {
    const [row] = await session.select(
      `SELECT p.projected_lsn AS projected, c.commit_lsn AS committed, j.sum AS sum,
         p.tables_sum = ? AS same
       FROM projection_state p JOIN commit_point c ON c.set_id = p.set_id
       LEFT JOIN journal j ON j.set_id = p.set_id AND j.lsn = p.projected_lsn
       WHERE p.set_id = ?`,
      [this.#tablesSum, this.#set],
    );
    const sum = row?.['sum'];
    return {
      from: numberOf(row?.['projected']),
      committed: numberOf(row?.['committed']),
      prev: sum instanceof Uint8Array ? new Uint8Array(sum) : null,
      isOurs: row?.['same'] === 1,
    };
  }

  async #read(args: { from: number; end: number; sum: Uint8Array | null }): Promise<Chunk> {
    const { from, sum: prev } = args;
    if (prev === null) throw this.#corrupt(from, 'the projected row is missing');
    const made = await this.#chunks.find({ ...args, prev });
    if (made !== null && (await this.#hasSame(made))) return made;
    const end = this.#chunks.endOf(args);
    return this.#chunks.make(from, () => this.#make({ from, end, prev }));
  }

  /**
   * RS12k: a chunk that a sibling has verified is ours when our own journal says of each LSN that it
   * has the very same entry. With another one, or a hole, we read our own and say what is wrong.
   */
  async #hasSame({ from, until, sums }: Chunk): Promise<boolean> {
    const ours = await this.#on(this.#reads, (session) =>
      this.#journal.sums(session, { after: from, until }),
    );
    return (
      ours.length === sums.length && ours.every((sum, at) => equalBytes(sum, sums[at] ?? NO_SUM))
    );
  }

  async #make(args: { from: number; end: number; prev: Uint8Array }): Promise<Chunk> {
    const { from, prev } = args;
    const { entries, bytes } = await this.#on(this.#reads, (session) =>
      this.#readEntries(session, args),
    );
    const last = entries.at(-1);
    if (last === undefined) throw this.#corrupt(from + 1, 'a committed row is missing');
    const sums = entries.map((entry) => entry.sum);
    return { from, until: last.lsn, prev, sums, bytes, steps: this.#steps(entries) };
  }

  /** Entries are checked once more before people see them: a flipped byte never becomes a number. */
  async #readEntries(
    session: MysqlSession,
    args: { from: number; end: number; prev: Uint8Array },
  ): Promise<{ entries: Entry[]; bytes: number }> {
    const entries: Entry[] = [];
    let { prev } = args;
    let bytes = 0;
    const wanted = Math.min(CHUNK_ENTRIES_MAX, args.end - args.from);
    while (entries.length < wanted && bytes < this.#chunkBytes) {
      const after = args.from + entries.length;
      const rows = Math.min(this.#rowsHint, wanted - entries.length);
      const page = await this.#journal.page(session, { after, rows });
      for (const entry of page) {
        if (entry.lsn !== args.from + entries.length + 1 || bytes >= this.#chunkBytes) break;
        try {
          unseal({ entry, prev, hash: sha256 });
        } catch (error) {
          if (!(error instanceof CorruptEntry)) throw error;
          throw new StoreError('corrupt', error.message, { cause: error });
        }
        bytes += entry.payload.length;
        entries.push(entry);
        prev = entry.sum;
      }
      if (page.length < rows) break;
      const rest = Math.max(0, this.#chunkBytes - bytes);
      this.#rowsHint = nextPage({ size: bytes, count: entries.length, rest });
    }
    // The next chunk begins with about as many.
    const rest = this.#chunkBytes;
    this.#rowsHint = nextPage({ size: bytes, count: entries.length, rest });
    return { entries, bytes };
  }

  #steps(entries: readonly Entry[]): Step[] {
    try {
      return stepsOf(this.#schema.tables, this.#schema.project(entries));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const first = entries[0]?.lsn ?? 0;
      const reason = `up to LSN ${entries.at(-1)?.lsn ?? 0}: ${error.message}`;
      throw this.#corrupt(first, reason, { cause: error });
    }
  }

  async #write(session: MysqlSession, chunk: Chunk): Promise<void> {
    const started = this.#clock.monotonicMs();
    await session.transaction(async () => {
      // First this row, under which a second projector waits (rulings 10).
      const moved = await session.change(
        `UPDATE projection_state SET projected_lsn = ?
         WHERE set_id = ? AND projected_lsn = ? AND tables_sum = ?`,
        [chunk.until, this.#set, chunk.from, this.#tablesSum],
      );
      if (moved !== 1) throw new StoreError('unavailable', 'another process projects as well');
      for (const step of chunk.steps) await runStep(session, step);
    });
    if (chunk.bytes < this.#chunkBytes) return;
    const slower = (this.#clock.monotonicMs() - started) / CHUNK_TARGET_MS;
    const fit = Math.floor(this.#chunkBytes / Math.min(2, Math.max(0.5, slower)));
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, fit));
  }

  #corrupt(at: number, reason: string, options?: ErrorOptions): StoreError {
    return new StoreError('corrupt', `Set ${this.#set}, LSN ${at}: ${reason}`, options);
  }
}
