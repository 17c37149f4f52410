import type { Migration } from '../../../lib/adapter/mysql-migrations.ts';
import { loadMigrations } from '../../../lib/adapter/mysql-migrations.ts';
import { openMysqlReplica } from '../../../lib/adapter/mysql-replica.ts';
import type { ReplicaStore } from '../../../lib/port/replica-store.ts';
import type { Dump } from '../../rig/mariadb-bench.ts';
import { MariaDbBench } from '../../rig/mariadb-bench.ts';
import type { Rig } from '../../rig/rig.ts';
import type { DiskCopy, ReplicaWorld, WorldSource } from './replica-world.ts';
import { SCHEMA_MODULE, SET } from './replica-world.ts';

/**
 * How the server of a script goes away. `killed`: `kill -9` and a start, 0.4 s each time; a wipe is
 * a new data directory. `emulated`: its sessions end and the MEMORY table `alive` is emptied, which
 * is what a restart loses; a wipe empties the tables.
 */
export type Restarts = 'killed' | 'emulated';

export const MIGRATIONS = new URL('../../schema/', import.meta.url);

/** Replicas on one real MariaDB server, one after the other. */
export class MysqlWorlds implements WorldSource {
  readonly name = 'mysql';
  /** Of scripts that are opened from now on. */
  restarts: Restarts = 'emulated';
  /** How often the server was killed and came back. */
  killed = 0;
  readonly #bench: MariaDbBench;
  readonly #migrations: readonly Migration[];

  private constructor(bench: MariaDbBench, migrations: readonly Migration[]) {
    this.#bench = bench;
    this.#migrations = migrations;
  }

  static async start(rig: Rig, name = 'conformance'): Promise<MysqlWorlds> {
    const bench = await MariaDbBench.start({ rig, name, setId: SET });
    return new MysqlWorlds(bench, await loadMigrations(MIGRATIONS));
  }

  get version(): string {
    return this.#bench.server.version;
  }

  open(): Promise<ReplicaWorld> {
    const bench = this.#bench;
    return openMysqlWorld({
      bench,
      restarts: this.restarts,
      killed: () => (this.killed += 1),
      open: () =>
        openMysqlReplica({
          url: bench.url,
          setId: SET,
          schemaModule: SCHEMA_MODULE,
          migrations: this.#migrations,
          // A thread for each of a thousand short lives would be most of the time.
          projectIn: 'caller',
        }),
    });
  }

  /** The rig ends the server. */
  async close(): Promise<void> {
    this.#bench.close();
  }
}

/** One replica in the bench's database, emptied before; `killed` hears of every real restart. */
export async function openMysqlWorld(args: {
  bench: MariaDbBench;
  restarts: Restarts;
  open: () => Promise<ReplicaStore>;
  killed?: () => void;
}): Promise<ReplicaWorld> {
  const { bench, open, killed } = args;
  const isReal = args.restarts === 'killed';
  await bench.empty();
  let store = await open();

  /** Does something to the database while nobody uses it, and forgets what a restart forgets. */
  const whileDown = async (work: () => Promise<unknown>): Promise<void> => {
    await store.close();
    await work();
    if (isReal) {
      await bench.restartServer();
      killed?.();
    } else await bench.forgetAlive();
    store = await open();
  };
  const wipeDisk = async (): Promise<void> => {
    await store.close();
    await bench.wipeServer();
    killed?.();
    store = await open();
  };

  return {
    name: 'mysql',
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
    wipe: () => (isReal ? wipeDisk() : whileDown(() => bench.empty())),
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
