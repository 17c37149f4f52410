import { LIMITS } from '../../lib/core/limits.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock, Timer } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { within } from '../log/ask-all.ts';
import type { SetLog } from '../log/set-log.ts';

/** Large batches cost little; the tail has what the tables lack. */
const IDLE_MS = 300;
const RETRY_MS = 1_000;
/** A replica that came back while nothing is committed gets its tables all the same. */
const LOOK_MS = 2_000;
const BUG_RETRY_MS = 10_000;
/** A replica that does not answer a question by then is passed over for the next. */
const PATIENCE_MS = 1_000;
/** What was committed a moment ago is in the tables soon: a reader who must see it waits so long. */
const REACH_MS = 1_000;
/** A stopped replica does not hold up a clean end: the tables are brought up by the next leader. */
const FINISH_MS = 1_000;
/** A piece of work on the tables, about: between two of them a busy leader is let through. */
const PIECE_MS = 100;
const PIECE_ENTRIES_MIN = 8;
const PIECE_ENTRIES_FIRST = 64;
const PIECE_ENTRIES_MAX = 4_096;
/** While the leader is busy the tables get one part in so many, until they are this far behind. */
const YIELD_FACTOR = 9;
const YIELD_LAG_MS = LIMITS.projectionLagMsMax / 3;
/** How often it is noted when an LSN was committed. */
const SAMPLE_MS = 100;
/** Twice what admission lets through. */
const SAMPLES_MAX = (2 * LIMITS.projectionLagMsMax) / SAMPLE_MS;

/** Keeps the query tables of every replica close behind the commit point (P11, design 3). */
export class Projections {
  readonly #replicas: readonly ReplicaStore[];
  readonly #quorum: number;
  readonly #setLog: SetLog;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #setId: SetId;
  readonly #isBusy: () => boolean;
  readonly #lsns: Lsn[];
  /** Up to where this leader's memory has been let go of. */
  #forgotten: Lsn;
  /**
   * Entries of a piece, a power of two: pieces of all replicas end at its multiples, because what is
   * made of a piece for one replica serves its siblings (RS12k).
   */
  #piece = PIECE_ENTRIES_FIRST;
  /** When commit points were reached that Q tables do not show yet, ascending. */
  #samples: { readonly lsn: Lsn; readonly atMs: number }[] = [];
  readonly #running = new Set<number>();
  readonly #failing = new Set<number>();
  /** Did not answer the last question in time: asked after the others. */
  readonly #slow = new Set<number>();
  /** Readers who wait for a table to come further. */
  #waiting: (() => void)[] = [];
  #timer: Timer | null = null;
  #looking: Timer | null = null;
  #stopped = false;

  constructor(args: {
    setId: SetId;
    replicas: readonly ReplicaStore[];
    quorum: number;
    setLog: SetLog;
    adoptedLsn: Lsn;
    clock: Clock;
    log: Log;
    /** Do commands wait for the machine? Then the tables wait, within limits (rulings 24). */
    isBusy: () => boolean;
  }) {
    this.#isBusy = args.isBusy;
    this.#replicas = args.replicas;
    this.#quorum = args.quorum;
    this.#setLog = args.setLog;
    // What earlier leaders forgot was adopted.
    this.#forgotten = args.adoptedLsn;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#setId = args.setId;
    this.#lsns = args.replicas.map(() => lsn(0));
  }

