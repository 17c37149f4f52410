/**
 * What the query tables of a Set must show, made from its journal alone by docs/spec/tables.md. It
 * shares nothing with the projector of set-node: a mistake there must not confirm itself.
 */
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Op, OpOf } from './decode.ts';
import { decodeOps } from './decode.ts';
import { announcedText, systemText } from './tables-messages.ts';
import { LAYOUTS, keyOf } from './tables-layout.ts';
import type { Cell, TableName } from './tables-layout.ts';
import { dayOf, dayRow, daySums } from './tables-days.ts';
import { paymentChange } from './tables-payments.ts';
import { fingerprintOf, rawOpsOf } from './tables-ops.ts';
import type { RawOp } from './tables-ops.ts';
import { ledgerRows } from './tables-ledger.ts';

const EMPTY = new Uint8Array(0);

export type TableRow = { readonly table: TableName; readonly row: readonly Cell[] };

/** Rows of these change later: they are kept. All others are written once and forgotten here. */
const KEPT = new Set<TableName>([
  'red_packet',
  'group_member',
  'user_group',
  'payment',
  'wallet_day',
]);

/**
 * The tables of one Set, entry by entry. Memory: a row for each packet, membership, payment and day;
 * messages, claims, statements and answers pass through.
 */
export class TableModel {
  readonly #kept = new Map<TableName, Map<string, readonly Cell[]>>();
  readonly #onRow: (row: TableRow) => void;

  /** `onRow` is given every row that will not change any more; the others are in {@link kept}. */
  constructor(onRow: (row: TableRow) => void) {
    this.#onRow = onRow;
  }

  /** Rows of packets, memberships, payments and days as they are now. */
  *kept(): Generator<TableRow> {
    for (const [table, rows] of this.#kept) {
      for (const row of rows.values()) yield { table, row };
    }
  }

  /** The next committed entry. Throws NotTheFormat, and then nothing of the entry is in. */
  add(entry: Entry): void {
    this.addOps(entry, decodeOps(entry));
  }

  /** {@link add} for who has read the ops already. */
  addOps(entry: Entry, ops: readonly Op[]): void {
    let leg = 0;
    for (const raw of rawOpsOf(entry, ops)) {
      this.#addOp(raw, entry);
      const lines = ledgerRows({ op: raw.op, entry, leg });
      for (const row of lines) this.#put('ledger_entry', row);
      for (const { owner, added } of daySums(raw.op, lines)) {
        const day = dayOf(entry.ts);
        const before = this.#row('wallet_day', [owner, day]);
        this.#put('wallet_day', dayRow({ owner, day, before, added }));
      }
      leg += raw.op.postings.length;
    }
  }

