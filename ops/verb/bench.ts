import { arch, cpus, platform } from 'node:os';
import {
  figure,
  JSON_FLAG,
  parseArgs,
  printResult,
  resultOf,
  usageOf,
  UsageError,
  type Figure,
  type Verb,
} from '../cli.ts';
import { benchDriver } from '../bench/driver.ts';
import { benchOpenEmbedded } from '../bench/open-embedded.ts';
import { fdatasyncRate, rounded } from '../bench/statistics.ts';

const NAME = 'bench';
const SUMMARY = 'measure, and say under which conditions';
const FLAGS = {
  json: JSON_FLAG,
  seconds: { kind: 'integer', help: 'seconds of each run', fallback: 4, min: 1, max: 60 },
  runs: { kind: 'integer', help: 'runs; the median counts', fallback: 3, min: 1, max: 20 },
} as const;

const BENCHES: Readonly<
  Record<string, (flags: { seconds: number; runs: number }) => Promise<Figure[]>>
> = {
  'open-embedded': openEmbedded,
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
    const before = fdatasyncRate();
    const figures = await bench(flags);
    const result = resultOf({
      name: `bench ${name}`,
      figures,
      conditions: {
        durability: 'SQLite WAL, synchronous=FULL, N=1, Q=1; every answer after fsync',
        fdatasyncPerS: `${Math.round(before)} before, ${Math.round(fdatasyncRate())} after`,
        processes: 'server and client are two processes on one machine',
        cores: cpus().length,
        cpu: cpus()[0]?.model ?? '',
        system: `${platform()} ${arch()}`,
        node: process.version,
        runs: flags.runs,
        secondsPerRun: flags.seconds,
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

async function openEmbedded(flags: { seconds: number; runs: number }): Promise<Figure[]> {
  const log = (line: string): void => console.error(line);
  log('driver alone');
  const driver = await benchDriver({ runs: flags.runs });
  const { full, half } = await benchOpenEmbedded({ ...flags, log });
  return [
    figure({
      name: 'durable opens over 500 sockets',
      value: Math.round(full.opensPerS),
      unit: 'opens/s',
      goal: { atLeast: 20_000 },
    }),
    figure({ name: 'p99 at that rate', value: rounded(full.p99Ms, 1), unit: 'ms' }),
    figure({
      name: 'server CPU an open, all threads',
      value: rounded(full.serverCpuUs, 1),
      unit: 'µs',
    }),
    figure({
      name: 'rate of the half-load run',
      value: Math.round(half.opensPerS),
      unit: 'opens/s',
    }),
    figure({ name: 'p50 at half of it', value: rounded(half.p50Ms, 1), unit: 'ms' }),
    figure({
      name: 'p99 at half of it',
      value: rounded(half.p99Ms, 1),
      unit: 'ms',
      goal: { atMost: 50 },
    }),
    figure({
      name: 'driver alone, CPU an open',
      value: rounded(driver.cpuUs, 2),
      unit: 'µs',
      goal: { atMost: 5 },
    }),
    figure({ name: 'driver alone, rate', value: Math.round(driver.opensPerS), unit: 'opens/s' }),
  ];
}
