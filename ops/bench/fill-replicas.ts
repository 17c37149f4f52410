import { assert } from '../../lib/core/assert.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { MAKER_EPOCH } from './set-maker.ts';

/** Puts a made journal into new replicas, as its maker's leader would have, and commits it all. */
export async function fillReplicas(args: {
  stores: readonly ReplicaStore[];
  entries: readonly Entry[];
  owner: Uint8Array;
  clusterId: Uint8Array;
}): Promise<void> {
  const { stores, entries, owner, clusterId } = args;
  const head = entries.at(-1);
  assert(head !== undefined, 'there is a journal');
  const fill = async (store: ReplicaStore, replicaId: number): Promise<void> => {
    const made = await store.bootstrap({ clusterId, replicaId, replicas: stores.length });
    assert(made === 'made', 'a replica is new');
    const reply = await store.takeOver({ epoch: MAKER_EPOCH, owner });
    assert(reply.kind === 'promised', 'a new replica promises');
    const fence = { epoch: MAKER_EPOCH, owner, incarnation: reply.incarnation };
    for (const some of chunksOf(entries)) {
      const appended = await store.append({ fence, entries: some });
      assert(appended.kind === 'acked', 'a replica takes what follows');
    }
    await store.setCommit(head);
  };
  await Promise.all(stores.map(fill));
}

/** Appends of about a batch each: a call has a second. */
function* chunksOf(entries: readonly Entry[]): Generator<Entry[]> {
  let chunk: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    chunk.push(entry);
    bytes += entry.payload.length;
    if (bytes < LIMITS.batchBytesMax) continue;
    yield chunk;
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}
