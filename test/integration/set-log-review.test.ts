import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { unseal } from '../../lib/core/journal-entry.ts';
import { cents, epochOf, lsn } from '../../lib/core/units.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { BeatWatch } from '../../set-node/lead/beat-watch.ts';
import { Heart } from '../../set-node/lead/heart.ts';
import { bootstrapNew } from '../../set-node/log/bootstrap.ts';
import type { JoinedLog } from '../../set-node/log/members.ts';
import { Members } from '../../set-node/log/members.ts';
import { schema } from '../../set-node/read/projection.ts';
import { CLUSTER, OWNER_A } from '../contract/replica-world.ts';
import type { Faulty } from './set-log-world.ts';
import { SET, World, user } from './set-log-world.ts';
import { StandbyWorld } from './standby-world.ts';

const NO_LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
const ALL_BYTES = 2 ** 40;

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is no ${index}`);
  return found;
}

function open(name: string): Extract<Command, { type: 'wallet.open' }> {
  return { type: 'wallet.open', user: user(name), welcomeCents: cents(5) };
}

function active(w: World): boolean[] {
  return w.replicas.map((_, replica) => w.driver.setLog.isActive(replica));
}

async function journal({ disk }: Faulty): Promise<Entry[]> {
  return disk.read({ after: lsn(0), limitBytes: ALL_BYTES });
}

async function damagedLsns(replica: Faulty): Promise<number[]> {
  const damaged: number[] = [];
  let prev: Uint8Array | null = null;
  for (const entry of await journal(replica)) {
    try {
      unseal({ entry, prev, hash: sha256 });
    } catch {
      damaged.push(entry.lsn);
    }
    prev = entry.sum;
  }
  return damaged;
}

/**
 * A leader stands still; another one answers "bob" from replicas 1 and 2, and dies. Replica 1 comes
 * back with an older disk, replica 2 with an empty one: the first leader wakes up and has neither.
 */
async function splitInTwo(plant: (old: MemoryReplica) => void): Promise<{ answered: boolean }> {
  const w = await StandbyWorld.start();
  const first = await w.untilLed(3_000);
  await w.run(500);
  const second = w.other(first);
  expect((await w.ask(first, open('ann'))).status).toBe('ok');
  await w.run(500);
  const backup = at(w.disks, 1).diskCopy();
  first.pause();
  second.cut.add(0);
  await w.untilLed(6_000, first);
  expect((await w.ask(second, open('bob'))).status).toBe('ok');
  await w.run(300);
  second.pause();
  at(w.disks, 1).restoreDisk(backup);
  at(w.disks, 2).wipe();
  plant(at(w.disks, 1));
  first.wake();
  const answers = first.submit(open('cat'));
  await w.run(6_000);
  return { answered: answers.some(({ status }) => status === 'ok') };
}

/** It says that it has not been away. */
function boasts(disk: MemoryReplica): void {
  const fenceRow = disk.fenceRow.bind(disk);
  disk.fenceRow = async () => {
    const row = await fenceRow();
    return row === null ? null : { ...row, proved: true };
  };
}

/** It records whatever it is told, with or without a proof. */
function recordsBlindly(disk: MemoryReplica): void {
  const record = disk.recordIncarnation.bind(disk);
  disk.recordIncarnation = (args) => record({ ...args, proved: false });
}

describe('a lost disk', () => {
  test('[P9] is not re-admitted beside an old copy: nothing is answered after what they lost', async () => {
    expect(await splitInTwo(() => undefined)).toEqual({ answered: false });
  });

  test('[RS7d] a proof that was true a moment ago is asked for again by the recording itself', async () => {
    expect(await splitInTwo(boasts)).toEqual({ answered: false });
    // The planted bug: without it "bob" is gone, and "cat" is answered.
    const planted = splitInTwo((disk) => {
      boasts(disk);
      recordsBlindly(disk);
    });
    expect(await planted).toEqual({ answered: true });
  });
});

test('[RS1e] rows are not made on a disk that was lost between the look and the making', async () => {
  const disks = Array.from({ length: 3 }, () => new MemoryReplica(SET, schema));
  const lost = at(disks, 2);
  const bootstrap = lost.bootstrap.bind(lost);
  lost.bootstrap = async (args) => {
    // The node stands still here; another one makes the rows, leads, and this disk is lost.
    await bootstrap({ clusterId: CLUSTER, replicaId: 2, replicas: 3 });
    for (const disk of disks) await disk.takeOver({ epoch: epochOf(1, 1), owner: OWNER_A });
    lost.wipe();
    return bootstrap(args);
  };
  await bootstrapNew({ replicas: disks, clusterId: CLUSTER, clock: new ManualClock() });
  expect(await lost.fenceRow()).toBeNull();
  expect(await at(disks, 0).fenceRow()).toMatchObject({ fenceEpoch: epochOf(1, 1) });
});

describe('who feeds a replica', () => {
  test('[P9] a donor that cannot be read is not the only one', async () => {
    const w = await World.start(3);
    await w.fund('ann', 10);
    await w.run(500);
    at(w.replicas, 0).damaged = true;
    at(w.replicas, 2).disk.restart();
    await w.fund('bob', 10);
    await w.run(3_000);
    expect(active(w)).toEqual([true, true, true]);
    at(w.replicas, 0).down = true;
    expect((await w.ask({ type: 'ids.reserve', count: 1 })).status).toBe('ok');
  });

  test('[P10] nor does it expel the replica that lags', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const thaw = at(w.replicas, 2).freeze();
    for (let count = 0; count < 200; count++) {
      w.submit(w.message('ann', group));
      await w.run(5);
    }
    at(w.replicas, 0).damaged = true;
    thaw();
    await w.run(5_000);
    expect(active(w)).toEqual([true, true, true]);
    expect(new Set(w.driver.setLog.acked()).size).toBe(1);
    expect(w.count('replica_left')).toBe(0);
    expect(w.count('replica_not_read')).toBe(1);
  });

  test('[P10] nor does one that the leader has not reached', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const thaw = at(w.replicas, 2).freeze();
    for (let count = 0; count < 200; count++) {
      w.submit(w.message('ann', group));
      await w.run(5);
    }
    at(w.replicas, 0).down = true;
    thaw();
    await w.run(1_500);
    expect(w.driver.setLog.acked().slice(1)).toEqual([w.driver.setLog.head, w.driver.setLog.head]);
    expect(w.count('set_doubt')).toBe(0);
  });
});

describe('a replica that cannot be brought back', () => {
  test('[L9] is tried ever more seldom, and is back within 30 s when it can be', async () => {
    const w = await World.start(3);
    const { disk } = at(w.replicas, 2);
    const admit = disk.admit.bind(disk);
    let tries = 0;
    let full = true;
    disk.admit = async (args) => {
      tries += 1;
      if (full) throw new StoreError('unavailable', 'no space left on device');
      return admit(args);
    };
    disk.restart();
    await w.fund('bob', 10);
    await w.run(40 * 60_000);
    expect(tries).toBeLessThan(100);
    expect(w.count('replica_not_joined')).toBe(1);
    full = false;
    await w.run(31_000);
    expect(active(w)).toEqual([true, true, true]);
    // And from then on at once again.
    disk.restart();
    await w.fund('cat', 10);
    await w.run(1_500);
    expect(active(w)).toEqual([true, true, true]);
  });

  test('[L9] costs no incarnation while neither journal can be read', async () => {
    const w = await World.start(3);
    await w.fund('ann', 10);
    await w.run(500);
    const { disk } = at(w.replicas, 2);
    at(w.replicas, 2).damaged = true;
    disk.restart();
    await w.fund('bob', 10);
    await w.run(60_000);
    const known = at(w.replicas, 0).disk.diskCopy().take().state?.incarnations[2];
    expect(known).toBe(1);
    expect(active(w)).toEqual([true, true, false]);
  });

  test('[L9] a leader without incarnations left says so, and a new epoch has some', async () => {
    const clock = new ManualClock();
    const disks = Array.from({ length: 3 }, () => new MemoryReplica(SET, schema));
    const epoch = epochOf(1, 0);
    for (const [replicaId, disk] of disks.entries()) {
      await disk.bootstrap({ clusterId: CLUSTER, replicaId, replicas: 3 });
      await disk.takeOver({ epoch, owner: OWNER_A });
    }
    const full = at(disks, 2);
    full.restart();
    full.admit = () => Promise.reject(new StoreError('unavailable', 'no space left on device'));
    const setLog: JoinedLog = {
      commit: lsn(0),
      ackedBy: () => lsn(0),
      isActive: (replica) => replica < 2,
      isDamaged: () => false,
      hasForgotten: () => false,
      noteDamage: () => undefined,
      join: () => undefined,
    };
    const doubts: string[] = [];
    const fence = { epoch, owner: OWNER_A, incarnation: 1 };
    const members = new Members({
      setId: SET,
      replicas: disks,
      quorum: 2,
      clusterId: CLUSTER,
      setLog,
      clock,
      hash: sha256,
      log: NO_LOG,
      onDoubt: (reason) => doubts.push(reason),
      adopted: {
        epoch,
        owner: OWNER_A,
        tail: [],
        winner: 0,
        incarnations: [1, 1, 1],
        trusted: false,
        candidates: [0, 1].map((replica) => ({
          replica,
          kind: 'voter' as const,
          fence,
          sharedLsn: lsn(0),
        })),
      },
    });
    for (let count = 1; count < 4_096; count++) {
      await members.heal();
      clock.advance(30_000);
    }
    expect(doubts).toEqual([]);
    await members.heal();
    expect(doubts).toEqual(['this epoch has no incarnations left to re-admit a replica with']);
  });
});

test('[RS11b] a candidate of the same round that gives up does not silence the one that leads', async () => {
  const clock = new ManualClock();
  const disks = Array.from({ length: 3 }, () => new MemoryReplica(SET, schema));
  const heartOf = (slot: number): Heart =>
    new Heart({
      setId: SET,
      replicas: disks,
      epoch: epochOf(2, slot),
      clock,
      log: NO_LOG,
      onFenced: () => undefined,
    });
  const watch = new BeatWatch({ replicas: disks, quorum: 2, clock });
  watch.start();
  const [lost, leads] = [heartOf(1), heartOf(2)];
  lost.start();
  leads.start();
  await clock.advanceSettled(300);
  void lost.resign();
  for (let tick = 0; tick < 40; tick++) {
    await clock.advanceSettled(50);
    expect(watch.verdict()).toBe('alive');
  }
  expect(watch.newestEpoch()).toBe(epochOf(2, 2));
  void leads.resign();
  await clock.advanceSettled(100);
  expect(watch.verdict()).toBe('vacant');
});

test('three nodes that start at once: one leads, and nobody takes it for gone', async () => {
  for (let start = 0; start < 3; start++) {
    const w = await StandbyWorld.start(3);
    await w.run(200 * start);
    const leader = await w.untilLed(6_000);
    await w.run(3_000);
    expect(leader.role).toBe('leading');
    const others = w.nodes.filter((node) => node !== leader);
    for (const { engine } of others) expect(engine.standby?.watch.verdict()).toBe('alive');
  }
});

test('[rulings 8] a doubt during a step-down ends that leadership, and no later one', async () => {
  const w = await StandbyWorld.start();
  const leader = await w.untilLed(1_500);
  w.other(leader).pause();
  await w.run(500);
  expect((await w.ask(leader, open('ann'))).status).toBe('ok');
  // The last commit point is told to nobody in time: the step-down takes a second longer.
  for (const disk of w.disks) disk.setCommit = () => new Promise(() => undefined);
  expect((await w.ask(leader, open('bob'))).status).toBe('ok');
  await w.run(300);
  for (const replica of [0, 1, 2]) leader.cut.add(replica);
  const lost = leader.submit(open('cat'));
  let stepped: boolean | null = null;
  void leader.engine.stepDown().then((yes) => (stepped = yes));
  const first = leader.engine.driver;
  while (leader.role === 'leading') await w.run(50);
  expect(lost).toMatchObject([{ status: 'unknown' }]);
  leader.cut.clear();
  expect(stepped).toBeNull();
  await w.run(1_500);
  // It does not lead, and keeps its word not to compete.
  expect(stepped).toBe(true);
  await w.run(3_000);
  expect(leader.role).toBe('following');
  await w.untilLed(3_000);
  const second = leader.engine.driver;
  expect(second).not.toBe(first);
  await w.run(3_000);
  expect(leader.engine.driver).toBe(second);
});

describe('a damaged entry', () => {
  test('[L4] [P9] of a voter is made good by its re-admission at the next takeover', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    for (let count = 0; count < 30; count++) {
      w.submit(w.message('ann', group));
      await w.run(5);
    }
    await w.run(500);
    const third = at(w.replicas, 2);
    third.disk.flipPayloadBit(w.driver.setLog.commit);
    expect(await damagedLsns(third)).toHaveLength(1);
    await w.restart(3_000);
    expect(await damagedLsns(third)).toEqual([]);
    expect(active(w)).toEqual([true, true, true]);
    // It is as good as any: one of the others may be lost.
    at(w.replicas, 0).down = true;
    await w.restart(3_000);
    expect(w.engine.status.kind).toBe('leading');
  });

  test('[L19] that is found while another replica is fed is made good beside the leader', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const thaw = at(w.replicas, 2).freeze();
    for (let count = 0; count < 200; count++) {
      w.submit(w.message('ann', group));
      await w.run(5);
    }
    const first = at(w.replicas, 0);
    first.disk.flipPayloadBit(w.driver.setLog.ackedBy(2) + 5);
    thaw();
    await w.run(5_000);
    expect(w.count('journal_corrupt')).toBe(1);
    expect(await damagedLsns(first)).toEqual([]);
    expect(active(w)).toEqual([true, true, true]);
    const sums = (entries: readonly Entry[]): Uint8Array[] => entries.map(({ sum }) => sum);
    expect(sums(await journal(first))).toEqual(sums(await journal(at(w.replicas, 1))));
    expect(w.count('set_doubt')).toBe(0);
  });

  test('[L19] its replica stays as long as there is no quorum without it', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    at(w.replicas, 1).down = true;
    expect((await w.ask(w.message('ann', group))).status).toBe('ok');
    w.driver.setLog.noteDamage(0, new Error('seen'));
    expect((await w.ask(w.message('ann', group))).status).toBe('ok');
    expect(active(w)).toEqual([true, true, true]);
    // With the third one back it is made good.
    at(w.replicas, 1).down = false;
    await w.run(3_000);
    expect(w.lines.filter(({ event }) => event === 'replica_left')).toMatchObject([
      { fields: expect.stringContaining('"damaged"') as string },
    ]);
    expect(active(w)).toEqual([true, true, true]);
    expect(w.driver.setLog.isDamaged(0)).toBe(false);
    expect(w.count('set_doubt')).toBe(0);
  });
});

describe('a replica that is away', () => {
  test('[L10] is a line of log when it fails, and one when it takes entries again', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const before = w.lines.length;
    const told = (): string[] => w.lines.slice(before).map(({ event }) => event);
    at(w.replicas, 2).down = true;
    w.submit(w.message('ann', group));
    await w.run(400);
    expect(told()).toContain('replica_append_failed');
    at(w.replicas, 2).down = false;
    await w.run(600);
    expect(new Set(w.driver.setLog.acked()).size).toBe(1);
    const lines = told().filter((event) => event.startsWith('replica_'));
    expect(lines).toEqual(['replica_append_failed', 'replica_append_recovered']);
  });

  test('[L10] for long is said once, and it is back soon after its return', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const before = w.lines.length;
    at(w.replicas, 2).down = true;
    w.submit(w.message('ann', group));
    await w.run(10 * 60_000);
    // The append, the tables, and that it does not count any more.
    expect(w.lines.length - before).toBeLessThanOrEqual(3);
    at(w.replicas, 2).down = false;
    await w.run(1_100);
    expect(active(w)).toEqual([true, true, true]);
    expect(new Set(w.driver.setLog.acked()).size).toBe(1);
  });

  test('[L17] one rejection does not slow it for ever', async () => {
    const w = await World.start(3);
    const group = await w.foundGroup('ann');
    const { disk } = at(w.replicas, 2);
    const sizes: number[] = [];
    const append = disk.append.bind(disk);
    disk.append = (args) => {
      sizes.push(args.entries.length);
      return append(args);
    };
    const lag = async (): Promise<void> => {
      const thaw = at(w.replicas, 2).freeze();
      for (let count = 0; count < 20; count++) {
        w.submit(w.message('ann', group));
        await w.run(5);
      }
      thaw();
    };
    await lag();
    let once = true;
    at(w.replicas, 2).rejects = () => {
      const rejected = once;
      once = false;
      return rejected;
    };
    await w.run(3_000);
    expect(once).toBe(false);
    expect(w.driver.setLog.ackedBy(2)).toBe(w.driver.setLog.head);
    sizes.length = 0;
    await lag();
    await w.run(3_000);
    expect(Math.max(...sizes)).toBeGreaterThan(10);
  });
});
