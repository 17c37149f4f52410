import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { asId } from '../../lib/core/ids.ts';
import type { UserId } from '../../lib/core/user.ts';
import { ListenError } from '../../access/server.ts';
import type { Client, Stage } from './access-client.ts';
import { eventually, key, stage, tokenOf } from './access-client.ts';

const stages: Stage[] = [];

async function start(options?: Parameters<typeof stage>[0]): Promise<Stage> {
  const made = await stage(options);
  stages.push(made);
  return made;
}

afterEach(() => {
  for (const made of stages.splice(0)) made.stop();
});

async function groupOf(owner: Client, ...others: Client[]): Promise<string> {
  const { groupId } = await owner.ok('group.create', { clientId: key(), name: 'g' });
  const { invite } = await owner.ok('group.invite', { groupId });
  for (const other of others) await other.ok('group.join', { invite });
  return groupId;
}

describe('fan-out', () => {
  test('a message reaches every socket of every member once, and nobody else', async () => {
    const s = await start();
    const [alice, bob, eve] = [await s.as('alice'), await s.as('bob'), await s.as('eve')];
    const groupId = await groupOf(alice, bob);
    const bobsPhone = await s.as('bob');
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: '红包' });
    for (const client of [alice, bob, bobsPhone]) {
      expect((await client.event('message')).body).toBe('红包');
    }
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'second' });
    await bobsPhone.event('message', ({ seq }) => seq === 2);
    const messages = bobsPhone.events.filter(({ ev }) => ev === 'message');
    expect(messages).toHaveLength(2);
    expect(eve.events.filter(({ ev }) => ev !== 'wallet')).toEqual([]);
  });

  test('wallet events reach the sockets of one user only', async () => {
    const s = await start();
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    s.world.pay('bob', { amountCents: 7, reason: 'refund' });
    expect((await bob.event('wallet', (d) => d.reason === 'refund')).amountCents).toBe(7);
    expect(alice.events.some(({ d }) => (d as { reason: string }).reason === 'refund')).toBe(false);
  });

  test('who is removed hears it and then nothing more of the group', async () => {
    const s = await start();
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    s.world.remove(s.world.groups.get(asId(BigInt(groupId)))!, 'bob' as UserId);
    await bob.event('group', ({ change, userId }) => change === 'left' && userId === 'bob');
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'secret' });
    await alice.event('message');
    // A round trip behind the message: it would have come by now.
    await bob.ok('ping');
    expect(bob.events.some(({ ev }) => ev === 'message')).toBe(false);
  });

  test('who leaves on one device hears it on the other, and may come back at once', async () => {
    const s = await start();
    const [alice, bob, phone] = [await s.as('alice'), await s.as('bob'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    const { invite } = await alice.ok('group.invite', { groupId });
    await bob.ok('group.leave', { groupId });
    await phone.event('group', ({ change, userId }) => change === 'left' && userId === 'bob');
    await bob.ok('group.join', { invite });
    // Past the time when the leaving is carried out for want of an event.
    await new Promise((resolve) => setTimeout(resolve, 600));
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'back' });
    expect((await phone.event('message')).body).toBe('back');
    // The same when the event is lost.
    s.world.eventsLost = true;
    await bob.ok('group.leave', { groupId });
    await new Promise((resolve) => setTimeout(resolve, 600));
    s.world.eventsLost = false;
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'gone' });
    await alice.event('message', ({ body }) => body === 'gone');
    await phone.ok('ping');
    expect(phone.events.some(({ d }) => (d as { body?: string }).body === 'gone')).toBe(false);
  });

  test('opens of one batch show as one progress', async () => {
    const s = await start();
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    const send = { groupId, clientId: key(), totalCents: 100, count: 10 };
    const { packetId } = await alice.ok('packet.send', send);
    const id = asId(BigInt(packetId));
    const progress = [1, 2, 3].map((taken) => ({
      packet: { ...s.world.packetOutput(id, 'progress'), taken },
    }));
    s.world.emit(s.world.sets()[0]!, ...progress);
    const last = await alice.event('packet', ({ phase }) => phase === 'progress');
    expect(last.taken).toBe(3);
  });

  test('after a gap the newest message is pushed and removed members are found', async () => {
    const s = await start();
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const groupId = await groupOf(alice, bob);
    const group = s.world.groups.get(asId(BigInt(groupId)))!;
    s.world.eventsLost = true;
    s.world.say(group, { sender: 'alice', body: 'one', clientMsgId: '' });
    s.world.say(group, { sender: 'alice', body: 'two', clientMsgId: '' });
    s.world.remove(group, 'bob' as UserId);
    s.world.eventsLost = false;
    for (const set of s.world.sets()) s.world.gap(set);
    expect((await alice.event('message')).seq).toBe(2);
    s.world.say(group, { sender: 'alice', body: 'three', clientMsgId: '' });
    await alice.event('message', ({ seq }) => seq === 3);
    await bob.ok('ping');
    expect(bob.events.some(({ d }) => (d as { body?: string }).body === 'three')).toBe(false);
  });

  test('what was said while interest was being registered is not lost', async () => {
    const s = await start();
    const alice = await s.as('alice');
    const groupId = await groupOf(alice);
    s.world.eventsLost = true;
    await alice.ok('message.send', { groupId, clientMsgId: key(), body: 'early' });
    s.world.eventsLost = false;
    expect((await alice.event('message')).body).toBe('early');
  });
});

