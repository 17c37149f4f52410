import { assert } from '../lib/core/assert.ts';

/**
 * A map that forgets the older half of its entries when it is full. Setting an entry again makes
 * it young. Two maps, one of them only read: to drop entries one by one, the oldest must be found
 * behind the holes of those before it, which took longer than all else that is done here.
 */
export class Recent<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();
  readonly #youngMax: number;

  /** Remembers `max` entries at most (an even number), and half of them at least. */
  constructor(max: number) {
    assert(max >= 2 && max % 2 === 0, 'it has two halves');
    this.#youngMax = max / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#youngMax && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    this.#old.delete(key);
  }

  delete(key: string): boolean {
    return this.#young.delete(key) || this.#old.delete(key);
  }
}
