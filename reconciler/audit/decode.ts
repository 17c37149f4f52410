/**
 * The auditor's own decoder of journal payloads, written from docs/spec/formats.md and held to
 * test/golden/formats.json. It shares nothing with lib/core: a bug in how the program writes or
 * reads must not confirm itself.
 */
import type { Outgoing, Posting } from './parts.ts';
import {
  readDefinition,
  readGrant,
  readLane,
  readOutgoing,
  readPosting,
  readReason,
  readReceipt,
  readStatus,
  readTransfer,
} from './parts.ts';
import { NotTheFormat, Reader } from './reader.ts';
import { BECAME, HISTORIES, MESSAGE_KINDS, RESULTS, ROLES } from './words.ts';

/** By type of command: how its fields are read, after the code. */
const COMMANDS = {
  'set.configure': (r: Reader) => ({
    clusterId: r.hex(16),
    replicas: r.u8(),
    quorum: r.u8(),
    rules: r.u16(),
    slots: r.fixed(128),
  }),
  'ids.reserve': (r: Reader) => ({ count: r.u16() }),
  'wallet.open': (r: Reader) => ({ user: r.user(), welcomeCents: r.u64() }),
  'packet.send': (r: Reader) => ({
    commandId: r.commandId(),
    definition: readDefinition(r),
    grant: readGrant(r),
  }),
  'packet.open': (r: Reader) => ({ packetId: r.id(), user: r.user(), grant: readGrant(r) }),
  'packet.expire': (r: Reader) => ({ packetId: r.id() }),
  'group.create': (r: Reader) => ({
    commandId: r.commandId(),
    user: r.user(),
    groupId: r.id(),
    name: r.text(),
    history: r.tag(HISTORIES),
  }),
  'group.join': (r: Reader) => ({
    user: r.user(),
    groupId: r.id(),
    inviter: r.user(),
    expiresAt: r.u64(),
    mac: r.hex(16),
  }),
  'group.leave': (r: Reader) => ({ commandId: '', user: r.user(), groupId: r.id() }),
  'message.send': (r: Reader) => ({
    commandId: r.commandId(),
    user: r.user(),
    groupId: r.id(),
    kind: r.tag(MESSAGE_KINDS),
    body: r.text(),
    seenSeq: r.u64(),
  }),
  'message.read': (r: Reader) => ({ user: r.user(), groupId: r.id(), seq: r.u64() }),
  'transfer.deliver': (r: Reader) => ({
    from: r.set(),
    lane: readLane(r),
    first: r.u64(),
    transfers: r.list(() => readTransfer(r)),
  }),
  'transfer.ack': (r: Reader) => ({
    to: r.set(),
    lane: readLane(r),
    upTo: r.u64(),
    tombstones: r.list(() => ({ number: r.u64(), reason: readReason(r) })),
    receiptEpoch: r.u64(),
    receiptLsn: r.u64(),
  }),
  'wallet.topup': (r: Reader) => ({
    commandId: r.commandId(),
    user: r.user(),
    amountCents: r.u64(),
  }),
  'wallet.withdraw': (r: Reader) => ({
    commandId: r.commandId(),
    user: r.user(),
    amountCents: r.u64(),
    destination: r.text(),
  }),
  'packet.pay': (r: Reader) => ({
    commandId: r.commandId(),
    definition: readDefinition(r),
    grant: readGrant(r),
  }),
  'payment.settle': (r: Reader) => ({
    paymentId: r.id(),
    result: r.tag(RESULTS),
    amountCents: r.u64(),
    reference: r.text(),
  }),
  'payment.expire': (r: Reader) => ({ paymentId: r.id() }),
  'wallet.freeze': (r: Reader) => ({
    commandId: r.commandId(),
    operator: r.user(),
    user: r.user(),
    frozen: r.flag(),
    reason: r.text(),
  }),
  'wallet.adjust': (r: Reader) => ({
    commandId: r.commandId(),
    operator: r.user(),
    user: r.user(),
    amountCents: r.i64(),
    reason: r.text(),
  }),
};

