/** The embedded composition root: every tier in one process, without a server to install. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { AccessLimits } from '../access/server.ts';
import { CALLBACK_PATH, CHECKOUT_PATH, Tokens, startAccess } from '../access/server.ts';
import { lockData } from '../lib/adapter/data-lock.ts';
import { openFsObjectStore } from '../lib/adapter/fs-object-store.ts';
import { loadKeyFile } from '../lib/adapter/key-file.ts';
import { MemoryBus } from '../lib/adapter/memory-bus.ts';
import { MemoryCache } from '../lib/adapter/memory-cache.ts';
import { makeCrypto } from '../lib/adapter/node-crypto.ts';
import { SandboxGateway, postCallback } from '../lib/adapter/sandbox-gateway.ts';
import { openSqliteReplica } from '../lib/adapter/sqlite-replica.ts';
import { SystemClock } from '../lib/adapter/system-clock.ts';
import { SystemRandom } from '../lib/adapter/system-random.ts';
import { assertLimits } from '../lib/core/limits.ts';
import { fromHex } from '../lib/core/bytes.ts';
import type { SetId } from '../lib/core/units.ts';
import { RULES_MAX } from '../lib/core/rules.ts';
import { setId } from '../lib/core/units.ts';
import { slotOf } from '../lib/core/user.ts';
import type { Log } from '../lib/port/log.ts';
import type { ReplicaStore } from '../lib/port/replica-store.ts';
import { openSetNode } from '../lib/runtime/grpc.ts';
import { Lifecycle } from '../lib/runtime/lifecycle.ts';
import { createMetrics, processMetrics } from '../lib/runtime/metrics.ts';
import { Auditor, startPaymentDesk, startReconciler } from '../reconciler/server.ts';
import { createRouter } from '../router/router.ts';
import type { TopologyRouter } from '../router/router.ts';
import { loadTopology, saveTopology } from '../router/topology-file.ts';
import { firstTopology, ownerOfSlot, slotBitmap } from '../router/topology.ts';
import type { Topology } from '../router/topology.ts';
import { tellRunning } from './running.ts';
import type { SnapshotJob } from './snapshot-worker.ts';
import type { SetServer } from '../set-node/server.ts';
import { bootstrapNew, startSetServer } from '../set-node/server.ts';

const PROJECTOR = new URL('../set-node/read/projection.ts', import.meta.url);
const READY_WITHIN_MS = 30_000;

export type StartOptions = {
  readonly dataDir: string;
  /** Port 0: the system chooses one. */
  readonly port: number;
  readonly host: string;
  /** Sets of a new data directory; an existing one keeps what it has. */
  readonly sets: number;
  /** Replicas of each Set: 1 (Q=1) or 3 (Q=2), rulings 13. */
  readonly replicas: number;
  /** Money that a new user finds in the wallet, cents; from the issuer. */
  readonly demoCents: number;
  readonly pageDir: string;
  readonly log: Log;
  readonly limits?: Partial<AccessLimits>;
  /** Judges the journals all the time (SPEC AU); default false, for those who measure the rest. */
  readonly audit?: boolean;
  /** How long the Sets may take to lead; default 30 s. */
  readonly readyWithinMs?: number;
};

export type Embedded = {
  readonly url: string;
  readonly port: number;
  readonly router: TopologyRouter;
  readonly lifecycle: Lifecycle;
};

/**
 * Starts a whole Hongbao. Rejects with `data_in_use`, `port_in_use`, or a CorruptEntry that names
 * Set and LSN; what had been started is ended again.
 */
export async function startEmbedded(options: StartOptions): Promise<Embedded> {
  const lifecycle = new Lifecycle({ log: options.log });
  try {
    return await start(options, lifecycle);
  } catch (error) {
    await lifecycle.end();
    throw error;
  }
}

async function start(options: StartOptions, lifecycle: Lifecycle): Promise<Embedded> {
  assertLimits();
  const { dataDir, log } = options;
  await lifecycle.start(() => {
    const lock = lockData(dataDir);
    return { name: 'data', close: async () => lock.release() };
  });
  const keys = loadKeyFile(join(dataDir, 'keys'));
  const topology = await topologyOf(options);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const bus = new MemoryBus({ clock, log });
  const metrics = createMetrics();
  const sockets = await mkdtemp(join(tmpdir(), 'hb-'));
  await lifecycle.start(() => ({
    name: 'sockets',
    close: () => rm(sockets, { recursive: true, force: true }),
  }));
  const ports = { clock, random, log, metrics, bus, crypto: makeCrypto(keys) };

  const servers = await Promise.all(
    topology.sets.map(({ id }) => startSet({ id, options, topology, sockets, ports, lifecycle })),
  );
  const readyMs = options.readyWithinMs ?? READY_WITHIN_MS;
  await Promise.all(servers.map((server) => within(server.engine.ready(), readyMs)));

  const addresses = new Map(
    topology.sets.map(({ nodes }, index) => [
      nodes[0]?.primary ?? '',
      servers[index]?.address ?? '',
    ]),
  );
  const router = createRouter({
    ...ports,
    topology,
    // The document names Sets for life; sockets are of this process only.
    connect: (address) => openSetNode(addresses.get(address) ?? address),
  });
  await lifecycle.start(() => ({ name: 'router', stop: () => router.close() }));
  const reconciler = startReconciler({ ...ports, router });
  await lifecycle.start(() => ({
    name: 'reconciler',
    drain: () => reconciler.drain(),
    stop: () => reconciler.stop(),
  }));
  if (options.audit === true) {
    const store = await openFsObjectStore({ folder: join(dataDir, 'audit') });
    const auditor = new Auditor({ ...ports, router, store });
    await lifecycle.start(() => ({ name: 'audit', stop: () => auditor.stop() }));
  }

  let port = 0;
  const gateway = new SandboxGateway({
    secret: derivedSecret(keys.clusterSecret, 'gateway'),
    clock,
    random,
    checkoutBase: () => CHECKOUT_PATH,
    send: (signed) => postCallback(`http://${options.host}:${port}${CALLBACK_PATH}`, signed),
    file: join(dataDir, 'sandbox-gateway.jsonl'),
  });
  await lifecycle.start(() => ({ name: 'gateway', close: () => gateway.close() }));
  const desk = startPaymentDesk({ ...ports, router, gateway });
  await lifecycle.start(() => ({ name: 'payments', stop: () => desk.stop() }));

  const refresh = processMetrics(metrics);
  const access = await startAccess({
    ...options,
    ...ports,
    router,
    gateway,
    hostedCheckout: gateway,
    metrics: { ...withRefresh(metrics, refresh) },
    cache: new MemoryCache({ clock }),
    tokens: new Tokens(derivedSecret(keys.clusterSecret, 'token')),
    devTokens: { lifetimeMs: 30 * 24 * 3_600_000 },
    version: '0.1.0',
  });
  await lifecycle.start(() => ({
    name: 'access',
    drain: () => access.drain(),
    stop: async () => access.stop(),
  }));
  port = access.port;
  await lifecycle.start(() => tellRunning(dataDir, addresses));
  return { url: `http://${options.host}:${port}`, port, router, lifecycle };
}

