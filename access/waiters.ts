import type { Clock } from '../lib/port/clock.ts';

/** Requests that wait for an event by its name. */
export class Waiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves true when {@link wake} is called with this key, false after `waitMs`. */
  wait(key: string, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const all = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, all);
      const timer = this.#clock.after(waitMs, () => {
        all.delete(woken);
        if (all.size === 0 && this.#waiting.get(key) === all) this.#waiting.delete(key);
        resolve(false);
      });
      const woken = (): void => {
        timer.cancel();
        resolve(true);
      };
      all.add(woken);
    });
  }

  wake(key: string): void {
    const all = this.#waiting.get(key);
    if (all === undefined) return;
    this.#waiting.delete(key);
    for (const woken of all) woken();
  }
}
