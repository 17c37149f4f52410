import { createHmac } from 'node:crypto';
import { assert } from '../core/assert.ts';
import type { Id } from '../core/ids.ts';
import type { PaymentResult } from '../core/payment.ts';
import type { Clock } from '../port/clock.ts';
import type {
  Callback,
  CallbackVerdict,
  Checkout,
  CheckoutReply,
  HostedCheckout,
  HostedPayment,
  PaymentGateway,
  PaymentReply,
  Payout,
  ReceivedCallback,
} from '../port/payment-gateway.ts';
import type { Random } from '../port/random.ts';
import { CALLBACK_HEADERS } from '../port/payment-gateway.ts';
import { CallbackVerifier, signCallback } from './callback-signature.ts';
import type { SandboxRecord } from './sandbox-ledger.ts';
import { SandboxLedger } from './sandbox-ledger.ts';

/** Tries to deliver one callback; what is lost then is found by whoever asks {@link SandboxGateway.stateOf}. */
const ATTEMPTS_MAX = 5;
const ATTEMPT_FIRST_MS = 1_000;
const SEND_TIMEOUT_MS = 5_000;
/** A destination with this in it refuses every payout. */
const DENIES = 'deny';

/** Delivers one signed callback; the HTTP status, or 0 when nobody answered. */
export type SendCallback = (signed: ReceivedCallback) => Promise<number>;

export type SandboxOptions = {
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  /** What stands before the name of a checkout page. */
  readonly checkoutBase: () => string;
  readonly send: SendCallback;
  /** Where it writes down what it did, so that a restart pays nothing twice. Absent: memory only. */
  readonly file?: string;
  /** What becomes of a payout; `pending` until {@link SandboxGateway.end}. Usual: paid, unless its destination says deny. */
  readonly decidePayout?: (payout: Payout) => PaymentResult | 'pending';
};

/**
 * A payment gateway without money: for the embedded mode, tests and proofs. People decide on the
 * checkout page, tests with {@link SandboxGateway.decide} and {@link SandboxGateway.end}.
 */
export class SandboxGateway implements PaymentGateway, HostedCheckout {
  readonly #options: SandboxOptions;
  readonly #verifier: CallbackVerifier;
  readonly #ledger: SandboxLedger;
  readonly #pages = new Map<string, Id>();
  #closed = false;

  /** Throws when `file` cannot be read or written. */
  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#verifier = new CallbackVerifier(options);
    this.#ledger = new SandboxLedger(options.file ?? null);
    for (const { paymentId } of this.#ledger.checkouts()) this.#addPage(paymentId);
  }

  createCheckout({ paymentId, amountCents, dueAt }: Checkout): Promise<CheckoutReply> {
    const known = this.#ledger.get(paymentId);
    if (known !== undefined && (known.kind !== 'checkout' || known.amountCents !== amountCents)) {
      return Promise.resolve({ kind: 'conflict' });
    }
    if (known === undefined) {
      const record = { paymentId, amountCents, dueAt, state: 'pending', reference: '' } as const;
      const isKept = this.#ledger.put({ kind: 'checkout', destination: '', ...record });
      if (!isKept) return Promise.resolve({ kind: 'away' });
    }
    const checkoutUrl = this.#options.checkoutBase() + this.#addPage(paymentId);
    return Promise.resolve({ kind: 'open', checkoutUrl });
  }

  payOut(payout: Payout): Promise<PaymentReply> {
    const { paymentId, amountCents, destination } = payout;
    const known = this.#ledger.get(paymentId);
    if (known === undefined) {
      const usual = destination.includes(DENIES) ? 'denied' : 'paid';
      const state = this.#options.decidePayout?.(payout) ?? usual;
      const reference = state === 'pending' ? '' : referenceOf(paymentId);
      const record = { paymentId, amountCents, destination, state, reference, dueAt: null };
      if (!this.#ledger.put({ kind: 'payout', ...record })) {
        return Promise.resolve({ kind: 'away' });
      }
    } else if (
      known.kind !== 'payout' ||
      known.amountCents !== amountCents ||
      known.destination !== destination
    ) {
      return Promise.resolve({ kind: 'conflict' });
    }
    return this.stateOf(paymentId);
  }

