import type { Id } from '../core/ids.ts';
import type { PaymentResult } from '../core/payment.ts';
import type { Cents, TimeMs } from '../core/units.ts';

/**
 * Where money enters and leaves (SPEC section PG). Everything is named by the paymentId that the
 * payer's home Set minted, so asking twice is asking once. Nothing here rejects: a gateway that is
 * away, slow or wrong is an answer.
 */
export interface PaymentGateway {
  /** [PG1] A page where this amount can be paid until `dueAt`. The same payment, the same page. */
  createCheckout(asked: Checkout): Promise<CheckoutReply>;
  /** [PG2] Pays out, once for each paymentId however often it is asked. */
  payOut(asked: Payout): Promise<PaymentReply>;
  /** [PG3] What became of a payment; callbacks get lost. */
  stateOf(paymentId: Id): Promise<PaymentReply>;
  /** [PG4] Is this really from the gateway, fresh, and not seen before? Costs no hop. */
  verify(received: ReceivedCallback): CallbackVerdict;
  close(): Promise<void>;
}

export type Checkout = {
  readonly paymentId: Id;
  readonly amountCents: Cents;
  /** Nobody should be able to pay after it; one who did gets the money in the wallet. */
  readonly dueAt: TimeMs;
};

export type Payout = {
  readonly paymentId: Id;
  readonly amountCents: Cents;
  /** The gateway's own word for a bank account or card. */
  readonly destination: string;
};

/** `away`: no answer in time, or none that can be read; it may have been done. */
export type CheckoutReply =
  | { readonly kind: 'open'; readonly checkoutUrl: string }
  /** Known with another amount or as a payout: a bug, or two clusters on one gateway account. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'away' };

export type PaymentReply =
  | { readonly kind: 'pending' }
  | Ended
  /** The gateway has never heard of it. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'away' };

export type Ended = {
  readonly kind: PaymentResult;
  readonly amountCents: Cents;
  /** The gateway's own number of it, at most LIMITS.paymentTextBytesMax bytes. */
  readonly reference: string;
};

/** A shorter secret could be guessed, and a mistyped setting would be one. */
export const CALLBACK_SECRET_BYTES_MIN = 32;
/** A callback is a line of JSON; more is not one. */
export const CALLBACK_BYTES_MAX = 4_096;
/** [PG4b] How far the callback's time may be from ours, both ways. */
export const CALLBACK_AGE_MS_MAX = 5 * 60_000;

export const CALLBACK_HEADERS = {
  timestamp: 'x-hongbao-timestamp',
  nonce: 'x-hongbao-nonce',
  signature: 'x-hongbao-signature',
} as const;

/** As it came over the wire; a header that is missing is empty. */
export type ReceivedCallback = {
  readonly timestamp: string;
  readonly nonce: string;
  readonly signature: string;
  /** The bytes that were signed, not what a parser made of them. */
  readonly body: Uint8Array;
};

export type Callback = {
  readonly paymentId: Id;
  readonly result: PaymentResult;
  readonly amountCents: Cents;
  readonly reference: string;
  readonly at: TimeMs;
};

export const CALLBACK_REFUSALS = ['malformed', 'forged', 'stale', 'replayed'] as const;
export type CallbackRefusal = (typeof CALLBACK_REFUSALS)[number];

export type CallbackVerdict =
  | {
      readonly ok: true;
      readonly callback: Callback;
      /** It could not be dealt with: the same bytes may come again. */
      readonly release: () => void;
    }
  | { readonly ok: false; readonly reason: CallbackRefusal };

/** A gateway in this process, whose checkout pages are served by our own door (the sandbox). */
export interface HostedCheckout {
  /** null: there is no page of that name. */
  find(page: string): HostedPayment | null;
  /** What the payer chose. False when it had ended before, or there is no such page. */
  decide(page: string, result: PaymentResult): boolean;
}

export type HostedPayment = {
  readonly amountCents: Cents;
  readonly dueAt: TimeMs;
  readonly state: 'pending' | PaymentResult;
};
