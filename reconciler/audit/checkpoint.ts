import { createHash } from 'node:crypto';
import type { ClusterDump } from './dump.ts';
import { PlainWriter, readPlain } from './plain.ts';
import { NotTheFormat } from './reader.ts';

const MAGIC = Buffer.from('HBAUDIT\n', 'latin1');
/** Of what a dump looks like: one of another version is not read, the journals say it all again. */
const VERSION = 2;
const SUM_BYTES = 32;
const HEAD_BYTES = MAGIC.length + 4 + SUM_BYTES;

/**
 * The books as one blob: magic, u32 version, SHA-256 of the rest, the rest as plain values. Made in
 * slices, because it takes long; the books must not change until {@link advance} has said false.
 */
export class CheckpointWriter {
  readonly #hash = createHash('sha256');
  readonly #writer: PlainWriter;
  #whole: Buffer | null = null;
  #copied = 0;
  #at = HEAD_BYTES;

  constructor(dump: ClusterDump) {
    this.#writer = new PlainWriter(dump, { onChunk: (chunk) => this.#hash.update(chunk) });
  }

  /** Goes on reading the dump while `mayGoOn`. True: there is more. */
  advance(mayGoOn: () => boolean): boolean {
    return this.#writer.advance(mayGoOn);
  }

  /** Puts it together while `mayGoOn`, after {@link advance}; null: there is more. */
  assemble(mayGoOn: () => boolean): Uint8Array | null {
    const { chunks } = this.#writer;
    if (this.#whole === null) {
      const size = chunks.reduce((sum, { length }) => sum + length, HEAD_BYTES);
      this.#whole = Buffer.allocUnsafe(size);
      MAGIC.copy(this.#whole);
      this.#whole.writeUInt32LE(VERSION, MAGIC.length);
      this.#hash.digest().copy(this.#whole, HEAD_BYTES - SUM_BYTES);
    }
    for (const chunk of chunks.slice(this.#copied)) {
      this.#whole.set(chunk, this.#at);
      this.#at += chunk.length;
      this.#copied += 1;
      if (this.#copied < chunks.length && !mayGoOn()) return null;
    }
    return this.#whole;
  }
}

/** null: damaged, or of another version. Nothing of it is believed then. */
export function decodeCheckpoint(bytes: Uint8Array): ClusterDump | null {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (whole.length < HEAD_BYTES || !whole.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  if (whole.readUInt32LE(MAGIC.length) !== VERSION) return null;
  const body = whole.subarray(HEAD_BYTES);
  const sum = createHash('sha256').update(body).digest();
  if (!sum.equals(whole.subarray(HEAD_BYTES - SUM_BYTES, HEAD_BYTES))) return null;
  try {
    // What the checksum covers was written by this very version.
    return readPlain(body) as ClusterDump;
  } catch (error) {
    if (!(error instanceof NotTheFormat)) throw error;
    return null;
  }
}
