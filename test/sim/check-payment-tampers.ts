/** Journals with one lie each about payments, frozen wallets or adjustments, and the rule that they break. */
import { asId } from '../../lib/core/ids.ts';
import type { Op } from '../../lib/core/journal-entry.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import { first, isOk, more, once, refuse, withOutcome } from './check-changes.ts';
import type { OpOf, Tamper } from './check-changes.ts';

type Settle = OpOf<'payment.settle'>;

/** The first settlement that became this. */
function settled(became: string, change: (op: Settle) => readonly Op[] | null): Tamper['change'] {
  return first('payment.settle', (op) => (op.outcome.became === became ? change(op) : null));
}

/** More by a cent, in what the gateway said, in what was answered, and in what was moved. */
function plusOne(op: Settle): Op {
  const amountCents = cents(op.command.amountCents + 1);
  const command = { ...op.command, amountCents };
  return withOutcome({ ...op, command, postings: more(op.postings, [-1, 1]) }, { amountCents });
}

export const PAYMENT_TAMPERS: Readonly<Record<string, Tamper>> = {
  'a cent more is paid in than was asked': {
    rule: /^M11 .*cents of/,
    change: settled('credited', (op) => [plusOne(op)]),
  },
  'a cent more is credited than was paid': {
    rule: /^M11 .*posted/,
    change: settled('credited', (op) => [{ ...op, postings: more(op.postings, [-1, 1]) }]),
  },
  'another amount is told': {
    rule: /^M11 .*are told/,
    change: settled('credited', (op) => [
      withOutcome(op, { amountCents: cents(op.outcome.amountCents + 1) }),
    ]),
  },
  'money for a payment is credited twice': {
    rule: /^M11 .*settled again/,
    change: settled('credited', (op) => [op, op]),
  },
  'a withdrawal is paid out and given back': {
    rule: /^M11 .*settled again|^M3 .*gateway/,
    change: settled('paid_out', (op) => [
      op,
      withOutcome({ ...op, command: { ...op.command, result: 'denied' } }, { became: 'returned' }),
    ]),
  },
  'a withdrawal that was paid comes back': {
    rule: /^M11 .*is paid and returned/,
    change: settled('paid_out', (op) => [withOutcome(op, { became: 'returned' })]),
  },
  'a denied withdrawal does not come back': {
    rule: /^M11 .*posted/,
    change: settled('returned', (op) => [{ ...op, postings: [] }]),
  },
  'real money is dropped': {
    rule: /^M11 .*is paid and dropped/,
    change: settled('credited', (op) => [
      withOutcome({ ...op, postings: [] }, { became: 'dropped' }),
    ]),
  },
  'money that never came is credited': {
    rule: /^M11 .*is denied and credited/,
    change: settled('credited', (op) => [
      { ...op, command: { ...op.command, result: 'denied' as const } },
    ]),
  },
  'a packet that was paid is sent without its money': {
    rule: /^M11 .*posted/,
    change: settled('sent', (op) => [{ ...op, postings: [] }]),
  },
  'a packet that was paid is not sent': {
    rule: /^M11 .*no packet.create/,
    change: settled('sent', (op) => [{ ...op, sends: [] }]),
  },
  'a payment of somebody else': {
    rule: /^M11 .*it is of/,
    change: settled('credited', (op) => [
      withOutcome(op, { user: `${op.outcome.user}x` as typeof op.outcome.user }),
    ]),
  },
  'a payment that never was': {
    rule: /^M11 .*there is no payment/,
    change: settled('credited', (op) => [
      { ...op, command: { ...op.command, paymentId: asId(op.command.paymentId + 1n) } },
    ]),
  },
  'a payment is due at another time': {
    rule: /^M11 .*is due/,
    change: first('wallet.topup', (op) => [
      withOutcome(op, { dueAt: timeMs(op.outcome.dueAt + 1) }),
    ]),
  },
  'a payment expires at once': {
    rule: /^M11 .*early/,
    change: first('wallet.topup', (op) => [op, expiry(op.outcome.paymentId)]),
  },
  'a withdrawal expires': {
    rule: /^M11 .*a withdrawal expires/,
    change: first('wallet.withdraw', (op) => [op, expiry(op.outcome.paymentId)]),
  },
  'an id of a payment is minted twice': {
    rule: /^C10 .*were given out/,
    change: () => {
      const last = new Map<number, ReturnType<typeof asId>>();
      return once((op, { setId }) => {
        if (!isOk(op, 'wallet.topup')) return null;
        const before = last.get(setId);
        last.set(setId, op.outcome.paymentId);
        return before === undefined ? null : [withOutcome(op, { paymentId: before })];
      });
    },
  },
  'a withdrawal leaves the money where it was': {
    rule: /^M11 .*posted/,
    change: first('wallet.withdraw', (op) => [{ ...op, postings: [] }]),
  },
  'a balance after a withdrawal that is none': {
    rule: /^M10 .*is told/,
    change: first('wallet.withdraw', (op) => [
      withOutcome(op, { balanceCents: cents(op.outcome.balanceCents + 1) }),
    ]),
  },
  'a payment is made twice under one id': {
    rule: /^M9 .*wallet.topup/,
    change: first('wallet.topup', (op) => [
      op,
      withOutcome(op, { paymentId: asId(op.outcome.paymentId + 1n) }),
    ]),
  },
  'who is not frozen is refused for it': {
    rule: /^C1 .*not frozen/,
    change: first('wallet.topup', (op) => [refuse(op, 'wallet_frozen')]),
  },
  'who has nothing under way is refused for it': {
    rule: /^C1 .*under way/,
    change: first('wallet.topup', (op) => [refuse(op, 'too_many_payments')]),
  },
  'a frozen wallet pays': {
    rule: /^M12 .*is frozen/,
    change: first('wallet.topup', (op) => [freeze(op), op]),
  },
  'a frozen wallet sends': {
    rule: /^M12 .*is frozen/,
    change: first('packet.send', (op, { format }) => {
      const { commandId, definition } = op.command;
      return format < 3 ? null : [freeze({ command: { commandId, user: definition.sender } }), op];
    }),
  },
  'somebody is told that he froze what he thawed': {
    rule: /^M12 .*is told/,
    change: first('wallet.freeze', (op) => [withOutcome(op, { frozen: !op.outcome.frozen })]),
  },
  'an adjustment is a cent off': {
    rule: /^M2 .*posted/,
    change: first('wallet.adjust', (op) => [{ ...op, postings: more(op.postings, [-1, 1]) }]),
  },
  'an adjustment is done twice': {
    rule: /^M9 .*wallet.adjust/,
    change: first('wallet.adjust', (op) => [op, op]),
  },
  'a balance after an adjustment that is none': {
    rule: /^M10 .*is told/,
    change: first('wallet.adjust', (op) => [
      withOutcome(op, { balanceCents: cents(op.outcome.balanceCents + 1) }),
    ]),
  },
  'a refusal of a payment that is no answer for ever': {
    rule: /^C7 .*malformed/,
    change: first('wallet.topup', (op) => [refuse(op, 'malformed')]),
  },
};

function expiry(paymentId: bigint): Op {
  const type = 'payment.expire';
  const command = { type, paymentId };
  return { command, outcome: { type, status: 'ok' }, postings: [], sends: [] } as unknown as Op;
}

/** The wallet is frozen just before. */
function freeze({ command }: { command: { commandId: string; user: string } }): Op {
  const type = 'wallet.freeze';
  const { commandId, user } = command;
  const frozen = { type, commandId, operator: 'operator', user, frozen: true, reason: 'a test' };
  const outcome = { type, status: 'ok', frozen: true };
  return { command: frozen, outcome, postings: [], sends: [] } as unknown as Op;
}
