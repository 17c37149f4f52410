/** The SDK over real sockets against a server that fails on purpose. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HongbaoClient, HongbaoError, systemPlatform } from '../../client/index.ts';
import type { Token } from '../../client/index.ts';
import { FakeServer } from './client-fake-server.ts';

let server: FakeServer;
const clients: HongbaoClient[] = [];

beforeEach(async () => {
  server = new FakeServer();
  await server.start();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  server.stop();
});

/** A client and everything it delivered. `random: 0` makes every wait the shortest allowed. */
function newClient(token: Token = 'good'): { client: HongbaoClient; bodies: string[] } {
  const platform = { ...systemPlatform, random: () => 0 };
  const client = new HongbaoClient({ url: server.url, token, platform });
  clients.push(client);
  const bodies: string[] = [];
  let next: number | null = null;
  client.on('gap', ({ toSeq }) => {
    next = toSeq + 1;
  });
  client.on('message', ({ seq, body }) => {
    // The promise of the SDK, checked at every single delivery.
    expect(seq).toBe(next ?? seq);
    next = seq + 1;
    bodies.push(body);
  });
  return { client, bodies };
}

async function until(holds: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`still not: ${holds.toString()}`);
    await sleep(5);
  }
}

function code(error: unknown): string {
  return error instanceof HongbaoError ? error.code : String(error);
}

describe('requests', () => {
  test.each(['cut_before', 'cut_after'] as const)(
    '%s: the same request goes again under the same id and is done once',
    async (kind) => {
      const { client } = newClient();
      await client.connect();
      let cuts = 2;
      server.fault = ({ op }) => (op === 'message.send' && cuts-- > 0 ? { kind } : null);
      const { seq } = await client.message.send({ groupId: server.groupId, body: 'once' });
      const sent = server.ops('message.send');
      expect(sent).toHaveLength(3);
      expect(new Set(sent.map(({ d }) => JSON.stringify(d))).size).toBe(1);
      expect(server.log.map((message) => message.body)).toEqual(['once']);
      expect(seq).toBe(1);
    },
  );

  test('a retryable refusal is tried again after the wait it names, a final one is not', async () => {
    const { client } = newClient();
    await client.connect();
    let refusals = 2;
    server.fault = ({ op }) => {
      if (op !== 'message.send' || refusals-- <= 0) return null;
      return { kind: 'refuse', code: 'overloaded', retryable: true, retryAfterMs: 150 };
    };
    const before = performance.now();
    await client.message.send({ groupId: server.groupId, body: 'patience' });
    expect(performance.now() - before).toBeGreaterThanOrEqual(295);
    expect(server.ops('message.send')).toHaveLength(3);

    server.fault = () => ({
      kind: 'refuse',
      code: 'not_a_member',
      retryable: false,
      retryAfterMs: 0,
    });
    const error = await client.packet.open('9').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'not_a_member', retryable: false, final: true });
    expect(server.ops('packet.open')).toHaveLength(1);
  });

  test('messages of one group keep their order although the first has to be repeated', async () => {
    const { client } = newClient();
    await client.connect();
    let refusals = 3;
    server.fault = ({ op, d }) => {
      if (op !== 'message.send' || d['body'] !== 'm0' || refusals-- <= 0) return null;
      return { kind: 'refuse', code: 'rate_limited', retryable: true, retryAfterMs: 20 };
    };
    const bodies = Array.from({ length: 6 }, (_, index) => `m${index}`);
    await Promise.all(bodies.map((body) => client.message.send({ groupId: '100', body })));
    expect(server.log.map((message) => message.body)).toEqual(bodies);
  });

  test('the deadline says whether it may have been done', async () => {
    const { client } = newClient();
    await client.connect();
    server.fault = ({ op }) => (op === 'message.send' ? { kind: 'silence' } : null);
    const send = { groupId: '100', body: 'x' };
    const silent = client.message.send(send, { deadlineMs: 200 });
    expect(code(await silent.catch((error: unknown) => error))).toBe('timeout');
    server.away = true;
    server.cutAll();
    await until(() => client.state === 'connecting');
    const offline = client.message.send(send, { deadlineMs: 100 });
    expect(code(await offline.catch((error: unknown) => error))).toBe('offline');
    client.close();
    expect(code(await client.message.send(send).catch((error: unknown) => error))).toBe('closed');
  });

  test('a frame that a server would have to refuse never leaves', async () => {
    const { client } = newClient();
    await client.connect();
    const huge = client.message.send({ groupId: '100', body: '红'.repeat(6_000) });
    expect(code(await huge.catch((error: unknown) => error))).toBe('frame_too_large');
    expect(server.connections).toBe(1);
  });

  test('grabAndOpen waits in line, opens, and gives losing as an answer', async () => {
    const { client } = newClient();
    await client.connect();
    server.grabs = ['wait', 'wait', 'go'];
    expect(await client.packet.grabAndOpen('7')).toMatchObject({ status: 'opened' });
    expect(server.ops('packet.grab')).toHaveLength(3);
    expect(await client.packet.grabAndOpen('7')).toMatchObject({ status: 'already_opened' });
    server.grabs = ['drained', 'expired'];
    expect(await client.packet.grabAndOpen('8')).toEqual({ status: 'drained' });
    expect(await client.packet.grabAndOpen('8')).toEqual({ status: 'expired' });
    server.fault = ({ op }) =>
      op === 'packet.open'
        ? { kind: 'refuse', code: 'packet_drained', retryable: false, retryAfterMs: 0 }
        : null;
    expect(await client.packet.grabAndOpen('8')).toEqual({ status: 'drained' });
  });

  test('an open cut off before its answer shows the same amount afterwards', async () => {
    const { client } = newClient();
    await client.connect();
    let cuts = 1;
    server.fault = ({ op }) => (op === 'packet.open' && cuts-- > 0 ? { kind: 'cut_after' } : null);
    const first = await client.packet.grabAndOpen('7');
    const again = await client.packet.open('7');
    expect(first).toMatchObject({ status: 'already_opened', amountCents: again.amountCents });
    const lsnOf = (mark = ''): number => Number(mark.split(':')[2]);
    expect(lsnOf(client.marks.all().get('0'))).toBeGreaterThanOrEqual(lsnOf(again.mark));
  });
});

