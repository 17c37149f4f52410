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
/** A replica that does not answer a question by then is passed over for the next. */
const PATIENCE_MS = 1_000;

/** Keeps the query tables of every replica close behind the commit point (P11, design 3). */
export class Projections {
  readonly #replicas: readonly ReplicaStore[];
  readonly #quorum: number;
  readonly #setLog: SetLog;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #setId: SetId;
  readonly #onBug: (error: unknown) => void;
  readonly #adoptedLsn: Lsn;
  readonly #lsns: Lsn[];
  readonly #running = new Set<number>();
  #timer: Timer | null = null;
  #stopped = false;

  constructor(args: {
    setId: SetId;
    replicas: readonly ReplicaStore[];
    quorum: number;
    setLog: SetLog;
    adoptedLsn: Lsn;
    clock: Clock;
    log: Log;
    /** What no replica can be blamed for. */
    onBug: (error: unknown) => void;
  }) {
    this.#onBug = args.onBug;
    this.#replicas = args.replicas;
    this.#quorum = args.quorum;
    this.#setLog = args.setLog;
    this.#adoptedLsn = args.adoptedLsn;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#setId = args.setId;
    this.#lsns = args.replicas.map(() => lsn(0));
  }

  /** The LSN that Q replicas show: what lies at or below may leave memory. */
  quorumLsn(): Lsn {
    const sorted = [...this.#lsns].sort((a, b) => b - a);
    return sorted[this.#quorum - 1] ?? lsn(0);
  }

  get lagEntries(): number {
    return this.#setLog.commit - this.quorumLsn();
  }

  /** Rulings 24: admission slows when the tables fall too far behind. */
  get isBehind(): boolean {
    return this.lagEntries > LIMITS.projectionLagMax;
  }

  /** A new leader finds out where the tables stand, and brings them up at once. */
  start(): void {
    for (const [replica, store] of this.#replicas.entries()) {
      store.projectedLsn().then(
        (at) => (this.#lsns[replica] = lsn(Math.max(at, this.#lsns[replica] ?? 0))),
        () => undefined,
      );
    }
    this.wake();
  }

  /** Something was committed: project soon, in one large batch with what follows. */
  wake(): void {
    if (this.#timer !== null || this.#stopped) return;
    this.#timer = this.#clock.after(IDLE_MS, () => {
      this.#timer = null;
      for (const replica of this.#replicas.keys()) void this.#run(replica);
    });
  }

  async #run(replica: number): Promise<void> {
    const store = this.#replicas[replica];
    if (store === undefined || this.#running.has(replica) || this.#stopped) return;
    this.#running.add(replica);
    try {
      // A replica is told of a commit only as far as it has the entries itself.
      const to = lsn(Math.min(this.#setLog.commit, this.#setLog.ackedBy(replica)));
      if (to === 0) return;
      await store.setCommit(to);
      this.#lsns[replica] = await store.project(to);
    } catch (error) {
      if (!(error instanceof StoreError)) return this.#onBug(error);
      this.#log.warn('projection_failed', { set: this.#setId, replica, reason: error.message });
      await sleep(this.#clock, RETRY_MS);
    } finally {
      this.#running.delete(replica);
      if ((this.#lsns[replica] ?? 0) < this.#setLog.ackedBy(replica)) this.wake();
    }
  }

  /** The freshest replica first; the next one when a reader finds it too far behind. */
  order(): number[] {
    return [...this.#replicas.keys()].sort((a, b) => (this.#lsns[b] ?? 0) - (this.#lsns[a] ?? 0));
  }

  store(replica: number): ReplicaStore | undefined {
    return this.#replicas[replica];
  }

  /**
   * Everything that memory has forgotten lies at or below this LSN: what earlier leaders forgot
   * was adopted, what this one forgot is on Q projections. A reader must show at least this much.
   */
  forgottenLsn(): Lsn {
    return lsn(Math.max(this.#adoptedLsn, this.quorumLsn()));
  }

  /** Asks replicas for something at or above {@link forgottenLsn}; null when none can answer. */
  async ask<T>(read: (store: ReplicaStore, atLsn: Lsn) => Promise<T | null>): Promise<T | null> {
    const atLsn = this.forgottenLsn();
    for (const replica of this.order()) {
      const store = this.store(replica);
      if (store === undefined) continue;
      const call = read(store, atLsn);
      const answer = await orNull(within({ clock: this.#clock, ms: PATIENCE_MS, call }));
      if (answer !== null) return answer;
    }
    return null;
  }

  /** One last time, so that the next start finds little to do. */
  async finish(): Promise<void> {
    await Promise.all([...this.#replicas.keys()].map((replica) => this.#run(replica)));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}

/** A replica that cannot be read says nothing: the next one is asked. */
async function orNull<T>(reading: Promise<T | null>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}
