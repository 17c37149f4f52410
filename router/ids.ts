import { assert } from '../lib/core/assert.ts';
import type { Id } from '../lib/core/ids.ts';
import { idPlus, setOfId } from '../lib/core/ids.ts';
import { succeeded } from '../lib/core/outcome.ts';
import type { SetId } from '../lib/core/units.ts';
import type { CommandAnswer } from './api.ts';

const ID_LIMITS = {
  /** One journaled command leases this many; what is unused at exit is wasted (rulings 4). */
  blockIds: 256,
  /** Below this the next block is asked for in the background. */
  refillBelow: 64,
  /** Callers that wait for a block; more get null at once. */
  waitersMax: 1_024,
} as const;

type Block = { readonly first: Id; readonly count: number; used: number };
type Reserve = (count: number) => Promise<CommandAnswer>;

/** Ids of one Set from leased blocks: no hop for most new things, and no id twice. */
export class IdLease {
  readonly #set: SetId;
  readonly #reserve: Reserve;
  #blocks: Block[] = [];
  #left = 0;
  #asking = false;
  #waiters: ((id: Id | null) => void)[] = [];

  /** `reserve` sends `ids.reserve` to the Set. */
  constructor(set: SetId, reserve: Reserve) {
    this.#set = set;
    this.#reserve = reserve;
  }

  /** null: the Set gave no block, or too many wait for one. */
  take(): Promise<Id | null> {
    const id = this.#next();
    if (this.#left < ID_LIMITS.refillBelow) this.#refill();
    if (id !== null) return Promise.resolve(id);
    if (this.#waiters.length >= ID_LIMITS.waitersMax) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #next(): Id | null {
    const block = this.#blocks[0];
    if (block === undefined) return null;
    const id = idPlus(block.first, block.used);
    block.used += 1;
    this.#left -= 1;
    if (block.used === block.count) this.#blocks.shift();
    return id;
  }

  #refill(): void {
    if (this.#asking) return;
    this.#asking = true;
    void this.#reserve(ID_LIMITS.blockIds).then((answer) => this.#granted(answer));
  }

  #granted({ outcome }: CommandAnswer): void {
    this.#asking = false;
    if (!succeeded(outcome) || outcome.type !== 'ids.reserve') {
      // A block that was leased without our knowing is wasted; nobody else gets it either.
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const resolve of waiters) resolve(null);
      return;
    }
    assert(setOfId(outcome.firstId) === this.#set, 'a block belongs to the Set that leased it');
    this.#blocks.push({ first: outcome.firstId, count: outcome.count, used: 0 });
    this.#left += outcome.count;
    while (this.#waiters.length > 0 && this.#left > 0) this.#waiters.shift()?.(this.#next());
    if (this.#waiters.length > 0) this.#refill();
  }
}
