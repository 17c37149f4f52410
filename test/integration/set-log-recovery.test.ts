import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { unseal } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { cents, lsn } from '../../lib/core/units.ts';
import { startEmbedded } from '../../ops/start.ts';
import { decodeState, encodeState } from '../../set-node/machine/snapshot.ts';
import { takeSnapshot } from '../../set-node/log/snapshotter.ts';
import type { Faulty } from './set-log-world.ts';
import { SET, World, user } from './set-log-world.ts';

function at(w: World, index: number): Faulty {
  const replica = w.replicas[index];
  if (replica === undefined) throw new Error('no such replica');
  return replica;
}

async function headOf(replica: Faulty): Promise<number> {
  const entries = await replica.disk.read({ after: lsn(0), limitBytes: 1e9 });
  return entries.at(-1)?.lsn ?? 0;
}

async function heads(w: World): Promise<number[]> {
  return Promise.all(w.replicas.map(headOf));
}

test('[finding 10] a stop without a quorum leaves no snapshot of what was never committed', async () => {
  const w = await World.start(1);
  await w.fund('ann', 1_000);
  at(w, 0).refusesAppends = true;
  const lost = w.submit({ type: 'wallet.open', user: user('ghost'), welcomeCents: cents(5) });
  await w.run(20);
  const stopping = w.engine.stop();
  await w.run(5_000);
  await stopping;
  expect(lost).toEqual([{ type: 'wallet.open', status: 'unknown' }]);
  at(w, 0).refusesAppends = false;
  for (let start = 0; start < 3; start++) {
    w.engine = w.newEngine(0);
    w.engine.start();
    await w.run(1_000);
    expect(w.engine.status.kind).toBe('leading');
    await w.fund(`bob${start}`, 1);
    await w.run(500);
    w.driver.abandon();
  }
});

test('[finding 11] a Set with a long journal serves again after a crash', async () => {
  const w = await World.start(1);
  for (let count = 0; count < 20_100; count++) {
    w.submit({ type: 'ids.reserve', count: 1 });
    await new Promise(setImmediate);
    if (count % 2_000 === 0) await w.run(50);
  }
  await w.run(1_000);
  await w.restart();
  await w.run(5_000);
  const answer = await w.ask<'ids.reserve'>({ type: 'ids.reserve', count: 1 });
  expect(answer.status).toBe('ok');
});

test('[finding 12] a lookup after a crash is answered though nothing new is committed', async () => {
  const w = await World.start(1);
  await w.fund('ann', 1_000);
  const groupId = await w.foundGroup('ann');
  await w.ask(w.message('ann', groupId));
  await w.restart();
  await w.run(2_000);
  expect(await at(w, 0).disk.projectedLsn()).toBe(w.driver.commit);
});

test('[finding 13] an old copy of a disk is brought up before it counts, and stays in', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  const copy = at(w, 2).disk.diskCopy();
  for (let count = 0; count < 5; count++) await w.fund(`user${count}`, 10);
  await w.run(500);
  at(w, 2).disk.restoreDisk(copy);
  await w.restart(2_000);
  await w.fund('late', 10);
  await w.run(60_000);
  const [first, ...others] = await heads(w);
  expect(others).toEqual([first, first]);
});

test('[finding 13] an old copy of a disk does not keep two good replicas from leading', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  const copy = at(w, 2).disk.diskCopy();
  await w.fund('bob', 1_000);
  await w.run(500);
  for (let count = 0; count < 5; count++)
    w.submit({ type: 'wallet.open', user: user(`user${count}`), welcomeCents: cents(1) });
  await w.run(5); // committed, and the commit point is not written yet: a tail is adopted
  at(w, 2).disk.restoreDisk(copy);
  await w.restart(20_000);
  expect(w.engine.status.kind).toBe('leading');
});

