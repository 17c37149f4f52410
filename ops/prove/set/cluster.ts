import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadKeyFile } from '../../../lib/adapter/key-file.ts';
import { nodeSlotOf, setId } from '../../../lib/core/units.ts';
import { openSetNode } from '../../../lib/runtime/grpc.ts';
import type { NodeStatus__Output } from '../../../proto/gen/hongbao/NodeStatus.ts';
import { saveTopology } from '../../../router/topology-file.ts';
import type { Topology } from '../../../router/topology.ts';
import { firstTopology } from '../../../router/topology.ts';
import { startOnSmallDisk } from '../../rig/full-disk.ts';
import type { SmallDisk } from '../../rig/full-disk.ts';
import { MariaDb, databaseOf } from '../../rig/mariadb.ts';
import { freePort, LOOPBACK } from '../../rig/ports.ts';
import { RigProcess } from '../../rig/process.ts';
import { Proxy } from '../../rig/proxy.ts';
import type { Rig } from '../../rig/rig.ts';
import type { Vote } from './vote.ts';
import { readVote } from './vote.ts';

export const SET = setId(1);
export const REPLICAS = 3;
export const QUORUM = 2;
const NODES = 2;
const MAIN = join(import.meta.dirname, '../../../set-node/main.ts');
const NODE_READY = /"event":"ready"/;

export type ClusterOptions = {
  readonly rig: Rig;
  /** Each node reaches each replica through a proxy of its own. */
  readonly isProxied: boolean;
  /** The last replica lives on a disk that can be filled. */
  readonly hasSmallDisk: boolean;
  /** The last node is an old build until {@link Cluster.renew}. */
  readonly hasOldNode: boolean;
  /** Further arguments of node, before the program: a sabotage loads itself by them. */
  readonly nodeArgs?: readonly string[];
};

/** One set-node process: the same command line again and again, another process each time. */
export type SetNode = {
  readonly slot: number;
  readonly address: string;
  readonly process: RigProcess;
  /** By replica; empty unless the cluster is proxied. */
  readonly links: readonly Proxy[];
  /** While there is such a file, the process starts as an old build. */
  readonly oldFlag: string;
};

/** One Set on three real MariaDB servers and two set-node processes. */
export class Cluster {
  readonly servers: readonly MariaDb[];
  readonly nodes: readonly SetNode[];
  readonly topology: Topology;
  readonly smallDisk: SmallDisk | null;

  private constructor(args: {
    servers: readonly MariaDb[];
    nodes: readonly SetNode[];
    topology: Topology;
    smallDisk: SmallDisk | null;
  }) {
    this.servers = args.servers;
    this.nodes = args.nodes;
    this.topology = args.topology;
    this.smallDisk = args.smallDisk;
  }

  /** Servers run, nodes run, one of them leads. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { rig } = options;
    const password = randomBytes(12).toString('hex');
    const names = Array.from({ length: REPLICAS }, (_, index) => `db${index}`);
    const small = options.hasSmallDisk
      ? await startOnSmallDisk({ rig, name: names.pop() ?? '' })
      : null;
    const large = await Promise.all(names.map((name) => MariaDb.start({ rig, name })));
    const servers = small === null ? large : [...large, small.server];
    for (const server of servers) await server.createSet({ setId: SET, password });
    const addresses = await Promise.all(
      Array.from({ length: NODES }, async () => `${LOOPBACK}:${await freePort()}`),
    );
    const clusterId = randomBytes(16).toString('hex');
    const topologyWith = (ports: readonly number[]): Topology =>
      firstTopology({
        clusterId,
        sets: [
          {
            id: SET,
            state: 'active',
            weight: 1,
            region: 'local',
            nodes: addresses.map((primary) => ({ primary, backup: '' })),
            replicas: ports.map(dsnOf),
          },
        ],
      });
    // Made before two processes would make them at once.
    loadKeyFile(join(rig.dir, 'keys'));
    const nodes: SetNode[] = [];
    for (const [slot, address] of addresses.entries()) {
      const links = options.isProxied ? await linksTo({ rig, servers }) : [];
      const ports = links.length > 0 ? links.map(({ port }) => port) : servers.map((s) => s.port);
      const oldFlag = join(rig.dir, `node${slot}-is-old`);
      if (options.hasOldNode && slot === NODES - 1) await writeFile(oldFlag, '');
      const topology = topologyWith(ports);
      const process = await nodeProcess({ options, slot, password, topology, oldFlag });
      nodes.push({ slot, address, process, links, oldFlag });
    }
    const topology = topologyWith(servers.map(({ port }) => port));
    const cluster = new Cluster({ servers, nodes, topology, smallDisk: small?.disk ?? null });
    // One after the other: the first one makes the schema and leads.
    for (const { process } of nodes) await process.start();
    return cluster;
  }

  server(index: number): MariaDb {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`there is no replica ${index}`);
    return server;
  }

  node(slot: number): SetNode {
    const node = this.nodes[slot];
    if (node === undefined) throw new Error(`there is no node ${slot}`);
    return node;
  }

  /** The node that leads in this epoch, and one of the others. */
  nodesOf(epoch: number): { leader: SetNode; standby: SetNode } {
    const leader = this.node(nodeSlotOf(epoch));
    return { leader, standby: this.node((leader.slot + 1) % NODES) };
  }

