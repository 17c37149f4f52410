import { expect, test } from 'vitest';
import { cents, epoch } from '../../lib/core/units.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { World, user } from '../integration/set-log-world.ts';

const OWNER = new Uint8Array(16).fill(9);

/** A leader of two replicas, and a third that comes back with the fence of somebody who is gone. */
async function outbid(bid: (led: number) => number): Promise<World> {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  const [, , far] = w.replicas;
  if (far === undefined) throw new Error('there are three');
  far.down = true;
  await w.run(6_000);
  expect(w.driver.setLog.isActive(2)).toBe(false);
  const { fenceEpoch } = (await far.disk.fenceRow()) ?? { fenceEpoch: 0 };
  const at = bid(fenceEpoch);
  expect((await far.disk.takeOver({ epoch: epoch(at), owner: OWNER })).kind).toBe('promised');
  far.down = false;
  return w;
}

test('[L10] a fence that a dead candidate left keeps no replica away for good', async () => {
  const w = await outbid((led) => led + 1_000);
  const { epoch: led } = w.driver;
  await w.run(3_000);
  // Somebody may be about to lead: he has time.
  expect(w.driver.epoch).toBe(led);
  await w.run(10_000);
  expect(w.driver.epoch).toBeGreaterThan(led + 1_000);
  expect([0, 1, 2].every((replica) => w.driver.setLog.isActive(replica))).toBe(true);
});

test('[L10] as long as somebody tries, and fails, the leader leads', async () => {
  const w = await outbid((led) => led + 1_000);
  const { epoch: led } = w.driver;
  for (let at = led + 2_000; at < led + 8_000; at += 1_000) {
    await w.run(2_000);
    await w.replicas[2]?.disk.takeOver({ epoch: epoch(at), owner: OWNER });
  }
  expect(w.driver.epoch).toBe(led);
});

test('[I7] a re-admission leaves what this leader wrote above its commit point where it is', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(1_000);
  const [near, ...others] = w.replicas;
  if (near === undefined) throw new Error('there are three');
  const { epoch: led, setLog } = w.driver;
  for (const other of others) other.refusesAppends = true;
  w.submit({ type: 'wallet.open', user: user('bob'), welcomeCents: cents(1) });
  await w.run(20);
  const at = setLog.head;
  expect([setLog.commit, setLog.ackedBy(0)]).toEqual([at - 1, at]);
  // It forgets nothing and has no vote; meanwhile the others may commit what is on its disk, too.
  near.disk.restart();
  const isAway = async (): Promise<boolean> => (await near.disk.fenceRow())?.proved === false;
  for (let left = 1_800; left > 0 && (await isAway()); left -= 50) await w.run(50);
  await w.run(50);
  expect([w.driver.epoch, setLog.ackedBy(0)]).toEqual([led, at]);
  expect(near.disk.discarded()).toEqual([]);
});

test('[I10] an admission that lands late does not count when a newer one may be recorded', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(1_000);
  const [near, far] = w.replicas;
  if (near === undefined || far === undefined) throw new Error('there are three');
  const admit = far.disk.admit.bind(far.disk);
  let land: (() => Promise<unknown>) | null = null;
  far.disk.admit = async (args) => {
    if (land !== null) return admit(args);
    land = () => admit(args);
    throw new StoreError('unknown', 'under way');
  };
  const record = near.disk.recordIncarnation.bind(near.disk);
  let lost = 0;
  near.disk.recordIncarnation = async (args) => {
    const done = await record(args);
    if (land === null || lost > 0) return done;
    lost += 1;
    // The newer identity stands here; its leader does not know, and stops half-way.
    await land();
    throw new StoreError('unknown', 'no answer');
  };
  far.disk.restart();
  w.submit({ type: 'wallet.open', user: user('bob'), welcomeCents: cents(1) });
  await w.run(10_000);
  expect(lost).toBe(1);
  const row = await far.disk.fenceRow();
  expect(row?.proved).toBe(true);
  expect(row?.incarnation).toBe(near.disk.diskCopy().take().state?.incarnations[1]);
  expect(w.driver.setLog.isActive(1)).toBe(true);
});
