import { unreachable } from './assert.ts';
import type { Reader, Writer } from './bytes.ts';
import { DecodeError, utf8Length } from './bytes.ts';
import type { Grant } from './grant.ts';
import { readGrant, writeGrant } from './grant.ts';
import type { CommandId, Id } from './ids.ts';
import { commandIdBytes, commandIdFromBytes, readId } from './ids.ts';
import { LIMITS } from './limits.ts';
import type { PacketDefinition } from './packet.ts';
import { checkDefinition, readDefinition, readUser, writeDefinition } from './packet.ts';
import type { Status } from './status.ts';
import type { Cents } from './units.ts';
import { cents } from './units.ts';
import type { UserId } from './user.ts';

/** What money comes in or goes out for. */
export const PAYMENT_PURPOSES = ['topup', 'packet', 'withdraw'] as const;
export type PaymentPurpose = (typeof PAYMENT_PURPOSES)[number];

/** What the gateway said in the end. */
export const PAYMENT_RESULTS = ['paid', 'denied'] as const;
export type PaymentResult = (typeof PAYMENT_RESULTS)[number];

/** Where a payment is. Only `pending` has not ended; `expired` money that comes late still counts. */
export const PAYMENT_STATES = ['pending', 'paid', 'denied', 'expired'] as const;

/**
 * What settling did: credited (the wallet has it), sent (the packet is on its way), paid_out (it
 * has left), returned (a denied withdrawal is back in the wallet), dropped (it never came).
 */
export const BECAME = ['credited', 'sent', 'paid_out', 'returned', 'dropped'] as const;
export type Became = (typeof BECAME)[number];

/** Commands of rules 3: payments, and what an operator does to a wallet (SPEC section C). */
export type PaymentCommand =
  | { type: 'wallet.topup'; commandId: CommandId; user: UserId; amountCents: Cents }
  | {
      type: 'wallet.withdraw';
      commandId: CommandId;
      user: UserId;
      amountCents: Cents;
      /** Where to, in the words of the gateway: a masked account, never a secret. */
      destination: string;
    }
  /** A packet that is paid from outside: it is sent once the gateway says that it was paid. */
  | { type: 'packet.pay'; commandId: CommandId; definition: PacketDefinition; grant: Grant | null }
  | {
      type: 'payment.settle';
      paymentId: Id;
      result: PaymentResult;
      amountCents: Cents;
      /** The gateway's own name of the transaction. */
      reference: string;
    }
  | { type: 'payment.expire'; paymentId: Id }
  | {
      type: 'wallet.freeze';
      commandId: CommandId;
      operator: UserId;
      user: UserId;
      frozen: boolean;
      reason: string;
    }
  | {
      type: 'wallet.adjust';
      commandId: CommandId;
      operator: UserId;
      user: UserId;
      /** Not 0; below 0 it takes away. */
      amountCents: Cents;
      reason: string;
    };

export const PAYMENT_COMMAND_CODES: Record<PaymentCommand['type'], number> = {
  'wallet.topup': 15,
  'wallet.withdraw': 16,
  'packet.pay': 17,
  'payment.settle': 18,
  'payment.expire': 19,
  'wallet.freeze': 20,
  'wallet.adjust': 21,
};

const PAYMENT_TYPES: ReadonlySet<string> = new Set(Object.keys(PAYMENT_COMMAND_CODES));

export function isPaymentType(type: string): type is PaymentCommand['type'] {
  return PAYMENT_TYPES.has(type);
}

export function isPaymentCommand(c: { readonly type: string }): c is PaymentCommand {
  return isPaymentType(c.type);
}