  stateOf(paymentId: Id): Promise<PaymentReply> {
    const known = this.#ledger.get(paymentId);
    if (known === undefined) return Promise.resolve({ kind: 'unknown' });
    const { state, amountCents, reference } = known;
    if (state === 'pending') return Promise.resolve({ kind: 'pending' });
    return Promise.resolve({ kind: state, amountCents, reference });
  }

  verify(received: ReceivedCallback): CallbackVerdict {
    return this.#verifier.verify(received);
  }

  /** Sends no more callbacks. */
  close(): Promise<void> {
    this.#closed = true;
    this.#ledger.close();
    return Promise.resolve();
  }

  find(page: string): HostedPayment | null {
    const record = this.#ofPage(page);
    if (record === undefined || record.dueAt === null) return null;
    const { amountCents, dueAt, state } = record;
    return { amountCents, dueAt, state };
  }

  /** A page can be paid until its payment is due [PG1c]; {@link end} does not mind the time. */
  decide(page: string, result: PaymentResult): boolean {
    const record = this.#ofPage(page);
    if (record === undefined || record.dueAt === null) return false;
    if (record.dueAt <= this.#options.clock.now()) return false;
    return this.end(record.paymentId, result);
  }

  /** Ends a pending payment and calls back. False: it had ended before, is not known, or the disk is full. */
  end(paymentId: Id, result: PaymentResult): boolean {
    const record = this.#ledger.get(paymentId);
    if (this.#closed || record?.state !== 'pending') return false;
    const reference = referenceOf(paymentId);
    if (!this.#ledger.put({ ...record, state: result, reference })) return false;
    void this.#callBack(paymentId, 1);
    return true;
  }

  async #callBack(paymentId: Id, attempt: number): Promise<void> {
    const record = this.#ledger.get(paymentId);
    assert(record !== undefined && record.state !== 'pending', 'it has ended');
    const { secret, clock, random, send } = this.#options;
    const { state: result, amountCents, reference } = record;
    const callback: Callback = { paymentId, result, amountCents, reference, at: clock.now() };
    const status = await send(signCallback({ secret, callback, clock, random })).catch(() => 0);
    const again = status === 0 || status === 429 || status >= 500;
    if (!again || attempt >= ATTEMPTS_MAX || this.#closed) return;
    clock.after(ATTEMPT_FIRST_MS * 2 ** (attempt - 1), () => {
      if (!this.#closed) void this.#callBack(paymentId, attempt + 1);
    });
  }

  /** Nobody finds the page of another by counting. The same name after a restart. */
  #addPage(paymentId: Id): string {
    const { secret } = this.#options;
    const page = createHmac('sha256', secret)
      .update(`page.${paymentId}`)
      .digest('hex')
      .slice(0, 32);
    this.#pages.set(page, paymentId);
    return page;
  }

  #ofPage(page: string): SandboxRecord | undefined {
    const paymentId = this.#pages.get(page);
    return paymentId === undefined ? undefined : this.#ledger.get(paymentId);
  }
}

function referenceOf(paymentId: Id): string {
  return `sandbox-${paymentId}`;
}

/** Brings a signed callback to an address of an access node; its HTTP status, 0 when nobody answered. */
export async function postCallback(url: string, signed: ReceivedCallback): Promise<number> {
  const { timestamp, nonce, signature, body } = signed;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [CALLBACK_HEADERS.timestamp]: timestamp,
        [CALLBACK_HEADERS.nonce]: nonce,
        [CALLBACK_HEADERS.signature]: signature,
      },
      body: Buffer.from(body),
      redirect: 'error',
      signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}
