import { availableParallelism } from 'node:os';
import {
  figure,
  JSON_FLAG,
  parseArgs,
  printResult,
  resultOf,
  UsageError,
  usageOf,
} from '../cli.ts';
import type { FlagValues, Verb } from '../cli.ts';
import { jobsOf, runCampaign } from '../sim/campaign.ts';
import type { Hunt } from '../sim/mutant/hunt.ts';
import { describeHunt, huntMutants, seedsFrom } from '../sim/mutant/hunt.ts';
import type { Mutant } from '../sim/mutant/mutant.ts';
import { MUTANTS } from '../sim/mutant/mutants.ts';
import { mergedSeeds, seedsText, writeSeeds } from '../sim/mutant/record.ts';
import { SEEDS } from '../sim/mutant/seeds.ts';
import type { SimEnd } from '../sim/pool.ts';
import { workersByDefault } from '../sim/pool.ts';
import { describeTotals, hoursOf } from '../sim/totals.ts';

const NAME = 'sim';
const SUMMARY = 'walk the real code through simulated faults, seed by seed, and judge every step';
const WORLDS = ['log', 'whole'] as const;
const SEED_MAX = 2 ** 32 - 1;
const SEEDS_BY_DEFAULT = { from: 1, to: 20 };
/** What a planted mistake may take to be seen. */
const HUNT_MS = 60_000;
const PROGRESS_MS = 10_000;
export const FLAGS = {
  seeds: { kind: 'text', value: 'A..B', help: 'the seeds to walk, both included; usually 1..20' },
  world: {
    kind: 'text',
    value: 'WORLD',
    help: 'what is simulated; usually whole, with --mutants both',
    choices: WORLDS,
  },
  ops: {
    kind: 'integer',
    help: "commands of a walk, usually the world's own number",
    min: 1,
    max: 1_000_000,
  },
  trace: { kind: 'switch', help: 'print what happened, a line an event, in virtual time' },
  mutant: { kind: 'text', value: 'NAME', help: 'plant this mistake: the walk has to see it' },
  mutants: { kind: 'switch', help: 'plant every known mistake and look for it from seed 1' },
  record: { kind: 'switch', help: 'the same, and write the seeds that saw them down' },
  json: JSON_FLAG,
} as const;
type Flags = FlagValues<typeof FLAGS>;

/** What a call asks for. */
export type SimCall =
  | {
      readonly kind: 'walk';
      readonly world: (typeof WORLDS)[number];
      readonly seeds: { readonly from: number; readonly to: number };
      readonly ops: number | undefined;
      readonly trace: boolean;
      readonly mutant: string | null;
    }
  | { readonly kind: 'hunt'; readonly mutants: readonly Mutant[]; readonly record: boolean };

/** `./hongbao sim`: exit status 1 when a rule was broken, or a planted mistake was not seen. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    notes: [
      'WORLD log is one Set with three replicas and two nodes; whole has three Sets, access nodes,',
      'the reconciler and people. The same seed gives the same trace, always.',
      '',
      'A seed that breaks a rule prints the end of its trace and the command that replays it.',
      '--mutants looks for 60 s at most for each; --mutant or --world take some of them only.',
      '',
      'Exit 1 when a rule was broken or a planted mistake was not seen.',
    ],
  }),
  async run(args) {
    const { flags } = parseArgs({ args, flags: FLAGS });
    const call = callOf(flags, MUTANTS);
    return call.kind === 'walk' ? walk(call, flags.json) : hunt(call, flags.json);
  },
};

/**
 * Reads the flags together.
 * @throws UsageError when they do not go together, or name what is not there
 */
export function callOf(flags: Flags, all: readonly Mutant[]): SimCall {
  const world = WORLDS.find((name) => name === flags.world);
  const named = all.find(({ name }) => name === flags.mutant);
  if (flags.mutant !== undefined && named === undefined) {
    const names = all.map(({ name }) => name).join(', ');
    throw new UsageError(`--mutant is one of ${names}; not '${flags.mutant}'`);
  }
  if (flags.mutants || flags.record) {
    if (flags.seeds !== undefined || flags.ops !== undefined || flags.trace) {
      throw new UsageError('--seeds, --ops and --trace do not go with --mutants and --record');
    }
    const mutants = all.filter(
      (one) => (world === undefined || one.world === world) && (named ?? one) === one,
    );
    if (mutants.length === 0) throw new UsageError('no mutant fits --world and --mutant');
    return { kind: 'hunt', mutants, record: flags.record };
  }
  return {
    kind: 'walk',
    world: world ?? named?.world ?? 'whole',
    seeds: flags.seeds === undefined ? SEEDS_BY_DEFAULT : readSeeds(flags.seeds),
    ops: flags.ops,
    trace: flags.trace,
    mutant: named?.name ?? null,
  };
}

function readSeeds(text: string): { from: number; to: number } {
  const match = /^(\d{1,10})\.\.(\d{1,10})$/.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && from <= to && to <= SEED_MAX) return { from, to };
  throw new UsageError(`--seeds is A..B, whole numbers, A <= B <= ${SEED_MAX}; not '${text}'`);
}

