import { MemoryCache } from '../../lib/adapter/memory-cache.ts';
import type { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Cache } from '../../lib/port/cache.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { SimProcess } from './process.ts';
import type { Trace } from './trace.ts';

/** How bad the cache is, in thousandths of calls. */
export type CacheWeather = {
  /** Everything that is stored is gone before them. */
  readonly forgotten: number;
  /** Fail, after up to 400 ms; half of these were done all the same. */
  readonly failed: number;
  /** Say of a value that it is not there, or of a set that it has another size. */
  readonly lies: number;
};

export const CALM_CACHE: CacheWeather = { forgotten: 0, failed: 0, lies: 0 };

const SLOW_MS = 400;
const QUICK_MS = 2;
const BIG_LIE = 1_000_000;

/** The cache that all access processes of one world share. It is a hint: no lie may cost a cent. */
export class SharedCache {
  readonly #clock: Clock;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #weather: () => CacheWeather;
  #memory: MemoryCache;

  /** `clock` is the world's. */
  constructor(args: {
    clock: Clock;
    chance: SeededRandom;
    trace: Trace;
    weather: () => CacheWeather;
  }) {
    this.#clock = args.clock;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#weather = args.weather;
    this.#memory = new MemoryCache({ clock: args.clock });
  }

  /** As when the server was restarted. */
  forget(): void {
    this.#memory = new MemoryCache({ clock: this.#clock });
  }

  /** The cache as one process sees it: answers come in its `hold`; after its death there are none. */
  of(process: SimProcess): Cache {
    const call = <Answer>(run: (cache: MemoryCache) => Promise<Answer>): Promise<Answer> =>
      this.#call(process, run);
    return {
      get: async (key) => {
        const value = await call((cache) => cache.get(key));
        return this.#lies(process, 'get') ? null : value;
      },
      set: (key, value, ttlMs) => {
        const bytes = value.slice();
        return call((cache) => cache.set(key, bytes, ttlMs));
      },
      delete: (key) => call((cache) => cache.delete(key)),
      addMember: async (key, member, ttlMs) => {
        const count = await call((cache) => cache.addMember(key, member, ttlMs));
        return this.#lies(process, 'addMember') ? this.#wrongCount(count) : count;
      },
      removeMember: (key, member) => call((cache) => cache.removeMember(key, member)),
      // The connection of one process; the others keep theirs, and all that is stored.
      close: () => Promise.resolve(),
    };
  }

  #call<Answer>(
    process: SimProcess,
    run: (cache: MemoryCache) => Promise<Answer>,
  ): Promise<Answer> {
    const { failed, forgotten } = this.#weather();
    const fails = this.#strikes(failed);
    const isDone = !fails || this.#chance.below(2) === 0;
    const forgets = this.#strikes(forgotten);
    const thereMs = this.#chance.below(QUICK_MS);
    const backMs = this.#chance.below(fails ? SLOW_MS : QUICK_MS);
    return new Promise((resolve, reject) => {
      if (process.dead) return;
      this.#clock.after(thereMs, () => {
        if (forgets) this.forget();
        const answer = isDone ? run(this.#memory) : null;
        this.#clock.after(backMs, () =>
          process.hold(() => {
            if (fails || answer === null) reject(new Error('the cache does not answer'));
            else resolve(answer);
          }),
        );
      });
    });
  }

  #lies(process: SimProcess, name: string): boolean {
    if (!this.#strikes(this.#weather().lies)) return false;
    this.#trace.note(`the cache lies to ${process.name}: ${name}`);
    return true;
  }

  /** One as after a loss, one as of a set that never lost anybody, or one that is out of all reason. */
  #wrongCount(count: number): number {
    const kind = this.#chance.below(3);
    if (kind === 0) return 1;
    return kind === 1 ? count + 1 + this.#chance.below(100) : BIG_LIE;
  }

  #strikes(thousandths: number): boolean {
    return thousandths > 0 && this.#chance.below(1_000) < thousandths;
  }
}