test('[finding 13] a diverged replica that restarts is made equal before it counts', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(500);
  at(w, 0).refusesAppends = true;
  at(w, 1).refusesAppends = true;
  w.submit({ type: 'wallet.open', user: user('nobody'), welcomeCents: cents(1) });
  await w.run(20); // only replica 2 has it
  await w.kill();
  at(w, 2).down = true;
  at(w, 0).refusesAppends = false;
  at(w, 1).refusesAppends = false;
  w.engine.start();
  await w.run(1_000);
  for (let count = 0; count < 5; count++) await w.fund(`user${count}`, 10);
  await w.run(500);
  at(w, 2).down = false;
  at(w, 2).disk.restart();
  await w.restart(2_000);
  await w.run(60_000);
  const sums = await Promise.all(
    w.replicas.map(async ({ disk }) =>
      (await disk.read({ after: lsn(0), limitBytes: 1e9 })).map(({ sum }) => sum),
    ),
  );
  expect(sums[2]).toEqual(sums[0]);
});

test('[finding 14] a replica that restarts under a leader is back within a minute', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  at(w, 1).disk.restart();
  await w.fund('bob', 1_000);
  await w.run(60_000);
  expect((await at(w, 1).disk.fenceRow())?.proved).toBe(true);
});

test('[finding 14] a replica that was away at takeover is fed within a minute of its return', async () => {
  const w = await World.start(3);
  at(w, 2).down = true;
  await w.restart(1_000);
  at(w, 2).down = false;
  await w.fund('ann', 1_000);
  await w.run(60_000);
  const [first, , third] = await heads(w);
  expect(third).toBe(first);
});

test('[finding 14] a restarted replica carries the Set when another dies a minute later', async () => {
  const w = await World.start(3);
  at(w, 0).disk.restart();
  await w.fund('ann', 1_000);
  await w.run(60_000);
  at(w, 1).down = true;
  await w.run(30_000);
  expect(
    await w.ask({ type: 'wallet.open', user: user('bob'), welcomeCents: cents(1) }),
  ).toMatchObject({ status: 'ok' });
});

test('[finding 15] a lagging replica is not fed a damaged entry of another', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  at(w, 2).refusesAppends = true;
  await w.fund('hit', 1);
  const hit = await headOf(at(w, 0));
  for (let count = 0; count < LIMITS.replicaWindowBatches + 10; count++)
    await w.fund(`user${count}`, 1);
  at(w, 0).disk.flipPayloadBit(hit);
  at(w, 2).refusesAppends = false;
  await w.run(5_000);
  const entries = await at(w, 2).disk.read({ after: lsn(0), limitBytes: 1e9 });
  for (const entry of entries) unseal({ entry, prev: null, hash: sha256 });
  expect(entries.length).toBe(await headOf(at(w, 1)));
});

test('[finding 16] a damaged page on one of three replicas does not keep the others from leading', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(500);
  at(w, 0).damaged = true;
  await w.restart(20_000);
  expect(w.engine.status.kind).toBe('leading');
});

test('[finding 17] a Set of another configuration is refused before anything is written', async () => {
  const w = await World.start(1);
  await w.fund('ann', 1_000);
  await w.run(500);
  const before = await headOf(at(w, 0));
  await w.kill();
  w.slots = new Uint8Array(128).fill(0x0f);
  w.engine = w.newEngine(0);
  w.engine.start();
  await w.run(60_000);
  expect(await headOf(at(w, 0))).toBe(before);
});

test('[finding 9] a replica that lost its disk comes back with the whole journal', async () => {
  const w = await World.start(3);
  await w.fund('ann', 1_000);
  await w.run(500);
  at(w, 2).disk.wipe();
  await w.restart(2_000);
  await w.fund('bob', 10);
  await w.run(60_000);
  const [first, ...others] = await heads(w);
  expect(others).toEqual([first, first]);
});

