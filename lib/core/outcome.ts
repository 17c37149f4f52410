import { assert, unreachable } from './assert.ts';
import type { Reader, Writer } from './bytes.ts';
import { DecodeError, Reader as ByteReader, Writer as ByteWriter } from './bytes.ts';
import type { CommandType } from './command.ts';
import type { Role } from './grant.ts';
import { ROLES } from './grant.ts';
import type { Id } from './ids.ts';
import { readId } from './ids.ts';
import { readUser } from './packet.ts';
import type { Became } from './payment.ts';
import { BECAME } from './payment.ts';
import type { Status } from './status.ts';
import { statusCode, statusFromCode } from './status.ts';
import { readFlag } from './transfer.ts';
import type { Cents, TimeMs } from './units.ts';
import { cents, timeMs } from './units.ts';
import type { UserId } from './user.ts';

/** What became of one transfer of a delivery. Redelivered ones answer as recorded (rulings 9). */
export type Receipt =
  /** A packet is live: the seed is sealed under the Set's key until the packet ends (rulings 21). */
  | { kind: 'live'; sealedSeed: Uint8Array; seedHash: Uint8Array }
  /** A message was appended with this seq. */
  | { kind: 'message'; seq: number }
  | { kind: 'applied' }
  | { kind: 'duplicate' }
  /** Received, and older than what is known: recorded without effect. */
  | { kind: 'stale' }
  | { kind: 'tombstone'; reason: Status };

/** The part of an outcome that a success carries, by command type (SPEC section C). */
export type Success =
  | { type: 'set.configure' }
  | { type: 'ids.reserve'; firstId: Id; count: number }
  | { type: 'wallet.open'; balanceCents: Cents; welcomed: boolean }
  | { type: 'packet.send'; packetId: Id }
  /** `seed` is revealed by the open that drains the packet, else empty. */
  | {
      type: 'packet.open';
      amountCents: Cents;
      order: number;
      left: number;
      at: TimeMs;
      seed: Uint8Array;
    }
  | { type: 'packet.expire'; refundCents: Cents; seed: Uint8Array }
  | { type: 'group.create'; groupId: Id }
  | { type: 'group.join'; role: Role; version: number; joinedSeq: number; seq: number }
  | { type: 'group.leave'; version: number; seq: number }
  | { type: 'message.send'; seq: number; at: TimeMs }
  /** Counting messages up to the cursor, and the reader's own after it (rulings 19). */
  | { type: 'message.read'; seq: number; readCount: number; ownAfter: number; unread: number }
  | { type: 'transfer.deliver'; receipts: readonly Receipt[] }
  | { type: 'transfer.ack'; upTo: number }
  | { type: 'wallet.topup'; paymentId: Id; dueAt: TimeMs }
  | { type: 'wallet.withdraw'; paymentId: Id; balanceCents: Cents }
  | { type: 'packet.pay'; packetId: Id; paymentId: Id; dueAt: TimeMs }
  | { type: 'payment.settle'; became: Became; user: UserId; amountCents: Cents }
  | { type: 'payment.expire' }
  | { type: 'wallet.freeze'; frozen: boolean }
  | { type: 'wallet.adjust'; balanceCents: Cents };

export type Refusal = { type: CommandType; status: Exclude<Status, 'ok' | 'already_opened'> };

export type Outcome = ({ status: 'ok' | 'already_opened' } & Success) | Refusal;

/** Narrowing by status needs a function: `type` is common to both halves of the union. */
export function succeeded(o: Outcome): o is { status: 'ok' | 'already_opened' } & Success {
  return o.status === 'ok' || o.status === 'already_opened';
}

const RECEIPT_CODES = {
  live: 1,
  message: 2,
  applied: 3,
  duplicate: 4,
  tombstone: 5,
  stale: 6,
} as const;

function writeReceipt(w: Writer, r: Receipt): void {
  w.u8(RECEIPT_CODES[r.kind]);
  switch (r.kind) {
    case 'live':
      w.blob(r.sealedSeed);
      w.fixed(r.seedHash, 32);
      return;
    case 'message':
      w.u64(r.seq);
      return;
    case 'tombstone':
      w.u16(statusCode(r.reason));
      return;
    case 'applied':
    case 'duplicate':
    case 'stale':
      return;
    default:
      unreachable(r);
  }
}

function readStatus(r: Reader): Status {
  const status = statusFromCode(r.u16());
  if (status === null) throw new DecodeError('unknown status');
  return status;
}

function readReceipt(r: Reader): Receipt {
  const code = r.u8();
  switch (code) {
    case RECEIPT_CODES.live:
      return { kind: 'live', sealedSeed: r.blob().slice(), seedHash: r.fixed(32) };
    case RECEIPT_CODES.message:
      return { kind: 'message', seq: r.u64() };
    case RECEIPT_CODES.applied:
      return { kind: 'applied' };
    case RECEIPT_CODES.duplicate:
      return { kind: 'duplicate' };
    case RECEIPT_CODES.stale:
      return { kind: 'stale' };
    case RECEIPT_CODES.tombstone:
      return { kind: 'tombstone', reason: readStatus(r) };
    default:
      throw new DecodeError('unknown receipt');
  }
}