async function walk(call: Extract<SimCall, { kind: 'walk' }>, json: boolean): Promise<number> {
  const { world, seeds, ops, trace, mutant } = call;
  const all = seeds.to - seeds.from + 1;
  const progress = everyWhile((walks) => `… ${walks} of ${all} seeds`);
  const campaign = await runCampaign({
    jobs: jobsOf(seeds, { world, ...(ops === undefined ? {} : { ops }) }),
    mutant,
    keepTraces: trace,
    // Traces in the order of their seeds, and one at a time in memory.
    workers: trace ? 1 : workersByDefault(),
    say: (line) => console.log(line),
    ended: (end, walks) => {
      if (trace) printTrace(end);
      progress(walks);
    },
  });
  const { walks, totals, failures, hash, seconds } = campaign;
  const rounded = Math.round(seconds * 10) / 10;
  console.log(`world ${world}, seeds ${seeds.from}..${seeds.to}: ${failures.length} failed`);
  console.log(`${describeTotals(totals)}; ${rounded} s, hash ${hash}`);
  const held = failures.length === 0 && walks === all;
  if (json) {
    printResult(
      resultOf({
        name: NAME,
        held,
        figures: [
          figure({ name: 'seeds', value: walks, unit: '1' }),
          figure({ name: 'failed', value: failures.length, unit: '1' }),
          figure({ name: 'commands', value: totals.commands, unit: '1' }),
          figure({ name: 'faults', value: totals.faults, unit: '1' }),
          figure({ name: 'takeovers', value: totals.takeovers, unit: '1' }),
          figure({ name: 'refunds', value: totals.refunds, unit: '1' }),
          figure({ name: 'simulated', value: hoursOf(totals), unit: 'h' }),
          figure({ name: 'wall time', value: rounded, unit: 's' }),
        ],
        conditions: {
          world,
          seeds,
          ops,
          mutant,
          hash,
          failures: failures.map(({ job, failure }) => ({ seed: job.seed, failure })),
          cores: availableParallelism(),
          node: process.version,
        },
      }),
    );
  }
  return held ? 0 : 1;
}

function printTrace(end: SimEnd): void {
  if (end.kind === 'broken') return;
  const { world, seed, lines, hash, violation } = end.result;
  console.log(`# ${world} seed ${seed}, virtual time in ms`);
  for (const line of lines) console.log(line);
  console.log(`# hash ${hash}: ${violation ?? 'no rule broken'}`);
}

async function hunt(call: Extract<SimCall, { kind: 'hunt' }>, json: boolean): Promise<number> {
  const { mutants, record } = call;
  const begun = performance.now();
  const hunts = await huntMutants({
    mutants,
    huntOf: (mutant) => ({ mutant, seeds: seedsFrom(1), withinMs: HUNT_MS }),
    ended: (one) => console.error(describeHunt(one)),
  });
  const caught = hunts.filter(({ seed }) => seed !== null).length;
  for (const line of table(hunts)) console.log(line);
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  console.log(`${caught} of ${hunts.length} planted mistakes seen, ${seconds} s`);
  if (record) {
    const seeds = mergedSeeds({ recorded: SEEDS, hunts, names: MUTANTS.map(({ name }) => name) });
    writeSeeds(seeds);
    console.log(seedsText(seeds));
  }
  const held = caught === hunts.length;
  if (json) {
    printResult(
      resultOf({
        name: `${NAME} mutants`,
        held,
        figures: [
          figure({ name: 'planted', value: hunts.length, unit: '1' }),
          figure({ name: 'caught', value: caught, unit: '1', goal: { atLeast: hunts.length } }),
          figure({ name: 'slowest', value: slowest(hunts), unit: 's', goal: { atMost: 60 } }),
          figure({ name: 'wall time', value: seconds, unit: 's' }),
        ],
        conditions: {
          mutants: hunts.map(({ mutant, seed, violation, seconds: took, walks }) => ({
            name: mutant.name,
            what: mutant.what,
            source: mutant.source,
            world: mutant.world,
            seed,
            violation,
            walks,
            seconds: Math.round(took * 10) / 10,
          })),
          cores: availableParallelism(),
          node: process.version,
        },
      }),
    );
  }
  return held ? 0 : 1;
}

function slowest(hunts: readonly Hunt[]): number {
  return Math.round(Math.max(0, ...hunts.map(({ seconds }) => seconds)) * 10) / 10;
}

/** Name, the rule that was seen broken, seed and seconds, in columns. */
function table(hunts: readonly Hunt[]): readonly string[] {
  const rows = hunts.map(({ mutant, seed, violation, seconds }) => [
    mutant.name,
    violation === null ? 'NOT CAUGHT' : (/^[^ :]+/.exec(violation)?.[0] ?? ''),
    seed === null ? '-' : String(seed),
    seconds.toFixed(1),
  ]);
  const cells = [['mutant', 'rule', 'seed', 'seconds'], ...rows];
  const widths = [0, 1, 2].map((at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  return cells.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '));
}

/** Says a line on standard error now and then while something goes on. */
function everyWhile(line: (count: number) => string): (count: number) => void {
  let saidAt = performance.now();
  return (count) => {
    if (performance.now() - saidAt < PROGRESS_MS) return;
    saidAt = performance.now();
    process.stderr.write(`${line(count)}\n`);
  };
}
