import type { Clock } from '../../lib/port/clock.ts';

/** Since when and until when, monotonic milliseconds. */
type Cut = { readonly sinceMs: number; readonly untilMs: number };

/** Which lines between processes are cut now, each direction by itself. */
export class Cuts {
  readonly #clock: Clock;
  readonly #cuts = new Map<string, Cut>();

  /** `clock` is the world's. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One that is cut already is cut for longer. */
  cut({ from, to, ms }: { from: string; to: string; ms: number }): void {
    const now = this.#clock.monotonicMs();
    const before = this.#now(from, to);
    this.#cuts.set(`${from} ${to}`, {
      sinceMs: before?.sinceMs ?? now,
      untilMs: Math.max(now + ms, before?.untilMs ?? 0),
    });
  }

  /** Until when nothing passes; 0 while it does. */
  untilMs(from: string, to: string): number {
    return this.#now(from, to)?.untilMs ?? 0;
  }

  /** Has nothing passed in one direction or the other, all the time since then? */
  lastsSince(momentMs: number, { a, b }: { a: string; b: string }): boolean {
    const cuts = [this.#now(a, b), this.#now(b, a)];
    return cuts.some((cut) => cut !== undefined && cut.sinceMs <= momentMs);
  }

  #now(from: string, to: string): Cut | undefined {
    const cut = this.#cuts.get(`${from} ${to}`);
    return cut !== undefined && cut.untilMs > this.#clock.monotonicMs() ? cut : undefined;
  }
}
