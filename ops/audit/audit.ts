/**
 * The full audit: every replica of every Set is read once, its journals are held against each other,
 * the journals of all Sets against SPEC, and the tables of every replica against rows made from the
 * journal. It reads only, beside a cluster that serves or one that is down.
 */
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ClusterBooks } from '../../reconciler/audit/cluster-books.ts';
import type { Whereabouts } from '../../reconciler/audit/cluster-books.ts';
import type { Op } from '../../reconciler/audit/decode.ts';
import { missing } from '../../reconciler/audit/needs.ts';
import { opsOf } from '../../reconciler/audit/set-books.ts';
import { Violation } from '../../reconciler/audit/violation.ts';
import { FindingList } from './findings.ts';
import type { ReplicaReader } from './reader.ts';
import { SetAudit } from './set-audit.ts';
import type { SetFigures } from './set-audit.ts';

/** One Set and how its replicas are opened: again when a line broke. */
export type SetPlan = {
  readonly setId: number;
  readonly replicas: readonly {
    readonly where: string;
    readonly open: () => Promise<ReplicaReader>;
  }[];
};

export type AuditOptions = {
  readonly plans: readonly SetPlan[];
  /** One Set of several: nothing between Sets is looked at. */
  readonly isAlone?: boolean;
  /** Called now and then with the rows that were read so far. */
  readonly onRows?: (rows: number) => void;
};

export type AuditReport = {
  readonly findings: FindingList;
  readonly sets: readonly SetFigures[];
  /** What the books of all Sets ended with, in cents. */
  readonly money: Whereabouts;
  readonly entries: number;
  readonly rows: number;
  readonly seconds: number;
};

