import { readFileSync } from 'node:fs';
import { makeJsonLog } from '../lib/adapter/json-log.ts';
import { loadKeyFile } from '../lib/adapter/key-file.ts';
import { MemoryBus } from '../lib/adapter/memory-bus.ts';
import { NatsBus } from '../lib/adapter/nats-bus.ts';
import { makeCrypto } from '../lib/adapter/node-crypto.ts';
import { SystemClock } from '../lib/adapter/system-clock.ts';
import { SystemRandom } from '../lib/adapter/system-random.ts';
import { fromHex } from '../lib/core/bytes.ts';
import { assertLimits } from '../lib/core/limits.ts';
import type { SetId } from '../lib/core/units.ts';
import { slotOf } from '../lib/core/user.ts';
import type { Clock } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { ReplicaStore } from '../lib/port/replica-store.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { ConfigError, logConfig } from '../lib/runtime/config.ts';
import { Lifecycle, guardProcess } from '../lib/runtime/lifecycle.ts';
import { serveMetrics } from '../lib/runtime/metrics-endpoint.ts';
import { createMetrics } from '../lib/runtime/metrics.ts';
import { needTopology } from '../router/topology-file.ts';
import type { Topology, TopologySet } from '../router/topology.ts';
import { ownerOfSlot, slotBitmap } from '../router/topology.ts';
import { bootstrapNew } from './log/bootstrap.ts';
import { clockAheadMs } from './log/clock-check.ts';
import type { SetNodeConfig } from './config.ts';
import { policyOf, readSetNodeConfig, setsOf } from './config.ts';
import { openReplica, projectorsOf } from './open-replica.ts';
import type { SetServer, SetServerArgs } from './server.ts';
import { startSetServer } from './server.ts';

const BOOTSTRAP_RETRY_MS = 500;

type Process = {
  readonly values: SetNodeConfig['values'];
  readonly topology: Topology;
  readonly password: string;
  readonly lifecycle: Lifecycle;
  readonly ports: Pick<SetServerArgs, 'clock' | 'random' | 'log' | 'metrics' | 'bus' | 'crypto'>;
};

/** A node of one or several Sets as a process of its own (design 3). */
async function main(args: { flags: readonly string[]; clock: Clock; log: Log }): Promise<void> {
  const { flags, clock, log } = args;
  assertLimits();
  const config = readSetNodeConfig(flags);
  logConfig(log, config);
  const { values } = config;
  const topology = await needTopology(values.topologyFile);

  const lifecycle = new Lifecycle({ log });
  guardProcess({ lifecycle, log });
  const metrics = createMetrics();
  const servers: SetServer[] = [];
  const sets = servedSets(topology, values);
  if (values.metricsPort > 0) {
    const isReady = (): boolean =>
      servers.length === sets.length && servers.every(({ engine }) => isServing(engine.status));
    await lifecycle.start(() => serveMetrics({ port: values.metricsPort, metrics, isReady }));
  }
  const keys = loadKeyFile(values.keyFile);
  const random = new SystemRandom();
  const { natsUrl: url } = values;
  const { clusterId: cluster } = topology;
  // Without a server it rings within this process only; couriers elsewhere find by polling.
  const bus =
    url === ''
      ? new MemoryBus({ clock, log })
      : new NatsBus({ url, cluster, clock, random, log, metrics });
  await lifecycle.start(() => ({ name: 'bus', close: () => bus.close() }));
  const ports = { clock, random, log, metrics, bus, crypto: makeCrypto(keys) };
  const node = { values, topology, password: passwordOf(values), lifecycle, ports };
  try {
    await Promise.all(sets.map(async (set) => servers.push(await startSet(node, set))));
  } catch (error) {
    await lifecycle.end();
    throw error;
  }
  log.info('ready', {
    sets: sets.map(({ id }) => id),
    nodeSlot: values.nodeSlot,
    addresses: servers.map(({ address }) => address),
    topologyVersion: topology.version,
  });
}

type Status = SetServer['engine']['status'];

/** Of use to its Set: leads it, or could. */
function isServing({ kind }: Status): boolean {
  return kind === 'leading' || kind === 'following';
}

