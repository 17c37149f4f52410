/** Issue "First light", bad input: the real process, raw frames, and a journal that must not move. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Tokens } from '../../access/tokens.ts';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { asId, setOfId } from '../../lib/core/ids.ts';
import { timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { EmbeddedProcess } from '../../ops/prove/embedded.ts';
import { devToken } from '../../ops/prove/line.ts';
import { Client, key } from './access-client.ts';

/** What a request left for later would have happened by now: polls run every 200 ms. */
const QUIET_MS = 300;

let dataDir = '';
let running: EmbeddedProcess;
let alice: Client;
/** Somebody else, whom none of this may touch. */
let bystander: Client;
let groupId = '';
let packetId = '';
const sentWith = key();
const saidWith = key();
const createdWith = key();
const packet = () => ({ groupId, clientId: key(), totalCents: 100, count: 3 });

function quiet(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, QUIET_MS);
  });
}

/** All that bad input may not touch: the journals, and somebody else's line, money and events. */
async function surroundings(): Promise<unknown> {
  const { balanceCents, arrivingCents } = await bystander.ok('wallet.get');
  await quiet();
  const events = bystander.events.length;
  return { heads: heads(), isClosed: bystander.isClosed, balanceCents, arrivingCents, events };
}

async function connect(): Promise<Client> {
  const client = new Client(running.socketUrl);
  await client.opened;
  return client;
}

async function as(userId: string): Promise<Client> {
  const client = await connect();
  await client.ok('hello', { token: await devToken({ url: running.url, userId }) });
  return client;
}

/** Head of every Set's journal, read from the files beside the running process. */
function heads(): number[] {
  return [1, 2].map((set) => {
    const path = join(dataDir, `set-${set}`, 'replica-0.sqlite');
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      return Number(database.prepare('SELECT max(lsn) AS head FROM journal').get()?.['head']);
    } finally {
      database.close();
    }
  });
}

/** The answer to a frame whose id could not be read. */
async function unasked(client: Client, frame: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const before = client.unasked.length;
  client.raw(frame);
  await client.until(() => client.unasked.length > before);
  const { ok, error } = client.unasked[before]!;
  expect(ok).toBe(false);
  return error!.code;
}

async function code(client: Client, op: string, d: unknown): Promise<string> {
  const { ok, error } = await client.ask(op, d);
  return ok ? 'ok' : error!.code;
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'hb-bad-'));
  running = await EmbeddedProcess.start({ dataDir, args: ['--sets=2'] });
  alice = await as('alice');
  bystander = await as('bob');
  // Every Set leases a block of ids for the first new thing on it, and journals that: not later.
  const leased = new Set<number>();
  for (let n = 0; leased.size < 2 && n < 30; n++) {
    const clientId = n === 0 ? createdWith : key();
    const made = await alice.ok('group.create', { clientId, name: 'ours' });
    leased.add(setOfId(asId(BigInt(made.groupId))));
    if (n === 0) ({ groupId } = made);
  }
  if (leased.size !== 2) throw new Error('the ring uses one Set only');
  const { invite } = await alice.ok('group.invite', { groupId });
  await bystander.ok('group.join', { invite });
  await alice.ok('message.send', { groupId, clientMsgId: saidWith, body: 'hello' });
  ({ packetId } = await alice.ok('packet.send', { ...packet(), clientId: sentWith }));
  for (const userId of ['mallory', 'eve']) (await as(userId)).close();
});