/** Never rejects for what is wrong with the data: that is in the report. */
export async function runAudit(options: AuditOptions): Promise<AuditReport> {
  const began = performance.now();
  const findings = new FindingList();
  const readers: ReplicaReader[] = [];
  const audits: SetAudit[] = [];
  try {
    for (const { setId, replicas } of options.plans) {
      const opened: ReplicaReader[] = [];
      for (const { where, open } of replicas) {
        const reader = await open().catch((error: unknown) =>
          unreadable({ error, where, findings }),
        );
        if (reader !== null) opened.push(reader);
      }
      readers.push(...opened);
      if (opened.length === 0) continue;
      const quorum = Math.floor(replicas.length / 2) + 1;
      audits.push(await SetAudit.open({ setId, quorum, readers: opened, findings }));
    }
    const { isAlone = false, onRows = () => undefined } = options;
    const walk = new Walk({ audits, isAlone, findings, onRows });
    await walk.run();
    const sets: SetFigures[] = [];
    for (const audit of audits) sets.push(await audit.finish());
    const rows = audits.reduce((sum, audit) => sum + audit.rows, 0);
    const seconds = (performance.now() - began) / 1_000;
    const { entries, books } = walk;
    return { findings, sets, money: books.whereabouts(), entries, rows, seconds };
  } finally {
    await Promise.all(audits.map((audit) => audit.close()));
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

function unreadable(args: { error: unknown; where: string; findings: FindingList }): null {
  const { error, where, findings } = args;
  const found = error instanceof Error ? error.message : String(error);
  const expected = 'a replica that can be read';
  findings.add({ kind: 'unreadable', where, place: 'replica', rule: 'L24', expected, found });
  return null;
}

/** One pass over the journals of all Sets, in an order that respects what they say of each other. */
class Walk {
  readonly books: ClusterBooks;
  readonly #audits: readonly SetAudit[];
  readonly #isAlone: boolean;
  readonly #targets: ReadonlyMap<SetAudit, number>;
  readonly #findings: FindingList;
  readonly #onRows: (rows: number) => void;
  #areBooksOpen = true;
  /** Above what journals had at the beginning: only for those who need it. */
  #isBeyond = false;
  entries = 0;

  constructor(args: {
    audits: readonly SetAudit[];
    isAlone: boolean;
    findings: FindingList;
    onRows: (rows: number) => void;
  }) {
    this.#audits = args.audits;
    this.#findings = args.findings;
    this.#onRows = args.onRows;
    this.#isAlone = args.isAlone;
    const sets = args.audits.map(({ setId }) => setId);
    this.books = new ClusterBooks(sets, { history: false });
    this.#targets = new Map(args.audits.map((audit) => [audit, audit.feed.limit]));
  }

  async run(): Promise<void> {
    for (;;) {
      let isMoving = false;
      const waiting: { audit: SetAudit; for: number }[] = [];
      for (const audit of this.#audits) {
        const { moved, waits } = await this.#advance(audit);
        isMoving = moved || isMoving;
        if (waits !== null) waiting.push({ audit, for: waits });
      }
      this.#onRows(this.#audits.reduce((sum, audit) => sum + audit.rows, 0));
      if (waiting.length === 0 || !this.#areBooksOpen) {
        if (waiting.length === 0) return;
        continue;
      }
      if (!isMoving) await this.#help(waiting);
    }
  }

  /** As many entries of one Set as need nobody else's. */
  async #advance(audit: SetAudit): Promise<{ moved: boolean; waits: number | null }> {
    const { feed, setId } = audit;
    const target = this.#targets.get(audit) ?? 0;
    let moved = false;
    for (;;) {
      const entry = feed.peek();
      if (entry === 'load') {
        await feed.load();
        continue;
      }
      if (entry === null || (entry.lsn > target && !this.#isBeyond)) return { moved, waits: null };
      const ops = readOps(entry);
      if (this.#areBooksOpen && ops !== null) {
        const { books } = this;
        const need = this.#isAlone ? null : missing(books, setId, ops);
        // What is above the target is read for others: it need not be read to its end.
        if (need !== null) return { moved, waits: entry.lsn > target ? null : need.set };
      }
      feed.take();
      this.#add({ audit, entry, ops });
      moved = true;
    }
  }

  #add(args: { audit: SetAudit; entry: Entry; ops: readonly Op[] | null }): void {
    const { audit, entry, ops } = args;
    this.entries += 1;
    audit.add(entry, ops);
    if (!this.#areBooksOpen) return;
    try {
      const all = ops ?? opsOf(entry);
      if (this.#isAlone) this.books.set(audit.setId).addOps(entry, all);
      else this.books.addOps(audit.setId, entry, all);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#close(error.message);
    }
  }

  /** Books that met one lie believe nothing more; journals and tables are looked at to the end. */
  #close(message: string): void {
    this.#areBooksOpen = false;
    const rule = message.slice(0, message.indexOf(' Set '));
    const [place = '', ...rest] = message.slice(rule.length + 1).split(': ');
    const at = place.indexOf(', ');
    this.#findings.add({
      kind: 'books',
      where: place.slice(0, at),
      place: place.slice(at + 2),
      rule,
      expected: `what rule ${rule} says`,
      found: rest.join(': '),
    });
    this.#findings.notes.push('the books of all Sets end with the first entry that breaks a rule');
  }

  /**
   * Nobody can go on. Either the others have committed more meanwhile, which is asked once; or an
   * entry names what is nowhere: then the books say which rule that breaks.
   */
  async #help(waiting: readonly { audit: SetAudit; for: number }[]): Promise<void> {
    if (!this.#isBeyond) {
      this.#isBeyond = true;
      for (const audit of this.#audits) await audit.refresh();
      return;
    }
    const blocked = new Set(
      this.#audits.filter(({ feed }) => feed.isBlocked).map(({ setId }) => setId),
    );
    const isExcused = waiting.every((each) => blocked.has(each.for));
    if (isExcused) {
      this.#areBooksOpen = false;
      const names = [...blocked].join(', ');
      this.#findings.notes.push(
        `the books end where they need more of the journal of Set ${names}`,
      );
      return;
    }
    const guilty = waiting.find((each) => !blocked.has(each.for));
    const entry = guilty?.audit.feed.peek();
    if (guilty === undefined || entry === undefined || entry === null || entry === 'load') return;
    guilty.audit.feed.take();
    this.#add({ audit: guilty.audit, entry, ops: readOps(entry) });
    // Whoever waits for it may go on.
  }
}

/** null: the bytes are not of the format, which the books say. */
function readOps(entry: Entry): Op[] | null {
  try {
    return opsOf(entry);
  } catch (error) {
    if (error instanceof Violation) return null;
    throw error;
  }
}