function servedSets(topology: Topology, values: SetNodeConfig['values']): readonly TopologySet[] {
  const wanted = setsOf(values.sets);
  const has = (set: TopologySet): boolean => set.nodes[values.nodeSlot] !== undefined;
  const living = topology.sets.filter(({ state }) => state !== 'retired');
  const sets = living.filter((set) => (wanted === null ? has(set) : wanted.includes(set.id)));
  const without = sets.find((set) => !has(set));
  if (without !== undefined) {
    throw new ConfigError(`nodeSlot ${values.nodeSlot}: Set ${without.id} has no such node`);
  }
  const found = new Set<SetId>(sets.map(({ id }) => id));
  const missing = wanted?.find((id) => !found.has(id));
  if (missing !== undefined) throw new ConfigError(`sets: there is no Set ${missing}`);
  if (sets.length === 0) throw new ConfigError(`nodeSlot ${values.nodeSlot} serves no Set`);
  return sets;
}

function passwordOf({ dbPassword, dbPasswordFile }: SetNodeConfig['values']): string {
  if (dbPasswordFile === '') return dbPassword;
  return readFileSync(dbPasswordFile, 'utf8').trim();
}

async function startSet(node: Process, set: TopologySet): Promise<SetServer> {
  const { values, topology, lifecycle, ports } = node;
  const { id } = set;
  const clusterId = fromHex(topology.clusterId);
  const { clock, log } = ports;
  const { password } = node;
  const projectors = projectorsOf(id);
  const open = (dsn: string) => openReplica({ setId: id, dsn, password, clock, log, projectors });
  const replicas = await Promise.all(set.replicas.map(open));
  const count = replicas.length;
  if (count !== 1 && count !== 3) throw new ConfigError(`Set ${id} has 1 or 3 replicas`);
  const quorum = count === 3 ? 2 : 1;
  for (const [replica, store] of replicas.entries()) {
    const name = `replica-${id}-${replica}`;
    await lifecycle.start(() => ({ name, close: () => store.close() }));
  }
  // Refused before anything is written: two replicas on one disk are one.
  await clockAheadMs({ replicas, quorum, clock: ports.clock });
  await bootstrap(node, { replicas, clusterId });
  const server = await startSetServer({
    ...ports,
    setId: id,
    replicas,
    quorum,
    nodeSlot: values.nodeSlot,
    trustDisks: values.trustDisks,
    standby: set.nodes.length > 1,
    nodes: set.nodes.length,
    address: addressOf(set, values),
    topologyVersion: () => topology.version,
    homeOf: (user) => ownerOfSlot(topology, slotOf(user)),
    policy: policyOf(values),
    snapshotElsewhere: null,
    configuration: {
      type: 'set.configure',
      clusterId,
      replicas: count,
      quorum,
      rules: values.newSetRules,
      slots: slotBitmap(topology, id),
    },
  });
  await lifecycle.start(() => ({
    name: `set-${id}`,
    drain: async () => void (await server.engine.stepDown()),
    stop: () => server.stop(),
  }));
  return server;
}

/** Where this node listens: its first line, on another host when told so. */
function addressOf(set: TopologySet, { nodeSlot, host }: SetNodeConfig['values']): string {
  const address = set.nodes[nodeSlot]?.primary ?? '';
  if (host === '' || address.startsWith('unix:')) return address;
  return `${host}:${address.slice(address.lastIndexOf(':') + 1)}`;
}

/** A new Set waits until all of its replicas are there; an old one starts with a quorum of them. */
async function bootstrap(
  node: Process,
  of: { replicas: readonly ReplicaStore[]; clusterId: Uint8Array },
): Promise<void> {
  const { clock, log } = node.ports;
  const lateAt = clock.monotonicMs() + node.values.bootstrapMs;
  for (;;) {
    try {
      return await bootstrapNew({ ...of, clock });
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'rejected') throw error;
      if (clock.monotonicMs() > lateAt) throw error;
      log.warn('replicas_awaited', { reason: error.message });
      await sleep(clock, BOOTSTRAP_RETRY_MS);
    }
  }
}

if (import.meta.main) {
  const clock = new SystemClock();
  const log = makeJsonLog({ clock });
  main({ flags: process.argv.slice(2), clock, log }).catch((error: unknown) => {
    log.error('not_started', {
      reason: error instanceof Error ? error.message : String(error),
      ...(error instanceof Error && 'code' in error ? { code: error.code } : {}),
    });
    process.exit(1);
  });
}
