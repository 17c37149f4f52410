import { DecodeError, Reader, Writer } from '../core/bytes.ts';

/** One message of the bus: a subject and what was said under it. */
export type BusRecord = { readonly subject: string; readonly payload: Uint8Array };

/** A NATS message carries many records; a server takes 1 MiB, and a small one overtakes nobody. */
const FRAME_BYTES_MAX = 64 * 1_024;
const FRAME_FORMAT = 1;
const HEAD_BYTES = 3;
const RECORDS_MAX = 0xffff;
/** Their two length prefixes. */
const RECORD_HEAD_BYTES = 6;

/** How much of a frame this record takes, bytes. */
export function recordBytes({ subject, payload }: BusRecord): number {
  return RECORD_HEAD_BYTES + subject.length + payload.length;
}

/** How many of these records, from the first on, fit into one frame: at least one. */
export function fitting(records: readonly BusRecord[]): number {
  let bytes = HEAD_BYTES;
  let count = 0;
  for (const record of records) {
    bytes += recordBytes(record);
    if (count === RECORDS_MAX || (count > 0 && bytes > FRAME_BYTES_MAX)) break;
    count += 1;
  }
  return count;
}

export function encodeFrame(records: readonly BusRecord[]): Uint8Array {
  const writer = new Writer();
  writer.u8(FRAME_FORMAT);
  writer.u16(records.length);
  for (const { subject, payload } of records) {
    writer.text(subject);
    writer.blob(payload);
  }
  return writer.finish();
}

/** Copies out of `bytes`. Throws DecodeError: anybody who reaches the server may have written it. */
export function decodeFrame(bytes: Uint8Array): BusRecord[] {
  const reader = new Reader(bytes);
  if (reader.u8() !== FRAME_FORMAT) throw new DecodeError('a frame of another format');
  const count = reader.u16();
  const records: BusRecord[] = [];
  for (let index = 0; index < count; index++) {
    const subject = reader.text();
    records.push({ subject, payload: new Uint8Array(reader.blob()) });
  }
  reader.end();
  return records;
}
