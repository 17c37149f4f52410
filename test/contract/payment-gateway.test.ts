import { createHmac } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CallbackVerifier, signCallback } from '../../lib/adapter/callback-signature.ts';
import { HttpGateway } from '../../lib/adapter/http-gateway.ts';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SandboxGateway } from '../../lib/adapter/sandbox-gateway.ts';
import type { SandboxOptions } from '../../lib/adapter/sandbox-gateway.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { utf8 } from '../../lib/core/bytes.ts';
import { asId } from '../../lib/core/ids.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { ReceivedCallback } from '../../lib/port/payment-gateway.ts';
import { startSandboxServer } from '../../ops/rig/sandbox-gateway.ts';
import type { GatewayWorld } from './payment-gateway.contract.ts';
import { paymentGatewayContract } from './payment-gateway.contract.ts';

const SECRET = 'a secret of 32 bytes for callbacks';
const SILENT = { info() {}, warn() {}, error() {} };

/** Signed by hand, from docs/PROTOCOL.md alone. */
function sign(args: { body: string; at: number; nonce: string }): ReceivedCallback {
  const { nonce } = args;
  const timestamp = String(args.at);
  const body = Buffer.from(args.body);
  const mac = createHmac('sha256', SECRET).update(`${timestamp}.${nonce}.${args.body}`);
  return { timestamp, nonce, body, signature: mac.digest('hex') };
}