describe('the first frame', () => {
  test('no hello in time closes with 4001', async () => {
    const s = await start({ limits: { helloTimeoutMs: 30 } });
    const mute = await s.connect();
    expect((await mute.closed).code).toBe(4001);
  });

  test('anything before hello is refused', async () => {
    const s = await start();
    const early = await s.connect();
    expect((await early.refused('packet.open', { packetId: '1' })).code).toBe('hello_required');
  });

  test('hello twice is refused', async () => {
    const s = await start();
    const alice = await s.as('alice');
    const again = await alice.refused('hello', { token: tokenOf('bob') });
    expect(again.code).toBe('already_greeted');
    expect((await alice.refused('hello')).code).toBe('bad_argument');
  });

  test.each([
    ['token_invalid', () => 'no.token.this'],
    ['token_invalid', () => `${tokenOf('alice').slice(0, -2)}AA`],
    ['token_expired', () => tokenOf('alice', -1_000)],
  ])('%s closes with 4002', async (code, token) => {
    const s = await start();
    const client = await s.connect();
    const refusal = await client.refused('hello', { token: token() });
    expect(refusal).toMatchObject({ code, retryable: false });
    expect((await client.closed).code).toBe(4002);
    expect(s.world.kept).toEqual([]);
  });

  test('a token that expires ends the socket, busy or idle', async () => {
    const s = await start({ limits: { tokenCheckMs: 100 } });
    const idle = await s.connect();
    await idle.ok('hello', { token: tokenOf('alice', 1_000) });
    expect((await idle.closed).code).toBe(4002);
    const calm = await start();
    const busy = await calm.connect();
    await busy.ok('hello', { token: tokenOf('alice', 1_000) });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect((await busy.refused('wallet.get')).code).toBe('token_expired');
    expect((await busy.closed).code).toBe(4002);
  });

  test('a user has so many sockets and no more', async () => {
    const s = await start({ limits: { socketsPerUserMax: 2 } });
    const [first] = [await s.as('alice'), await s.as('alice')];
    const third = await s.connect();
    const refusal = await third.refused('hello', { token: tokenOf('alice') });
    expect(refusal.code).toBe('too_many_sockets');
    expect((await third.closed).code).toBe(4003);
    first.close();
    await first.closed;
    await s.as('alice');
    await s.as('bob');
  });
});

