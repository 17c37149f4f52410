import { unreachable } from './assert.ts';
import type { Reader } from './bytes.ts';
import { DecodeError, Reader as ByteReader, Writer, utf8Length } from './bytes.ts';
import type { Grant, Invite } from './grant.ts';
import { GRANT_MAC_BYTES, readGrant, writeGrant } from './grant.ts';
import type { CommandId, Id } from './ids.ts';
import {
  asId,
  commandIdBytes,
  commandIdFromBytes,
  commandIdTime,
  IDS_PER_MS,
  readId,
} from './ids.ts';
import { LIMITS } from './limits.ts';
import type { PaymentCommand } from './payment.ts';
import {
  PAYMENT_COMMAND_CODES,
  checkPaymentShape,
  isPaymentCommand,
  isPaymentType,
  readPaymentCommand,
  writePaymentCommand,
} from './payment.ts';
import type { Status } from './status.ts';
import { STATUSES } from './status.ts';
import type { PacketDefinition } from './packet.ts';
import { checkDefinition, readDefinition, readUser, writeDefinition } from './packet.ts';
import { RULES_MIN } from './rules.ts';
import { sha256 } from './sha256.ts';
import type { HistoryRule, Transfer } from './transfer.ts';
import {
  HISTORIES,
  LANE_COUNT,
  moneyOf,
  readHistory,
  readTransfer,
  writeTransfer,
} from './transfer.ts';
import type { Cents, Epoch, Lsn, SetId } from './units.ts';
import { cents, epoch, lsn, setId, timeMs } from './units.ts';
import type { UserId } from './user.ts';
import { SLOT_COUNT } from './user.ts';

export const MESSAGE_KINDS = [
  'text',
  'system',
  'red_packet',
  'image',
  'audio',
  'video',
  'file',
] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

/**
 * Everything that can change a Set (SPEC section C). One encoding from the access node to the disk.
 * `packet.send`, `group.create`, `wallet.open` run at the user's home Set; those with a packetId or
 * groupId at the Set in that id; `transfer.*` at the receiving and at the sending Set. Those of
 * payments and of operators stand in payment.ts and run at the home Set of the wallet.
 */
export type Command =
  | {
      type: 'set.configure';
      clusterId: Uint8Array;
      replicas: number;
      quorum: number;
      rules: number;
      slots: Uint8Array;
    }
  | { type: 'ids.reserve'; count: number }
  | { type: 'wallet.open'; user: UserId; welcomeCents: Cents }
  | { type: 'packet.send'; commandId: CommandId; definition: PacketDefinition; grant: Grant | null }
  | { type: 'packet.open'; packetId: Id; user: UserId; grant: Grant | null }
  | { type: 'packet.expire'; packetId: Id }
  | {
      type: 'group.create';
      commandId: CommandId;
      user: UserId;
      groupId: Id;
      name: string;
      history: HistoryRule;
    }
  | { type: 'group.join'; user: UserId; invite: Invite }
  /** Without an id (null) a repeat cannot be known for one; with it from rules 2 on. */
  | { type: 'group.leave'; user: UserId; groupId: Id; commandId: CommandId | null }
  | {
      type: 'message.send';
      commandId: CommandId;
      user: UserId;
      groupId: Id;
      kind: MessageKind;
      body: string;
      seenSeq: number;
    }
  | { type: 'message.read'; user: UserId; groupId: Id; seq: number }
  | {
      type: 'transfer.deliver';
      from: SetId;
      lane: number;
      first: number;
      transfers: readonly Transfer[];
    }
  | {
      type: 'transfer.ack';
      to: SetId;
      lane: number;
      upTo: number;
      tombstones: readonly Tombstone[];
      receiptEpoch: Epoch;
      receiptLsn: Lsn;
    }
  | PaymentCommand;

/** The receiver's recorded refusal of one transfer, for ever: the only ground for a refund. */
export type Tombstone = { readonly number: number; readonly reason: Status };

