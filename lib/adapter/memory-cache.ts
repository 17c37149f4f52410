import { assert } from '../core/assert.ts';
import type { Cache } from '../port/cache.ts';
import type { Clock } from '../port/clock.ts';

type Item = { readonly value: Uint8Array; readonly endMs: number };

/**
 * A bounded cache within one process (SPEC section CA): full, it forgets the least recently used.
 * A JavaScript Map keeps the order of insertion, so the first key is the one to forget.
 */
export class MemoryCache implements Cache {
  readonly #clock: Clock;
  readonly #keysMax: number;
  readonly #membersMax: number;
  readonly #items = new Map<string, Item>();
  /** Key → member → end of its life. */
  readonly #sets = new Map<string, Map<string, number>>();

  /** At most `keysMax` values, `keysMax` sets and `membersMax` members of one set. */
  constructor(args: { clock: Clock; keysMax?: number; membersMax?: number }) {
    this.#clock = args.clock;
    this.#keysMax = args.keysMax ?? 100_000;
    this.#membersMax = args.membersMax ?? 10_000;
    assert(this.#keysMax >= 1 && this.#membersMax >= 1, 'a cache has room for one');
  }

  async get(key: string): Promise<Uint8Array | null> {
    const item = this.#items.get(key);
    if (item === undefined) return null;
    this.#items.delete(key);
    if (item.endMs <= this.#clock.monotonicMs()) return null;
    this.#items.set(key, item);
    return item.value.slice();
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    this.#items.delete(key);
    this.#items.set(key, { value: new Uint8Array(value), endMs: this.#end(ttlMs) });
    forgetOldest(this.#items, this.#keysMax);
  }

  async delete(key: string): Promise<void> {
    this.#items.delete(key);
  }

  async addMember(key: string, member: string, ttlMs: number): Promise<number> {
    const members = this.#living(key) ?? new Map<string, number>();
    members.delete(member);
    members.set(member, this.#end(ttlMs));
    forgetOldest(members, this.#membersMax);
    this.#sets.delete(key);
    this.#sets.set(key, members);
    forgetOldest(this.#sets, this.#keysMax);
    return members.size;
  }

  async removeMember(key: string, member: string): Promise<void> {
    const members = this.#living(key);
    members?.delete(member);
    if (members?.size === 0) this.#sets.delete(key);
  }

  async close(): Promise<void> {
    this.#items.clear();
    this.#sets.clear();
  }

  #end(ttlMs: number): number {
    assert(ttlMs > 0, 'a time to live is above 0 ms');
    return this.#clock.monotonicMs() + ttlMs;
  }

  #living(key: string): Map<string, number> | undefined {
    const members = this.#sets.get(key);
    const now = this.#clock.monotonicMs();
    for (const [member, endMs] of members ?? []) if (endMs <= now) members?.delete(member);
    return members;
  }
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
