import type { Platform } from './platform.ts';

/** Typed listeners. A listener that throws hurts neither the others nor the connection. */
export class Emitter<Events extends object> {
  readonly #platform: Platform;
  readonly #listeners = new Map<keyof Events, Set<(data: never) => void>>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof Events>(name: Name, run: (data: Events[Name]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    // A wrapper of its own: the same function may listen twice.
    const entry = (data: Events[Name]): void => run(data);
    set.add(entry);
    return () => set.delete(entry);
  }

  emit<Name extends keyof Events>(name: Name, data: Events[Name]): void {
    for (const run of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (run as (data: Events[Name]) => void)(data);
      } catch (error) {
        // Somebody else's bug: shown by the host as an uncaught error, on a stack of its own.
        this.#platform.after(0, () => {
          throw error;
        });
      }
    }
  }
}