/** u16 status, then the fields of the success. The command's type is not repeated. */
export function writeOutcome(w: Writer, o: Outcome): void {
  w.u16(statusCode(o.status));
  if (!succeeded(o)) return;
  switch (o.type) {
    case 'set.configure':
      return;
    case 'ids.reserve':
      w.big(o.firstId);
      w.u16(o.count);
      return;
    case 'wallet.open':
      w.u64(o.balanceCents);
      w.u8(o.welcomed ? 1 : 0);
      return;
    case 'packet.send':
      w.big(o.packetId);
      return;
    case 'packet.open':
      w.u64(o.amountCents);
      w.u32(o.order);
      w.u32(o.left);
      w.u64(o.at);
      w.blob(o.seed);
      return;
    case 'packet.expire':
      w.u64(o.refundCents);
      w.blob(o.seed);
      return;
    case 'group.create':
      w.big(o.groupId);
      return;
    case 'group.join':
      w.u8(ROLES.indexOf(o.role));
      w.u64(o.version);
      w.u64(o.joinedSeq);
      w.u64(o.seq);
      return;
    case 'group.leave':
      w.u64(o.version);
      w.u64(o.seq);
      return;
    case 'message.send':
      w.u64(o.seq);
      w.u64(o.at);
      return;
    case 'message.read':
      w.u64(o.seq);
      w.u64(o.readCount);
      w.u64(o.ownAfter);
      w.u32(o.unread);
      return;
    case 'transfer.deliver':
      w.u16(o.receipts.length);
      for (const receipt of o.receipts) writeReceipt(w, receipt);
      return;
    case 'transfer.ack':
      w.u64(o.upTo);
      return;
    case 'wallet.topup':
      w.big(o.paymentId);
      w.u64(o.dueAt);
      return;
    case 'wallet.withdraw':
      w.big(o.paymentId);
      w.u64(o.balanceCents);
      return;
    case 'packet.pay':
      w.big(o.packetId);
      w.big(o.paymentId);
      w.u64(o.dueAt);
      return;
    case 'payment.settle':
      w.u8(BECAME.indexOf(o.became));
      w.text(o.user);
      w.u64(o.amountCents);
      return;
    case 'payment.expire':
      return;
    case 'wallet.freeze':
      w.u8(o.frozen ? 1 : 0);
      return;
    case 'wallet.adjust':
      w.u64(o.balanceCents);
      return;
    default:
      unreachable(o);
  }
}

const scratch = new ByteWriter(256);

export function encodeOutcome(o: Outcome): Uint8Array {
  scratch.reset();
  writeOutcome(scratch, o);
  return scratch.finish();
}

/** Throws DecodeError. `type` is the type of the command that this answers. */
export function decodeOutcome(type: CommandType, bytes: Uint8Array): Outcome {
  const r = new ByteReader(bytes);
  const status = readStatus(r);
  if (status !== 'ok' && status !== 'already_opened') {
    r.end();
    return { type, status };
  }
  const outcome = readSuccess(r, type, status);
  r.end();
  return outcome;
}

function readSuccess(r: Reader, type: CommandType, status: 'ok' | 'already_opened'): Outcome {
  switch (type) {
    case 'set.configure':
      return { type, status };
    case 'ids.reserve':
      return { type, status, firstId: readId(r), count: r.u16() };
    case 'wallet.open':
      return { type, status, balanceCents: cents(r.u64()), welcomed: readFlag(r) };
    case 'packet.send':
      return { type, status, packetId: readId(r) };
    case 'packet.open': {
      const amountCents = cents(r.u64());
      const order = r.u32();
      const left = r.u32();
      return {
        type,
        status,
        amountCents,
        order,
        left,
        at: timeMs(r.u64()),
        seed: r.blob().slice(),
      };
    }
    case 'packet.expire':
      return { type, status, refundCents: cents(r.u64()), seed: r.blob().slice() };
    case 'group.create':
      return { type, status, groupId: readId(r) };
    case 'group.join': {
      const role = ROLES[r.u8()];
      if (role === undefined) throw new DecodeError('unknown role');
      return { type, status, role, version: r.u64(), joinedSeq: r.u64(), seq: r.u64() };
    }
    case 'group.leave':
      return { type, status, version: r.u64(), seq: r.u64() };
    case 'message.send':
      return { type, status, seq: r.u64(), at: timeMs(r.u64()) };
    case 'message.read': {
      const seq = r.u64();
      const readCount = r.u64();
      return { type, status, seq, readCount, ownAfter: r.u64(), unread: r.u32() };
    }
    case 'transfer.deliver': {
      const receipts = Array.from({ length: r.u16() }, () => readReceipt(r));
      return { type, status, receipts };
    }
    case 'transfer.ack':
      return { type, status, upTo: r.u64() };
    case 'wallet.topup':
      return { type, status, paymentId: readId(r), dueAt: timeMs(r.u64()) };
    case 'wallet.withdraw':
      return { type, status, paymentId: readId(r), balanceCents: cents(r.u64()) };
    case 'packet.pay': {
      const packetId = readId(r);
      return { type, status, packetId, paymentId: readId(r), dueAt: timeMs(r.u64()) };
    }
    case 'payment.settle': {
      const became = BECAME[r.u8()];
      if (became === undefined) throw new DecodeError('unknown end of a payment');
      const user = readUser(r);
      return { type, status, became, user, amountCents: cents(r.u64()) };
    }
    case 'payment.expire':
      return { type, status };
    case 'wallet.freeze':
      return { type, status, frozen: readFlag(r) };
    case 'wallet.adjust':
      return { type, status, balanceCents: cents(r.u64()) };
    default:
      return unreachable(type);
  }
}

/** A refusal in one word; asserts that nobody refuses with a success. */
export function refuse(type: CommandType, status: Status): Refusal {
  assert(status !== 'ok' && status !== 'already_opened', 'a refusal is not a success');
  return { type, status };
}
