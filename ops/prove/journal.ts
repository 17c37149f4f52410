/**
 * A second reader of the journal, written from the layout of `fmt` 1 and 2 and sharing no decoder with
 * the program: a bug in how the program writes or reads must not confirm itself.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../../lib/core/journal-entry.ts';

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
const SEND = 4;
const OPEN = 5;
const LEAVE = 9;
/** The highest command code of each format. */
const LAST_CODES: Readonly<Record<number, number>> = { 1: 13, 2: 14 };
const LEAVE_WITH_ID = 14;
const KINDS = ['OPS', 'EPOCH_START', 'CONFIG', 'SEAL'];

/** SHA-256 over head and payload, as the layout says: u16, u64 and u32 little-endian. */
export function sumOf(entry: Entry): Buffer {
  const head = Buffer.alloc(2 + 8 + 8 + 16 + 1 + 32 + 8 + 8 + 24 + 2 + 4 + 32 + 4);
  let at = head.writeUInt16LE(entry.setId, 0);
  at = head.writeBigUInt64LE(BigInt(entry.lsn), at);
  at = head.writeBigUInt64LE(BigInt(entry.epoch), at);
  head.set(entry.leaderId, at);
  at = head.writeUInt8(KINDS.indexOf(entry.kind), at + 16);
  head.set(entry.prev, at);
  at = head.writeBigUInt64LE(BigInt(entry.ts), at + 32);
  at = head.writeBigUInt64LE(BigInt(entry.commitLsn), at);
  for (const acked of entry.acked) at = head.writeBigUInt64LE(BigInt(acked), at);
  at = head.writeUInt16LE(entry.format, at);
  at = head.writeUInt32LE(entry.opCount, at);
  const { walletsCents, packetsCents, clearingCents, issuerCents } = entry.money;
  for (const amount of [walletsCents, packetsCents, clearingCents, issuerCents]) {
    at = head.writeBigInt64LE(BigInt(amount), at);
  }
  head.writeUInt32LE(entry.payload.length, at);
  return createHash('sha256').update(head).update(entry.payload).digest();
}

/** The commands of an entry in order. Throws on bytes that are not the layout of its format. */
export function readOps(entry: Pick<Entry, 'payload' | 'opCount' | 'format'>): JournalOp[] {
  const lastCode = LAST_CODES[entry.format];
  if (lastCode === undefined) throw new Error(`format ${entry.format}`);
  const bytes = new Cursor(entry.payload);
  const ops: JournalOp[] = [];
  for (let index = 0; index < entry.opCount; index++) {
    const command = bytes.blob();
    const outcome = bytes.blob();
    const postings = Array.from({ length: bytes.u16() }, () => posting(bytes));
    for (let left = bytes.u16(); left > 0; left--) skipSend(bytes);
    ops.push({ action: actionOf({ command, outcome, lastCode }), postings });
  }
  bytes.end();
  return ops;
}

function actionOf(op: { command: Cursor; outcome: Cursor; lastCode: number }): Action {
  const { command, outcome, lastCode } = op;
  const type = command.u8();
  if (type < 1 || type > lastCode) throw new Error(`command ${type}`);
  // Status 0 is a success; what was refused moved nothing.
  if (outcome.u16() !== 0) return OTHER;
  if (type === SEND) {
    command.skip(16);
    return { kind: 'send', ...definition(command) };
  }
  if (type === LEAVE || type === LEAVE_WITH_ID) {
    const commandId = type === LEAVE ? '' : command.hex(16);
    const user = command.text();
    return { kind: 'leave', groupId: command.id(), user, commandId };
  }
  if (type !== OPEN) return OTHER;
  const packetId = command.id();
  const user = command.text();
  const amountCents = outcome.i64();
  return { kind: 'open', packetId, user, amountCents, order: outcome.u32() };
}

type Definition = { packetId: string; sender: string; totalCents: number; count: number };

function definition(bytes: Cursor): Definition {
  const packetId = bytes.id();
  const sender = bytes.text();
  bytes.skip(8 + 3); // group, and three tags: kind, strategy, timing
  const totalCents = bytes.i64();
  const count = bytes.u32();
  bytes.skip(8); // lifetime
  bytes.text(); // greeting
  for (let left = bytes.u16(); left > 0; left--) bytes.text(); // receivers
  return { packetId, sender, totalCents, count };
}

function posting(bytes: Cursor): { account: string; amountCents: number } {
  const code = bytes.u8();
  let account: string;
  if (code === 1) account = `wallet ${bytes.text()}`;
  else if (code === 2) account = `packet ${bytes.id()}`;
  else if (code === 3) account = `clearing ${bytes.u16()}`;
  else if (code === 4) account = 'issuer';
  else throw new Error(`account kind ${code}`);
  return { account, amountCents: bytes.i64() };
}

/** A transfer that leaves: destination, lane, number, and a body by its kind. */
function skipSend(bytes: Cursor): void {
  bytes.skip(2 + 1 + 8);
  const kind = bytes.u8();
  switch (kind) {
    case 1:
      definition(bytes);
      bytes.skip(8);
      return;
    case 2:
      bytes.skip(16);
      bytes.text();
      bytes.skip(1 + 4);
      bytes.text();
      bytes.skip(32 + 8);
      return;
    case 3:
    case 4:
      bytes.skip(16);
      bytes.text();
      bytes.skip(8);
      return;
    case 5:
      bytes.skip(8);
      bytes.text();
      bytes.text();
      bytes.skip(1);
      return;
    case 6:
      bytes.skip(8);
      bytes.text();
      bytes.skip(8 + 1);
      bytes.text();
      return;
    default:
      throw new Error(`transfer kind ${kind}`);
  }
}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) throw new Error('bytes end early');
    this.#at = at + size;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.skip(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.skip(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.skip(4));
  }

  i64(): number {
    const value = Number(this.#bytes.readBigInt64LE(this.skip(8)));
    if (!Number.isSafeInteger(value)) throw new Error('not a safe integer');
    return value;
  }

  id(): string {
    return String(this.#bytes.readBigUInt64LE(this.skip(8)));
  }

  hex(size: number): string {
    const at = this.skip(size);
    return this.#bytes.toString('hex', at, at + size);
  }

  text(): string {
    const size = this.u16();
    const at = this.skip(size);
    return this.#bytes.toString('utf8', at, at + size);
  }

  blob(): Cursor {
    const size = this.u32();
    const at = this.skip(size);
    return new Cursor(this.#bytes.subarray(at, at + size));
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error('bytes left over');
  }
}
