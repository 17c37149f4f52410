import type { Entry } from '../../lib/core/journal-entry.ts';
import { ClusterBooks } from './cluster-books.ts';
import type { Op } from './decode.ts';
import type { ClusterDump } from './dump.ts';
import { readEntry } from './entry.ts';
import { holdMemory } from './memory.ts';
import type { Horizon, Need } from './needs.ts';
import { isWithin, missing, textOf } from './needs.ts';
import { NotTheFormat } from './reader.ts';
import { opsOf } from './set-books.ts';
import { Violation } from './violation.ts';

/** Entries of one Set that were read and not judged yet are at most so many bytes, and a page. */
const QUEUE_BYTES_MAX = 2 * 1_048_576;

/** The first counter-example of a Set. */
export type Finding = {
  readonly set: number;
  /** The number that the message begins with. */
  readonly rule: string;
  readonly message: string;
  /** The books of this Set go no further. */
  readonly stops: boolean;
};

type Queued = { readonly entry: Entry; readonly bytes: number; ops: readonly Op[] | null };
type Wait = { readonly need: Need; readonly since: number };
type Line = {
  readonly setId: number;
  queue: Queued[];
  /** Place of the next one in the queue. */
  at: number;
  queuedBytes: number;
  queuedTo: number;
  wait: Wait | null;
  horizon: { readonly asked: number; readonly value: Horizon } | null;
  /** To be compared when the books come to its LSN. */
  memory: Horizon | null;
  /** The most of it that is known to be committed, and when that was asked; null: nobody said. */
  commit: { readonly lsn: number; readonly atMs: number } | null;
  caughtUpMs: number;
  isStopped: boolean;
};

/**
 * Gives the entries of all Sets to the books in an order that commits could have had (SPEC AU2): one
 * that uses what another Set has not shown yet waits. It is judged when it can be, or when a word of
 * that Set's leader, asked for after the entry was read, proves that what it uses is not there.
 */
export class Feed {
  readonly #books: ClusterBooks;
  readonly #lines = new Map<number, Line>();
  readonly #onFinding: (finding: Finding) => void;
  /** Counts questions: what was asked later knows more. */
  #asked = 0;