async function enough(sent: readonly ReceivedCallback[], count: number): Promise<typeof sent> {
  for (let turn = 0; sent.length < count && turn < 400; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return sent;
}

function sandbox(more: Partial<SandboxOptions> = {}) {
  const clock = new ManualClock();
  const sent: ReceivedCallback[] = [];
  let held = false;
  const gateway = new SandboxGateway({
    secret: utf8(SECRET),
    clock,
    random: new SeededRandom(1),
    checkoutBase: () => '/pay/',
    send: async (signed) => {
      sent.push(signed);
      return 200;
    },
    decidePayout: () => (held ? 'pending' : 'paid'),
    ...more,
  });
  const hold = (): void => {
    held = true;
  };
  return { clock, sent, gateway, hold };
}

paymentGatewayContract('sandbox', async (): Promise<GatewayWorld> => {
  const { clock, sent, gateway, hold } = sandbox();
  return {
    gateway,
    now: () => clock.now(),
    end: (paymentId, result) => void gateway.end(paymentId, result),
    holdPayouts: hold,
    callbacks: (count) => enough(sent, count),
    sign,
    dispose: () => gateway.close(),
  };
});

paymentGatewayContract('HTTP', async (): Promise<GatewayWorld> => {
  const sent: ReceivedCallback[] = [];
  const door = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const header = (name: string): string => String(request.headers[`x-hongbao-${name}`]);
      const [timestamp, nonce] = [header('timestamp'), header('nonce')];
      const body = Buffer.concat(chunks);
      sent.push({ timestamp, nonce, signature: header('signature'), body });
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const { port } = door.address() as AddressInfo;
  const callbackUrl = (): string => `http://127.0.0.1:${port}/v1/payments/callback`;
  const server = await startSandboxServer({
    apiKey: 'k',
    callbackSecret: utf8(SECRET),
    callbackUrl,
  });
  const clock = new SystemClock();
  const gateway = new HttpGateway({
    url: server.url,
    apiKey: 'k',
    callbackSecret: utf8(SECRET),
    clock,
    log: SILENT,
  });
  return {
    gateway,
    now: () => clock.now(),
    end: (paymentId, result) => void server.gateway.end(paymentId, result),
    holdPayouts: () => server.misbehave({ holdPayouts: true }),
    callbacks: (count) => enough(sent, count),
    sign,
    dispose: async () => {
      await gateway.close();
      await server.close();
      door.closeAllConnections();
      await new Promise((resolve) => door.close(resolve));
    },
  };
});

const PAYMENT = { paymentId: asId(4_096n), amountCents: cents(500) };

describe('the HTTP gateway', () => {
  /** A server that answers the same to everything. */
  async function answering(status: number, body: string, headers = {}) {
    const keys: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      keys.push(request.headers.authorization);
      response.writeHead(status, headers).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const gateway = new HttpGateway({
      url,
      apiKey: 'key-7',
      callbackSecret: utf8(SECRET),
      clock: new SystemClock(),
      log: SILENT,
      timeoutMs: 300,
    });
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return { gateway, url, keys, close };
  }

  test.each([
    ['no JSON', 200, 'hello', {}],
    ['a failure', 500, '{"state":"paid","amountCents":500,"reference":"x"}', {}],
    ['a state of its own', 200, '{"state":"done"}', {}],
    ['no amount', 200, '{"state":"paid","reference":"x"}', {}],
    ['a float', 200, '{"state":"paid","amountCents":5.5,"reference":"x"}', {}],
    [
      'a long reference',
      200,
      JSON.stringify({ state: 'paid', amountCents: 500, reference: 'x'.repeat(129) }),
      {},
    ],
    ['an endless answer', 200, ' '.repeat(100_000), {}],
    ['a page of a proxy', 404, '{"error":"no such route"}', {}],
    ['a redirect', 302, '{}', { location: 'http://127.0.0.1:1/' }],
  ])('[PG5a] %s is away: neither paid, denied nor unknown', async (_, status, body, headers) => {
    const { gateway, keys, close } = await answering(status, body, headers);
    const { paymentId } = PAYMENT;
    expect(await gateway.stateOf(paymentId)).toEqual({ kind: 'away' });
    expect(await gateway.payOut({ ...PAYMENT, destination: 'd' })).toEqual({ kind: 'away' });
    const dueAt = timeMs(1);
    expect(await gateway.createCheckout({ ...PAYMENT, dueAt })).toEqual({ kind: 'away' });
    expect(new Set(keys)).toEqual(new Set(['Bearer key-7']));
    await close();
  });

  test('[PG5e] a redirect is not followed: the key stays here, whoever else would say paid', async () => {
    const other = await answering(200, '{"state":"paid","amountCents":500,"reference":"x"}');
    const { gateway, close } = await answering(307, '{}', {
      location: `${other.url}/v1/payments/1`,
    });
    expect(await other.gateway.stateOf(PAYMENT.paymentId)).toMatchObject({ kind: 'paid' });
    expect(await gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'away' });
    expect(await gateway.payOut({ ...PAYMENT, destination: 'd' })).toEqual({ kind: 'away' });
    expect(other.keys).toHaveLength(1);
    await close();
    await other.close();
  });

  test('[PG5b] a page that no browser should open is not passed on', async () => {
    for (const checkoutUrl of ['javascript:alert(1)', 'file:///etc/passwd', '/relative', 7]) {
      const { gateway, close } = await answering(200, JSON.stringify({ checkoutUrl }));
      const reply = await gateway.createCheckout({ ...PAYMENT, dueAt: timeMs(1) });
      expect([checkoutUrl, reply]).toEqual([checkoutUrl, { kind: 'away' }]);
      await close();
    }
  });

  test('[PG5c] a payout that was done with another amount is a conflict, not a success', async () => {
    const { gateway, close } = await answering(
      200,
      '{"state":"paid","amountCents":1,"reference":""}',
    );
    expect(await gateway.payOut({ ...PAYMENT, destination: 'd' })).toEqual({ kind: 'conflict' });
    await close();
  });

  test('[PG5d] nobody answers, or not in time: away, and soon', async () => {
    const server = await startSandboxServer({
      apiKey: 'k',
      callbackSecret: utf8(SECRET),
      callbackUrl: () => '',
    });
    const gateway = new HttpGateway({
      url: server.url,
      apiKey: 'k',
      callbackSecret: utf8(SECRET),
      clock: new SystemClock(),
      log: SILENT,
      timeoutMs: 200,
    });
    server.misbehave({ away: true });
    expect(await gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'away' });
    server.misbehave({ slowMs: 2_000 });
    const start = performance.now();
    expect(await gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'away' });
    expect(performance.now() - start).toBeLessThan(1_500);
    server.misbehave({});
    expect(await gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'unknown' });
    await server.close();
    expect(await gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'away' });
  });

  test('[PG5e] a wrong key is refused by the sandbox, and is away', async () => {
    const server = await startSandboxServer({
      apiKey: 'k',
      callbackSecret: utf8(SECRET),
      callbackUrl: () => '',
    });
    const more = { clock: new SystemClock(), log: SILENT, callbackSecret: utf8(SECRET) };
    const gateway = new HttpGateway({ url: server.url, apiKey: 'l', ...more });
    expect(await gateway.payOut({ ...PAYMENT, destination: 'd' })).toEqual({ kind: 'away' });
    expect(await server.gateway.stateOf(PAYMENT.paymentId)).toEqual({ kind: 'unknown' });
    await server.close();
  });
});

