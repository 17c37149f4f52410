/** The payments of a model Set: plain records, written from SPEC M11, M12 and C16, not from set-node. */
import type { Command } from '../../lib/core/command.ts';
import type { PaymentCommand } from '../../lib/core/payment.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Decision } from '../../set-node/machine/context.ts';
import type { Facts } from './machine-agree.ts';
import { agree, setOf } from './machine-agree.ts';

export type ModelPayment = {
  readonly id: bigint;
  readonly user: string;
  readonly amount: number;
  readonly due: number | null;
  readonly definition: PacketDefinition | null;
  readonly purpose: 'topup' | 'packet' | 'withdraw';
  state: 'pending' | 'paid' | 'denied' | 'expired';
  became: string;
};

/** What a test allows; so little that random days go beyond it. */
export const TIGHT = { dailyCentsMax: 600, dailyPacketsMax: 2, shareCentsMax: 10_000 };
const QUARTER_MS = 900_000;

type Of<Type extends Command['type']> = Extract<Command, { type: Type }>;

/** What payments need of the Set around them. */
type Around = {
  readonly set: number;
  readonly rules: number;
  readonly wallets: Record<string, number>;
  issued: number;
  homeOf(user: string): number;
  pay(user: string, amount: number): void;
  maySend(command: Of<'packet.pay'>, facts: Facts): string;
  create(definition: PacketDefinition, facts: Facts): void;
  minted(id: bigint): bigint;
};

export class ModelPayments {
  readonly #set: Around;
  readonly all: ModelPayment[] = [];
  frozen: Record<string, boolean> = {};
  atGateway = 0;
  #sentOn: Record<string, { cents: number; packets: number }> = {};

  constructor(set: Around) {
    this.#set = set;
  }

