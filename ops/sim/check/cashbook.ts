import type { Op } from '../../../reconciler/audit/decode.ts';
import { Violation } from '../../../reconciler/audit/violation.ts';

/** What the payment gateway believes of one payment. */
export type GatewayRecord = {
  readonly paymentId: bigint;
  readonly kind: 'checkout' | 'payout';
  readonly amountCents: number;
  readonly state: 'pending' | 'paid' | 'denied';
  /** It was told that this is settled. */
  readonly isTold: boolean;
};

/** A payment as somebody was told that it began. */
export type ToldPayment = {
  readonly user: string;
  readonly purpose: Entry['purpose'];
  /** Decimal string. */
  readonly paymentId: string;
  readonly amountCents: number;
  /** Epoch milliseconds; null for withdrawals. */
  readonly dueAt: number | null;
  /** Of the packet that it pays for, a decimal string; else null. */
  readonly packetId: string | null;
};

type Became = NonNullable<Extract<Op, { type: 'payment.settle' }>['outcome']['success']>['became'];
type Entry = {
  readonly purpose: 'topup' | 'packet' | 'withdraw';
  readonly user: string;
  readonly amountCents: number;
  readonly dueAt: number | null;
  readonly packetId: string | null;
  state: 'pending' | 'expired' | 'paid' | 'denied';
  became: Became | null;
};

const PURPOSES = {
  'wallet.topup': 'topup',
  'packet.pay': 'packet',
  'wallet.withdraw': 'withdraw',
} as const;

/**
 * Money that crossed the border, as the journals have it: held against what the gateway took and
 * paid, and against what people were told of their payments. How it is posted is held by the books.
 */
export class Cashbook {
  readonly #payments = new Map<bigint, Entry>();
  /** Command ids of freezes and adjustments that stand in a journal, by operator and id. */
  readonly #hands = new Set<string>();
  /** Welcome money and adjustments: what was issued without any gateway. */
  #givenCents = 0;

  /** The ops of the next committed entry of a Set. */
  add(ops: readonly Op[]): void {
    for (const op of ops) this.#add(op);
  }

