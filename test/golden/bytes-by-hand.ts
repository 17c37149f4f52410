/**
 * A second encoder, written from docs/spec/formats.md and from nothing else: Buffer calls, no
 * import of lib/core. What it makes is what the golden vectors hold, so that a mistake in the codec
 * is found and not frozen.
 */
import { createHash, createHmac } from 'node:crypto';

export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function i64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

/** 41 bits of milliseconds, 10 bits of Set, 12 bits of sequence, by arithmetic instead of shifts. */
export function id(ms: number, set: number, sequence: number): Buffer {
  return u64(BigInt(ms) * 4_194_304n + BigInt(set) * 4_096n + BigInt(sequence));
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function blob(...parts: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function hex(value: string): Buffer {
  return Buffer.from(value, 'hex');
}

/** `size` bytes that count up from `first`. */
export function counting(size: number, first: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (first + index) & 0xff);
}

export function join(...parts: Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

export function sha256(...parts: Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

export function hmac16(key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  return createHmac('sha256', key).update(Buffer.concat(parts)).digest().subarray(0, 16);
}
