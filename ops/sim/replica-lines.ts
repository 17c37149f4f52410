import type { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { SimProcess } from './process.ts';
import type { Site } from './site.ts';
import type { Trace } from './trace.ts';

/** How bad the lines are, in thousandths of calls. Drawn once a walk, so that walks differ. */
export type Weather = {
  readonly lostRequest: number;
  readonly lostAnswer: number;
  /** Writes that are answered `unknown` and land later. */
  readonly late: number;
  readonly slow: number;
  /** Late writes include those that take entries away or give a vote, and these often. */
  readonly disorderly: boolean;
};

export const CALM_LINES: Weather = {
  lostRequest: 0,
  lostAnswer: 0,
  late: 0,
  slow: 0,
  disorderly: false,
};

const WRITES = new Set([
  'append',
  'truncate',
  'restore',
  'admit',
  'recordIncarnation',
  'unprove',
  'takeOver',
]);
const QUICK = new Set(['append', 'fenceRow', 'beat', 'resign', 'probe']);
/** What one connection would keep in order, and two could not: only in `disorderly` weather. */
const ORDERED = new Set(['truncate', 'restore']);
const LATE_DISORDERLY = 250;
const TIMEOUT_MS = 30;
/** A broken line stays broken until somebody mends it. */
const BROKEN_MS = 60_000;

/**
 * What becomes of calls of one name to one replica, until it is lifted. `lost`: they do not arrive.
 * `held`: they arrive when it is lifted, and the caller waits. `late`: the same, and the caller has
 * heard `unknown` long before. `breaks`: the first one is done, and the line breaks before its answer.
 */
export type Bias = 'lost' | 'held' | 'late' | 'breaks';
type Biased = { readonly how: Bias; readonly lifted: Promise<void>; readonly lift: () => void };

/** What adapters over a network wait for an answer. */
function deadlineMs(name: string): number {
  if (QUICK.has(name)) return 1_000;
  return name === 'takeOver' ? 2_000 : 10_000;
}

/** The lines from one process to the replicas of one Set, and all that can happen on them. */
export class ReplicaLines {
  readonly #process: SimProcess;
  readonly #args: { clock: Clock; chance: SeededRandom; weather: () => Weather; trace: Trace };
  /** Replicas whose line to this process is cut, until when. */
  readonly #cutUntilMs = [0, 0, 0];
  #numbUntilMs = 0;
  /** By call and replica. */
  readonly #biases = new Map<string, Biased>();

  /** `clock` is the world's: lines do not stand still with a process. */
  constructor(args: {
    process: SimProcess;
    clock: Clock;
    chance: SeededRandom;
    weather: () => Weather;
    trace: Trace;
  }) {
    this.#process = args.process;
    this.#args = args;
  }

  /** The replica as this process sees it. */
  to(site: Site): ReplicaStore {
    return new Proxy(site.store, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) => this.#over(site, String(name), args);
      },
    });
  }

  cut(replica: number, ms: number): void {
    const until = this.#args.clock.monotonicMs() + ms;
    this.#cutUntilMs[replica] = Math.max(until, this.#cutUntilMs[replica] ?? 0);
  }

  uncut(replica: number): void {
    this.#cutUntilMs[replica] = 0;
  }

  bias(args: { replica: number; call: keyof ReplicaStore; how: Bias }): void {
    let lift = (): void => undefined;
    const lifted = new Promise<void>((resolve) => {
      lift = resolve;
    });
    this.#biases.set(`${args.call}@${args.replica}`, { how: args.how, lifted, lift });
  }

  lift(replica: number, call: keyof ReplicaStore): void {
    for (const key of [`${call}@${replica}`, `${call}@${replica}, before`]) {
      this.#biases.get(key)?.lift();
      this.#biases.delete(key);
    }
  }

  /** Only calls that are on their way wait for {@link lift}; what comes now is not biased. */
  detach(replica: number, call: keyof ReplicaStore): void {
    const biased = this.#biases.get(`${call}@${replica}`);
    if (biased === undefined) return;
    this.#biases.delete(`${call}@${replica}`);
    this.#biases.set(`${call}@${replica}, before`, biased);
  }

  /** Nothing is cut or biased any more. */
  heal(): void {
    this.#cutUntilMs.fill(0);
    this.#numbUntilMs = 0;
    for (const { lift } of this.#biases.values()) lift();
    this.#biases.clear();
  }

  /** Its beats reach nobody for a while; everything else does. */
  numb(ms: number): void {
    this.#numbUntilMs = this.#args.clock.monotonicMs() + ms;
  }

  /** What the process hears of a call: only while it runs, and only once. */
  #over(site: Site, name: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#travel(site, name, args).then(
        (reply) => this.#process.hold(() => resolve(reply)),
        (error: unknown) =>
          this.#process.hold(() =>
            reject(error instanceof Error ? error : new Error(String(error))),
          ),
      );
    });
  }

  async #travel(site: Site, name: string, args: readonly unknown[]): Promise<unknown> {
    const { clock, chance, trace } = this.#args;
    const { lostRequest, lostAnswer, slow, disorderly } = this.#args.weather();
    const late =
      disorderly && (ORDERED.has(name) || name === 'admit')
        ? LATE_DISORDERLY
        : this.#args.weather().late;
    const fate = chance.below(1_000);
    const thereMs = this.#delay(slow);
    const backMs = this.#delay(slow);
    const laterMs = chance.below(1_500);
    await sleep(clock, thereMs);
    const biased = this.#biases.get(`${name}@${site.replica}`);
    if (this.#isCut(site.replica) || fate < lostRequest || biased?.how === 'lost') {
      await sleep(clock, TIMEOUT_MS);
      throw new StoreError('unavailable', `${name}: replica ${site.replica} does not answer`);
    }
    if ((name === 'beat' || name === 'resign') && this.#numbUntilMs > clock.monotonicMs()) {
      throw new StoreError('unavailable', `${name}: nobody hears it`);
    }
    if (site.frozen !== null) return this.#hang(site, { name, args, until: site.frozen });
    if (biased?.how === 'held') return this.#hang(site, { name, args, until: biased.lifted });
    const unknown = (): StoreError =>
      new StoreError('unknown', `${name}: no answer of replica ${site.replica}`);
    const mayBeLate = WRITES.has(name) && (disorderly || !ORDERED.has(name));
    if (mayBeLate && fate < lostRequest + late) {
      trace.note(`${this.#process.name} ${name} to ${site.replica} will land in ${laterMs} ms`);
      clock.after(laterMs, () => void this.#land(site, name, args).catch(() => undefined));
      await sleep(clock, TIMEOUT_MS);
      throw unknown();
    }
    if (biased?.how === 'late') {
      const landing = biased.lifted.then(() => this.#land(site, name, args));
      landing.catch(() => undefined);
      await sleep(clock, TIMEOUT_MS);
      throw unknown();
    }
    const reply = await this.#land(site, name, args);
    if (biased?.how === 'breaks') this.cut(site.replica, BROKEN_MS);
    await sleep(clock, backMs);
    if (this.#isCut(site.replica) || fate < lostRequest + late + lostAnswer) throw unknown();
    return reply;
  }

  /** The server is stopped, or the call held: the caller hears of a deadline; it is done later. */
  async #hang(
    site: Site,
    { name, args, until }: { name: string; args: readonly unknown[]; until: Promise<void> },
  ): Promise<unknown> {
    const thawed = until.then(() => this.#land(site, name, args));
    thawed.catch(() => undefined);
    const late = sleep(this.#args.clock, deadlineMs(name)).then(() => {
      const code = WRITES.has(name) ? 'unknown' : 'unavailable';
      throw new StoreError(code, `${name}: replica ${site.replica} is late`);
    });
    late.catch(() => undefined);
    return Promise.race([thawed, late]);
  }

  async #land(site: Site, name: string, args: readonly unknown[]): Promise<unknown> {
    const { trace } = this.#args;
    try {
      const reply = await site.run(name, args);
      if (WRITES.has(name))
        trace.note(
          `${this.#process.name} ${name}@${site.replica} ${brief(name, args)} → ${told(reply)}`,
        );
      return reply;
    } catch (error) {
      trace.note(
        `${this.#process.name} ${name}@${site.replica} ${brief(name, args)} ✗ ${String(error)}`,
      );
      throw error;
    }
  }

  #delay(slow: number): number {
    const { chance } = this.#args;
    return chance.below(1_000) < slow ? chance.below(400) : chance.below(4);
  }

  #isCut(replica: number): boolean {
    return (this.#cutUntilMs[replica] ?? 0) > this.#args.clock.monotonicMs();
  }
}

