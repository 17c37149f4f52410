/** Real MariaDB servers: one data directory and one port each, on 127.0.0.1. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { assert } from '../../lib/core/assert.ts';
import type { Log } from '../provision/command.ts';
import { ADMIN, installMariaDb, PASSWORD_FILE } from './mariadb-template.ts';
import type { MariaDbInstallation } from './mariadb-template.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';
import { RigServer } from './server.ts';

/** Durable at every commit; see the notes on the engine for each. */
const SERVER_ARGS = [
  '--innodb-flush-log-at-trx-commit=1',
  '--innodb-flush-method=O_DIRECT',
  '--skip-log-bin',
  '--skip-name-resolve',
  '--character-set-server=utf8mb4',
  '--collation-server=utf8mb4_bin',
  '--transaction-isolation=READ-COMMITTED',
  '--innodb-lock-wait-timeout=3',
  '--performance-schema=OFF',
  '--max-allowed-packet=16M',
];
const READY = ': ready for connections.';
const ADMIN_WITHIN_MS = 5_000;
const NAME_PATTERN = /^[a-z0-9_]+$/;
/** It stands in a DSN and in SQL, and needs no escape in either. */
const PASSWORD_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

export type MariaDbOptions = {
  readonly rig: Rig;
  /** Also the name of its directory below the rig's. */
  readonly name: string;
  /** Usually a free one. */
  readonly port?: number;
  /** Where its directory is made instead, for example on a small disk. */
  readonly dir?: string;
  /** Further arguments of the server; later ones win. */
  readonly args?: readonly string[];
  readonly enter?: readonly string[];
  /** For benches: a redo log without holes, a third more commits/s. Usually false: less to copy. */
  readonly wholeLog?: boolean;
  readonly log?: Log;
};

/** A Set's database on a server and who may use it. */
export type SetAccess = {
  readonly setId: number;
  readonly password: string;
  /** Part of the user's name; usually `leader`. */
  readonly role?: string;
};

function tmpDirOf({ rig, name }: MariaDbOptions): string {
  return join(rig.dir, `${name}-tmp`);
}

export class MariaDb extends RigServer {
  readonly #installation: MariaDbInstallation;
  readonly #sets: SetAccess[] = [];

  private constructor(args: {
    options: MariaDbOptions;
    installation: MariaDbInstallation;
    port: number;
    dir: string;
  }) {
    const { options, installation, port, dir } = args;
    const dataDir = join(dir, 'data');
    const process = new RigProcess({
      name: `MariaDB ${options.name}`,
      command: installation.mariadbd,
      args: [
        ...installation.baseArgs,
        ...SERVER_ARGS,
        `--datadir=${dataDir}`,
        `--bind-address=${LOOPBACK}`,
        `--port=${port}`,
        // Below the data directory: the path from there is always short enough.
        '--socket=sock',
        '--pid-file=pid',
        // A server that starts deletes temporary tables it finds, those of its neighbours too.
        `--tmpdir=${tmpDirOf(options)}`,
        // In a user namespace everybody is root.
        ...(options.enter === undefined ? [] : ['--user=root']),
        ...(options.args ?? []),
      ],
      env: installation.env,
      ...(options.enter === undefined ? {} : { enter: options.enter }),
      logFile: join(options.rig.dir, `${options.name}.log`),
      isReady: (output) => output.includes(READY),
    });
    super({
      name: options.name,
      port,
      dataDir,
      process,
      emptyDir: installation.templateDir,
      sparse: options.wholeLog !== true,
    });
    this.#installation = installation;
  }

  /** Makes the data directory unless there is one. The server does not run yet. */
  static async create(options: MariaDbOptions): Promise<MariaDb> {
    assert(NAME_PATTERN.test(options.name), 'a name is of a-z, 0-9 and _');
    const installation = await installMariaDb(options.log ?? (() => undefined));
    const port = options.port ?? (await freePort());
    const dir = options.dir ?? join(options.rig.dir, options.name);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await mkdir(tmpDirOf(options), { recursive: true, mode: 0o700 });
    const server = new MariaDb({ options, installation, port, dir });
    options.rig.own(server);
    if (!(await exists(join(server.dataDir, 'ibdata1')))) await server.wipe();
    return server;
  }

  /** {@link create} and {@link start}. */
  static async start(options: MariaDbOptions): Promise<MariaDb> {
    const server = await MariaDb.create(options);
    await server.start();
    return server;
  }

  /** For example `10.11.19-MariaDB-0+deb12u1`. */
  get version(): string {
    return this.#installation.version;
  }

