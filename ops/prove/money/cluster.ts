import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadKeyFile } from '../../../lib/adapter/key-file.ts';
import type { SetId } from '../../../lib/core/units.ts';
import { setId } from '../../../lib/core/units.ts';
import { openSetNode } from '../../../lib/runtime/grpc.ts';
import { saveTopology } from '../../../router/topology-file.ts';
import type { Topology } from '../../../router/topology.ts';
import { firstTopology } from '../../../router/topology.ts';
import { MariaDb, replicaDsn } from '../../rig/mariadb.ts';
import { Nats } from '../../rig/nats.ts';
import { freePort, LOOPBACK } from '../../rig/ports.ts';
import type { RigProcess } from '../../rig/process.ts';
import type { Rig } from '../../rig/rig.ts';
import { tierProcess } from '../../rig/tier.ts';
import type { Vote } from '../set/vote.ts';
import { readVote } from '../set/vote.ts';
import type { Crew } from './plan.ts';

export const REPLICAS = 3;
export const QUORUM = 2;
/** One leads, one stands by. */
const NODES = 2;
const STATUS_WITHIN_MS = 1_000;
const AUDITOR = 'auditor';

export type MoneyClusterOptions = {
  readonly rig: Rig;
  readonly sets: number;
  readonly reconcilers: number;
  readonly access: number;
  /** The bus between processes; without it reconcilers find by polling what no bell tells. */
  readonly hasNats: boolean;
  /** The Sets' databases lie on the same three servers; else each Set has three of its own. */
  readonly sharesServers: boolean;
  /** Demo money of a new user, cents. */
  readonly welcomeCents: number;
  /** Arguments of node for the reconcilers, before the program: a sabotage loads itself by them. */
  readonly reconcilerArgs: readonly string[];
};

/** One Set as the chaos sees it. */
export type SetPlace = {
  readonly id: SetId;
  /** By replica. */
  readonly servers: readonly MariaDb[];
  /** By node slot. */
  readonly nodes: readonly { readonly address: string; readonly process: RigProcess }[];
};

/** A process with a port on which others ask it. */
export type Serving = { readonly process: RigProcess; readonly port: number };

/** Every process of a small installation, each of them real and alone. */
export class MoneyCluster {
  readonly crew: Crew;
  readonly topology: Topology;
  readonly topologyFile: string;
  /** Of the database users. */
  readonly password: string;
  readonly sets: readonly SetPlace[];
  /** Port: of `/metrics`. The last of them only audits. */
  readonly reconcilers: readonly Serving[];
  /** Port: of the people's sockets. */
  readonly access: readonly Serving[];
  readonly nats: Nats | null;

  private constructor(args: {
    crew: Crew;
    topology: Topology;
    topologyFile: string;
    password: string;
    sets: readonly SetPlace[];
    reconcilers: readonly Serving[];
    access: readonly Serving[];
    nats: Nats | null;
  }) {
    this.crew = args.crew;
    this.topology = args.topology;
    this.topologyFile = args.topologyFile;
    this.password = args.password;
    this.sets = args.sets;
    this.reconcilers = args.reconcilers;
    this.access = args.access;
    this.nats = args.nats;
  }

  /** Everything runs when this resolves. */
  static async start(options: MoneyClusterOptions): Promise<MoneyCluster> {
    const { rig, sets: setCount, access, hasNats } = options;
    const password = randomBytes(12).toString('hex');
    const nats = hasNats ? await Nats.start({ rig, name: 'nats' }) : null;
    const ids = Array.from({ length: setCount }, (_, index) => setId(index + 1));
    const servers = await startServers(options, ids);
    for (const [at, id] of ids.entries()) {
      for (const server of servers[at] ?? []) await server.createSet({ setId: id, password });
    }
    const addresses = await Promise.all(
      ids.map(() => Promise.all(Array.from({ length: NODES }, newAddress))),
    );
    const topology = firstTopology({
      clusterId: randomBytes(16).toString('hex'),
      sets: ids.map((id, at) => ({
        id,
        state: 'active',
        weight: 1,
        region: 'local',
        nodes: (addresses[at] ?? []).map((primary) => ({ primary, backup: '' })),
        replicas: (servers[at] ?? []).map(({ port }) => replicaDsn({ setId: id, port })),
      })),
    });
    const topologyFile = join(rig.dir, 'topology.json');
    await saveTopology(topologyFile, topology);
    const keyFile = join(rig.dir, 'keys');
    // Made before several processes would make them at once.
    loadKeyFile(keyFile);
    const common = { topologyFile, ...(nats === null ? {} : { natsUrl: nats.url }) };
    const sets = ids.map((id, at) => ({
      id,
      servers: servers[at] ?? [],
      nodes: (addresses[at] ?? []).map((address, nodeSlot) => ({
        address,
        process: tierProcess({
          rig,
          tier: 'set-node',
          name: `set${id}-node${nodeSlot}`,
          settings: { ...common, keyFile, nodeSlot, sets: id },
          env: { HONGBAO_DB_PASSWORD: password },
        }),
      })),
    }));
    const couriers = await couriersOf({ ...options, common });
    const all = [...couriers, await auditorOf({ ...options, common })];
    const crew = { sets: setCount, replicas: REPLICAS, reconcilers: all.length, access, hasNats };
    const cluster = new MoneyCluster({
      crew,
      topology,
      topologyFile,
      password,
      sets,
      nats,
      reconcilers: all,
      access: await doorsOf({ ...options, common }),
    });
    // The first of each Set makes the schema and leads.
    for (let slot = 0; slot < NODES; slot++) {
      const some = sets.flatMap(({ nodes }) => nodes.slice(slot, slot + 1));
      await Promise.all(some.map(({ process }) => process.start()));
    }
    await Promise.all(
      [...cluster.reconcilers, ...cluster.access].map(({ process }) => process.start()),
    );
    return cluster;
  }

