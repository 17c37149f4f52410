import type { TimeMs } from '../../lib/core/units.ts';
import { timeMs } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { AHEAD_MS_MAX } from './clock-check.ts';

/** A reading of both clocks at one moment. */
export type Reading = { readonly wallMs: number; readonly monotonicMs: number };

/**
 * The time that a leader stamps (rulings 7): at most 5 s ahead of its own clock as replicas last bore
 * it out. A clock that is looked at every two seconds may leap in between, and log time never goes
 * back: one stamp a day ahead, and every grant is too old for a day.
 */
export class LogClock {
  readonly #clock: Clock;
  readonly #ask: () => void;
  #borneOut: Reading | null = null;

  /** `ask` compares with the replicas again, soon, and calls {@link bearOut} when they agree. */
  constructor({ clock, ask }: { clock: Clock; ask: () => void }) {
    this.#clock = clock;
    this.#ask = ask;
  }

  read(): Reading {
    return { wallMs: this.#clock.now(), monotonicMs: this.#clock.monotonicMs() };
  }

  /** A quorum of replicas says that this reading was not too far ahead. */
  bearOut(reading: Reading): void {
    this.#borneOut = reading;
  }

  /** At most so much ahead of what replicas bore out as a leader may be. */
  now(): TimeMs {
    return timeMs(Math.floor(Math.min(this.#clock.now(), this.#limitMs)));
  }

  /** Has the wall clock leapt, and has nobody borne it out yet? Nothing is sealed before; asks. */
  get hasLeapt(): boolean {
    if (this.#clock.now() <= this.#limitMs) return false;
    this.#ask();
    return true;
  }

  get #limitMs(): number {
    if (this.#borneOut === null) return Number.POSITIVE_INFINITY;
    const { wallMs, monotonicMs } = this.#borneOut;
    return wallMs + (this.#clock.monotonicMs() - monotonicMs) + AHEAD_MS_MAX;
  }
}
