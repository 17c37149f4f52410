import type { Clock, Timer } from '../../lib/port/clock.ts';
import { timeMs } from '../../lib/core/units.ts';

/** Time of one process: stands still while it is paused, ends when it is dead. */
class ProcessClock implements Clock {
  readonly #base: Clock;
  readonly #process: SimProcess;

  constructor(base: Clock, process: SimProcess) {
    this.#base = base;
    this.#process = process;
  }

  now(): ReturnType<Clock['now']> {
    return timeMs(Math.max(0, this.#base.now() + this.#process.skewMs));
  }

  monotonicMs(): number {
    return this.#base.monotonicMs();
  }

  after(delayMs: number, run: () => void): Timer {
    let cancelled = false;
    const timer = this.#base.after(delayMs, () => this.#process.hold(() => cancelled || run()));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  every(periodMs: number, run: () => void): Timer {
    let cancelled = false;
    let held = false;
    const timer = this.#base.every(periodMs, () => {
      if (this.#process.dead) return timer.cancel();
      if (held) return;
      held = true;
      this.#process.hold(() => {
        held = false;
        return cancelled || run();
      });
    });
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  soon(run: () => void): void {
    this.#base.soon(() => this.#process.hold(run));
  }
}

/** One process: it can be paused as by a debugger, killed as by kill -9, and its clock can be wrong. */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  /** How far its wall clock is ahead of the world's. Its monotonic clock is never wrong. */
  skewMs = 0;
  #dead = false;
  #paused = false;
  #held: (() => void)[] = [];
  readonly #mourners: (() => void)[] = [];

  constructor({ name, clock }: { name: string; clock: Clock }) {
    this.name = name;
    this.clock = new ProcessClock(clock, this);
  }

  get dead(): boolean {
    return this.#dead;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Called once, when it is killed: what it had open to others breaks. */
  onDeath(mourn: () => void): void {
    this.#mourners.push(mourn);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.hold(run);
  }

  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#held = [];
    for (const mourn of this.#mourners) mourn();
  }

  /** Runs when the process runs: now, at its wake, or never. */
  hold(run: () => void): void {
    if (this.#dead) return;
    if (this.#paused) this.#held.push(run);
    else run();
  }
}
