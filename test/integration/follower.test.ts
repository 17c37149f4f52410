import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { ForeignCluster, bootstrapNew } from '../../set-node/log/bootstrap.ts';
import { Follower } from '../../set-node/lead/follower.ts';
import { schema } from '../../set-node/read/projection.ts';
import { SET, World, user } from './set-log-world.ts';

const CLUSTER = new Uint8Array(16).fill(0xc1);

describe('a follower', () => {
  let w: World;
  let follower: Follower;
  /** Replicas that never answer the follower. */
  let hung: Set<number>;

  beforeEach(async () => {
    w = await World.start(3);
    hung = new Set();
    const { clock } = w;
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    follower = new Follower({
      setId: SET,
      replicas: w.replicas.map(({ store }, index) => slow(store, () => hung.has(index))),
      quorum: 2,
      clock,
      hash: sha256,
      log,
    });
  });

  function slow(store: ReplicaStore, isHung: () => boolean): ReplicaStore {
    return new Proxy(store, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) =>
          isHung() ? new Promise(() => undefined) : (method.apply(target, args) as unknown);
      },
    });
  }

  test('has what the leader has, soon after it was committed', async () => {
    follower.start();
    await w.fund('ann', 1_000);
    await w.run(300);
    expect(follower.appliedLsn).toBe(w.driver.commit);
    expect(follower.lagEntries).toBe(0);
    const recovered = follower.pause();
    expect(recovered?.state.people.get(user('ann'))?.balanceCents).toBe(1_000);
    await w.fund('bob', 1_000);
    await w.run(300);
    expect(recovered?.state.people.has(user('bob'))).toBe(false);
    follower.start();
    await w.run(300);
    expect(follower.appliedLsn).toBe(w.driver.commit);
  });

  test('applies nothing above the commit point that it has proof of', async () => {
    follower.start();
    await w.run(300);
    const before = follower.appliedLsn;
    // One replica has the entry, and no quorum ever will.
    for (const index of [1, 2]) w.replicas[index]!.refusesAppends = true;
    w.submit({ type: 'ids.reserve', count: 1 });
    await w.run(1_500);
    const head = await w.replicas[0]!.disk.read({ after: before, limitBytes: 1e6 });
    expect(head.length).toBeGreaterThan(0);
    expect(follower.appliedLsn).toBe(before);
  });

  test('goes on with another replica when one does not answer, and when one lags', async () => {
    follower.start();
    await w.run(300);
    hung.add(0).add(1);
    await w.fund('ann', 1_000);
    await w.run(4_000);
    expect(follower.appliedLsn).toBe(w.driver.commit);
    hung.clear();
    w.replicas[2]!.refusesAppends = true;
    await w.fund('bob', 1_000);
    await w.run(2_000);
    expect(follower.appliedLsn).toBe(w.driver.commit);
  });

  test('starts again from what is stored when its state was taken', async () => {
    follower.start();
    await w.fund('ann', 1_000);
    await w.run(300);
    follower.pause();
    follower.drop();
    expect(follower.appliedLsn).toBe(0);
    follower.start();
    await w.run(500);
    expect(follower.appliedLsn).toBe(w.driver.commit);
  });

  test('passes over a damaged journal', async () => {
    await w.fund('ann', 1_000);
    await w.run(300);
    w.replicas[0]!.disk.flipPayloadBit(2);
    follower.start();
    await w.run(5_000);
    expect(follower.appliedLsn).toBe(w.driver.commit);
  });
});

describe('the rows of a new Set', () => {
  const clock = new ManualClock();
  let disks: MemoryReplica[];

  beforeEach(() => {
    disks = Array.from({ length: 3 }, () => new MemoryReplica(SET, schema));
  });

  const make = (clusterId = CLUSTER): Promise<void> =>
    bootstrapNew({ replicas: disks, clusterId, clock });

  test('are made once for all, also by two nodes at once', async () => {
    await Promise.all([make(), make()]);
    const rows = await Promise.all(disks.map((disk) => disk.fenceRow()));
    expect(rows.map((row) => [row?.incarnation, row?.fenceEpoch])).toEqual([
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
  });

  test('are finished when the first who made them died in between', async () => {
    await disks[0]?.bootstrap({ clusterId: CLUSTER, replicaId: 0, replicas: 3 });
    await make();
    expect((await disks[2]?.fenceRow())?.incarnation).toBe(1);
  });

  test('are not made again when somebody has led: that disk is a lost one', async () => {
    const w = await World.start(3);
    w.replicas[1]?.disk.wipe();
    const replicas = w.replicas.map(({ store }) => store);
    await bootstrapNew({ replicas, clusterId: CLUSTER, clock });
    expect(await w.replicas[1]?.disk.fenceRow()).toBeNull();
    // Also when the one that knows of a leader is the only one that answers.
    w.replicas[2]!.down = true;
    await bootstrapNew({ replicas, clusterId: CLUSTER, clock }).catch(() => undefined);
    expect(await w.replicas[1]?.disk.fenceRow()).toBeNull();
  });

  test('are not made while one does not answer: it may know of a leader', async () => {
    await disks[1]?.close();
    await expect(make()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await disks[0]?.fenceRow()).toBeNull();
  });

  test('of another cluster are refused', async () => {
    await make();
    await expect(make(new Uint8Array(16))).rejects.toThrow(ForeignCluster);
    expect(await disks[0]?.commitLsn()).toBe(lsn(0));
  });
});
