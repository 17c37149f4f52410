/** The sandbox payment gateway behind HTTP, as the far side of lib/adapter/http-gateway.ts. */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCount, parseObject } from '../../lib/adapter/callback-signature.ts';
import { SandboxGateway, postCallback } from '../../lib/adapter/sandbox-gateway.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { utf8 } from '../../lib/core/bytes.ts';
import { parseId } from '../../lib/core/ids.ts';
import { PAYMENT_RESULTS } from '../../lib/core/payment.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { PaymentReply } from '../../lib/port/payment-gateway.ts';
import type { SandboxFaults } from './sandbox-faults.ts';
import { FaultySender, NO_SANDBOX_FAULTS, readFaults } from './sandbox-faults.ts';

const BODY_BYTES_MAX = 8_192;
const CHECKOUT = '/checkout/';

export type SandboxServerOptions = {
  readonly host?: string;
  /** 0: the system chooses one. */
  readonly port?: number;
  readonly apiKey: string;
  /** At least 32 bytes. */
  readonly callbackSecret: Uint8Array;
  /** Asked for each callback: the access node may come later than its gateway. */
  readonly callbackUrl: () => string;
  readonly file?: string;
  readonly faults?: Partial<SandboxFaults>;
};

export type SandboxServer = {
  readonly url: string;
  readonly gateway: SandboxGateway;
  /** What it does wrong from now on. */
  misbehave(faults: Partial<SandboxFaults>): void;
  close(): Promise<void>;
};

type Json = Readonly<Record<string, unknown>>;
type Answer = { readonly status: number; readonly body: Json | string };

