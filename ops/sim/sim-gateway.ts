import { CallbackVerifier, signCallback } from '../../lib/adapter/callback-signature.ts';
import type { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Callbacks } from '../../access/payments.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { PaymentResult } from '../../lib/core/payment.ts';
import { cents } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type {
  Checkout,
  CheckoutReply,
  PaymentGateway,
  PaymentReply,
  Payout,
  ReceivedCallback,
} from '../../lib/port/payment-gateway.ts';
import type { GatewayRecord } from './check/cashbook.ts';
import type { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';
import { hold } from './trace.ts';

/** How bad the payment gateway is, in thousandths. */
export type GatewayWeather = {
  /** Questions that nobody answers; half of them were done all the same. */
  readonly lost: number;
  /** Callbacks, and answers to them, that are lost at one try. */
  readonly silent: number;
  /** Callbacks that come a second time, byte for byte. */
  readonly repeated: number;
  /** Callbacks, and answers to questions, that take seconds: later ones overtake them. */
  readonly slow: number;
  /** Ended payments of which it says something false as well, or somebody else does. */
  readonly false: number;
};

export const CALM_GATEWAY: GatewayWeather = {
  lost: 0,
  silent: 0,
  repeated: 0,
  slow: 0,
  false: 0,
};

/** Where callbacks go: any access process that lives. */
export type CallbackDoor = { readonly process: SimProcess; readonly callbacks: Callbacks };

type Payment = {
  -readonly [Field in keyof GatewayRecord]: GatewayRecord[Field];
} & {
  readonly paymentId: Id;
  readonly destination: string;
  readonly dueAt: number | null;
  /** It never calls back by itself, until the day is over. */
  readonly isShy: boolean;
  /** When somebody pays although it is too late; null: nobody does. */
  lateAt: number | null;
  /** World time of the last try to call back. */
  calledAt: number;
};

const SECRET = new Uint8Array(32).fill(4);
const FORGED = new Uint8Array(32).fill(5);
const QUICK_MS = 40;
const SLOW_MS = 4_000;
/** As the real adapter: nobody waits longer for an answer. */
const PATIENCE_MS = 3_000;
const PAUSE_MS_MAX = 8_000;
const TICK_MS = 1_000;
/** What was never acknowledged is said once more after so long. */
const DAILY_MS = 3_600_000;
const LATE_MS_MAX = 3 * 3_600_000;

/**
 * The payment gateway of one world: it takes and pays money, and is slow, repeats itself, changes
 * the order, says nothing, or lets people pay when it is too late. What it did stands in its records.
 */
export class SharedGateway {
  readonly #clock: Clock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #weather: () => GatewayWeather;
  readonly #doors: () => readonly CallbackDoor[];
  readonly #told: (record: GatewayRecord) => void;
  readonly #payments = new Map<Id, Payment>();
  #awayUntilMs = 0;
  #coming = 0;

  /** `clock` is the world's. `told` hears of each payment that is said to be settled. */
  constructor(args: {
    clock: Clock;
    chance: SeededRandom;
    trace: Trace;
    weather: () => GatewayWeather;
    doors: () => readonly CallbackDoor[];
    told: (record: GatewayRecord) => void;
  }) {
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#weather = args.weather;
    this.#doors = args.doors;
    this.#told = args.told;
    this.#clock.every(TICK_MS, () => this.#tick());
  }

  records(): readonly GatewayRecord[] {
    return [...this.#payments.values()];
  }

  /** Is nobody at a page of it, about to pay? Who is too late comes after a night. */
  get isQuiet(): boolean {
    return this.#coming === 0;
  }

  /** Nobody is answered for so long from now on; 0: it is back. */
  goAway(ms: number): void {
    this.#awayUntilMs = this.#clock.monotonicMs() + ms;
  }

  /** The gateway as one process sees it: answers come in its `hold`; after its death there are none. */
  of(process: SimProcess): PaymentGateway {
    const verifier = new CallbackVerifier({ secret: SECRET, clock: process.clock });
    const away = { kind: 'away' } as const;
    return {
      createCheckout: (asked) => this.#ask<CheckoutReply>(process, () => this.#open(asked), away),
      payOut: (asked) => this.#ask<PaymentReply>(process, () => this.#payOut(asked), away),
      stateOf: (id) => this.#ask<PaymentReply>(process, () => this.#stateOf(id), away),
      verify: (received) => verifier.verify(received),
      close: () => Promise.resolve(),
    };
  }

  #ask<Reply>(process: SimProcess, run: () => Reply, away: Reply): Promise<Reply> {
    const { lost, slow } = this.#weather();
    const isAway = this.#clock.monotonicMs() < this.#awayUntilMs;
    const fails = isAway || this.#strikes(lost);
    const isDone = !fails || (!isAway && this.#chance.below(2) === 0);
    const thereMs = 1 + this.#chance.below(QUICK_MS);
    const backMs = 1 + this.#chance.below(this.#strikes(slow) ? PATIENCE_MS : QUICK_MS);
    return new Promise((resolve) => {
      if (process.dead) return;
      this.#clock.after(thereMs, () => {
        const reply = isDone ? run() : away;
        this.#clock.after(fails ? PATIENCE_MS : backMs, () =>
          process.hold(() => resolve(fails ? away : reply)),
        );
      });
    });
  }

  // ---- what it is asked

  #open({ paymentId, amountCents, dueAt }: Checkout): CheckoutReply {
    const known = this.#payments.get(paymentId);
    if (known === undefined) {
      const terms = { kind: 'checkout', destination: '', dueAt } as const;
      this.#drawPayer(this.#begin({ paymentId, amountCents, ...terms }), dueAt);
    } else if (known.kind !== 'checkout' || known.amountCents !== amountCents) {
      return this.#conflict(paymentId);
    }
    return { kind: 'open', checkoutUrl: `pay/${paymentId}` };
  }

  #payOut({ paymentId, amountCents, destination }: Payout): PaymentReply {
    const known = this.#payments.get(paymentId);
    if (known === undefined) {
      const terms = { kind: 'payout', destination, dueAt: null } as const;
      const payment = this.#begin({ paymentId, amountCents, ...terms });
      const dice = this.#chance.below(10);
      const result = dice < 6 ? 'paid' : 'denied';
      if (dice % 2 === 0) this.#end(payment, result);
      else this.#endAfter(payment, { ms: this.#chance.below(5_000), result });
    } else if (
      known.kind !== 'payout' ||
      known.amountCents !== amountCents ||
      known.destination !== destination
    ) {
      return this.#conflict(paymentId);
    }
    return this.#stateOf(paymentId);
  }

  #stateOf(paymentId: Id): PaymentReply {
    const known = this.#payments.get(paymentId);
    if (known === undefined) return { kind: 'unknown' };
    const { state, amountCents } = known;
    if (state === 'pending') return { kind: 'pending' };
    return { kind: state, amountCents: cents(amountCents), reference: `sim-${paymentId}` };
  }

  #conflict(paymentId: Id): { kind: 'conflict' } {
    this.#trace.guard(() => hold(false, `PG1 payment ${paymentId} is asked for in other words`));
    return { kind: 'conflict' };
  }

  #begin(
    asked: Pick<Payment, 'paymentId' | 'amountCents' | 'kind' | 'destination' | 'dueAt'>,
  ): Payment {
    const payment: Payment = {
      ...asked,
      state: 'pending',
      isTold: false,
      isShy: this.#chance.below(6) === 0,
      lateAt: null,
      calledAt: 0,
    };
    this.#payments.set(asked.paymentId, payment);
    this.#trace.note(`the gateway has ${asked.kind} ${asked.paymentId}: ${asked.amountCents} c`);
    return payment;
  }

  // ---- what becomes of it

  #drawPayer(payment: Payment, dueAt: number): void {
    const dice = this.#chance.below(100);
    const end = (ms: number, result: PaymentResult): void =>
      this.#endAfter(payment, { ms: this.#chance.below(ms), result });
    if (dice < 50) end(6_000, 'paid');
    else if (dice < 65) end(12_000, 'paid');
    else if (dice < 73) end(6_000, 'denied');
    // In the very second in which it is given up, or long after.
    else if (dice < 80) payment.lateAt = dueAt;
    else if (dice < 88) payment.lateAt = dueAt + this.#chance.below(LATE_MS_MAX);
  }

  #endAfter(payment: Payment, { ms, result }: { ms: number; result: PaymentResult }): void {
    this.#coming += 1;
    this.#clock.after(ms, () => {
      this.#coming -= 1;
      this.#end(payment, result);
    });
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const payment of this.#payments.values()) {
      if (payment.lateAt !== null && payment.lateAt <= now) {
        payment.lateAt = null;
        this.#end(payment, 'paid');
      }
      const isForgotten = payment.state !== 'pending' && !payment.isTold;
      if (!isForgotten || now - payment.calledAt < DAILY_MS) continue;
      payment.calledAt = now;
      this.#call(payment, 0);
    }
  }

  #end(payment: Payment, result: PaymentResult): void {
    if (payment.state !== 'pending') return;
    payment.state = result;
    payment.calledAt = this.#clock.now();
    this.#trace.note(`the gateway says ${result} of ${payment.paymentId}`);
    // Too late it may be forgotten here: nobody asks, so it must be said.
    const isLate = payment.dueAt !== null && payment.dueAt <= this.#clock.now();
    if (!payment.isShy || isLate) this.#call(payment, 0);
  }

  // ---- callbacks

  #call(payment: Payment, tries: number): void {
    if (payment.isTold) return;
    payment.calledAt = this.#clock.now();
    const weather = this.#weather();
    if (this.#strikes(weather.false)) this.#lie(payment);
    const signed = this.#sign(payment, { secret: SECRET });
    const copies = this.#strikes(weather.repeated) ? 2 : 1;
    const isLost = this.#strikes(weather.silent);
    for (let copy = 0; copy < copies && !isLost; copy++) {
      this.#send(signed, 'the gateway', (status, code) => this.#heard(payment, { status, code }));
    }
    const pauseMs = Math.min(PAUSE_MS_MAX, 500 * 2 ** tries) + this.#chance.below(500);
    this.#clock.after(pauseMs, () => this.#call(payment, tries + 1));
  }

  #heard(payment: Payment, { status, code }: { status: number; code: string }): void {
    const what = `payment ${payment.paymentId}, ${payment.state}`;
    // Nothing but its own truth was ever said of it in its name.
    const isRefused = status === 404 || status === 409 || status === 400;
    this.#trace.guard(() => hold(!isRefused, `M11 ${what}: the callback is answered ${code}`));
    if (status !== 200 || payment.isTold) return;
    payment.isTold = true;
    this.#told(payment);
    if (this.#strikes(this.#weather().false)) this.#lie(payment);
  }

  /** A callback of the gateway that is wrong, or of somebody who would like to be the gateway. */
  #lie(payment: Payment): void {
    const dice = this.#chance.below(3);
    const { amountCents, state, paymentId } = payment;
    if (dice === 0) {
      const otherwise = { secret: SECRET, amountCents: amountCents + 1 };
      this.#lieBy(this.#sign(payment, otherwise), `M11 another amount of ${paymentId} is taken`);
    } else if (dice === 1 && payment.isTold && state === 'paid') {
      const otherwise = { secret: SECRET, result: 'denied' } as const;
      this.#lieBy(this.#sign(payment, otherwise), `M11 ${paymentId} was paid, and is denied`);
    } else {
      const otherwise = { secret: FORGED, result: 'paid' } as const;
      this.#lieBy(this.#sign(payment, otherwise), `PG4 a forged callback of ${paymentId} is taken`);
    }
  }

  #lieBy(signed: ReceivedCallback, rule: string): void {
    this.#send(signed, 'a liar', (status) => {
      this.#trace.guard(() => hold(status !== 200, rule));
    });
  }

  #sign(
    payment: Payment,
    says: { secret: Uint8Array; amountCents?: number; result?: PaymentResult },
  ): ReceivedCallback {
    const { paymentId, state } = payment;
    const amountCents = cents(says.amountCents ?? payment.amountCents);
    const result = says.result ?? (state === 'denied' ? 'denied' : 'paid');
    const clock = this.#clock;
    const callback = {
      paymentId,
      amountCents,
      result,
      reference: `sim-${paymentId}`,
      at: clock.now(),
    };
    return signCallback({ secret: says.secret, callback, clock, random: this.#chance });
  }

  /** To one of the doors; whoever hears nothing hears nothing. */
  #send(
    signed: ReceivedCallback,
    from: string,
    heard: (status: number, code: string) => void,
  ): void {
    const { slow, silent } = this.#weather();
    const doors = this.#doors();
    const door = doors[this.#chance.below(Math.max(1, doors.length))];
    const thereMs = 1 + this.#chance.below(this.#strikes(slow) ? SLOW_MS : QUICK_MS);
    const backMs = 1 + this.#chance.below(QUICK_MS);
    const isUnheard = this.#strikes(silent);
    this.#clock.after(thereMs, () => {
      door?.process.hold(() => {
        void door.callbacks.receive(signed, from).then(({ status, code }) => {
          if (door.process.dead || isUnheard) return;
          this.#clock.after(backMs, () => heard(status, code));
        });
      });
    });
  }

  #strikes(thousandths: number): boolean {
    return thousandths > 0 && this.#chance.below(1_000) < thousandths;
  }
}
