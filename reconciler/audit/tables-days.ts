import type { Op } from './decode.ts';
import { layoutOf } from './tables-layout.ts';
import type { Cell } from './tables-layout.ts';

const DAY_MS = 86_400_000;
/** Days begin at midnight of UTC+8. */
const AHEAD_MS = 8 * 3_600_000;

/** What is added to one row of `wallet_day`, by column. */
type DaySum = { readonly owner: string; readonly added: Readonly<Record<string, number>> };

export function dayOf(ts: number): number {
  return Math.floor((ts + AHEAD_MS) / DAY_MS);
}

/** What an op adds to people's days. `lines`: its rows of `ledger_entry`. */
export function daySums(op: Op, lines: readonly (readonly Cell[])[]): DaySum[] {
  const sums: DaySum[] = [];
  for (const [owner, , , amount, reason] of lines) {
    const cents = Number(amount);
    const added: Record<string, number> = { lines: 1, net_cents: cents };
    if (reason === 'claim.credit') {
      added['received_packets'] = 1;
      added['received_cents'] = cents;
    }
    // The rest of a packet, or all of one that was refused for ever.
    if (reason === 'packet.refund' || reason === 'transfer.ack') added['back_cents'] = cents;
    sums.push({ owner: String(owner), added });
  }
  for (const { transfer } of op.sends) {
    if (transfer.kind !== 'packet.create') continue;
    const { sender, kind, totalCents } = transfer.definition;
    sums.push({ owner: sender, added: { [`sent_${kind}`]: 1, sent_cents: totalCents } });
  }
  return sums;
}

/** A row with more in it; `before` is null for the first of the day. */
export function dayRow(args: {
  owner: string;
  day: number;
  before: readonly Cell[] | null;
  added: Readonly<Record<string, number>>;
}): Cell[] {
  const { owner, day, before, added } = args;
  const names = Object.keys(layoutOf('wallet_day').columns);
  return names.map((name, at) => {
    if (name === 'owner') return owner;
    if (name === 'day') return day;
    return Number(before?.[at] ?? 0) + (added[name] ?? 0);
  });
}