/** The fields behind the command's code. */
export function writePaymentCommand(w: Writer, c: PaymentCommand): void {
  if ('commandId' in c) w.fixed(commandIdBytes(c.commandId), 16);
  switch (c.type) {
    case 'wallet.topup':
      w.text(c.user);
      w.u64(c.amountCents);
      return;
    case 'wallet.withdraw':
      w.text(c.user);
      w.u64(c.amountCents);
      w.text(c.destination);
      return;
    case 'packet.pay':
      writeDefinition(w, c.definition);
      writeGrant(w, c.grant);
      return;
    case 'payment.settle':
      w.big(c.paymentId);
      w.u8(PAYMENT_RESULTS.indexOf(c.result));
      w.u64(c.amountCents);
      w.text(c.reference);
      return;
    case 'payment.expire':
      w.big(c.paymentId);
      return;
    case 'wallet.freeze':
      w.text(c.operator);
      w.text(c.user);
      w.u8(c.frozen ? 1 : 0);
      w.text(c.reason);
      return;
    case 'wallet.adjust':
      w.text(c.operator);
      w.text(c.user);
      w.i64(c.amountCents);
      w.text(c.reason);
      return;
    default:
      unreachable(c);
  }
}

/** The pair of {@link writePaymentCommand}. Throws DecodeError. */
export function readPaymentCommand(r: Reader, type: PaymentCommand['type']): PaymentCommand {
  switch (type) {
    case 'wallet.topup': {
      const commandId = readCommandId(r);
      return { type, commandId, user: readUser(r), amountCents: cents(r.u64()) };
    }
    case 'wallet.withdraw': {
      const commandId = readCommandId(r);
      const user = readUser(r);
      const amountCents = cents(r.u64());
      return { type, commandId, user, amountCents, destination: r.text() };
    }
    case 'packet.pay': {
      const commandId = readCommandId(r);
      return { type, commandId, definition: readDefinition(r), grant: readGrant(r) };
    }
    case 'payment.settle': {
      const paymentId = readId(r);
      const result = PAYMENT_RESULTS[r.u8()];
      if (result === undefined) throw new DecodeError('unknown payment result');
      const amountCents = cents(r.u64());
      return { type, paymentId, result, amountCents, reference: r.text() };
    }
    case 'payment.expire':
      return { type, paymentId: readId(r) };
    case 'wallet.freeze': {
      const commandId = readCommandId(r);
      const operator = readUser(r);
      const user = readUser(r);
      const frozen = readBit(r);
      return { type, commandId, operator, user, frozen, reason: r.text() };
    }
    case 'wallet.adjust': {
      const commandId = readCommandId(r);
      const operator = readUser(r);
      const user = readUser(r);
      const amountCents = cents(r.i64());
      return { type, commandId, operator, user, amountCents, reason: r.text() };
    }
    default:
      return unreachable(type);
  }
}

function readCommandId(r: Reader): CommandId {
  return commandIdFromBytes(r.fixed(16));
}

function readBit(r: Reader): boolean {
  const value = r.u8();
  if (value > 1) throw new DecodeError('a flag is 0 or 1');
  return value === 1;
}

/** Shape checks that need no state; null: well shaped. */
export function checkPaymentShape(c: PaymentCommand): Status | null {
  switch (c.type) {
    case 'wallet.topup':
      if (c.amountCents > LIMITS.topupCentsMax) return 'amount_out_of_range';
      return isAmount(c.amountCents) ? null : 'amount_out_of_range';
    case 'wallet.withdraw':
      if (c.destination === '' || !isShortText(c.destination)) return 'bad_argument';
      return isAmount(c.amountCents) ? null : 'amount_out_of_range';
    case 'packet.pay':
      return checkDefinition(c.definition);
    case 'payment.settle':
      if (!isShortText(c.reference)) return 'bad_argument';
      return isAmount(c.amountCents) ? null : 'amount_out_of_range';
    case 'payment.expire':
      return null;
    case 'wallet.freeze':
      return isShortText(c.reason) ? null : 'bad_argument';
    case 'wallet.adjust':
      if (!isShortText(c.reason)) return 'bad_argument';
      return isAmount(Math.abs(c.amountCents)) ? null : 'amount_out_of_range';
    default:
      return unreachable(c);
  }
}

function isAmount(amountCents: number): boolean {
  return amountCents >= 1 && amountCents <= LIMITS.issuedCentsMax;
}

function isShortText(text: string): boolean {
  return text.isWellFormed() && utf8Length(text) <= LIMITS.paymentTextBytesMax;
}

/** The day that a person's tally is kept for: days begin at midnight of UTC+8, whatever the season. */
export function dayOf(ts: number): number {
  return Math.floor((ts + 8 * 3_600_000) / 86_400_000);
}
