import type { Hunt, HuntOptions } from '../sim/mutant/hunt.ts';
import { describeHunt, huntMutant, huntMutants, seedsFrom } from '../sim/mutant/hunt.ts';
import type { Mutant } from '../sim/mutant/mutant.ts';
import { MUTANTS } from '../sim/mutant/mutants.ts';
import { replayCommand } from '../sim/report.ts';
import type { Campaign } from '../sim/campaign.ts';
import { runCampaign } from '../sim/campaign.ts';
import type { SimEnd, SimJob } from '../sim/pool.ts';
import type { Regression } from '../sim/regressions.ts';
import { REGRESSIONS } from '../sim/regressions.ts';
import type { WorldName } from '../sim/simulate.ts';
import { describeTotals } from '../sim/totals.ts';
import type { Findings, Part } from './part.ts';

/** Wall time of the part: what is known takes what it needs of it, new seeds take the rest. */
const BUDGET_MS = 70_000;
/** Then everything is ended, and the part is red: it can be this long only when walks hang. */
const LIMIT_MS = 240_000;
/** A planted mistake is seen at its recorded seed within this, or its record is stale. */
const MUTANT_MS = 30_000;
/** Found from seeds that nobody recorded, every time: the walks of this very run can see. */
const CANARY = 'one-write-is-enough';
/** Far under the gate's own limit; the whole world takes a few seconds of it when cores are busy. */
const WATCHDOG_MS = 60_000;
/** A log walk takes a twentieth of a whole one. */
const LOG_WALKS_PER_WHOLE = 10;

export interface SimPartOptions {
  readonly budgetMs: number;
  /** Wall time after which every thread is ended, whatever it does. */
  readonly limitMs: number;
  /** Wall time in which a planted mistake is seen. */
  readonly mutantMs: number;
  readonly regressions: readonly Regression[];
  readonly mutants: readonly Mutant[];
  /** The name of the mutant that is looked for in new seeds. */
  readonly canary: string;
  /** New seeds go up from here. */
  readonly firstSeed: number;
  /** Where new seeds are walked, in turn. */
  readonly worlds: readonly WorldName[];
  /** Another module for the threads: tests of the part itself. */
  readonly script?: URL;
}

/** The simulator: committed regressions, planted mistakes, and seeds that nobody walked before. */
export const simPart: Part = {
  name: 'sim',
  weight: 'heavy',
  run: async () =>
    simFindings({
      budgetMs: BUDGET_MS,
      limitMs: LIMIT_MS,
      mutantMs: MUTANT_MS,
      regressions: REGRESSIONS,
      mutants: MUTANTS,
      canary: CANARY,
      // A gate walks what the one before it did not; what fails prints its seed.
      firstSeed: Math.floor(Date.now() / 1_000),
      worlds: ['whole', ...Array.from({ length: LOG_WALKS_PER_WHOLE }, () => 'log' as const)],
    }),
};

/**
 * Each regression, mutant and new seed counts as one test, as do the canary, and in each world that
 * one seed gives one trace.
 */
export async function simFindings(options: SimPartOptions): Promise<Findings> {
  const over = new AbortController();
  const limit = setTimeout(() => over.abort(), options.limitMs);
  try {
    return await findings(options, over.signal);
  } finally {
    clearTimeout(limit);
  }
}

