import type { Id } from '../lib/core/ids.ts';
import { parseCommandId } from '../lib/core/ids.ts';
import type { Cents, TimeMs } from '../lib/core/units.ts';
import { cents } from '../lib/core/units.ts';
import type { Door, Handler } from './door.ts';
import { command } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';

const NO_GATEWAY = 'this server has no payment gateway: money neither enters nor leaves';

/** Null when money may enter and leave here. */
export function withoutGateway(door: Door): Failure | null {
  return door.gateway === null ? fail('not_allowed', { message: NO_GATEWAY }) : null;
}

function badKey(): Failure {
  return fail('bad_argument', { message: 'd.clientId: not a UUIDv7' });
}

export const walletTopup: Handler<'wallet.topup'> = async (door, person, input) => {
  const commandId = parseCommandId(input.clientId);
  if (commandId === null) return badKey();
  const without = withoutGateway(door);
  if (without !== null) return without;
  const { user, home } = person;
  const amountCents = cents(input.amountCents);
  const to = { set: home, person };
  const done = await command(door, to, { type: 'wallet.topup', commandId, user, amountCents });
  if (!done.ok) return done;
  const { paymentId, dueAt } = done.success;
  const page = await openCheckout(door, { paymentId, amountCents, dueAt });
  if (!page.ok) return page;
  const { checkoutUrl } = page;
  return { ok: true, d: { paymentId: String(paymentId), checkoutUrl, dueAt, mark: done.mark } };
};

/** The money leaves the wallet here; the reconciler hands it to the gateway. */
export const walletWithdraw: Handler<'wallet.withdraw'> = async (door, person, input) => {
  const commandId = parseCommandId(input.clientId);
  if (commandId === null) return badKey();
  const without = withoutGateway(door);
  if (without !== null) return without;
  const { user, home } = person;
  const amountCents = cents(input.amountCents);
  const { destination } = input;
  const to = { set: home, person };
  const withdraw = { type: 'wallet.withdraw', commandId, user, amountCents, destination } as const;
  const done = await command(door, to, withdraw);
  if (!done.ok) return done;
  const { paymentId, balanceCents } = done.success;
  return { ok: true, d: { paymentId: String(paymentId), balanceCents, mark: done.mark } };
};

/**
 * The page where a payment can be paid. A gateway that is away leaves the payment as it is: the same
 * request again, under the same client id, asks for the same page.
 */
export async function openCheckout(
  door: Door,
  asked: { paymentId: Id; amountCents: Cents; dueAt: TimeMs },
): Promise<{ readonly ok: true; readonly checkoutUrl: string } | Failure> {
  const reply = (await door.gateway?.createCheckout(asked)) ?? { kind: 'away' };
  switch (reply.kind) {
    case 'open':
      return { ok: true, checkoutUrl: reply.checkoutUrl };
    case 'away':
      return fail('gateway_unavailable');
    case 'conflict':
      door.log.error('checkout_conflict', { paymentId: String(asked.paymentId) });
      return fail('internal');
  }
}
