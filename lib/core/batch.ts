import { DecodeError, Reader, Writer } from './bytes.ts';

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

/** Why a balance changed; the code is the place in this list. */
export const WALLET_REASONS = [
  'welcome',
  'send',
  'claim',
  'refund',
  'undo',
  'topup',
  'withdraw',
  'returned',
  'adjust',
] as const;
export type WalletReason = (typeof WALLET_REASONS)[number];

/** A balance that changed, for its owner's sockets. */
export type WalletEvent = {
  readonly user: string;
  readonly balanceCents: number;
  /** Below zero when it was spent. */
  readonly amountCents: number;
  readonly reason: WalletReason;
  /** 0n: no packet. */
  readonly packetId: bigint;
  readonly at: number;
};

export function encodeWalletEvents(items: readonly WalletEvent[]): Uint8Array {
  const w = new Writer(items.length * 96);
  for (const item of items) {
    w.text(item.user);
    w.u64(item.balanceCents);
    w.i64(item.amountCents);
    w.u8(WALLET_REASONS.indexOf(item.reason));
    w.big(item.packetId);
    w.u64(item.at);
  }
  return w.finish();
}

/** Throws DecodeError. */
export function decodeWalletEvents(bytes: Uint8Array): WalletEvent[] {
  const r = new Reader(bytes);
  const items: WalletEvent[] = [];
  while (r.rest > 0) {
    items.push({
      user: r.text(),
      balanceCents: r.u64(),
      amountCents: r.i64(),
      reason: reasonOf(r.u8()),
      packetId: r.big(),
      at: r.u64(),
    });
  }
  return items;
}

function reasonOf(code: number): WalletReason {
  const reason = WALLET_REASONS[code];
  if (reason === undefined) throw new DecodeError('unknown reason of a wallet event');
  return reason;
}
