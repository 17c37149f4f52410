import type { TimeMs } from '../core/units.ts';

/** Time (SPEC section CL). `now` may jump; `monotonicMs` never falls; timers run on the monotonic one. */
export interface Clock {
  /** [CL1] Wall time. Never decides safety. */
  now(): TimeMs;
  /** [CL2] Milliseconds since some start, with fractions. */
  monotonicMs(): number;
  /** [CL3] Runs once after at least `delayMs`; a cancelled one never runs. */
  after(delayMs: number, run: () => void): Timer;
  /** [CL4] Runs again and again, never two at once. */
  every(periodMs: number, run: () => void): Timer;
  /** [CL5] Runs after what is already queued, before any timer. */
  soon(run: () => void): void;
}

export interface Timer {
  cancel(): void;
}

/** Resolves after at least `delayMs`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
