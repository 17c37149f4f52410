import type { SimEnd, SimJob } from '../pool.ts';
import { runWalks, workersByDefault } from '../pool.ts';
import type { Mutant } from './mutant.ts';

/** What looking for a planted mistake came to. */
export type Hunt = {
  readonly mutant: Mutant;
  /** The seed whose walk broke the mutant's own rule; null when none did. */
  readonly seed: number | null;
  /** What that walk said; null when it was not caught. */
  readonly violation: string | null;
  /** Wall time, the start of the thread included. */
  readonly seconds: number;
  readonly walks: number;
  /** Other things that went wrong on the way, for people: they do not count as seeing it. */
  readonly strays: readonly string[];
};

export type HuntOptions = {
  readonly mutant: Mutant;
  /** The seeds to try, in order; it may be endless. */
  readonly seeds: Iterable<number>;
  /** Wall time until it counts as not caught. */
  readonly withinMs: number;
  /** Another module for the threads: tests of the hunt itself. */
  readonly script?: URL;
};

const STRAYS_MAX = 5;
/** A mutant whose first walks all break is planted wrongly, or stops the code from running. */
const BROKEN_AT_FIRST_MAX = 3;

/** Walks seeds with the mistake planted, in one thread, until its rule is seen broken. */
export async function huntMutant(options: HuntOptions): Promise<Hunt> {
  const { mutant, seeds, withinMs, script } = options;
  const begun = performance.now();
  const over = new AbortController();
  const deadline = setTimeout(() => over.abort(), withinMs);
  const strays: string[] = [];
  let walks = 0;
  let broken = 0;
  const caught: { seed: number | null; violation: string | null } = { seed: null, violation: null };
  const ended = (end: SimEnd): void => {
    const { seed } = end.job;
    if (end.kind === 'broken') broken += 1;
    else walks += 1;
    const violation = end.kind === 'walked' ? end.result.violation : `broken: ${end.message}`;
    if (violation === null) return;
    if (end.kind === 'walked' && mutant.rule.test(violation)) {
      Object.assign(caught, { seed, violation });
      over.abort();
      return;
    }
    if (strays.length < STRAYS_MAX) strays.push(`seed ${seed}: ${violation}`);
    if (walks === 0 && broken >= BROKEN_AT_FIRST_MAX) over.abort();
  };
  try {
    await runWalks({
      jobs: jobsOf(mutant, seeds),
      workers: 1,
      mutant: mutant.name,
      signal: over.signal,
      ended,
      ...(script === undefined ? {} : { script }),
    });
  } finally {
    clearTimeout(deadline);
  }
  const seconds = (performance.now() - begun) / 1_000;
  return { mutant, ...caught, seconds, walks, strays };
}

/**
 * Hunts several at once, one thread each, as many as there are cores.
 * @param options.huntOf what to try for each
 * @param options.ended called for each as it ends
 */
export async function huntMutants(options: {
  readonly mutants: readonly Mutant[];
  readonly huntOf: (mutant: Mutant) => HuntOptions;
  readonly ended: (hunt: Hunt) => void;
}): Promise<readonly Hunt[]> {
  const { mutants, huntOf, ended } = options;
  const queue = mutants.values();
  const hunts: Hunt[] = [];
  await Promise.all(
    Array.from({ length: workersByDefault() }, async () => {
      for (const mutant of queue) {
        const hunt = await huntMutant(huntOf(mutant));
        hunts.push(hunt);
        ended(hunt);
      }
    }),
  );
  return mutants.flatMap((mutant) => hunts.filter((hunt) => hunt.mutant === mutant));
}

/** 1, 2, 3, … or from another first seed. */
export function* seedsFrom(first: number): Generator<number> {
  for (let seed = first; ; seed++) yield seed;
}

/** A hunt in one line. */
export function describeHunt({ mutant, seed, violation, seconds, walks, strays }: Hunt): string {
  const took = `${seconds.toFixed(1)} s`;
  if (seed !== null) return `${mutant.name}: seed ${seed} in ${took}: ${violation}`;
  const seen = strays.length === 0 ? '' : `; saw instead ${strays.join('; ')}`;
  return `${mutant.name}: NOT CAUGHT by ${walks} walks in ${took} (${mutant.rule})${seen}`;
}

function* jobsOf({ world, ops }: Mutant, seeds: Iterable<number>): Generator<SimJob> {
  for (const seed of seeds) yield { world, seed, ...(ops === undefined ? {} : { ops }) };
}
