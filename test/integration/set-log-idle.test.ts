import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { epoch, lsn } from '../../lib/core/units.ts';
import type { FenceRow } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { FollowerWatch } from '../../set-node/log/follower.ts';
import { World } from './set-log-world.ts';

/** Nothing was asked of it for a while. */
async function idle(replicas: 1 | 3 = 3): Promise<World> {
  const w = await World.start(replicas);
  await w.fund('ann', 1_000);
  await w.run(2_000);
  return w;
}

async function incarnationOf(w: World, replica: number): Promise<number | undefined> {
  return (await w.replicas[replica]?.disk.fenceRow())?.incarnation;
}

test('[P9] an idle Set sees that a replica lost its disk, and has it back within 5 s', async () => {
  const w = await idle();
  const { epoch: led, setLog } = w.driver;
  const head = setLog.head;
  w.replicas[1]?.disk.wipe();
  await w.run(5_000);
  expect(w.count('replica_left')).toBe(1);
  expect(setLog.isActive(1)).toBe(true);
  expect(setLog.ackedBy(1)).toBe(head);
  expect(await incarnationOf(w, 1)).toBeGreaterThan(1);
  // Nothing was appended for it, and nobody was deposed.
  expect([w.driver.epoch, w.driver.setLog.head]).toEqual([led, head]);
});

test('[P9] an idle Set sees that a replica restarted, and has it back within 5 s', async () => {
  const w = await idle();
  w.replicas[2]?.disk.restart();
  await w.run(5_000);
  expect(w.count('replica_left')).toBe(1);
  expect(w.driver.setLog.isActive(2)).toBe(true);
  expect(await incarnationOf(w, 2)).toBeGreaterThan(1);
});

test('[P10] a replica that was away for 10 s returns in its incarnation', async () => {
  for (const down of [
    (w: World) => {
      const [, , far] = w.replicas;
      if (far !== undefined) far.down = true;
      return () => {
        if (far !== undefined) far.down = false;
      };
    },
    (w: World) => w.replicas[2]?.freeze() ?? ((): void => undefined),
  ]) {
    const w = await idle();
    const { epoch: led, setLog } = w.driver;
    const up = down(w);
    await w.run(2_000);
    expect(setLog.isActive(2)).toBe(true);
    await w.run(4_000);
    expect(setLog.isActive(2)).toBe(false);
    // What the others acknowledge counts, and its own last word does not.
    await w.fund('bob', 500);
    expect(setLog.commit).toBe(setLog.head);
    expect(setLog.ackedBy(2)).toBe(0);
    await w.run(4_000);
    up();
    await w.run(2_000);
    expect(setLog.isActive(2)).toBe(true);
    expect(setLog.ackedBy(2)).toBe(setLog.head);
    expect(await incarnationOf(w, 2)).toBe(1);
    expect(w.driver.epoch).toBe(led);
    const journals = await Promise.all(
      w.replicas.map(({ disk }) => disk.read({ after: lsn(0), limitBytes: 1e6 })),
    );
    expect(journals[2]).toEqual(journals[0]);
  }
});

test('[P10] a replica that comes back wiped after a silence is re-admitted', async () => {
  const w = await idle();
  const [, far] = w.replicas;
  if (far === undefined) throw new Error('three replicas');
  far.down = true;
  await w.run(10_000);
  far.disk.wipe();
  far.down = false;
  await w.run(5_000);
  expect(w.driver.setLog.isActive(1)).toBe(true);
  expect(await incarnationOf(w, 1)).toBeGreaterThan(1);
});

test('[P7] the last Q replicas count through a silence: whoever returns first can feed the others', async () => {
  const w = await idle();
  const { epoch: led, setLog } = w.driver;
  for (const each of w.replicas) each.down = true;
  await w.run(10_000);
  expect([0, 1, 2].filter((replica) => setLog.isActive(replica))).toHaveLength(2);
  for (const each of w.replicas) each.down = false;
  await w.run(2_000);
  expect([0, 1, 2].filter((replica) => setLog.isActive(replica))).toHaveLength(3);
  expect(w.driver.epoch).toBe(led);
  await w.fund('bob', 500);
  expect(setLog.commit).toBe(setLog.head);
});

test('[P7] a leader that itself stood still has heard nobody, and drops nobody for it', async () => {
  const clock = new ManualClock();
  const fence = { epoch: epoch(256), owner: new Uint8Array(16), incarnation: 1 };
  let answers = true;
  const row = { fenceEpoch: fence.epoch, fenceOwner: fence.owner, incarnation: 1, proved: true };
  const fenceRow = (): Promise<FenceRow> =>
    answers ? Promise.resolve(row) : Promise.reject(new StoreError('unavailable', 'late'));
  const watch = new FollowerWatch({ store: { fenceRow }, fence, clock });
  expect(await watch.look()).toBeNull();
  // The question that was on its way is late, as is the whole process.
  await clock.advanceSettled(60_000);
  answers = false;
  expect(await watch.look()).toBeNull();
  answers = true;
  expect(await watch.look()).toBeNull();
  answers = false;
  const found: unknown[] = [];
  for (let at = 0; at < 4; at++) {
    await clock.advanceSettled(1_000);
    found.push(await watch.look());
  }
  expect(found).toEqual([null, null, { kind: 'silent' }, { kind: 'silent' }]);
});

test('[P8] an idle Set of one replica leads anew by itself after a restart of that one', async () => {
  const w = await idle(1);
  const { epoch: led } = w.driver;
  w.replicas[0]?.disk.restart();
  await w.run(5_000);
  expect(w.driver.epoch).toBeGreaterThan(led);
  expect(w.driver.setLog.isActive(0)).toBe(true);
});

test('[P1] an idle leader that was replaced behind its back goes', async () => {
  const w = await idle();
  const { driver } = w;
  const next = w.newEngine(1);
  next.start();
  await w.run(2_000);
  expect(w.engine.driver).not.toBe(driver);
  await next.stop();
});
