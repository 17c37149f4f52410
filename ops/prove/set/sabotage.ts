/** Lies that the proofs of a Set have to find out: a proof that cannot fail proves nothing. */
import { unreachable } from '../../../lib/core/assert.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { MariaDb } from '../../rig/mariadb.ts';
import { databaseOf } from '../../rig/mariadb.ts';
import { Findings } from '../findings.ts';
import { sumOf } from '../../../reconciler/audit/sum.ts';
import { SET } from './cluster.ts';
import type { Open } from './history.ts';
import type { SetWorld } from './world.ts';

export const SET_SABOTAGES = ['lose-tail', 'extra-cent', 'changed-answer', 'quorum-one'] as const;
export type SetSabotage = (typeof SET_SABOTAGES)[number];

type Claimed = Open & { told: Extract<Open['told'], { kind: 'claim' }> };

/** Arguments of node for the set-nodes: only `quorum-one` changes the program itself. */
export function plant(kind: SetSabotage): string[] {
  return kind === 'quorum-one' ? ['--import', new URL('quorum-one.ts', import.meta.url).href] : [];
}

/** Done to the stopped Set. `quorum-one` was planted at its start: nothing is left to do. */
export async function tamper(world: SetWorld, kind: SetSabotage): Promise<void> {
  switch (kind) {
    case 'lose-tail':
      return loseTail(world);
    case 'extra-cent':
      return extraCent(world);
    case 'changed-answer':
      return changeAnswer(world);
    case 'quorum-one':
      return;
    default:
      return unreachable(kind);
  }
}

/** What the verdict finds in a Set that has ended, once this lie is told. */
export async function findLie(world: SetWorld, kind: SetSabotage): Promise<Findings> {
  await tamper(world, kind);
  const findings = new Findings();
  world.judge({ disks: await world.readDisks(), isHealed: true, findings });
  return findings;
}

/** The last acknowledged open is gone from two replicas, as disks that lied would have it. */
async function loseTail(world: SetWorld): Promise<void> {
  const last = lastClaim(world);
  const { servers } = world.cluster;
  for (const server of servers.slice(1)) {
    await server.query(`DELETE FROM ${databaseOf(SET)}.journal WHERE lsn >= ${last.told.lsn}`);
  }
  world.note(`sabotage: LSN ${last.told.lsn} and above deleted on ${servers.length - 1} replicas`);
}

/** A cent more in one claim, on all replicas, with checksums and chain made right again. */
async function extraCent(world: SetWorld): Promise<void> {
  const { entries } = (await world.readDisks())[0] ?? { entries: [] };
  const { told } = lastClaim(world);
  const amount = Buffer.alloc(8);
  amount.writeBigInt64LE(BigInt(told.amountCents));
  const at = entries.findIndex(
    ({ lsn, payload }) => lsn === told.lsn && Buffer.from(payload).includes(amount),
  );
  const changed = entries[at];
  if (changed === undefined) throw new Error('the claim is not in the journal');
  const payload = Buffer.from(changed.payload);
  payload.writeBigInt64LE(BigInt(told.amountCents + 1), payload.indexOf(amount));
  await forgePayload({ servers: world.cluster.servers, set: SET, entries, at, payload });
  world.note(`sabotage: a cent more in LSN ${changed.lsn}`);
}

/** Another payload in one entry, on these servers, with checksums and chain made right again. */
export async function forgePayload(args: {
  readonly servers: readonly MariaDb[];
  readonly set: number;
  readonly entries: readonly Entry[];
  /** Place of the entry in `entries`. */
  readonly at: number;
  readonly payload: Uint8Array;
}): Promise<void> {
  const { servers, set, entries, at, payload } = args;
  let prev = entries[at]?.prev ?? new Uint8Array();
  for (const [index, entry] of entries.entries()) {
    if (index < at) continue;
    const next: Entry = { ...entry, prev, ...(index === at ? { payload } : {}) };
    const sum = sumOf(next);
    for (const server of servers) {
      await server.query(
        `UPDATE ${databaseOf(set)}.journal SET prev = ?, sum = ?, payload = ? WHERE lsn = ?`,
        [Buffer.from(prev), sum, Buffer.from(next.payload), entry.lsn],
      );
    }
    prev = sum;
  }
}

/** Remembers one acknowledged share with a cent more than it was. */
async function changeAnswer(world: SetWorld): Promise<void> {
  const [open] = claimsOf(world);
  if (open === undefined) throw new Error('nothing was acknowledged');
  open.told = { ...open.told, amountCents: open.told.amountCents + 1 };
  world.note(`sabotage: ${open.user} was told a cent more`);
}

/** Shares whose answer names the entry that they stand in. */
function claimsOf(world: SetWorld): Claimed[] {
  return world.clients.history.opens.filter(
    (open): open is Claimed => open.told?.kind === 'claim' && open.told.fresh,
  );
}

function lastClaim(world: SetWorld): Claimed {
  const last = claimsOf(world)
    .toSorted((a, b) => a.told.lsn - b.told.lsn)
    .at(-1);
  if (last === undefined) throw new Error('nothing was acknowledged');
  return last;
}
