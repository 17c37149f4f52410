import { assert, unreachable } from '../lib/core/assert.ts';
import type { Id } from '../lib/core/ids.ts';
import { asId } from '../lib/core/ids.ts';
import { LIMITS } from '../lib/core/limits.ts';
import { succeeded } from '../lib/core/outcome.ts';
import type { PaymentPurpose } from '../lib/core/payment.ts';
import { PAYMENT_PURPOSES } from '../lib/core/payment.ts';
import { retryOf } from '../lib/core/status.ts';
import type { Cents, SetId } from '../lib/core/units.ts';
import { cents } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { Ended, PaymentGateway, PaymentReply } from '../lib/port/payment-gateway.ts';
import type { Random } from '../lib/port/random.ts';
import type { Payment__Output } from '../proto/gen/hongbao/Payment.ts';
import type { Router } from '../router/api.ts';
import { Backoff } from '../router/backoff.ts';
import { PaymentMetrics, nothingWaits } from './payment-metrics.ts';

export type PaymentTimes = {
  /** How often Sets are asked what waits. */
  readonly lookMs: number;
  /** A callback that has not come by then is taken for lost. */
  readonly askAfterMs: number;
  /** How often expired payments are looked at: somebody may have paid in the last moment. */
  readonly expiredMs: number;
};

const TIMES: PaymentTimes = { lookMs: 1_000, askAfterMs: 10_000, expiredMs: 30_000 };

const DESK_LIMITS = {
  /** Questions to gateway and Sets at once: what a gateway lets one customer do. */
  inHandMax: 32,
  /** Payouts in memory, and questions, 300 bytes each; the rest is found by a later look. */
  heldMax: 50_000,
  /** A payout that nobody answered, or that takes its time. */
  payoutFirstMs: 500,
  payoutLastMs: 60_000,
  /** People take minutes to pay: the gateway is not asked all the time. */
  askFirstMs: 5_000,
  askLastMs: 60_000,
  /** Nearly all of them were only left alone. */
  expiredFirstMs: 30_000,
  expiredLastMs: 300_000,
} as const;

export type PaymentDeskArgs = {
  readonly router: Router;
  readonly gateway: PaymentGateway;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly times?: Partial<PaymentTimes>;
  /** Whether this process looks after the payments of that Set. Absent: of all. Two may: all is idempotent. */
  readonly owns?: (set: SetId) => boolean;
};

type Held = {
  readonly set: SetId;
  readonly paymentId: Id;
  readonly purpose: PaymentPurpose;
  readonly amountCents: Cents;
  readonly destination: string;
  readonly backoff: Backoff;
  readonly state: Looked;
  /** Monotonic ms. */
  nextAtMs: number;
  /** In line or in hand. */
  busy: boolean;
  /** The look that found it last. */
  look: number;
};

/** First in, first out. `shift` of an array of 50,000 moves all the others. */
class WaitingLine {
  #items: Held[] = [];
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#items.length;
  }

  add(held: Held): void {
    this.#items.push(held);
  }

  take(): Held | undefined {
    const next = this.#items[this.#head];
    if (next === undefined) return undefined;
    this.#head += 1;
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}

export type PaymentDesk = { stop(): Promise<void> };

/**
 * Looks after money between wallets and the payment gateway: hands withdrawals over, asks about
 * payments whose callback did not come, and settles what it learns. It remembers nothing that it
 * needs: the Sets know what is under way, and gateway and settling are idempotent by paymentId.
 */
export function startPaymentDesk(args: PaymentDeskArgs): PaymentDesk {
  const desk = new Desk(args);
  const times = { ...TIMES, ...args.times };
  const timers = [
    args.clock.every(times.lookMs, () => void desk.look('pending')),
    args.clock.every(times.expiredMs, () => void desk.look('expired')),
  ];
  void desk.look('pending');
  return {
    stop: async () => {
      for (const timer of timers) timer.cancel();
      await desk.stop();
    },
  };
}