async function findings(options: SimPartOptions, signal: AbortSignal): Promise<Findings> {
  const { budgetMs, limitMs, regressions, mutants, canary, firstSeed, script } = options;
  const begun = performance.now();
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const threads = script === undefined ? {} : { script };
  const pool = { say, signal, watchdogMs: WATCHDOG_MS, ...threads };
  const hunting = (mutant: Mutant, seeds: Iterable<number>): HuntOptions => {
    const leftMs = begun + limitMs - performance.now();
    return { mutant, seeds, withinMs: Math.max(1, Math.min(options.mutantMs, leftMs)), ...threads };
  };

  const known = await runCampaign({ ...pool, jobs: regressions });
  const hunts = await huntMutants({
    mutants,
    huntOf: (mutant) => hunting(mutant, [mutant.seed]),
    ended: (hunt) => sayOfMutant(hunt, say),
  });
  const bird = mutants.find(({ name }) => name === canary);
  const song = bird && (await huntMutant(hunting(bird, seedsFrom(firstSeed))));
  const isHeard = song !== undefined && song.seed !== null;
  if (!isHeard) say(`the canary ${canary}: ${song ? describeHunt(song) : 'none of the mutants'}`);

  const traces = new Traces();
  const fresh = await runCampaign({
    ...pool,
    jobs: newJobs(options, begun + budgetMs),
    ended: (end) => traces.look(end),
  });
  lines.push(...traces.differences);
  const caught = hunts.filter(({ seed }) => seed !== null).length;
  const isEmpty = mutants.length === 0 || passedOf(fresh) === 0;
  if (isEmpty) say(`${mutants.length} mutants, ${passedOf(fresh)} new seeds: nothing was shown`);
  if (signal.aborted) say(`stopped after ${limitMs / 1_000} s: something hangs`);
  const failures = [
    known.failures.length,
    hunts.length - caught,
    isHeard ? 0 : 1,
    fresh.failures.length,
    traces.differences.length,
    isEmpty ? 1 : 0,
    signal.aborted ? 1 : 0,
  ];
  const passes = [passedOf(known), caught, isHeard ? 1 : 0, passedOf(fresh), traces.equal.size];
  const totals = describeTotals(fresh.totals);
  return {
    passed: sum(passes),
    failed: sum(failures),
    skipped: 0,
    note:
      `${passedOf(known)} regressions, ${caught} mutants, ` +
      `${fresh.walks} new seeds from ${firstSeed}: ${totals}`,
    output: lines.join('\n'),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function passedOf({ walks, failures }: Campaign): number {
  return walks - failures.length;
}

function sayOfMutant(hunt: Hunt, say: (line: string) => void): void {
  if (hunt.seed !== null) return;
  const { name, world, seed } = hunt.mutant;
  say(describeHunt(hunt));
  say(`  its recorded seed ${seed} does not show it: ./hongbao sim --record --mutant ${name}`);
  say(`  what that seed does: ${replayCommand({ world, seed }, name)}`);
}

/**
 * New seeds until the deadline, the worlds in turn; at the end each world's first seed again, in a
 * thread that has walked others since. Every world is walked, even when there is no time left: a
 * part that shows nothing has to cost, not to pass.
 */
function* newJobs({ worlds, firstSeed }: SimPartOptions, deadline: number): Generator<SimJob> {
  for (const world of new Set(worlds)) {
    yield { world, seed: firstSeed };
    yield { world, seed: firstSeed };
  }
  for (let seed = firstSeed + 1; ;) {
    for (const world of worlds) {
      if (performance.now() >= deadline) return;
      yield { world, seed };
      seed += 1;
    }
    // An empty list of worlds must not spin.
    if (worlds.length === 0) return;
  }
}

/** Whether walks of one seed had one trace. */
class Traces {
  readonly #hashes = new Map<WorldName, { readonly seed: number; readonly hash: string }>();
  /** Worlds whose first seed was walked twice with one trace. */
  readonly equal = new Set<WorldName>();
  readonly differences: string[] = [];

  look(end: SimEnd): void {
    if (end.kind === 'broken') return;
    const { world, seed, hash } = end.result;
    const earlier = this.#hashes.get(world);
    if (earlier === undefined) {
      this.#hashes.set(world, { seed, hash });
    } else if (earlier.seed === seed) {
      if (earlier.hash === hash) this.equal.add(world);
      else this.differences.push(`${world} seed ${seed} has two traces: ${earlier.hash}, ${hash}`);
    }
  }
}
