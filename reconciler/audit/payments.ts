import type { Account, Definition } from './parts.ts';
import type { OpOf } from './decode.ts';
import type { Effects } from './effects.ts';
import type { Ids } from './ids.ts';
import type { Place } from './place.ts';
import { CONTROL_LANE, setOf } from './words.ts';

/** An unpaid payment falls due so long after its entry. */
const LIFETIME_MS = 15 * 60_000;
/** So many payments of one person are under way at once. */
const UNDER_WAY_MAX = 8;

const ISSUER: Account = { kind: 'issuer' };
const GATEWAY: Account = { kind: 'gateway' };

type Payment = {
  readonly purpose: 'topup' | 'packet' | 'withdraw';
  readonly user: string;
  readonly amountCents: number;
  /** Log time from which it is late; withdrawals have none. */
  readonly dueAt: number;
  /** Of the packet that it is for. */
  readonly definition: Definition | null;
  /** `expired`: nobody waits for it, and real money that comes all the same is kept. */
  state: 'pending' | 'expired' | 'ended';
  /** Log time at which it came to its state. */
  since: number;
};
type Ended = { readonly paymentId: bigint; readonly at: number };

export type PaymentsDump = {
  readonly all: ReadonlyMap<bigint, Payment>;
  readonly ended: readonly Ended[];
  readonly frozen: ReadonlySet<string>;
  readonly forgottenId: bigint;
};

type Paid = {
  readonly op: OpOf<'wallet.topup'> | OpOf<'wallet.withdraw'> | OpOf<'packet.pay'>;
  readonly place: Place;
  readonly ids: Ids;
};

/** Money that enters from and leaves to a gateway: moved once, and never dropped (M11). */
export class Payments {
  #all = new Map<bigint, Payment>();
  readonly #underWay = new Map<string, number>();
  #ended: Ended[] = [];
  #frozen = new Set<string>();
  /** Highest id of those that expired and were forgotten: real money may still come for them. */
  #forgottenId = -1n;

  dump(): PaymentsDump {
    return {
      all: this.#all,
      ended: this.#ended,
      frozen: this.#frozen,
      forgottenId: this.#forgottenId,
    };
  }

  restore({ all, ended, frozen, forgottenId }: PaymentsDump): void {
    this.#all = new Map(all);
    this.#ended = [...ended];
    this.#frozen = new Set(frozen);
    this.#forgottenId = forgottenId;
    this.#underWay.clear();
    for (const { user, state } of all.values()) if (state === 'pending') this.#count(user, 1);
  }

  /** What ended or expired before this log time leaves memory. */
  forget(before: number): void {
    const kept = this.#ended.findIndex(({ at }) => at >= before);
    const gone = this.#ended.splice(0, kept === -1 ? this.#ended.length : kept);
    for (const { paymentId } of gone) {
      const payment = this.#all.get(paymentId);
      if (payment === undefined || payment.since >= before) continue;
      this.#all.delete(paymentId);
      const mayCome = payment.state === 'expired' && paymentId > this.#forgottenId;
      if (mayCome) this.#forgottenId = paymentId;
    }
  }

  /** Payments in memory. */
  get size(): number {
    return this.#all.size;
  }

  freeze(op: OpOf<'wallet.freeze'>, place: Place): void {
    const { user, frozen } = op.command;
    if (op.outcome.success?.frozen !== frozen) {
      throw place.broken('M12', `${user} is told the wallet is frozen: ${!frozen}`);
    }
    if (frozen) this.#frozen.add(user);
    else this.#frozen.delete(user);
  }

