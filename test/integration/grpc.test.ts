import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { asId, reserveBlock, setOfId } from '../../lib/core/ids.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { cents, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { openSetNode, serveSetNode } from '../../lib/runtime/grpc.ts';
import { CHANNEL_LIMITS } from '../../router/channel.ts';
import type { FakeSet, World } from './fake-set.ts';
import { makeWorld, until } from './fake-set.ts';

const ALICE = parseUserId('alice')!;
const SET = setId(0);

let world: World;
let fake: FakeSet;

beforeEach(async () => {
  world = await makeWorld({ sets: 1 });
  fake = world.sets[0]!;
  fake.decide = opened;
  await until(() => world.router.isUp(SET));
});

afterEach(async () => {
  await world.close();
});

function open(number: number): Command {
  return { type: 'packet.open', packetId: asId(BigInt(number)), user: ALICE, grant: null };
}

function opened(command: Command): Outcome {
  if (command.type !== 'packet.open') return { type: command.type, status: 'malformed' };
  const amountCents = cents(Number(command.packetId));
  const rest = { order: 1, left: 0, at: timeMs(5), seed: new Uint8Array() };
  return { type: 'packet.open', status: 'ok', amountCents, ...rest };
}

describe('a channel', () => {
  test('gathers the requests of one turn into messages of at most 256', async () => {
    const answers = await Promise.all(
      Array.from({ length: 600 }, (_, index) => world.router.command(SET, open(index + 1))),
    );
    expect(fake.messages.map((message) => message.length)).toEqual([256, 256, 88]);
    for (const [index, { outcome, mark }] of answers.entries()) {
      expect(outcome).toMatchObject({ status: 'ok', amountCents: index + 1 });
      expect(mark).toEqual({ setId: 0, epoch: 7, lsn: index + 1 });
    }
    expect(world.router.queueWaitUs(SET)).toBe(123);
  });

  test('cuts messages at 256 KiB', async () => {
    const body = 'x'.repeat(8_192);
    fake.decide = () => ({ type: 'message.send', status: 'ok', seq: 1, at: timeMs(1) });
    const commandId = '01890000-0000-7000-8000-000000000000' as never;
    const message: Command = {
      type: 'message.send',
      commandId,
      user: ALICE,
      groupId: asId(1n),
      kind: 'text',
      body,
      seenSeq: 0,
    };
    await Promise.all(Array.from({ length: 64 }, () => world.router.command(SET, message)));
    expect(fake.messages.map((items) => items.length)).toEqual([31, 31, 2]);
  });

  test('sends the same bytes under the same tags on the next stream', async () => {
    let deaf = true;
    fake.decide = (command) => (deaf ? null : opened(command));
    const answers = Promise.all([1, 2, 3].map((number) => world.router.command(SET, open(number))));
    await until(() => fake.messages.length === 1);
    deaf = false;
    fake.cut();
    const amounts = (await answers).map(({ outcome }) =>
      outcome.status === 'ok' && outcome.type === 'packet.open'
        ? outcome.amountCents
        : outcome.status,
    );
    expect(amounts).toEqual([1, 2, 3]);
    expect(fake.commandStreams).toBe(2);
    expect(fake.messages[1]).toEqual(fake.messages[0]);
  });

  test('comes back to a Set that was away, before the deadline', async () => {
    await fake.stop();
    await until(() => !world.router.isUp(SET));
    const answer = world.router.command(SET, open(4));
    await fake.start();
    expect((await answer).outcome).toMatchObject({ status: 'ok', amountCents: 4 });
  });

  test('says unknown of what was written, and set_unavailable of what was not', async () => {
    fake.decide = () => null;
    const written = world.router.command(SET, open(1), { deadlineMs: 300 });
    await until(() => fake.messages.length === 1);
    await fake.stop();
    await until(() => !world.router.isUp(SET));
    const unwritten = world.router.command(SET, open(2), { deadlineMs: 300 });
    expect((await written).outcome.status).toBe('unknown');
    expect((await unwritten).outcome.status).toBe('set_unavailable');
    expect(fake.messages.flat()).toHaveLength(1);
  });

  test('refuses within a second when the Set is down, whatever the deadline', async () => {
    await fake.stop();
    await until(() => !world.router.isUp(SET));
    const start = performance.now();
    const first = await world.router.command(SET, open(1), { deadlineMs: 60_000 });
    expect(performance.now() - start).toBeLessThan(1_500);
    const query = await world.router.query(SET, { money: {} }, { deadlineMs: 60_000 });
    expect([first.outcome.status, query.status]).toEqual(['set_unavailable', 'set_unavailable']);
    expect(performance.now() - start).toBeLessThan(1_500);
  });

  test('answers overloaded when 4,096 wait, and goes on afterwards', async () => {
    fake.decide = () => null;
    const { inFlightMax } = CHANNEL_LIMITS;
    const waiting = Array.from({ length: inFlightMax }, (_, index) =>
      world.router.command(SET, open(index), { deadlineMs: 200 }),
    );
    expect((await world.router.command(SET, open(9))).outcome.status).toBe('overloaded');
    const statuses = (await Promise.all(waiting)).map(({ outcome }) => outcome.status);
    expect(new Set(statuses)).toEqual(new Set(['unknown']));
    fake.decide = opened;
    expect((await world.router.command(SET, open(9))).outcome.status).toBe('ok');
  });

  test('leaves a stream whose peer is silent, and not one that was only idle', async () => {
    fake.decide = (command) => (fake.commandStreams < 2 ? null : opened(command));
    const answer = world.router.command(SET, open(5), { deadlineMs: 10_000 });
    expect((await answer).outcome.status).toBe('ok');
    expect(fake.commandStreams).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, CHANNEL_LIMITS.silenceMs + 300));
    expect((await world.router.command(SET, open(6))).outcome.status).toBe('ok');
    expect(fake.commandStreams).toBe(2);
  });

  test('breaks with a peer that answers for another Set or in other words', async () => {
    let bad = 2;
    fake.decide = (command) => {
      if (bad-- > 0) return { type: 'set.configure', status: 'ok' };
      return opened(command);
    };
    const { outcome } = await world.router.command(SET, open(8));
    expect(outcome).toMatchObject({ status: 'ok', amountCents: 8 });
    expect(fake.commandStreams).toBe(3);
  });

  test('answers queries by tag, and never leaves one open', async () => {
    fake.reply = (query) =>
      query.wallet
        ? { status: 'ok', wallet: { exists: true, balanceCents: 77 }, asOfLsn: 9 }
        : null;
    const [wallet, money] = await Promise.all([
      world.router.query(SET, { wallet: { user: ALICE } }),
      world.router.query(SET, { money: {} }, { deadlineMs: 200 }),
    ]);
    expect(wallet.reply?.wallet).toEqual({ exists: true, balanceCents: '77', frozen: false });
    expect(money).toEqual({ status: 'set_unavailable', reply: null });
  });

  test('closes with an answer for everybody', async () => {
    fake.decide = () => null;
    const answer = world.router.command(SET, open(1));
    await until(() => fake.messages.length === 1);
    await world.router.close();
    expect((await answer).outcome.status).toBe('unknown');
    expect((await world.router.command(SET, open(2))).outcome.status).toBe('set_unavailable');
  });
});

