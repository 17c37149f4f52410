import type { PaymentPurpose } from '../lib/core/payment.ts';
import { PAYMENT_PURPOSES } from '../lib/core/payment.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Counter, Metrics } from '../lib/port/metrics.ts';

/** Payments under way of one Set. */
export type Waiting = {
  count: number;
  cents: number;
  /** When the oldest began, epoch ms; infinite without any. */
  oldestAt: number;
};
export type WaitingByPurpose = Readonly<Record<PaymentPurpose, Waiting>>;

export function nothingWaits(): WaitingByPurpose {
  const none = (): Waiting => ({ count: 0, cents: 0, oldestAt: Number.POSITIVE_INFINITY });
  return { topup: none(), packet: none(), withdraw: none() };
}

/** What waits for the payment gateway, over the Sets of one desk. */
export class PaymentMetrics {
  readonly settled: Counter;
  readonly retries: Counter;
  readonly stuck: Counter;
  readonly #count;
  readonly #cents;
  readonly #oldest;
  readonly #bySet = new Map<SetId, WaitingByPurpose>();

  constructor(metrics: Metrics) {
    this.settled = metrics.counter({
      name: 'hongbao_payments_settled_total',
      help: 'Payments that the desk settled itself, by purpose and result',
      labels: ['purpose', 'result'],
    });
    this.retries = metrics.counter({
      name: 'hongbao_payments_retries_total',
      help: 'Questions to the gateway or to a Set that had to be asked again, by reason',
      labels: ['step', 'reason'],
    });
    this.stuck = metrics.counter({
      name: 'hongbao_payments_stuck_total',
      help: 'Payments found in a state that no retry can free, by reason',
      labels: ['reason'],
    });
    this.#count = metrics.gauge({
      name: 'hongbao_payments_pending',
      help: 'Payments under way, by purpose',
      labels: ['purpose'],
    });
    this.#cents = metrics.gauge({
      name: 'hongbao_payments_pending_cents',
      help: 'Their cents; those of withdrawals have left the wallets',
      labels: ['purpose'],
    });
    this.#oldest = metrics.gauge({
      name: 'hongbao_payments_oldest_seconds',
      help: 'How long the oldest payment under way has waited; 0 without any',
      labels: ['purpose'],
    });
  }

  /** What a look into this Set found; null: it is no longer ours. */
  waiting(set: SetId, found: WaitingByPurpose | null): void {
    if (found === null) this.#bySet.delete(set);
    else this.#bySet.set(set, found);
  }

  /** @param now epoch ms */
  show(now: number): void {
    for (const purpose of PAYMENT_PURPOSES) {
      const each = [...this.#bySet.values()].map((set) => set[purpose]);
      const sum = (read: (waiting: Waiting) => number): number =>
        each.reduce((total, waiting) => total + read(waiting), 0);
      const oldestAt = Math.min(now, ...each.map((waiting) => waiting.oldestAt));
      this.#count.set(
        sum(({ count }) => count),
        { purpose },
      );
      this.#cents.set(
        sum(({ cents }) => cents),
        { purpose },
      );
      this.#oldest.set((now - oldestAt) / 1_000, { purpose });
    }
  }
}
