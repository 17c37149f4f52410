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
  readonly #soon = new SoonQueue(() => this.#wake());

  readonly #isolated: boolean;

  /**
   * `isolated`: nothing in this world waits for real I/O, timers or turns of the event loop, so that
   * promises settle without any (several times as fast). Whoever waits for them would wait for ever.
   */
  constructor(startMs: number = START_MS, { isolated = false }: { isolated?: boolean } = {}) {
    this.#wallOffsetMs = startMs;
    this.#isolated = isolated;
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

  /** The same, and promises go on after each timer, with a turn of the real event loop. */
  async advanceSettled(ms: number): Promise<void> {
    const end = this.#end(ms);
    await this.#settle();
    while (this.#runNext(end)) await this.#settle();
    this.#monotonicMs = end;
    await this.#settle();
  }

  async #settle(): Promise<void> {
    if (!this.#isolated) return turn();
    await microtasks();
    while (this.#soon.size > 0) {
      this.#soon.drain();
      await microtasks();
    }
  }

  #wake(): void {
    if (!this.#isolated) setImmediate(() => this.#soon.drain());
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

/** Node runs ticks when no microtask is left: then every promise that can has settled. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
