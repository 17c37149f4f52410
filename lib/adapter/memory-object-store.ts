import { equalBytes } from '../core/bytes.ts';
import type { ObjectStore } from '../port/object-store.ts';
import { assertListing, assertObjectName, listPage } from './object-name.ts';

/** Objects in memory, for tests and the simulator (SPEC section OB). */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, Uint8Array>();

  async put(name: string, bytes: Uint8Array): Promise<'stored' | 'exists' | 'differs'> {
    assertObjectName(name);
    const there = this.#objects.get(name);
    if (there !== undefined) return equalBytes(there, bytes) ? 'exists' : 'differs';
    this.#objects.set(name, new Uint8Array(bytes));
    return 'stored';
  }

  async get(name: string): Promise<Uint8Array | null> {
    assertObjectName(name);
    return this.#objects.get(name)?.slice() ?? null;
  }

  async delete(name: string): Promise<void> {
    assertObjectName(name);
    this.#objects.delete(name);
  }

  async list(args: { prefix: string; after?: string; limit: number }): Promise<string[]> {
    assertListing(args);
    return listPage(this.#objects.keys(), args);
  }
}