  /**
   * The database `hongbao_set_<id>` and a user `s<id>_<role>` of 127.0.0.1 with all rights on it and
   * on nothing else; both may be there already. Returns the DSN.
   */
  async createSet(access: SetAccess): Promise<string> {
    const { setId, password, role = 'leader' } = access;
    assert(Number.isSafeInteger(setId) && setId >= 0, 'a Set has a number');
    assert(NAME_PATTERN.test(role), 'a role is of a-z, 0-9 and _');
    assert(PASSWORD_PATTERN.test(password), 'a password is 1..64 of A-Z, a-z, 0-9, _ and -');
    const database = databaseOf(setId);
    const user = `'s${setId}_${role}'@'${LOOPBACK}'`;
    await this.withAdmin(async (connection) => {
      await connection.query(`CREATE DATABASE IF NOT EXISTS ${database}`);
      await connection.query(`CREATE OR REPLACE USER ${user} IDENTIFIED BY '${password}'`);
      // An underscore in a grant stands for any character.
      const pattern = database.replaceAll('_', String.raw`\_`);
      await connection.query(`GRANT ALL PRIVILEGES ON \`${pattern}\`.* TO ${user}`);
    });
    if (!this.#sets.some((one) => one.setId === setId && (one.role ?? 'leader') === role)) {
      this.#sets.push(access);
    }
    return this.dsnOf(access);
  }

  /** After a wipe: the databases and users that {@link createSet} had made, empty. */
  async recreateSets(): Promise<void> {
    for (const access of this.#sets) await this.createSet(access);
  }

  /** See {@link replicaDsn}; another port leads through a proxy. */
  dsnOf(options: Omit<DsnOptions, 'port'> & { readonly port?: number }): string {
    return replicaDsn({ port: this.port, ...options });
  }

  /** One statement with every right, on a connection of its own, bounded by 5 s. */
  async query(sql: string, values: readonly (string | number | Buffer | null)[] = []) {
    return this.withAdmin(async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>({
        sql,
        values: [...values],
        timeout: ADMIN_WITHIN_MS,
      });
      return rows;
    });
  }

  /** Lends a connection with every right; text protocol, several statements allowed. */
  async withAdmin<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const password = await readFile(join(this.dataDir, PASSWORD_FILE), 'utf8');
    const connection = await createConnection({
      host: LOOPBACK,
      port: this.port,
      user: ADMIN,
      password,
      connectTimeout: ADMIN_WITHIN_MS,
      multipleStatements: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
    try {
      return await body(connection);
    } finally {
      connection.destroy();
    }
  }

  /**
   * Bit rot behind the engine's back: turns over the lowest bit of one byte (from 1) of a binary
   * column in the rows that `where` names. Returns how many rows it changed.
   */
  async flipByte(options: {
    readonly setId: number;
    readonly table: string;
    readonly column: string;
    readonly where: string;
    readonly at: number;
  }): Promise<number> {
    const { setId, table, column, where, at } = options;
    assert(NAME_PATTERN.test(table) && NAME_PATTERN.test(column), 'names are of a-z, 0-9 and _');
    assert(Number.isSafeInteger(at) && at >= 1, 'bytes are counted from 1');
    const flipped = `CHAR(ORD(SUBSTRING(${column}, ${at}, 1)) ^ 1 USING binary)`;
    return this.withAdmin(async (connection) => {
      const [result] = await connection.query(
        `UPDATE ${databaseOf(setId)}.${table}
         SET ${column} = INSERT(${column}, ${at}, 1, ${flipped})
         WHERE (${where}) AND LENGTH(${column}) >= ${at}`,
      );
      return 'affectedRows' in result ? result.affectedRows : 0;
    });
  }
}

export function databaseOf(setId: number): string {
  return `hongbao_set_${setId}`;
}

export type DsnOptions = {
  readonly setId: number;
  readonly port: number;
  /** Without it, as it stands in a topology. */
  readonly password?: string;
  /** Usually `leader`. */
  readonly role?: string;
};

/** `mysql://user:password@127.0.0.1:port/database`, or without the password. */
export function replicaDsn({ setId, port, password, role = 'leader' }: DsnOptions): string {
  const secret = password === undefined ? '' : `:${password}`;
  return `mysql://s${setId}_${role}${secret}@${LOOPBACK}:${port}/${databaseOf(setId)}`;
}

/** Several at once (names `db0`, `db1`, …), all ready: three in about a second. */
export async function startMariaDbs(
  options: Omit<MariaDbOptions, 'name' | 'port' | 'dir'> & { readonly count: number },
): Promise<MariaDb[]> {
  const { count, ...rest } = options;
  const names = Array.from({ length: count }, (_, index) => `db${index}`);
  return Promise.all(names.map((name) => MariaDb.start({ ...rest, name })));
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
