import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { SetId } from '../../lib/core/units.ts';
import { MariaDb } from './mariadb.ts';
import type { Rig } from './rig.ts';

type Cell = null | number | string | Buffer;
/** Every row of every table: what a disk holds. */
export type Dump = ReadonlyMap<string, Cell[][]>;

const PASSWORD = 'secret';
/** Rows that an empty replica has from its first opening on, as they are then. */
const FIRST_ROWS = [
  'UPDATE commit_point SET commit_lsn = 0',
  'UPDATE leader_beat SET epoch = 0, n = 0',
  `UPDATE readmission SET epoch = 0, owner = REPEAT('\\0', 16), incarnation = 0`,
  'UPDATE projection_state SET projected_lsn = 0',
];
const KEPT = ['schema_migration', 'commit_point', 'leader_beat', 'readmission', 'projection_state'];

/** One database of one Set on a real server, and what may befall its disk: replicas come one after the other. */
export class MariaDbBench {
  readonly server: MariaDb;
  /** DSN of the Set's leader user. */
  readonly url: string;
  readonly #adminUrl: string;
  #admin: Connection | null = null;
  #tables: readonly string[] = [];

  private constructor(args: { server: MariaDb; url: string; adminUrl: string }) {
    this.server = args.server;
    this.url = args.url;
    this.#adminUrl = args.adminUrl;
  }

  /** A server of its own in `rig`, which ends it. */
  static async start(args: { rig: Rig; name: string; setId: SetId }): Promise<MariaDbBench> {
    const { rig, name, setId } = args;
    const server = await MariaDb.start({ rig, name });
    const url = await server.createSet({ setId, password: PASSWORD });
    // Another user of the same database: taking over leaves it alone.
    const adminUrl = await server.createSet({ setId, password: PASSWORD, role: 'bench' });
    return new MariaDbBench({ server, url, adminUrl });
  }

  async query(sql: string, values: Cell[] = []): Promise<RowDataPacket[]> {
    const [rows] = await (await this.admin()).query<RowDataPacket[]>(sql, values);
    return rows;
  }

  /** Rows that changed; of several statements none is counted. */
  async change(sql: string, values: (Cell | Cell[][])[] = []): Promise<number> {
    const [header] = await (await this.admin()).query<ResultSetHeader>(sql, values);
    return Array.isArray(header) ? 0 : header.affectedRows;
  }

  /** No table at all; the next opening makes them. */
  async drop(): Promise<void> {
    for (const name of await this.#tableNames()) await this.change(`DROP TABLE \`${name}\``);
    this.#tables = [];
  }

  /** `kill -9` of the server and start. */
  async restartServer(): Promise<void> {
    this.#forget();
    await this.server.restart();
  }

  /** A new data directory, as a new disk has it. */
  async wipeServer(): Promise<void> {
    this.#forget();
    await this.server.wipe();
    await this.server.start();
    await this.reset();
  }

  /** After the server was wiped: the database and its users again, and a new connection to look. */
  async reset(): Promise<void> {
    await this.server.recreateSets();
    this.#forget();
  }

  /** What a restart loses, without one. */
  async forgetAlive(): Promise<void> {
    if ((await this.#tableNames()).includes('alive')) await this.change('DELETE FROM alive');
  }

  /** As after the first opening on a new disk, without making the tables again. */
  async empty(): Promise<void> {
    const names = await this.#tableNames();
    if (names.length === 0) return;
    const statements = names
      .filter((name) => !KEPT.includes(name))
      .map((name) => `DELETE FROM \`${name}\``);
    await this.change(['BEGIN', ...statements, ...FIRST_ROWS, 'COMMIT'].join(';'));
  }

  async dump(): Promise<Dump> {
    const dump = new Map<string, Cell[][]>();
    for (const name of await this.#tableNames()) {
      const rows = await this.query(`SELECT * FROM \`${name}\``);
      dump.set(
        name,
        rows.map((row) => Object.values(row) as Cell[]),
      );
    }
    return dump;
  }

  async load(dump: Dump): Promise<void> {
    await this.change('BEGIN');
    for (const [name, rows] of dump) {
      if (name === 'schema_migration') continue;
      await this.change(`DELETE FROM \`${name}\``);
      if (rows.length > 0) await this.change(`INSERT INTO \`${name}\` VALUES ?`, [rows]);
    }
    await this.change('COMMIT');
  }

  close(): void {
    this.#forget();
  }

  #forget(): void {
    this.#admin?.destroy();
    this.#admin = null;
    this.#tables = [];
  }

  /** A connection of another user than the leader's, to look and to meddle with. */
  async admin(): Promise<Connection> {
    if (this.#admin === null) {
      this.#admin = await this.connect(this.#adminUrl);
      // The server was killed meanwhile: the next one connects anew.
      this.#admin.on('error', () => this.#forget());
    }
    return this.#admin;
  }

  /** A further one, by default as the leader's user. */
  connect(uri: string = this.url): Promise<Connection> {
    return createConnection({ uri, supportBigNumbers: true, multipleStatements: true });
  }

  async #tableNames(): Promise<readonly string[]> {
    if (this.#tables.length > 0) return this.#tables;
    const rows = await this.query(
      'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()',
    );
    this.#tables = rows.map((row) => String(row['name'])).toSorted();
    return this.#tables;
  }
}