describe('the sandbox', () => {
  const until = (ms: number) => ({ ...PAYMENT, dueAt: timeMs(ms) });

  test('[PG1c] a page can be paid until it is due, and once', async () => {
    const { gateway, clock, sent } = sandbox();
    const reply = await gateway.createCheckout(until(clock.now() + 1_000));
    const page = reply.kind === 'open' ? reply.checkoutUrl.slice('/pay/'.length) : '';
    expect(gateway.find(page)).toMatchObject({ amountCents: 500, state: 'pending' });
    expect(gateway.find('other')).toBeNull();
    expect(gateway.decide('other', 'paid')).toBe(false);
    expect(gateway.decide(page, 'paid')).toBe(true);
    expect(gateway.decide(page, 'denied')).toBe(false);
    expect(gateway.find(page)).toMatchObject({ state: 'paid' });
    expect(sent).toHaveLength(1);
    const late = await gateway.createCheckout({ ...until(clock.now() + 5), paymentId: asId(1n) });
    clock.advance(5);
    const latePage = late.kind === 'open' ? late.checkoutUrl.slice('/pay/'.length) : '';
    expect(gateway.decide(latePage, 'paid')).toBe(false);
  });

  test('a callback that nobody took comes again, signed anew, five times in all', async () => {
    const nonces: string[] = [];
    const answers = [0, 503, 429, 500, 500, 500, 500];
    const { gateway, clock } = sandbox({
      send: async ({ nonce }) => {
        nonces.push(nonce);
        return answers[nonces.length - 1] ?? 500;
      },
    });
    await gateway.createCheckout(until(clock.now() + 1_000));
    gateway.end(PAYMENT.paymentId, 'paid');
    for (let second = 0; second < 60; second++) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
    expect(nonces).toHaveLength(5);
    expect(new Set(nonces).size).toBe(5);
    await gateway.close();
  });

  test('what it did survives a restart and half a line, and a payout is still done once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hb-'));
    const file = join(folder, 'gateway.jsonl');
    const first = sandbox({ file });
    const page = await first.gateway.createCheckout(until(first.clock.now() + 1_000));
    const paid = await first.gateway.payOut({ ...PAYMENT, paymentId: asId(9n), destination: 'd' });
    await first.gateway.close();
    appendFileSync(file, '{"kind":"pay');
    for (const name of ['after a crash', 'and again']) {
      const { gateway, clock } = sandbox({ file, decidePayout: () => 'denied' });
      expect([name, await gateway.createCheckout(until(clock.now() + 1_000))]).toEqual([
        name,
        page,
      ]);
      const again = await gateway.payOut({ ...PAYMENT, paymentId: asId(9n), destination: 'd' });
      expect([name, again]).toEqual([name, paid]);
      await gateway.payOut({ ...PAYMENT, paymentId: asId(10n), destination: 'd' });
      await gateway.close();
    }
    rmSync(folder, { recursive: true });
  });

  test('[PG2d] a full disk is an answer, and leaves a ledger that can be read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hb-'));
    const file = join(folder, 'gateway.jsonl');
    const script = join(folder, 'fill.ts');
    const root = new URL('../../lib/', import.meta.url).href;
    writeFileSync(
      script,
      `import { SandboxGateway } from '${root}adapter/sandbox-gateway.ts';
      import { ManualClock } from '${root}adapter/manual-clock.ts';
      import { SeededRandom } from '${root}adapter/seeded-random.ts';
      const gateway = new SandboxGateway({
        secret: new Uint8Array(32), clock: new ManualClock(), random: new SeededRandom(1),
        checkoutBase: () => '/pay/', send: async () => 200, file: ${JSON.stringify(file)},
        decidePayout: () => 'pending',
      });
      const told = [];
      for (let id = 1n; id <= 20n; id++) {
        const payout = { paymentId: id, amountCents: 5, destination: 'd' };
        told.push((await gateway.payOut(payout)).kind);
      }
      const checkout = { paymentId: 21n, amountCents: 5, dueAt: 9e15 };
      told.push((await gateway.createCheckout(checkout)).kind);
      told.push(gateway.end(1n, 'paid'), (await gateway.stateOf(1n)).kind);
      console.log(JSON.stringify(told));`,
    );
    // 1,024 bytes are all that this process may write to a file: ten lines do not fit.
    const { stdout } = spawnSync(
      'bash',
      ['-c', 'ulimit -f 1; exec "$0" "$1"', process.execPath, script],
      {
        encoding: 'utf8',
        timeout: 20_000,
      },
    );
    const told = JSON.parse(stdout) as unknown[];
    expect(told.slice(0, 2)).toEqual(['pending', 'pending']);
    expect(told.slice(-4)).toEqual(['away', 'away', false, 'pending']);
    const { gateway } = sandbox({ file });
    const known = told.filter((kind, index) => index < 20 && kind === 'pending').length;
    for (let id = 1; id <= 20; id++) {
      const kind = id <= known ? 'pending' : 'unknown';
      expect([id, await gateway.stateOf(asId(BigInt(id)))]).toEqual([id, { kind }]);
    }
    await gateway.close();
    rmSync(folder, { recursive: true });
  });
});