function brief(name: string, args: readonly unknown[]): string {
  const first = args[0];
  if (typeof first !== 'object' || first === null) return '';
  const call = first as Partial<{
    fence: { epoch: number; incarnation: number };
    epoch: number;
    entries: readonly { lsn: number; epoch: number }[];
    after: number;
    replica: number;
    incarnation: number;
  }>;
  const { fence: held, epoch, entries: list, after, replica, incarnation } = call;
  return [
    held === undefined ? `e${epoch}` : `e${held.epoch} i${held.incarnation}`,
    after === undefined ? '' : `after ${after}`,
    list === undefined ? '' : `LSN ${list.map((e) => `${e.lsn}(e${e.epoch})`).join(' ')}`,
    name === 'recordIncarnation' ? `of ${replica}` : '',
    incarnation === undefined ? '' : `i${incarnation}`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function told(reply: unknown): string {
  if (typeof reply !== 'object' || reply === null) return String(reply);
  const { kind, proved, incarnation, incarnations, commitLsn, head } = reply as Record<
    string,
    unknown
  >;
  const at = head as { lsn: number; epoch: number } | undefined;
  const tail = at === undefined ? '' : ` head ${at.lsn}(e${at.epoch})`;
  if (kind !== 'promised') return `${String(kind)}${tail}`;
  return `promised ${proved === true ? 'proved' : 'doubtful'} i${String(incarnation)} knows ${String(incarnations)} commit ${String(commitLsn)}${tail}`;
}
