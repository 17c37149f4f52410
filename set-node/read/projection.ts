import { unreachable } from '../../lib/core/assert.ts';
import { toHex } from '../../lib/core/bytes.ts';
import type { ClaimOp } from '../../lib/core/claim-op.ts';
import { eachOp } from '../../lib/core/claim-op.ts';
import { fingerprintOf, keyOf } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import type { Success } from '../../lib/core/outcome.ts';
import { encodeOutcome, succeeded } from '../../lib/core/outcome.ts';
import type { PaymentCommand, PaymentPurpose } from '../../lib/core/payment.ts';
import { isPaymentCommand } from '../../lib/core/payment.ts';
import { dayOf } from '../../lib/core/payment.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Change, Row, Schema, Value } from '../../lib/port/replica-store.ts';
import { messagesOf } from '../machine/messages.ts';
import type { TableName } from './tables.ts';
import { TABLES } from './tables.ts';
import { lineDeltas, sentDeltas } from './wallet-days.ts';

const EMPTY = new Uint8Array(0);

/** Gathers changes; sums what is added to one row, so that a large batch touches each row once. */
class Changes {
  readonly #list: Change[] = [];
  readonly #adds = new Map<TableName, Map<bigint | string, Record<string, number>>>();

  put(table: TableName, row: Row): void {
    this.#list.push({ kind: 'put', table, row });
  }

  set(table: TableName, key: Row, values: Record<string, Value>): void {
    this.#list.push({ kind: 'set', table, key, values });
  }

  add(args: {
    table: TableName;
    key: readonly [bigint] | readonly [UserId, number];
    deltas: Readonly<Record<string, number>>;
  }): void {
    const { table, key, deltas } = args;
    // A user id has no control character: no two keys share a name.
    const id = key.length === 1 ? key[0] : `${key[0]}\u0000${key[1]}`;
    let rows = this.#adds.get(table);
    if (rows === undefined) this.#adds.set(table, (rows = new Map()));
    let sums = rows.get(id);
    if (sums === undefined) {
      sums = {};
      rows.set(id, sums);
      this.#list.push({ kind: 'add', table, key, deltas: sums });
    }
    for (const [column, delta] of Object.entries(deltas)) {
      sums[column] = (sums[column] ?? 0) + delta;
    }
  }

  all(): Change[] {
    return this.#list;
  }
}

/** Pure: what committed entries change in the tables. Every replica of a Set computes the same. */
function project(entries: readonly Entry[]): Change[] {
  const changes = new Changes();
  for (const entry of entries) {
    let leg = 0;
    eachOp(entry, {
      claim: (op) => {
        projectClaim({ changes, packetId: op.packetId, user: op.user, share: op, entry });
        leg += CLAIM_LEGS;
      },
      other: (op) => {
        projectOp({ changes, op, entry });
        leg = projectLedger({ changes, op, entry, leg });
      },
    });
  }
  return changes.all();
}

export const schema: Schema = { tables: TABLES, project };

type Step = { changes: Changes; op: Op; entry: Entry };

function projectOp({ changes, op, entry }: Step): void {
  const { command, outcome } = op;
  const key = keyOf(command);
  if (key !== null) {
    changes.put('command_answer', [
      key.user,
      key.commandId,
      toHex(fingerprintOf(command)),
      command.type,
      encodeOutcome(outcome),
      entry.lsn,
    ]);
  }
  if (!succeeded(outcome)) return;
  for (const m of messagesOf(op, entry.ts)) {
    changes.put('message', [m.groupId, m.seq, m.sender, m.kind, m.body, m.at, m.clientMsgId]);
  }
  if (isPaymentCommand(command)) {
    projectPayment({ changes, command, outcome, entry });
  } else if (command.type === 'packet.open' && outcome.type === 'packet.open') {
    const { packetId, user } = command;
    projectClaim({ changes, packetId, user, share: outcome, entry });
  } else if (command.type === 'packet.expire' && outcome.type === 'packet.expire') {
    changes.set('red_packet', [command.packetId], {
      phase: 'refunded',
      ended_at: entry.ts,
      seed: outcome.seed,
      refund_cents: outcome.refundCents,
    });
  } else if (command.type === 'group.join' && outcome.type === 'group.join') {
    const { role, joinedSeq, version } = outcome;
    const { groupId } = command.invite;
    changes.put('group_member', [groupId, command.user, role, entry.ts, joinedSeq, version, 1]);
  } else if (command.type === 'group.leave' && outcome.type === 'group.leave') {
    const gone = { present: 0, version: outcome.version };
    changes.set('group_member', [command.groupId, command.user], gone);
  } else if (command.type === 'transfer.deliver' && outcome.type === 'transfer.deliver') {
    for (const [index, transfer] of command.transfers.entries()) {
      const receipt = outcome.receipts[index];
      if (receipt !== undefined) projectTransfer({ changes, transfer, receipt, entry });
    }
  }
}