describe('leased ids', () => {
  test('come from blocks of 256, one lease for many, none twice', async () => {
    let cursor = { ms: 0, sequence: 0 };
    let leases = 0;
    fake.decide = (command) => {
      if (command.type !== 'ids.reserve') return null;
      leases += 1;
      const ts = timeMs(Date.UTC(2026, 0, 1));
      const block = reserveBlock({ cursor, ts, set: fake.id, count: command.count });
      cursor = block.cursor;
      return { type: 'ids.reserve', status: 'ok', firstId: block.first, count: command.count };
    };
    const ids: (Id | null)[] = await Promise.all(
      Array.from({ length: 1_000 }, () => world.router.takeId(SET)),
    );
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(setOfId(id!)).toBe(0);
    expect(leases).toBe(4);
    // 24 are left: the next is there at once, and a block is fetched behind it.
    await world.router.takeId(SET);
    await until(() => leases === 5);
  });

  test('are null when the Set refuses or is unknown', async () => {
    fake.decide = () => ({ type: 'ids.reserve', status: 'overloaded' });
    expect(await world.router.takeId(SET)).toBeNull();
    expect(await world.router.takeId(setId(77))).toBeNull();
  });
});

describe('events', () => {
  const seen: string[] = [];
  const listener = {
    events: (batch: { firstNumber: string; events: unknown[] }) =>
      void seen.push(`${batch.firstNumber}+${batch.events.length}`),
    gap: (set: number) => void seen.push(`gap ${set}`),
  };
  const message = { lsn: 1, message: { groupId: 1, seq: 1 } };
  const batch = (firstNumber: number, events: number, epoch = 7): object => ({
    setId: 0,
    epoch,
    firstNumber,
    events: Array.from({ length: events }, () => message),
  });

  beforeEach(async () => {
    seen.length = 0;
    world.router.onEvents(listener);
    world.router.watchGroup(asId(5n));
    world.router.watchUser(ALICE);
    await until(() => fake.interests.length >= 1 && fake.eventStreams.length === 1);
  });

  test('tell the Set what is of interest, as changes, and all of it on a new stream', async () => {
    await until(() => fake.interests.some((each) => each.addUsers.includes('alice')));
    world.router.watchGroup(asId(6n));
    world.router.unwatchGroup(asId(5n));
    await until(() => fake.interests.some((each) => each.removeGroups.includes('5')));
    expect(fake.interests.at(-1)).toMatchObject({ addGroups: ['6'], removeGroups: ['5'] });
    fake.interests.length = 0;
    fake.eventStreams[0]!.abort('cut by the test');
    await until(() => fake.interests.length === 1);
    expect(fake.interests[0]).toMatchObject({ addGroups: ['6'], addUsers: ['alice'] });
  });

  test('arrive in order without gaps, and heartbeats are silent', async () => {
    const stream = fake.eventStreams[0]!;
    stream.send(batch(1, 2));
    stream.send(batch(3, 0));
    stream.send(batch(3, 1));
    await until(() => seen.includes('3+1'));
    expect(seen.filter((each) => !each.startsWith('gap'))).toEqual(['1+2', '3+1']);
  });

  test('a hole makes a new stream and then a gap', async () => {
    fake.eventStreams[0]!.send(batch(1, 1));
    await until(() => seen.includes('1+1'));
    seen.length = 0;
    fake.eventStreams[0]!.send(batch(3, 1));
    await until(() => fake.eventStreams.length === 2);
    expect(seen).toEqual([]);
    // An event from before the interest was read proves nothing; the echo of it does.
    fake.eventStreams[1]!.send(batch(1, 1));
    fake.eventStreams[1]!.send(batch(2, 0));
    await until(() => seen.length > 1);
    expect(seen).toEqual(['1+1', 'gap 0']);
  });

  test('silence for three seconds makes a new stream and a gap', async () => {
    fake.eventStreams[0]!.send(batch(1, 1));
    await until(() => fake.eventStreams.length === 2, 4_500);
    fake.eventStreams[1]!.send(batch(1, 1));
    fake.eventStreams[1]!.send(batch(2, 0));
    await until(() => seen.at(-1) === 'gap 0');
    expect(seen.filter((each) => each === '1+1')).toHaveLength(2);
  });

  test('another epoch is a gap', async () => {
    for (let echo = 0; echo < fake.interests.length; echo++)
      fake.eventStreams[0]!.send(batch(1, 0));
    fake.eventStreams[0]!.send(batch(1, 1));
    await until(() => seen.includes('1+1'));
    seen.length = 0;
    fake.eventStreams[0]!.send(batch(2, 1, 8));
    fake.eventStreams[0]!.send(batch(3, 0, 8));
    await until(() => seen.length === 2);
    expect(seen).toEqual(['2+1', 'gap 0']);
  });
});

