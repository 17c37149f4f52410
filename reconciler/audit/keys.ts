import type { Answer } from './answers.ts';
import type { OpOf, Op } from './decode.ts';

/** What is broken when an op moves or sends something else than it says. */
export const RULES: Readonly<Record<Op['type'], string>> = {
  'set.configure': 'M1',
  'ids.reserve': 'M1',
  'wallet.open': 'M2',
  'packet.send': 'M8',
  'packet.open': 'M4',
  'packet.expire': 'M4',
  'group.create': 'M1',
  'group.join': 'rulings 18',
  'group.leave': 'rulings 18',
  'message.send': 'M1',
  'message.read': 'M1',
  'transfer.deliver': 'M8',
  'transfer.ack': 'M8',
  'wallet.topup': 'M11',
  'wallet.withdraw': 'M11',
  'packet.pay': 'M11',
  'payment.settle': 'M11',
  'payment.expire': 'M11',
  'wallet.freeze': 'M1',
  'wallet.adjust': 'M2',
};

/** An op with a client's or operator's id: done once, and the same answer for ever (M9). */
export type KeyedOp = { [Type in Answer['type']]: OpOf<Type> }[Answer['type']];

/** Who asked under which id, and for what. */
export function keyOf(op: KeyedOp): Pick<Answer, 'user' | 'commandId' | 'about' | 'seq' | 'words'> {
  const { commandId } = op.command;
  switch (op.type) {
    case 'packet.send':
    case 'packet.pay': {
      const { sender: user, packetId: about, greeting: words } = op.command.definition;
      return { user, commandId, about, seq: 0, words };
    }
    case 'group.create': {
      const { user, groupId: about, name: words } = op.command;
      return { user, commandId, about, seq: 0, words };
    }
    case 'group.leave': {
      const { user, groupId: about } = op.command;
      return { user, commandId, about, seq: 0, words: '' };
    }
    case 'message.send': {
      const { user, groupId: about, body: words } = op.command;
      return { user, commandId, about, seq: op.outcome.success?.seq ?? 0, words };
    }
    case 'wallet.topup':
      return { user: op.command.user, commandId, about: paymentOf(op), seq: 0, words: '' };
    case 'wallet.withdraw': {
      const { user, destination: words } = op.command;
      return { user, commandId, about: paymentOf(op), seq: 0, words };
    }
    case 'wallet.freeze':
    case 'wallet.adjust': {
      const { operator: user, reason: words } = op.command;
      return { user, commandId, about: 0n, seq: 0, words };
    }
  }
}

function paymentOf(op: OpOf<'wallet.topup'> | OpOf<'wallet.withdraw'>): bigint {
  return op.outcome.success?.paymentId ?? 0n;
}

/** Refusals that are kept, so that a late duplicate does not spend or pay after all (C7). */
const KEPT_REFUSALS: Readonly<Partial<Record<Op['type'], readonly string[]>>> = {
  'packet.send': ['wallet_frozen', 'insufficient_funds', 'daily_limit'],
  'packet.pay': ['wallet_frozen', 'too_many_payments', 'issue_limit', 'daily_limit'],
  'wallet.topup': ['wallet_frozen', 'too_many_payments', 'issue_limit'],
  'wallet.withdraw': ['wallet_frozen', 'too_many_payments', 'insufficient_funds', 'issue_limit'],
  'wallet.adjust': ['insufficient_funds', 'issue_limit'],
};

/**
 * An op that was refused for good: whose wallet it was about and what it would have taken from it.
 * null: such a refusal has no place in a journal.
 */
export function refusedForGood(op: Op): { user: string; amountCents: number; op: KeyedOp } | null {
  if (KEPT_REFUSALS[op.type]?.includes(op.outcome.status) !== true) return null;
  switch (op.type) {
    case 'packet.send':
    case 'packet.pay': {
      const { sender: user, totalCents: amountCents } = op.command.definition;
      return { user, amountCents, op };
    }
    case 'wallet.topup':
    case 'wallet.withdraw':
      return { user: op.command.user, amountCents: op.command.amountCents, op };
    case 'wallet.adjust':
      return { user: op.command.user, amountCents: -op.command.amountCents, op };
    default:
      return null;
  }
}