  #addOp(raw: RawOp, entry: Entry): void {
    const { op } = raw;
    const key = keyedBy(op);
    if (key !== null) {
      const fingerprint = fingerprintOf(raw);
      const { user, commandId } = key;
      this.#put('command_answer', [user, commandId, fingerprint, op.type, raw.outcome, entry.lsn]);
    }
    if (op.outcome.success === null) return;
    this.#addSuccess(op, entry);
    const payment = paymentChange(op, entry.ts);
    if (payment === null) return;
    if (payment.kind === 'new') this.#put('payment', payment.row);
    else this.#set({ table: 'payment', key: [payment.paymentId], values: payment.values });
  }

  #addSuccess(op: Op, { ts }: Entry): void {
    switch (op.type) {
      case 'packet.open':
        return this.#claim(op, ts);
      case 'packet.expire': {
        const { refundCents, seed } = said(op);
        const values = { phase: 'refunded', ended_at: ts, seed, refund_cents: refundCents };
        return this.#set({ table: 'red_packet', key: [op.command.packetId], values });
      }
      case 'group.join': {
        const { user, groupId, inviter } = op.command;
        const { role, joinedSeq, version, seq } = said(op);
        this.#put('group_member', [groupId, user, role, ts, joinedSeq, version, 1]);
        const body = systemText({ event: 'joined', userId: user, inviter });
        return this.#put('message', [groupId, seq, user, 'system', body, ts, '']);
      }
      case 'group.leave': {
        const { user, groupId } = op.command;
        const { version, seq } = said(op);
        const values = { present: 0, version };
        this.#set({ table: 'group_member', key: [groupId, user], values });
        const body = systemText({ event: 'left', userId: user });
        return this.#put('message', [groupId, seq, user, 'system', body, ts, '']);
      }
      case 'message.send': {
        const { groupId, user, kind, body, commandId } = op.command;
        const { seq, at } = said(op);
        return this.#put('message', [groupId, seq, user, kind, body, at, commandId]);
      }
      case 'transfer.deliver': {
        const { receipts } = said(op);
        for (const [at, transfer] of op.command.transfers.entries()) {
          const receipt = receipts[at];
          if (receipt !== undefined) this.#deliver({ transfer, receipt, ts });
        }
        return;
      }
      default:
    }
  }

  #claim(op: OpOf<'packet.open'>, ts: number): void {
    const { packetId, user } = op.command;
    const { order, amountCents, at, left, seed } = said(op);
    this.#put('red_packet_record', [packetId, order, user, amountCents, at]);
    const before = this.#row('red_packet', [packetId]);
    const taken = Number(cellOf(before, 'taken')) + 1;
    const takenCents = Number(cellOf(before, 'taken_cents')) + amountCents;
    const end = left === 0 ? { phase: 'drained', ended_at: ts, seed } : {};
    const values = { taken, taken_cents: takenCents, ...end };
    this.#set({ table: 'red_packet', key: [packetId], values });
  }

  #deliver(args: {
    transfer: OpOf<'transfer.deliver'>['command']['transfers'][number];
    receipt: NonNullable<OpOf<'transfer.deliver'>['outcome']['success']>['receipts'][number];
    ts: number;
  }): void {
    const { transfer, receipt, ts } = args;
    if (receipt.kind === 'live' && transfer.kind === 'packet.create') {
      const { definition: d } = transfer;
      const terms = [d.kind, d.strategy, d.timing, d.totalCents, d.count, d.greeting] as const;
      const times = [ts, ts + d.lifetimeMs, 'live', 0, 0, 0, 0] as const;
      const seedHash = Buffer.from(receipt.seedHash, 'hex');
      const names = [d.packetId, d.groupId, d.sender] as const;
      this.#put('red_packet', [...names, ...terms, ...times, seedHash, EMPTY]);
    } else if (receipt.kind === 'message' && transfer.kind === 'group.found') {
      const { groupId, owner, name, history } = transfer;
      this.#put('chat_group', [groupId, name, owner, history, ts]);
      this.#put('group_member', [groupId, owner, 'owner', ts, 0, 1, 1]);
      const body = systemText({ event: 'founded', userId: owner, name });
      this.#put('message', [groupId, receipt.seq, owner, 'system', body, ts, '']);
    } else if (receipt.kind === 'message' && transfer.kind === 'packet.announce') {
      const { groupId, sender } = transfer;
      const body = announcedText(transfer);
      this.#put('message', [groupId, receipt.seq, sender, 'red_packet', body, ts, '']);
    } else if (receipt.kind === 'applied' && transfer.kind === 'member.hint') {
      const { user, groupId, version, present, name } = transfer;
      this.#put('user_group', [user, groupId, version, present ? 1 : 0, name]);
    }
  }

  #row(table: TableName, key: readonly Cell[]): readonly Cell[] | null {
    return this.#kept.get(table)?.get(nameOf(key)) ?? null;
  }

  #put(table: TableName, row: readonly Cell[]): void {
    if (!KEPT.has(table)) return this.#onRow({ table, row });
    let rows = this.#kept.get(table);
    if (rows === undefined) this.#kept.set(table, (rows = new Map()));
    rows.set(nameOf(keyOf(table, row)), row);
  }

  /** A row that is not there stays away: only a journal that breaks a rule asks for that. */
  #set(args: {
    table: TableName;
    key: readonly Cell[];
    values: Readonly<Record<string, Cell>>;
  }): void {
    const { table, key, values } = args;
    const before = this.#row(table, key);
    if (before === null) return;
    const names = Object.keys(LAYOUTS[table].columns);
    const after = before.map((cell, at) => values[names[at] ?? ''] ?? cell);
    this.#put(table, after);
  }
}

/** No name and no number has a line break in it. */
function nameOf(key: readonly Cell[]): string {
  return key.map(String).join('\n');
}

function cellOf(row: readonly Cell[] | null, column: 'taken' | 'taken_cents'): Cell {
  const at = Object.keys(LAYOUTS.red_packet.columns).indexOf(column);
  return row?.[at] ?? 0;
}

/** What the op answered; its caller knows that it is a success. */
function said<Success>(op: { outcome: { success: Success | null } }): Success {
  return op.outcome.success as Success;
}

/** Who asked, and the id that his client made; null for commands without one (SPEC C3). */
function keyedBy(op: Op): { user: string; commandId: string } | null {
  switch (op.type) {
    case 'packet.send':
    case 'packet.pay':
      return { user: op.command.definition.sender, commandId: op.command.commandId };
    case 'group.create':
    case 'message.send':
    case 'wallet.topup':
    case 'wallet.withdraw':
      return { user: op.command.user, commandId: op.command.commandId };
    case 'wallet.freeze':
    case 'wallet.adjust':
      return { user: op.command.operator, commandId: op.command.commandId };
    case 'group.leave': {
      const { user, commandId } = op.command;
      return commandId === '' ? null : { user, commandId };
    }
    default:
      return null;
  }
}
