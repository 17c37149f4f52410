/** Money enters, is sent, and leaves, in the embedded mode: the sandbox gateway over real HTTP. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HongbaoClient, fetchDevToken } from '../../client/index.ts';
import { HttpGateway } from '../../lib/adapter/http-gateway.ts';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { cents } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Log } from '../../lib/port/log.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { startSandboxServer } from '../../ops/rig/sandbox-gateway.ts';
import type { Embedded } from '../../ops/start.ts';
import { startEmbedded } from '../../ops/start.ts';
import { moneyNow } from '../../reconciler/money.ts';
import { startPaymentDesk } from '../../reconciler/payments.ts';

const errors: string[] = [];
const LOG: Log = {
  info: () => {},
  warn: () => {},
  error: (event, fields) => errors.push(`${event} ${JSON.stringify(fields)}`),
};

let folder: string;
let server: Embedded;
const clients: HongbaoClient[] = [];

async function open(): Promise<void> {
  server = await startEmbedded({
    dataDir: join(folder, 'data'),
    port: 0,
    host: '127.0.0.1',
    sets: 2,
    replicas: 1,
    demoCents: 0,
    pageDir: join(folder, 'no-page'),
    log: LOG,
    limits: { requestsPerSecond: 2_000, requestsBurst: 4_000 },
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hb-pay-'));
  await open();
});

afterAll(async () => {
  for (const client of clients) client.close();
  await server?.lifecycle.end();
  await rm(folder, { recursive: true, force: true });
});

async function signIn(userId: string): Promise<HongbaoClient> {
  const { url: baseUrl } = server;
  const token = (): ReturnType<typeof fetchDevToken> => fetchDevToken({ baseUrl, userId });
  const client = new HongbaoClient({ url: `${baseUrl.replace('http', 'ws')}/v1/ws`, token });
  clients.push(client);
  await client.connect();
  return client;
}

const balanceOf = async (client: HongbaoClient): Promise<number> =>
  (await client.wallet.get()).balanceCents;

function balanceIs(client: HongbaoClient, cents: number): Promise<void> {
  return expect.poll(() => balanceOf(client), { timeout: 15_000, interval: 30 }).toBe(cents);
}

/** What a person does on the checkout page. */
async function pay(checkoutUrl: string, result = 'paid'): Promise<string> {
  const response = await fetch(new URL(checkoutUrl, server.url), {
    method: 'POST',
    body: `result=${result}`,
  });
  expect(response.status).toBe(200);
  return response.text();
}

function callbackSecret(): Uint8Array {
  const { clusterSecret } = loadKeyFile(join(folder, 'data', 'keys'));
  return createHash('sha256').update('gateway').update(clusterSecret).digest();
}

type Said = { paymentId: string; result: string; amountCents: number; reference: string };

/** Signed as docs/PROTOCOL.md says, by somebody who has the secret. */
function callback(said: Said, more: { at?: number; nonce?: string; secret?: string } = {}) {
  const { at = Date.now(), nonce = randomBytes(12).toString('hex') } = more;
  const secret = more.secret ?? callbackSecret();
  const body = JSON.stringify({ ...said, at });
  const signature = createHmac('sha256', secret).update(`${at}.${nonce}.${body}`).digest('hex');
  const headers = {
    'x-hongbao-timestamp': String(at),
    'x-hongbao-nonce': nonce,
    'x-hongbao-signature': signature,
  };
  return { body, headers };
}

async function post(of: { body: string; headers: Record<string, string> }): Promise<number> {
  const url = new URL('/v1/payments/callback', server.url);
  return (await fetch(url, { method: 'POST', ...of })).status;
}

const paid = (paymentId: string, amountCents: number): Said => ({
  paymentId,
  result: 'paid',
  amountCents,
  reference: `sandbox-${paymentId}`,
});

async function groupOf(owner: HongbaoClient, ...guests: HongbaoClient[]): Promise<string> {
  const { groupId } = await owner.group.create({ name: 'Family' });
  const { invite } = await owner.group.invite(groupId);
  for (const guest of guests) await guest.group.join(invite);
  return groupId;
}

