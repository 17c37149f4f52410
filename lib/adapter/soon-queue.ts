/**
 * What runs after the work at hand and before any timer of the same clock ([CL5]). What is added
 * while draining waits for the next turn, so that a run that queues itself cannot starve the rest.
 */
export class SoonQueue {
  #waiting: (() => void)[] = [];
  readonly #wake: () => void;

  /** `wake` is called when something waits: it arranges that `drain` is called soon. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  add(run: () => void): void {
    if (this.#waiting.push(run) === 1) this.#wake();
  }

  /** Runs what is queued. When one throws, the others run in the next turn. */
  drain(): void {
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    let done = 0;
    try {
      for (const run of batch) {
        done += 1;
        run();
      }
    } finally {
      if (done < batch.length) {
        if (this.#waiting.length === 0) this.#wake();
        this.#waiting = [...batch.slice(done), ...this.#waiting];
      }
    }
  }
}
