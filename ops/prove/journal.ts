/**
 * What the proofs on real servers need of a journal, read by the auditor's decoder: a bug in how the
 * program writes or reads must not confirm itself.
 */
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op } from '../../reconciler/audit/decode.ts';
import { decodeOps } from '../../reconciler/audit/decode.ts';
import { accountName } from '../../reconciler/audit/ledger.ts';

/** What a journal says of one command, as far as money is concerned. */
export type JournalOp = {
  readonly action: Action;
  readonly postings: readonly { readonly account: string; readonly amountCents: number }[];
};

type Action =
  | { readonly kind: 'other' }
  | {
      readonly kind: 'send';
      readonly packetId: string;
      readonly sender: string;
      readonly totalCents: number;
      readonly count: number;
    }
  | {
      readonly kind: 'open';
      readonly packetId: string;
      readonly user: string;
      readonly amountCents: number;
      readonly order: number;
    }
  /** `commandId` in hex, '' without one. */
  | {
      readonly kind: 'leave';
      readonly groupId: string;
      readonly user: string;
      readonly commandId: string;
    };

const OTHER: Action = { kind: 'other' };

/** The commands of an entry in order. Throws on bytes that are not the layout of its format. */
export function readOps(entry: Pick<Entry, 'payload' | 'opCount' | 'format'>): JournalOp[] {
  return decodeOps(entry).map((op) => ({
    action: actionOf(op),
    postings: op.postings.map(({ account, amountCents }) => ({
      account: accountName(account),
      amountCents,
    })),
  }));
}

function actionOf(op: Op): Action {
  // A success; what was refused moved nothing.
  if (op.outcome.status !== 'ok') return OTHER;
  switch (op.type) {
    case 'packet.send': {
      const { packetId, sender, totalCents, count } = op.command.definition;
      return { kind: 'send', packetId: String(packetId), sender, totalCents, count };
    }
    case 'packet.open': {
      const { packetId, user } = op.command;
      const { amountCents = 0, order = 0 } = op.outcome.success ?? {};
      return { kind: 'open', packetId: String(packetId), user, amountCents, order };
    }
    case 'group.leave': {
      const { groupId, user, commandId } = op.command;
      const hex = commandId.replaceAll('-', '');
      return { kind: 'leave', groupId: String(groupId), user, commandId: hex };
    }
    default:
      return OTHER;
  }
}
