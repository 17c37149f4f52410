/**
 * Plain values as bytes: null, booleans, numbers, bigints of 64 bits, texts, bytes, lists, maps, sets
 * and records, nested as they like. A record's names stand where its form comes first. Numbers are
 * little-endian. For one build's own use: nobody else reads it.
 */
import { NotTheFormat } from './reader.ts';

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const U32 = 3;
const F64 = 4;
const I64 = 5;
const TEXT = 6;
const BYTES = 7;
const LIST = 8;
const MAP = 9;
const SET = 10;
const RECORD = 11;

const U32_MAX = 2 ** 32 - 1;
const CHUNK_BYTES = 262_144;
/** Looking at a clock costs about as much as a value. */
const LOOK_EVERY = 32;
/** Of UTF-8, per unit of a text in memory. */
const TEXT_BYTES_MAX = 3;

/** Writes one value, bit by bit. It must not change from the first {@link advance} to the last. */
export class PlainWriter {
  readonly #chunks: Uint8Array[] = [];
  readonly #onChunk: (chunk: Uint8Array) => void;
  /** What is left to write, innermost last. */
  readonly #open: Iterator<unknown>[];
  readonly #forms = new Map<string, number>();
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;

  /** `onChunk` sees every chunk once, in order. */
  constructor(value: unknown, { onChunk }: { onChunk: (chunk: Uint8Array) => void }) {
    this.#open = [[value].values()];
    this.#onChunk = onChunk;
  }

  /** The value, in parts of bounded size; whole after the last {@link advance}. */
  get chunks(): readonly Uint8Array[] {
    return this.#chunks;
  }

  /** Writes while `mayGoOn`, a few values at least. True: there is more. */
  advance(mayGoOn: () => boolean): boolean {
    let left = LOOK_EVERY;
    for (;;) {
      const inner = this.#open.at(-1);
      if (inner === undefined) break;
      const { done, value } = inner.next();
      if (done === true) {
        this.#open.pop();
        continue;
      }
      this.#write(value);
      if (--left > 0) continue;
      if (!mayGoOn()) return true;
      left = LOOK_EVERY;
    }
    this.#flush(0);
    return false;
  }

  #flush(needs: number): void {
    if (this.#at > 0) {
      const chunk = this.#chunk.subarray(0, this.#at);
      this.#chunks.push(chunk);
      this.#onChunk(chunk);
    }
    if (needs > 0) this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, needs));
    this.#at = 0;
  }

  #reserve(size: number): number {
    if (this.#at + size > this.#chunk.length) this.#flush(size);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  #write(value: unknown): void {
    switch (typeof value) {
      case 'boolean':
        this.#chunk[this.#reserve(1)] = value ? TRUE : FALSE;
        return;
      case 'number':
        this.#number(value);
        return;
      case 'bigint': {
        const at = this.#reserve(9);
        this.#chunk[at] = I64;
        this.#chunk.writeBigInt64LE(value, at + 1);
        return;
      }
      case 'string':
        this.#text(value);
        return;
      case 'object':
        this.#object(value);
        return;
      default:
        throw new Error(`a ${typeof value} is no plain value`);
    }
  }

  #number(value: number): void {
    const isSmall = Number.isInteger(value) && value >= 0 && value <= U32_MAX;
    if (isSmall && !Object.is(value, -0)) {
      this.#head(U32, value);
      return;
    }
    const at = this.#reserve(9);
    this.#chunk[at] = F64;
    this.#chunk.writeDoubleLE(value, at + 1);
  }

  #text(value: string): void {
    const sizeMax = 5 + TEXT_BYTES_MAX * value.length;
    const at = this.#reserve(sizeMax);
    const size = this.#chunk.write(value, at + 5, 'utf8');
    this.#chunk[at] = TEXT;
    this.#chunk.writeUInt32LE(size, at + 1);
    this.#at = at + 5 + size;
  }

  #object(value: object | null): void {
    if (value === null) {
      this.#chunk[this.#reserve(1)] = NULL;
    } else if (value instanceof Uint8Array) {
      this.#head(BYTES, value.length);
      const at = this.#reserve(value.length);
      this.#chunk.set(value, at);
    } else if (Array.isArray(value)) {
      this.#head(LIST, value.length);
      this.#open.push(value.values());
    } else if (value instanceof Map) {
      this.#head(MAP, value.size);
      this.#open.push(pairsOf(value));
    } else if (value instanceof Set) {
      this.#head(SET, value.size);
      this.#open.push(value.values());
    } else this.#record(value);
  }

  #record(value: object): void {
    const names = Object.keys(value);
    const form = names.join('\n');
    const known = this.#forms.get(form);
    this.#head(RECORD, known ?? this.#forms.size);
    if (known === undefined) {
      this.#forms.set(form, this.#forms.size);
      this.#text(form);
    }
    this.#open.push(Object.values(value).values());
  }

  #head(tag: number, size: number): void {
    const at = this.#reserve(5);
    this.#chunk[at] = tag;
    this.#chunk.writeUInt32LE(size, at + 1);
  }
}

function* pairsOf(map: ReadonlyMap<unknown, unknown>): Generator<unknown> {
  for (const [key, value] of map) {
    yield key;
    yield value;
  }
}

/** The value that a {@link PlainWriter} wrote. Throws NotTheFormat. */
export function readPlain(bytes: Buffer): unknown {
  const reader = new PlainReader(bytes);
  const value = reader.value();
  reader.end();
  return value;
}

class PlainReader {
  readonly #bytes: Buffer;
  readonly #forms: (readonly string[])[] = [];
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new NotTheFormat('bytes left over');
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) throw new NotTheFormat('bytes end early');
    this.#at = at + size;
    return at;
  }

  #size(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  value(): unknown {
    const tag = this.#bytes[this.#take(1)];
    switch (tag) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case U32:
        return this.#size();
      case F64:
        return this.#bytes.readDoubleLE(this.#take(8));
      case I64:
        return this.#bytes.readBigInt64LE(this.#take(8));
      case TEXT:
        return this.#text();
      case BYTES: {
        const size = this.#size();
        const at = this.#take(size);
        // A copy: a view would hold the whole object in memory.
        return new Uint8Array(this.#bytes.subarray(at, at + size));
      }
      case LIST:
        return Array.from({ length: this.#count() }, () => this.value());
      case MAP:
        return this.#map();
      case SET: {
        const set = new Set<unknown>();
        for (let left = this.#count(); left > 0; left--) set.add(this.value());
        return set;
      }
      case RECORD:
        return this.#record();
      default:
        throw new NotTheFormat(`a value of kind ${tag}`);
    }
  }

  /** So many values follow, each of a byte at least. */
  #count(): number {
    const count = this.#size();
    if (count > this.#bytes.length - this.#at) throw new NotTheFormat('bytes end early');
    return count;
  }

  #text(): string {
    const size = this.#size();
    const at = this.#take(size);
    return this.#bytes.toString('utf8', at, at + size);
  }

  #map(): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>();
    for (let left = this.#count(); left > 0; left--) {
      const key = this.value();
      map.set(key, this.value());
    }
    return map;
  }

  #record(): object {
    const form = this.#size();
    if (form === this.#forms.length) {
      const names = this.value();
      if (typeof names !== 'string') throw new NotTheFormat('a record without names');
      this.#forms.push(names === '' ? [] : names.split('\n'));
    }
    const names = this.#forms[form];
    if (names === undefined) throw new NotTheFormat('a record of an unknown form');
    const record: Record<string, unknown> = {};
    for (const name of names) record[name] = this.value();
    return record;
  }
}
