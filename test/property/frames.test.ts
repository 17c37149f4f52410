import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeCommandId } from '../../lib/core/ids.ts';
import { OP_NAMES } from '../../access/schema.ts';
import type { Client } from '../integration/access-client.ts';
import { stage } from '../integration/access-client.ts';

/** FRAMES=100000 for the long proof. */
const FRAMES = Number(process.env['FRAMES'] ?? 10_000);
const AT_ONCE = 500;
/** What a process may grow by while it reads rubbish: compiled code, what the test keeps. */
const GROWTH_BYTES_MAX = 16 * 1_048_576;

const KEY = makeCommandId(Date.UTC(2026, 0, 1), new Uint8Array(10));
const ID = '8589938688';

/** Requests that are nearly right: from these a mutation reaches every handler. */
const SEEDS: readonly unknown[] = [
  { op: 'hello', d: { token: 'a.b.c', resume: { [ID]: 3 } } },
  { op: 'ping', d: { seen: { [ID]: 3 } } },
  { op: 'wallet.get' },
  { op: 'wallet.history', d: { limit: 10, beforeLsn: 5 } },
  { op: 'wallet.statement', d: { fromAt: 1, after: { throughLsn: 9, lsn: 3, leg: 0 } } },
  { op: 'wallet.topup', d: { clientId: KEY, amountCents: 100 } },
  { op: 'wallet.withdraw', d: { clientId: KEY, amountCents: 7, destination: 'card' } },
  { op: 'wallet.balanceAt', d: { at: 5 } },
  { op: 'wallet.statistics', d: { year: 2026, after: { lsn: 3, leg: 1 } } },
  { op: 'group.create', d: { clientId: KEY, name: 'x' } },
  { op: 'group.get', d: { groupId: ID } },
  { op: 'group.list', d: {} },
  { op: 'group.invite', d: { groupId: ID } },
  { op: 'group.join', d: { invite: 'AQAAAAAAAAAB' } },
  { op: 'group.leave', d: { groupId: ID } },
  { op: 'message.send', d: { groupId: ID, clientMsgId: KEY, body: 'hi' } },
  { op: 'message.history', d: { groupId: ID, fromSeq: 1, toSeq: 9, reverse: true } },
  { op: 'message.read', d: { groupId: ID, seq: 1 } },
  { op: 'packet.send', d: { groupId: ID, clientId: KEY, totalCents: 100, count: 2 } },
  { op: 'packet.grab', d: { packetId: ID } },
  { op: 'packet.open', d: { packetId: ID } },
  { op: 'packet.get', d: { packetId: ID } },
  { op: 'packet.claims', d: { packetId: ID, limit: 3 } },
];

const nasty = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    -1,
    0,
    1.5,
    1e308,
    2 ** 53,
    '',
    '0',
    '-1',
    '99999999999999999999',
    '\u0000',
    '\ud800',
    '红'.repeat(99),
    'x'.repeat(9_000),
    [],
    {},
    null,
    { __proto__: 1 },
    [[[[]]]],
    '__proto__',
    'constructor',
    ID,
    KEY,
  ),
);

/** One field of a nearly right request made wrong, taken away, or added. */
const mutated = fc
  .record({
    seed: fc.constantFrom(...SEEDS),
    value: nasty,
    at: fc.nat(6),
    id: fc.oneof(fc.nat(), nasty),
    key: fc.oneof(fc.constantFrom('id', 'op', 'd', 'x', 'packetId', 'toString'), fc.string()),
    where: fc.constantFrom('d', 'frame', 'nowhere', 'drop'),
  })
  .map(({ seed, value, at, id, key, where }) => {
    const frame: Record<string, unknown> = { id, ...structuredClone(seed as object) };
    const d = { ...(frame['d'] as object | undefined) } as Record<string, unknown>;
    const names = Object.keys(d);
    if (where === 'd') d[names[at % Math.max(1, names.length)] ?? key] = value;
    if (where === 'drop') delete d[names[at % Math.max(1, names.length)] ?? key];
    frame['d'] = d;
    if (where === 'frame') frame[key] = value;
    return JSON.stringify(frame);
  });

/** A right frame with a few of its characters changed, cut or doubled. */
const damaged = fc
  .tuple(mutated, fc.array(fc.tuple(fc.nat(400), fc.string({ maxLength: 3 })), { maxLength: 3 }))
  .map(([text, cuts]) =>
    cuts.reduce(
      (t, [at, add]) => t.slice(0, at % (t.length + 1)) + add + t.slice((at % (t.length + 1)) + 1),
      text,
    ),
  );

const frame: fc.Arbitrary<string | Uint8Array<ArrayBuffer>> = fc.oneof(
  { weight: 5, arbitrary: mutated },
  { weight: 3, arbitrary: damaged },
  { weight: 1, arbitrary: fc.string({ maxLength: 200, unit: 'binary' }) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }).map((bytes) => new Uint8Array(bytes)) },
);

test(
  `${FRAMES} random and mutated frames: every one is answered, nothing crashes, nothing stays`,
  { timeout: 60_000 + FRAMES * 5 },
  async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const s = await stage({
      limits: {
        requestsPerSecond: 1e9,
        requestsBurst: 1e9,
        arriveWaitMs: 20,
        cursorMoveMs: 5,
        helloTimeoutMs: 60_000,
      },
    });
    // Groups that the frames found are not delivered: the world of the test must not grow.
    s.world.courierMs = null;
    let greeted = await s.as('mallory');
    let stranger = await s.connect();
    const codes = new Set<string>();
    let sent = 0;
    let answered = 0;

    /** All are answered, unless one of them cost its sender the socket. */
    const round = async (
      client: Client,
      frames: readonly (string | Uint8Array<ArrayBuffer>)[],
    ): Promise<void> => {
      for (const one of frames) client.raw(one);
      sent += frames.length;
      await client.until(() => client.unasked.length >= frames.length || client.isClosed);
      answered += client.unasked.length;
      for (const { error } of client.unasked.splice(0)) codes.add(error?.code ?? 'ok');
      client.events.length = 0;
    };
    const rounds = async (count: number, seed: number): Promise<void> => {
      for (let done = 0; done < count; done += AT_ONCE) {
        const frames = fc.sample(frame, { numRuns: AT_ONCE, seed: seed + done });
        if (greeted.isClosed) greeted = await s.as('mallory');
        if (stranger.isClosed) stranger = await s.connect();
        await round(done % (5 * AT_ONCE) === 0 ? stranger : greeted, frames);
      }
    };

    await rounds(Math.min(FRAMES, 5_000), 1);
    const before = settledHeap();
    await rounds(FRAMES - 5_000, 1_000_003);
    const growth = settledHeap() - before;

    expect(sent).toBeGreaterThanOrEqual(FRAMES);
    // The rest was behind a frame that closes: a bad token, or more than 16 KiB.
    expect(answered).toBeGreaterThan(sent * 0.7);
    expect(unhandled).toEqual([]);
    expect(s.complaints).toEqual([]);
    expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
    for (const code of ['bad_json', 'bad_frame', 'bad_argument', 'unknown_op', 'ok']) {
      expect(codes).toContain(code);
    }
    // Others were not touched, and the server answers.
    const bystander = await s.as('bystander');
    expect((await bystander.ok('wallet.get')).balanceCents).toBe(200_000);
    s.stop();
    process.off('unhandledRejection', note);
  },
);

test('the seeds of the mutations are all the ops', () => {
  expect(SEEDS.map((seed) => (seed as { op: string }).op).toSorted()).toEqual(OP_NAMES.toSorted());
});

/** Heap bytes that are still held after a full collection. */
function settledHeap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
