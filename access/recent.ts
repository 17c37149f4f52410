import { assert } from '../lib/core/assert.ts';

/** A map that forgets its oldest entry when it is full. Setting an entry again makes it young. */
export class Recent<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #max: number;

  constructor(max: number) {
    assert(max >= 1, 'it remembers at least one');
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: Value): void {
    // Far from full the order does not matter yet, and moving an entry costs more than keeping it.
    if (this.#entries.size * 2 > this.#max) this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#max) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }
}