/** Nothing is on its way, and what was issued is what the wallets of these people hold. */
async function allIsThere(cents: number): Promise<void> {
  await expect
    .poll(() => moneyNow(server.router), { timeout: 15_000, interval: 50 })
    .toMatchObject({
      walletsCents: cents,
      issuedCents: cents,
      inFlightCents: 0,
      pendingCents: 0,
      mismatchCents: 0,
      missing: [],
    });
}

test('topup, send, open, withdraw: every cent is accounted for', async () => {
  const [alice, bob] = [await signIn('alice'), await signIn('bob')];
  const news: string[] = [];
  alice.on('wallet', ({ reason, amountCents }) => news.push(`${reason} ${amountCents}`));
  const topup = await alice.wallet.topup({ amountCents: 10_000 });
  expect(topup.dueAt).toBeGreaterThan(Date.now() + 14 * 60_000);
  expect(await balanceOf(alice)).toBe(0);
  expect(await pay(topup.checkoutUrl)).toContain('State: <b>paid</b>');
  await balanceIs(alice, 10_000);
  await pay(topup.checkoutUrl, 'denied');
  await pay(topup.checkoutUrl);
  expect(await balanceOf(alice)).toBe(10_000);

  const groupId = await groupOf(alice, bob);
  const { packetId } = await alice.packet.send({ groupId, totalCents: 4_000, count: 1 });
  expect(await bob.packet.grabAndOpen(packetId)).toMatchObject({ amountCents: 4_000 });
  await balanceIs(bob, 4_000);

  const out = await bob.wallet.withdraw({ amountCents: 1_500, destination: 'bank *1234' });
  expect(out.balanceCents).toBe(2_500);
  await allIsThere(8_500);
  const refused = alice.wallet.withdraw({ amountCents: 6_001, destination: 'bank *1' });
  await expect(refused).rejects.toMatchObject({ code: 'insufficient_funds' });
  expect(news).toEqual(['topup 10000', 'send -4000']);
});

test('a withdrawal that the gateway denies comes back, once', async () => {
  const carol = await signIn('carol');
  const { checkoutUrl } = await carol.wallet.topup({ amountCents: 900 });
  await pay(checkoutUrl);
  await balanceIs(carol, 900);
  const clientId = carol.newId();
  const ask = { clientId, amountCents: 600, destination: 'please deny' };
  const [one, two] = await Promise.all([carol.wallet.withdraw(ask), carol.wallet.withdraw(ask)]);
  expect(two.paymentId).toBe(one.paymentId);
  expect(one.balanceCents).toBe(300);
  await balanceIs(carol, 900);
  const denied = { ...paid(one.paymentId, 600), result: 'denied' };
  expect(await post(callback(denied))).toBe(200);
  expect(await post(callback(paid(one.paymentId, 600)))).toBe(409);
  expect(await balanceOf(carol)).toBe(900);
  const { entries } = await carol.wallet.history();
  expect(entries.map(({ amountCents }) => amountCents)).toEqual([600, -600, 900]);
});

test('a packet paid from outside is there only after the callback, and is paid by nobody else', async () => {
  const [dave, erin] = [await signIn('dave'), await signIn('erin')];
  const groupId = await groupOf(dave, erin);
  const send = {
    groupId,
    clientId: dave.newId(),
    totalCents: 700,
    count: 1,
    pay: 'gateway',
  } as const;
  const sent = await dave.packet.send(send);
  expect(sent).toMatchObject({ status: 'unpaid', seedHash: null });
  expect(await dave.packet.send(send)).toMatchObject({
    packetId: sent.packetId,
    paymentId: sent.paymentId,
    checkoutUrl: sent.checkoutUrl,
  });
  await expect(erin.packet.open(sent.packetId)).rejects.toMatchObject({ code: 'packet_not_found' });
  await pay(sent.checkoutUrl!);
  await expect
    .poll(() => erin.packet.open(sent.packetId).catch(() => null), { timeout: 10_000 })
    .toMatchObject({ amountCents: 700 });
  await balanceIs(erin, 700);
  expect(await balanceOf(dave)).toBe(0);
});

