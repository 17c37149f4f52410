import type { Posting } from '../../lib/core/account.ts';
import type { Command, CommandType } from '../../lib/core/command.ts';
import type { Grant, Invite } from '../../lib/core/grant.ts';
import { packId, parseCommandId } from '../../lib/core/ids.ts';
import type { CommandId } from '../../lib/core/ids.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Transfer, TransferKind } from '../../lib/core/transfer.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { UserId } from '../../lib/core/user.ts';
import { blob, counting, hex, i64, id, join, text, u16, u32, u64, u8 } from './bytes-by-hand.ts';

/** One value beside its bytes, put together by hand field by field. */
export type Example<Value> = { readonly value: Value; readonly bytes: Buffer };
export type Examples<Value> = Readonly<Record<string, Example<Value>>>;

export function user(name: string): UserId {
  const parsed = parseUserId(name);
  if (parsed === null) throw new Error(`${name} is no user id`);
  return parsed;
}

function commandId(name: string): CommandId {
  const parsed = parseCommandId(name);
  if (parsed === null) throw new Error(`${name} is no command id`);
  return parsed;
}

/** 2026-01-01 UTC, in milliseconds. */
const NOW = timeMs(1_767_225_600_000);
const NOW_BYTES = u64(1_767_225_600_000);
const PACKET = packId({ ms: 1_000_000, set: setId(3), sequence: 5 });
const PACKET_BYTES = id(1_000_000, 3, 5);
const GROUP = packId({ ms: 2_000_000, set: setId(7), sequence: 4_095 });
const GROUP_BYTES = id(2_000_000, 7, 4_095);
const COMMAND_ID = commandId('019b7600-0000-7000-8000-0123456789ab');
const COMMAND_ID_BYTES = hex('019b760000007000' + '80000123456789ab');
const MAC = counting(16, 0xa0);
export const SEED = counting(32, 0);
const HASH = counting(32, 0x40);
const SEALED = counting(60, 0x80);

export const DEFINITION: PacketDefinition = {
  packetId: PACKET,
  sender: user('alice'),
  groupId: GROUP,
  kind: 'lucky',
  strategy: 'double_mean',
  timing: 'at_open',
  totalCents: cents(20_000),
  count: 10,
  lifetimeMs: 86_400_000,
  greeting: '恭喜发财',
  receivers: [],
};
export const DEFINITION_BYTES = join(
  PACKET_BYTES,
  text('alice'),
  GROUP_BYTES,
  u8(0),
  u8(0),
  u8(0),
  u64(20_000),
  u32(10),
  u64(86_400_000),
  text('恭喜发财'),
  u16(0),
);
export const EXCLUSIVE: PacketDefinition = {
  packetId: PACKET,
  sender: user('小红'),
  groupId: GROUP,
  kind: 'exclusive',
  strategy: 'equal',
  timing: 'pre_split',
  totalCents: cents(2),
  count: 2,
  lifetimeMs: 1_000,
  greeting: '',
  receivers: [user('bob'), user('小红')],
};
const EXCLUSIVE_BYTES = join(
  PACKET_BYTES,
  text('小红'),
  GROUP_BYTES,
  u8(2),
  u8(3),
  u8(1),
  u64(2),
  u32(2),
  u64(1_000),
  text(''),
  u16(2),
  text('bob'),
  text('小红'),
);

export const GRANT: Grant = {
  groupId: GROUP,
  role: 'admin',
  rights: 1,
  groupLsn: lsn(77),
  issuedAt: NOW,
  mac: MAC,
};
const GRANT_BYTES = join(u8(1), GROUP_BYTES, u8(1), u16(1), u64(77), NOW_BYTES, MAC);

export const GRANTS: Examples<Grant | null> = {
  none: { value: null, bytes: u8(0) },
  admin: { value: GRANT, bytes: GRANT_BYTES },
};

export const INVITE: Invite = {
  groupId: GROUP,
  inviter: user('alice'),
  expiresAt: NOW,
  mac: MAC,
};

