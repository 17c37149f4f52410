import { assert } from './assert.ts';
import type { Reader } from './bytes.ts';
import { DecodeError, fromHex, toHex } from './bytes.ts';
import type { SetId, TimeMs } from './units.ts';

declare const idBrand: unique symbol;
/** 64 bits: 41 bits of ms since 2025-01-01, 10 bits of Set number, 12 bits of sequence (design 2). */
export type Id = bigint & { readonly [idBrand]: 'Id' };

export const ID_EPOCH_MS = Date.UTC(2025, 0, 1);
/** Ids one Set may mint in one millisecond of its id clock. */
export const IDS_PER_MS = 4096;
const MS_MAX = 2 ** 41 - 1;

/** Where a Set's id space begins that has not been handed out. Part of replicated state (rulings 4). */
export type IdCursor = { readonly ms: number; readonly sequence: number };

export const ID_CURSOR_START: IdCursor = { ms: 0, sequence: 0 };

export function packId(parts: { ms: number; set: SetId; sequence: number }): Id {
  assert(parts.ms >= 0 && parts.ms <= MS_MAX, 'id time fits 41 bits');
  assert(parts.sequence >= 0 && parts.sequence < IDS_PER_MS, 'id sequence fits 12 bits');
  return ((BigInt(parts.ms) << 22n) | (BigInt(parts.set) << 12n) | BigInt(parts.sequence)) as Id;
}

/** The Set that owns the thing: it is part of its name, for life. */
export function setOfId(id: Id): SetId {
  return Number((id >> 12n) & 1023n) as SetId;
}

export function msOfId(id: Id): number {
  return Number(id >> 22n);
}

export function sequenceOfId(id: Id): number {
  return Number(id & 4095n);
}

/**
 * The block of `count` ids that follows `cursor`, never earlier than log time `ts`.
 * A block lies within one millisecond, so that first + k is the k-th id of it.
 * The id clock may run ahead of log time; it never falls back (rulings 4).
 */
export function reserveBlock(args: { cursor: IdCursor; ts: TimeMs; set: SetId; count: number }): {
  first: Id;
  cursor: IdCursor;
} {
  assert(args.count >= 1 && args.count <= IDS_PER_MS, 'a block holds 1..4096 ids');
  let { ms, sequence } = args.cursor;
  const now = Math.max(0, args.ts - ID_EPOCH_MS);
  if (now > ms) {
    ms = now;
    sequence = 0;
  }
  if (sequence + args.count > IDS_PER_MS) {
    ms += 1;
    sequence = 0;
  }
  const first = packId({ ms, set: args.set, sequence });
  return { first, cursor: { ms, sequence: sequence + args.count } };
}

/** Has this id left the Set whose cursor this is? */
export function isReserved(id: Id, cursor: IdCursor): boolean {
  const ms = msOfId(id);
  return ms < cursor.ms || (ms === cursor.ms && sequenceOfId(id) < cursor.sequence);
}

export function idPlus(first: Id, offset: number): Id {
  assert(sequenceOfId(first) + offset < IDS_PER_MS, 'an offset stays in its block');
  return (first + BigInt(offset)) as Id;
}

/** A decimal string of 1..20 digits without leading zeros, below 2^63; else null. */
export function parseId(text: string): Id | null {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) return null;
  const value = BigInt(text);
  return value < 2n ** 63n ? (value as Id) : null;
}

export function asId(value: bigint): Id {
  return value as Id;
}

/** Throws {@link DecodeError} at 2^63 and above: no id is that large, and no signed column holds it. */
export function readId(r: Reader): Id {
  const value = r.big();
  if (value >= 2n ** 63n) throw new DecodeError('an id has 63 bits');
  return value as Id;
}

declare const commandIdBrand: unique symbol;
/** A UUIDv7 in canonical lower-case text: the idempotency key that a client makes (rulings 9). */
export type CommandId = string & { readonly [commandIdBrand]: 'CommandId' };

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Canonical lower-case UUIDv7 text; else null. */
export function parseCommandId(text: string): CommandId | null {
  return UUID7.test(text) ? (text as CommandId) : null;
}

export function commandIdTime(id: CommandId): TimeMs {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) as TimeMs;
}

export function commandIdBytes(id: CommandId): Uint8Array {
  return fromHex(id.replaceAll('-', ''));
}

/** Throws {@link DecodeError} when the 16 bytes are no UUIDv7. */
export function commandIdFromBytes(bytes: Uint8Array): CommandId {
  const hex = toHex(bytes);
  const text = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  const id = parseCommandId(text);
  if (id === null) throw new DecodeError('a command id is a UUIDv7');
  return id;
}

/** RFC 9562 version 7 from a time and 10 random bytes. */
export function makeCommandId(now: number, random: Uint8Array): CommandId {
  assert(random.length >= 10, 'ten random bytes');
  const bytes = new Uint8Array(16);
  let rest = now;
  for (let index = 5; index >= 0; index--) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return commandIdFromBytes(bytes);
}
