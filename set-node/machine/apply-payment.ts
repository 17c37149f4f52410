import { assert, unreachable } from '../../lib/core/assert.ts';
import type { Success } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Became, PaymentCommand, PaymentPurpose } from '../../lib/core/payment.ts';
import { dayOf } from '../../lib/core/payment.ts';
import type { Lsn, TimeMs } from '../../lib/core/units.ts';
import type { SetState } from './state.ts';

type Place = { readonly lsn: Lsn; readonly ts: TimeMs };

type Applied<Type extends PaymentCommand['type']> = {
  state: SetState;
  command: Extract<PaymentCommand, { type: Type }>;
  outcome: Extract<Success, { type: Type }>;
  place: Place;
};

/** {@link applyOutcome} for commands of payments and operators, before their postings. */
export function applyPayment(args: {
  state: SetState;
  command: PaymentCommand;
  outcome: Success;
  place: Place;
}): void {
  const { state, command, place } = args;
  // The caller asserted that the two are of one type.
  const outcome = args.outcome as never;
  switch (command.type) {
    case 'wallet.topup':
      return begin({ state, command, outcome, place });
    case 'wallet.withdraw':
      return begin({ state, command, outcome, place });
    case 'packet.pay':
      tallySend({ state, definition: command.definition, ts: place.ts });
      return begin({ state, command, outcome, place });
    case 'payment.settle':
      return settle({ state, command, outcome, place });
    case 'payment.expire':
      return expire({ state, command, outcome, place });
    case 'wallet.freeze':
      state.person(command.user).frozen = command.frozen;
      return;
    case 'wallet.adjust':
      return;
    default:
      unreachable(command);
  }
}

/** A new payment under the next id of this Set. */
function begin(
  args: Applied<'wallet.topup'> | Applied<'wallet.withdraw'> | Applied<'packet.pay'>,
): void {
  const { state, command, place } = args;
  const { paymentId } = args.outcome;
  state.reserveIds({ firstId: paymentId, count: 1 });
  const createdAt = place.ts;
  const end = null;
  if (command.type === 'wallet.withdraw') {
    const { user: owner, amountCents, destination } = command;
    const terms = { purpose: 'withdraw', createdAt, destination } as const;
    state.payments.add({ paymentId, owner, amountCents, terms, end });
    return;
  }
  const { dueAt } = args.outcome as Applied<'wallet.topup'>['outcome'];
  assert(dueAt > createdAt, 'a payment is due after it began');
  if (command.type === 'wallet.topup') {
    const { user: owner, amountCents } = command;
    const terms = { purpose: 'topup', createdAt, dueAt } as const;
    state.payments.add({ paymentId, owner, amountCents, terms, end });
    return;
  }
  const { definition } = command;
  const { sender: owner, totalCents: amountCents } = definition;
  const terms = { purpose: 'packet', createdAt, dueAt, definition } as const;
  state.payments.add({ paymentId, owner, amountCents, terms, end });
}

/** What each end may be of. */
const ENDS_OF: Record<Became, readonly PaymentPurpose[]> = {
  credited: ['topup', 'packet'],
  sent: ['packet'],
  paid_out: ['withdraw'],
  returned: ['withdraw'],
  dropped: ['topup', 'packet'],
};

function settle({ state, command, outcome, place }: Applied<'payment.settle'>): void {
  const { paymentId, result, reference } = command;
  const { became, user, amountCents } = outcome;
  assert(amountCents === command.amountCents, 'M11: what is settled is what the gateway said');
  const end = { kind: result, became, reference, at: place.ts, lsn: place.lsn };
  const payment = state.payments.get(paymentId);
  if (payment === undefined) {
    // It had expired, and its leader had forgotten it: only late money still has an effect.
    assert(became === 'credited' && result === 'paid', 'M11: a payment ends once');
    state.payments.add({ paymentId, owner: user, amountCents, terms: null, end });
    return;
  }
  assert(payment.owner === user, 'M11: money is settled for who pays');
  assert(payment.amountCents === amountCents, 'M11: a payment is settled whole');
  const { terms } = payment;
  assert(terms === null || ENDS_OF[became].includes(terms.purpose), 'an end fits its purpose');
  const isPaid = became !== 'returned' && became !== 'dropped';
  assert(isPaid === (result === 'paid'), 'M11: an end fits what the gateway said');
  state.payments.end(payment, end);
}

function expire({ state, command, place }: Applied<'payment.expire'>): void {
  const payment = state.payments.get(command.paymentId);
  assert(payment !== undefined, 'a pending payment is in memory');
  const { terms } = payment;
  const isDue = terms !== null && terms.purpose !== 'withdraw' && place.ts >= terms.dueAt;
  assert(isDue, 'log time decides expiry, and a withdrawal has none');
  state.payments.end(payment, { kind: 'expired', at: place.ts, lsn: place.lsn });
}

/** Counts a packet to its sender's day. Before rules 3 nobody counts, so that snapshots agree. */
export function tallySend(args: {
  state: SetState;
  definition: PacketDefinition;
  ts: TimeMs;
}): void {
  const { state, definition, ts } = args;
  if (state.rules < 3) return;
  const person = state.person(definition.sender);
  const day = dayOf(ts);
  const { cents, packets } = person.tally?.day === day ? person.tally : { cents: 0, packets: 0 };
  person.tally = { day, cents: cents + definition.totalCents, packets: packets + 1 };
}
