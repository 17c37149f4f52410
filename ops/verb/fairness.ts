import type { Strategy } from '../../lib/core/allocation.ts';
import type { PositionFigures } from '../../lib/core/fairness.ts';
import { dealer, FairnessTally, roundsToTell, worstOf } from '../../lib/core/fairness.ts';
import { SEED_BYTES } from '../../lib/core/keystream.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { STRATEGIES } from '../../lib/core/packet.ts';
import type { Cents } from '../../lib/core/units.ts';
import { cents } from '../../lib/core/units.ts';
import type { Figure } from '../cli.ts';
import {
  figure,
  JSON_FLAG,
  parseArgs,
  printResult,
  resultOf,
  UsageError,
  usageOf,
  type Verb,
} from '../cli.ts';

const NAME = 'fairness';
const SUMMARY = 'deal one packet many times and show what every position gets';

/** Design 4: every position's mean within 0.5 % of total/count. Stated for `double_mean`. */
const GOAL_PERCENT = 0.5;
/** The goal is this many standard errors wide, so that chance alone does not miss it. */
const SIGMAS = 4;
const PILOT_ROUNDS = 5_000;
/** About 20 s of dealing: the most that is played when nobody asks for more. */
const USUAL_SHARES_MAX = 60_000_000;
/** Strategies without a goal are shown, not judged: a tenth of the rounds draws the same picture. */
const UNJUDGED_PART = 0.1;
const ROUNDS_PER_STEP = 10_000;
/** A table shows this many positions from each end; `--all` shows the rest too. */
const ENDS_SHOWN = 5;
const MIDDLE_SHOWN = 4;

const USUAL_SEED = '00'.repeat(SEED_BYTES);
const FLAGS = {
  strategy: {
    kind: 'text',
    value: 'NAME',
    choices: STRATEGIES,
    help: 'only this way to divide',
  },
  rounds: {
    kind: 'integer',
    min: 1,
    max: 100_000_000,
    help: 'how often each packet is dealt; otherwise as often as it takes to tell',
  },
  seed: { kind: 'text', value: 'HEX', help: 'another chance, 64 hex digits (usually zeros)' },
  all: { kind: 'switch', help: 'print every position, also of large packets' },
  json: JSON_FLAG,
} as const;
const POSITIONALS = ['AMOUNT', 'COUNT'] as const;

type Report = {
  readonly strategy: Strategy;
  readonly rounds: number;
  readonly seconds: number;
  readonly positions: readonly PositionFigures[];
};

/** `./hongbao fairness 2.00 100`: exit status 1 when a position's mean under `double_mean` is off. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: POSITIONALS,
    notes: [
      'AMOUNT is money such as 2.00, COUNT the number of shares: ./hongbao fairness 2.00 100',
      `Under double_mean every position's mean must be within ${GOAL_PERCENT} % of AMOUNT / COUNT;`,
      'the exit status is 1 when one is not.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: POSITIONALS });
    const [amount = '', number = ''] = positionals;
    const { total, count } = readPacket(amount, number);
    const seedHex = (flags.seed ?? USUAL_SEED).toLowerCase();
    const seed = readSeed(seedHex);
    const only = STRATEGIES.find((strategy) => strategy === flags.strategy);
    const reports: Report[] = [];
    print(
      `${money(total)} in ${count} shares: ${decimal(total / count, 2)} cents each on average.\n`,
    );
    for (const strategy of only === undefined ? STRATEGIES : [only]) {
      const report = await measure({ strategy, total, count, seed, rounds: flags.rounds });
      printReport(report, flags.all);
      reports.push(report);
    }
    const result = resultOf({
      name: NAME,
      figures: reports.flatMap(figuresOf),
      conditions: {
        totalCents: total,
        count,
        seed: seedHex,
        rounds: Object.fromEntries(reports.map(({ strategy, rounds }) => [strategy, rounds])),
        bestLuck: 'the largest share, the first of equals',
      },
    });
    if (flags.json) printResult(result);
    return result.ok ? 0 : 1;
  },
};

/**
 * Money as people write it, `2`, `2.5` or `2.00`, in cents; null for everything else. The digits are
 * read as text: no float ever holds an amount.
 */
