import type { MemoryDisk } from '../../../lib/adapter/memory-disk.ts';
import { MemoryReplica } from '../../../lib/adapter/memory-replica.ts';
import type { DiskCopy, ReplicaWorld, WorldSource } from './replica-world.ts';
import { SET } from './replica-world.ts';
import { schema } from './schema.ts';

/** The replica that the simulator runs on, or one with a planted fault. */
export function openMemoryWorld(
  replica: MemoryReplica = new MemoryReplica(SET, schema),
): ReplicaWorld {
  return {
    name: 'memory',
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
    dropManifest: async () => {
      replica.dropManifest();
      replica.restart();
    },
    discarded: async () =>
      replica.discarded().map(({ entry, by }) => ({ lsn: entry.lsn, sum: entry.sum, by })),
    dispose: () => replica.close(),
  };
}

export const MEMORY: WorldSource = {
  name: 'memory',
  open: async () => openMemoryWorld(),
  close: async () => undefined,
};