describe('bad frames', () => {
  test('each has its code and its id, and the socket lives on', async () => {
    const s = await start();
    const alice = await s.as('alice');
    const frames: [string, string, number | null][] = [
      ['{', 'bad_json', null],
      ['', 'bad_json', null],
      ['[1]', 'bad_frame', null],
      ['null', 'bad_frame', null],
      ['{"id":900}', 'bad_frame', 900],
      ['{"id":-1,"op":"ping"}', 'bad_frame', null],
      ['{"id":901,"op":"ping","x":1}', 'bad_frame', 901],
      ['{"id":902,"op":"toString"}', 'unknown_op', 902],
      ['{"id":903,"op":"ping","d":{"seen":{"0":1}}}', 'bad_argument', 903],
      ['{"id":904,"op":"packet.open","d":{"packetId":"9223372036854775808"}}', 'bad_argument', 904],
      ['{"id":905,"op":"wallet.get","d":null}', 'bad_argument', 905],
    ];
    for (const [frame] of frames) alice.raw(frame);
    await alice.until(() => alice.unasked.length === frames.length);
    const got = alice.unasked.map(({ id, error }) => [error?.code, id]);
    expect(got).toEqual(frames.map(([, code, id]) => [code, id]));
    alice.raw(new Uint8Array([123, 125]));
    await alice.until(() => alice.unasked.length > frames.length);
    expect(alice.unasked.at(-1)?.error).toMatchObject({ code: 'bad_frame', retryable: false });
    await alice.ok('ping');
    expect(s.complaints).toEqual([]);
  });

  test('a frame over 16 KiB is answered and closes with 1009', async () => {
    const s = await start();
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    alice.raw(JSON.stringify({ id: 5, op: 'ping', d: 'x'.repeat(16_384) }));
    expect((await alice.closed).code).toBe(1009);
    expect(alice.unasked[0]?.error?.code).toBe('frame_too_large');
    bob.raw('x'.repeat(100_000));
    expect((await bob.closed).code).toBe(1006);
    await (await s.as('alice')).ok('ping');
  });

  test('too many requests wait, for this user only', async () => {
    const s = await start({ limits: { requestsPerSecond: 10, requestsBurst: 5 } });
    const [alice, bob] = [await s.as('alice'), await s.as('bob')];
    const answers = await Promise.all(Array.from({ length: 8 }, () => alice.ask('ping')));
    const refused = answers.filter(({ ok }) => !ok).map(({ error }) => error!);
    // hello took one of the five; a slow machine may have refilled one meanwhile.
    expect(refused.length).toBeGreaterThanOrEqual(3);
    for (const error of refused) {
      expect(error).toMatchObject({ code: 'rate_limited', retryable: true });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      expect(error.retryAfterMs).toBeLessThanOrEqual(100);
    }
    await bob.ok('ping');
    await new Promise((resolve) => setTimeout(resolve, 150));
    await alice.ok('ping');
  });
});

test('a slow consumer is closed and costs the others nothing', async () => {
  const s = await start();
  const [alice, slow] = [await s.as('alice'), await s.as('slow')];
  const groupId = await groupOf(alice, slow);
  // A socket that greets and then reads nothing any more: Node's WebSocket always reads.
  const dumb = await rawSocket(s.server.port, tokenOf('slow'));
  const group = s.world.groups.get(asId(BigInt(groupId)))!;
  const connections = (): number => s.metrics.values.get('hongbao_access_connections') ?? 0;
  expect(connections()).toBe(3);
  dumb.pause();
  let seq = 0;
  for (let turn = 0; turn < 400 && connections() === 3; turn++) {
    for (let count = 0; count < 40; count++) {
      seq = s.world.say(group, { sender: 'alice', body: 'x'.repeat(8_000), clientMsgId: '' });
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(connections()).toBe(2);
  expect(s.metrics.values.get('hongbao_access_dropped_total{}')).toBeGreaterThan(0);
  await alice.event('message', (d) => d.seq === seq);
  await alice.ok('ping');
  dumb.destroy();
  expect(s.complaints).toEqual([]);
});

/** A WebSocket by hand: handshake, hello, and then bytes that nobody reads. */
function rawSocket(port: number, token: string): Promise<ReturnType<typeof connectTcp>> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ port, host: '127.0.0.1' });
    const hello = Buffer.from(JSON.stringify({ id: 1, op: 'hello', d: { token } }));
    const mask = Buffer.alloc(4);
    socket.on('error', reject);
    socket.write(
      'GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    let seen = '';
    socket.on('data', (chunk) => {
      const before = seen;
      seen += chunk.toString('latin1');
      if (!before.includes('\r\n\r\n') && seen.includes('\r\n\r\n')) {
        const head = Buffer.from([0x81, 0x80 | 126, hello.length >> 8, hello.length & 255]);
        socket.write(Buffer.concat([head, mask, hello]));
      }
      if (seen.includes('"sessionId"')) resolve(socket);
    });
  });
}

describe('the port', () => {
  test('a second server is refused with port_in_use', async () => {
    const s = await start();
    const second = start({ port: s.server.port });
    await expect(second).rejects.toBeInstanceOf(ListenError);
    await expect(second).rejects.toMatchObject({ code: 'port_in_use' });
    await expect(second).rejects.toThrow(`port ${s.server.port} on 127.0.0.1 is in use`);
    await (await s.as('alice')).ok('ping');
  });

  test('an address that is not ours is no port in use', async () => {
    const foreign = start({ host: '192.0.2.1' });
    await expect(foreign).rejects.toMatchObject({ code: 'cannot_listen' });
  });

  test('drain lets requests finish, sends clients away and frees the port', async () => {
    const s = await start({ limits: { arriveWaitMs: 300 } });
    const alice = await s.as('alice');
    const { port } = s.server;
    s.world.courierMs = 100;
    const creating = alice.ok('group.create', { clientId: key(), name: 'x' });
    await eventually(() => s.world.kept.some(({ type }) => type === 'group.create'));
    const drained = s.server.drain();
    const { afterMs } = await alice.event('reconnect');
    expect(afterMs).toBeLessThan(2_000);
    expect((await creating).status).toBe('ready');
    expect((await alice.closed).code).toBe(1012);
    await drained;
    const next = await start({ port });
    await (await next.as('alice')).ok('ping');
  });
});

