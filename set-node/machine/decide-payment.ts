import type { Posting } from '../../lib/core/account.ts';
import { RIGHT_SEND_PACKET } from '../../lib/core/grant.ts';
import type { Id } from '../../lib/core/ids.ts';
import { reserveBlock, setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Became, PaymentPurpose } from '../../lib/core/payment.ts';
import { dayOf } from '../../lib/core/payment.ts';
import type { Status } from '../../lib/core/status.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Decision, Earlier, World } from './context.ts';
import { withoutEffects } from './context.ts';
import type { At, Of } from './decision.ts';
import {
  clearing,
  done,
  membershipOf,
  outgoing,
  refused,
  refusedForGood,
  wallet,
} from './decision.ts';
import { dueAtOf } from './payments.ts';
import { checkPolicy } from './policy.ts';
import type { SetState } from './state.ts';

export function topUp({ state, world }: At, command: Of<'wallet.topup'>): Decision {
  const { type, user, amountCents } = command;
  const denied = whyNotPay(state, user) ?? whyNotIssue(state, amountCents);
  if (denied !== null) return refusedForGood(command, denied);
  return done({
    outcome: { type, status: 'ok', paymentId: mint(state, world), dueAt: due(world) },
  });
}

export function withdraw({ state, world }: At, command: Of<'wallet.withdraw'>): Decision {
  const { type, user, amountCents } = command;
  const balance = state.people.get(user)?.balanceCents ?? 0;
  const denied = whyNotPay(state, user) ?? (balance < amountCents ? 'insufficient_funds' : null);
  if (denied !== null) return refusedForGood(command, denied);
  // What comes back from the gateway must fit in beside all that other Sets could bring.
  if (state.payments.goingCents + amountCents > LIMITS.issuedCentsMax) {
    return refusedForGood(command, 'issue_limit');
  }
  const balanceCents = cents(balance - amountCents);
  return done({
    outcome: { type, status: 'ok', paymentId: mint(state, world), balanceCents },
    postings: [wallet(user, -amountCents), gateway(amountCents)],
  });
}

/** As packet.send, but the money is still to come, and the packet with it. */
export function payPacket({ state, found, world }: At, command: Of<'packet.pay'>): Decision {
  const { type, definition } = command;
  const { sender, totalCents, packetId, groupId } = definition;
  const barred =
    checkPolicy(world.policy, definition) ??
    membershipOf({ command, found, groupId, ts: world.ts });
  if (barred !== null) return refused(command, barred);
  if (((command.grant?.rights ?? 0) & RIGHT_SEND_PACKET) === 0)
    return refused(command, 'not_allowed');
  const denied =
    whyNotPay(state, sender) ??
    whyNotIssue(state, totalCents) ??
    whyNotToday({ state, world, definition });
  if (denied !== null) return refusedForGood(command, denied);
  const paymentId = mint(state, world);
  return done({ outcome: { type, status: 'ok', packetId, paymentId, dueAt: due(world) } });
}

/** Would this packet go beyond what its sender may send on this day? null: no. */
export function whyNotToday(args: {
  state: SetState;
  world: World;
  definition: PacketDefinition;
}): Status | null {
  const { state, world, definition } = args;
  const { dailyCentsMax, dailyPacketsMax } = world.policy;
  const tally = state.people.get(definition.sender)?.tally;
  const today = tally?.day === dayOf(world.ts) ? tally : { cents: 0, packets: 0 };
  const isBeyond =
    today.cents + definition.totalCents > dailyCentsMax || today.packets + 1 > dailyPacketsMax;
  return isBeyond ? 'daily_limit' : null;
}

function whyNotPay(state: SetState, user: UserId): Status | null {
  if (state.people.get(user)?.frozen) return 'wallet_frozen';
  return state.payments.underWay(user) >= LIMITS.paymentsUnderWayMax ? 'too_many_payments' : null;
}

/** Everything that is under way may be paid: room is kept for it. */
function whyNotIssue(state: SetState, amountCents: number): Status | null {
  const issued = state.payments.comingCents - state.issuerCents;
  return issued + amountCents > LIMITS.issuedCentsMax ? 'issue_limit' : null;
}

function mint(state: SetState, { ts }: World): Id {
  return reserveBlock({ cursor: state.idCursor, ts, set: state.setId, count: 1 }).first;
}

function due({ ts }: World): TimeMs {
  return timeMs(ts + LIMITS.paymentLifetimeMs);
}

function gateway(amountCents: number): Posting {
  return { account: { kind: 'gateway' }, amountCents: cents(amountCents) };
}

function issuer(amountCents: number): Posting {
  return { account: { kind: 'issuer' }, amountCents: cents(amountCents) };
}

