import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import { unreachable } from '../../lib/core/assert.ts';
import { OWNER_BYTES } from '../../lib/core/journal-entry.ts';
import { epoch, lsn, setId } from '../../lib/core/units.ts';
import type { KillWorld, Sabotage } from './kill-world.ts';

const PROJECTOR = new URL('../../set-node/projection.ts', import.meta.url);

/** A proof that cannot fail proves nothing: done between the kill and the restart. */
export async function sabotage(world: KillWorld, kind: Sabotage): Promise<void> {
  switch (kind) {
    case 'lose-ack':
      return loseAck(world);
    case 'forge-ack':
      return forgeAck(world);
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
    const done = await store.restore({ epoch: next, owner, after, entries: [] });
    if (done !== 'done') throw new Error(`the journal's end could not be dropped: ${done}`);
  } finally {
    await store.close();
  }
  world.options.say(`sabotage: dropped Set ${last.set} from LSN ${last.lsn} on`);
}

/** Claims that an open nobody answered was acknowledged. */
function forgeAck(world: KillWorld): void {
  const open = world.opens.find(({ told }) => told === null);
  if (open === undefined) throw new Error('everything was answered: there is nothing to forge');
  open.told = {
    kind: 'claim',
    amountCents: 1,
    order: 1,
    at: 0,
    status: 'opened',
    mark: '1:0:0',
  };
  open.acknowledged = true;
  world.options.say(`sabotage: ${open.member.userId} is said to have opened`);
}
