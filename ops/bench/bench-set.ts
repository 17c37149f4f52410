import { mkdir } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { MysqlProjectors } from '../../lib/adapter/mysql-projector.ts';
import { openMysqlReplica } from '../../lib/adapter/mysql-replica.ts';
import { assert } from '../../lib/core/assert.ts';
import { toHex } from '../../lib/core/bytes.ts';
import { CLUSTER_ID_BYTES } from '../../lib/core/command.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { saveTopology } from '../../router/topology-file.ts';
import type { Topology } from '../../router/topology.ts';
import { firstTopology } from '../../router/topology.ts';
import type { MariaDb } from '../rig/mariadb.ts';
import { Nats } from '../rig/nats.ts';
import { startMariaDbs } from '../rig/mariadb.ts';
import { freePort, LOOPBACK } from '../rig/ports.ts';
import { RigProcess } from '../rig/process.ts';
import { Rig } from '../rig/rig.ts';
import { cpuUsOf } from './processes.ts';
import type { MakerKeys } from './set-maker.ts';
import { BENCH_SET } from './set-maker.ts';

const ROOT = join(import.meta.dirname, '../..');
const SCHEMA_MODULE = new URL('../../set-node/read/projection.ts', import.meta.url);
const MIGRATIONS = new URL('../schema/', import.meta.url);
const PASSWORD = 'bench';
const REPLICAS = 3;
/** A replay of millions of claims has to fit. */
const NODE_HEAP_MB = 8_192;
const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  `--max-old-space-size=${NODE_HEAP_MB}`,
];

/** One Set as a cluster runs it: three MariaDB servers (Q=2) and one set-node process. */
export class BenchSet {
  readonly servers: readonly MariaDb[];
  readonly topology: Topology;
  readonly keys: MakerKeys;
  readonly #node: RigProcess;
  readonly #courier: RigProcess;
  readonly #nats: Nats | null;
  readonly #rig: Rig;
  #stores: ReplicaStore[] = [];

  private constructor(args: {
    rig: Rig;
    servers: readonly MariaDb[];
    topology: Topology;
    keys: MakerKeys;
    node: RigProcess;
    courier: RigProcess;
    nats: Nats | null;
  }) {
    this.#rig = args.rig;
    this.#nats = args.nats;
    this.servers = args.servers;
    this.topology = args.topology;
    this.keys = args.keys;
    this.#node = args.node;
    this.#courier = args.courier;
  }

  /**
   * In a rig of its own, which goes with it. The servers run, with empty databases; nobody leads yet.
   * `bells`: with a NATS over which the Set rings its courier.
   */
  static async create({ bells = false }: { bells?: boolean } = {}): Promise<BenchSet> {
    const rig = await Rig.open();
    try {
      return await BenchSet.#createIn(rig, bells);
    } catch (error) {
      await rig.close();
      throw error;
    }
  }

  static async #createIn(rig: Rig, bells: boolean): Promise<BenchSet> {
    const dir = join(rig.dir, 'node');
    await mkdir(dir, { recursive: true });
    const servers = await startMariaDbs({ rig, count: REPLICAS, wholeLog: true });
    const urls = await Promise.all(servers.map(createSetOn));
    const topologyFile = join(dir, 'topology.json');
    const topology = firstTopology({
      clusterId: toHex(new Uint8Array(randomBytes(CLUSTER_ID_BYTES))),
      sets: [
        {
          id: BENCH_SET,
          state: 'active',
          weight: 1,
          region: 'local',
          nodes: [{ primary: `${LOOPBACK}:${await freePort()}`, backup: '' }],
          replicas: urls.map((url) => url.replace(`:${PASSWORD}@`, '@')),
        },
      ],
    });
    await saveTopology(topologyFile, topology);
    const keyFile = join(dir, 'keys');
    const keys = loadKeyFile(keyFile);
    const nats = bells ? await Nats.start({ rig, name: 'nats' }) : null;
    const bus = nats === null ? [] : ['--nats-url', nats.url];
    const process_ = (name: string, main: string, flags: readonly string[]): RigProcess =>
      rig.own(
        new BenchProcess({
          name,
          command: process.execPath,
          args: [
            ...NODE_FLAGS,
            join(ROOT, main),
            '--topology-file',
            topologyFile,
            ...bus,
            ...flags,
          ],
          env: { HONGBAO_DB_PASSWORD: PASSWORD },
          cwd: dir,
          logFile: join(rig.dir, `${name}.log`),
          isReady: (output) => output.includes(READY[name] ?? 'ready'),
        }),
      );
    const node = process_('set_node', 'set-node/main.ts', ['--key-file', keyFile]);
    // A reconciler that audits as well reads all that the bench prepared before, in the same thread.
    const courier = process_('courier', 'reconciler/main.ts', ['--audit=false']);
    return new BenchSet({ rig, servers, topology, keys, node, courier, nats });
  }

  get address(): string {
    const [set] = this.topology.sets;
    const primary = set?.nodes[0]?.primary;
    assert(primary !== undefined, 'the Set has its node');
    return primary;
  }

  /** Database and user again, on a server that was wiped. */
  async admitUsers(server: MariaDb): Promise<void> {
    await createSetOn(server);
  }

  /** Own connections to the replicas, as the set-node's user; made at the first call. */
  async stores(): Promise<readonly ReplicaStore[]> {
    if (this.#stores.length === 0) {
      const projectIn = new MysqlProjectors({ setId: BENCH_SET, schemaModule: SCHEMA_MODULE });
      this.#stores = await Promise.all(
        this.servers.map((server) =>
          openMysqlReplica({
            url: server.dsnOf({ setId: BENCH_SET, password: PASSWORD }),
            setId: BENCH_SET,
            schemaModule: SCHEMA_MODULE,
            migrations: MIGRATIONS,
            projectIn,
          }),
        ),
      );
    }
    return this.#stores;
  }

  /** Starts the set-node process; returns when it leads: how long that took, ms. */
  startNode(): Promise<number> {
    return this.#node.start();
  }

  killNode(): Promise<void> {
    return this.#node.kill();
  }

  get nodePid(): number | null {
    return this.#node.pid;
  }

  /** The reconciler as a process of its own: from here on what is opened is also settled. */
  async startCourier(): Promise<void> {
    await this.#courier.start();
  }

  stopCourier(): Promise<void> {
    return this.#courier.kill();
  }

  /** CPU of all processes of this side so far, µs. */
  serverCpuUs(): number {
    const bus = this.#nats === null ? [] : [this.#nats];
    const processes = [...this.servers, ...bus, this.#node, this.#courier];
    return cpuUsOf(processes.flatMap(({ pid }) => (pid === null ? [] : [pid])));
  }

  async close(): Promise<void> {
    await this.#courier.kill();
    await this.#node.kill();
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.#rig.close();
  }
}

function createSetOn(server: MariaDb): Promise<string> {
  return server.createSet({ setId: BENCH_SET, password: PASSWORD });
}

const READY: Readonly<Record<string, string>> = { set_node: '"event":"set_leading"' };

/** A process that a rig can own. */
class BenchProcess extends RigProcess {
  close(): Promise<void> {
    return this.kill();
  }
}