/** Exists → is it the same money → has it ended → what that does. Real money is never dropped. */
export function settlePayment(
  { state, found, world }: At,
  command: Of<'payment.settle'>,
): Decision {
  const payment = state.payments.get(command.paymentId);
  if (payment === undefined) return settleForgotten({ state, command, earlier: found.earlier });
  if (command.amountCents !== payment.amountCents) return refused(command, 'amount_mismatch');
  const { end, owner, terms } = payment;
  if (end !== null && end.kind !== 'expired') {
    if (end.kind !== command.result) return refused(command, 'payment_ended');
    return withoutEffects(settled(command, owner, end.became));
  }
  if (end !== null || terms === null) return settleExpired({ state, command, owner });
  if (terms.purpose === 'withdraw') {
    const isPaid = command.result === 'paid';
    if (isPaid && isEmptied(state, command.amountCents)) return refused(command, 'issue_limit');
    const back = isPaid ? issuer(command.amountCents) : wallet(owner, command.amountCents);
    return done({
      outcome: settled(command, owner, isPaid ? 'paid_out' : 'returned'),
      postings: [gateway(-command.amountCents), back],
    });
  }
  if (command.result === 'denied') return done({ outcome: settled(command, owner, 'dropped') });
  if (terms.purpose === 'topup' || world.ts >= terms.dueAt) {
    return credit({ state, command, owner });
  }
  if (isFull(state, command.amountCents)) return refused(command, 'issue_limit');
  const { definition } = terms;
  const home = setOfId(definition.packetId);
  const transfer = { kind: 'packet.create', definition, sentAt: world.ts } as const;
  return done({
    outcome: settled(command, owner, 'sent'),
    postings: [issuer(-command.amountCents), clearing(home, command.amountCents)],
    sends: [outgoing(state, { to: home, transfer })],
  });
}

type Settling = { state: SetState; command: Of<'payment.settle'>; owner: UserId };

function settled(command: Of<'payment.settle'>, user: UserId, became: Became) {
  const { type, amountCents } = command;
  return { type, status: 'ok', became, user, amountCents } as const;
}

function credit({ state, command, owner }: Settling): Decision {
  const { amountCents } = command;
  if (isFull(state, amountCents)) return refused(command, 'issue_limit');
  return done({
    outcome: settled(command, owner, 'credited'),
    postings: [issuer(-amountCents), wallet(owner, amountCents)],
  });
}

/** Totals stay safe integers whatever a gateway says was paid; the money can be settled later. */
function isFull(state: SetState, amountCents: number): boolean {
  const { walletsCents, packetsCents, issuerCents } = state;
  const held = Math.max(walletsCents + packetsCents, -issuerCents);
  return held + amountCents > LIMITS.setTotalCentsMax;
}

/** The same for money that leaves: an issuer stands above zero by what other Sets brought. */
function isEmptied({ issuerCents }: SetState, amountCents: number): boolean {
  return issuerCents + amountCents > LIMITS.setTotalCentsMax;
}

/** Given up, and the gateway has an answer after all. */
function settleExpired(args: Settling): Decision {
  const { command, owner } = args;
  if (command.result === 'paid') return credit(args);
  return withoutEffects(settled(command, owner, 'dropped'));
}

/** A payment that ended and left memory, or never was. */
function settleForgotten(args: {
  state: SetState;
  command: Of<'payment.settle'>;
  earlier: Earlier | null;
}): Decision {
  const { state, command, earlier } = args;
  if (earlier?.kind !== 'payment') return refused(command, 'payment_not_found');
  const { owner } = earlier;
  if (command.amountCents !== earlier.amountCents) return refused(command, 'amount_mismatch');
  if (earlier.state === 'expired') return settleExpired({ state, command, owner });
  if (earlier.state !== command.result) return refused(command, 'payment_ended');
  return withoutEffects(settled(command, owner, becameOf({ ...earlier, state: command.result })));
}

/** What settling had done, from the row: the packet was sent when its money came in time. */
function becameOf(row: {
  purpose: PaymentPurpose;
  state: 'paid' | 'denied';
  inTime: boolean;
}): Became {
  if (row.purpose === 'withdraw') return row.state === 'paid' ? 'paid_out' : 'returned';
  if (row.state === 'denied') return 'dropped';
  return row.purpose === 'packet' && row.inTime ? 'sent' : 'credited';
}

export function expirePayment({ state, world }: At, command: Of<'payment.expire'>): Decision {
  const payment = state.payments.get(command.paymentId);
  if (payment === undefined) return refused(command, 'payment_not_found');
  if (payment.end !== null) return refused(command, 'payment_ended');
  const dueAt = dueAtOf(payment);
  // Only leaders ask, and only this: the word for packets serves.
  if (dueAt === null || world.ts < dueAt) return refused(command, 'packet_not_due');
  return done({ outcome: { type: command.type, status: 'ok' } });
}

export function freezeWallet(_: At, command: Of<'wallet.freeze'>): Decision {
  return done({ outcome: { type: command.type, status: 'ok', frozen: command.frozen } });
}

export function adjustWallet({ state }: At, command: Of<'wallet.adjust'>): Decision {
  const { type, user, amountCents } = command;
  const balance = state.people.get(user)?.balanceCents ?? 0;
  if (balance + amountCents < 0) return refusedForGood(command, 'insufficient_funds');
  if (isEmptied(state, -amountCents)) return refused(command, 'issue_limit');
  const denied = amountCents > 0 ? whyNotIssue(state, amountCents) : null;
  if (denied !== null) return refusedForGood(command, denied);
  return done({
    outcome: { type, status: 'ok', balanceCents: cents(balance + amountCents) },
    postings: [issuer(-amountCents), wallet(user, amountCents)],
  });
}
