/** A cluster of real servers and processes on this machine, kept in a directory: for development. */
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
import { Nats } from './nats.ts';
import { freePort, LOOPBACK } from './ports.ts';
import type { RigProcess } from './process.ts';
import type { Rig } from './rig.ts';
import { tierProcess } from './tier.ts';

const REPLICAS = 3;
/** One leads and one stands by. */
const NODES = 2;
/** Of what has no state of its own: one may end, and the other does its work. */
const TWINS = [1, 2];
/** 48 characters: what signs tokens has at least 32. */
const SECRET_BYTES = 36;
/** Demo money of a new user, cents: as `./hongbao start` gives. */
const DEMO_CENTS = 200_000;

export class LocalCluster {
  readonly topology: Topology;
  readonly servers: readonly MariaDb[];
  /** Set-nodes, reconcilers, the auditor, access nodes in the order of their start; none in a cluster of replicas. */
  readonly processes: RigProcess[] = [];
  readonly #rig: Rig;
  readonly #password: string;
  readonly #log: Log;
  readonly #addresses = new Map<string, string>();
  #nats: Nats | null = null;

  private constructor(args: {
    rig: Rig;
    topology: Topology;
    servers: readonly MariaDb[];
    password: string;
    log: Log;
  }) {
    this.#log = args.log;
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
    const password = await keptSecret(join(rig.dir, 'db-password'));
    const topology = await keptTopology(LocalCluster.topologyFile(rig), sets);
    // Every Set has a database on each of the three.
    const ports = (topology.sets[0]?.replicas ?? []).map(portOf);
    const servers = await Promise.all(
      ports.map((port, index) => MariaDb.start({ rig, name: `replica${index}`, port, log })),
    );
    for (const server of servers) {
      for (const { id } of topology.sets) await server.createSet({ setId: id, password });
    }
    return new LocalCluster({ rig, topology, servers, password, log });
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

  /** Everything that runs, servers first, and where it listens. */
  get running(): readonly { readonly process: RigProcess; readonly address: string }[] {
    const servers = [...this.servers, ...(this.#nats === null ? [] : [this.#nats])];
    return [
      ...servers.map(({ process, port }) => ({ process, address: `${LOOPBACK}:${port}` })),
      ...this.processes.map((process) => ({
        process,
        address: this.#addresses.get(process.name) ?? '',
      })),
    ];
  }

  /** A leader and a standby for each Set, and one reconciler; returns when all of them serve. */
  async startSets(): Promise<void> {
    await this.#startNodes({});
    await this.#start([this.#reconciler('reconciler', {})]);
  }

  /** NATS, the Sets' nodes, reconcilers, an auditor, access nodes; returns when all of them serve. */
  async startAll({ pageDir }: { pageDir: string }): Promise<void> {
    const rig = this.#rig;
    const port = await this.#portOf('nats');
    this.#nats = await Nats.start({ rig, name: 'nats', port, log: this.#log });
    const bus = { natsUrl: this.#nats.url };
    await this.#startNodes(bus);
    const reconcilers: RigProcess[] = [];
    for (const number of TWINS) {
      const name = `reconciler${number}`;
      const metricsPort = await this.#portOf(name);
      this.#addresses.set(name, `http://${LOOPBACK}:${metricsPort}/metrics`);
      reconcilers.push(this.#reconciler(name, { ...bus, metricsPort, audit: false }));
    }
    reconcilers.push(await this.#auditor(bus));
    await this.#start(reconcilers);
    // The same for both: a token of one is good at the other.
    const secret = await keptSecret(join(rig.dir, 'token-secret'));
    const doors: RigProcess[] = [];
    for (const number of TWINS)
      doors.push(await this.#door(`access${number}`, { pageDir, secret }));
    await this.#start(doors);
  }

  /** An orderly end: those that ask before those that are asked. */
  async stop(): Promise<void> {
    const running = this.processes.filter(({ pid }) => pid !== null).toReversed();
    for (const one of running) await one.terminate();
    await this.#nats?.stop();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  async #startNodes(settings: { natsUrl?: string }): Promise<void> {
    const rig = this.#rig;
    const topologyFile = LocalCluster.topologyFile(rig);
    const keyFile = join(rig.dir, 'keys');
    // Made here: processes that start at once would each make their own.
    loadKeyFile(keyFile);
    for (let nodeSlot = 0; nodeSlot < NODES; nodeSlot++) {
      const nodes = this.topology.sets.map(({ id, nodes: places }) => {
        const name = `set${id}-node${nodeSlot}`;
        this.#addresses.set(name, places[nodeSlot]?.primary ?? '');
        return tierProcess({
          rig,
          tier: 'set-node',
          name,
          settings: { topologyFile, keyFile, nodeSlot, sets: id, ...settings },
          env: { HONGBAO_DB_PASSWORD: this.#password },
        });
      });
      await this.#start(nodes);
    }
  }

  /** On its own: reading all journals delays no transfer. */
  async #auditor(bus: { natsUrl: string }): Promise<RigProcess> {
    const metricsPort = await this.#portOf('auditor');
    this.#addresses.set('auditor', `http://${LOOPBACK}:${metricsPort}/metrics`);
    const auditFolder = join(this.#rig.dir, 'audit');
    return this.#reconciler('auditor', { ...bus, metricsPort, settle: false, auditFolder });
  }

  #reconciler(name: string, more: Readonly<Record<string, string | number | boolean>>): RigProcess {
    const rig = this.#rig;
    const settings = { topologyFile: LocalCluster.topologyFile(rig), ...more };
    return tierProcess({ rig, tier: 'reconciler', name, settings });
  }

  async #door(name: string, of: { pageDir: string; secret: string }): Promise<RigProcess> {
    const rig = this.#rig;
    const port = await this.#portOf(name);
    this.#addresses.set(name, `http://${LOOPBACK}:${port}`);
    const topologyFile = LocalCluster.topologyFile(rig);
    const { pageDir } = of;
    const settings = { topologyFile, port, pageDir, devTokens: true, demoCents: DEMO_CENTS };
    const env = { HONGBAO_TOKEN_SECRET: of.secret };
    return tierProcess({ rig, tier: 'access', name, settings, env });
  }

  /** The same at every start: who knows an address finds it again. */
  async #portOf(name: string): Promise<number> {
    const file = join(this.#rig.dir, `${name}.port`);
    const kept = Number(await readFile(file, 'utf8').catch(() => ''));
    if (kept > 0) return kept;
    const port = await freePort();
    await writeFile(file, `${port}\n`);
    return port;
  }

  async #start(some: readonly RigProcess[]): Promise<void> {
    this.processes.push(...some);
    await Promise.all(some.map((one) => one.start()));
  }
}

async function keptSecret(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept !== '') return kept.trim();
  const made = randomBytes(SECRET_BYTES).toString('base64url');
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
