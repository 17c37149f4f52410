import { Reader, Writer } from './bytes.ts';

/** Commands of one stream message: (u32 tag, u32 length, command)*. Tags pair replies with callers. */
export type TaggedCommand = { readonly tag: number; readonly command: Uint8Array };

/** Replies of one stream message: (u32 tag, u64 lsn, u32 length, outcome)*. */
export type TaggedReply = {
  readonly tag: number;
  readonly lsn: number;
  readonly outcome: Uint8Array;
};

export function encodeCommands(items: readonly TaggedCommand[]): Uint8Array {
  const w = new Writer(items.length * 128 + 16);
  for (const item of items) {
    w.u32(item.tag);
    w.blob(item.command);
  }
  return w.finish();
}

/** Throws DecodeError. Commands share memory with `bytes`. */
export function decodeCommands(bytes: Uint8Array): TaggedCommand[] {
  const r = new Reader(bytes);
  const items: TaggedCommand[] = [];
  while (r.rest > 0) items.push({ tag: r.u32(), command: r.blob() });
  return items;
}

export function encodeReplies(items: readonly TaggedReply[]): Uint8Array {
  const w = new Writer(items.length * 64 + 16);
  for (const item of items) {
    w.u32(item.tag);
    w.u64(item.lsn);
    w.blob(item.outcome);
  }
  return w.finish();
}

/** Throws DecodeError. */
export function decodeReplies(bytes: Uint8Array): TaggedReply[] {
  const r = new Reader(bytes);
  const items: TaggedReply[] = [];
  while (r.rest > 0) items.push({ tag: r.u32(), lsn: r.u64(), outcome: r.blob() });
  return items;
}
