import type { Op } from './decode.ts';
import type { Cell } from './tables-layout.ts';

type PaymentChange =
  | { readonly kind: 'new'; readonly row: readonly Cell[] }
  | {
      readonly kind: 'ended';
      readonly paymentId: bigint;
      readonly values: Readonly<Record<string, Cell>>;
    };

/** What a success changes in the table `payment`, or null. `ts`: log time of its entry. */
export function paymentChange(op: Op, ts: number): PaymentChange | null {
  switch (op.type) {
    case 'wallet.topup': {
      const { paymentId, dueAt } = said(op);
      const { user, amountCents } = op.command;
      const more = ['pending', 0n, '', '', ts, dueAt, 0] as const;
      return { kind: 'new', row: [paymentId, user, 'topup', amountCents, ...more] };
    }
    case 'packet.pay': {
      const { paymentId, dueAt, packetId } = said(op);
      const { sender, totalCents } = op.command.definition;
      const more = ['pending', packetId, '', '', ts, dueAt, 0] as const;
      return { kind: 'new', row: [paymentId, sender, 'packet', totalCents, ...more] };
    }
    case 'wallet.withdraw': {
      const { paymentId } = said(op);
      const { user, amountCents, destination } = op.command;
      const more = ['pending', 0n, destination, '', ts, 0, 0] as const;
      return { kind: 'new', row: [paymentId, user, 'withdraw', amountCents, ...more] };
    }
    case 'payment.settle': {
      const { paymentId, result, reference } = op.command;
      return { kind: 'ended', paymentId, values: { state: result, reference, ended_at: ts } };
    }
    case 'payment.expire': {
      const values = { state: 'expired', ended_at: ts };
      return { kind: 'ended', paymentId: op.command.paymentId, values };
    }
    default:
      return null;
  }
}

/** What the op answered; its caller knows that it is a success. */
function said<Success>(op: { outcome: { success: Success | null } }): Success {
  return op.outcome.success as Success;
}