test('[finding 9] an empty disk made new at a start has no vote', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'hb-blank-'));
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const options = {
    dataDir,
    port: 0,
    host: '127.0.0.1',
    sets: 1,
    replicas: 3,
    demoCents: 0,
    pageDir: dataDir,
    log,
  };
  try {
    const first = await startEmbedded(options);
    await first.lifecycle.end();
    const files = (await readdir(dataDir, { recursive: true }))
      .filter((name) => /\.(sqlite|db)$/.test(name))
      .sort();
    const lost = join(dataDir, files.at(-1) ?? '');
    for (const end of ['', '-wal', '-shm']) await rm(lost + end, { force: true });
    // Two doubtful replicas and a lost one: the Set waits for a signature, it does not guess.
    await expect(startEmbedded({ ...options, readyWithinMs: 1_500 })).rejects.toThrow(
      'did not lead',
    );
    const db = new DatabaseSync(lost, { readOnly: true });
    const row = db.prepare('SELECT incarnation FROM replica_state').get();
    db.close();
    expect(row).toBeUndefined();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('[finding 24] a snapshot taken beside the leader forgets what the leader forgot', async () => {
  const w = await World.start(1);
  await w.fund('ann', 1_000);
  const groupId = await w.foundGroup('ann');
  const packetId = await w.takeId();
  await w.send(w.definition({ packetId, groupId, sender: 'ann' }));
  await w.carryAll();
  await w.ask<'packet.open'>({
    type: 'packet.open',
    packetId,
    user: user('ann'),
    grant: w.grant('ann', groupId),
  });
  await w.carryAll();
  await w.run(LIMITS.answerKeptMs + 60_000);
  await w.fund('tick', 1);
  await w.run(3_000);
  expect(w.driver.state.packets.size + w.driver.state.answers.size).toBe(0);
  await takeSnapshot({ store: at(w, 0).disk, setId: SET, hash: sha256 });
  const snapshot = await at(w, 0).disk.readSnapshot();
  if (snapshot === null) throw new Error('no snapshot');
  const { state } = decodeState({ ...snapshot, setId: SET });
  expect(state.packets.size + state.answers.size).toBe(0);
});

test('a seed is nowhere in journal, tables, snapshot, events and log before its packet ends', async () => {
  const w = await World.start(1);
  const events: unknown[] = [];
  w.publisher.add({
    groups: new Set(),
    users: new Set(),
    send: (news) => void events.push(...news.events, ...news.wallets),
  });
  await w.fund('ann', 1_000);
  const groupId = await w.foundGroup('ann');
  const packetId = await w.takeId();
  await w.send(w.definition({ packetId, groupId, sender: 'ann', count: 3 }));
  await w.carryAll();
  const open = (name: string): Promise<unknown> =>
    w.ask<'packet.open'>({
      type: 'packet.open',
      packetId,
      user: user(name),
      grant: w.grant(name, groupId),
    });
  await open('ann');
  await w.run(1_000);
  const seed = w.driver.state.packets.get(packetId)?.seed;
  if (seed === undefined || seed === null) throw new Error('the seed is in memory');
  const everything = async (): Promise<string> => {
    const { disk } = at(w, 0);
    const entries = await disk.read({ after: lsn(0), limitBytes: 1e9 });
    const { chunks } = encodeState({ state: w.driver.state, sum: new Uint8Array(32) });
    const packets = await disk.scan({ table: 'red_packet', prefix: [packetId], limit: 1 });
    const bytes = [...entries.map(({ payload }) => payload), ...chunks].map((part) =>
      Buffer.from(part).toString('hex'),
    );
    const hex = (_key: string, value: unknown): unknown => {
      if (typeof value === 'bigint') return String(value);
      if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
      const buffer = value as { type?: string; data?: number[] } | null;
      return buffer?.type === 'Buffer' ? Buffer.from(buffer.data ?? []).toString('hex') : value;
    };
    return [...bytes, JSON.stringify([packets.rows, events, w.lines], hex)].join('\n');
  };
  const secret = Buffer.from(seed).toString('hex');
  expect(await everything()).not.toContain(secret);
  await open('bob');
  await open('cid');
  await w.run(1_000);
  // The check can fail: at the end the seed is in all of them.
  expect((await everything()).split(secret).length).toBeGreaterThan(4);
});