  step(command: PaymentCommand, facts: Facts, decision: Decision): string {
    switch (command.type) {
      case 'wallet.topup':
      case 'wallet.withdraw':
        return this.#begin(command, facts, decision);
      case 'packet.pay':
        return this.#pay(command, facts, decision);
      case 'payment.settle':
        return this.#settle(command, facts, decision);
      case 'payment.expire':
        return this.#expire(command, facts);
      case 'wallet.freeze':
        if (this.#set.homeOf(command.user) !== this.#set.set) return 'moved';
        this.frozen[command.user] = command.frozen;
        return 'ok';
      case 'wallet.adjust': {
        if (this.#set.homeOf(command.user) !== this.#set.set) return 'moved';
        const balance = (this.#set.wallets[command.user] ?? 0) + command.amountCents;
        if (balance < 0) return 'insufficient_funds';
        this.#set.issued += command.amountCents;
        this.#set.pay(command.user, command.amountCents);
        const { outcome } = decision;
        if ('balanceCents' in outcome) agree('adjusted', outcome.balanceCents, balance);
        return 'ok';
      }
    }
  }

  /** What the operator allows of a packet itself, asked before anything else. */
  allowed(definition: PacketDefinition): string {
    return definition.totalCents > definition.count * TIGHT.shareCentsMax
      ? 'amount_out_of_range'
      : 'ok';
  }

  today(definition: PacketDefinition, facts: Facts): string {
    if (this.#set.rules < 3) return 'ok';
    const { cents, packets } = this.#sentOn[this.#day(definition, facts)] ?? NOTHING;
    const isBeyond =
      cents + definition.totalCents > TIGHT.dailyCentsMax || packets >= TIGHT.dailyPacketsMax;
    return isBeyond ? 'daily_limit' : 'ok';
  }

  tally(definition: PacketDefinition, facts: Facts): void {
    if (this.#set.rules < 3) return;
    const day = (this.#sentOn[this.#day(definition, facts)] ??= { ...NOTHING });
    day.cents += definition.totalCents;
    day.packets += 1;
  }

  /** The date in China is the person's day. */
  #day({ sender }: PacketDefinition, { ts }: Facts): string {
    return `${new Date(ts + 28_800_000).toISOString().slice(0, 10)} ${sender}`;
  }

  #mayPay(user: string): string {
    if (this.frozen[user]) return 'wallet_frozen';
    const open = this.all.filter((each) => each.user === user && each.state === 'pending');
    return open.length >= 8 ? 'too_many_payments' : 'ok';
  }

  #begin(
    command: Of<'wallet.topup'> | Of<'wallet.withdraw'>,
    facts: Facts,
    { outcome }: Decision,
  ): string {
    const { user, amountCents: amount } = command;
    if (this.#set.homeOf(user) !== this.#set.set) return 'moved';
    const may = this.#mayPay(user);
    if (may !== 'ok') return may;
    const isOut = command.type === 'wallet.withdraw';
    if (isOut && (this.#set.wallets[user] ?? 0) < amount) return 'insufficient_funds';
    if (!('paymentId' in outcome)) return 'ok';
    const id = this.#set.minted(outcome.paymentId);
    const open = { id, user, amount, definition: null, state: 'pending', became: '' } as const;
    if (isOut) {
      this.#set.pay(user, -amount);
      this.atGateway += amount;
      this.all.push({ ...open, purpose: 'withdraw', due: null });
      if ('balanceCents' in outcome) agree('left', outcome.balanceCents, this.#set.wallets[user]);
      return 'ok';
    }
    const due = facts.ts + QUARTER_MS;
    this.all.push({ ...open, purpose: 'topup', due });
    if ('dueAt' in outcome) agree('due', outcome.dueAt, due);
    return 'ok';
  }

  #pay(command: Of<'packet.pay'>, facts: Facts, { outcome }: Decision): string {
    const { definition } = command;
    const { sender: user, totalCents: amount } = definition;
    if (this.#set.homeOf(user) !== this.#set.set) return 'moved';
    const refused = [
      this.allowed(definition),
      this.#set.maySend(command, facts),
      this.#mayPay(user),
      this.today(definition, facts),
    ].find((each) => each !== 'ok');
    if (refused !== undefined) return refused;
    if (!('paymentId' in outcome) || !('dueAt' in outcome)) return 'ok';
    this.tally(definition, facts);
    const id = this.#set.minted(outcome.paymentId);
    const due = facts.ts + QUARTER_MS;
    agree('due', outcome.dueAt, due);
    const open = { id, user, amount, definition, due } as const;
    this.all.push({ ...open, purpose: 'packet', state: 'pending', became: '' });
    return 'ok';
  }

  #settle(command: Of<'payment.settle'>, facts: Facts, { outcome, effects }: Decision): string {
    if (setOf(command.paymentId) !== this.#set.set) return 'wrong_set';
    const payment = this.all.find(({ id }) => id === command.paymentId);
    if (payment === undefined) return 'payment_not_found';
    if (payment.amount !== command.amountCents) return 'amount_mismatch';
    const { result } = command;
    const isOver = payment.state === 'paid' || payment.state === 'denied';
    if (isOver && payment.state !== result) return 'payment_ended';
    const isGone = payment.state === 'expired' && result === 'denied';
    const became = isOver ? payment.became : this.#becomes(payment, { result, ts: facts.ts });
    if ('became' in outcome) {
      const said = [outcome.became, outcome.user, outcome.amountCents];
      agree('M11: what became of a payment', said, [became, payment.user, payment.amount]);
    }
    agree('M11: a payment is settled once', effects, !isOver && !isGone);
    if (isOver || isGone) return 'ok';
    payment.state = result;
    payment.became = became;
    this.#move(payment, facts);
    return 'ok';
  }

  #becomes(payment: ModelPayment, { result, ts }: { result: string; ts: number }): string {
    if (payment.purpose === 'withdraw') return result === 'paid' ? 'paid_out' : 'returned';
    if (result === 'denied') return 'dropped';
    const isLate = payment.state === 'expired' || ts >= (payment.due ?? 0);
    return payment.purpose === 'packet' && !isLate ? 'sent' : 'credited';
  }

  #move({ became, user, amount, definition }: ModelPayment, facts: Facts): void {
    if (became === 'credited' || became === 'sent') this.#set.issued += amount;
    if (became === 'paid_out') this.#set.issued -= amount;
    if (became === 'paid_out' || became === 'returned') this.atGateway -= amount;
    if (became === 'credited' || became === 'returned') this.#set.pay(user, amount);
    if (became === 'sent' && definition !== null) this.#set.create(definition, facts);
  }

  #expire({ paymentId }: Of<'payment.expire'>, { ts }: Facts): string {
    if (setOf(paymentId) !== this.#set.set) return 'wrong_set';
    const payment = this.all.find(({ id }) => id === paymentId);
    if (payment === undefined) return 'payment_not_found';
    if (payment.state !== 'pending') return 'payment_ended';
    if (payment.due === null || ts < payment.due) return 'packet_not_due';
    payment.state = 'expired';
    return 'ok';
  }
}

const NOTHING = { cents: 0, packets: 0 };