  /** M12: a frozen wallet sends nothing and pays nothing. */
  holdWarm(user: string, place: Place): void {
    if (this.#frozen.has(user)) throw place.broken('M12', `the wallet of ${user} is frozen`);
  }

  /** C1: who is refused because of what he has under way, or because he is frozen, is that. */
  holdRefusal(args: { user: string; status: string; place: Place }): void {
    const { user, status, place } = args;
    const count = this.#underWay.get(user) ?? 0;
    if (status === 'too_many_payments' && count < UNDER_WAY_MAX) {
      throw place.broken('C1', `${user} has ${count} payments under way and is refused one`);
    }
    if (status === 'wallet_frozen' && !this.#frozen.has(user)) {
      throw place.broken('C1', `the wallet of ${user} is not frozen and is refused for it`);
    }
  }

  begin({ op, place, ids }: Paid): void {
    const success = op.outcome.success;
    if (success === null) throw place.broken('M11', 'a refused payment begins');
    const isPacket = op.type === 'packet.pay';
    const user = isPacket ? op.command.definition.sender : op.command.user;
    const amountCents = isPacket ? op.command.definition.totalCents : op.command.amountCents;
    this.holdWarm(user, place);
    ids.mint(success.paymentId, place);
    if (amountCents < 1) throw place.broken('M11', `a payment of ${amountCents} cents`);
    const dueAt = 'dueAt' in success ? success.dueAt : Infinity;
    if (dueAt !== Infinity && dueAt !== place.ts + LIFETIME_MS) {
      throw place.broken('M11', `payment ${success.paymentId} is due ${dueAt - place.ts} ms later`);
    }
    const definition = isPacket ? op.command.definition : null;
    this.#all.set(success.paymentId, {
      purpose: PURPOSES[op.type],
      user,
      amountCents,
      dueAt,
      definition:
        definition === null ? null : { ...definition, bytes: new Uint8Array(definition.bytes) },
      state: 'pending',
      since: place.ts,
    });
    const underWay = this.#count(user, 1);
    if (underWay > UNDER_WAY_MAX) {
      throw place.broken('M11', `${user} has ${underWay} payments under way`);
    }
  }

  expire(op: OpOf<'payment.expire'>, place: Place): void {
    const { paymentId } = op.command;
    const payment = this.#find(paymentId, place);
    const { purpose, state, dueAt, user } = payment;
    const what = `payment ${paymentId}:`;
    if (purpose === 'withdraw') throw place.broken('M11', `${what} a withdrawal expires`);
    if (state !== 'pending') throw place.broken('M11', `${what} it expires and is ${state}`);
    if (place.ts < dueAt) throw place.broken('M11', `${what} ends ${dueAt - place.ts} ms early`);
    payment.state = 'expired';
    payment.since = place.ts;
    this.#count(user, -1);
    this.#ended.push({ paymentId, at: place.ts });
  }

  settle(args: { op: OpOf<'payment.settle'>; place: Place; effects: Effects }): void {
    const { op, place, effects } = args;
    const { paymentId, result, amountCents } = op.command;
    const payment = this.#all.get(paymentId) ?? this.#late(op, place);
    const { user, purpose, state } = payment;
    const said = op.outcome.success;
    const what = `payment ${paymentId}:`;
    if (state === 'ended') throw place.broken('M11', `${what} it is settled again`);
    if (amountCents !== payment.amountCents || said?.amountCents !== amountCents) {
      const told = `${said?.amountCents} are told`;
      throw place.broken('M11', `${what} ${amountCents} cents of ${payment.amountCents}, ${told}`);
    }
    if (said.user !== user) throw place.broken('M11', `${what} it is of ${user}, not ${said.user}`);
    if (!ends({ payment, result, at: place.ts }).includes(said.became)) {
      throw place.broken('M11', `${what} a ${state} ${purpose} is ${result} and ${said.became}`);
    }
    const wallet: Account = { kind: 'wallet', user };
    switch (said.became) {
      case 'credited':
        effects.move({ from: ISSUER, to: wallet, amountCents });
        break;
      case 'sent':
        this.#place({ payment, place, effects });
        break;
      case 'paid_out':
        effects.move({ from: GATEWAY, to: ISSUER, amountCents });
        break;
      case 'returned':
        effects.move({ from: GATEWAY, to: wallet, amountCents });
        break;
      case 'dropped':
        break;
    }
    if (state === 'pending') this.#count(user, -1);
    payment.state = 'ended';
    payment.since = place.ts;
    this.#ended.push({ paymentId, at: place.ts });
  }

  /** A packet that was paid from outside goes its way as one that was paid from the wallet. */
  #place(args: { payment: Payment; place: Place; effects: Effects }): void {
    const { payment, place, effects } = args;
    const { definition, amountCents } = payment;
    if (definition === null) throw place.broken('M11', 'a payment without a packet is sent');
    const to = setOf(definition.packetId);
    effects.move({ from: ISSUER, to: { kind: 'clearing', peer: to }, amountCents });
    const transfer = { kind: 'packet.create', definition, sentAt: place.ts } as const;
    effects.send({ to, lanes: [CONTROL_LANE], transfer });
  }

  /** Money for a payment that expired so long ago that only the full audit knows of it. */
  #late(op: OpOf<'payment.settle'>, place: Place): Payment {
    const { paymentId } = op.command;
    const said = op.outcome.success;
    if (said === null || paymentId > this.#forgottenId) return this.#find(paymentId, place);
    const { user, amountCents } = said;
    const topup = { purpose: 'topup', user, amountCents, dueAt: 0, definition: null } as const;
    const payment: Payment = { ...topup, state: 'expired', since: place.ts };
    this.#all.set(paymentId, payment);
    return payment;
  }

  #find(paymentId: bigint, place: Place): Payment {
    const payment = this.#all.get(paymentId);
    if (payment === undefined) throw place.broken('M11', `there is no payment ${paymentId}`);
    return payment;
  }

  #count(user: string, change: 1 | -1): number {
    const count = (this.#underWay.get(user) ?? 0) + change;
    if (count === 0) this.#underWay.delete(user);
    else this.#underWay.set(user, count);
    return count;
  }
}

const PURPOSES = {
  'wallet.topup': 'topup',
  'wallet.withdraw': 'withdraw',
  'packet.pay': 'packet',
} as const;

type Became = NonNullable<OpOf<'payment.settle'>['outcome']['success']>['became'];

/** What a gateway's word may make of a payment. */
function ends(args: {
  payment: Payment;
  result: 'paid' | 'denied';
  at: number;
}): readonly Became[] {
  const { payment, result, at } = args;
  const { purpose, state, dueAt } = payment;
  if (purpose === 'withdraw') return result === 'paid' ? ['paid_out'] : ['returned'];
  // What was given up and never came changes nothing: it has no place in a journal (C7).
  if (result === 'denied') return state === 'pending' ? ['dropped'] : [];
  // In time it may still be credited: the packet's place may be gone.
  const isInTime = purpose === 'packet' && state === 'pending' && at < dueAt;
  return isInTime ? ['sent', 'credited'] : ['credited'];
}