  #add(op: Op): void {
    switch (op.type) {
      case 'wallet.open':
        if (op.outcome.success !== null) this.#givenCents += op.command.welcomeCents;
        return;
      case 'wallet.adjust':
        this.#hands.add(`${op.command.operator} ${op.command.commandId}`);
        if (op.outcome.success !== null) this.#givenCents += op.command.amountCents;
        return;
      case 'wallet.freeze':
        this.#hands.add(`${op.command.operator} ${op.command.commandId}`);
        return;
      case 'wallet.topup':
      case 'wallet.withdraw':
      case 'packet.pay': {
        const { success } = op.outcome;
        if (success === null) return;
        const isPacket = op.type === 'packet.pay';
        const { user, amountCents } = isPacket
          ? { user: op.command.definition.sender, amountCents: op.command.definition.totalCents }
          : op.command;
        this.#payments.set(success.paymentId, {
          purpose: PURPOSES[op.type],
          user,
          amountCents,
          dueAt: 'dueAt' in success ? success.dueAt : null,
          packetId: 'packetId' in success ? String(success.packetId) : null,
          state: 'pending',
          became: null,
        });
        return;
      }
      case 'payment.expire':
        this.#endOf(op.command.paymentId, 'expired', null);
        return;
      case 'payment.settle':
        if (op.outcome.success === null) return;
        this.#endOf(op.command.paymentId, op.command.result, op.outcome.success.became);
        return;
      default:
    }
  }

  #endOf(paymentId: bigint, state: Entry['state'], became: Became | null): void {
    const payment = this.#payments.get(paymentId);
    if (payment === undefined) throw new Violation(`M11 there is no payment ${paymentId}`);
    payment.state = state;
    payment.became = became;
  }

  /** Withdrawals that nobody has confirmed. */
  get withdrawing(): number {
    return this.#count(({ purpose, state }) => purpose === 'withdraw' && state === 'pending');
  }

  /** Payments by how they ended. */
  count(state: Entry['state']): number {
    return this.#count((payment) => payment.state === state);
  }

  #count(is: (payment: Entry) => boolean): number {
    let count = 0;
    for (const payment of this.#payments.values()) if (is(payment)) count += 1;
    return count;
  }

  /** A payment that waits for a word which the gateway has said; null: there is none. */
  whyNotHeard(records: readonly GatewayRecord[]): string | null {
    for (const { paymentId, state } of records) {
      const isPending = this.#payments.get(paymentId)?.state === 'pending';
      if (isPending && state !== 'pending') return `${paymentId} is ${state}, and pending here`;
    }
    return null;
  }

  /** What is not settled as the gateway says; null: nothing. */
  whyNotSettled(records: readonly GatewayRecord[]): string | null {
    for (const [paymentId, { state, purpose }] of this.#payments) {
      if (state === 'pending') return `${purpose} ${paymentId} is pending`;
    }
    for (const { paymentId, state, amountCents } of records) {
      const known = this.#payments.get(paymentId);
      if (state === 'paid' && known?.state !== 'paid') {
        return `the gateway has moved ${amountCents} cents for ${paymentId}, here it is ${known?.state}`;
      }
    }
    return null;
  }

  /** Everything, once nothing is on its way any more. Throws the first Violation. */
  finish(args: {
    records: readonly GatewayRecord[];
    told: readonly ToldPayment[];
    /** `operator commandId` of what operators were told was done. */
    hands: readonly string[];
    issuedCents: number;
    /** Was this packet shown to anybody? */
    isShown: (packetId: string) => boolean;
  }): void {
    const { records, told, hands, issuedCents, isShown } = args;
    for (const payment of told) this.#holdTold(payment);
    for (const key of hands) {
      if (!this.#hands.has(key)) throw new Violation(`I1 ${key} was answered, no journal has it`);
    }
    let takenCents = 0;
    let paidCents = 0;
    const byId = new Map(records.map((record) => [record.paymentId, record]));
    for (const record of records) {
      this.holdRecord(record);
      if (record.state !== 'paid') continue;
      if (record.kind === 'checkout') takenCents += record.amountCents;
      else paidCents += record.amountCents;
    }
    for (const [paymentId, { state, became, packetId, purpose }] of this.#payments) {
      const record = byId.get(paymentId);
      const isEnd = state === 'paid' || state === 'denied';
      if (isEnd && record?.state !== state) {
        throw new Violation(
          `M11 ${purpose} ${paymentId} is ${state}, at the gateway ${record?.state}`,
        );
      }
      if (packetId !== null && became !== 'sent' && isShown(packetId)) {
        throw new Violation(
          `M11 packet ${packetId} was shown, and its payment is ${state} ${became}`,
        );
      }
    }
    const wanted = this.#givenCents + takenCents - paidCents;
    if (issuedCents === wanted) return;
    const parts = `${this.#givenCents} given, ${takenCents} taken, ${paidCents} paid out`;
    throw new Violation(`M11 ${issuedCents} cents are issued: ${parts}`);
  }

  #holdTold(told: ToldPayment): void {
    const { user, purpose, paymentId, amountCents, dueAt, packetId } = told;
    const known = this.#payments.get(BigInt(paymentId));
    const what = `${user} was told of ${purpose} ${paymentId} of ${amountCents} c`;
    if (known === undefined) throw new Violation(`I1 ${what}, and no journal has it`);
    const isSame =
      known.user === user &&
      known.purpose === purpose &&
      known.amountCents === amountCents &&
      known.dueAt === dueAt &&
      known.packetId === packetId;
    if (!isSame) throw new Violation(`M10 ${what}, the journal has ${JSON.stringify(known)}`);
  }

  /** A payment as the gateway has it, once it has been told or nothing moves any more. */
  holdRecord({ paymentId, kind, amountCents, state, isTold }: GatewayRecord): void {
    const known = this.#payments.get(paymentId);
    const what = `${kind} ${paymentId} of ${amountCents} c, ${state} at the gateway`;
    if (known === undefined) throw new Violation(`I1 ${what}: no journal has it`);
    if (known.amountCents !== amountCents) {
      throw new Violation(`M11 ${what}: in the journal it is of ${known.amountCents}`);
    }
    if ((known.purpose === 'withdraw') !== (kind === 'payout')) {
      throw new Violation(`M11 ${what}: in the journal it is a ${known.purpose}`);
    }
    if (state === 'pending') {
      if (known.state !== 'expired') throw new Violation(`M11 ${what}: here it is ${known.state}`);
      return;
    }
    // A no that came too late changes nothing: nobody has paid either way.
    const isLateNo = state === 'denied' && known.state === 'expired';
    if (known.state === state || isLateNo) return;
    const heard = isTold ? ', and was told that it is settled' : '';
    throw new Violation(`M11 ${what}${heard}: here it is ${known.state}`);
  }
}