describe('messages', () => {
  test('pushed twice, out of order and with holes, they come once and in order', async () => {
    const { client, bodies } = newClient();
    await client.connect();
    const made = Array.from({ length: 12 }, (_, index) => server.append(`m${index + 1}`));
    for (const seq of [1, 1, 3, 2, 3, 7, 12, 10, 7]) server.push('message', made[seq - 1]!);
    await until(() => bodies.length === 12);
    await sleep(50);
    expect(bodies).toEqual(made.map((message) => message.body));
  });

  test('a lost last message is found by the heartbeat', async () => {
    server.heartbeatMs = 100;
    const { client, bodies } = newClient();
    await client.connect();
    server.append('nobody pushed me');
    await until(() => bodies.length === 1);
    expect(server.ops('ping').length).toBeGreaterThan(0);
  });

  test('what was missed over a reconnect comes before what is new', async () => {
    const { client, bodies } = newClient();
    server.append('before');
    await client.connect();
    server.push('message', server.append('m1'));
    await until(() => bodies.length === 1);
    server.cutAll();
    // More than the server sends with its hello: the rest is pulled.
    for (let index = 2; index <= 260; index++) server.append(`m${index}`);
    await until(() => client.state === 'connected' && server.connections === 2);
    server.push('message', server.append('m261'));
    await until(() => bodies.length === 261);
    expect(bodies).toEqual(Array.from({ length: 261 }, (_, index) => `m${index + 1}`));
    expect(server.ops('hello')[1]?.d['resume']).toEqual({ '100': 2 });
  });

  test('cut at forty random moments, nothing is lost, repeated or turned round', async () => {
    const { client, bodies } = newClient();
    await client.connect();
    let state = 42;
    /** Mulberry32: the same moments in every run. */
    const chance = (part: number): boolean => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 < part;
    };
    let cuts = 0;
    server.fault = ({ op }) => {
      if (op === 'hello' || cuts >= 40 || !chance(0.5)) return null;
      cuts += 1;
      return { kind: chance(0.5) ? 'cut_before' : 'cut_after' };
    };
    const mine = Array.from({ length: 30 }, (_, index) => `mine${index}`);
    const sent = mine.map((body) => client.message.send({ groupId: '100', body }));
    for (let index = 0; index < 100; index++) {
      const pushed = server.append(`theirs${index}`);
      if (chance(0.7)) server.push('message', pushed);
      await sleep(20);
    }
    await Promise.all(sent);
    server.push('message', server.append('end'));
    await until(() => bodies.at(-1) === 'end', 20_000);
    expect(bodies).toEqual(server.log.map((message) => message.body));
    expect(bodies.filter((body) => body.startsWith('mine'))).toEqual(mine);
    expect(server.connections).toBeGreaterThan(20);
    expect(cuts).toBe(40);
  }, 30_000);

  test('an absence of more than a thousand messages is reported, not replayed', async () => {
    const { client } = newClient();
    const seqs: number[] = [];
    const gaps: object[] = [];
    await client.connect();
    server.push('message', server.append('m1'));
    await sleep(30);
    client.on('message', ({ seq }) => seqs.push(seq));
    client.on('gap', (gap) => gaps.push(gap));
    server.cutAll();
    for (let index = 2; index <= 1_500; index++) server.append(`m${index}`);
    await until(() => seqs.at(-1) === 1_500);
    expect(gaps).toEqual([{ groupId: '100', fromSeq: 5, toSeq: 500 }]);
    // 2..4 came with the hello, 5..500 were reported, the newest thousand came one by one.
    expect(seqs).toHaveLength(3 + 1_000);
  }, 30_000);
});

