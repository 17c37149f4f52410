import { assert } from '../../lib/core/assert.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Became } from '../../lib/core/payment.ts';
import type { Cents, Lsn, TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';

/** What a payment is for. A withdrawal is never given up, so that it has no time at which it is due. */
export type PaymentTerms =
  | { readonly purpose: 'topup'; readonly createdAt: TimeMs; readonly dueAt: TimeMs }
  | {
      readonly purpose: 'packet';
      readonly createdAt: TimeMs;
      readonly dueAt: TimeMs;
      readonly definition: PacketDefinition;
    }
  | { readonly purpose: 'withdraw'; readonly createdAt: TimeMs; readonly destination: string };

/** How a payment ended. Money for an expired one may still come: then it ends as paid. */
export type PaymentEnd =
  | { readonly kind: 'expired'; readonly at: TimeMs; readonly lsn: Lsn }
  | {
      readonly kind: 'paid' | 'denied';
      readonly became: Became;
      readonly reference: string;
      readonly at: TimeMs;
      readonly lsn: Lsn;
    };

export type Payment = {
  readonly paymentId: Id;
  readonly owner: UserId;
  readonly amountCents: Cents;
  /** null: it had expired and left memory when its money came after all. */
  readonly terms: PaymentTerms | null;
  end: PaymentEnd | null;
};

/** When a leader gives it up; null: it waits for the gateway as long as it takes. */
export function dueAtOf({ terms }: Payment): TimeMs | null {
  return terms === null || terms.purpose === 'withdraw' ? null : terms.dueAt;
}

/** Payments of the people at home: all that are under way, and those that ended lately. */
export class Payments {
  readonly #byId = new Map<Id, Payment>();
  /** Those that have not ended, in the order of their ids: they are asked for once a second. */
  readonly #pending = new Map<Id, Payment>();
  readonly #underWay = new Map<UserId, number>();
  #comingCents = 0;
  #goingCents = 0;

  get size(): number {
    return this.#byId.size;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Money that pending payments would bring in. */
  get comingCents(): number {
    return this.#comingCents;
  }

  /** Money of pending withdrawals: what the account `gateway` holds. */
  get goingCents(): number {
    return this.#goingCents;
  }

  get(paymentId: Id): Payment | undefined {
    return this.#byId.get(paymentId);
  }

  values(): IterableIterator<Payment> {
    return this.#byId.values();
  }

  /** As they were minted: by id. */
  pending(): IterableIterator<Payment> {
    return this.#pending.values();
  }

  /** How many payments of this person have not ended. */
  underWay(user: UserId): number {
    return this.#underWay.get(user) ?? 0;
  }

  add(payment: Payment): void {
    assert(!this.#byId.has(payment.paymentId), 'a payment is made once');
    this.#byId.set(payment.paymentId, payment);
    if (payment.end === null) this.#count(payment, 1);
  }

  /** Asserts M11: a payment ends once, but for money that comes after it expired. */
  end(payment: Payment, end: PaymentEnd): void {
    const isLate = payment.end?.kind === 'expired' && end.kind === 'paid';
    assert(payment.end === null || isLate, 'M11: a payment ends once');
    if (payment.end === null) this.#count(payment, -1);
    payment.end = end;
  }

  /** Forgets what is old enough and stands in projections that may be asked instead. */
  evict(args: { ts: TimeMs; projectedLsn: Lsn }): void {
    for (const [paymentId, { end }] of this.#byId) {
      if (end === null || end.lsn > args.projectedLsn) continue;
      if (end.at + LIMITS.answerKeptMs < args.ts) this.#byId.delete(paymentId);
    }
  }

  #count(payment: Payment, sign: 1 | -1): void {
    const { paymentId, owner, amountCents, terms } = payment;
    if (sign === 1) this.#pending.set(paymentId, payment);
    else this.#pending.delete(paymentId);
    const left = this.underWay(owner) + sign;
    assert(left >= 0, 'nothing ends twice');
    if (left === 0) this.#underWay.delete(owner);
    else this.#underWay.set(owner, left);
    if (terms?.purpose === 'withdraw') this.#goingCents += sign * amountCents;
    else this.#comingCents += sign * amountCents;
  }
}