  /** `nowMs` is monotonic: what was never judged counts as late from then on. */
  constructor(args: {
    sets: readonly number[];
    nowMs: number;
    onFinding: (finding: Finding) => void;
    from: ClusterDump | null;
  }) {
    this.#books = new ClusterBooks([], { history: false });
    this.#onFinding = args.onFinding;
    if (args.from !== null) this.#books.restore(args.from);
    for (const { setId } of this.#books.sets()) this.#open(setId, args.nowMs);
    for (const setId of args.sets) this.addSet(setId, args.nowMs);
  }

  get books(): ClusterBooks {
    return this.#books;
  }

  /** A Set that is known already stays as it is. */
  addSet(setId: number, nowMs: number): void {
    if (this.#books.has(setId)) return;
    this.#books.addSet(setId);
    this.#open(setId, nowMs);
  }

  #open(setId: number, nowMs: number): void {
    this.#lines.set(setId, {
      setId,
      queue: [],
      at: 0,
      queuedBytes: 0,
      queuedTo: this.#books.set(setId).lsn,
      wait: null,
      horizon: null,
      memory: null,
      commit: null,
      caughtUpMs: nowMs,
      isStopped: false,
    });
  }

  /** The LSN after which this Set's next page is to be read; null: not now, or never again. */
  next(setId: number): number | null {
    const line = this.#line(setId);
    return line.isStopped || line.queuedBytes >= QUEUE_BYTES_MAX ? null : line.queuedTo;
  }

  isStopped(setId: number): boolean {
    return this.#line(setId).isStopped;
  }

  get isBroken(): boolean {
    return [...this.#lines.values()].some(({ isStopped }) => isStopped);
  }

  /** How long this Set's committed entries have waited for their judgement, milliseconds. */
  lagMs(setId: number, nowMs: number): number {
    return Math.max(0, nowMs - this.#line(setId).caughtUpMs);
  }

  /** What an entry waits for, in words; null: nothing. */
  waitOf(setId: number): string | null {
    const { wait } = this.#line(setId);
    return wait === null ? null : textOf(wait.need);
  }

  /** The next page of a Set's journal (F6 each), all of it committed up to `commitLsn` when asked. */
  offer(
    setId: number,
    page: { entries: readonly Uint8Array[]; commitLsn: number; atMs: number },
  ): void {
    const line = this.#line(setId);
    if (line.isStopped) return;
    for (const bytes of page.entries) {
      let entry: Entry;
      try {
        entry = readEntry(bytes);
      } catch (error) {
        if (!(error instanceof NotTheFormat)) throw error;
        this.#stop(line, `${error.message} in the entry after LSN ${line.queuedTo}`);
        return;
      }
      line.queue.push({ entry, bytes: bytes.length, ops: null });
      line.queuedBytes += bytes.length;
      line.queuedTo = entry.lsn;
    }
    this.#hear(line, { lsn: page.commitLsn, atMs: page.atMs });
  }

  /** To be taken before a Set's leader is asked for its horizon. */
  ask(): number {
    return ++this.#asked;
  }

  /** Does somebody wait for this Set, without a word of its leader that is new enough? */
  wantsHorizon(setId: number): boolean {
    const asked = this.#line(setId).horizon?.asked ?? 0;
    for (const { wait, isStopped } of this.#lines.values()) {
      if (wait?.need.set === setId && !isStopped && asked <= wait.since) return true;
    }
    return false;
  }

  /**
   * The leader's own word, confirmed, asked for with the token of {@link ask} when the books of its
   * Set had come to `seenLsn` (default 0): what was committed then, its leader has.
   */
  horizon(
    setId: number,
    args: { asked: number; atMs: number; value: Horizon; seenLsn?: number },
  ): void {
    const line = this.#line(setId);
    const { asked, value, seenLsn = 0 } = args;
    if (value.lsn < seenLsn && !line.isStopped) {
      const what = `its leader is at LSN ${value.lsn}, after LSN ${seenLsn} was committed`;
      this.#onFinding(findingOf(setId, { message: `AU6 Set ${setId}: ${what}`, stops: false }));
      return;
    }
    if (line.horizon === null || asked > line.horizon.asked) line.horizon = { asked, value };
    // The first that can be compared is: a newer one would be out of reach again and again.
    line.memory ??= value;
    this.#compare(line);
    this.#hear(line, { lsn: value.lsn, atMs: args.atMs });
  }

  /** Judges entries while `mayGoOn`. True: there was more to do when it ended. */
  advance(mayGoOn: () => boolean): boolean {
    for (;;) {
      let moved = false;
      for (const line of this.#lines.values()) {
        while (this.#step(line)) {
          moved = true;
          if (mayGoOn()) continue;
          // The others are first next time: who is read faster than judged must not stand before them.
          this.#lines.delete(line.setId);
          this.#lines.set(line.setId, line);
          return true;
        }
      }
      if (!moved && !this.#breakCircle()) return false;
    }
  }

  /** Judges the next entry of a Set. False: there is none, or it waits. */
  #step(line: Line): boolean {
    const next = line.queue[line.at];
    if (next === undefined || line.isStopped) return false;
    try {
      if (next.ops === null) {
        this.#books.set(line.setId).holdHead(next.entry);
        next.ops = opsOf(next.entry);
      }
      const need = missing(this.#books, line.setId, next.ops);
      if (need !== null && !this.#isProvedMissing(line, need)) return false;
      line.wait = null;
      this.#books.addOps(line.setId, next.entry, next.ops);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#stop(line, error.message);
      return true;
    }
    line.at += 1;
    line.queuedBytes -= next.bytes;
    if (line.at === line.queue.length || line.at >= 1_024) {
      line.queue = line.queue.slice(line.at);
      line.at = 0;
    }
    this.#compare(line);
    this.#note(line);
    return true;
  }

  /** Asked after the entry was read, its leader has not what is needed; or has shown all it had. */
  #isProvedMissing(line: Line, need: Need): boolean {
    line.wait = { need, since: line.wait?.since ?? this.#asked };
    const horizon = this.#fresh(line);
    if (horizon === null) return false;
    return !isWithin(horizon, need) || this.#books.set(need.set).lsn >= horizon.lsn;
  }

  /** The horizon of who is waited for, when it was asked late enough. */
  #fresh({ wait }: Line): Horizon | null {
    const there = wait === null ? undefined : this.#lines.get(wait.need.set);
    const horizon = there?.horizon ?? null;
    return horizon !== null && wait !== null && horizon.asked > wait.since ? horizon.value : null;
  }

  /** Entries that wait for each other in a circle: no order of commits could have been that. */
  #breakCircle(): boolean {
    for (const line of this.#lines.values()) {
      const circle: Line[] = [];
      let at: Line | undefined = line;
      while (at !== undefined && !circle.includes(at)) {
        if (at.isStopped || this.#fresh(at) === null) break;
        circle.push(at);
        at = this.#lines.get(at.wait?.need.set ?? -1);
      }
      if (at !== line || circle.length < 2) continue;
      const whats = circle.map(({ setId, queue, at: place, wait }) => {
        const lsn = queue[place]?.entry.lsn;
        return `Set ${setId}, LSN ${lsn} uses ${wait === null ? '' : textOf(wait.need)}`;
      });
      const message = `AU2 Set ${line.setId}: a circle: ${whats.join('; ')}`;
      for (const each of circle) this.#stop(each, message);
      return true;
    }
    return false;
  }

  #stop(line: Line, message: string): void {
    line.isStopped = true;
    line.queue = [];
    line.at = 0;
    line.queuedBytes = 0;
    this.#books.markBroken(line.setId);
    this.#onFinding(findingOf(line.setId, { message, stops: true }));
  }

  #compare(line: Line): void {
    const { memory } = line;
    const books = this.#books.set(line.setId);
    if (memory === null || memory.lsn > books.lsn || line.isStopped) return;
    line.memory = null;
    // What the books have passed can be compared no more; the next one will be.
    if (memory.lsn < books.lsn) return;
    try {
      holdMemory(books, memory);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#onFinding(findingOf(line.setId, { message: error.message, stops: false }));
    }
  }

  /** A standby may lag: what is committed is the most that anybody said. */
  #hear(line: Line, commit: { lsn: number; atMs: number }): void {
    if (commit.lsn >= (line.commit?.lsn ?? 0)) line.commit = commit;
    this.#note(line);
  }

  #note({ setId, commit, isStopped }: Line): void {
    if (commit === null || isStopped || this.#books.set(setId).lsn < commit.lsn) return;
    const line = this.#line(setId);
    line.caughtUpMs = Math.max(line.caughtUpMs, commit.atMs);
  }

  #line(setId: number): Line {
    const line = this.#lines.get(setId);
    if (line === undefined) throw new Error(`there is no Set ${setId}`);
    return line;
  }
}

function findingOf(set: number, found: { message: string; stops: boolean }): Finding {
  const { message, stops } = found;
  const rule = /^(rulings \d+|\S+)/.exec(message)?.[0] ?? '';
  return { set, rule, message, stops };
}
