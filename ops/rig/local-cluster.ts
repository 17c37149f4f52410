/** Sets on three real MariaDB servers of this machine, kept in a directory: for development. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { setId } from '../../lib/core/units.ts';
import { loadTopology, saveTopology } from '../../router/topology-file.ts';
import { firstTopology } from '../../router/topology.ts';
import type { Topology } from '../../router/topology.ts';
import type { Log } from '../provision/command.ts';
import { MariaDb, replicaDsn } from './mariadb.ts';
import { freePort, LOOPBACK } from './ports.ts';
import type { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';
import { tierProcess } from './tier.ts';

const REPLICAS = 3;
/** One leads and one stands by. */
const NODES = 2;

export class LocalCluster {
  readonly topology: Topology;
  readonly servers: readonly MariaDb[];
  /** Set-nodes and the reconciler in the order of their start; none in a cluster of replicas. */
  readonly processes: RigProcess[] = [];
  readonly #rig: Rig;
  readonly #password: string;

  private constructor(args: {
    rig: Rig;
    topology: Topology;
    servers: readonly MariaDb[];
    password: string;
  }) {
    this.#rig = args.rig;
    this.topology = args.topology;
    this.servers = args.servers;
    this.#password = args.password;
  }

  /**
   * Starts the three servers and makes the databases. `sets` holds for a new directory; an existing
   * one keeps its Sets, ports, password and data. Rejects with ProvisionError or ProcessFailed.
   */
  static async start(options: { rig: Rig; sets: number; log: Log }): Promise<LocalCluster> {
    const { rig, sets, log } = options;
    const password = await keptPassword(join(rig.dir, 'db-password'));
    const topology = await keptTopology(LocalCluster.topologyFile(rig), sets);
    // Every Set has a database on each of the three.
    const ports = (topology.sets[0]?.replicas ?? []).map(portOf);
    const servers = await Promise.all(
      ports.map((port, index) => MariaDb.start({ rig, name: `replica${index}`, port, log })),
    );
    for (const server of servers) {
      for (const { id } of topology.sets) await server.createSet({ setId: id, password });
    }
    return new LocalCluster({ rig, topology, servers, password });
  }

  static topologyFile(rig: Rig): string {
    return join(rig.dir, 'topology.json');
  }

  /** By Set, by replica: with the password. */
  get dsns(): readonly { readonly setId: number; readonly dsns: readonly string[] }[] {
    const password = this.#password;
    return this.topology.sets.map(({ id }) => ({
      setId: id,
      dsns: this.servers.map((server) => server.dsnOf({ setId: id, password })),
    }));
  }

  /** A leader and a standby for each Set, and the reconciler; returns when all of them serve. */
  async startSets(): Promise<void> {
    const rig = this.#rig;
    const topologyFile = LocalCluster.topologyFile(rig);
    const keyFile = join(rig.dir, 'keys');
    // Made here: processes that start at once would each make their own.
    loadKeyFile(keyFile);
    for (let nodeSlot = 0; nodeSlot < NODES; nodeSlot++) {
      const nodes = this.topology.sets.map(({ id }) =>
        tierProcess({
          rig,
          tier: 'set-node',
          name: `set${id}-node${nodeSlot}`,
          settings: { topologyFile, keyFile, nodeSlot, sets: id },
          env: { HONGBAO_DB_PASSWORD: this.#password },
        }),
      );
      await this.#start(nodes);
    }
    const settings = { topologyFile };
    await this.#start([tierProcess({ rig, tier: 'reconciler', name: 'reconciler', settings })]);
  }

  /** An orderly end: those that ask before those that are asked. */
  async stop(): Promise<void> {
    const running = this.processes.filter(({ pid }) => pid !== null).toReversed();
    for (const one of running) await one.terminate();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  async #start(some: readonly RigProcess[]): Promise<void> {
    this.processes.push(...some);
    await Promise.all(some.map((one) => one.start()));
  }
}

async function keptPassword(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept !== '') return kept.trim();
  const made = randomBytes(18).toString('base64url');
  await writeFile(file, `${made}\n`, { mode: 0o600 });
  return made;
}

async function keptTopology(file: string, sets: number): Promise<Topology> {
  const kept = await loadTopology(file);
  if (kept !== null) return kept;
  const ports = await freePorts(REPLICAS);
  const made = firstTopology({
    clusterId: randomBytes(16).toString('hex'),
    sets: await Promise.all(
      Array.from({ length: sets }, async (_, index) => {
        const id = setId(index + 1);
        const nodes = (await freePorts(NODES)).map((port) => ({
          primary: `${LOOPBACK}:${port}`,
          backup: '',
        }));
        const replicas = ports.map((port) => replicaDsn({ setId: id, port }));
        return { id, state: 'active', weight: 1, region: 'local', nodes, replicas } as const;
      }),
    ),
  });
  await saveTopology(file, made);
  return made;
}

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index++) ports.push(await freePort());
  return ports;
}

function portOf(dsn: string): number {
  return Number(new URL(dsn).port);
}