function projectPayment(args: {
  changes: Changes;
  command: PaymentCommand;
  outcome: Success;
  entry: Entry;
}): void {
  const { changes, command, outcome, entry } = args;
  const begin = (of: {
    paymentId: bigint;
    owner: UserId;
    amountCents: number;
    purpose: PaymentPurpose;
    packetId?: bigint;
    destination?: string;
    dueAt?: number;
  }): void => {
    const { paymentId, owner, purpose, amountCents } = of;
    const { packetId = 0n, destination = '', dueAt = 0 } = of;
    const open = ['pending', packetId, destination, '', entry.ts, dueAt, 0] as const;
    changes.put('payment', [paymentId, owner, purpose, amountCents, ...open]);
  };
  if (command.type === 'wallet.topup' && outcome.type === 'wallet.topup') {
    const { user: owner, amountCents } = command;
    begin({ ...outcome, owner, amountCents, purpose: 'topup' });
  } else if (command.type === 'wallet.withdraw' && outcome.type === 'wallet.withdraw') {
    const { user: owner, amountCents, destination } = command;
    begin({ ...outcome, owner, amountCents, purpose: 'withdraw', destination });
  } else if (command.type === 'packet.pay' && outcome.type === 'packet.pay') {
    const { sender: owner, totalCents: amountCents } = command.definition;
    begin({ ...outcome, owner, amountCents, purpose: 'packet' });
  } else if (command.type === 'payment.settle') {
    const { result: state, reference } = command;
    changes.set('payment', [command.paymentId], { state, reference, ended_at: entry.ts });
  } else if (command.type === 'payment.expire') {
    changes.set('payment', [command.paymentId], { state: 'expired', ended_at: entry.ts });
  }
}

/** A won open, as a whole op or read flat: neither of its two legs is a wallet's. */
function projectClaim(args: {
  changes: Changes;
  packetId: Id;
  user: UserId;
  share: Pick<ClaimOp, 'amountCents' | 'order' | 'left' | 'at' | 'seed'>;
  entry: Entry;
}): void {
  const { changes, packetId, user, share, entry } = args;
  const { order, amountCents, left, at, seed } = share;
  changes.put('red_packet_record', [packetId, order, user, amountCents, at]);
  changes.add({
    table: 'red_packet',
    key: [packetId],
    deltas: { taken: 1, taken_cents: amountCents },
  });
  if (left > 0) return;
  changes.set('red_packet', [packetId], { phase: 'drained', ended_at: entry.ts, seed });
}

const CLAIM_LEGS = 2;

function projectTransfer(args: {
  changes: Changes;
  transfer: Transfer;
  receipt: Receipt;
  entry: Entry;
}): void {
  const { changes, transfer, receipt, entry } = args;
  if (!happened(receipt)) return;
  switch (transfer.kind) {
    case 'packet.create': {
      const d = transfer.definition;
      changes.put('red_packet', [
        d.packetId,
        d.groupId,
        d.sender,
        d.kind,
        d.strategy,
        d.timing,
        d.totalCents,
        d.count,
        d.greeting,
        entry.ts,
        entry.ts + d.lifetimeMs,
        'live',
        0,
        0,
        0,
        0,
        receipt.kind === 'live' ? receipt.seedHash : EMPTY,
        EMPTY,
      ]);
      return;
    }
    case 'group.found': {
      const { groupId, name, owner, history } = transfer;
      changes.put('chat_group', [groupId, name, owner, history, entry.ts]);
      changes.put('group_member', [groupId, owner, 'owner', entry.ts, 0, 1, 1]);
      return;
    }
    case 'member.hint': {
      const { user, groupId, version, present, name } = transfer;
      changes.put('user_group', [user, groupId, version, present ? 1 : 0, name]);
      return;
    }
    case 'packet.announce':
    case 'claim.credit':
    case 'packet.refund':
      return;
    default:
      unreachable(transfer);
  }
}

/** Did the transfer do something here and now? */
function happened({ kind }: Receipt): boolean {
  return kind !== 'duplicate' && kind !== 'stale' && kind !== 'tombstone';
}

/** Every wallet leg as a row and in its day's sums; the reason is the command's or transfer's own word. */
function projectLedger({ changes, op, entry, leg: first }: Step & { leg: number }): number {
  const reasons = reasonsOf(op);
  const day = dayOf(entry.ts);
  for (const [index, { account, amountCents }] of op.postings.entries()) {
    if (account.kind !== 'wallet') continue;
    const { reason, packetId } = reasons(index);
    const leg = first + index;
    changes.put('ledger_entry', [
      account.user,
      entry.lsn,
      leg,
      amountCents,
      reason,
      packetId,
      entry.ts,
    ]);
    const deltas = lineDeltas({ reason, amountCents });
    changes.add({ table: 'wallet_day', key: [account.user, day], deltas });
  }
  for (const { transfer } of op.sends) {
    if (transfer.kind !== 'packet.create') continue;
    const deltas = sentDeltas(transfer.definition);
    changes.add({ table: 'wallet_day', key: [transfer.definition.sender, day], deltas });
  }
  return first + op.postings.length;
}

type Reason = { reason: string; packetId: bigint };

function reasonsOf(op: Op): (index: number) => Reason {
  const { command, outcome } = op;
  if (command.type === 'transfer.deliver' && succeeded(outcome) && outcome.type === command.type) {
    // Each money transfer that was applied has two legs; the others have none.
    const moved = command.transfers.filter((transfer, index) => {
      const kind = outcome.receipts[index]?.kind;
      return (kind === 'applied' || kind === 'live') && packetOf(transfer) !== 0n;
    });
    return (index) => {
      const transfer = moved[index >> 1];
      return {
        reason: transfer?.kind ?? command.type,
        packetId: transfer ? packetOf(transfer) : 0n,
      };
    };
  }
  if (command.type === 'payment.settle') {
    const isBack = 'became' in outcome && outcome.became === 'returned';
    return () => ({ reason: isBack ? 'withdraw.returned' : 'wallet.topup', packetId: 0n });
  }
  const packetId =
    command.type === 'packet.send'
      ? command.definition.packetId
      : command.type === 'packet.open' || command.type === 'packet.expire'
        ? command.packetId
        : 0n;
  return () => ({ reason: command.type, packetId });
}

function packetOf(transfer: Transfer): bigint {
  switch (transfer.kind) {
    case 'packet.create':
      return transfer.definition.packetId;
    case 'claim.credit':
    case 'packet.refund':
      return transfer.packetId;
    default:
      return 0n;
  }
}