type Looked = 'pending' | 'expired';

/** Anybody may begin payments that he never pays: their questions must not stand before payouts. */
type Line = 'payout' | 'question';

function lineOf(purpose: PaymentPurpose): Line {
  return purpose === 'withdraw' ? 'payout' : 'question';
}

/** How long to wait between two questions about one payment. */
function pauseOf(state: Looked, isPayout: boolean): { firstMs: number; lastMs: number } {
  const l = DESK_LIMITS;
  if (state === 'expired') return { firstMs: l.expiredFirstMs, lastMs: l.expiredLastMs };
  if (isPayout) return { firstMs: l.payoutFirstMs, lastMs: l.payoutLastMs };
  return { firstMs: l.askFirstMs, lastMs: l.askLastMs };
}

class Desk {
  readonly #args: PaymentDeskArgs;
  readonly #times: PaymentTimes;
  readonly #metrics: PaymentMetrics;
  readonly #held = new Map<Id, Held>();
  readonly #looking = new Set<Looked>();
  readonly #lines = { payout: new WaitingLine(), question: new WaitingLine() };
  readonly #heldIn: Record<Line, number> = { payout: 0, question: 0 };
  /** Which line was served last: they take turns. */
  #served: Line = 'question';
  #looks = 0;
  #inHand = 0;
  #stopped = false;

  constructor(args: PaymentDeskArgs) {
    this.#args = args;
    this.#times = { ...TIMES, ...args.times };
    this.#metrics = new PaymentMetrics(args.metrics);
  }

  /** What is under way is abandoned: the next desk asks again. */
  stop(): Promise<void> {
    this.#stopped = true;
    return Promise.resolve();
  }

  /** Asks every Set; two looks for the same are never at once. */
  async look(state: Looked): Promise<void> {
    if (this.#stopped || this.#looking.has(state)) return;
    this.#looking.add(state);
    const { router, owns, clock } = this.#args;
    await Promise.all(
      router.sets().map(async (set) => {
        if (owns === undefined || owns(set)) await this.#lookInto(set, state);
        else if (state === 'pending') this.#metrics.waiting(set, null);
      }),
    );
    this.#looking.delete(state);
    if (this.#stopped) return;
    this.#metrics.show(clock.now());
    this.#queue();
  }

  async #lookInto(set: SetId, state: Looked): Promise<void> {
    const look = (this.#looks += 1);
    const waiting = nothingWaits();
    const limit = LIMITS.paymentsPageMax;
    let after = '0';
    for (;;) {
      const asked = { payments: { state, after, limit } };
      const { reply } = await this.#args.router.query(set, asked);
      // Without an answer nothing is known: what is held stays.
      const { payments } = reply?.payments ?? {};
      if (payments === undefined || this.#stopped) return;
      for (const payment of payments) {
        const purpose = PAYMENT_PURPOSES.find((one) => one === payment.purpose);
        if (purpose === undefined) continue;
        const sums = waiting[purpose];
        sums.count += 1;
        sums.cents += Number(payment.amountCents);
        sums.oldestAt = Math.min(sums.oldestAt, Number(payment.createdAt));
        this.#hold({ set, state, purpose, payment, look });
      }
      const last = payments.at(-1);
      if (last === undefined || payments.length < limit) break;
      after = last.paymentId;
    }
    if (state === 'pending') this.#metrics.waiting(set, waiting);
    // What a whole look did not show has ended, by a callback or through another desk.
    for (const held of this.#held.values()) {
      const isOver = held.set === set && held.state === state && held.look < look;
      if (isOver && !held.busy) this.#drop(held);
    }
  }

  #hold(found: {
    set: SetId;
    state: Looked;
    purpose: PaymentPurpose;
    payment: Payment__Output;
    look: number;
  }): void {
    const { set, state, purpose, payment, look } = found;
    const paymentId = asId(BigInt(payment.paymentId));
    const known = this.#held.get(paymentId);
    if (known !== undefined) {
      known.look = look;
      return;
    }
    const { clock, random } = this.#args;
    const isPayout = purpose === 'withdraw';
    if (!isPayout && clock.now() < Number(payment.createdAt) + this.#times.askAfterMs) return;
    const line = lineOf(purpose);
    if (this.#heldIn[line] >= DESK_LIMITS.heldMax) return;
    this.#heldIn[line] += 1;
    this.#held.set(paymentId, {
      set,
      paymentId,
      purpose,
      amountCents: cents(Number(payment.amountCents)),
      destination: payment.destination,
      backoff: new Backoff({ random, ...pauseOf(state, isPayout) }),
      state,
      nextAtMs: clock.monotonicMs(),
      busy: false,
      look,
    });
  }

  #drop({ paymentId, purpose }: Held): void {
    if (this.#held.delete(paymentId)) this.#heldIn[lineOf(purpose)] -= 1;
  }

  /** What is due stands in line, the longest due first. */
  #queue(): void {
    const now = this.#args.clock.monotonicMs();
    const due = [...this.#held.values()].filter((held) => !held.busy && held.nextAtMs <= now);
    for (const held of due.toSorted((a, b) => a.nextAtMs - b.nextAtMs)) {
      held.busy = true;
      this.#lines[lineOf(held.purpose)].add(held);
    }
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && this.#inHand < DESK_LIMITS.inHandMax) {
      const next = this.#next();
      if (next === undefined) return;
      void this.#attend(next);
    }
  }

