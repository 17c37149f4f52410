import type { Socket } from 'node:net';
import { connect } from 'node:net';
import mysql from 'mysql2';
import type { Connection, QueryError } from 'mysql2';
import { assert } from '../core/assert.ts';
import { StoreError } from '../port/replica-store.ts';

/** Statements kept prepared on one connection: appends of up to 64 entries, and the scans. */
const PREPARED_MAX = 256;

export type SqlValue = null | number | bigint | string | Uint8Array;
/** BIGINT comes as a number when it is safe, else as text. Bytes are views: copy what you keep. */
export type SqlRow = Readonly<Record<string, null | number | string | Uint8Array>>;
export type SqlCells = readonly (null | number | string | Uint8Array)[];

export type MysqlAddress = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
};

/** Reads `mysql://user:password@host:port/database`. Throws StoreError `rejected`. */
export function parseAddress(text: string, password?: string): MysqlAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? '');
  if (url === null || url.protocol !== 'mysql:' || !/^[A-Za-z0-9_]{1,64}$/.test(database)) {
    // The text itself may hold a password.
    throw new StoreError('rejected', 'a replica is mysql://user@host:port/database');
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: password ?? decodeURIComponent(url.password),
    database,
  };
}

/**
 * One connection. Its socket is ours, so that {@link destroy} drops it at once whatever state the
 * server is in. Rejections are mysql2's errors; the line turns them into StoreErrors.
 */
export class MysqlSession {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #ready: Promise<void>;
  #isLost = false;

  constructor(address: MysqlAddress, onLost: () => void) {
    const socket = connect({ host: address.host, port: address.port, noDelay: true });
    socket.setKeepAlive(true, 10_000);
    this.#socket = socket;
    this.#connection = mysql.createConnection({
      stream: () => socket,
      user: address.user,
      password: address.password,
      database: address.database,
      charset: 'utf8mb4_bin',
      // The line that asked has its own deadline.
      connectTimeout: 0,
      supportBigNumbers: true,
      bigNumberStrings: false,
      dateStrings: true,
      // Statements come whole: no walk over a megabyte of them in search of placeholders.
      queryFormat: (sql) => sql,
      maxPreparedStatements: PREPARED_MAX,
      trace: false,
    });
    const lost = (): void => {
      if (this.#isLost) return;
      this.#isLost = true;
      onLost();
    };
    this.#connection.on('error', lost);
    this.#connection.on('end', lost);
    socket.on('close', lost);
    this.#ready = new Promise((resolve, reject) => {
      this.#connection.connect((error) => (error === null ? resolve() : reject(error)));
    });
    this.#ready.catch(() => undefined);
  }

  /** Resolves when the server has let us in. */
  ready(): Promise<void> {
    return this.#ready;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** The server's number of this connection; 0 before {@link ready}. */
  get id(): number {
    return this.#connection.threadId ?? 0;
  }

  /** One statement as text, for what cannot or need not be prepared; answers changed rows. */
  async run(sql: string): Promise<number> {
    return changedBy(await this.#query(sql));
  }

  async show(sql: string): Promise<SqlRow[]> {
    return rowsOf(await this.#query(sql)) as SqlRow[];
  }

  /** {@link show} with rows as arrays. */
  async showCells(sql: string): Promise<SqlCells[]> {
    return rowsOf(await this.#query(sql, true)) as SqlCells[];
  }

  /** A prepared statement; answers how many rows it changed, or found to change. */
  async change(sql: string, values: readonly SqlValue[]): Promise<number> {
    return changedBy(await this.#execute(sql, values, false));
  }

  async select(sql: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    return rowsOf(await this.#execute(sql, values, false)) as SqlRow[];
  }

  /** Rows as arrays, for wide results. */
  async selectCells(sql: string, values: readonly SqlValue[]): Promise<SqlCells[]> {
    return rowsOf(await this.#execute(sql, values, true)) as SqlCells[];
  }

  /** Prepares ahead, so that the first execution is one round trip too. */
  prepare(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.prepare(sql, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** All or nothing. A duplicate key or a lock timeout rolls back its statement only: we do the rest. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    return this.#between('START TRANSACTION', work);
  }

  /** Plain reads that all see one moment. */
  async snapshot<T>(work: () => Promise<T>): Promise<T> {
    // For the next transaction only; the session stays at READ COMMITTED.
    await this.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    return this.#between('START TRANSACTION WITH CONSISTENT SNAPSHOT', work);
  }

  async #between<T>(begin: string, work: () => Promise<T>): Promise<T> {
    await this.run(begin);
    try {
      const result = await work();
      await this.run('COMMIT');
      return result;
    } catch (error) {
      if (!this.#isLost) await this.run('ROLLBACK').catch(() => this.destroy());
      throw error;
    }
  }

  /** Says goodbye; what was asked before is answered. */
  close(): void {
    this.#isLost = true;
    this.#connection.destroy();
  }

  /** Drops the socket: what was under way is unknown. */
  destroy(): void {
    this.#socket.destroy();
  }

  #query(sql: string, rowsAsArray = false): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#connection.query({ sql, rowsAsArray }, settle(resolve, reject));
    });
  }

  #execute(sql: string, values: readonly SqlValue[], rowsAsArray: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const options = { sql, values: values.map(bindable), rowsAsArray };
      this.#connection.execute(options, settle(resolve, reject));
    });
  }
}

function settle(
  resolve: (result: unknown) => void,
  reject: (error: Error) => void,
): (error: QueryError | null, result: unknown) => void {
  return (error, result) => (error === null ? resolve(result) : reject(error));
}

/** Integers as 64 bits: by itself mysql2 sends numbers as doubles, which no index of integers takes. */
function bindable(value: SqlValue): string | Buffer | object | null {
  if (typeof value === 'number') return mysql.TypedParameter.LONGLONG(value);
  if (typeof value === 'bigint') return mysql.TypedParameter.LONGLONG.unsigned(value);
  if (value instanceof Uint8Array) return bufferOf(value);
  return value;
}

/** A view: mysql2 copies it into the packet. */
function bufferOf(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function rowsOf(result: unknown): unknown[] {
  assert(Array.isArray(result), 'a SELECT answers rows');
  return result;
}

function changedBy(result: unknown): number {
  const header = result as { affectedRows?: number };
  return header.affectedRows ?? 0;
}
