import type { Clock } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import { ReplicaRefused, errnoOf } from './mysql-errors.ts';
import { MysqlLine } from './mysql-line.ts';
import type { MysqlAddress } from './mysql-session.ts';
import { MysqlSession } from './mysql-session.ts';
import { readSettings, refusalOf } from './mysql-settings.ts';

const ACCESS_DENIED = [1044, 1045, 1698];
const NO_DATABASE = 1049;

/**
 * The server of one replica and the connections of this process to it. Whatever is asserted of a
 * server is asserted again when it may have been restarted.
 */
export class MysqlServer {
  readonly #address: MysqlAddress;
  readonly #clock: Clock;
  readonly #log: Log | undefined;
  readonly #prepare: (session: MysqlSession) => Promise<void>;
  readonly #ids = new Set<number>();
  #prepared: Promise<void> | null = null;
  readonly #onId: ((id: number, isOpen: boolean) => void) | undefined;

  constructor(args: {
    address: MysqlAddress;
    clock: Clock;
    log?: Log | undefined;
    /** What the database must have before anything else is asked: schema and single rows. */
    prepare: (session: MysqlSession) => Promise<void>;
    /** Told of every connection that comes and goes. */
    onId?: (id: number, isOpen: boolean) => void;
  }) {
    this.#address = args.address;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#prepare = args.prepare;
    this.#onId = args.onId;
  }

  get user(): string {
    return this.#address.user;
  }

  /** A connection for one purpose; `warm` is what it does first. */
  line(warm?: (session: MysqlSession) => Promise<void>): MysqlLine {
    return new MysqlLine({
      clock: this.#clock,
      connect: () => this.#connect(),
      prepare: async (session) => {
        await this.#setUp(session);
        await warm?.(session);
      },
    });
  }

  /** Is it one of ours? Taking over must not cut them. */
  owns(id: number): boolean {
    return this.#ids.has(id);
  }

  /** Connections that another thread of this store has. */
  note(id: number, isOpen: boolean): void {
    if (isOpen) this.#ids.add(id);
    else this.#ids.delete(id);
    this.#onId?.(id, isOpen);
  }

  #connect(): MysqlSession {
    const session: MysqlSession = new MysqlSession(this.#address, () => {
      if (session.id !== 0) this.note(session.id, false);
      // The server may come back as another: with an empty disk, with other settings.
      this.#prepared = null;
    });
    session
      .ready()
      .then(() => this.note(session.id, true))
      .catch(() => undefined);
    return session;
  }

  async #setUp(session: MysqlSession): Promise<void> {
    await session.run('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    await session.run(
      `SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
       innodb_lock_wait_timeout = 1, lock_wait_timeout = 5, foreign_key_checks = 1,
       unique_checks = 1, time_zone = '+00:00'`,
    );
    const refusal = refusalOf(await readSettings(session));
    if (refusal !== null) {
      this.#log?.error('replica_refused', { host: this.#address.host, reason: refusal.reason });
      throw refusal;
    }
    const mine = (this.#prepared ??= this.#prepare(session));
    try {
      await mine;
    } catch (error) {
      if (this.#prepared === mine) this.#prepared = null;
      throw error;
    }
  }
}

/** What a start makes of a failed connection: a wrong name or password is for an operator. */
export function refusedAccess(error: unknown): ReplicaRefused | null {
  const cause = error instanceof Error ? error.cause : null;
  const errno = errnoOf(cause);
  if (errno === null) return null;
  if (ACCESS_DENIED.includes(errno)) {
    return new ReplicaRefused('access_denied', 'the server lets this user not in', { cause });
  }
  if (errno === NO_DATABASE) {
    return new ReplicaRefused('no_database', 'the server has no such database', { cause });
  }
  return null;
}
