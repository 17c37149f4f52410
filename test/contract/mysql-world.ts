import { openMysqlReplica } from '../../lib/adapter/mysql-replica.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { MariaDbBench } from '../../ops/rig/mariadb-bench.ts';
import { Rig } from '../../ops/rig/rig.ts';
import { MIGRATIONS, openMysqlWorld } from '../../ops/sim/conformance/mysql-world.ts';
import type { ReplicaWorld } from '../../ops/sim/conformance/replica-world.ts';
import { SCHEMA_MODULE, SET } from '../../ops/sim/conformance/replica-world.ts';

/** One real server with one database: worlds come one after the other and leave it empty. */
export class MysqlBench {
  readonly disk: MariaDbBench;
  readonly #rig: Rig;

  private constructor({ rig, disk }: { rig: Rig; disk: MariaDbBench }) {
    this.#rig = rig;
    this.disk = disk;
  }

  static async start(): Promise<MysqlBench> {
    const rig = await Rig.open();
    const disk = await MariaDbBench.start({ rig, name: 'replica', setId: SET });
    return new MysqlBench({ rig, disk });
  }

  open(options: Partial<Parameters<typeof openMysqlReplica>[0]> = {}): Promise<ReplicaStore> {
    return openMysqlReplica({
      url: this.disk.url,
      setId: SET,
      schemaModule: SCHEMA_MODULE,
      migrations: MIGRATIONS,
      ...options,
    });
  }

  async close(): Promise<void> {
    this.disk.close();
    await this.#rig.close();
  }
}

export function makeMysqlWorld(bench: MysqlBench): Promise<ReplicaWorld> {
  // A thread for each of a hundred short lives would be most of the time; RS22 uses it.
  const open = (): Promise<ReplicaStore> => bench.open({ projectIn: 'caller' });
  return openMysqlWorld({ bench: bench.disk, restarts: 'emulated', open });
}