afterAll(async () => {
  await running?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

describe('bad input', () => {
  let client: Client;
  let before: unknown;

  beforeEach(async () => {
    client = await as('mallory');
    before = await surroundings();
  });

  afterEach(async () => {
    client.close();
    const after = await surroundings();
    if (!isDeepStrictEqual(after, before)) {
      throw new Error(`was ${JSON.stringify(before)}, is ${JSON.stringify(after)}`);
    }
  });

  test('frames that are none', async () => {
    for (const frame of ['', '{', 'hello', '{"id":1,}', '\u0000', "{'id':1}"]) {
      expect([frame, await unasked(client, frame)]).toEqual([frame, 'bad_json']);
    }
    const notFrames = [
      'null',
      '7',
      '"x"',
      '[]',
      '{}',
      '{"id":1}',
      '{"op":"ping"}',
      '{"id":-1,"op":"ping"}',
      '{"id":1.5,"op":"ping"}',
      '{"id":"1","op":"ping"}',
      '{"id":9007199254740992,"op":"ping"}',
    ];
    for (const frame of notFrames) {
      client.raw(frame);
    }
    await client.until(() => client.unasked.length >= 6 + notFrames.length);
    const codes = client.unasked.slice(6).map(({ error }) => error?.code);
    expect(codes).toEqual(notFrames.map(() => 'bad_frame'));
    expect(await unasked(client, new Uint8Array([1, 2, 3]))).toBe('bad_frame');
    expect(await unasked(client, '{"id":900,"op":"ping","more":1}')).toBe('bad_frame');
  });

  test('ops that are none', async () => {
    for (const op of ['', 'packet', 'packet.steal', 'constructor', '__proto__', 'PING', 'ping ']) {
      expect([op, await code(client, op, {})]).toEqual([op, 'unknown_op']);
    }
    const { error } = await client.ask('x'.repeat(65), {});
    expect(error?.code).toBe('bad_frame');
  });

  test('fields of the wrong type, missing, or too many', async () => {
    const wrong: [string, unknown][] = [
      ['packet.open', {}],
      ['packet.open', null],
      ['packet.open', []],
      ['packet.open', { packetId: 1 }],
      ['packet.open', { packetId: '-1' }],
      ['packet.open', { packetId: '01' }],
      ['packet.open', { packetId: '9223372036854775808' }],
      ['packet.open', { packetId, more: true }],
      ['packet.send', { ...packet(), clientId: 'no-uuid' }],
      ['packet.send', { ...packet(), totalCents: '100' }],
      ['packet.send', { ...packet(), count: null }],
      ['packet.send', { ...packet(), strategy: 'mine' }],
      ['packet.send', { ...packet(), receivers: ['a\nb'], kind: 'exclusive' }],
      ['packet.send', { ...packet(), lifetimeMs: 1 }],
      ['packet.send', { ...packet(), greeting: '\ud800' }],
      ['message.send', { groupId, clientMsgId: key(), body: '' }],
      ['message.send', { groupId, clientMsgId: key(), body: '喜'.repeat(3_000) }],
      ['message.send', { groupId, clientMsgId: key(), body: 'x', kind: 'red_packet' }],
      ['message.send', { groupId, clientMsgId: key(), body: { $ne: null } }],
      ['group.create', { clientId: key(), name: '喜'.repeat(33) }],
    ];
    for (const [op, d] of wrong) {
      expect([op, d, await code(client, op, d)]).toEqual([op, d, 'bad_argument']);
    }
  });

  test('amounts and counts that are none', async () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ totalCents: 0 }, 'amount_out_of_range'],
      [{ totalCents: -1 }, 'amount_out_of_range'],
      [{ totalCents: 1.5 }, 'amount_out_of_range'],
      [{ totalCents: 2 ** 53 }, 'amount_out_of_range'],
      [{ totalCents: 20_001 }, 'amount_out_of_range'],
      [{ count: 0 }, 'count_out_of_range'],
      [{ count: -1 }, 'count_out_of_range'],
      [{ count: 2.5 }, 'count_out_of_range'],
      [{ count: 101, totalCents: 200 }, 'count_out_of_range'],
      [{ totalCents: 2, count: 3 }, 'share_below_minimum'],
    ];
    for (const [bad, expected] of cases) {
      const d = { ...packet(), ...bad };
      // Of a member too: what is refused is the amount, not the person.
      expect([bad, await code(client, 'packet.send', d)]).toEqual([bad, expected]);
      expect([bad, await code(alice, 'packet.send', d)]).toEqual([bad, expected]);
    }
    // Numbers that JSON has no word for.
    for (const number of ['1e400', '-0.5', '1e15']) {
      const d = JSON.stringify(packet()).replace('"totalCents":100', `"totalCents":${number}`);
      const before = client.unasked.length;
      client.raw(`{"id":999,"op":"packet.send","d":${d}}`);
      await client.until(() => client.unasked.length > before);
      expect([number, client.unasked[before]?.error?.code]).toEqual([
        number,
        'amount_out_of_range',
      ]);
    }
  });

  test('packets that are none, and people who are no members', async () => {
    const unknown = String(BigInt(packetId) + 4_000n - (BigInt(packetId) % 4_000n));
    for (const nothing of ['1', '4096', '9223372036854775807', unknown]) {
      for (const op of ['packet.open', 'packet.get', 'packet.grab', 'packet.claims']) {
        const got = await code(client, op, { packetId: nothing });
        expect([op, nothing, got]).toEqual([op, nothing, 'packet_not_found']);
      }
    }
    const strangers: [string, unknown][] = [
      ['packet.open', { packetId }],
      ['packet.claims', { packetId }],
      ['packet.send', packet()],
      ['message.send', { groupId, clientMsgId: key(), body: 'let me in' }],
      ['message.history', { groupId }],
      ['message.read', { groupId, seq: 1 }],
      ['group.get', { groupId }],
      ['group.invite', { groupId }],
      ['group.leave', { groupId }],
    ];
    for (const [op, d] of strangers) {
      expect([op, await code(client, op, d)]).toEqual([op, 'not_a_member']);
    }
    for (const invite of ['x', '!'.repeat(512), Buffer.alloc(60, 7).toString('base64url')]) {
      expect(await code(client, 'group.join', { invite })).toBe('invite_invalid');
    }
  });

  test('a client id that was used for something else', async () => {
    const other: [string, unknown][] = [
      ['packet.send', { ...packet(), clientId: sentWith, totalCents: 101 }],
      ['packet.send', { ...packet(), clientId: sentWith, count: 4 }],
      ['message.send', { groupId, clientMsgId: saidWith, body: 'goodbye' }],
      ['group.create', { clientId: createdWith, name: 'theirs' }],
    ];
    for (const [op, d] of other) {
      expect([op, await code(alice, op, d)]).toEqual([op, 'id_reused']);
    }
    const ahead = `${(Date.now() + 3_600_000).toString(16).padStart(12, '0')}`;
    const clientId = `${ahead.slice(0, 8)}-${ahead.slice(8)}-7000-8000-000000000000`;
    expect(await code(alice, 'packet.send', { ...packet(), clientId })).toBe('id_in_future');
    // The same body is the same command: the first answer again, and nothing more.
    const again = await alice.ok('packet.send', { ...packet(), clientId: sentWith });
    expect(again.packetId).toBe(packetId);
  });

  test('frames that are too large', async () => {
    const large = (bytes: number): string =>
      JSON.stringify({ id: 1, op: 'ping', d: 'x'.repeat(bytes) });
    expect(await unasked(client, large(17_000))).toBe('frame_too_large');
    expect((await client.closed).code).toBe(1009);
    const huge = await as('mallory');
    huge.raw(large(1_000_000));
    expect(typeof (await huge.closed).code).toBe('number');
    expect(huge.unasked).toEqual([]);
  });

  test('tokens that are expired, forged, or not ours', async () => {
    const { clusterSecret } = loadKeyFile(join(dataDir, 'keys'));
    const secret = createHash('sha256').update('token').update(clusterSecret).digest();
    const sign = (args: { secret?: Uint8Array; user?: string; agoMs?: number }): string => {
      const { user = 'alice', agoMs = 0 } = args;
      return new Tokens(args.secret ?? secret).sign({
        user: user as UserId,
        now: timeMs(Date.now() - agoMs),
        lifetimeMs: 60_000,
      }).token;
    };
    const good = sign({});
    const [header = '', payload = '', mac = ''] = good.split('.');
    const part = (value: unknown): string =>
      Buffer.from(JSON.stringify(value)).toString('base64url');
    const inAYear = Math.floor(Date.now() / 1_000) + 31_536_000;
    const tokens: [string, string][] = [
      [sign({ agoMs: 120_000 }), 'token_expired'],
      [sign({ secret: new Uint8Array(32).fill(1) }), 'token_invalid'],
      // Forged and expired: nobody learns from the answer what a date is worth.
      [sign({ secret: new Uint8Array(32).fill(1), agoMs: 120_000 }), 'token_invalid'],
      [`${header}.${part({ sub: 'alice', exp: inAYear })}.${mac}`, 'token_invalid'],
      [`${part({ alg: 'none' })}.${payload}.`, 'token_invalid'],
      [`${part({ alg: 'none' })}.${payload}.${mac}`, 'token_invalid'],
      [`${header}.${payload}`, 'token_invalid'],
      ['a.b.c', 'token_invalid'],
      [sign({ user: '' }), 'token_invalid'],
      [sign({ user: 'alice\u0000' }), 'token_invalid'],
      [sign({ user: 'a\u202eecila' }), 'token_invalid'],
      [sign({ user: 'x'.repeat(65) }), 'token_invalid'],
    ];
    for (const [token, expected] of tokens) {
      const stranger = await connect();
      expect([token, await code(stranger, 'hello', { token })]).toEqual([token, expected]);
      expect((await stranger.closed).code).toBe(4002);
    }
    const early = await connect();
    expect(await code(early, 'wallet.get', {})).toBe('hello_required');
    // The control: with the same key, a token of today opens the door.
    expect(await code(early, 'hello', { token: good })).toBe('ok');
    expect(await code(early, 'hello', { token: good })).toBe('already_greeted');
    early.close();
  });

  test('user ids that nobody may have', async () => {
    const ids = [
      '',
      'x'.repeat(65),
      '喜'.repeat(22),
      'a\u0000b',
      'a\nb',
      'a\u007f',
      'a\u2028b',
      '\u202ealice',
      '\ud800',
      7,
      null,
      true,
      ['alice'],
      { id: 'alice' },
    ];
    for (const userId of ids) {
      const response = await fetch(`${running.url}/v1/dev/token`, {
        method: 'POST',
        body: JSON.stringify({ userId }),
      });
      const { error } = (await response.json()) as { error?: { code: string } };
      expect([userId, response.status, error?.code]).toEqual([userId, 400, 'bad_argument']);
    }
  });
});

describe('user ids that look like an attack', () => {
  test('are people like others, each with a wallet of their own', async () => {
    const before = heads();
    const ids = [
      "'; DROP TABLE journal; --",
      '../../etc/passwd',
      '<script>alert(1)</script>',
      '__proto__',
      'constructor',
      'alice ',
      'Alice',
      'wallet:alice',
      'g/1',
      '喜'.repeat(21),
      '*',
      '>',
    ];
    for (const userId of ids) {
      const token = await devToken({ url: running.url, userId });
      const client = await connect();
      const hello = await client.ok('hello', { token });
      expect(hello.userId).toBe(userId);
      expect(hello.groups).toEqual([]);
      expect((await client.ok('wallet.get')).balanceCents).toBe(200_000);
      expect(await code(client, 'packet.open', { packetId })).toBe('not_a_member');
      client.close();
    }
    expect((await alice.ok('wallet.get')).balanceCents).toBe(199_900);
    // The control of all the tests above: the heads do move when something is journaled.
    for (const [index, head] of heads().entries()) expect(head).toBeGreaterThan(before[index]!);
  });
});