  /** Slot of the node that leads this Set, by its own word; null when none says so. */
  async leaderOf(set: SetPlace): Promise<number | null> {
    const roles = await Promise.all(set.nodes.map(({ address }) => roleOf(address)));
    const slot = roles.indexOf('leading');
    return slot === -1 ? null : slot;
  }

  async votes(set: SetPlace): Promise<(Vote | null)[]> {
    return Promise.all(
      set.servers.map((server) => readVote({ server, set: set.id }).catch(() => null)),
    );
  }

  /** Every server once, also when Sets share them. */
  get servers(): readonly MariaDb[] {
    return [...new Set(this.sets.flatMap(({ servers }) => servers))];
  }

  /** Processes of our own tiers. */
  get tiers(): readonly RigProcess[] {
    return [
      ...this.sets.flatMap(({ nodes }) => nodes.map(({ process }) => process)),
      ...this.reconcilers.map(({ process }) => process),
      ...this.access.map(({ process }) => process),
    ];
  }

  /** Every process with the name of its tier. */
  get byTier(): readonly { readonly tier: string; readonly process: RigProcess }[] {
    const named = (tier: string, some: readonly { readonly process: RigProcess }[]) =>
      some.map(({ process }) => ({ tier, process }));
    return [
      ...named('databases', this.servers),
      ...named(
        'set-nodes',
        this.sets.flatMap(({ nodes }) => nodes),
      ),
      ...named('reconcilers', this.reconcilers.slice(0, -1)),
      ...named('auditor', this.reconcilers.slice(-1)),
      ...named('access nodes', this.access),
      ...named('NATS', this.nats === null ? [] : [this.nats]),
    ];
  }

  /** Starts whatever does not run and wakes whatever stands still. */
  async heal(): Promise<void> {
    const stores = [...this.servers, ...(this.nats === null ? [] : [this.nats])];
    for (const server of stores) {
      if (server.pid === null) await server.start();
      else server.resume();
    }
    for (const process of this.tiers) {
      if (process.pid === null) await process.start();
      else process.resume();
    }
  }

  /** An orderly end of all tiers, those that ask first; then nobody writes any more. */
  async stopTiers(): Promise<void> {
    for (const process of this.tiers.toReversed()) {
      if (process.pid !== null) await process.terminate();
    }
  }
}

async function newAddress(): Promise<string> {
  return `${LOOPBACK}:${await freePort()}`;
}

/** By Set, by replica. */
async function startServers(
  { rig, sharesServers }: MoneyClusterOptions,
  ids: readonly SetId[],
): Promise<MariaDb[][]> {
  const three = (prefix: string): Promise<MariaDb[]> =>
    Promise.all(
      Array.from({ length: REPLICAS }, (_, index) =>
        MariaDb.start({ rig, name: `${prefix}${index}` }),
      ),
    );
  if (!sharesServers) return Promise.all(ids.map((id) => three(`set${id}_db`)));
  const shared = await three('db');
  return ids.map(() => shared);
}

type TierOptions = MoneyClusterOptions & { readonly common: Readonly<Record<string, string>> };

async function couriersOf(options: TierOptions): Promise<Serving[]> {
  const { rig, common, reconcilers, reconcilerArgs } = options;
  const made: Serving[] = [];
  for (let index = 0; index < reconcilers; index++) {
    const port = await freePort();
    const process = tierProcess({
      rig,
      tier: 'reconciler',
      name: `reconciler${index}`,
      settings: { ...common, metricsPort: port, audit: false },
      nodeArgs: reconcilerArgs,
    });
    made.push({ process, port });
  }
  return made;
}

/** Killed and paused like any other; it goes on from its checkpoint. */
async function auditorOf({ rig, common }: TierOptions): Promise<Serving> {
  const port = await freePort();
  const auditFolder = join(rig.dir, 'audit');
  const process = tierProcess({
    rig,
    tier: 'reconciler',
    name: AUDITOR,
    settings: { ...common, metricsPort: port, settle: false, auditFolder },
  });
  return { process, port };
}

async function doorsOf(options: TierOptions): Promise<Serving[]> {
  const { rig, common, access, welcomeCents } = options;
  // People come by program: the page is not needed, but its folder is.
  const pageDir = join(rig.dir, 'page');
  await mkdir(pageDir, { recursive: true });
  await writeFile(join(pageDir, 'index.html'), '<!doctype html>');
  const tokenSecret = randomBytes(24).toString('hex');
  const made: Serving[] = [];
  for (let index = 0; index < access; index++) {
    const port = await freePort();
    const process = tierProcess({
      rig,
      tier: 'access',
      name: `access${index}`,
      settings: {
        topologyFile: common['topologyFile'] ?? '',
        port,
        pageDir,
        devTokens: true,
        demoCents: welcomeCents,
      },
      env: { HONGBAO_TOKEN_SECRET: tokenSecret },
    });
    made.push({ process, port });
  }
  return made;
}

async function roleOf(address: string): Promise<string | null> {
  const client = openSetNode(address);
  const late = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), STATUS_WITHIN_MS);
  });
  const asked = client.status().then(
    ({ role }) => role ?? null,
    () => null,
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    client.close();
  }
}
