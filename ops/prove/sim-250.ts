import type { Result } from '../cli.ts';
import { figure, resultOf } from '../cli.ts';
import { jobsOf, runCampaign } from '../sim/campaign.ts';
import type { SimEnd, SimJob } from '../sim/pool.ts';
import { workersByDefault } from '../sim/pool.ts';
import type { SimTotals } from '../sim/simulate.ts';
import { describeTotals, hoursOf } from '../sim/totals.ts';

const HOUR_MS = 3_600_000;
const PROGRESS_EVERY = 25;
/** Seeds that are named when many fall below a minimum. */
const SHORT_NAMED_MAX = 20;

/** What each walk has to have gone through to count: one in which nothing happens proves nothing. */
export const MINIMA = { commands: 2_000, faults: 20, hours: 26 };

export type SimProofOptions = {
  readonly world: 'log' | 'whole';
  readonly seeds: { readonly from: number; readonly to: number };
  /** Commands that each walk is asked for. */
  readonly ops: number;
  readonly minima: typeof MINIMA;
  /** Wall time that all walks may take. */
  readonly goalSeconds: number;
  readonly say: (line: string) => void;
  /** Another module for the threads: tests of the proof itself. */
  readonly script?: URL;
};

/** As the proof is meant: `./hongbao prove sim-250`. */
export const SIM_250 = {
  world: 'whole',
  seeds: { from: 1, to: 250 },
  ops: MINIMA.commands,
  minima: MINIMA,
  goalSeconds: 300,
} as const satisfies Omit<SimProofOptions, 'say'>;

/** The minima that a walk stayed below, in words; empty when it reached all. */
export function shortOf(totals: SimTotals, minima: typeof MINIMA): readonly string[] {
  const { commands, faults, hours } = minima;
  return [
    ...(totals.commands < commands ? [`${totals.commands} of ${commands} commands`] : []),
    ...(totals.faults < faults ? [`${totals.faults} of ${faults} faults`] : []),
    ...(totals.simulatedMs < hours * HOUR_MS ? [`${hoursOf(totals)} of ${hours} hours`] : []),
  ];
}

/**
 * Walks every seed of a range, and the first one twice. It holds when no rule was broken, every
 * walk reached the minima, somebody got a refund, and the same seed gave the same trace.
 */
export async function proveSim(options: SimProofOptions): Promise<{
  readonly result: Result;
  readonly findings: readonly string[];
  readonly keptDir: string | null;
}> {
  const { world, seeds, ops, minima, goalSeconds, say, script } = options;
  const all = seeds.to - seeds.from + 1;
  const short: string[] = [];
  const smallest = { commands: Infinity, faults: Infinity, simulatedMs: Infinity };
  const pool = { say, ...(script === undefined ? {} : { script }) };
  let firstHash = '';
  const look = (end: SimEnd, walks: number): void => {
    if (walks % PROGRESS_EVERY === 0) say(`${walks} of ${all} seeds`);
    if (end.kind === 'broken') return;
    const { seed, totals, hash } = end.result;
    if (seed === seeds.from) firstHash = hash;
    for (const key of ['commands', 'faults', 'simulatedMs'] as const) {
      smallest[key] = Math.min(smallest[key], totals[key]);
    }
    const missing = shortOf(totals, minima);
    if (missing.length > 0) short.push(`seed ${seed} is too short: ${missing.join(', ')}`);
  };
  const campaign = await runCampaign({
    ...pool,
    jobs: jobsOf(seeds, { world, ops }),
    ended: look,
  });
  const repeated = await hashAfter({ world, seed: seeds.to, ops }, seeds.from, pool);
  const { walks, totals, failures, hash, seconds } = campaign;
  const isEqual = repeated !== null && repeated === firstHash;
  const findings = [
    ...failures.map(({ job, failure }) => `seed ${job.seed}: ${failure}`),
    ...short.slice(0, SHORT_NAMED_MAX),
    ...(isEqual ? [] : [`seed ${seeds.from} gave ${firstHash}, and then ${repeated}`]),
    ...(walks === all ? [] : [`${walks} of ${all} seeds were walked`]),
  ];
  say(`${describeTotals(totals)}; trace hash ${hash}`);
  const whole = (value: number): number => (Number.isFinite(value) ? value : 0);
  const one = '1';
  const result = resultOf({
    name: `prove sim-${all}`,
    held: findings.length === 0,
    figures: [
      figure({ name: 'seeds', value: walks, unit: one, goal: { atLeast: all } }),
      figure({ name: 'violations', value: failures.length, unit: one, goal: { atMost: 0 } }),
      figure({
        name: 'seeds below a minimum',
        value: short.length,
        unit: one,
        goal: { atMost: 0 },
      }),
      figure({ name: 'commands', value: totals.commands, unit: one }),
      figure({ name: 'faults', value: totals.faults, unit: one }),
      figure({ name: 'takeovers', value: totals.takeovers, unit: one }),
      figure({ name: 'refunds', value: totals.refunds, unit: one, goal: { atLeast: 1 } }),
      figure({ name: 'simulated', value: hoursOf(totals), unit: 'h' }),
      figure({
        name: 'fewest commands of a seed',
        value: whole(smallest.commands),
        unit: one,
        goal: { atLeast: minima.commands },
      }),
      figure({
        name: 'fewest faults of a seed',
        value: whole(smallest.faults),
        unit: one,
        goal: { atLeast: minima.faults },
      }),
      figure({
        name: 'shortest seed',
        value: Math.floor((whole(smallest.simulatedMs) / HOUR_MS) * 10) / 10,
        unit: 'h',
        goal: { atLeast: minima.hours },
      }),
      figure({
        name: 'wall time',
        value: Math.round(seconds * 10) / 10,
        unit: 's',
        goal: { atMost: goalSeconds },
      }),
    ],
    conditions: {
      world,
      seeds,
      ops,
      workers: workersByDefault(),
      traceHash: hash,
      sameTraceTwice: isEqual,
    },
  });
  return { result, findings, keptDir: null };
}

/** The trace hash of a seed in a thread that has walked another before; null when it failed. */
async function hashAfter(
  before: SimJob,
  seed: number,
  pool: { readonly say: (line: string) => void; readonly script?: URL },
): Promise<string | null> {
  let hash: string | null = null;
  await runCampaign({
    ...pool,
    workers: 1,
    jobs: [before, { ...before, seed }],
    ended: (end) => {
      hash = end.kind === 'walked' ? end.result.hash : null;
    },
  });
  return hash;
}