  /** The LSN that Q replicas show. It falls when one loses its disk. */
  quorumLsn(): Lsn {
    const sorted = [...this.#lsns].sort((a, b) => b - a);
    return sorted[this.#quorum - 1] ?? lsn(0);
  }

  /** What lies at or below leaves memory now: the caller forgets it, and readers must show it. */
  letGo(): Lsn {
    const shown = this.quorumLsn();
    this.#forgotten = lsn(Math.max(this.#forgotten, shown));
    return shown;
  }

  get lagEntries(): number {
    return this.#setLog.commit - this.quorumLsn();
  }

  /** How long ago the oldest entry was committed that Q tables do not show, milliseconds. */
  get lagMs(): number {
    const shown = this.quorumLsn();
    while ((this.#samples[0]?.lsn ?? Infinity) <= shown) this.#samples.shift();
    const [oldest] = this.#samples;
    return oldest === undefined ? 0 : this.#clock.monotonicMs() - oldest.atMs;
  }

  /** Rulings 24: admission slows when the tables fall too far behind. */
  get isBehind(): boolean {
    return this.lagMs > LIMITS.projectionLagMsMax;
  }

  /** A new leader finds out where the tables stand, and brings them up at once. */
  start(): void {
    for (const replica of this.#replicas.keys()) void this.#look(replica);
    this.wake();
    this.#looking = this.#clock.every(LOOK_MS, () => {
      for (const replica of this.#replicas.keys()) void this.#look(replica);
    });
  }

  /** Where its tables really stand: a replica that lost its disk has none, whatever it had before. */
  async #look(replica: number): Promise<void> {
    if (this.#running.has(replica)) return;
    const store = this.#replicas[replica];
    const shown = await store?.projectedLsn().catch(() => null);
    if (shown === null || shown === undefined || this.#running.has(replica)) return;
    this.#lsns[replica] = shown;
    if (shown < (this.#setLog.committedOn(replica)?.lsn ?? 0)) this.wake();
  }

  /** Something was committed: project soon, in one large batch with what follows. */
  wake(): void {
    this.#sample();
    if (this.#timer !== null || this.#stopped) return;
    this.#timer = this.#clock.after(IDLE_MS, () => {
      this.#timer = null;
      for (const replica of this.#replicas.keys()) void this.#run(replica);
    });
  }

  #sample(): void {
    const atMs = this.#clock.monotonicMs();
    const last = this.#samples.at(-1);
    const { commit } = this.#setLog;
    const isSoon = last !== undefined && atMs - last.atMs < SAMPLE_MS;
    if (commit === 0 || isSoon || this.#samples.length >= SAMPLES_MAX) return;
    if (commit > this.quorumLsn() && commit !== last?.lsn)
      this.#samples.push({ lsn: commit, atMs });
  }

  async #run(replica: number): Promise<void> {
    const store = this.#replicas[replica];
    if (store === undefined || this.#running.has(replica) || this.#stopped) return;
    this.#running.add(replica);
    try {
      // A replica is told of a commit only as far as it has the entries itself.
      const to = this.#setLog.committedOn(replica);
      if (to === null) return;
      await store.setCommit(to);
      await this.#project(store, { replica, to: to.lsn });
      this.#failing.delete(replica);
    } catch (error) {
      const about = { set: this.#setId, replica, reason: String(error) };
      if (error instanceof StoreError) {
        // One line for an outage, however long it is.
        if (!this.#failing.has(replica)) this.#log.warn('projection_failed', about);
        this.#failing.add(replica);
      }
      // The tables are not the ledger: a bug of theirs on one replica deposes nobody.
      else this.#log.error('projection_bug', about);
      await sleep(this.#clock, error instanceof StoreError ? RETRY_MS : BUG_RETRY_MS);
    } finally {
      this.#running.delete(replica);
      if ((this.#lsns[replica] ?? 0) < this.#setLog.ackedBy(replica)) this.wake();
    }
  }

  /** Piece by piece up to `to`; a busy leader goes first, as long as the tables are not far behind. */
  async #project(store: ReplicaStore, args: { replica: number; to: Lsn }): Promise<void> {
    const { replica, to } = args;
    for (;;) {
      const from = this.#lsns[replica] ?? 0;
      const piece = this.#piece;
      const startMs = this.#clock.monotonicMs();
      const until = this.#stopped ? to : lsn(Math.min(to, from - (from % piece) + piece));
      const shown = await store.project(until);
      const tookMs = Math.max(1, this.#clock.monotonicMs() - startMs);
      this.#lsns[replica] = shown;
      this.#slow.delete(replica);
      this.#wakeReaders();
      // One that gets no further is asked again later.
      if (shown >= to || shown <= from || this.#stopped) return;
      const fitting = ((shown - from) * PIECE_MS) / tookMs;
      // Only where it is clearly wrong: siblings that ask for other pieces share nothing.
      if (fitting >= piece * 2) this.#piece = Math.min(PIECE_ENTRIES_MAX, piece * 2);
      else if (fitting < piece / 2) this.#piece = Math.max(PIECE_ENTRIES_MIN, piece / 2);
      // A reader who must see his own write is not made to wait for a quiet hour.
      const mayYield = this.#waiting.length === 0 && this.lagMs < YIELD_LAG_MS;
      if (mayYield && this.#isBusy()) {
        await sleep(this.#clock, tookMs * YIELD_FACTOR);
      }
    }
  }

  #wakeReaders(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /** true when a replica shows `at`, which is committed; waits up to 1 s for it. */
  reaches(at: Lsn): Promise<boolean> {
    const shown = (): boolean => this.#lsns.some((each) => each >= at);
    if (shown()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const late = this.#clock.after(REACH_MS, () => resolve(false));
      const look = (): void => {
        if (!shown() && !this.#stopped) return void this.#waiting.push(look);
        late.cancel();
        resolve(shown());
      };
      look();
    });
  }

  /** The freshest replica that answers first; the next one when a reader finds it too far behind. */
  order(): number[] {
    const late = (replica: number): number => (this.#slow.has(replica) ? 1 : 0);
    return [...this.#replicas.keys()].sort(
      (a, b) => late(a) - late(b) || (this.#lsns[b] ?? 0) - (this.#lsns[a] ?? 0),
    );
  }

  /**
   * Everything that memory has forgotten lies at or below this LSN: what earlier leaders forgot
   * was adopted, what this one forgot was on Q projections then. A reader must show at least this
   * much: tables of another replica may be older, and say that nothing was answered yet.
   */
  forgottenLsn(): Lsn {
    return this.#forgotten;
  }

  /** Asks replicas for something at or above {@link forgottenLsn}; null when none can answer. */
  async ask<T>(read: (store: ReplicaStore, atLsn: Lsn) => Promise<T | null>): Promise<T | null> {
    const atLsn = this.forgottenLsn();
    for (const replica of this.order()) {
      const store = this.#replicas[replica];
      if (store === undefined) continue;
      const answer = await this.#askOne(replica, read(store, atLsn));
      if (answer !== null) return answer;
    }
    return null;
  }

  /** A replica that cannot be read says nothing: the next one is asked. */
  async #askOne<T>(replica: number, call: Promise<T | null>): Promise<T | null> {
    try {
      const answer = await within({ clock: this.#clock, ms: PATIENCE_MS, call });
      this.#slow.delete(replica);
      return answer;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#slow.add(replica);
      return null;
    }
  }

  /** One last time, so that the next start finds little to do. */
  async finish(): Promise<void> {
    const runs = [...this.#replicas.keys()].map(async (replica) => {
      const call = this.#run(replica);
      // What this one lacks, its next leader projects.
      await within({ clock: this.#clock, ms: FINISH_MS, call }).catch(() => undefined);
    });
    await Promise.all(runs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#looking?.cancel();
    this.#wakeReaders();
  }
}
