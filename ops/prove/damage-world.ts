/** Real data to be damaged: made by the real tiers, then left alone, one replica beside the other. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Log } from '../../lib/port/log.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { Router } from '../../router/api.ts';
import { createRouter } from '../../router/router.ts';
import type { SetPlan } from '../audit/audit.ts';
import { planOf, plansOf } from '../audit/plans.ts';
import { LocalCluster } from '../rig/local-cluster.ts';
import type { Rig } from '../rig/rig.ts';
import { startEmbedded } from '../start.ts';
import type { DamageDisk } from './damage-disk.ts';
import { mariaDisk, sqliteDisk } from './damage-disk.ts';
import { Town } from './damage-people.ts';
import { pause } from './member.ts';

const SETS = 2;
const REPLICAS = 3;
const QUIET_WITHIN_MS = 60_000;
const LOOK_MS = 50;
/** Packets that are left to themselves end a second after they were sent. */
const ENDED_AFTER_MS = 2_000;

export type WorldSize = { readonly people: number; readonly packets: number };

export type DamageWorld = {
  readonly name: string;
  readonly plans: readonly SetPlan[];
  readonly disks: readonly DamageDisk[];
  /** How `./hongbao audit` is told of it. */
  readonly auditArgs: readonly string[];
  readonly auditEnv: Readonly<Record<string, string>>;
  close(): Promise<void>;
};

/** Two Sets in one process, three files each. */
export async function embeddedWorld(args: {
  dir: string;
  size: WorldSize;
  log: Log;
}): Promise<DamageWorld> {
  const { dir, size, log } = args;
  const dataDir = join(dir, 'data');
  const pageDir = join(dir, 'page');
  await mkdir(pageDir, { recursive: true });
  const server = await startEmbedded({
    dataDir,
    pageDir,
    log,
    port: 0,
    host: '127.0.0.1',
    sets: SETS,
    replicas: REPLICAS,
    demoCents: 0,
  });
  try {
    await live(server.router, size);
  } finally {
    await server.lifecycle.end();
  }
  const topologyFile = join(dataDir, 'topology.json');
  const plans = await plansOf({ topologyFile, dataDir, password: '' });
  const disks = plans.flatMap(({ setId, replicas }) =>
    replicas.map((_, replica) => {
      const path = join(dataDir, `set-${setId}`, `replica-${replica}.sqlite`);
      return sqliteDisk({ path, setId, replica });
    }),
  );
  const close = async (): Promise<void> => {
    for (const disk of disks) await disk.close();
  };
  return { name: 'sqlite', plans, disks, auditArgs: ['--data', dataDir], auditEnv: {}, close };
}

/** One Set of processes on three MariaDB servers, which go on running. */
export async function mariaWorld(args: {
  rig: Rig;
  size: WorldSize;
  log: Log;
  say: (line: string) => void;
}): Promise<DamageWorld> {
  const { rig, size, log, say } = args;
  const cluster = await LocalCluster.start({ rig, sets: 1, log: say });
  await cluster.startSets();
  const router = createRouter({
    topology: cluster.topology,
    clock: new SystemClock(),
    random: new SystemRandom(),
    log,
    connect: openSetNode,
  });
  await live(router, size);
  await router.close();
  for (const each of cluster.processes.toReversed()) await each.terminate();
  const plans = cluster.dsns.map(({ setId, dsns }) => planOf({ setId, dsns, password: '' }));
  const disks = cluster.topology.sets.flatMap(({ id: setId }) =>
    cluster.servers.map((server, replica) => mariaDisk({ server, setId, replica })),
  );
  const topologyFile = LocalCluster.topologyFile(rig);
  return {
    name: 'mariadb',
    plans,
    disks,
    auditArgs: ['--topology', topologyFile],
    auditEnv: {},
    close: async () => undefined,
  };
}

async function live(router: Router, size: WorldSize): Promise<void> {
  const random = new SystemRandom();
  await new Town({ ...size, router, random, hasPayments: true }).live();
  // The leader itself ends what nobody opened.
  await pause(ENDED_AFTER_MS);
  const endMs = performance.now() + QUIET_WITHIN_MS;
  while (performance.now() < endMs) {
    const pending = await Promise.all(
      router.sets().map(async (set) => {
        const { reply } = await router.query(set, { money: {} });
        return reply?.money?.pendingTransfers ?? Number.NaN;
      }),
    );
    if (pending.every((count) => count === 0)) return;
    await pause(LOOK_MS);
  }
  throw new Error('the outboxes do not become empty');
}
