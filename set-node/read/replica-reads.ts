import type { Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock, Timer } from '../../lib/port/clock.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { Query__Output } from '../../proto/gen/hongbao/Query.ts';
import { within } from '../log/ask-all.ts';
import type { Seals } from '../machine/findings.ts';
import type { Answer } from './reads.ts';
import { readTables } from './replica-lists.ts';

/** Callers know of what was projected soon: what they think is not there goes to the leader. */
const POLL_MS = 100;
/** A replica that has not said for so long what it shows is not asked. */
const FRESH_MS = 2_000;
/** A replica gets so long for one question: two of them fit a caller's patience. */
const ANSWER_MS = 400;
/** No answer is older than what the furthest replica showed so long ago. */
const STALE_MS = 5_000;
/** Questions on their way at once; beyond it the leader is asked. */
const ASKED_MAX = 256;

type Told = {
  readonly lsn: Lsn;
  /** When it said so, monotonic. */
  readonly at: number;
};

export type ReplicaReadsArgs = {
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly clock: Clock;
  readonly seals: Seals;
};

/**
 * What a standby answers: lists, from the tables of one replica (P11, rulings 16). Tables hold only
 * what is committed, so no answer shows what the final journal lacks (I9); that it shows enough is
 * the caller's `at_lsn`. It says yes or passes the question on to the leader, never no.
 */
export class ReplicaReads {
  readonly #args: ReplicaReadsArgs;
  readonly #told: (Told | null)[];
  readonly #asking = new Set<number>();
  /** Did not answer a question in time: asked after the others until they speak again. */
  readonly #slow = new Set<number>();
  /** What the furthest replica showed at times of the last seconds, ascending. */
  #shown: Told[] = [];
  #open = 0;
  /** Called whenever more is shown. */
  readonly watchers = new Set<() => void>();
  #timer: Timer | null = null;

  constructor(args: ReplicaReadsArgs) {
    this.#args = args;
    this.#told = args.replicas.map(() => null);
  }

  /** Begins to ask replicas what they show. */
  start(): void {
    if (this.#timer !== null) return;
    this.#told.fill(null);
    this.#shown = [];
    this.#poll();
    this.#timer = this.#args.clock.every(POLL_MS, () => this.#poll());
  }

  /** Answers nothing from here on. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The LSN up to which questions are answered; 0: none is. */
  get shownLsn(): Lsn {
    const fresh = this.#fresh();
    // Q replicas: one of them at least hears of every commit, so that a cut-off one is found out.
    if (this.#timer === null || fresh.length < this.#args.quorum) return lsn(0);
    const quick = fresh.filter((replica) => !this.#slow.has(replica));
    return lsn(Math.max(0, ...quick.map((replica) => this.#told[replica]?.lsn ?? 0)));
  }

  /** null: the leader is to be asked. Throws DecodeError. */
  async answer(query: Query__Output): Promise<Answer | null> {
    const atLsn = Number(query.atLsn);
    const shown = this.shownLsn;
    if (shown === 0 || atLsn > shown || this.#open >= ASKED_MAX) return null;
    this.#open += 1;
    try {
      for (const replica of this.#order(Math.max(atLsn, this.#floor()))) {
        const found = await this.#askOne(replica, query);
        // Tables that went backwards, with a disk, are further behind than they said.
        if (found === 'no_answer' || (found !== null && found.asOfLsn < atLsn)) continue;
        return found === null ? null : { ...found.answer, asOfLsn: String(found.asOfLsn) };
      }
      return null;
    } finally {
      this.#open -= 1;
    }
  }

  async #askOne(
    replica: number,
    query: Query__Output,
  ): Promise<Awaited<ReturnType<typeof readTables>> | 'no_answer'> {
    const { clock, replicas, seals } = this.#args;
    const store = replicas[replica];
    if (store === undefined) return 'no_answer';
    try {
      const call = readTables({ store, seals, query });
      return await within({ clock, ms: ANSWER_MS, call });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#slow.add(replica);
      return 'no_answer';
    }
  }

  /** Those that show at least so much; the furthest first, the slow ones last. */
  #order(atLeast: number): number[] {
    const shows = (replica: number): number => this.#told[replica]?.lsn ?? 0;
    const late = (replica: number): number => (this.#slow.has(replica) ? 1 : 0);
    return this.#fresh()
      .filter((replica) => shows(replica) >= atLeast)
      .sort((a, b) => late(a) - late(b) || shows(b) - shows(a));
  }

  #fresh(): number[] {
    const oldest = this.#args.clock.monotonicMs() - FRESH_MS;
    return [...this.#told.keys()].filter((replica) => (this.#told[replica]?.at ?? -1) >= oldest);
  }

  #floor(): number {
    const oldest = this.#args.clock.monotonicMs() - STALE_MS;
    return this.#shown.findLast(({ at }) => at <= oldest)?.lsn ?? 0;
  }

  #poll(): void {
    const { clock, replicas } = this.#args;
    const now = clock.monotonicMs();
    const furthest = Math.max(0, ...this.#told.map((told) => told?.lsn ?? 0));
    this.#shown.push({ lsn: lsn(furthest), at: now });
    // One that is old enough stays: it is the floor.
    while ((this.#shown[1]?.at ?? now) <= now - STALE_MS) this.#shown.shift();
    for (const [replica, store] of replicas.entries()) {
      if (this.#asking.has(replica)) continue;
      this.#asking.add(replica);
      store
        .projectedLsn()
        .then((shown) => this.#note(replica, shown))
        .catch(() => undefined)
        .finally(() => this.#asking.delete(replica));
    }
  }

  #note(replica: number, shown: Lsn): void {
    const before = this.shownLsn;
    this.#told[replica] = { lsn: shown, at: this.#args.clock.monotonicMs() };
    this.#slow.delete(replica);
    if (this.shownLsn > before) for (const tell of this.watchers) tell();
  }
}