test('[PG4f] the memory of nonces is bounded, and only real callbacks fill it', () => {
  const clock = new ManualClock();
  const secret = utf8(SECRET);
  const verifier = new CallbackVerifier({ secret, clock, noncesMax: 3 });
  const random = new SeededRandom(1);
  const callback = { ...PAYMENT, result: 'paid', reference: '', at: timeMs(1) } as const;
  const signed = Array.from({ length: 5 }, () => signCallback({ secret, callback, clock, random }));
  for (const one of signed) expect(verifier.verify(one)).toMatchObject({ ok: true });
  expect(verifier.remembered).toBe(3);
  for (const one of signed) verifier.verify({ ...one, signature: '0'.repeat(64) });
  expect(verifier.remembered).toBe(3);
});

test('[PG4g] a nonce is remembered as long as its time can be fresh', () => {
  const clock = new ManualClock();
  const verifier = new CallbackVerifier({ secret: utf8(SECRET), clock });
  const body = JSON.stringify({
    paymentId: '1',
    result: 'paid',
    amountCents: 1,
    reference: '',
    at: 1,
  });
  const ahead = sign({ body, at: clock.now() + 299_000, nonce: 'nonce-nonce-nonce' });
  expect(verifier.verify(ahead)).toMatchObject({ ok: true });
  clock.advance(598_000);
  expect(verifier.verify(ahead)).toEqual({ ok: false, reason: 'replayed' });
  clock.advance(3_000);
  expect(verifier.verify(ahead)).toEqual({ ok: false, reason: 'stale' });
});