describe('the session', () => {
  test('a refused token is the end, unless the function has a better one', async () => {
    server.tokenError = (token) => (token.startsWith('good') ? null : 'token_expired');
    const { client } = newClient('bad');
    expect(code(await client.connect().catch((error: unknown) => error))).toBe('token_expired');
    expect(client.state).toBe('closed');
    expect(code(await client.wallet.get().catch((error: unknown) => error))).toBe('token_expired');

    const tokens = ['bad', 'good1', 'good2'];
    const renewing = newClient(() => Promise.resolve(tokens.shift() ?? 'none'));
    expect(await renewing.client.connect()).toMatchObject({ userId: 'alice' });
    server.endAll(4002);
    await until(() => server.ops('hello').length >= 4);
    await until(() => renewing.client.state === 'connected');

    const stubborn = newClient(() => Promise.resolve('bad'));
    const refused = await stubborn.client.connect().catch((error: unknown) => error);
    expect(code(refused)).toBe('token_invalid');
    let count = 0;
    const hopeless = newClient(() => Promise.resolve(`bad${++count}`));
    expect(code(await hopeless.client.connect().catch((error: unknown) => error))).toBe(
      'token_expired',
    );
    expect(count).toBe(3);
  });

  test('other close codes and a server that is away only mean: come back', async () => {
    const { client } = newClient();
    await client.connect();
    for (const closeCode of [1001, 1009, 1012, 4001, 4003]) {
      const before = server.connections;
      server.endAll(closeCode);
      await until(() => server.connections > before && client.state === 'connected');
    }
    server.away = true;
    server.cutAll();
    await until(() => client.state === 'connecting');
    await sleep(300);
    server.away = false;
    await until(() => client.state === 'connected');
    expect(server.ops('hello')).toHaveLength(7);
  });

  test('a reconnect hint is obeyed at the time it gives', async () => {
    const { client } = newClient();
    await client.connect();
    const before = performance.now();
    server.push('reconnect', { reason: 'drain', afterMs: 300 });
    await until(() => server.connections === 2);
    expect(performance.now() - before).toBeGreaterThanOrEqual(290);

    // The server leaves at once: the hint still says when to come back.
    await until(() => client.state === 'connected');
    server.push('reconnect', { reason: 'drain', afterMs: 400 });
    const cutAt = performance.now();
    await sleep(30);
    server.cutAll();
    await until(() => server.connections === 3);
    expect(performance.now() - cutAt).toBeGreaterThanOrEqual(390);
  });

  test('money that arrives is asked about until the wallet shows it', async () => {
    const { client } = newClient();
    const balances: object[] = [];
    client.on('balance', (balance) => balances.push(balance));
    await client.connect();
    await until(() => client.balance !== null);
    server.arriving = 250;
    await client.packet.grabAndOpen('7');
    expect(client.balance).toEqual({ balanceCents: 1_000, arrivingCents: 250 });
    await until(() => server.ops('wallet.get').length >= 3);
    server.arriving = 0;
    server.balance = 1_250;
    await until(() => client.balance?.arrivingCents === 0);
    expect(client.balance).toEqual({ balanceCents: 1_250, arrivingCents: 0 });
    expect(balances).toContainEqual({ balanceCents: 1_000, arrivingCents: 250 });
  });

  test('waking up finds a dead connection and ends a long wait at once', async () => {
    let wake = (): void => {};
    const platform = {
      ...systemPlatform,
      random: () => 1,
      onWake: (run: () => void) => {
        wake = run;
        return () => {};
      },
    };
    const client = new HongbaoClient({ url: server.url, token: 'good', platform });
    clients.push(client);
    await client.connect();
    const pings = server.ops('ping').length;
    wake();
    await until(() => server.ops('ping').length === pings + 1);
    server.away = true;
    server.cutAll();
    // Waits of up to 0.2, 0.4, 0.8, 1.6 s have passed: the next would be seconds.
    await sleep(1_700);
    server.away = false;
    wake();
    await until(() => client.state === 'connected', 500);
    expect(server.ops('hello')).toHaveLength(2);
  });
});