/** What the MACs of a grant and of an invitation cover. */
export const GRANT_MAC_INPUT = join(
  text('grant1'),
  text('bob'),
  GROUP_BYTES,
  u8(1),
  u16(1),
  u64(77),
  NOW_BYTES,
);
export const INVITE_MAC_INPUT = join(text('invite1'), GROUP_BYTES, text('alice'), NOW_BYTES);

export const POSTINGS: Examples<Posting> = {
  wallet: {
    value: { account: { kind: 'wallet', user: user('小红') }, amountCents: cents(-20_000) },
    bytes: join(u8(1), text('小红'), i64(-20_000)),
  },
  packet: {
    value: { account: { kind: 'packet', packetId: PACKET }, amountCents: cents(1) },
    bytes: join(u8(2), PACKET_BYTES, i64(1)),
  },
  clearing: {
    value: { account: { kind: 'clearing', peer: setId(1_023) }, amountCents: cents(20_000) },
    bytes: join(u8(3), u16(1_023), i64(20_000)),
  },
  issuer: {
    value: { account: { kind: 'issuer' }, amountCents: cents(-1_000_000_000_000_000) },
    bytes: join(u8(4), i64(-1_000_000_000_000_000)),
  },
  gateway: {
    value: { account: { kind: 'gateway' }, amountCents: cents(-300) },
    bytes: join(u8(5), i64(-300)),
  },
};

export const TRANSFERS: Record<TransferKind, Example<Transfer>> = {
  'packet.create': {
    value: { kind: 'packet.create', definition: DEFINITION, sentAt: NOW },
    bytes: join(u8(1), DEFINITION_BYTES, NOW_BYTES),
  },
  'packet.announce': {
    value: {
      kind: 'packet.announce',
      packetId: PACKET,
      groupId: GROUP,
      sender: user('alice'),
      packetKind: 'equal',
      count: 3,
      greeting: 'hi',
      seedHash: HASH,
      expiresAt: NOW,
    },
    bytes: join(
      u8(2),
      PACKET_BYTES,
      GROUP_BYTES,
      text('alice'),
      u8(1),
      u32(3),
      text('hi'),
      HASH,
      NOW_BYTES,
    ),
  },
  'claim.credit': {
    value: {
      kind: 'claim.credit',
      packetId: PACKET,
      groupId: GROUP,
      user: user('bob'),
      amountCents: cents(5_000),
    },
    bytes: join(u8(3), PACKET_BYTES, GROUP_BYTES, text('bob'), u64(5_000)),
  },
  'packet.refund': {
    // A person called `refund` must not swallow a refund (rulings 5).
    value: {
      kind: 'packet.refund',
      packetId: PACKET,
      groupId: GROUP,
      user: user('refund'),
      amountCents: cents(1),
    },
    bytes: join(u8(4), PACKET_BYTES, GROUP_BYTES, text('refund'), u64(1)),
  },
  'group.found': {
    value: {
      kind: 'group.found',
      groupId: GROUP,
      owner: user('alice'),
      name: '家',
      history: 'from_join',
    },
    bytes: join(u8(5), GROUP_BYTES, text('alice'), text('家'), u8(1)),
  },
  'member.hint': {
    value: {
      kind: 'member.hint',
      groupId: GROUP,
      user: user('bob'),
      version: 2,
      present: true,
      name: '家',
    },
    bytes: join(u8(6), GROUP_BYTES, text('bob'), u64(2), u8(1), text('家')),
  },
};

const CLUSTER = counting(16, 0x10);
const SLOTS = counting(128, 1);

const PAYMENT = packId({ ms: 3_000_000, set: setId(3), sequence: 6 });
const PAYMENT_BYTES = id(3_000_000, 3, 6);
const DUE = timeMs(1_767_226_500_000);
const DUE_BYTES = u64(1_767_226_500_000);

