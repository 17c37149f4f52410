import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { BatchStream, StreamListener } from '../../lib/runtime/stream.ts';
import { Channel } from '../../router/channel.ts';
import { SetNodes } from '../../router/nodes.ts';
import { unreadOf } from '../../set-node/machine/groups.ts';
import { readLists } from '../../set-node/read/lists.ts';
import { World, user } from './set-log-world.ts';

async function withGroup(count: 1 | 3 = 1): Promise<{ w: World; groupId: Id }> {
  const w = await World.start(count);
  await w.fund('ann', 10_000);
  await w.fund('bob', 10_000);
  return { w, groupId: await w.foundGroup('ann') };
}

test('[finding 8] a retry that waits while its answer leaves memory is not done twice', async () => {
  const { w, groupId } = await withGroup();
  const definition = w.definition({
    packetId: await w.takeId(),
    groupId,
    sender: 'ann',
    totalCents: 1_000,
  });
  const commandId = w.commandId();
  await w.send(definition, commandId);
  await w.carryAll();
  expect(w.driver.state.people.get(user('ann'))?.balanceCents).toBe(9_000);
  // The answer may go at the next turn of the evicting timer, which comes once a second.
  await w.run(LIMITS.answerKeptMs - 5_000);
  for (let round = 0; round < 12; round++) {
    let release = (): void => undefined;
    const replica = w.replicas[0];
    if (replica === undefined) throw new Error('no replica');
    // The disk stalls for 600 ms: shorter than what makes waiting commands unavailable.
    replica.held = new Promise((resolve) => {
      release = resolve;
    });
    for (let count = 0; count < 2; count++) {
      w.submit({ type: 'ids.reserve', count: 1 });
      await w.run(1);
    }
    w.submit({ type: 'packet.send', commandId, definition, grant: w.grant('ann', groupId) });
    await w.run(600);
    replica.held = null;
    release();
    await w.run(300);
  }
  expect(w.driver.state.people.get(user('ann'))?.balanceCents).toBe(9_000);
});

test('[finding 8] an open that waits while its packet leaves memory is still answered with the share', async () => {
  const { w, groupId } = await withGroup();
  const packetId = await w.takeId();
  await w.send(w.definition({ packetId, groupId, sender: 'ann' }));
  await w.carryAll();
  const open = {
    type: 'packet.open',
    packetId,
    user: user('bob'),
    grant: w.grant('bob', groupId),
  } as const;
  await w.ask<'packet.open'>(open);
  const replica = w.replicas[0];
  if (replica === undefined) throw new Error('no replica');
  const answers: unknown[] = [];
  for (let round = 0; round < 60 && w.driver.state.packets.has(packetId); round++) {
    let release = (): void => undefined;
    replica.held = new Promise((resolve) => {
      release = resolve;
    });
    for (let count = 0; count < 2; count++) {
      w.submit({ type: 'ids.reserve', count: 1 });
      await w.run(1);
    }
    const reply = w.submit(open);
    await w.run(600);
    replica.held = null;
    release();
    await w.run(300);
    answers.push(reply[0]?.status);
  }
  expect(answers.at(-1)).toBe('already_opened');
  expect([...new Set(answers)]).toEqual(['already_opened']);
});

test('[finding 20] a leader that has been replaced gives no final no', async () => {
  const { w, groupId } = await withGroup(3);
  await w.run(500);
  const other = w.newEngine(1);
  other.start();
  await w.run(1_000);
  expect(other.status.kind).toBe('leading');
  // The new leader has a group that the old one has never heard of.
  const { firstId } = await w.ask<'ids.reserve'>({ type: 'ids.reserve', count: 1 }, other);
  await w.ask<'group.create'>(
    {
      type: 'group.create',
      commandId: w.commandId(),
      user: user('ann'),
      groupId: firstId,
      name: 'g',
      history: 'all',
    },
    other,
  );
  const lane = other.driver?.state.outbox.lane(other.driver.state.setId, 0);
  await w.ask<'transfer.deliver'>(
    {
      type: 'transfer.deliver',
      from: other.driver!.state.setId,
      lane: 0,
      first: lane?.first ?? 0,
      transfers: [...(lane?.pending ?? [])],
    },
    other,
  );
  expect(other.driver?.state.groups.has(firstId)).toBe(true);
  expect(groupId).not.toBe(firstId);
  const answers = w.submit(w.message('ann', firstId));
  await w.run(500);
  expect(answers[0]?.status).not.toBe('group_not_found');
});

test('[finding 18] a list is read from the next replica when the first does not answer', async () => {
  const { w, groupId } = await withGroup(3);
  await w.ask(w.message('ann', groupId));
  await w.run(2_000);
  const [first] = w.driver.projections.order();
  const replica = w.replicas[first ?? 0];
  if (replica === undefined) throw new Error('no replica');
  replica.down = true;
  const query = {
    history: {
      groupId: String(groupId),
      user: 'ann',
      fromSeq: '1',
      toSeq: '9',
      limit: 9,
      reverse: false,
    },
  };
  const answer = await readLists(w.driver, query as never);
  expect(answer.status).toBe('ok');
});

