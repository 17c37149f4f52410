import type { MemoryDisk } from '../../lib/adapter/memory-disk.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import type { DiskCopy, ReplicaWorld } from './replica-world.ts';
import { SET } from './replica-world.ts';
import { schema } from './test-schema.ts';

/** `make` lets a test run the contract against a replica with a planted fault. */
export async function makeMemoryWorld(
  make: () => MemoryReplica = () => new MemoryReplica(SET, schema),
): Promise<ReplicaWorld> {
  const replica = make();
  return {
    store: replica,
    restart: async () => replica.restart(),
    copyDisk: async () => {
      const copy = replica.diskCopy();
      replica.restart();
      return copy as unknown as DiskCopy;
    },
    restoreDisk: async (copy) => replica.restoreDisk(copy as unknown as MemoryDisk),
    wipe: async () => replica.wipe(),
    dropFenceRow: async () => replica.dropFenceRow(),
    flipPayloadBit: async (at) => replica.flipPayloadBit(at),
    dropManifest: async () => replica.dropManifest(),
    discarded: async () =>
      replica.discarded().map(({ entry, by }) => ({ lsn: entry.lsn, sum: entry.sum, by })),
    dispose: async () => replica.close(),
  };
}
