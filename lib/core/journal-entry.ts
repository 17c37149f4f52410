import type { Posting } from './account.ts';
import { readPosting, writePosting } from './account.ts';
import { assert } from './assert.ts';
import { DecodeError, Reader, Writer, equalBytes, toHex } from './bytes.ts';
import type { Command } from './command.ts';
import { decodeCommand, rulesOf } from './command.ts';
import type { Outcome } from './outcome.ts';
import { decodeOutcome, writeOutcome } from './outcome.ts';
import { NodeTooOld, RULES_MAX, RULES_MIN } from './rules.ts';
import type { Outgoing } from './transfer.ts';
import { LANE_COUNT, readTransfer, writeTransfer } from './transfer.ts';
import type { Cents, Epoch, Lsn, SetId, TimeMs } from './units.ts';
import { cents, epoch, lsn, setId, timeMs } from './units.ts';

export const SUM_BYTES = 32;
export const OWNER_BYTES = 16;
export const ZERO_SUM: Uint8Array = new Uint8Array(SUM_BYTES);

export const ENTRY_KINDS = ['OPS', 'EPOCH_START', 'CONFIG', 'SEAL'] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** Totals of a Set after an entry; they sum to zero because `issuer` is negative by what was issued. */
export type MoneyDigest = {
  readonly walletsCents: Cents;
  readonly packetsCents: Cents;
  readonly clearingCents: Cents;
  readonly issuerCents: Cents;
};

/** Everything of an entry but its payload and its own checksum. */
export type EntryHead = {
  readonly setId: SetId;
  readonly lsn: Lsn;
  readonly epoch: Epoch;
  /** Random value of the process that wrote the entry first. */
  readonly leaderId: Uint8Array;
  readonly kind: EntryKind;
  readonly prev: Uint8Array;
  readonly ts: TimeMs;
  /** Highest LSN that the leader knew to be committed when it sealed this entry. */
  readonly commitLsn: Lsn;
  /** Highest LSN that each replica had acknowledged to the leader: evidence for tripwires (rulings 6). */
  readonly acked: readonly [Lsn, Lsn, Lsn];
  /** Rules version that the Set was at before this entry (rulings 8, 16a). */
  readonly format: number;
  readonly opCount: number;
  readonly money: MoneyDigest;
};

/** An entry as stored: the row of `journal`. `sum` covers every other field, in the table's order, and the payload. */
export type Entry = EntryHead & { readonly sum: Uint8Array; readonly payload: Uint8Array };

/** SHA-256 of bytes: servers pass a fast one; the pure one in lib/core serves everybody else. */
export type Sha256Function = (bytes: Uint8Array) => Uint8Array;

/** One command with what became of it (rulings 8). */
export type Op = {
  readonly command: Command;
  readonly outcome: Outcome;
  readonly postings: readonly Posting[];
  readonly sends: readonly Outgoing[];
};

function writeHead(w: Writer, e: EntryHead): void {
  w.u16(e.setId);
  w.u64(e.lsn);
  w.u64(e.epoch);
  w.fixed(e.leaderId, OWNER_BYTES);
  w.u8(ENTRY_KINDS.indexOf(e.kind));
  w.fixed(e.prev, SUM_BYTES);
  w.u64(e.ts);
  w.u64(e.commitLsn);
  for (const acked of e.acked) w.u64(acked);
  w.u16(e.format);
  w.u32(e.opCount);
  w.i64(e.money.walletsCents);
  w.i64(e.money.packetsCents);
  w.i64(e.money.clearingCents);
  w.i64(e.money.issuerCents);
}

const sumWriter = new Writer(65_536);

/** The bytes that `sum` is over: the head's fields in the table's order, then the payload with its length. */
export function summedBytes(head: EntryHead, payload: Uint8Array): Uint8Array {
  sumWriter.reset();
  writeHead(sumWriter, head);
  sumWriter.blob(payload);
  return sumWriter.view();
}

/** Closes an entry: asserts what must hold of money and adds the checksum. */
export function seal(args: { head: EntryHead; payload: Uint8Array; hash: Sha256Function }): Entry {
  const { head, payload } = args;
  const m = head.money;
  assert(
    m.walletsCents + m.packetsCents + m.clearingCents + m.issuerCents === 0,
    'M1: a Set sums to zero at each LSN',
  );
  assert(head.lsn >= 1, 'entries count from 1');
  return { ...head, payload, sum: args.hash(summedBytes(head, payload)) };
}

/** Why a stored entry is not to be believed. Never "a short log" (P3). */
export class CorruptEntry extends Error {
  override readonly name = 'CorruptEntry';
  readonly setId: number;
  readonly lsn: number;

  constructor(where: { setId: number; lsn: number; reason: string }) {
    super(`Set ${where.setId}, LSN ${where.lsn}: ${where.reason}`);
    this.setId = where.setId;
    this.lsn = where.lsn;
  }
}

/**
 * The pair of {@link seal}: checks the checksum, the chain to `prev` when the caller knows it, the
 * money digest, and that this build may go on: the entry's format and the rules that it raises the
 * Set to are at most `rulesMax`. Throws {@link CorruptEntry} or NodeTooOld; both name Set and LSN.
 */