/** By type of command: how a success is read, after the status. */
const SUCCESSES = {
  'set.configure': () => ({}),
  'ids.reserve': (r: Reader) => ({ firstId: r.id(), count: r.u16() }),
  'wallet.open': (r: Reader) => ({ balanceCents: r.u64(), welcomed: r.flag() }),
  'packet.send': (r: Reader) => ({ packetId: r.id() }),
  'packet.open': (r: Reader) => ({
    amountCents: r.u64(),
    order: r.u32(),
    left: r.u32(),
    at: r.u64(),
    seed: r.fixed(r.u32()),
  }),
  'packet.expire': (r: Reader) => ({ refundCents: r.u64(), seed: r.fixed(r.u32()) }),
  'group.create': (r: Reader) => ({ groupId: r.id() }),
  'group.join': (r: Reader) => ({
    role: r.tag(ROLES),
    version: r.u64(),
    joinedSeq: r.u64(),
    seq: r.u64(),
  }),
  'group.leave': (r: Reader) => ({ version: r.u64(), seq: r.u64() }),
  'message.send': (r: Reader) => ({ seq: r.u64(), at: r.u64() }),
  'message.read': (r: Reader) => ({
    seq: r.u64(),
    readCount: r.u64(),
    ownAfter: r.u64(),
    unread: r.u32(),
  }),
  'transfer.deliver': (r: Reader) => ({ receipts: r.list(() => readReceipt(r)) }),
  'transfer.ack': (r: Reader) => ({ upTo: r.u64() }),
  'wallet.topup': (r: Reader) => ({ paymentId: r.id(), dueAt: r.u64() }),
  'wallet.withdraw': (r: Reader) => ({ paymentId: r.id(), balanceCents: r.u64() }),
  'packet.pay': (r: Reader) => ({ packetId: r.id(), paymentId: r.id(), dueAt: r.u64() }),
  'payment.settle': (r: Reader) => ({
    became: r.tag(BECAME),
    user: r.user(),
    amountCents: r.u64(),
  }),
  'payment.expire': () => ({}),
  'wallet.freeze': (r: Reader) => ({ frozen: r.flag() }),
  'wallet.adjust': (r: Reader) => ({ balanceCents: r.u64() }),
};

export type CommandType = keyof typeof COMMANDS;
type CommandOf<T extends CommandType> = Readonly<ReturnType<(typeof COMMANDS)[T]>>;
type SuccessOf<T extends CommandType> = Readonly<ReturnType<(typeof SUCCESSES)[T]>>;

/** What an outcome says; `success` is null for a refusal. */
export type OutcomeOf<T extends CommandType> = {
  readonly status: string;
  readonly success: SuccessOf<T> | null;
};
/** One command of an entry with what became of it, as plain data. */
export type OpOf<T extends CommandType> = {
  readonly type: T;
  readonly command: CommandOf<T>;
  readonly outcome: OutcomeOf<T>;
  readonly postings: readonly Posting[];
  readonly sends: readonly Outgoing[];
};
export type Op = { [T in CommandType]: OpOf<T> }[CommandType];

/** Code - 1 = place below {@link LEAVE_WITH_ID}, code - 2 above it. */
const TYPES = Object.keys(COMMANDS) as CommandType[];
/** `group.leave` with a command id, from format 2 on. */
const LEAVE_WITH_ID = 14;
/** The highest command code of each format. */
const LAST_CODES: Readonly<Record<number, number>> = { 1: 13, 2: 14, 3: 21 };

export type Payload = {
  readonly payload: Uint8Array;
  readonly opCount: number;
  readonly format: number;
};

/** The ops of an entry in order. Throws NotTheFormat. */
export function decodeOps(entry: Payload): Op[] {
  const lastCode = LAST_CODES[entry.format];
  if (lastCode === undefined) throw new NotTheFormat(`format ${entry.format}`);
  const r = new Reader(entry.payload);
  const ops: Op[] = [];
  for (let index = 0; index < entry.opCount; index++) {
    const { type, command } = readCommand(r.blob(), lastCode);
    const outcome = readOutcome(r.blob(), type);
    const postings = r.list(() => readPosting(r));
    const sends = r.list(() => readOutgoing(r));
    // One type chose both tables, which is more than the compiler can follow.
    ops.push({ type, command, outcome, postings, sends } as Op);
  }
  r.end();
  return ops;
}

/** One whole command. Throws NotTheFormat. */
export function decodeCommand(
  bytes: Uint8Array,
  format = 3,
): { type: CommandType; command: Op['command'] } {
  return readCommand(new Reader(bytes), LAST_CODES[format] ?? 0);
}

/** One whole outcome of a command of this type. Throws NotTheFormat. */
export function decodeOutcome(type: CommandType, bytes: Uint8Array): Op['outcome'] {
  return readOutcome(new Reader(bytes), type);
}

function readCommand(r: Reader, lastCode: number): { type: CommandType; command: Op['command'] } {
  const code = r.u8();
  const type =
    code === LEAVE_WITH_ID ? 'group.leave' : TYPES[code < LEAVE_WITH_ID ? code - 1 : code - 2];
  if (type === undefined || code > lastCode) throw new NotTheFormat(`command ${code}`);
  const commandId = code === LEAVE_WITH_ID ? r.commandId() : null;
  const fields = COMMANDS[type](r);
  r.end();
  return { type, command: commandId === null ? fields : { ...fields, commandId } };
}

function readOutcome(r: Reader, type: CommandType): Op['outcome'] {
  const status = readStatus(r);
  const isSuccess = status === 'ok' || status === 'already_opened';
  const success = isSuccess ? SUCCESSES[type](r) : null;
  r.end();
  return { status, success };
}
