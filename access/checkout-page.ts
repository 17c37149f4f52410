import { PAYMENT_RESULTS } from '../lib/core/payment.ts';
import type { HostedCheckout, HostedPayment } from '../lib/port/payment-gateway.ts';

/** Pages of the sandbox gateway; no server with real money has them. */
export const CHECKOUT_PATH = '/v1/sandbox/checkout/';

const STATES = {
  pending: 'waits for you',
  paid: 'paid',
  denied: 'declined',
} as const;

/** The page of one payment as HTML, null when there is none. A `body` is what its form sent. */
export function checkoutPage(args: {
  readonly hosted: HostedCheckout;
  readonly page: string;
  /** Null: somebody only looks. */
  readonly body: string | null;
  readonly now: number;
}): string | null {
  const { hosted, page, body, now } = args;
  const result = PAYMENT_RESULTS.find((one) => body === `result=${one}`);
  if (result !== undefined) hosted.decide(page, result);
  const payment = hosted.find(page);
  return payment === null ? null : render(payment, now);
}

/** Nothing in it comes from a person: there is nothing to escape. */
function render({ amountCents, dueAt, state }: HostedPayment, now: number): string {
  const late = state === 'pending' && dueAt <= now;
  const amount = `${Math.floor(amountCents / 100)}.${String(amountCents % 100).padStart(2, '0')}`;
  const buttons = PAYMENT_RESULTS.map((one) => {
    const words = one === 'paid' ? 'Pay' : 'Decline';
    return `<button name="result" value="${one}">${words}</button>`;
  }).join(' ');
  const form = state === 'pending' && !late ? `<form method="post">${buttons}</form>` : '';
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox checkout</title>',
    '<meta name="viewport" content="width=device-width">',
    '<h1>Sandbox checkout</h1><p>No money moves here: this is for development.</p>',
    `<p>Amount: <b>${amount}</b></p><p>State: <b>${late ? 'too late' : STATES[state]}</b></p>`,
    form,
    '</html>\n',
  ].join('');
}
