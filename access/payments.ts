import { setOfId } from '../lib/core/ids.ts';
import { succeeded } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';
import { retryOf } from '../lib/core/status.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type {
  Callback,
  CallbackRefusal,
  PaymentGateway,
  ReceivedCallback,
} from '../lib/port/payment-gateway.ts';
import type { Router } from '../router/api.ts';
import { Bucket } from './admission.ts';

export const CALLBACK_PATH = '/v1/payments/callback';

/**
 * Of one address: callbacks that are not from the gateway. Those that are cost nothing, and are heard
 * whatever else comes from there: behind a proxy all senders have one address.
 */
const REFUSALS_PER_SECOND = 1;
const REFUSALS_BURST = 20;
/** Addresses that are remembered for that, 100 bytes each; the longest unheard is forgotten first. */
const ADDRESSES_MAX = 10_000;
/** What a gateway waits for at most; it asks again. */
const SETTLE_DEADLINE_MS = 3_000;
/** A Set that lost its leader has another one by then. */
const RETRY_AFTER_MS = 2_000;

/** What the gateway is told, and how long it should wait before it says it again. */
export type CallbackAnswer = {
  readonly status: 200 | 400 | 401 | 404 | 409 | 429 | 503;
  /** A word of a closed list. */
  readonly code: string;
  /** 0: it need not come again. */
  readonly retryAfterMs: number;
};

export type CallbackArgs = {
  readonly gateway: PaymentGateway;
  readonly router: Router;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

/**
 * Takes what the payment gateway says of payments and settles them at their home Sets. Idempotent:
 * a callback that comes again, also after a restart of ours, is answered as the first one was.
 */
export class Callbacks {
  readonly #args: CallbackArgs;
  readonly #answers;
  /** In the order in which they were last heard of. */
  readonly #buckets = new Map<string, { bucket: Bucket; waitUntilMs: number }>();

  constructor(args: CallbackArgs) {
    this.#args = args;
    this.#answers = args.metrics.counter({
      name: 'hongbao_access_callbacks_total',
      help: 'Callbacks of the payment gateway, by what was answered.',
      labels: ['code'],
    });
  }

  /** @param from the sender's address: only it pays for what it sends */
  async receive(received: ReceivedCallback, from: string): Promise<CallbackAnswer> {
    const answer = await this.#decide(received, from);
    this.#answers.add(1, { code: answer.code });
    return answer;
  }

  async #decide(received: ReceivedCallback, from: string): Promise<CallbackAnswer> {
    const verdict = this.#args.gateway.verify(received);
    if (!verdict.ok) return this.#refuse(verdict.reason, from);
    const answer = await this.#settle(verdict.callback);
    // It comes again with the same bytes if the gateway so wishes: nothing was done.
    if (answer.retryAfterMs > 0) verdict.release();
    return answer;
  }

  #refuse(reason: CallbackRefusal, from: string): CallbackAnswer {
    const { clock, log } = this.#args;
    const now = clock.monotonicMs();
    const known = this.#buckets.get(from);
    if (known !== undefined && known.waitUntilMs > now) {
      return { status: 429, code: 'rate_limited', retryAfterMs: known.waitUntilMs - now };
    }
    const limits = { perSecond: REFUSALS_PER_SECOND, burst: REFUSALS_BURST, nowMs: now };
    const bucket = known?.bucket ?? new Bucket(limits);
    this.#buckets.delete(from);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= ADDRESSES_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    this.#buckets.set(from, { bucket, waitUntilMs: now + bucket.take(now) });
    log.warn('callback_refused', { reason, from });
    return { status: reason === 'malformed' ? 400 : 401, code: reason, retryAfterMs: 0 };
  }

  async #settle(callback: Callback): Promise<CallbackAnswer> {
    const { router, log } = this.#args;
    const { paymentId, result, amountCents, reference } = callback;
    const set = setOfId(paymentId);
    if (!router.sets().includes(set)) return answerOf('payment_not_found');
    const settle = { type: 'payment.settle', paymentId, result, amountCents, reference } as const;
    const deadlineMs = SETTLE_DEADLINE_MS;
    const { outcome } = await router.command(set, settle, { deadlineMs });
    if (succeeded(outcome)) return { status: 200, code: 'settled', retryAfterMs: 0 };
    const answer = answerOf(outcome.status);
    if (answer.status === 409) {
      const { status } = outcome;
      log.error('callback_contradicts', { paymentId: String(paymentId), result, status });
    }
    return answer;
  }
}

/** What a refusal of the Set is to the gateway. */
function answerOf(status: Status): CallbackAnswer {
  // A full Set has room again some day, and the money has been paid.
  if (retryOf(status) === 'final' && status !== 'issue_limit') {
    return { status: httpOf(status), code: status, retryAfterMs: 0 };
  }
  return { status: 503, code: status, retryAfterMs: RETRY_AFTER_MS };
}

function httpOf(status: Status): 400 | 404 | 409 {
  if (status === 'payment_not_found' || status === 'wrong_set') return 404;
  // A Set of older rules has no payments: shape is all that it can judge.
  if (status === 'malformed' || status === 'bad_argument') return 400;
  return 409;
}