test('a packet whose payment the gateway denies never comes', async () => {
  const [dave, erin] = [await signIn('dave'), await signIn('erin')];
  const groupId = await groupOf(dave, erin);
  const sent = await dave.packet.send({ groupId, totalCents: 700, count: 1, pay: 'gateway' });
  await pay(sent.checkoutUrl!, 'denied');
  await new Promise((resolve) => setTimeout(resolve, 300));
  await expect(erin.packet.open(sent.packetId)).rejects.toMatchObject({ code: 'packet_not_found' });
  expect(await balanceOf(dave)).toBe(0);
});

describe('callbacks', () => {
  test('forged, stale, malformed, unknown, wrong: refused, and nothing moves', async () => {
    const frank = await signIn('frank');
    const { paymentId } = await frank.wallet.topup({ amountCents: 500 });
    const said = paid(paymentId, 500);
    const real = callback(said);
    const cases: [number, { body: string; headers: Record<string, string> }][] = [
      [401, callback(said, { secret: 'another secret of thirty-two byte' })],
      [401, { ...real, body: real.body.replace('500', '501') }],
      [401, callback(said, { at: Date.now() - 301_000 })],
      [401, callback(said, { at: Date.now() + 305_000 })],
      [400, { ...real, headers: {} }],
      [400, callback({ ...said, result: 'maybe' })],
      [413, { ...real, body: 'x'.repeat(5_000) }],
      [404, callback(paid(String(BigInt(paymentId) + 7n), 500))],
      [404, callback(paid(String(BigInt(paymentId) ^ (900n << 12n)), 500))],
      [409, callback(paid(paymentId, 501))],
    ];
    for (const [status, each] of cases) expect([each, await post(each)]).toEqual([each, status]);
    const get = await fetch(new URL('/v1/payments/callback', server.url));
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await balanceOf(frank)).toBe(0);
    expect(errors.some((line) => line.includes('"status":"amount_mismatch"'))).toBe(true);
    errors.length = 0;
    // The real one still counts: nothing of the above has spoilt it.
    expect(await post(real)).toBe(200);
    await balanceIs(frank, 500);
  });

  test('repeated with the same bytes: 401; anew, by ten at once: 200, and one credit', async () => {
    const gina = await signIn('gina');
    const { paymentId } = await gina.wallet.topup({ amountCents: 250 });
    const said = paid(paymentId, 250);
    const statuses = await Promise.all(Array.from({ length: 10 }, () => post(callback(said))));
    expect(new Set(statuses)).toEqual(new Set([200]));
    const once = callback(said);
    expect([await post(once), await post(once)]).toEqual([200, 401]);
    expect(await post(callback({ ...said, result: 'denied' }))).toBe(409);
    errors.length = 0;
    expect(await balanceOf(gina)).toBe(250);
    const { entries } = await gina.wallet.history();
    expect(entries.map(({ amountCents }) => amountCents)).toEqual([250]);
  });

  test('in another order than they were made: each counts for its own', async () => {
    const hank = await signIn('hank');
    const made = [];
    for (const amountCents of [1, 20, 300]) made.push(await hank.wallet.topup({ amountCents }));
    const calls = made.map(({ paymentId }, index) =>
      callback(paid(paymentId, [1, 20, 300][index]!)),
    );
    for (const call of calls.toReversed()) expect(await post(call)).toBe(200);
    expect(await balanceOf(hank)).toBe(321);
  });

  test('a denied topup is dropped, and its end is for ever', async () => {
    const ivy = await signIn('ivy');
    const { paymentId, checkoutUrl } = await ivy.wallet.topup({ amountCents: 70 });
    expect(await pay(checkoutUrl, 'denied')).toContain('declined');
    expect(await post(callback({ ...paid(paymentId, 70), result: 'denied' }))).toBe(200);
    expect(await post(callback(paid(paymentId, 70)))).toBe(409);
    errors.length = 0;
    expect(await balanceOf(ivy)).toBe(0);
  });

  test('too many forged ones from one address: 429 with Retry-After, and then it is heard again', async () => {
    const said = paid('4096', 1);
    const statuses: number[] = [];
    for (let index = 0; index < 40; index++) {
      statuses.push(await post(callback(said, { secret: 'x'.repeat(32) })));
    }
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses.at(-1)).toBe(429);
    await expect
      .poll(() => post(callback(said, { secret: 'x'.repeat(32) })), { timeout: 3_000 })
      .toBe(401);
  });
});

