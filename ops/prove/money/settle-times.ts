import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { Op } from '../../../reconciler/audit/decode.ts';

export type Settled = {
  readonly kind: 'claim' | 'refund';
  /** Log time at which it left the packet, epoch ms. */
  readonly fromMs: number;
  /** Until it was in the wallet, by log time; Sets of one machine have one clock. */
  readonly tookMs: number;
};

/** Pairs each credit and refund in an outbox with the delivery that booked it. */
export class SettleTimes {
  readonly #sent = new Map<string, { kind: Settled['kind']; fromMs: number }>();
  readonly settled: Settled[] = [];
  /** Booked more often than sent. */
  unknown = 0;

  /** In an order in which causes come first. */
  add(entry: Entry, ops: readonly Op[]): void {
    for (const op of ops) {
      for (const { to, lane, number, transfer } of op.sends) {
        const key = `${entry.setId}/${to}/${lane}/${number}`;
        if (transfer.kind === 'claim.credit')
          this.#sent.set(key, { kind: 'claim', fromMs: entry.ts });
        if (transfer.kind === 'packet.refund') {
          this.#sent.set(key, { kind: 'refund', fromMs: entry.ts });
        }
      }
      if (op.type === 'transfer.deliver') this.#deliver(op, entry);
    }
  }

  /** Sent and never booked. */
  get missing(): number {
    return this.#sent.size;
  }

  #deliver(op: Extract<Op, { type: 'transfer.deliver' }>, entry: Entry): void {
    const { from, lane, first } = op.command;
    for (const [index, receipt] of (op.outcome.success?.receipts ?? []).entries()) {
      if (receipt.kind !== 'applied') continue;
      const transfer = op.command.transfers[index];
      if (transfer?.kind !== 'claim.credit' && transfer?.kind !== 'packet.refund') continue;
      const key = `${from}/${entry.setId}/${lane}/${first + index}`;
      const sent = this.#sent.get(key);
      this.#sent.delete(key);
      if (sent === undefined) this.unknown += 1;
      else this.settled.push({ ...sent, tookMs: entry.ts - sent.fromMs });
    }
  }
}
