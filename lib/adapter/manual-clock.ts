import { assert } from '../core/assert.ts';
import type { TimeMs } from '../core/units.ts';
import { timeMs } from '../core/units.ts';
import type { Clock, Timer } from '../port/clock.ts';
import { SoonQueue } from './soon-queue.ts';
import { TimerHeap } from './timer-heap.ts';

/** 2026-01-01: a plain day that ids can carry. */
const START_MS = Date.UTC(2026, 0, 1);

/**
 * Virtual time for tests and the simulator: it stands still until {@link advance}. Timers run in
 * the order of their due time, equal ones in the order in which they were set.
 */
export class ManualClock implements Clock {
  #wallOffsetMs: number;
  #monotonicMs = 0;
  #order = 0;
  readonly #timers = new TimerHeap();
  readonly #soon = new SoonQueue(() => setImmediate(() => this.#soon.drain()));

  constructor(startMs: number = START_MS) {
    this.#wallOffsetMs = startMs;
  }

  now(): TimeMs {
    return timeMs(Math.floor(this.#wallOffsetMs + this.#monotonicMs));
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, run: () => void): Timer {
    assert(delayMs >= 0, 'a delay is 0 ms or more');
    const dueMs = this.#monotonicMs + delayMs;
    const timer = { dueMs, order: this.#order++, run, cancelled: false };
    this.#timers.add(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  every(periodMs: number, run: () => void): Timer {
    assert(periodMs > 0, 'a period is above 0 ms');
    let cancelled = false;
    const again = (): Timer =>
      this.after(periodMs, () => {
        try {
          run();
        } finally {
          if (!cancelled) current = again();
        }
      });
    let current = again();
    return {
      cancel: () => {
        cancelled = true;
        current.cancel();
      },
    };
  }

  soon(run: () => void): void {
    this.#soon.add(run);
  }

  /** Moves the wall clock only, as an administrator or NTP does. May be negative. */
  jump(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Due time of the next timer on the monotonic clock, or null: what a simulator jumps to. */
  nextDueMs(): number | null {
    return this.#timers.peek()?.dueMs ?? null;
  }

  /** Lets `ms` pass and runs what falls due, without letting promises settle in between. */
  advance(ms: number): void {
    const end = this.#end(ms);
    while (this.#runNext(end));
    this.#monotonicMs = end;
    this.#soon.drain();
  }

  /** The same, with a turn of the real event loop after each timer, so that promises go on. */
  async advanceSettled(ms: number): Promise<void> {
    const end = this.#end(ms);
    await turn();
    while (this.#runNext(end)) await turn();
    this.#monotonicMs = end;
    await turn();
  }

  #end(ms: number): number {
    assert(ms >= 0, 'time does not run backwards');
    return this.#monotonicMs + ms;
  }

  #runNext(endMs: number): boolean {
    this.#soon.drain();
    const timer = this.#timers.peek();
    if (timer === undefined || timer.dueMs > endMs) return false;
    this.#timers.take();
    this.#monotonicMs = Math.max(this.#monotonicMs, timer.dueMs);
    timer.run();
    return true;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