/** Process metrics are read when somebody asks. */
function withRefresh(
  metrics: ReturnType<typeof createMetrics>,
  refresh: () => void,
): ReturnType<typeof createMetrics> {
  return {
    contentType: metrics.contentType,
    counter: (args) => metrics.counter(args),
    gauge: (args) => metrics.gauge(args),
    histogram: (args) => metrics.histogram(args),
    expose: () => {
      refresh();
      return metrics.expose();
    },
  };
}

/** Another use, another key: nobody signs a token with the secret that vouches for members. */
function derivedSecret(clusterSecret: Uint8Array, use: 'token' | 'gateway'): Uint8Array {
  return createHash('sha256').update(use).update(clusterSecret).digest();
}

async function topologyOf({ dataDir, sets }: StartOptions): Promise<Topology> {
  const path = join(dataDir, 'topology.json');
  const known = await loadTopology(path);
  if (known !== null) return known;
  const made = firstTopology({
    clusterId: randomBytes(16).toString('hex'),
    sets: Array.from({ length: sets }, (_, index) => ({
      id: setId(index + 1),
      state: 'active',
      weight: 1,
      region: 'local',
      nodes: [{ primary: `embedded-${index + 1}`, backup: '' }],
      replicas: [],
    })),
  });
  await saveTopology(path, made);
  return made;
}

async function startSet(args: {
  id: SetId;
  options: StartOptions;
  topology: Topology;
  sockets: string;
  ports: Omit<
    Parameters<typeof startSetServer>[0],
    | 'setId'
    | 'replicas'
    | 'quorum'
    | 'address'
    | 'topologyVersion'
    | 'homeOf'
    | 'nodeSlot'
    | 'configuration'
    | 'snapshotElsewhere'
  >;
  lifecycle: Lifecycle;
}): Promise<SetServer> {
  const { id, options, topology, sockets, ports, lifecycle } = args;
  const clusterId = fromHex(topology.clusterId);
  const replicas: ReplicaStore[] = [];
  for (let replicaId = 0; replicaId < options.replicas; replicaId++) {
    const path = pathOf({ dataDir: options.dataDir, id, replicaId });
    const store = await openSqliteReplica({ path, setId: id, schemaModule: PROJECTOR });
    await lifecycle.start(() => ({
      name: `replica-${id}-${replicaId}`,
      close: () => store.close(),
    }));
    replicas.push(store);
  }
  await bootstrapNew({ replicas, clusterId, clock: ports.clock });
  const quorum = options.replicas === 3 ? 2 : 1;
  const server = await startSetServer({
    ...ports,
    setId: id,
    replicas,
    quorum,
    nodeSlot: 0,
    address: `unix:${join(sockets, String(id))}`,
    topologyVersion: () => topology.version,
    homeOf: (user) => ownerOfSlot(topology, slotOf(user)),
    snapshotElsewhere: (replicaId) =>
      snapshot({
        path: pathOf({ dataDir: options.dataDir, id, replicaId }),
        setId: id,
        schemaModule: PROJECTOR.href,
      }),
    configuration: {
      type: 'set.configure',
      clusterId,
      replicas: options.replicas,
      quorum,
      // One process: all nodes of a new Set are this build.
      rules: RULES_MAX,
      slots: slotBitmap(topology, id),
    },
  });
  await lifecycle.start(() => ({ name: `set-${id}`, stop: () => server.stop() }));
  return server;
}

function pathOf(of: { dataDir: string; id: SetId; replicaId: number }): string {
  return join(of.dataDir, `set-${of.id}`, `replica-${of.replicaId}.sqlite`);
}

/** In a thread of its own, so that nobody waits for it. Rejects when it fails. */
function snapshot(job: SnapshotJob): Promise<void> {
  const worker = new Worker(new URL('./snapshot-worker.ts', import.meta.url), {
    workerData: job,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`the snapshot thread ended with ${code}`));
    });
  });
}

async function within<T>(ready: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = `a Set did not lead within ${limitMs} ms: the log says why`;
    timer = setTimeout(
      () => reject(Object.assign(new Error(reason), { code: 'no_leader' })),
      limitMs,
    );
  });
  try {
    return await Promise.race([ready, late]);
  } finally {
    clearTimeout(timer);
  }
}
