import type { Status } from '../../lib/core/status.ts';
import { statusCode } from '../../lib/core/status.ts';
import type { ReplySink } from './leadership.ts';

/** The outcome of a command that was not done, or of which nobody knows: its status alone. */
export function encodeStatus(status: Status): Uint8Array {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setUint16(0, statusCode(status), true);
  return bytes;
}

/** Answers a command that was not done. */
export function refuseAt(sink: ReplySink, tag: number, status: Status): void {
  sink.reply(tag, 0, encodeStatus(status));
}
