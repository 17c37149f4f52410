import type { Id } from '../core/ids.ts';
import type { Cents } from '../core/units.ts';
import { cents } from '../core/units.ts';
import type { Clock } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import type {
  CallbackVerdict,
  Checkout,
  CheckoutReply,
  PaymentGateway,
  PaymentReply,
  Payout,
  ReceivedCallback,
} from '../port/payment-gateway.ts';
import { CallbackVerifier, isCount, isReference, parseObject } from './callback-signature.ts';

const TIMEOUT_MS = 5_000;
const ANSWER_BYTES_MAX = 16_384;

export type HttpGatewayOptions = {
  /** `https://gateway.example/api`, without a slash at its end. */
  readonly url: string;
  /** Sent as `authorization: Bearer …`. */
  readonly apiKey: string;
  /** Null: this process takes no callbacks, so all of them are forged. */
  readonly callbackSecret: Uint8Array | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeoutMs?: number;
};

type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

/** A gateway over HTTP (docs/OPERATIONS.md, Payments, has its four calls). */
export class HttpGateway implements PaymentGateway {
  readonly #options: HttpGatewayOptions;
  readonly #verifier: CallbackVerifier | null;
  readonly #closing = new AbortController();

  constructor(options: HttpGatewayOptions) {
    this.#options = options;
    const { callbackSecret: secret, clock } = options;
    this.#verifier = secret === null ? null : new CallbackVerifier({ secret, clock });
  }

  async createCheckout({ paymentId, amountCents, dueAt }: Checkout): Promise<CheckoutReply> {
    const asked = { paymentId: String(paymentId), amountCents, dueAt };
    const answer = await this.#post('/v1/checkouts', asked);
    if (answer?.status === 409) return { kind: 'conflict' };
    const url = answer?.status === 200 ? answer.body['checkoutUrl'] : null;
    if (typeof url === 'string' && isWebPage(url)) return { kind: 'open', checkoutUrl: url };
    return this.#unread('createCheckout', answer);
  }

  async payOut({ paymentId, amountCents, destination }: Payout): Promise<PaymentReply> {
    const asked = { paymentId: String(paymentId), amountCents, destination };
    const answer = await this.#post('/v1/payouts', asked);
    if (answer?.status === 409) return { kind: 'conflict' };
    return this.#replyOf('payOut', { answer, amountCents });
  }

  async stateOf(paymentId: Id): Promise<PaymentReply> {
    const answer = await this.#ask(`/v1/payments/${paymentId}`, { method: 'GET' });
    // The body says it, too: a wrong address answers 404 as well, and must not pass for the gateway.
    if (answer?.status === 404 && answer.body['state'] === 'unknown') return { kind: 'unknown' };
    return this.#replyOf('stateOf', { answer, amountCents: null });
  }

  verify(received: ReceivedCallback): CallbackVerdict {
    return this.#verifier?.verify(received) ?? { ok: false, reason: 'forged' };
  }

  /** What is under way ends as `away`. */
  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  /** @param of.amountCents what the answer must be about; null: whatever it says */
  #replyOf(call: string, of: { answer: Answer | null; amountCents: Cents | null }): PaymentReply {
    const { answer } = of;
    if (answer?.status !== 200) return this.#unread(call, answer);
    const { state, amountCents, reference } = answer.body;
    if (state === 'pending') return { kind: 'pending' };
    if (state !== 'paid' && state !== 'denied') return this.#unread(call, answer);
    if (!isCount(amountCents) || typeof reference !== 'string' || !isReference(reference)) {
      return this.#unread(call, answer);
    }
    if (of.amountCents !== null && of.amountCents !== amountCents) return { kind: 'conflict' };
    return { kind: state, amountCents: cents(amountCents), reference };
  }

  #post(path: string, asked: unknown): Promise<Answer | null> {
    return this.#ask(path, { method: 'POST', body: JSON.stringify(asked) });
  }

  /** Null: nobody answered in time, or not in JSON. */
  async #ask(path: string, request: { method: string; body?: string }): Promise<Answer | null> {
    const { url, apiKey, timeoutMs = TIMEOUT_MS } = this.#options;
    try {
      const response = await fetch(url + path, {
        ...request,
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        // The key is for this address only.
        redirect: 'error',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal]),
      });
      const body = parseObject(await bodyOf(response));
      return body === null ? null : { status: response.status, body };
    } catch {
      return null;
    }
  }

  #unread(call: string, answer: Answer | null): { kind: 'away' } {
    const { log } = this.#options;
    // Never the body: it may hold a person's account.
    log.warn('gateway_away', { call, status: answer?.status ?? 0 });
    return { kind: 'away' };
  }
}

/** Throws when it is too long to be an answer of ours. */
async function bodyOf(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body === null) return new Uint8Array();
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** What a browser may be sent to. */
function isWebPage(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && (parsed.protocol === 'https:' || parsed.protocol === 'http:');
}