test('[finding 21] a page of history that names the last seq has its message', async () => {
  const { w, groupId } = await withGroup();
  await w.ask(w.message('ann', groupId));
  const replica = w.replicas[0];
  if (replica === undefined) throw new Error('no replica');
  let release = (): void => undefined;
  replica.held = new Promise((resolve) => {
    release = resolve;
  });
  w.submit(w.message('ann', groupId));
  await w.run(1);
  const query = {
    history: {
      groupId: String(groupId),
      user: 'ann',
      fromSeq: '2',
      toSeq: '9',
      limit: 9,
      reverse: false,
    },
  };
  const asked = readLists(w.driver, query as never);
  await w.run(1);
  release();
  const answer = await asked;
  const seqs = (answer.history?.messages ?? []).map(({ seq }) => seq);
  expect({ status: answer.status, last: seqs.at(-1) }).toEqual({
    status: 'ok',
    last: answer.history?.lastSeq,
  });
});

test('[finding 22] reading on never makes messages unread again', async () => {
  const { w, groupId } = await withGroup();
  for (let count = 0; count < LIMITS.unreadRing + 44; count++) w.submit(w.message('ann', groupId));
  await w.run(200);
  const group = w.driver.state.groups.get(groupId);
  const member = group?.members.get(user('ann'));
  if (group === undefined || member === undefined) throw new Error('no member');
  expect(unreadOf(group, member)).toBe(0);
  await w.ask({ type: 'message.read', user: user('ann'), groupId, seq: 10 });
  expect(unreadOf(group, member)).toBe(0);
});

test('[finding 23] a packet that was due before the clock was set back is refunded all the same', async () => {
  const { w, groupId } = await withGroup();
  const packetId = await w.takeId();
  await w.send({ ...w.definition({ packetId, groupId, sender: 'ann' }), lifetimeMs: 60_000 });
  await w.carryAll();
  let release = (): void => undefined;
  const replica = w.replicas[0];
  if (replica === undefined) throw new Error('no replica');
  await w.run(59_000);
  replica.held = new Promise((resolve) => {
    release = resolve;
  });
  for (let count = 0; count < 2; count++) {
    w.submit({ type: 'ids.reserve', count: 1 });
    await w.run(1);
  }
  await w.run(1_200); // due now, and waiting for a batch
  w.clock.jump(-3_000);
  replica.held = null;
  release();
  await w.run(60_000);
  expect(w.driver.state.packets.get(packetId)?.end?.kind).toBe('refunded');
});

type Batch = { readonly tag: number; readonly answer: string };
const LEADING: Batch = { tag: 0, answer: '' };

test('[finding 19] a refusal after a resend is no proof that the first try was not done', async () => {
  const clock = new ManualClock();
  const opened: StreamListener<Batch>[] = [];
  const random = new SeededRandom(1);
  const nodes = new SetNodes({
    clock,
    random,
    connect: () => {
      throw new Error('the wire of this test opens streams itself');
    },
    addresses: () => [{ primary: 'a', backup: '' }],
  });
  const channel = new Channel<string, string, Batch, { tag: number; answer: string }, string>({
    name: 'test',
    ports: { clock, random, log: { info: () => {}, warn: () => {}, error: () => {} } },
    nodes,
    wire: {
      open: (listener) => {
        opened.push(listener);
        const stream: BatchStream<string> = {
          open: true,
          congested: false,
          send: () => true,
          abort: () => undefined,
          end: () => undefined,
        };
        return stream;
      },
      pack: (items) => items.map(({ request }) => request).join(),
      // Tag 0 is the first word of a stream.
      unpack: (batch) => (batch.tag === 0 ? [] : [batch]),
      standing: ({ answer }) => ({ epoch: answer === 'set_unavailable' ? 0 : 7, leaderEpoch: 7 }),
      isRefusal: ({ answer }) => answer === 'set_unavailable',
      answer: ({ doubtful, reply }) => (doubtful ? 'unknown' : reply.answer),
      sizeOf: () => 1,
      fail: (_request, failure) => failure,
    },
  });
  opened[0]?.message(LEADING);
  const answer = channel.ask('packet.send', 5_000);
  await clock.advanceSettled(10); // written: the Set may have sealed it
  opened[0]?.closed('cut');
  await clock.advanceSettled(200);
  opened[1]?.message(LEADING);
  await clock.advanceSettled(10);
  opened[1]?.message({ tag: 1, answer: 'set_unavailable' }); // the Set has no leader just now
  await clock.advanceSettled(6_000);
  expect(await answer).toBe('unknown');
  channel.close();
});