export const COMMANDS: Record<CommandType, Example<Command>> = {
  'set.configure': {
    value: {
      type: 'set.configure',
      clusterId: CLUSTER,
      replicas: 3,
      quorum: 2,
      rules: 1,
      slots: SLOTS,
    },
    bytes: join(u8(1), CLUSTER, u8(3), u8(2), u16(1), SLOTS),
  },
  'ids.reserve': {
    value: { type: 'ids.reserve', count: 4_096 },
    bytes: join(u8(2), u16(4_096)),
  },
  'wallet.open': {
    value: { type: 'wallet.open', user: user('alice'), welcomeCents: cents(100_000) },
    bytes: join(u8(3), text('alice'), u64(100_000)),
  },
  'packet.send': {
    value: { type: 'packet.send', commandId: COMMAND_ID, definition: DEFINITION, grant: GRANT },
    bytes: join(u8(4), COMMAND_ID_BYTES, DEFINITION_BYTES, GRANT_BYTES),
  },
  'packet.open': {
    value: { type: 'packet.open', packetId: PACKET, user: user('bob'), grant: GRANT },
    bytes: join(u8(5), PACKET_BYTES, text('bob'), GRANT_BYTES),
  },
  'packet.expire': {
    value: { type: 'packet.expire', packetId: PACKET },
    bytes: join(u8(6), PACKET_BYTES),
  },
  'group.create': {
    value: {
      type: 'group.create',
      commandId: COMMAND_ID,
      user: user('alice'),
      groupId: GROUP,
      name: '家',
      history: 'all',
    },
    bytes: join(u8(7), COMMAND_ID_BYTES, text('alice'), GROUP_BYTES, text('家'), u8(0)),
  },
  'group.join': {
    value: { type: 'group.join', user: user('bob'), invite: INVITE },
    bytes: join(u8(8), text('bob'), GROUP_BYTES, text('alice'), NOW_BYTES, MAC),
  },
  'group.leave': {
    value: { type: 'group.leave', user: user('bob'), groupId: GROUP, commandId: null },
    bytes: join(u8(9), text('bob'), GROUP_BYTES),
  },
  'message.send': {
    value: {
      type: 'message.send',
      commandId: COMMAND_ID,
      user: user('bob'),
      groupId: GROUP,
      kind: 'text',
      body: '谢谢 🧧',
      seenSeq: 12,
    },
    bytes: join(
      u8(10),
      COMMAND_ID_BYTES,
      text('bob'),
      GROUP_BYTES,
      u8(0),
      text('谢谢 🧧'),
      u64(12),
    ),
  },
  'message.read': {
    value: { type: 'message.read', user: user('bob'), groupId: GROUP, seq: 2 ** 53 - 1 },
    bytes: join(u8(11), text('bob'), GROUP_BYTES, hex('ffffffffffff1f00')),
  },
  'transfer.deliver': {
    value: {
      type: 'transfer.deliver',
      from: setId(3),
      lane: 2,
      first: 9,
      transfers: [TRANSFERS['claim.credit'].value, TRANSFERS['member.hint'].value],
    },
    bytes: join(
      u8(12),
      u16(3),
      u8(2),
      u64(9),
      u16(2),
      TRANSFERS['claim.credit'].bytes,
      TRANSFERS['member.hint'].bytes,
    ),
  },
  'transfer.ack': {
    value: {
      type: 'transfer.ack',
      to: setId(3),
      lane: 0,
      upTo: 9,
      tombstones: [{ number: 8, reason: 'bad_argument' }],
      receiptEpoch: epoch(513),
      receiptLsn: lsn(4_711),
    },
    bytes: join(
      u8(13),
      u16(3),
      u8(0),
      u64(9),
      u16(1),
      u64(8),
      text('bad_argument'),
      u64(513),
      u64(4_711),
    ),
  },
  'wallet.topup': {
    value: {
      type: 'wallet.topup',
      commandId: COMMAND_ID,
      user: user('alice'),
      amountCents: cents(5_000),
    },
    bytes: join(u8(15), COMMAND_ID_BYTES, text('alice'), u64(5_000)),
  },
  'wallet.withdraw': {
    value: {
      type: 'wallet.withdraw',
      commandId: COMMAND_ID,
      user: user('alice'),
      amountCents: cents(300),
      destination: '招商银行 **** 1234',
    },
    bytes: join(u8(16), COMMAND_ID_BYTES, text('alice'), u64(300), text('招商银行 **** 1234')),
  },
  'packet.pay': {
    value: { type: 'packet.pay', commandId: COMMAND_ID, definition: DEFINITION, grant: GRANT },
    bytes: join(u8(17), COMMAND_ID_BYTES, DEFINITION_BYTES, GRANT_BYTES),
  },
  'payment.settle': {
    value: {
      type: 'payment.settle',
      paymentId: PAYMENT,
      result: 'denied',
      amountCents: cents(300),
      reference: 'gw-42',
    },
    bytes: join(u8(18), PAYMENT_BYTES, u8(1), u64(300), text('gw-42')),
  },
  'payment.expire': {
    value: { type: 'payment.expire', paymentId: PAYMENT },
    bytes: join(u8(19), PAYMENT_BYTES),
  },
  'wallet.freeze': {
    value: {
      type: 'wallet.freeze',
      commandId: COMMAND_ID,
      operator: user('ops'),
      user: user('bob'),
      frozen: true,
      reason: 'reported',
    },
    bytes: join(u8(20), COMMAND_ID_BYTES, text('ops'), text('bob'), u8(1), text('reported')),
  },
  'wallet.adjust': {
    value: {
      type: 'wallet.adjust',
      commandId: COMMAND_ID,
      operator: user('ops'),
      user: user('bob'),
      amountCents: cents(-7),
      reason: '',
    },
    bytes: join(u8(21), COMMAND_ID_BYTES, text('ops'), text('bob'), i64(-7), text('')),
  },
};

