import { ReplicaJournals } from '../../reconciler/audit/replicas.ts';
import type { JournalFinding, JournalRow } from '../../reconciler/audit/replicas.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { ReplicaReader } from './reader.ts';

/** Payload of a replica's journal that is in memory at a time. */
const PAGE_BYTES = 2 * 1_048_576;

/** How far the replicas of a Set were, when they were asked. */
type Ends = {
  /** Heads by replica, in the order of the readers. */
  readonly heads: readonly number[];
  /** The greatest LSN that any of them knows to be committed. */
  readonly commitLsn: number;
};

type Lane = {
  rows: JournalRow[];
  at: number;
  isOver: boolean;
  /** It cannot be read any more. */
  isDead: boolean;
  /** Up to here a hole has been said. */
  holeUpTo: number;
};

/**
 * One Set's journal as its replicas together say it, from LSN 1, in pages: memory is a page of each
 * replica. What is wrong on the way is said to `onFinding`.
 */
export class SetFeed {
  readonly #readers: readonly ReplicaReader[];
  readonly #journals: ReplicaJournals;
  readonly #onFinding: (finding: JournalFinding) => void;
  readonly #lanes: Lane[];
  readonly #quorum: number;
  #ends: Ends = { heads: [], commitLsn: 0 };
  #next: Entry | null = null;
  #read = 0;
  /** No copy of the next entry can be believed, or too few have it: nothing above is looked at. */
  #isBlocked = false;

  constructor(args: {
    setId: number;
    readers: readonly ReplicaReader[];
    /** Copies that make an entry committed. */
    quorum: number;
    onFinding: (finding: JournalFinding) => void;
  }) {
    const { setId, readers, onFinding } = args;
    this.#readers = readers;
    this.#onFinding = onFinding;
    this.#journals = new ReplicaJournals({ setId, onFinding });
    this.#lanes = readers.map(() => ({
      rows: [],
      at: 0,
      isOver: false,
      isDead: false,
      holeUpTo: 0,
    }));
    // Of those that cannot be read nothing is known.
    this.#quorum = Math.min(args.quorum, readers.length);
  }

  /** Rows of journals that were read so far. */
  get rows(): number {
    return this.#read;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** The highest LSN that has Q copies or is committed. */
  get limit(): number {
    const { heads, commitLsn } = this.#ends;
    const byHead = heads.toSorted((a, b) => b - a)[this.#quorum - 1] ?? 0;
    return Math.max(commitLsn, byHead);
  }

  /** Newer ends: rows that were written meanwhile are read, too. */
  extend(ends: Ends): void {
    this.#ends = ends;
    for (const lane of this.#lanes) lane.isOver = lane.isDead;
  }

  /** The next entry; null at the end; `load` when {@link load} must be called first. */
  peek(): Entry | null | 'load' {
    if (this.#next !== null || this.#isBlocked) return this.#next;
    const lsn = this.#journals.lsn + 1;
    if (lsn > this.limit) return null;
    if (this.#lanes.some((lane) => !lane.isOver && lane.at >= lane.rows.length)) return 'load';
    const rows: { replica: number; row: JournalRow }[] = [];
    let isMissing = false;
    for (const [replica, lane] of this.#lanes.entries()) {
      const row = lane.rows[lane.at];
      if (row === undefined) continue;
      if (row.lsn === lsn) {
        rows.push({ replica, row });
        lane.at += 1;
      } else isMissing = this.#hole({ replica, lane, lsn }) || isMissing;
    }
    this.#choose({ rows, lsn, isMissing });
    return this.#next;
  }

  /** The entry of {@link peek} is done with. */
  take(): void {
    this.#next = null;
  }

  /** Reads the next page of every replica that has none in memory. */
  async load(): Promise<void> {
    await Promise.all(
      this.#lanes.map(async (lane, replica) => {
        if (lane.isOver || lane.at < lane.rows.length) return;
        const reader = this.#readers[replica];
        const after = lane.rows.at(-1)?.lsn ?? this.#journals.lsn;
        lane.rows = [];
        lane.at = 0;
        try {
          lane.rows = (await reader?.journal({ after, bytes: PAGE_BYTES })) ?? [];
        } catch (error) {
          lane.isDead = true;
          const found = error instanceof Error ? error.message : String(error);
          const words = { expected: 'a journal that can be read', found };
          const lsn = after + 1;
          this.#onFinding({ kind: 'unreadable', replica, lsn, rule: 'L24', ...words });
        }
        lane.isOver = lane.rows.length === 0;
        this.#read += lane.rows.length;
      }),
    );
  }

  /**
   * Above what is agreed on, each replica's rows by themselves: what no quorum has must still be what
   * somebody sealed. A page of each: more is never on its way.
   */
  async readAbove(): Promise<void> {
    if (this.#isBlocked) return;
    const after = this.#journals.lsn;
    for (const [replica, reader] of this.#readers.entries()) {
      if (this.#lanes[replica]?.isDead === true) continue;
      const rows = await reader.journal({ after, bytes: PAGE_BYTES });
      this.#read += rows.length;
      for (const row of rows) this.#journals.above({ replica, row });
    }
  }

  #choose(args: {
    rows: readonly { replica: number; row: JournalRow }[];
    lsn: number;
    isMissing: boolean;
  }): void {
    const { rows, lsn } = args;
    const { commitLsn, heads } = this.#ends;
    const isCommitted = lsn <= commitLsn;
    const chosen = this.#journals.next({ rows, isCommitted });
    if (chosen === null) {
      this.#isBlocked = true;
      const isSaid = args.isMissing || rows.length > 0;
      if (!isSaid) this.#say({ lsn, found: `none of ${heads.length} replicas has it` });
      return;
    }
    if (chosen.copies < this.#quorum) {
      if (!isCommitted) {
        // What a leader without a quorum left: nobody may rely on it.
        this.#isBlocked = true;
        return;
      }
      this.#say({ lsn, found: `${chosen.copies} of ${heads.length} replicas have it` });
    }
    this.#next = chosen.entry;
  }

  #say({ lsn, found }: { lsn: number; found: string }): void {
    const expected = `${this.#quorum} copies of a committed entry`;
    this.#onFinding({ kind: 'too few copies', replica: -1, lsn, rule: 'L2', expected, found });
  }

  /** Rows above one that is not there: said once for each hole. True: it is one. */
  #hole({ replica, lane, lsn }: { replica: number; lane: Lane; lsn: number }): boolean {
    const row = lane.rows[lane.at];
    if (row === undefined) return false;
    if (lane.holeUpTo >= lsn) return true;
    lane.holeUpTo = row.lsn - 1;
    const expected = `an entry, as LSN ${row.lsn} is there`;
    const found = `no row from LSN ${lsn} to ${row.lsn - 1}`;
    this.#onFinding({ kind: 'journal hole', replica, lsn, rule: 'L24', expected, found });
    return true;
  }
}
