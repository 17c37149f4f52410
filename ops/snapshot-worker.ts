/** A thread that takes one snapshot of one replica and ends: see set-node/log/snapshotter.ts. */
import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { makeCrypto } from '../lib/adapter/node-crypto.ts';
import { openSqliteReplica } from '../lib/adapter/sqlite-replica.ts';
import { setId } from '../lib/core/units.ts';
import { takeSnapshot } from '../set-node/log/snapshotter.ts';

export type SnapshotJob = {
  readonly path: string;
  readonly setId: number;
  readonly schemaModule: string;
};

const NO_KEY = new Uint8Array(32);

/** Seeds stay sealed in snapshots: this thread needs no key, only the hash. */
async function run(job: SnapshotJob): Promise<void> {
  const { sha256 } = makeCrypto({ seedKey: NO_KEY, clusterSecret: NO_KEY });
  const id = setId(job.setId);
  const store = await openSqliteReplica({
    path: job.path,
    setId: id,
    schemaModule: new URL(job.schemaModule),
  });
  try {
    await takeSnapshot({ store, setId: id, hash: sha256 });
  } finally {
    await store.close();
  }
}

// On Linux a priority is a thread's own: the leader and its disk come first.
if (workerData !== null) setPriority(19);
if (workerData !== null) await run(workerData as SnapshotJob);
