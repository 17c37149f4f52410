import { unreachable } from '../../lib/core/assert.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Row } from '../../lib/port/replica-store.ts';

/** A row of `wallet_day`: what one person's lines of one day come to, and the packets sent on it. */
export type WalletDay = {
  /** `dayOf` of the log time: days of UTC+8. */
  readonly day: number;
  readonly lines: number;
  readonly netCents: number;
  readonly sentLucky: number;
  readonly sentEqual: number;
  readonly sentExclusive: number;
  readonly sentCents: number;
  /** What came back of packets: their rests, and all of those that never went live. */
  readonly backCents: number;
  readonly receivedPackets: number;
  readonly receivedCents: number;
};

/** What one line of a wallet adds to its day. */
export function lineDeltas(line: {
  readonly reason: string;
  readonly amountCents: number;
}): Readonly<Record<string, number>> {
  const { reason, amountCents } = line;
  const deltas = { lines: 1, net_cents: amountCents };
  switch (reason) {
    case 'claim.credit':
      return { ...deltas, received_packets: 1, received_cents: amountCents };
    case 'packet.refund':
    // The receiver's tombstone: the packet never was.
    case 'transfer.ack':
      return { ...deltas, back_cents: amountCents };
    default:
      return deltas;
  }
}

/** What a packet that leaves its sender's home adds to the day, from whichever pocket it was paid. */
export function sentDeltas(sent: PacketDefinition): Readonly<Record<string, number>> {
  const sent_cents = sent.totalCents;
  switch (sent.kind) {
    case 'lucky':
      return { sent_lucky: 1, sent_cents };
    case 'equal':
      return { sent_equal: 1, sent_cents };
    case 'exclusive':
      return { sent_exclusive: 1, sent_cents };
    default:
      return unreachable(sent.kind);
  }
}

export function walletDayOf(row: Row): WalletDay {
  const [, day, lines, netCents, lucky, equal, exclusive, sentCents, backCents, packets, cents] =
    row as [string, ...number[]];
  return {
    day: day ?? 0,
    lines: lines ?? 0,
    netCents: netCents ?? 0,
    sentLucky: lucky ?? 0,
    sentEqual: equal ?? 0,
    sentExclusive: exclusive ?? 0,
    sentCents: sentCents ?? 0,
    backCents: backCents ?? 0,
    receivedPackets: packets ?? 0,
    receivedCents: cents ?? 0,
  };
}
