import type { Id } from '../../lib/core/ids.ts';
import { PAYMENT_STATES } from '../../lib/core/payment.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { PaymentsAnswer } from '../../proto/gen/hongbao/PaymentsAnswer.ts';
import type { Payment as WirePayment } from '../../proto/gen/hongbao/Payment.ts';
import { dueAtOf } from '../machine/payments.ts';
import type { Payment } from '../machine/payments.ts';
import type { SetState } from '../machine/state.ts';

/**
 * Payments in the owner's memory by id: all that are under way, and those that ended lately.
 * null: there is no such state; empty takes all.
 */
export function paymentsOf(
  memory: SetState,
  ask: { readonly state: string; readonly after: Id; readonly limit: number },
): PaymentsAnswer | null {
  const { state, after } = ask;
  if (state !== '' && !PAYMENT_STATES.some((known) => known === state)) return null;
  const limit = Math.min(ask.limit, LIMITS.paymentsPageMax);
  const { payments } = memory;
  const isPending = state === 'pending';
  const wanted: Payment[] = [];
  let last = after;
  let isSorted = true;
  for (const payment of isPending ? payments.pending() : payments.values()) {
    // Those are asked for once a second, and stand by id.
    if (isPending && wanted.length === limit) break;
    const { paymentId, end } = payment;
    if (paymentId <= after || !isIn(state, end)) continue;
    isSorted &&= paymentId > last;
    last = paymentId;
    wanted.push(payment);
  }
  // Minted in order; only late money of a forgotten one stands out of it.
  if (!isSorted) wanted.sort((a, b) => (a.paymentId < b.paymentId ? -1 : 1));
  return { payments: wanted.slice(0, limit).map(paymentOf) };
}

function isIn(state: string, end: Payment['end']): boolean {
  return state === '' || state === (end?.kind ?? 'pending');
}

function paymentOf(payment: Payment): WirePayment {
  const { paymentId, owner, amountCents, terms, end } = payment;
  const packetId = terms?.purpose === 'packet' ? terms.definition.packetId : 0n;
  return {
    paymentId: String(paymentId),
    user: owner,
    // What became of forgotten money: it is in the wallet.
    purpose: terms?.purpose ?? 'topup',
    amountCents: String(amountCents),
    state: end?.kind ?? 'pending',
    packetId: String(packetId),
    destination: terms?.purpose === 'withdraw' ? terms.destination : '',
    reference: end === null || end.kind === 'expired' ? '' : end.reference,
    createdAt: String(terms?.createdAt ?? 0),
    dueAt: String(dueAtOf(payment) ?? 0),
    endedAt: String(end?.at ?? 0),
  };
}
