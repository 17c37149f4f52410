/**
 * Journals for the flight recorder, by the audit's readers: plain SQL, none of the program's own
 * code for rows. Only what is committed is told, and only while checksums and chain hold.
 */
import type { Entry } from '../../lib/core/journal-entry.ts';
import { sumOf } from '../../reconciler/audit/sum.ts';
import type { SetPlan } from '../audit/audit.ts';
import type { ReplicaReader } from '../audit/reader.ts';

const PAGE_BYTES = 2 * 1_048_576;
const ZEROS = new Uint8Array(32);

/** Why a journal cannot be told; the message names Set and LSN. */
export class JournalProblem extends Error {
  override readonly name = 'JournalProblem';
}

/** One Set's committed journal, read from the replica that has most of it. */
export class SetJournal {
  readonly setId: number;
  /** Those that could be opened. */
  readonly readers: readonly ReplicaReader[];
  readonly #source: ReplicaReader;
  #limit: number;
  #last = 0;
  #sum: Uint8Array = ZEROS;

  private constructor(args: {
    setId: number;
    readers: readonly ReplicaReader[];
    limit: number;
    source: ReplicaReader;
  }) {
    this.setId = args.setId;
    this.readers = args.readers;
    this.#limit = args.limit;
    this.#source = args.source;
  }

  /** Rejects with JournalProblem when no replica can be read. */
  static async open({ setId, replicas }: SetPlan): Promise<SetJournal> {
    const opened = await Promise.allSettled(replicas.map((replica) => replica.open()));
    const readers = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const states = await Promise.all(readers.map((reader) => reader.state()));
    const limit = Math.max(0, ...states.map(({ commitLsn }) => commitLsn));
    const source = readers.find((_, index) => (states[index]?.headLsn ?? 0) >= limit);
    if (source === undefined) {
      await Promise.all(readers.map((reader) => reader.close()));
      throw new JournalProblem(`Set ${setId}: no replica can be read`);
    }
    return new SetJournal({ setId, readers, limit, source });
  }

  /** Everything up to it is committed, by the word of one replica at least. */
  get limit(): number {
    return this.#limit;
  }

  /** Asks again how far it goes; {@link entries} then goes on from where it ended. */
  async refresh(): Promise<void> {
    const states = await Promise.all(this.readers.map((reader) => reader.state()));
    const { headLsn } = await this.#source.state();
    const limit = Math.max(this.#limit, ...states.map(({ commitLsn }) => commitLsn));
    this.#limit = Math.min(limit, headLsn);
  }

  /** Committed entries in order. Throws JournalProblem at the first that is not as it was sealed. */
  async *entries(): AsyncGenerator<Entry> {
    while (this.#last < this.#limit) {
      const rows = await this.#source.journal({ after: this.#last, bytes: PAGE_BYTES });
      const { where } = this.#source;
      for (const { lsn, entry, problem } of rows) {
        if (lsn > this.#limit) return;
        const bad = (why: string): JournalProblem =>
          new JournalProblem(`${where}, LSN ${lsn}: ${why}; ./hongbao audit says more`);
        if (entry === null) throw bad(problem);
        if (lsn !== this.#last + 1) throw bad(`it stands after LSN ${this.#last}`);
        if (!sumOf(entry).equals(entry.sum)) throw bad('the checksum does not match');
        if (Buffer.compare(entry.prev, this.#sum) !== 0) throw bad('not chained to the one before');
        this.#sum = entry.sum;
        this.#last = lsn;
        yield entry;
      }
      if (rows.length === 0) {
        throw new JournalProblem(`${where}: the journal ends at LSN ${this.#last}`);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.close()));
  }
}

/** Opens the journals of all Sets; none stays open when one cannot be. */
export async function openJournals(plans: readonly SetPlan[]): Promise<SetJournal[]> {
  const opened: SetJournal[] = [];
  try {
    for (const plan of plans) opened.push(await SetJournal.open(plan));
    return opened;
  } catch (error) {
    await Promise.all(opened.map((journal) => journal.close()));
    throw error;
  }
}