export function unseal(args: {
  entry: Entry;
  prev: Uint8Array | null;
  hash: Sha256Function;
  /** Only tests have another one than this build. Default RULES_MAX. */
  rulesMax?: number | undefined;
}): void {
  const { entry, prev, rulesMax = RULES_MAX } = args;
  const bad = (reason: string): CorruptEntry =>
    new CorruptEntry({ setId: entry.setId, lsn: entry.lsn, reason });
  if (!equalBytes(args.hash(summedBytes(entry, entry.payload)), entry.sum)) {
    throw bad('checksum does not match');
  }
  if (prev !== null && !equalBytes(prev, entry.prev)) {
    throw bad(`chain is broken: previous checksum is not ${toHex(prev).slice(0, 16)}…`);
  }
  const m = entry.money;
  if (m.walletsCents + m.packetsCents + m.clearingCents + m.issuerCents !== 0) {
    throw bad('money does not sum to zero');
  }
  if (entry.format < RULES_MIN) throw bad(`there is no format ${entry.format}`);
  demandReadable({ ...entry, rules: entry.format, rulesMax });
  if (entry.kind === 'CONFIG') demandReadable({ ...entry, rules: rulesAfter(entry), rulesMax });
}

/** Throws NodeTooOld when this build cannot read those rules. */
export function demandReadable(what: {
  setId: number;
  lsn: number;
  rules: number;
  rulesMax: number;
}): void {
  if (what.rules > what.rulesMax) throw new NodeTooOld(what);
}

/** The rules that hold after a CONFIG entry. Throws CorruptEntry when its payload is none. */
function rulesAfter(entry: Entry): number {
  let rules = entry.format;
  try {
    for (const { command } of decodeOps(entry)) {
      if (command.type === 'set.configure') rules = Math.max(rules, command.rules);
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CorruptEntry({ ...entry, reason: error.message });
  }
  return rules;
}

/** The entry as one blob: what snapshots, archives and streams carry. Head, sum, payload. */
export function encodeEntry(e: Entry): Uint8Array {
  const w = new Writer(256 + e.payload.length);
  writeHead(w, e);
  w.fixed(e.sum, SUM_BYTES);
  w.blob(e.payload);
  return w.finish();
}

/** Throws DecodeError. Does not check the sum: {@link unseal} does. */
export function decodeEntry(bytes: Uint8Array): Entry {
  const r = new Reader(bytes);
  const set = r.u16();
  if (set > 1023) throw new DecodeError('a Set number is 0..1023');
  const at = lsn(r.u64());
  const entryEpoch = epoch(r.u64());
  const leaderId = r.fixed(OWNER_BYTES);
  const kind = ENTRY_KINDS[r.u8()];
  if (kind === undefined) throw new DecodeError('unknown entry kind');
  const prev = r.fixed(SUM_BYTES);
  const ts = timeMs(r.u64());
  const commitLsn = lsn(r.u64());
  const acked = [lsn(r.u64()), lsn(r.u64()), lsn(r.u64())] as const;
  const format = r.u16();
  const opCount = r.u32();
  const money = readMoney(r);
  const sum = r.fixed(SUM_BYTES);
  const payload = r.blob().slice();
  r.end();
  return {
    setId: setId(set),
    lsn: at,
    epoch: entryEpoch,
    leaderId,
    kind,
    prev,
    ts,
    commitLsn,
    acked,
    format,
    opCount,
    money,
    sum,
    payload,
  };
}

function readMoney(r: Reader): MoneyDigest {
  const walletsCents = cents(r.i64());
  const packetsCents = cents(r.i64());
  const clearingCents = cents(r.i64());
  return { walletsCents, packetsCents, clearingCents, issuerCents: cents(r.i64()) };
}

/** Appends one op to a payload; `command` is the bytes as they came, encoded once at the access node. */
export function writeOp(
  w: Writer,
  op: {
    command: Uint8Array;
    outcome: Outcome;
    postings: readonly Posting[];
    sends: readonly Outgoing[];
  },
): void {
  w.blob(op.command);
  const length = w.openLength();
  writeOutcome(w, op.outcome);
  w.patchLength(length);
  w.u16(op.postings.length);
  for (const posting of op.postings) writePosting(w, posting);
  w.u16(op.sends.length);
  for (const send of op.sends) {
    w.u16(send.to);
    w.u8(send.lane);
    w.u64(send.number);
    writeTransfer(w, send.transfer);
  }
}

/** What it takes to read the ops of an entry. */
export type Payload = Pick<Entry, 'payload' | 'opCount' | 'format'>;

/** The ops of an entry in order. Throws DecodeError on bytes that are no payload of its format. */
export function decodeOps(entry: Payload): Op[] {
  // Each op takes bytes: a count beyond them is a lie that must not cost memory.
  if (entry.opCount > entry.payload.length) throw new DecodeError('more ops than bytes');
  const r = new Reader(entry.payload);
  const ops = Array.from({ length: entry.opCount }, () => readOp(r, entry.format));
  r.end();
  return ops;
}

/** One op of a payload of `format`. Throws DecodeError, also on a command of later rules. */
export function readOp(r: Reader, format: number): Op {
  const command = decodeCommand(r.blob());
  if (rulesOf(command) > format) throw new DecodeError(`${command.type} is not of rules ${format}`);
  const outcome = decodeOutcome(command.type, r.blob());
  const postings = Array.from({ length: r.u16() }, () => readPosting(r));
  const sends = Array.from({ length: r.u16() }, () => readSend(r));
  return { command, outcome, postings, sends };
}

function readSend(r: Reader): Outgoing {
  const to = r.u16();
  if (to > 1023) throw new DecodeError('a Set number is 0..1023');
  const lane = r.u8();
  if (lane >= LANE_COUNT) throw new DecodeError('unknown lane');
  const number = r.u64();
  return { to: setId(to), lane, number, transfer: readTransfer(r) };
}
