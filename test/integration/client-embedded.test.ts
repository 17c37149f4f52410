/** The SDK against the real thing: every tier in one process, over a real socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HongbaoClient, fetchDevToken, verifyPacket } from '../../client/index.ts';
import type { Balance, Message } from '../../client/index.ts';
import type { Log } from '../../lib/port/log.ts';
import { startEmbedded } from '../../ops/start.ts';
import type { Embedded } from '../../ops/start.ts';

const DEMO_CENTS = 1_000_00;

let dataDir: string;
let server: Embedded;
const clients: HongbaoClient[] = [];

beforeAll(async () => {
  const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
  dataDir = await mkdtemp(join(tmpdir(), 'hongbao-client-'));
  server = await startEmbedded({
    dataDir,
    port: 0,
    host: '127.0.0.1',
    sets: 2,
    replicas: 1,
    demoCents: DEMO_CENTS,
    pageDir: join(dataDir, 'no-page'),
    log: silent,
  });
});

afterAll(async () => {
  for (const client of clients) client.close();
  await server?.lifecycle.end();
  await rm(dataDir, { recursive: true, force: true });
});

async function signIn(userId: string): Promise<HongbaoClient> {
  const baseUrl = `http://127.0.0.1:${server.port}`;
  const client = new HongbaoClient({
    url: `ws://127.0.0.1:${server.port}/v1/ws`,
    token: () => fetchDevToken({ baseUrl, userId }),
  });
  clients.push(client);
  await client.connect();
  return client;
}

function balanceIs(client: HongbaoClient, expected: Balance): Promise<void> {
  return expect.poll(() => client.balance, { timeout: 10_000, interval: 20 }).toEqual(expected);
}

test('three people share ten yuan; the shares verify; every cent arrives', async () => {
  const people = await Promise.all(['alice', 'bob', '卡罗尔'].map(signIn));
  const [alice, bob, carol] = people as [HongbaoClient, HongbaoClient, HongbaoClient];
  const { groupId } = await alice.group.create({ name: 'Family 一家人' });
  const { invite } = await alice.group.invite(groupId);
  const heard: Message[] = [];
  bob.on('message', (message) => heard.push(message));
  for (const guest of [bob, carol]) {
    expect((await guest.group.join(invite)).group).toMatchObject({ groupId });
  }
  const { seq } = await carol.message.send({ groupId, body: '新年快乐 🧧' });

  const { packetId } = await alice.packet.send({ groupId, totalCents: 1_000, count: 3 });
  const results = await Promise.all(people.map((one) => one.packet.grabAndOpen(packetId)));
  expect(results.map((result) => result.status)).toEqual(['opened', 'opened', 'opened']);
  const again = await bob.packet.grabAndOpen(packetId);
  expect(again).toMatchObject({ status: 'already_opened' });

  const [packet, claims] = await Promise.all([
    carol.packet.get(packetId),
    carol.packet.allClaims(packetId),
  ]);
  expect(packet.phase).toBe('drained');
  expect(verifyPacket({ packet, claims })).toEqual({ status: 'verified', shares: 3 });
  // Planted: the same check must find a cent that was moved.
  const [first, ...rest] = claims;
  const moved = [{ ...first!, amountCents: first!.amountCents + 1 }, ...rest];
  expect(verifyPacket({ packet, claims: moved })).toMatchObject({ status: 'broken' });

  const shareOf = (userId: string): number =>
    claims.find((claim) => claim.userId === userId)?.amountCents ?? 0;
  await balanceIs(alice, {
    balanceCents: DEMO_CENTS - 1_000 + shareOf('alice'),
    arrivingCents: 0,
  });
  await balanceIs(bob, { balanceCents: DEMO_CENTS + shareOf('bob'), arrivingCents: 0 });
  await balanceIs(carol, { balanceCents: DEMO_CENTS + shareOf('卡罗尔'), arrivingCents: 0 });

  await expect.poll(() => heard.some((one) => one.kind === 'red_packet')).toBe(true);
  expect(heard.find((one) => one.seq === seq)?.body).toBe('新年快乐 🧧');
  const seqs = heard.map((one) => one.seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
});

test('the same client id sends one packet, whoever asks again; losing is an answer', async () => {
  const alice = await signIn('alice');
  const { groupId } = await alice.group.create({ name: 'One' });
  const clientId = alice.newId();
  const send = { groupId, clientId, totalCents: 2, count: 1 };
  const [one, two] = await Promise.all([alice.packet.send(send), alice.packet.send(send)]);
  expect(two.packetId).toBe(one.packetId);
  const other = alice.packet.send({ ...send, totalCents: 3 });
  await expect(other).rejects.toMatchObject({ code: 'id_reused', final: true });

  const { invite } = await alice.group.invite(groupId);
  const dave = await signIn('dave');
  await dave.group.join(invite);
  expect(await alice.packet.grabAndOpen(one.packetId)).toMatchObject({ amountCents: 2 });
  expect(await dave.packet.grabAndOpen(one.packetId)).toEqual({ status: 'drained' });
});

test('leaving a group twice under one id is leaving it once', async () => {
  const [dora, emil] = (await Promise.all(['dora', 'emil'].map(signIn))) as [
    HongbaoClient,
    HongbaoClient,
  ];
  const { groupId } = await dora.group.create({ name: 'twice' });
  const { invite } = await dora.group.invite(groupId);
  await emil.group.join(invite);
  const clientId = emil.newId();
  await emil.group.leave(groupId, clientId);
  await emil.group.leave(groupId, clientId);
  await expect(emil.group.leave(groupId)).rejects.toMatchObject({ code: 'not_a_member' });
  await emil.group.join(invite);
  // The old answer again: nobody is put out by it.
  await emil.group.leave(groupId, clientId);
  const { members } = await dora.group.get(groupId);
  expect(members.map(({ userId }) => userId)).toEqual(['dora', 'emil']);
});
