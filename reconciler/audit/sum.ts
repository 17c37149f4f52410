import { createHash } from 'node:crypto';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ENTRY_KINDS } from './words.ts';

/** SHA-256 over head and payload, as the layout says: u16, u64 and u32 little-endian. */
export function sumOf(entry: Entry): Buffer {
  const head = Buffer.alloc(2 + 8 + 8 + 16 + 1 + 32 + 8 + 8 + 24 + 2 + 4 + 32 + 4);
  let at = head.writeUInt16LE(entry.setId, 0);
  at = head.writeBigUInt64LE(BigInt(entry.lsn), at);
  at = head.writeBigUInt64LE(BigInt(entry.epoch), at);
  head.set(entry.leaderId, at);
  at = head.writeUInt8(ENTRY_KINDS.indexOf(entry.kind), at + 16);
  head.set(entry.prev, at);
  at = head.writeBigUInt64LE(BigInt(entry.ts), at + 32);
  at = head.writeBigUInt64LE(BigInt(entry.commitLsn), at);
  for (const acked of entry.acked) at = head.writeBigUInt64LE(BigInt(acked), at);
  at = head.writeUInt16LE(entry.format, at);
  at = head.writeUInt32LE(entry.opCount, at);
  const { walletsCents, packetsCents, clearingCents, issuerCents } = entry.money;
  for (const amount of [walletsCents, packetsCents, clearingCents, issuerCents]) {
    at = head.writeBigInt64LE(BigInt(amount), at);
  }
  head.writeUInt32LE(entry.payload.length, at);
  return createHash('sha256').update(head).update(entry.payload).digest();
}
