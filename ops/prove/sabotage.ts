import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import { unreachable } from '../../lib/core/assert.ts';
import { OWNER_BYTES } from '../../lib/core/journal-entry.ts';
import { epoch, lsn, setId } from '../../lib/core/units.ts';
import type { KillWorld, Sabotage } from './kill-world.ts';

const PROJECTOR = new URL('../../set-node/read/projection.ts', import.meta.url);

/** A proof that cannot fail proves nothing: done between the kill and the restart. */
export async function sabotage(world: KillWorld, kind: Sabotage): Promise<void> {
  switch (kind) {
    case 'lose-ack':
      return loseAck(world);
    case 'extra-cent':
      return extraCent(world);
    default:
      return unreachable(kind);
  }
}

/** Drops the journal's end from the last acknowledged open on, as a disk that lied would. */
async function loseAck(world: KillWorld): Promise<void> {
  let last = { set: 0, lsn: 0 };
  for (const { told, acknowledged } of world.opens) {
    if (!acknowledged || told?.kind !== 'claim') continue;
    const [set = 0, , at = 0] = told.mark.split(':').map(Number);
    if (at > last.lsn) last = { set, lsn: at };
  }
  if (last.lsn === 0) throw new Error('nothing was acknowledged: there is nothing to lose');
  const path = world.replicaPath(last.set);
  const store = await openSqliteReplica({ path, setId: setId(last.set), schemaModule: PROJECTOR });
  try {
    const row = await store.fenceRow();
    const next = epoch((row?.fenceEpoch ?? 0) + 256);
    const owner = new Uint8Array(OWNER_BYTES).fill(1);
    await store.takeOver({ epoch: next, owner });
    const after = lsn(last.lsn - 1);
    const incarnation = next * 4_096;
    const done = await store.restore({ epoch: next, owner, incarnation, after, entries: [] });
    if (done !== 'done') throw new Error(`the journal's end could not be dropped: ${done}`);
  } finally {
    await store.close();
  }
  world.options.say(`sabotage: dropped Set ${last.set} from LSN ${last.lsn} on`);
}

/** Remembers one acknowledged share with a cent more than it was. */
function extraCent(world: KillWorld): void {
  for (const open of world.opens) {
    const { told, acknowledged, member } = open;
    if (!acknowledged || told?.kind !== 'claim') continue;
    open.told = { ...told, amountCents: told.amountCents + 1 };
    world.options.say(`sabotage: a cent more for ${member.userId}`);
    return;
  }
  throw new Error('nothing was acknowledged: there is nothing to raise');
}
