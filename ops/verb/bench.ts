import { arch, cpus, platform } from 'node:os';
import {
  JSON_FLAG,
  parseArgs,
  printResult,
  resultOf,
  usageOf,
  UsageError,
  type Figure,
  type Verb,
} from '../cli.ts';
import type { Bench } from '../bench/bench.ts';
import { journalBench } from '../bench/journal.ts';
import { openEmbeddedBench } from '../bench/open-embedded-bench.ts';
import { projectionBench } from '../bench/projection.ts';
import { recoveryBench } from '../bench/recovery.ts';
import { settleBench } from '../bench/settle.ts';
import { fdatasyncRate } from '../bench/statistics.ts';

const NAME = 'bench';
const SUMMARY = 'measure, and say under which conditions';
const FLAGS = {
  json: JSON_FLAG,
  seconds: {
    kind: 'integer',
    help: "seconds of each run, usually the bench's own",
    min: 1,
    max: 60,
  },
  runs: {
    kind: 'integer',
    help: "runs, usually the bench's own; the median counts",
    min: 1,
    max: 20,
  },
  'hold-seconds': {
    kind: 'integer',
    help: 'how long a rate has to hold',
    fallback: 20,
    min: 2,
    max: 600,
  },
  percent: {
    kind: 'integer',
    help: 'of the usual number of packets and rows: less only to try it out',
    fallback: 100,
    min: 1,
    max: 100,
  },
} as const;

const BENCHES: Readonly<Record<string, Bench>> = {
  'open-embedded': openEmbeddedBench,
  journal: journalBench,
  projection: projectionBench,
  recovery: recoveryBench,
  settle: settleBench,
};

/** `./hongbao bench NAME`: speed is measured here and nowhere else. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['NAME'],
    notes: [`NAME is one of: ${Object.keys(BENCHES).join(', ')}.`],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['NAME'] });
    const name = positionals[0] ?? '';
    const bench = BENCHES[name];
    if (bench === undefined) throw new UsageError(`there is no bench '${name}'`);
    const given = {
      seconds: flags.seconds ?? bench.seconds,
      runs: flags.runs ?? bench.runs,
      holdSeconds: flags['hold-seconds'],
      percent: flags.percent,
    };
    const before = fdatasyncRate();
    const figures = await bench.run(given, (line) => console.error(line));
    const result = resultOf({
      name: `bench ${name}`,
      figures,
      conditions: {
        fdatasyncPerS: `${Math.round(before)} before, ${Math.round(fdatasyncRate())} after`,
        cores: cpus().length,
        cpu: cpus()[0]?.model ?? '',
        system: `${platform()} ${arch()}`,
        node: process.version,
        runs: given.runs,
        secondsPerRun: given.seconds,
        percentOfUsualSize: given.percent,
        ...bench.conditions(given),
      },
    });
    if (!flags.json) printFigures(result.figures);
    else printResult(result);
    return result.ok ? 0 : 1;
  },
};

function printFigures(figures: readonly Figure[]): void {
  for (const { name, value, unit, goal, met } of figures) {
    const verdict =
      met === undefined ? '' : met ? `  (goal ${goal}: met)` : `  (goal ${goal}: MISSED)`;
    console.log(`${name}: ${value} ${unit}${verdict}`);
  }
}
