import { createHmac, timingSafeEqual } from 'node:crypto';
import { assert } from '../core/assert.ts';
import { utf8Length } from '../core/bytes.ts';
import { parseId } from '../core/ids.ts';
import { LIMITS } from '../core/limits.ts';
import { PAYMENT_RESULTS } from '../core/payment.ts';
import { cents, timeMs } from '../core/units.ts';
import type { Clock } from '../port/clock.ts';
import type { Callback, CallbackVerdict, ReceivedCallback } from '../port/payment-gateway.ts';
import {
  CALLBACK_AGE_MS_MAX,
  CALLBACK_BYTES_MAX,
  CALLBACK_SECRET_BYTES_MIN,
} from '../port/payment-gateway.ts';
import type { Random } from '../port/random.ts';

/** Only authentic callbacks are remembered, so that nobody else can fill it. 6 MB at most. */
const NONCES_MAX = 65_536;
/** A time may be off by the allowed age in both directions: a nonce counts this long. */
const NONCE_KEPT_MS = 2 * CALLBACK_AGE_MS_MAX;
const NONCE_BYTES = 16;

const TIMESTAMP = /^[1-9][0-9]{0,15}$/;
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const SIGNATURE = /^[0-9a-f]{64}$/;

/**
 * HMAC-SHA-256 over `timestamp.nonce.body`. Neither of the first two can hold a full stop, so that
 * no two callbacks have the same text.
 */
function mac(secret: Uint8Array, parts: Omit<ReceivedCallback, 'signature'>): Buffer {
  const { timestamp, nonce, body } = parts;
  return createHmac('sha256', secret).update(`${timestamp}.${nonce}.`).update(body).digest();
}

/** What a gateway does before each attempt to deliver: a new time and nonce every time. */
export function signCallback(args: {
  readonly secret: Uint8Array;
  readonly callback: Callback;
  readonly clock: Clock;
  readonly random: Random;
}): ReceivedCallback {
  const { secret, callback, clock, random } = args;
  const { paymentId, result, amountCents, reference, at } = callback;
  const text = JSON.stringify({ paymentId: String(paymentId), result, amountCents, reference, at });
  const timestamp = String(clock.now());
  const nonce = Buffer.from(random.bytes(NONCE_BYTES)).toString('hex');
  const body = Buffer.from(text);
  return {
    timestamp,
    nonce,
    body,
    signature: mac(secret, { timestamp, nonce, body }).toString('hex'),
  };
}

/** Checks callbacks under one secret [PG4]. After a restart it knows no nonces: settling is idempotent. */
export class CallbackVerifier {
  readonly #secret: Uint8Array;
  readonly #clock: Clock;
  readonly #noncesMax: number;
  /** nonce → when it was seen, monotonic ms; in that order. */
  readonly #seen = new Map<string, number>();

  /** @param args.secret at least {@link CALLBACK_SECRET_BYTES_MIN} bytes */
  constructor(args: { secret: Uint8Array; clock: Clock; noncesMax?: number }) {
    assert(args.secret.length >= CALLBACK_SECRET_BYTES_MIN, 'a callback secret has 32 bytes');
    this.#secret = args.secret.slice();
    this.#clock = args.clock;
    this.#noncesMax = args.noncesMax ?? NONCES_MAX;
  }

  /** Nonces that it remembers. */
  get remembered(): number {
    return this.#seen.size;
  }

  /** In this order: shape, signature, time, nonce. A forger learns nothing but that it is one. */
  verify(received: ReceivedCallback): CallbackVerdict {
    const { timestamp, nonce, signature, body } = received;
    if (!TIMESTAMP.test(timestamp) || !NONCE.test(nonce) || !SIGNATURE.test(signature)) {
      return { ok: false, reason: 'malformed' };
    }
    if (body.length === 0 || body.length > CALLBACK_BYTES_MAX) {
      return { ok: false, reason: 'malformed' };
    }
    if (!timingSafeEqual(mac(this.#secret, received), Buffer.from(signature, 'hex'))) {
      return { ok: false, reason: 'forged' };
    }
    if (Math.abs(this.#clock.now() - Number(timestamp)) > CALLBACK_AGE_MS_MAX) {
      return { ok: false, reason: 'stale' };
    }
    this.#forgetOld();
    if (this.#seen.has(nonce)) return { ok: false, reason: 'replayed' };
    const callback = readCallback(body);
    if (callback === null) return { ok: false, reason: 'malformed' };
    this.#seen.set(nonce, this.#clock.monotonicMs());
    return { ok: true, callback, release: () => void this.#seen.delete(nonce) };
  }

  #forgetOld(): void {
    const oldest = this.#clock.monotonicMs() - NONCE_KEPT_MS;
    for (const [nonce, seenMs] of this.#seen) {
      if (seenMs >= oldest && this.#seen.size < this.#noncesMax) return;
      this.#seen.delete(nonce);
    }
  }
}

/** Null when the body is not exactly what a gateway sends. */
function readCallback(body: Uint8Array): Callback | null {
  const parsed = parseObject(body);
  if (parsed === null || Object.keys(parsed).length !== 5) return null;
  const { paymentId, result, amountCents, reference, at } = parsed;
  const id = typeof paymentId === 'string' ? parseId(paymentId) : null;
  const became = PAYMENT_RESULTS.find((one) => one === result);
  if (id === null || id === 0n || became === undefined) return null;
  if (typeof reference !== 'string' || !isReference(reference)) return null;
  if (!isCount(amountCents) || amountCents === 0 || !isCount(at)) return null;
  return {
    paymentId: id,
    result: became,
    amountCents: cents(amountCents),
    reference,
    at: timeMs(at),
  };
}

/** What a gateway may call a payment, as `payment.settle` takes it. */
export function isReference(text: string): boolean {
  return text.isWellFormed() && utf8Length(text) <= LIMITS.paymentTextBytesMax;
}

/** A whole number that is not negative. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** JSON of one object; null for everything else. */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return { ...value };
  } catch {
    return null;
  }
}