describe('HTTP', () => {
  test('health, readiness, version, metrics', async () => {
    const s = await start();
    const get = (path: string): Promise<Response> => fetch(s.http + path);
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/version')).json()).toEqual({ version: '1.2.3', topologyVersion: 1 });
    expect(await (await get('/metrics')).text()).toBe('# all\n');
    expect(await (await get('/readyz')).json()).toMatchObject({ ready: true, missingSets: [] });
    s.world.down.add(2);
    const notReady = await get('/readyz');
    expect(notReady.status).toBe(503);
    expect(await notReady.json()).toEqual({ ready: false, draining: false, missingSets: [2] });
    for (const path of ['/ops', '/', '/nothing', '/../package.json', '/%2e%2e/package.json']) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    expect((await fetch(`${s.http}/healthz`, { method: 'PUT' })).status).toBe(405);
  });

  test('development tokens only where they are asked for', async () => {
    const s = await start();
    const post = (body: string): Promise<Response> =>
      fetch(`${s.http}/v1/dev/token`, { method: 'POST', body });
    const { token, expiresAt } = (await (await post('{"userId":"爱丽丝"}')).json()) as {
      token: string;
      expiresAt: number;
    };
    expect(expiresAt).toBeGreaterThan(Date.now());
    const client = await s.connect();
    expect((await client.ok('hello', { token })).userId).toBe('爱丽丝');
    for (const body of ['', '{', '{}', '[]', '{"userId":1}', '{"userId":"a","x":1}']) {
      expect([body, (await post(body)).status]).toEqual([body, 400]);
    }
    for (const userId of ['', 'a\nb', 'x'.repeat(65), '\ud800']) {
      expect((await post(JSON.stringify({ userId }))).status).toBe(400);
    }
    expect((await post(`{"userId":"${'x'.repeat(2_000)}"}`)).status).toBe(413);
    expect((await fetch(`${s.http}/v1/dev/token`)).status).toBe(405);
    const closed = await start({ devTokens: null });
    const refused = await fetch(`${closed.http}/v1/dev/token`, {
      method: 'POST',
      body: '{"userId":"alice"}',
    });
    expect(refused.status).toBe(404);
  });

  test('pages: types, policy, not modified, and no way to another file', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'page-'));
    mkdirSync(join(dir, 'assets'));
    writeFileSync(join(dir, 'index.html'), '<p>红包</p>');
    writeFileSync(join(dir, 'assets', 'app-Ab12Cd34.js'), 'export {}');
    writeFileSync(join(dir, 'notes.exe'), 'x');
    const s = await start({ pageDir: dir });
    rmSync(dir, { recursive: true });
    const page = await fetch(`${s.http}/`);
    expect(await page.text()).toBe('<p>红包</p>');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const etag = page.headers.get('etag')!;
    const again = await fetch(`${s.http}/index.html`, { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
    const asset = await fetch(`${s.http}/assets/app-Ab12Cd34.js`);
    expect(asset.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(asset.headers.get('cache-control')).toContain('immutable');
    expect((await fetch(`${s.http}/notes.exe`)).status).toBe(404);
    const head = await fetch(`${s.http}/`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('a foreign page may not open a socket', async () => {
    const s = await start();
    const own = `http://127.0.0.1:${s.server.port}`;
    expect(await upgradeStatus(s.server.port, own)).toBe(101);
    expect(await upgradeStatus(s.server.port, 'http://evil.example')).toBe(403);
    const listed = await start({ origins: ['https://chat.example'] });
    expect(await upgradeStatus(listed.server.port, 'https://chat.example')).toBe(101);
    expect(await upgradeStatus(listed.server.port, `http://127.0.0.1:${listed.server.port}`)).toBe(
      403,
    );
    const full = await start({ limits: { connectionsMax: 1 } });
    await full.as('alice');
    expect(await upgradeStatus(full.server.port, `http://127.0.0.1:${full.server.port}`)).toBe(503);
  });
});

function upgradeStatus(port: number, origin: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      origin,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const asked = request({ port, host: '127.0.0.1', path: '/v1/ws', headers });
    asked.on('upgrade', (_, socket) => {
      socket.destroy();
      resolve(101);
    });
    asked.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
  });
}