export function parseAmount(text: string): Cents | null {
  const match = /^([0-9]{1,12})(?:\.([0-9]{1,2}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = '', fraction = ''] = match;
  return cents(Number.parseInt(whole + fraction.padEnd(2, '0'), 10));
}

function readPacket(amount: string, number: string): { total: Cents; count: number } {
  const total = parseAmount(amount);
  if (total === null) throw new UsageError(`AMOUNT is money such as 2.00; not '${amount}'`);
  if (total < 1 || total > LIMITS.packetTotalCentsMax) {
    throw new UsageError(`AMOUNT is 0.01 to ${money(LIMITS.packetTotalCentsMax)}; not '${amount}'`);
  }
  const count = /^[0-9]{1,6}$/.test(number) ? Number.parseInt(number, 10) : 0;
  if (count < 1 || count > LIMITS.packetCountMax) {
    throw new UsageError(`COUNT is 1 to ${LIMITS.packetCountMax} shares; not '${number}'`);
  }
  if (total < count * LIMITS.shareCentsMin) {
    throw new UsageError(
      `${amount} is less than ${money(LIMITS.shareCentsMin)} for each of ${count}`,
    );
  }
  return { total, count };
}

function readSeed(text: string): Uint8Array {
  if (!new RegExp(`^[0-9a-f]{${2 * SEED_BYTES}}$`).test(text)) {
    throw new UsageError(`--seed is ${2 * SEED_BYTES} hex digits; not '${text}'`);
  }
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

/** Deals the packet `rounds` times, or as often as it takes for chance to be smaller than the goal. */
async function measure(packet: {
  strategy: Strategy;
  total: Cents;
  count: number;
  seed: Uint8Array;
  rounds: number | undefined;
}): Promise<Report> {
  const { strategy, total, count } = packet;
  const start = performance.now();
  const tally = new FairnessTally({ total, count, deal: dealer(packet) });
  let rounds = packet.rounds;
  if (rounds === undefined) {
    tally.play(PILOT_ROUNDS);
    rounds = Math.max(PILOT_ROUNDS, usualRounds(strategy, tally.positions()));
  }
  while (tally.rounds < rounds) {
    tally.play(Math.min(ROUNDS_PER_STEP, rounds - tally.rounds));
    progress(`${strategy}: ${tally.rounds} of ${rounds} rounds`);
    await new Promise<void>((resolve) => setImmediate(resolve)); // lets Ctrl-C and the line above out
  }
  progress('');
  const seconds = (performance.now() - start) / 1000;
  return { strategy, rounds, seconds, positions: tally.positions() };
}

function usualRounds(strategy: Strategy, positions: readonly PositionFigures[]): number {
  const toTell = roundsToTell({ positions, tolerance: GOAL_PERCENT / 100, sigmas: SIGMAS });
  const most = Math.floor(USUAL_SHARES_MAX / positions.length);
  return Math.ceil(Math.min(toTell, most) * (isJudged(strategy) ? 1 : UNJUDGED_PART));
}

function isJudged(strategy: Strategy): boolean {
  return strategy === 'double_mean';
}

function figuresOf({ strategy, positions }: Report): Figure[] {
  const worst = worstOf(positions);
  const summary = {
    name: `${strategy}, mean of the position that is farthest off`,
    value: Math.abs(worst.off) * 100,
    unit: '%',
  };
  const goal = { atMost: GOAL_PERCENT };
  return [
    isJudged(strategy) ? figure({ ...summary, goal }) : figure(summary),
    ...positions.flatMap(({ position, mean, deviation, min, max, bestLuck }) => {
      const name = `${strategy}, position ${position}`;
      return [
        figure({ name: `${name}, mean`, value: mean, unit: 'cents' }),
        figure({ name: `${name}, standard deviation`, value: deviation, unit: 'cents' }),
        figure({ name: `${name}, smallest`, value: min, unit: 'cents' }),
        figure({ name: `${name}, largest`, value: max, unit: 'cents' }),
        figure({ name: `${name}, best luck`, value: bestLuck * 100, unit: '%' }),
      ];
    }),
  ];
}

function printReport({ strategy, rounds, seconds, positions }: Report, all: boolean): void {
  print(`${strategy}, dealt ${rounds} times in ${seconds.toFixed(1)} s (amounts in cents)`);
  print(row(['position', 'mean', 'off', 'deviation', 'smallest', 'largest', 'best luck']));
  const shown = all ? positions : sampleOf(positions);
  let before = 0;
  for (const one of shown) {
    if (one.position > before + 1) print(row(['…']));
    before = one.position;
    print(
      row([
        String(one.position),
        decimal(one.mean, 3),
        `${decimal(one.off * 100, 2, '+')} %`,
        decimal(one.deviation, 3),
        String(one.min),
        String(one.max),
        `${decimal(one.bestLuck * 100, 2)} %`,
      ]),
    );
  }
  const worst = worstOf(positions);
  const off = `${decimal(worst.off * 100, 2, '+')} % at position ${worst.position}`;
  print(
    isJudged(strategy) ? `farthest off: ${off}; ${verdict(worst, rounds)}` : `farthest off: ${off}`,
  );
  print('');
}

function verdict(worst: PositionFigures, rounds: number): string {
  const met = Math.abs(worst.off) * 100 <= GOAL_PERCENT;
  const goal = `the goal of at most ${GOAL_PERCENT} % is ${met ? 'met' : 'MISSED'}`;
  const error = (worst.deviation / worst.mean / Math.sqrt(rounds)) * 100;
  if (error * 3 <= GOAL_PERCENT) return goal;
  return `${goal} (too few rounds to tell: chance alone is ±${decimal(error, 2)} %)`;
}

/** Both ends and a few between. */
function sampleOf(positions: readonly PositionFigures[]): readonly PositionFigures[] {
  const most = 2 * ENDS_SHOWN + MIDDLE_SHOWN;
  if (positions.length <= most) return positions;
  const gap = (positions.length - 2 * ENDS_SHOWN) / (MIDDLE_SHOWN + 1);
  const between = new Set(
    Array.from({ length: MIDDLE_SHOWN }, (_, n) => ENDS_SHOWN + Math.round(gap * (n + 1))),
  );
  return positions.filter(
    ({ position }) =>
      position <= ENDS_SHOWN || position > positions.length - ENDS_SHOWN || between.has(position),
  );
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell) => cell.padStart(11))
    .join('')
    .trimEnd();
}

/** `-0.00` would make people look for a loss. */
function decimal(value: number, digits: number, plus = ''): string {
  const text = value.toFixed(digits);
  if (Number(text) === 0) return (0).toFixed(digits);
  return value > 0 ? plus + text : text;
}

function money(amount: number): string {
  const digits = String(amount).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line that is written over; only where somebody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
