import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { ClusterDump } from './dump.ts';

const MAGIC = Buffer.from('HBAUDIT\n', 'latin1');
/** Of what a dump looks like: one of another version is not read, the journals say it all again. */
const VERSION = 1;
const SUM_BYTES = 32;
const HEAD_BYTES = MAGIC.length + 4 + SUM_BYTES;

/** The books as one blob: magic, u32 version, SHA-256 of the rest, the rest by structured clone. */
export function encodeCheckpoint(dump: ClusterDump): Uint8Array {
  const body = serialize(dump);
  const head = Buffer.alloc(MAGIC.length + 4);
  MAGIC.copy(head);
  head.writeUInt32LE(VERSION, MAGIC.length);
  return Buffer.concat([head, createHash('sha256').update(body).digest(), body]);
}

/** null: damaged, or of another version. Nothing of it is believed then. */
export function decodeCheckpoint(bytes: Uint8Array): ClusterDump | null {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (whole.length < HEAD_BYTES || !whole.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  if (whole.readUInt32LE(MAGIC.length) !== VERSION) return null;
  const body = whole.subarray(HEAD_BYTES);
  const sum = createHash('sha256').update(body).digest();
  if (!sum.equals(whole.subarray(HEAD_BYTES - SUM_BYTES, HEAD_BYTES))) return null;
  // What the checksum covers was written by this very version.
  return deserialize(body) as ClusterDump;
}