export const VARIANTS: Examples<Command> = {
  'packet.send exclusive, without a grant': {
    value: { type: 'packet.send', commandId: COMMAND_ID, definition: EXCLUSIVE, grant: null },
    bytes: join(u8(4), COMMAND_ID_BYTES, EXCLUSIVE_BYTES, u8(0)),
  },
  'packet.open without a grant': {
    value: { type: 'packet.open', packetId: PACKET, user: user('bob'), grant: null },
    bytes: join(u8(5), PACKET_BYTES, text('bob'), u8(0)),
  },
  'group.leave with an id (rules 2)': {
    value: { type: 'group.leave', user: user('bob'), groupId: GROUP, commandId: COMMAND_ID },
    bytes: join(u8(14), COMMAND_ID_BYTES, text('bob'), GROUP_BYTES),
  },
};

/** The fingerprint of packet.send leaves out what the client did not send (rulings 3). */
export const SEND_FINGERPRINT_INPUT = join(
  u8(4),
  COMMAND_ID_BYTES,
  u64(0),
  DEFINITION_BYTES.subarray(8),
  u8(0),
);

/** Every command type's success, and the successes that have more than one shape. */
export const OUTCOMES: Record<CommandType, Example<Outcome>> = {
  'set.configure': { value: { type: 'set.configure', status: 'ok' }, bytes: u16(0) },
  'ids.reserve': {
    value: { type: 'ids.reserve', status: 'ok', firstId: PACKET, count: 64 },
    bytes: join(u16(0), PACKET_BYTES, u16(64)),
  },
  'wallet.open': {
    value: { type: 'wallet.open', status: 'ok', balanceCents: cents(100_000), welcomed: true },
    bytes: join(u16(0), u64(100_000), u8(1)),
  },
  'packet.send': {
    value: { type: 'packet.send', status: 'ok', packetId: PACKET },
    bytes: join(u16(0), PACKET_BYTES),
  },
  'packet.open': {
    value: {
      type: 'packet.open',
      status: 'ok',
      amountCents: cents(7),
      order: 10,
      left: 0,
      at: NOW,
      seed: SEED,
    },
    bytes: join(u16(0), u64(7), u32(10), u32(0), NOW_BYTES, blob(SEED)),
  },
  'packet.expire': {
    value: { type: 'packet.expire', status: 'ok', refundCents: cents(19_993), seed: SEED },
    bytes: join(u16(0), u64(19_993), blob(SEED)),
  },
  'group.create': {
    value: { type: 'group.create', status: 'ok', groupId: GROUP },
    bytes: join(u16(0), GROUP_BYTES),
  },
  'group.join': {
    value: { type: 'group.join', status: 'ok', role: 'owner', version: 3, joinedSeq: 4, seq: 5 },
    bytes: join(u16(0), u8(2), u64(3), u64(4), u64(5)),
  },
  'group.leave': {
    value: { type: 'group.leave', status: 'ok', version: 4, seq: 6 },
    bytes: join(u16(0), u64(4), u64(6)),
  },
  'message.send': {
    value: { type: 'message.send', status: 'ok', seq: 7, at: NOW },
    bytes: join(u16(0), u64(7), NOW_BYTES),
  },
  'message.read': {
    value: { type: 'message.read', status: 'ok', seq: 7, readCount: 5, ownAfter: 1, unread: 99 },
    bytes: join(u16(0), u64(7), u64(5), u64(1), u32(99)),
  },
  'transfer.deliver': {
    value: {
      type: 'transfer.deliver',
      status: 'ok',
      receipts: [
        { kind: 'live', sealedSeed: SEALED, seedHash: HASH },
        { kind: 'message', seq: 8 },
        { kind: 'applied' },
        { kind: 'duplicate' },
        { kind: 'tombstone', reason: 'wrong_set' },
      ],
    },
    bytes: join(
      u16(0),
      u16(5),
      u8(1),
      blob(SEALED),
      HASH,
      u8(2),
      u64(8),
      u8(3),
      u8(4),
      u8(5),
      u16(20),
    ),
  },
  'transfer.ack': {
    value: { type: 'transfer.ack', status: 'ok', upTo: 9 },
    bytes: join(u16(0), u64(9)),
  },
  'wallet.topup': {
    value: { type: 'wallet.topup', status: 'ok', paymentId: PAYMENT, dueAt: DUE },
    bytes: join(u16(0), PAYMENT_BYTES, DUE_BYTES),
  },
  'wallet.withdraw': {
    value: {
      type: 'wallet.withdraw',
      status: 'ok',
      paymentId: PAYMENT,
      balanceCents: cents(4_700),
    },
    bytes: join(u16(0), PAYMENT_BYTES, u64(4_700)),
  },
  'packet.pay': {
    value: { type: 'packet.pay', status: 'ok', packetId: PACKET, paymentId: PAYMENT, dueAt: DUE },
    bytes: join(u16(0), PACKET_BYTES, PAYMENT_BYTES, DUE_BYTES),
  },
  'payment.settle': {
    value: {
      type: 'payment.settle',
      status: 'ok',
      became: 'returned',
      user: user('alice'),
      amountCents: cents(300),
    },
    bytes: join(u16(0), u8(3), text('alice'), u64(300)),
  },
  'payment.expire': { value: { type: 'payment.expire', status: 'ok' }, bytes: u16(0) },
  'wallet.freeze': {
    value: { type: 'wallet.freeze', status: 'ok', frozen: true },
    bytes: join(u16(0), u8(1)),
  },
  'wallet.adjust': {
    value: { type: 'wallet.adjust', status: 'ok', balanceCents: cents(93) },
    bytes: join(u16(0), u64(93)),
  },
};

export const OUTCOME_VARIANTS: Examples<Outcome> = {
  'packet.open again': {
    value: {
      type: 'packet.open',
      status: 'already_opened',
      amountCents: cents(7),
      order: 1,
      left: 9,
      at: NOW,
      seed: new Uint8Array(0),
    },
    bytes: join(u16(30), u64(7), u32(1), u32(9), NOW_BYTES, blob()),
  },
  'packet.open refused': {
    value: { type: 'packet.open', status: 'packet_drained' },
    bytes: u16(61),
  },
  'packet.send refused': {
    value: { type: 'packet.send', status: 'insufficient_funds' },
    bytes: u16(70),
  },
};
