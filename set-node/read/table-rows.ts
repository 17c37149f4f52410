import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { ReplicaStore, Row } from '../../lib/port/replica-store.ts';
import type { LedgerLine } from '../../proto/gen/hongbao/LedgerLine.ts';
import type { LedgerQuery__Output } from '../../proto/gen/hongbao/LedgerQuery.ts';
import type { Message as WireMessage } from '../../proto/gen/hongbao/Message.ts';
import { needUser } from './reads.ts';

/** A page of a person's statement as one replica shows it, newest first. Throws StoreError. */
export async function scanLedger(
  store: ReplicaStore,
  ask: LedgerQuery__Output,
): Promise<{ readonly asOfLsn: number; readonly lines: LedgerLine[] }> {
  const before = Number(ask.beforeLsn);
  const reply = await store.scan({
    table: 'ledger_entry',
    prefix: [needUser(ask.user)],
    reverse: true,
    limit: Math.min(ask.limit, LIMITS.historyPageMax),
    ...(before > 0 ? { to: before - 1 } : {}),
  });
  return { asOfLsn: reply.asOfLsn, lines: reply.rows.map(ledgerLineOf) };
}

/** What all of a statement's line is made of. */
export type WireLine = Required<{ [Field in keyof LedgerLine]: NonNullable<LedgerLine[Field]> }> & {
  readonly lsn: string;
  readonly amountCents: string;
  readonly packetId: string;
  readonly at: string;
};

export function ledgerLineOf(row: Row): WireLine {
  const [, lsn, leg, amountCents, reason, packetId, at] = row as [
    string,
    number,
    number,
    number,
    string,
    Id,
    number,
  ];
  return {
    lsn: String(lsn),
    index: leg,
    amountCents: String(amountCents),
    reason,
    packetId: String(packetId),
    at: String(at),
  };
}

/** Messages of a group by seq, both ends inclusive; null when one of them is not there. */
export async function scanMessages(
  store: ReplicaStore,
  range: { groupId: Id; from: number; to: number },
): Promise<{ readonly asOfLsn: number; readonly messages: WireMessage[] } | null> {
  const { groupId, from, to } = range;
  const count = to - from + 1;
  const reply = await store.scan({ table: 'message', prefix: [groupId], from, to, limit: count });
  if (reply.rows.length !== count) return null;
  return { asOfLsn: reply.asOfLsn, messages: reply.rows.map(messageOf) };
}

function messageOf(row: Row): WireMessage {
  const [groupId, seq, sender, kind, body, at, clientMsgId] = row as [
    Id,
    number,
    string,
    string,
    string,
    number,
    string,
  ];
  return {
    groupId: String(groupId),
    seq: String(seq),
    sender,
    kind,
    body,
    at: String(at),
    clientMsgId,
  };
}

/** The page of a range that `limit` leaves; null when it is empty. Seqs are contiguous. */
export function pageOf(ask: {
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly limit: number;
  readonly reverse: boolean;
}): { readonly from: number; readonly to: number } | null {
  const { fromSeq, toSeq, reverse } = ask;
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  if (fromSeq > toSeq || limit === 0) return null;
  return reverse
    ? { from: Math.max(fromSeq, toSeq - limit + 1), to: toSeq }
    : { from: fromSeq, to: Math.min(toSeq, fromSeq + limit - 1) };
}
