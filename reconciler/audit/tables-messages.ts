import type { TransferOf } from './parts.ts';

/** The body of a system message: JSON in the order of docs/spec/tables.md. */
export function systemText(words: Readonly<Record<string, string>>): string {
  return JSON.stringify(words);
}

/** The body of the message that announces a packet. */
export function announcedText(transfer: TransferOf<'packet.announce'>): string {
  const { packetId, packetKind, count, greeting, seedHash, expiresAt } = transfer;
  const terms = { packetId: String(packetId), kind: packetKind, count };
  return JSON.stringify({ ...terms, greeting, seedHash, expiresAt });
}