describe('the server', () => {
  const deaf = { message: () => {}, closed: () => {} };
  const handlers = {
    commands: () => deaf,
    queries: () => deaf,
    events: () => deaf,
    status: () => ({}),
    stepDown: () => Promise.resolve(false),
    upgrade: () => Promise.resolve({ raised: false, reason: 'a fake' }),
  };

  test('takes port 0 and tells which; a second one on it is refused', async () => {
    const server = await serveSetNode({ address: '127.0.0.1:0', handlers });
    expect(server.address).toMatch(/^127\.0\.0\.1:[1-9][0-9]*$/);
    await expect(serveSetNode({ address: server.address, handlers })).rejects.toThrow(
      `${server.address} cannot be served`,
    );
    await server.stop();
  });

  test('does not take the socket of a living server', async () => {
    await expect(serveSetNode({ address: fake.address, handlers })).rejects.toThrow(
      `${fake.address} cannot be served`,
    );
  });

  test('holds back for a slow caller, and then refuses', async () => {
    let sent = 0;
    let refused = false;
    const server = await serveSetNode({
      address: '127.0.0.1:0',
      handlers: {
        ...handlers,
        commands: (stream) => ({
          message: () => {
            const body = Buffer.alloc(256 * 1_024);
            while (sent < 1_000 && stream.send({ body })) sent += 1;
            refused = sent < 1_000;
            if (!stream.congested) throw new Error('not congested');
          },
          closed: () => {},
        }),
      },
    });
    const client = openSetNode(server.address);
    let closed = 0;
    const stream = client.commands({
      opened: () => void stream.send({ body: Buffer.alloc(1) }),
      message: () => {},
      closed: () => void (closed += 1),
    });
    await until(() => refused);
    // 64 batches wait in our queue; Node's own buffers hold the others.
    expect(sent).toBeGreaterThanOrEqual(64);
    expect(sent).toBeLessThan(200);
    await server.stop();
    await until(() => closed === 1);
    client.close();
  });

  test('ends the stream of a caller that sends nonsense, and of no other', async () => {
    const client = openSetNode(fake.address);
    const reasons: (string | null)[] = [];
    const stream = client.commands({
      opened: () => void stream.send({ body: Buffer.from('ff', 'hex') }),
      message: () => {},
      closed: (reason) => void reasons.push(reason),
    });
    await until(() => reasons.length === 1);
    expect(reasons[0]).toContain('malformed');
    expect((await world.router.command(SET, open(1))).outcome.status).toBe('ok');
    client.close();
  });
});
