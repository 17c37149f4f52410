import { assert } from './assert.ts';
import type { TextTable } from './text-table.ts';

/** Bytes from outside that are not what they claim to be. Bad input, not a bug. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const TWO_32 = 2 ** 32;

/** Little-endian, length-prefixed writer of journal `fmt 1` (SPEC section F). Grows by doubling. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  /** Forgets what was written and keeps the memory. Earlier `view()` results become invalid. */
  reset(): void {
    this.#at = 0;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  /** What was written, without a copy: valid until the next write or reset. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #room(size: number): number {
    const at = this.#at;
    const need = at + size;
    if (need > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at = need;
    return at;
  }

  u8(value: number): void {
    assert(value >= 0 && value <= 0xff, 'u8 out of range');
    const at = this.#room(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    assert(value >= 0 && value <= 0xffff, 'u16 out of range');
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    assert(value >= 0 && value < TWO_32, 'u32 out of range');
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  /** A safe non-negative integer as u64. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'u64 takes safe integers, 0 or more');
    const at = this.#room(8);
    this.#view.setUint32(at, value % TWO_32, true);
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  }

  /** A safe integer as i64, two's complement. */
  i64(value: number): void {
    assert(Number.isSafeInteger(value), 'i64 takes safe integers');
    const at = this.#room(8);
    const high = Math.floor(value / TWO_32);
    this.#view.setUint32(at, value - high * TWO_32, true);
    this.#view.setInt32(at + 4, high, true);
  }

  big(value: bigint): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
  }

  /** Bytes of a length both sides know. */
  fixed(value: Uint8Array, size: number): void {
    assert(value.length === size, 'a fixed field has its size');
    // Room first: it may replace the memory that is written to.
    const at = this.#room(size);
    this.#bytes.set(value, at);
  }

  /** Bytes with a u32 length before them. */
  blob(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
  }

  /** UTF-8 text with a u16 length in bytes before it. */
  text(value: string): void {
    const at = this.#room(2 + value.length * 3);
    let end = at + 2;
    let index = 0;
    for (; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) break;
      this.#bytes[end++] = code;
    }
    if (index < value.length) {
      const done = encoder.encodeInto(value.slice(index), this.#bytes.subarray(end));
      end += done.written;
    }
    assert(end - at - 2 <= 0xffff, 'text fits a u16 length');
    this.#view.setUint16(at, end - at - 2, true);
    this.#at = end;
  }

  /** Reserves a u32 that is filled by {@link patchLength} when what follows has been written. */
  openLength(): number {
    return this.#room(4);
  }

  patchLength(at: number): void {
    this.#view.setUint32(at, this.#at - at - 4, true);
  }
}

// Commands of one stream message share its memory: one view serves them all.
let viewedBuffer: ArrayBufferLike | null = null;
let sharedView: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0));

function viewOf(buffer: ArrayBufferLike): DataView {
  if (buffer !== viewedBuffer) {
    viewedBuffer = buffer;
    sharedView = new DataView(buffer);
  }
  return sharedView;
}

/** Reads what {@link Writer} wrote. Every method throws {@link DecodeError} on bytes that end early or lie. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where `bytes` begins in its memory, which the view is over. */
  readonly #base: number;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    // A Buffer's slice is a view: take the plain array, so that a copy is a copy.
    const plain = bytes.constructor === Uint8Array;
    this.#bytes = plain ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = viewOf(bytes.buffer);
    this.#base = bytes.byteOffset;
    this.#at = start;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get rest(): number {
    return this.#end - this.#at;
  }

  #take(size: number): number {
    const at = this.#at;
    if (size > this.#end - at) throw new DecodeError('bytes end early');
    this.#at = at + size;
    return at;
  }

  /** Passes over bytes that nobody asks for. */
  skip(size: number): void {
    this.#take(size);
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u16(): number {
    return this.#view.getUint16(this.#base + this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#base + this.#take(4), true);
  }

  u64(): number {
    const at = this.#base + this.#take(8);
    const value = this.#view.getUint32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new DecodeError('u64 is not a safe integer');
    return value;
  }

  i64(): number {
    const at = this.#base + this.#take(8);
    const value = this.#view.getInt32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new DecodeError('i64 is not a safe integer');
    return value;
  }

  big(): bigint {
    return this.#view.getBigUint64(this.#base + this.#take(8), true);
  }

  /** A copy of `size` bytes. */
  fixed(size: number): Uint8Array {
    const at = this.#take(size);
    return this.#bytes.slice(at, at + size);
  }

  /** Bytes after a u32 length, without a copy: they share memory with the source. */
  blob(): Uint8Array {
    const size = this.u32();
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  text(): string {
    const size = this.u16();
    return this.#text(this.#take(size), size);
  }

  /** {@link text} by way of a table of those that were read before; null: not what it allows. */
  known<T extends string>(table: TextTable<T>): T | null {
    const size = this.u16();
    const at = this.#take(size);
    const bytes = this.#bytes;
    return (
      table.find(bytes, at, size) ?? table.add({ text: this.#text(at, size), bytes, at, size })
    );
  }

  /** Passes over a text; false when its bytes are not those of the one that begins at `at`. */
  sameText(at: number): boolean {
    const size = this.u16();
    this.#at -= 2;
    return this.sameBytes(at, 2 + size);
  }

  /** Passes over so many bytes; false when they are not those that begin at `at`. */
  sameBytes(at: number, size: number): boolean {
    const mine = this.#take(size);
    if (at + size > this.#end) return false;
    const bytes = this.#bytes;
    for (let index = 0; index < size; index++) {
      if (bytes[mine + index] !== bytes[at + index]) return false;
    }
    return true;
  }

  #text(at: number, size: number): string {
    if (size <= 32) {
      let short = '';
      let index = at;
      for (; index < at + size; index++) {
        const code = this.#bytes[index] ?? 0;
        if (code >= 0x80) break;
        short += String.fromCharCode(code);
      }
      if (index === at + size) return short;
    }
    try {
      return decoder.decode(this.#bytes.subarray(at, at + size));
    } catch {
      throw new DecodeError('text is not UTF-8');
    }
  }

  /** Every decoder ends with this: trailing bytes are as wrong as missing ones. */
  end(): void {
    if (this.#at !== this.#end) throw new DecodeError('bytes left over');
  }
}

/** UTF-8 length in bytes of well-formed text. */
export function utf8Length(text: string): number {
  let size = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x80) size += 1;
    else if (code < 0x800) size += 2;
    else if (code >= 0xd800 && code <= 0xdbff) {
      size += 4;
      index += 1;
    } else size += 3;
  }
  return size;
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

declare const packed: unique symbol;
/** Bytes as a text of one character each: what is kept a million times costs a third of an array. */
export type PackedBytes = string & { readonly [packed]: 'PackedBytes' };

/** For short ones, up to some hundred bytes. */
export function packBytes(bytes: Uint8Array): PackedBytes {
  // One flat string: built by adding, it would keep all its parts.
  return Reflect.apply(String.fromCharCode, null, bytes) as PackedBytes;
}

export function unpackBytes(text: PackedBytes): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Throws {@link DecodeError} on anything but pairs of hex digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw new DecodeError('not hex');
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