  #next(): Held | undefined {
    const other = this.#served === 'question' ? 'payout' : 'question';
    if (!this.#lines[other].isEmpty) this.#served = other;
    return this.#lines[this.#served].take();
  }

  async #attend(held: Held): Promise<void> {
    assert(held.busy, 'it stood in line');
    this.#inHand += 1;
    await this.#ask(held);
    held.busy = false;
    held.nextAtMs = this.#args.clock.monotonicMs() + held.backoff.next();
    this.#inHand -= 1;
    this.#pump();
  }

  async #ask(held: Held): Promise<void> {
    const { gateway } = this.#args;
    const { paymentId, amountCents, destination } = held;
    const reply: PaymentReply =
      held.purpose === 'withdraw'
        ? await gateway.payOut({ paymentId, amountCents, destination })
        : await gateway.stateOf(paymentId);
    if (this.#stopped) return;
    switch (reply.kind) {
      case 'paid':
      case 'denied':
        return this.#settle(held, reply);
      case 'pending':
        return;
      // Nobody went to the page, or the gateway lost it: it is not ours to say that nobody paid.
      case 'unknown':
      case 'away':
        this.#metrics.retries.add(1, { step: 'gateway', reason: reply.kind });
        return;
      case 'conflict':
        return this.#stuck(held, 'conflict');
      default:
        unreachable(reply);
    }
  }

  async #settle(held: Held, { kind: result, amountCents, reference }: Ended): Promise<void> {
    const { paymentId, purpose, set } = held;
    const settle = { type: 'payment.settle', paymentId, result, amountCents, reference } as const;
    const { outcome } = await this.#args.router.command(set, settle);
    if (succeeded(outcome)) {
      this.#metrics.settled.add(1, { purpose, result });
      this.#drop(held);
    } else if (retryOf(outcome.status) === 'final') {
      this.#stuck(held, outcome.status);
    } else {
      this.#metrics.retries.add(1, { step: 'settle', reason: outcome.status });
    }
  }

  /** It stays held and is tried on: what a person puts right moves by itself then. */
  #stuck(held: Held, reason: string): void {
    const { paymentId, purpose, set } = held;
    this.#metrics.stuck.add(1, { reason });
    this.#args.log.error('payment_stuck', { set, paymentId: String(paymentId), purpose, reason });
  }
}