describe('another gateway, over HTTP, of the same secret', () => {
  const FAULTS = { repeat: 2, reorder: true, forge: true, losePercent: 40, autoPayMs: 20 };

  test('callbacks lost, repeated, reordered, forged, and the gateway away for a while: all is credited once', async () => {
    const { router, url } = server;
    const [clock, random, log] = [new SystemClock(), new SystemRandom(), LOG];
    const secrets = { apiKey: 'k', callbackSecret: callbackSecret() };
    const callbackUrl = (): string => `${url}/v1/payments/callback`;
    const far = await startSandboxServer({ ...secrets, callbackUrl, faults: FAULTS });
    const gateway = new HttpGateway({ ...secrets, url: far.url, clock, log, timeoutMs: 500 });
    const times = { lookMs: 100, askAfterMs: 400, expiredMs: 1_000 };
    const ports = { router, gateway, clock, random, log, metrics: createMetrics() };
    const before = await moneyNow(router);
    const people = Array.from({ length: 24 }, (_, index) => parseUserId(`payer-${index}`)!);
    for (const [index, user] of people.entries()) {
      const ask = { commandId: makeCommandId(Date.now(), randomBytes(10)), user };
      const topup = { type: 'wallet.topup', ...ask, amountCents: cents(100 + index) } as const;
      const { outcome } = await router.command(router.homeOf(user), topup);
      if (outcome.status !== 'ok' || outcome.type !== 'wallet.topup') throw new Error('no topup');
      const { paymentId, dueAt } = outcome;
      const checkout = { paymentId, dueAt, amountCents: cents(100 + index) };
      expect(await gateway.createCheckout(checkout)).toMatchObject({ kind: 'open' });
    }
    far.misbehave({ ...FAULTS, away: true });
    const desk = startPaymentDesk({ ...ports, times });
    await new Promise((resolve) => setTimeout(resolve, 700));
    far.misbehave(FAULTS);
    const issued = before.issuedCents + (24 * (100 + 123)) / 2;
    await expect
      .poll(async () => (await moneyNow(router)).issuedCents, { timeout: 20_000, interval: 100 })
      .toBe(issued);
    for (const [index, user] of people.entries()) {
      const { reply } = await router.query(router.homeOf(user), { wallet: { user } });
      expect([user, reply?.wallet?.balanceCents]).toEqual([user, String(100 + index)]);
    }
    // What comes late moves nothing more.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await moneyNow(router)).toMatchObject({ issuedCents: issued, mismatchCents: 0 });
    const text = await ports.metrics.expose();
    expect(text).toMatch(/hongbao_payments_settled_total\{purpose="topup",result="paid"\} [1-9]/);
    await desk.stop();
    await gateway.close();
    await far.close();
    expect(errors).toEqual([]);
  }, 40_000);
});

test('more than 8 payments under way are refused, and one that ends makes room', async () => {
  const jane = await signIn('jane');
  const made = [];
  for (let index = 0; index < 8; index++) made.push(await jane.wallet.topup({ amountCents: 1 }));
  const ninth = jane.wallet.topup({ amountCents: 1 });
  await expect(ninth).rejects.toMatchObject({ code: 'too_many_payments' });
  await pay(made[3]!.checkoutUrl);
  await balanceIs(jane, 1);
  await jane.wallet.topup({ amountCents: 1 });
});

test('after a restart: a replay of old bytes moves nothing, and a checkout is still payable', async () => {
  const kim = await signIn('kim');
  const done = await kim.wallet.topup({ amountCents: 40 });
  const replay = callback(paid(done.paymentId, 40));
  expect(await post(replay)).toBe(200);
  const waiting = await kim.wallet.topup({ amountCents: 2 });
  const issued = (await moneyNow(server.router)).issuedCents;
  for (const client of clients.splice(0)) client.close();
  await server.lifecycle.end();
  await open();
  // The memory of nonces is gone: it passes the check, and settling it again is no second time.
  expect([await post(replay), await post(replay)]).toEqual([200, 401]);
  expect((await moneyNow(server.router)).issuedCents).toBe(issued);
  const again = await signIn('kim');
  expect(await balanceOf(again)).toBe(40);
  await pay(waiting.checkoutUrl);
  await balanceIs(again, 42);
  expect(errors).toEqual([]);
});
