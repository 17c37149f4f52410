import type { Clock, Timer } from '../port/clock.ts';
import type { TimeMs } from '../core/units.ts';
import { timeMs } from '../core/units.ts';
import { assert } from '../core/assert.ts';
import { SoonQueue } from './soon-queue.ts';

/** Node turns longer delays into 1 ms. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** The machine's clocks and Node's timers (SPEC section CL). */
export class SystemClock implements Clock {
  // After the input of this turn of the loop, so that what came together is handled together.
  readonly #soon = new SoonQueue(() => setImmediate(() => this.#soon.drain()));

  now(): TimeMs {
    return timeMs(Date.now());
  }

  monotonicMs(): number {
    return performance.now();
  }

  /** `delayMs` is 0 .. 2^31 - 1 (24 days). */
  after(delayMs: number, run: () => void): Timer {
    assert(delayMs >= 0 && delayMs <= DELAY_MAX_MS, 'a delay is 0 .. 2^31 - 1 ms');
    const due = performance.now() + delayMs;
    const arm = (restMs: number): NodeJS.Timeout =>
      setTimeout(() => {
        // Node rounds its own clock down, so a timer may come up to 1 ms early.
        const early = due - performance.now();
        if (early > 0) {
          handle = arm(Math.ceil(early));
          return;
        }
        this.#soon.drain();
        run();
      }, Math.ceil(restMs));
    let handle = arm(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  /** `periodMs` is above 0. The next period starts when the run ends, so runs never pile up. */
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
}