export type CommandType = Command['type'];

export const COMMAND_CODES: Record<CommandType, number> = {
  'set.configure': 1,
  'ids.reserve': 2,
  'wallet.open': 3,
  'packet.send': 4,
  'packet.open': 5,
  'packet.expire': 6,
  'group.create': 7,
  'group.join': 8,
  'group.leave': 9,
  'message.send': 10,
  'message.read': 11,
  'transfer.deliver': 12,
  'transfer.ack': 13,
  ...PAYMENT_COMMAND_CODES,
};
const TYPE_BY_CODE = new Map(
  Object.entries(COMMAND_CODES).map(([type, code]) => [code, type as CommandType]),
);
/** Rules 2: `group.leave` with a command id, in a layout of its own. */
const LEAVE_WITH_ID_CODE = 14;

/** The first rules version whose leaders take this command and whose entries may hold it. */
export function rulesOf(c: Command): number {
  if (isPaymentCommand(c)) return 3;
  return c.type === 'group.leave' && c.commandId !== null ? 2 : RULES_MIN;
}

export const CLUSTER_ID_BYTES = 16;
export const SLOT_MAP_BYTES = SLOT_COUNT / 8;

function codeOf(c: Command): number {
  if (c.type === 'group.leave' && c.commandId !== null) return LEAVE_WITH_ID_CODE;
  return COMMAND_CODES[c.type];
}

function writeCommand(w: Writer, c: Command): void {
  w.u8(codeOf(c));
  if (isPaymentCommand(c)) return writePaymentCommand(w, c);
  switch (c.type) {
    case 'set.configure':
      w.fixed(c.clusterId, CLUSTER_ID_BYTES);
      w.u8(c.replicas);
      w.u8(c.quorum);
      w.u16(c.rules);
      w.fixed(c.slots, SLOT_MAP_BYTES);
      return;
    case 'ids.reserve':
      w.u16(c.count);
      return;
    case 'wallet.open':
      w.text(c.user);
      w.u64(c.welcomeCents);
      return;
    case 'packet.send':
      w.fixed(commandIdBytes(c.commandId), 16);
      writeDefinition(w, c.definition);
      writeGrant(w, c.grant);
      return;
    case 'packet.open':
      w.big(c.packetId);
      w.text(c.user);
      writeGrant(w, c.grant);
      return;
    case 'packet.expire':
      w.big(c.packetId);
      return;
    case 'group.create':
      w.fixed(commandIdBytes(c.commandId), 16);
      w.text(c.user);
      w.big(c.groupId);
      w.text(c.name);
      w.u8(HISTORIES.indexOf(c.history));
      return;
    case 'group.join':
      w.text(c.user);
      w.big(c.invite.groupId);
      w.text(c.invite.inviter);
      w.u64(c.invite.expiresAt);
      w.fixed(c.invite.mac, GRANT_MAC_BYTES);
      return;
    case 'group.leave':
      if (c.commandId !== null) w.fixed(commandIdBytes(c.commandId), 16);
      w.text(c.user);
      w.big(c.groupId);
      return;
    case 'message.send':
      w.fixed(commandIdBytes(c.commandId), 16);
      w.text(c.user);
      w.big(c.groupId);
      w.u8(MESSAGE_KINDS.indexOf(c.kind));
      w.text(c.body);
      w.u64(c.seenSeq);
      return;
    case 'message.read':
      w.text(c.user);
      w.big(c.groupId);
      w.u64(c.seq);
      return;
    case 'transfer.deliver':
      w.u16(c.from);
      w.u8(c.lane);
      w.u64(c.first);
      w.u16(c.transfers.length);
      for (const transfer of c.transfers) writeTransfer(w, transfer);
      return;
    case 'transfer.ack':
      w.u16(c.to);
      w.u8(c.lane);
      w.u64(c.upTo);
      w.u16(c.tombstones.length);
      for (const tombstone of c.tombstones) {
        w.u64(tombstone.number);
        w.text(tombstone.reason);
      }
      w.u64(c.receiptEpoch);
      w.u64(c.receiptLsn);
      return;
    default:
      unreachable(c);
  }
}

