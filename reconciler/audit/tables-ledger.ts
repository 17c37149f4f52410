import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op, OpOf } from './decode.ts';
import { moneyOf } from './parts.ts';
import type { Cell } from './tables-layout.ts';

type Why = { readonly reason: string; readonly packetId: bigint };

/** Rows of `ledger_entry`: the wallet legs of an op. `leg` counts all legs of the entry. */
export function ledgerRows(args: { op: Op; entry: Entry; leg: number }): Cell[][] {
  const { op, entry, leg } = args;
  const rows: Cell[][] = [];
  for (const [at, { account, amountCents }] of op.postings.entries()) {
    if (account.kind !== 'wallet') continue;
    const { reason, packetId } = whyOf(op, at);
    rows.push([account.user, entry.lsn, leg + at, amountCents, reason, packetId, entry.ts]);
  }
  return rows;
}

function whyOf(op: Op, leg: number): Why {
  switch (op.type) {
    case 'transfer.deliver':
      return deliveredWhy(op, leg);
    case 'packet.send':
      return { reason: op.type, packetId: op.command.definition.packetId };
    case 'packet.open':
    case 'packet.expire':
      return { reason: op.type, packetId: op.command.packetId };
    case 'payment.settle': {
      const isReturned = op.outcome.success?.became === 'returned';
      return { reason: isReturned ? 'withdraw.returned' : 'wallet.topup', packetId: 0n };
    }
    default:
      return { reason: op.type, packetId: 0n };
  }
}

/** Each money transfer that was taken has two legs, in the order of the delivery. */
function deliveredWhy(op: OpOf<'transfer.deliver'>, leg: number): Why {
  let from = 0;
  for (const [at, transfer] of op.command.transfers.entries()) {
    const kind = op.outcome.success?.receipts[at]?.kind;
    const isTaken = kind === 'applied' || kind === 'live';
    if (!isTaken || moneyOf(transfer) === 0) continue;
    from += 2;
    if (leg >= from) continue;
    switch (transfer.kind) {
      case 'packet.create':
        return { reason: transfer.kind, packetId: transfer.definition.packetId };
      case 'claim.credit':
      case 'packet.refund':
        return { reason: transfer.kind, packetId: transfer.packetId };
      default:
    }
  }
  return { reason: op.type, packetId: 0n };
}
