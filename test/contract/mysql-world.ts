import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { openMysqlReplica } from '../../lib/adapter/mysql-replica.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { MariaDb } from '../../ops/rig/mariadb.ts';
import { Rig } from '../../ops/rig/rig.ts';
import type { DiskCopy, ReplicaWorld } from './replica-world.ts';
import { SET } from './replica-world.ts';

export const TEST_SCHEMA = new URL('./test-schema.ts', import.meta.url);
export const MIGRATIONS = new URL('../../ops/schema/', import.meta.url);

type Cell = null | number | string | Buffer;
type Dump = Map<string, Cell[][]>;

/** One real server with one database: worlds come one after the other and leave it empty. */
export class MysqlBench {
  readonly server: MariaDb;
  readonly url: string;
  readonly #rig: Rig;
  readonly #adminUrl: string;
  #admin: Connection | null = null;

  private constructor(args: { rig: Rig; server: MariaDb; url: string; adminUrl: string }) {
    this.#rig = args.rig;
    this.server = args.server;
    this.url = args.url;
    this.#adminUrl = args.adminUrl;
  }

  static async start(): Promise<MysqlBench> {
    const rig = await Rig.open();
    const server = await MariaDb.start({ rig, name: 'replica' });
    const url = await server.createSet({ setId: SET, password: 'secret' });
    // Another user of the same database: taking over must leave it alone.
    const adminUrl = await server.createSet({ setId: SET, password: 'secret', role: 'test' });
    return new MysqlBench({ rig, server, url, adminUrl });
  }

  open(options: Partial<Parameters<typeof openMysqlReplica>[0]> = {}): Promise<ReplicaStore> {
    return openMysqlReplica({
      url: this.url,
      setId: SET,
      schemaModule: TEST_SCHEMA,
      migrations: MIGRATIONS,
      ...options,
    });
  }

  /** A connection of another user, which tests look and meddle with. */
  async admin(): Promise<Connection> {
    if (this.#admin === null) {
      this.#admin = await this.connect(this.#adminUrl);
      // The server was killed by a test: the next one connects anew.
      this.#admin.on('error', () => {
        this.#admin = null;
      });
    }
    return this.#admin;
  }

  /** After the server was wiped: the database and its users again, and a new connection to look. */
  async reset(): Promise<void> {
    await this.server.recreateSets();
    this.#admin?.destroy();
    this.#admin = null;
  }

  /** A further one, by default as the leader's user. */
  connect(uri: string = this.url): Promise<Connection> {
    return createConnection({ uri, supportBigNumbers: true });
  }

  async query(sql: string, values: Cell[] = []): Promise<RowDataPacket[]> {
    const [rows] = await (await this.admin()).query<RowDataPacket[]>(sql, values);
    return rows;
  }

  async change(sql: string, values: (Cell | Cell[][])[] = []): Promise<number> {
    const [header] = await (await this.admin()).query<ResultSetHeader>(sql, values);
    return header.affectedRows;
  }

  /** As after a restart: the server's memory is gone, its disk is there. */
  async forgetAlive(): Promise<void> {
    if ((await this.#tables()).includes('alive')) await this.change('DELETE FROM alive');
  }

  /** An empty database whose schema is made: what a new disk has, faster than making one. */
  async empty(): Promise<void> {
    for (const table of await this.#tables()) {
      if (table !== 'schema_migration') await this.change(`DELETE FROM \`${table}\``);
    }
  }

  /** No table at all; the next opening makes them. */
  async drop(): Promise<void> {
    for (const table of await this.#tables()) await this.change(`DROP TABLE \`${table}\``);
  }

  async dump(): Promise<Dump> {
    const dump: Dump = new Map();
    for (const table of await this.#tables()) {
      const rows = await this.query(`SELECT * FROM \`${table}\``);
      dump.set(
        table,
        rows.map((row) => Object.values(row) as Cell[]),
      );
    }
    return dump;
  }

  async load(dump: Dump): Promise<void> {
    await this.empty();
    for (const [table, rows] of dump) {
      if (table === 'schema_migration' || rows.length === 0) continue;
      await this.change(`INSERT INTO \`${table}\` VALUES ?`, [rows]);
    }
  }

  async #tables(): Promise<string[]> {
    const rows = await this.query(
      'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()',
    );
    return rows.map((row) => String(row['name']));
  }

  async close(): Promise<void> {
    this.#admin?.destroy();
    await this.#rig.close();
  }
}

export async function makeMysqlWorld(bench: MysqlBench): Promise<ReplicaWorld> {
  await bench.empty();
  // A thread for each of a hundred short lives would be most of the time; RS22 uses it.
  const open = (): Promise<ReplicaStore> => bench.open({ projectIn: 'caller' });
  let store = await open();

  /** Does something to the database while nobody uses it, and forgets what a restart forgets. */
  async function whileDown(work: () => Promise<unknown>): Promise<void> {
    await store.close();
    await work();
    await bench.forgetAlive();
    store = await open();
  }

  return {
    get store() {
      return store;
    },
    restart: () => whileDown(async () => undefined),
    copyDisk: async () => {
      let copy: Dump = new Map();
      await whileDown(async () => {
        copy = await bench.dump();
      });
      return copy as unknown as DiskCopy;
    },
    restoreDisk: (copy) => whileDown(() => bench.load(copy as unknown as Dump)),
    wipe: () => whileDown(() => bench.empty()),
    dropFenceRow: () => whileDown(() => bench.change('DELETE FROM replica_state')),
    flipPayloadBit: async (at) => {
      const flipped = 'CHAR(ORD(SUBSTRING(payload, 1, 1)) ^ 1 USING binary)';
      await bench.change(
        `UPDATE journal SET payload = INSERT(payload, 1, 1, ${flipped}) WHERE lsn = ?`,
        [at],
      );
    },
    dropManifest: () => whileDown(() => bench.change('DELETE FROM snapshot_manifest')),
    discarded: async () => {
      const rows = await bench.query(
        'SELECT lsn, sum, discarded_by_epoch AS `by` FROM journal_discarded ORDER BY place',
      );
      return rows.map((row) => ({
        lsn: Number(row['lsn']),
        sum: new Uint8Array(row['sum'] as Buffer),
        by: Number(row['by']),
      }));
    },
    dispose: () => store.close(),
  };
}