const scratch = new Writer(1_024);

export function encodeCommand(c: Command): Uint8Array {
  scratch.reset();
  writeCommand(scratch, c);
  return scratch.finish();
}

/** Throws DecodeError on anything that {@link encodeCommand} could not have made. */
export function decodeCommand(bytes: Uint8Array): Command {
  const r = new ByteReader(bytes);
  const code = r.u8();
  const command = code === LEAVE_WITH_ID_CODE ? readLeaveWithId(r) : readBody(r, typeOfCode(code));
  r.end();
  return command;
}

function typeOfCode(code: number): CommandType {
  const type = TYPE_BY_CODE.get(code);
  if (type === undefined) throw new DecodeError('unknown command type');
  return type;
}

function readLeaveWithId(r: Reader): Command {
  const commandId = readCommandId(r);
  return { type: 'group.leave', user: readUser(r), groupId: readId(r), commandId };
}

function readCommandId(r: Reader): CommandId {
  return commandIdFromBytes(r.fixed(16));
}

function readBody(r: Reader, type: CommandType): Command {
  if (isPaymentType(type)) return readPaymentCommand(r, type);
  switch (type) {
    case 'set.configure': {
      const clusterId = r.fixed(CLUSTER_ID_BYTES);
      const replicas = r.u8();
      const quorum = r.u8();
      return { type, clusterId, replicas, quorum, rules: r.u16(), slots: r.fixed(SLOT_MAP_BYTES) };
    }
    case 'ids.reserve':
      return { type, count: r.u16() };
    case 'wallet.open':
      return { type, user: readUser(r), welcomeCents: cents(r.u64()) };
    case 'packet.send': {
      const commandId = readCommandId(r);
      return { type, commandId, definition: readDefinition(r), grant: readGrant(r) };
    }
    case 'packet.open':
      return { type, packetId: readId(r), user: readUser(r), grant: readGrant(r) };
    case 'packet.expire':
      return { type, packetId: readId(r) };
    case 'group.create': {
      const commandId = readCommandId(r);
      const user = readUser(r);
      const groupId = readId(r);
      return { type, commandId, user, groupId, name: r.text(), history: readHistory(r) };
    }
    case 'group.join': {
      const user = readUser(r);
      const groupId = readId(r);
      const inviter = readUser(r);
      const expiresAt = timeMs(r.u64());
      const mac = r.fixed(GRANT_MAC_BYTES);
      return { type, user, invite: { groupId, inviter, expiresAt, mac } };
    }
    case 'group.leave':
      return { type, user: readUser(r), groupId: readId(r), commandId: null };
    case 'message.send': {
      const commandId = readCommandId(r);
      const user = readUser(r);
      const groupId = readId(r);
      const kind = MESSAGE_KINDS[r.u8()];
      if (kind === undefined) throw new DecodeError('unknown message kind');
      return { type, commandId, user, groupId, kind, body: r.text(), seenSeq: r.u64() };
    }
    case 'message.read':
      return { type, user: readUser(r), groupId: readId(r), seq: r.u64() };
    case 'transfer.deliver': {
      const from = readSet(r);
      const lane = readLane(r);
      const first = r.u64();
      const transfers = Array.from({ length: r.u16() }, () => readTransfer(r));
      return { type, from, lane, first, transfers };
    }
    case 'transfer.ack': {
      const to = readSet(r);
      const lane = readLane(r);
      const upTo = r.u64();
      const tombstones = Array.from({ length: r.u16() }, () => {
        const number = r.u64();
        return { number, reason: readReason(r) };
      });
      const receiptEpoch = epoch(r.u64());
      return { type, to, lane, upTo, tombstones, receiptEpoch, receiptLsn: lsn(r.u64()) };
    }
    default:
      return unreachable(type);
  }
}

