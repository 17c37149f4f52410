import { assertMessage, assertPattern, matches } from '../../lib/adapter/bus-subject.ts';
import type { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Bus, Subscription } from '../../lib/port/bus.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';
import { Violation } from '../../reconciler/audit/violation.ts';
import { hold } from './trace.ts';

/** How bad the bus is, in thousandths of deliveries. What is late is overtaken. */
export type BusWeather = {
  readonly lost: number;
  readonly repeated: number;
  /** Under way for up to 2 s instead of 3 ms. */
  readonly late: number;
};

export const CALM_BUS: BusWeather = { lost: 0, repeated: 0, late: 0 };

const LATE_MS = 2_000;
const QUICK_MS = 4;

type Handler = (subject: string, payload: Uint8Array) => void;
type Subscriber = {
  readonly process: SimProcess;
  readonly pattern: string;
  readonly handler: Handler;
  /** What is not late comes in order, as over one connection. */
  lastDueMs: number;
};

/** The bus that all processes of one world share: it loses, repeats, delays and reorders. */
export class SharedBus {
  readonly #clock: Clock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #weather: () => BusWeather;
  readonly #subscribers = new Set<Subscriber>();

  /** `clock` is the world's. */
  constructor(args: {
    clock: Clock;
    chance: SeededRandom;
    trace: Trace;
    weather: () => BusWeather;
  }) {
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#weather = args.weather;
  }

  /** The bus as one process sees it: handlers run in its `hold`, and none after its death. */
  of(process: SimProcess): Bus {
    const own = new Set<Subscriber>();
    let closed = false;
    const leave = (subscriber: Subscriber): void => {
      own.delete(subscriber);
      this.#subscribers.delete(subscriber);
    };
    const leaveAll = (): void => {
      closed = true;
      for (const subscriber of own) leave(subscriber);
    };
    process.onDeath(leaveAll);
    return {
      publish: async (subject, payload) => {
        assertMessage(subject, payload);
        if (!closed && !process.dead) this.#publish(subject, payload);
      },
      subscribe: async (subject, handler): Promise<Subscription> => {
        assertPattern(subject);
        const subscriber: Subscriber = { process, pattern: subject, handler, lastDueMs: 0 };
        if (!closed && !process.dead) {
          own.add(subscriber);
          this.#subscribers.add(subscriber);
        }
        return { unsubscribe: async () => leave(subscriber) };
      },
      close: async () => leaveAll(),
    };
  }

  #publish(subject: string, payload: Uint8Array): void {
    const { lost, repeated } = this.#weather();
    for (const subscriber of this.#subscribers) {
      if (!matches(subscriber.pattern, subject)) continue;
      if (this.#strikes(lost)) continue;
      const times = this.#strikes(repeated) ? 2 : 1;
      for (let time = 0; time < times; time++) {
        this.#deliver(subscriber, { subject, payload: payload.slice() });
      }
    }
  }

  #deliver(to: Subscriber, { subject, payload }: { subject: string; payload: Uint8Array }): void {
    const now = this.#clock.monotonicMs();
    const isLate = this.#strikes(this.#weather().late);
    const dueMs = now + this.#chance.below(isLate ? LATE_MS : QUICK_MS);
    if (!isLate) to.lastDueMs = Math.max(to.lastDueMs, dueMs);
    this.#clock.after((isLate ? dueMs : to.lastDueMs) - now, () =>
      to.process.hold(() => {
        // It may have left while the message was under way.
        if (!this.#subscribers.has(to)) return;
        try {
          to.handler(subject, payload);
        } catch (error) {
          if (error instanceof Violation) throw error;
          // [BU2] The bus goes on. That a handler threw is a bug of the handler all the same.
          const rule = `BU2 a handler of ${subject} in ${to.process.name} threw: ${String(error)}`;
          this.#trace.guard(() => hold(false, rule));
        }
      }),
    );
  }

  #strikes(thousandths: number): boolean {
    return thousandths > 0 && this.#chance.below(1_000) < thousandths;
  }
}
