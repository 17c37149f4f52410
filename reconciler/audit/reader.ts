/** Bytes that are not what docs/spec/formats.md says; the message begins with the rule. */
export class NotTheFormat extends Error {
  override readonly name = 'NotTheFormat';

  constructor(what: string) {
    super(`F2 ${what}`);
  }
}

const TWO_32 = 2 ** 32;
/** C0, DEL, C1, line and paragraph separators, bidirectional overrides (SPEC U1). */
// oxlint-disable-next-line no-control-regex
const NOT_IN_A_NAME = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const USER_BYTES_MAX = 64;

/** Reads the primitives of docs/spec/formats.md, front to end. Every method throws NotTheFormat. */
export class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = bytes.length;
  }

  get at(): number {
    return this.#at;
  }

  /** What was read since `from`: a view, not a copy. */
  since(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.#at);
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.#end) throw new NotTheFormat('bytes end early');
    this.#at = at + size;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * TWO_32;
    if (!Number.isSafeInteger(value)) throw new NotTheFormat('a number above 2^53 - 1');
    return value;
  }

  i64(): number {
    const at = this.#take(8);
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readInt32LE(at + 4) * TWO_32;
    if (!Number.isSafeInteger(value)) throw new NotTheFormat('a number beyond 2^53 - 1');
    return value;
  }

  id(): bigint {
    const value = this.#bytes.readBigUInt64LE(this.#take(8));
    if (value >= 2n ** 63n) throw new NotTheFormat('an id of 64 bits');
    return value;
  }

  set(): number {
    const value = this.u16();
    if (value > 1023) throw new NotTheFormat('a Set above 1023');
    return value;
  }

  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new NotTheFormat('a flag other than 0 and 1');
    return value === 1;
  }

  /** The word with this number. */
  tag<Word extends string>(words: readonly Word[]): Word {
    const word = words[this.u8()];
    if (word === undefined) throw new NotTheFormat('an unknown tag');
    return word;
  }

  fixed(size: number): Uint8Array {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  hex(size: number): string {
    const at = this.#take(size);
    return this.#bytes.toString('hex', at, at + size);
  }

  text(): string {
    const size = this.u16();
    const at = this.#take(size);
    const text = this.#bytes.toString('utf8', at, at + size);
    // What is not UTF-8 became U+FFFD; somebody may also have written one.
    if (text.includes('\ufffd')) {
      const again = Buffer.from(text, 'utf8');
      if (this.#bytes.compare(again, 0, again.length, at, at + size) !== 0) {
        throw new NotTheFormat('text that is not UTF-8');
      }
    }
    return text;
  }

  user(): string {
    const from = this.#at;
    const user = this.text();
    const size = this.#at - from - 2;
    if (size < 1 || size > USER_BYTES_MAX || NOT_IN_A_NAME.test(user)) {
      throw new NotTheFormat('not a user id');
    }
    return user;
  }

  /** UUIDv7 in canonical text. */
  commandId(): string {
    const h = this.hex(16);
    if (h[12] !== '7' || !'89ab'.includes(h[16] ?? ' ')) throw new NotTheFormat('not a UUIDv7');
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
  }

  /** A reader of a blob's bytes. */
  blob(): Reader {
    return new Reader(this.fixed(this.u32()));
  }

  /** u16 count, then so many. Memory is bounded by the bytes that are there (F3). */
  list<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.u16(); left > 0; left--) items.push(read());
    return items;
  }

  end(): void {
    if (this.#at !== this.#end) throw new NotTheFormat('bytes left over');
  }
}