/** Serves until it is closed. Rejects when the port is taken. */
export async function startSandboxServer(options: SandboxServerOptions): Promise<SandboxServer> {
  const { host = '127.0.0.1', port = 0, apiKey, callbackUrl, file } = options;
  const clock = new SystemClock();
  const random = new SystemRandom();
  const post = postCallback;
  const sender = new FaultySender({ post: (signed) => post(callbackUrl(), signed), random });
  let url = '';
  const gateway = new SandboxGateway({
    secret: options.callbackSecret,
    clock,
    random,
    checkoutBase: () => `${url}${CHECKOUT}`,
    send: (signed) => sender.send(signed),
    decidePayout: () => {
      const { holdPayouts, denyPercent } = sender.faults;
      if (holdPayouts) return 'pending';
      return random.below(100) < denyPercent ? 'denied' : 'paid';
    },
    ...(file === undefined ? {} : { file }),
  });
  const misbehave = (faults: Partial<SandboxFaults>): void => {
    sender.faults = { ...NO_SANDBOX_FAULTS, ...faults };
  };
  misbehave(options.faults ?? {});
  const api = new Api({ gateway, apiKey, misbehave, faults: () => sender.faults });
  const server = createServer((request, response) => void api.serve(request, response));
  await listen(server, { host, port });
  url = `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    url,
    gateway,
    misbehave,
    close: async () => {
      await gateway.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, at: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port, at.host, () => resolve());
  });
}

type ApiArgs = {
  readonly gateway: SandboxGateway;
  readonly apiKey: string;
  readonly faults: () => SandboxFaults;
  readonly misbehave: (faults: Partial<SandboxFaults>) => void;
};

class Api {
  readonly #args: ApiArgs;

  constructor(args: ApiArgs) {
    this.#args = args;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const { slowMs, away } = this.#args.faults();
    if (slowMs > 0) await sleep(slowMs);
    // Who wants it back must still be able to say so.
    if (away && path !== '/control') return void request.socket.destroy();
    const body = await bodyOf(request).catch(() => null);
    const { status, body: said } =
      body === null
        ? BAD
        : await this.#answer({ method: request.method ?? '', path, body, request });
    const isPage = typeof said === 'string';
    response.writeHead(status, { 'content-type': isPage ? 'text/html' : 'application/json' });
    response.end(isPage ? said : JSON.stringify(said));
  }

  async #answer(asked: {
    method: string;
    path: string;
    body: Buffer;
    request: IncomingMessage;
  }): Promise<Answer> {
    const { method, path, body, request } = asked;
    const { gateway } = this.#args;
    if (path.startsWith(CHECKOUT))
      return checkout(gateway, { page: path.slice(CHECKOUT.length), body });
    if (!this.#isAllowed(request)) return { status: 401, body: { error: 'not allowed' } };
    if (method === 'GET' && path.startsWith('/v1/payments/')) {
      const paymentId = parseId(path.slice('/v1/payments/'.length));
      return paymentId === null ? BAD : replyOf(await gateway.stateOf(paymentId));
    }
    const fields = parseObject(body);
    if (method !== 'POST' || fields === null) return BAD;
    if (path === '/control') return this.#control(fields);
    const { paymentId, amountCents, dueAt, destination } = fields;
    const id = typeof paymentId === 'string' ? parseId(paymentId) : null;
    if (id === null || !isCount(amountCents)) return BAD;
    const payment = { paymentId: id, amountCents: cents(amountCents) };
    if (path === '/v1/checkouts' && isCount(dueAt)) {
      const reply = await gateway.createCheckout({ ...payment, dueAt: timeMs(dueAt) });
      if (reply.kind !== 'open') return failed(reply.kind);
      const { autoPayMs } = this.#args.faults();
      if (autoPayMs >= 0)
        void sleep(autoPayMs, null, { ref: false }).then(() => gateway.end(id, 'paid'));
      return { status: 200, body: { checkoutUrl: reply.checkoutUrl } };
    }
    if (path === '/v1/payouts' && typeof destination === 'string') {
      return replyOf(await gateway.payOut({ ...payment, destination }));
    }
    return BAD;
  }

  #control(fields: Json): Answer {
    const faults = readFaults(fields);
    if (faults === null) return BAD;
    this.#args.misbehave(faults);
    return { status: 200, body: { ...this.#args.faults() } };
  }

  #isAllowed(request: IncomingMessage): boolean {
    const given = Buffer.from(request.headers.authorization ?? '');
    const wanted = Buffer.from(`Bearer ${this.#args.apiKey}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}

const BAD: Answer = { status: 400, body: { error: 'bad request' } };

function replyOf(reply: PaymentReply): Answer {
  switch (reply.kind) {
    case 'pending':
      return { status: 200, body: { state: 'pending' } };
    case 'paid':
    case 'denied': {
      const { kind: state, amountCents, reference } = reply;
      return { status: 200, body: { state, amountCents, reference } };
    }
    case 'unknown':
      return { status: 404, body: { state: 'unknown' } };
    case 'conflict':
    case 'away':
      return failed(reply.kind);
  }
}

/** `away`: its disk is full; the same again may go better. */
function failed(error: 'conflict' | 'away'): Answer {
  return { status: error === 'conflict' ? 409 : 503, body: { error } };
}

function checkout(gateway: SandboxGateway, of: { page: string; body: Buffer }): Answer {
  const { page, body } = of;
  const result = PAYMENT_RESULTS.find((one) => body.toString() === `result=${one}`);
  if (result !== undefined) gateway.decide(page, result);
  const payment = gateway.find(page);
  if (payment === null) return { status: 404, body: { error: 'there is no such payment' } };
  const button = (one: string): string => `<button name="result" value="${one}">${one}</button>`;
  const form = `<form method="post">${PAYMENT_RESULTS.map(button).join(' ')}</form>`;
  const text = `<!doctype html><title>Sandbox checkout</title><p>${payment.amountCents} cents: ${payment.state}</p>`;
  return { status: 200, body: payment.state === 'pending' ? text + form : text };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > BODY_BYTES_MAX) throw new Error('the body is too long');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** `node ops/rig/sandbox-gateway.ts`: settings from SANDBOX_… variables; says `ready` and its address. */
async function main(): Promise<void> {
  const setting = (name: string, usual: string): string => process.env[`SANDBOX_${name}`] ?? usual;
  const server = await startSandboxServer({
    port: Number(setting('PORT', '0')),
    apiKey: setting('API_KEY', ''),
    callbackSecret: utf8(setting('CALLBACK_SECRET', '')),
    callbackUrl: () => setting('CALLBACK_URL', 'http://127.0.0.1:8080/v1/payments/callback'),
    ...(setting('FILE', '') === '' ? {} : { file: setting('FILE', '') }),
    faults: { autoPayMs: Number(setting('AUTO_PAY_MS', '-1')) },
  });
  console.log(JSON.stringify({ event: 'ready', url: server.url }));
  process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
}

if (import.meta.main) await main();