  /** What a node says of itself; null when it does not answer. */
  async status({ address }: SetNode): Promise<NodeStatus__Output | null> {
    const client = openSetNode(address);
    try {
      return await client.status();
    } catch {
      return null;
    } finally {
      client.close();
    }
  }

  /** Hands leadership over on purpose; false when the node did not lead. */
  async stepDown({ address }: SetNode): Promise<boolean> {
    const client = openSetNode(address);
    try {
      return await client.stepDown();
    } finally {
      client.close();
    }
  }

  /** What replica `index` says of itself. */
  async vote(index: number): Promise<Vote> {
    return readVote({ server: this.server(index), set: SET });
  }

  /** Starts whatever does not run, wakes whatever stands still, takes away every fault of a link. */
  async heal(): Promise<void> {
    await this.smallDisk?.free();
    for (const { links } of this.nodes) for (const link of links) await link.heal();
    for (const server of this.servers) {
      if (server.pid === null) await server.start();
      else server.resume();
    }
    for (const { process } of this.nodes) {
      if (process.pid === null) await process.start();
      else process.resume();
    }
  }

  /** The node's next start is one of this build, or of an old one. */
  async renew(node: SetNode, build: 'old' | 'new'): Promise<void> {
    if (build === 'old') await writeFile(node.oldFlag, '');
    else await rm(node.oldFlag, { force: true });
  }

  /** An orderly end of the nodes; then nobody writes any more. */
  async stopNodes(): Promise<void> {
    for (const { process } of this.nodes) if (process.pid !== null) await process.terminate();
  }
}

function dsnOf(port: number): string {
  return `mysql://s${SET}_leader@${LOOPBACK}:${port}/${databaseOf(SET)}`;
}

function linksTo(args: { rig: Rig; servers: readonly MariaDb[] }): Promise<Proxy[]> {
  const { rig, servers } = args;
  return Promise.all(servers.map(({ port }) => Proxy.open({ rig, serverPort: port })));
}

function oldBuild(flag: string): string {
  const module = new URL('old-build.ts', import.meta.url);
  module.searchParams.set('while', flag);
  return module.href;
}

async function nodeProcess(args: {
  options: ClusterOptions;
  slot: number;
  password: string;
  topology: Topology;
  oldFlag: string;
}): Promise<RigProcess> {
  const { options, slot, password, topology, oldFlag } = args;
  const { rig, nodeArgs = [] } = options;
  const dir = join(rig.dir, `node${slot}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // A file of its own: the ways to the replicas may be its own.
  const topologyFile = join(dir, 'topology.json');
  await saveTopology(topologyFile, topology);
  const node = new RigProcess({
    name: `set-node ${slot}`,
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      ...nodeArgs,
      ...(options.hasOldNode ? ['--import', oldBuild(oldFlag)] : []),
      MAIN,
      ...(options.hasOldNode ? ['--new-set-rules=1'] : []),
      `--topology-file=${topologyFile}`,
      `--node-slot=${slot}`,
      `--key-file=${join(rig.dir, 'keys')}`,
    ],
    env: { HONGBAO_DB_PASSWORD: password },
    logFile: join(dir, 'log'),
    isReady: (output) => NODE_READY.test(output),
  });
  rig.own({ close: () => node.kill() });
  return node;
}
