import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { epochOf, lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { Quarantine } from '../../set-node/log/quarantine.ts';
import type { Adopted } from '../../set-node/log/takeover.ts';
import { takeOver } from '../../set-node/log/takeover.ts';
import { Evidence } from '../../set-node/log/tripwire.ts';
import {
  CLUSTER,
  E1,
  E2,
  FENCE_A,
  FENCE_B,
  OWNER_A,
  OWNER_B,
  makeChain,
} from '../contract/replica-world.ts';
import { SET } from '../../ops/sim/conformance/replica-world.ts';
import { schema } from '../../ops/sim/conformance/schema.ts';

/** Entry n of this chain says that replica 0 has acknowledged n - 1. */
const CHAIN = makeChain({ prev: null, count: 5 });

async function voter(replicaId: number, entries: readonly Entry[]): Promise<MemoryReplica> {
  const replica = new MemoryReplica(SET, schema);
  await replica.bootstrap({ clusterId: CLUSTER, replicaId, replicas: 3 });
  await replica.takeOver({ epoch: E1, owner: OWNER_A });
  await replica.append({ fence: FENCE_A, entries });
  return replica;
}

async function take(replicas: readonly ReplicaStore[]): Promise<[Adopted | Error, number[]]> {
  const clock = new ManualClock();
  const alarms: number[] = [];
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const taken = takeOver({
    setId: SET,
    replicas,
    quorum: 2,
    nodeSlot: 1,
    random: new SeededRandom(1),
    hash: sha256,
    log,
    clock,
    applied: { lsn: lsn(0), sum: ZERO_SUM, evidence: new Evidence() },
    quarantine: new Quarantine(sha256),
    onAmnesia: (replica) => alarms.push(replica),
  }).catch((error: unknown) => error as Error);
  await clock.advanceSettled(1_000);
  return [await taken, alarms];
}

async function away(): Promise<ReplicaStore> {
  const replica = new MemoryReplica(SET, schema);
  await replica.close();
  return replica;
}

test('[L15] a proved replica below what it acknowledged has no vote', async () => {
  const replicas = [await voter(0, CHAIN.slice(0, 2)), await away(), await voter(2, CHAIN)];
  const [failed, alarms] = await take(replicas);
  expect(failed).toMatchObject({ name: 'TakeoverFailed' });
  expect(alarms).toEqual([0]);
});

test('[L15] a journal that ends with the last word has its vote', async () => {
  const replicas = [await voter(0, CHAIN.slice(0, 4)), await away(), await voter(2, CHAIN)];
  const [adopted, alarms] = await take(replicas);
  expect(adopted).toMatchObject({ winner: 2, candidates: [{ kind: 'voter' }, { kind: 'voter' }] });
  expect(alarms).toEqual([]);
});

test('[L15] no alarm in the gap of P4: a later leader has cut off, and not yet filled in', async () => {
  const cut = await voter(0, CHAIN.slice(0, 4));
  await cut.takeOver({ epoch: E2, owner: OWNER_B });
  const [, two, , four] = CHAIN;
  if (two === undefined || four === undefined) throw new Error('five entries');
  const head = { lsn: four.lsn, sum: four.sum };
  expect(await cut.truncate({ fence: FENCE_B, after: two.lsn, head })).toBe('done');
  const [adopted, alarms] = await take([cut, await away(), await voter(2, CHAIN)]);
  expect(adopted).toMatchObject({ winner: 2, candidates: [{ kind: 'voter' }, { kind: 'voter' }] });
  expect(alarms).toEqual([]);
});

test('[L15] no alarm for what an earlier incarnation acknowledged', async () => {
  const again = await voter(0, CHAIN.slice(0, 2));
  again.restart();
  const [, two] = CHAIN;
  if (two === undefined) throw new Error('five entries');
  const epoch = epochOf(1, 1);
  await again.admit({
    epoch,
    owner: OWNER_B,
    incarnation: epoch * 4_096 + 1,
    incarnations: [epoch * 4_096 + 1, 1, 1],
    clusterId: CLUSTER,
    replicaId: 0,
    head: { lsn: two.lsn, sum: two.sum },
  });
  const [adopted, alarms] = await take([again, await away(), await voter(2, CHAIN)]);
  expect(adopted).toMatchObject({ winner: 2 });
  expect(alarms).toEqual([]);
});

test('[L15] what was applied before bears witness, too, however far below the tail it lies', () => {
  const evidence = new Evidence();
  for (const entry of CHAIN) evidence.note(entry);
  // The replica does not count for a while: what was said before still stands.
  evidence.note({ acked: [lsn(0), lsn(9), lsn(9)], epoch: E2, commitLsn: lsn(7) });
  const asked = { replica: 0, incarnation: 1, discardedBy: 0, proved: true };
  expect(evidence.of(asked)).toEqual({ lsn: 4, by: E1 });
  expect(evidence.of({ ...asked, discardedBy: E1 })).toEqual({ lsn: 4, by: E1 });
  expect(evidence.of({ ...asked, discardedBy: E2 })).toBeNull();
  expect(evidence.copy().of({ ...asked, replica: 1 })).toEqual({ lsn: 9, by: E2 });
});

test('[L15] of a leader that re-admitted it, what was committed when it was said counts', () => {
  const evidence = new Evidence();
  const acked = [lsn(6), lsn(6), lsn(6)] as const;
  evidence.note({ acked, epoch: E2, commitLsn: lsn(4) });
  const asked = { replica: 0, incarnation: E2 * 4_096 + 3, discardedBy: E2, proved: true };
  // The rest may be of the time before: it is cut off where the journal is brought back.
  expect(evidence.of(asked)).toEqual({ lsn: 4, by: E2 });
  expect(evidence.of({ ...asked, incarnation: E1 * 4_096 + 3 })).toEqual({ lsn: 6, by: E2 });
  // While it is being brought back its journal may be short.
  expect(evidence.of({ ...asked, proved: false })).toBeNull();
  expect(evidence.of({ ...asked, incarnation: (E2 + 1) * 4_096 + 3 })).toBeNull();
  evidence.note({ acked, epoch: E2, commitLsn: lsn(0) });
  expect(evidence.of(asked)).toBeNull();
});
