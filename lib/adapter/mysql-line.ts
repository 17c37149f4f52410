import type { Clock, Timer } from '../port/clock.ts';
import { StoreError } from '../port/replica-store.ts';
import { errnoOf, toStoreError } from './mysql-errors.ts';
import type { MysqlSession } from './mysql-session.ts';

/** Calls that may wait for one connection; more is a caller that does not wait for answers. */
const WAITING_MAX = 1_024;

export type Call<T> = {
  /** Counted from the call, so waiting for others is within it. */
  readonly withinMs: number;
  /** Late or cut off, it may have been done: `unknown` instead of `unavailable`. */
  readonly writes: boolean;
  /** `renew` starts the deadline anew: for calls of many bounded steps. */
  readonly work: (session: MysqlSession, renew: () => void) => Promise<T>;
};

type Job = {
  /** Settles the caller's promise; false when that has happened before. */
  readonly fail: (error: Error) => boolean;
  readonly isSettled: () => boolean;
  readonly run: (session: MysqlSession) => Promise<void>;
  readonly writes: boolean;
  sent: boolean;
};

/**
 * One connection to a replica for one purpose, made when it is needed: calls go one after the
 * other, each with a deadline of its own clock. A late call throws the connection away.
 */
export class MysqlLine {
  readonly #clock: Clock;
  readonly #connect: () => MysqlSession;
  readonly #prepare: (session: MysqlSession) => Promise<void>;
  #session: MysqlSession | null = null;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #current: Job | null = null;

  constructor(args: {
    clock: Clock;
    connect: () => MysqlSession;
    /** Settings and checks, before the first call of a connection. */
    prepare: (session: MysqlSession) => Promise<void>;
  }) {
    this.#clock = args.clock;
    this.#connect = args.connect;
    this.#prepare = args.prepare;
  }

  /** Calls under way or waiting. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when every call so far has ended. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  run<T>({ withinMs, writes, work }: Call<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      return Promise.reject(new StoreError('unavailable', 'too many calls wait for the replica'));
    }
    return new Promise<T>((resolve, reject) => {
      let settled = false;
      let timer: Timer | null = null;
      const end = (): boolean => {
        if (settled) return false;
        settled = true;
        timer?.cancel();
        return true;
      };
      const job: Job = {
        writes,
        sent: false,
        isSettled: () => settled,
        fail: (error) => {
          const first = end();
          if (first) reject(error);
          return first;
        },
        run: async (session) => {
          const result = await work(session, arm);
          if (end()) resolve(result);
        },
      };
      const arm = (): void => {
        timer?.cancel();
        if (!settled) timer = this.#clock.after(withinMs, () => this.#late(job, withinMs));
      };
      arm();
      this.#waiting += 1;
      this.#tail = this.#tail.then(() => this.#take(job));
    });
  }

  async #take(job: Job): Promise<void> {
    this.#current = job;
    try {
      // Too late before its turn came: nothing of it was sent.
      if (!job.isSettled()) await this.#attempt(job);
    } finally {
      this.#current = null;
      this.#waiting -= 1;
    }
  }

  async #attempt(job: Job): Promise<void> {
    for (let time = 0; ; time++) {
      const fresh = this.#session === null || this.#session.isLost;
      let session: MysqlSession | null = null;
      try {
        session = await this.#open();
        job.sent = true;
        await job.run(session);
        return;
      } catch (error) {
        const wasCut = session !== null && session.isLost;
        // What failed outside the server's own answers leaves the connection in an unknown state.
        if (errnoOf(error) === null && !isDecision(error)) this.#drop();
        // A connection that died while it lay idle: a read may simply be asked again.
        if (wasCut && !fresh && time === 0 && !job.writes && !job.isSettled()) continue;
        job.fail(toStoreError(error, job));
        return;
      }
    }
  }

  async #open(): Promise<MysqlSession> {
    if (this.#session !== null && !this.#session.isLost) return this.#session;
    const session = this.#connect();
    this.#session = session;
    try {
      await session.ready();
      await this.#prepare(session);
    } catch (error) {
      session.destroy();
      if (this.#session === session) this.#session = null;
      throw error;
    }
    return session;
  }

  #late(job: Job, withinMs: number): void {
    // When this process itself stood still, the answer may lie in the socket: it goes first.
    this.#clock.soon(() => {
      const unknown = job.writes && job.sent;
      const error = new StoreError(
        unknown ? 'unknown' : 'unavailable',
        `the replica did not answer within ${withinMs} ms`,
      );
      if (job.fail(error) && this.#current === job) this.#drop();
    });
  }

  #drop(): void {
    this.#session?.destroy();
    this.#session = null;
  }

  /** Ends the connection when what was asked before has been answered. */
  async close(): Promise<void> {
    await this.#tail;
    this.#session?.close();
    this.#session = null;
  }
}

/** Our own word about what the server answered: the connection is as good as before. */
function isDecision(error: unknown): boolean {
  return error instanceof StoreError;
}