function readReason(r: Reader): Status {
  const word = r.text();
  const reason = STATUSES.find((status) => status === word);
  if (reason === undefined) throw new DecodeError('unknown status');
  return reason;
}

function readSet(r: Reader): SetId {
  const value = r.u16();
  if (value > 1023) throw new DecodeError('a Set number is 0..1023');
  return setId(value);
}

function readLane(r: Reader): number {
  const lane = r.u8();
  if (lane >= LANE_COUNT) throw new DecodeError('unknown lane');
  return lane;
}

/** Shape checks that need no state: a command that fails them is never journaled (style 4). */
export function checkShape(c: Command): Status | null {
  if (isPaymentCommand(c)) return checkPaymentShape(c);
  switch (c.type) {
    case 'ids.reserve':
      return c.count >= 1 && c.count <= IDS_PER_MS ? null : 'count_out_of_range';
    case 'wallet.open':
      return c.welcomeCents <= LIMITS.issuedCentsMax ? null : 'amount_out_of_range';
    case 'packet.send':
      return checkDefinition(c.definition);
    case 'group.create': {
      const size = c.name.isWellFormed() ? utf8Length(c.name) : 0;
      return size >= 1 && size <= LIMITS.groupNameBytesMax ? null : 'bad_argument';
    }
    case 'message.send':
      if (c.kind === 'system' || c.kind === 'red_packet') return 'not_allowed';
      if (c.body.length === 0 || !c.body.isWellFormed()) return 'bad_argument';
      return utf8Length(c.body) <= LIMITS.messageBytesMax ? null : 'bad_argument';
    case 'transfer.deliver':
      if (c.first < 1 || c.transfers.length < 1) return 'malformed';
      if (c.transfers.length > LIMITS.deliverTransfersMax) return 'malformed';
      return c.transfers.every((t) => moneyOf(t) <= LIMITS.issuedCentsMax)
        ? null
        : 'amount_out_of_range';
    case 'set.configure':
    case 'packet.open':
    case 'packet.expire':
    case 'group.join':
    case 'group.leave':
    case 'message.read':
    case 'transfer.ack':
      return null;
    default:
      return unreachable(c);
  }
}

/** The idempotency key of a command: who, and the id that its client made. */
export type Key = { readonly user: UserId; readonly commandId: CommandId };

export function keyOf(c: Command): Key | null {
  switch (c.type) {
    case 'packet.send':
    case 'packet.pay':
      return { user: c.definition.sender, commandId: c.commandId };
    case 'wallet.freeze':
    case 'wallet.adjust':
      return { user: c.operator, commandId: c.commandId };
    case 'group.create':
    case 'message.send':
    case 'wallet.topup':
    case 'wallet.withdraw':
      return { user: c.user, commandId: c.commandId };
    case 'group.leave':
      return c.commandId === null ? null : { user: c.user, commandId: c.commandId };
    default:
      return null;
  }
}

/**
 * First 8 bytes of SHA-256 over the fields that the client sent (rulings 3): ids that a node
 * proposed and grants are left out, so that a retry through another node is the same command.
 */
export function fingerprintOf(c: Command): Uint8Array {
  const w = scratch;
  w.reset();
  switch (c.type) {
    case 'packet.send':
    case 'packet.pay':
      writeCommand(w, { ...c, definition: { ...c.definition, packetId: asId(0n) }, grant: null });
      break;
    case 'group.create':
      writeCommand(w, { ...c, groupId: asId(0n) });
      break;
    case 'message.send':
      writeCommand(w, { ...c, seenSeq: 0 });
      break;
    default:
      writeCommand(w, c);
  }
  return sha256(w.view()).slice(0, 8);
}

/** Rulings 9: may the answer to this id have left the memory of a Set whose log time is `ts`? */
export function mayBeEvicted(id: CommandId, ts: number): boolean {
  return commandIdTime(id) < ts - LIMITS.answerLookupAfterMs;
}
