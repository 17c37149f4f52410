import HashRing from 'hashring';
import { assert } from '../lib/core/assert.ts';
import type { SetId } from '../lib/core/units.ts';
import { setId } from '../lib/core/units.ts';
import type { Topology } from './topology.ts';

/** Points on the ring per unit of weight are four times this: shares differ by a few percent. */
const VIRTUAL_NODES = 64;
/** No look-up here uses the ring's cache, and 0 crashes it. */
const CACHE_SIZE = 1;

/**
 * The consistent-hash ring that places NEW things. Every Set that is not retired has its points on
 * it; one that takes nothing now is skipped at the look-up, so masking it moves only its own share.
 */
export class Placement {
  readonly #ring: HashRing | null;
  readonly #size: number;
  /** Sets that take new things, and their region. */
  readonly #takers: ReadonlyMap<SetId, string>;

  constructor(topology: Topology) {
    const onRing = topology.sets.filter((set) => set.state !== 'retired' && set.weight > 0);
    this.#takers = new Map(
      onRing.filter((set) => set.state === 'active').map((set) => [set.id, set.region]),
    );
    this.#size = onRing.length;
    this.#ring =
      onRing.length === 0
        ? null
        : new HashRing(
            // A `:` in a name would be read as a port, and addresses change: the number is the name.
            Object.fromEntries(
              onRing.map((set) => [
                `set-${set.id}`,
                { weight: 1, vnodes: set.weight * VIRTUAL_NODES },
              ]),
            ),
            'md5',
            // Not a number of virtual nodes that any Set has: those would be computed from weights.
            { 'vnode count': 1, 'max cache size': CACHE_SIZE },
          );
  }

  /**
   * The Set for `key`: the first on the ring that takes new things, `prefer`s well and is of
   * `region`; else the first that is preferred; else the first. null when none takes new things.
   */
  place(
    key: string,
    options: { region?: string; prefer?: (set: SetId) => boolean } = {},
  ): SetId | null {
    if (this.#ring === null || this.#takers.size === 0) return null;
    let best: { set: SetId; rank: number } | null = null;
    for (const name of this.#ring.range(key, this.#size)) {
      const set = setId(Number(name.slice('set-'.length)));
      const region = this.#takers.get(set);
      if (region === undefined) continue;
      const preferred = options.prefer === undefined || options.prefer(set);
      const near = options.region === undefined || region === options.region;
      const rank = preferred ? (near ? 2 : 1) : 0;
      if (rank === 2) return set;
      if (best === null || rank > best.rank) best = { set, rank };
    }
    assert(best !== null, 'the ring names every Set');
    return best.set;
  }
}
