import type { Clock } from '../../lib/port/clock.ts';
import type { FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';

/** What was seen of the fences is acted on within this time, or seen again. */
const LOOK_MS = 1_000;

/** The rows were made for another cluster, or for another place in the Set. */
export class ForeignCluster extends Error {
  override readonly name = 'ForeignCluster';
  readonly code = 'foreign_cluster';
}

/**
 * P0: rows are made once, for all replicas together, before anybody has led. Later a blank disk is
 * a lost disk, and comes back by re-admission. Nodes that do this at once make the same rows.
 * Rejects with ForeignCluster, and with a StoreError when a replica does not answer and none of the
 * others tells of a leader: it may know of one.
 */
export async function bootstrapNew(args: {
  replicas: readonly ReplicaStore[];
  clusterId: Uint8Array;
  clock: Clock;
}): Promise<void> {
  const { replicas, clusterId, clock } = args;
  let rows = await look(replicas);
  let lookedAt = clock.monotonicMs();
  for (const [replicaId, store] of replicas.entries()) {
    if (clock.monotonicMs() - lookedAt > LOOK_MS) {
      rows = await look(replicas);
      lookedAt = clock.monotonicMs();
    }
    const row = rows[replicaId] ?? null;
    if (row === null && isLed(rows)) continue;
    // An existing row is never touched; whose it is comes back.
    // A process may stand still just here, and the disk be lost meanwhile.
    const stillNew = async (): Promise<boolean> => !isLed(await look(replicas));
    const made = await store.bootstrap({
      clusterId,
      replicaId,
      replicas: replicas.length,
      stillNew,
    });
    if (made === 'foreign_cluster') {
      throw new ForeignCluster(`replica ${replicaId} is of another cluster`);
    }
  }
}

function isLed(rows: readonly (FenceRow | null)[]): boolean {
  return rows.some((row) => (row?.fenceEpoch ?? 0) > 0);
}

/** null where there is no row, or no answer while another replica tells of a leader. */
async function look(replicas: readonly ReplicaStore[]): Promise<(FenceRow | null)[]> {
  const seen = await Promise.allSettled(replicas.map((store) => store.fenceRow()));
  const rows = seen.map((one) => (one.status === 'fulfilled' ? one.value : null));
  const silent = seen.find((one) => one.status === 'rejected');
  if (silent !== undefined && !isLed(rows)) throw silent.reason;
  return rows;
}
