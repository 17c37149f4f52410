import { LIMITS } from '../../lib/core/limits.ts';
import type { Clock } from '../../lib/port/clock.ts';

const SLICE_MS = 100;
const PER_SLICE = LIMITS.trickleCommandsPerSecond / (1_000 / SLICE_MS);

/** Lets a few commands a second through while the others are refused. */
export class Trickle {
  readonly #clock: Clock;
  #sliceStart = -Infinity;
  #taken = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(): boolean {
    const now = this.#clock.monotonicMs();
    if (now - this.#sliceStart >= SLICE_MS) {
      this.#sliceStart = now;
      this.#taken = 0;
    }
    if (this.#taken >= PER_SLICE) return false;
    this.#taken += 1;
    return true;
  }
}
