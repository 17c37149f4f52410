import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { AssertionFailed } from '../../lib/core/assert.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { cents, epoch } from '../../lib/core/units.ts';
import type { FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { LeaderProof } from '../../set-node/log/proof.ts';
import { World, user } from './set-log-world.ts';

/** Stores whose answers to appends can be held back: acknowledgements in a paused node's socket. */
function behindSlowLines(stores: readonly ReplicaStore[]): {
  stores: ReplicaStore[];
  hold: () => () => void;
} {
  let gate: Promise<void> | null = null;
  const wrapped = stores.map((store) => {
    const append: ReplicaStore['append'] = async (args) => {
      const reply = await store.append(args);
      if (gate !== null) await gate;
      return reply;
    };
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'append') return append;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  });
  const hold = (): (() => void) => {
    let open = (): void => undefined;
    gate = new Promise((resolve) => {
      open = () => {
        gate = null;
        resolve();
      };
    });
    return open;
  };
  return { stores: wrapped, hold };
}

test('[rulings 16] acknowledgements older than a question do not confirm its answer', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(300);
  await w.kill();
  const slow = behindSlowLines(w.replicas.map(({ disk }) => disk));
  w.engine = w.newEngine(0, { replicas: slow.stores });
  w.engine.start();
  await w.run(600);
  const old = w.driver;
  const open = slow.hold();
  w.submit({ type: 'wallet.open', user: user('zoe'), welcomeCents: cents(1) });
  await w.run(20);
  expect(old.setLog.uncommitted).toBe(1);
  const next = w.newEngine(1);
  next.start();
  await w.run(300);
  const bob = { type: 'wallet.open', user: user('bob'), welcomeCents: cents(5) } as const;
  expect((await w.ask(bob, next)).status).toBe('ok');
  // Asked after bob was acknowledged elsewhere, of a leader that does not know it yet.
  const settled = old.settled();
  await w.run(10);
  open();
  await w.run(50);
  expect(await settled).toBe(false);
  await next.stop();
});

test('a strong read of a leader with something on its way is confirmed when it still leads', async () => {
  const w = await World.start(3);
  w.submit({ type: 'wallet.open', user: user('zoe'), welcomeCents: cents(1) });
  const settled = w.driver.settled();
  await w.run(50);
  expect(await settled).toBe(true);
});

test('[rulings 16] however many ask, a replica has one fence question on its way', async () => {
  const clock = new ManualClock();
  const owner = new Uint8Array(16).fill(1);
  const row: FenceRow = { fenceEpoch: epoch(256), fenceOwner: owner, incarnation: 1, proved: true };
  let running = 0;
  let most = 0;
  let asked = 0;
  const fenceRow = (): Promise<FenceRow> => {
    running += 1;
    asked += 1;
    most = Math.max(most, running);
    return new Promise((resolve) => {
      clock.after(5, () => {
        running -= 1;
        resolve(row);
      });
    });
  };
  const stopped: Promise<FenceRow> = new Promise(() => undefined);
  const proof = new LeaderProof({
    replicas: [
      { fenceRow },
      { fenceRow: () => Promise.resolve(row) },
      { fenceRow: () => stopped },
    ].map((store) => store as unknown as ReplicaStore),
    quorum: 2,
    clock,
    epoch: epoch(256),
    owner,
  });
  const answers: Promise<boolean>[] = [];
  for (let turn = 0; turn < 200; turn++) {
    answers.push(proof.ask());
    await clock.advanceSettled(1);
  }
  await clock.advanceSettled(20);
  expect(await Promise.all(answers)).toEqual(answers.map(() => true));
  expect(most).toBe(1);
  expect(asked).toBeGreaterThan(30);
  expect(asked).toBeLessThan(60);
});

test('a bug in the tables of one replica deposes nobody', async () => {
  const w = await World.start(3);
  await w.run(1_000);
  await w.kill();
  const [, , third] = w.replicas;
  if (third === undefined) throw new Error('there are three');
  third.disk.project = () => Promise.reject(new AssertionFailed('a row has no holes'));
  w.engine = w.newEngine(0, { replicas: w.replicas.map(({ disk }) => disk) });
  w.engine.start();
  await w.run(1_000);
  const led = w.count('set_leading');
  for (let round = 0; round < 20; round++) {
    expect((await w.ask({ type: 'ids.reserve', count: 1 })).status).toBe('ok');
    await w.run(1_000);
  }
  expect(w.count('set_leading')).toBe(led);
  expect(w.count('projection_bug')).toBeGreaterThan(0);
});

test('without the tables of Q replicas a Set goes on, slowly', async () => {
  const w = await World.start(3);
  await w.run(1_000);
  for (const { disk } of w.replicas.slice(1)) {
    disk.project = () => Promise.reject(new StoreError('corrupt', 'LSN 7: checksum'));
  }
  for (let round = 0; round < 40; round++) {
    await w.ask({ type: 'ids.reserve', count: 1 });
    await w.run(LIMITS.projectionLagMsMax / 30);
  }
  const burst = Array.from({ length: 1_000 }, () => w.submit({ type: 'ids.reserve', count: 1 }));
  await w.run(50);
  const statuses = burst.map(([outcome]) => outcome?.status);
  expect(statuses.filter((status) => status === 'overloaded').length).toBeGreaterThan(900);
  expect(statuses.filter((status) => status === 'ok').length).toBeGreaterThan(0);
  await w.run(60_000);
  expect((await w.ask({ type: 'ids.reserve', count: 1 })).status).toBe('ok');
});
