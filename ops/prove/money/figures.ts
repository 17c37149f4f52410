import type { Figure } from '../../cli.ts';
import { figure } from '../../cli.ts';
import { quantile, rounded } from '../../bench/statistics.ts';
import { setOf } from '../../../reconciler/audit/words.ts';
import { verdictFigures } from '../set/figures.ts';
import type { Audited } from './audit-all.ts';
import type { History } from './history.ts';
import type { Verdict } from './judge.ts';
import type { Ending, MoneyWorld } from './world.ts';

/** Of the issue: outboxes are empty so soon after the last fault. */
const EMPTY_S = 30;
/** What came so soon after a fault is not of calm time. */
const WELL_MS = 3_000;

export type Span = { readonly fromMs: number; readonly toMs: number };

const plain = (name: string, value: number, unit: string): Figure => figure({ name, value, unit });

/** What people saw, what was done to the system, and what became of the money. */
export function figuresOf(args: {
  readonly world: MoneyWorld;
  readonly span: Span;
  readonly ending: Ending;
  readonly verdict: Verdict;
  readonly opensMin: number;
  readonly packetsMin: number;
  readonly audit: Audited;
  readonly ownCpuS: number;
}): Figure[] {
  const { world, span, ending, verdict, audit, opensMin, packetsMin } = args;
  const { history, findings, load, chaos, gauges } = world;
  const seconds = (ms: number | null): number => (ms === null ? 1e9 : rounded(ms / 1_000, 3));
  return [
    figure({
      name: 'opens acknowledged',
      value: verdict.claims,
      unit: 'opens',
      goal: { atLeast: opensMin },
    }),
    plain('opens asked', history.opens.length, 'opens'),
    plain(
      'opens/s acknowledged, mean',
      rounded(verdict.claims / ((span.toMs - span.fromMs) / 1_000), 1),
      'opens/s',
    ),
    figure({
      name: 'packets',
      value: verdict.packets,
      unit: 'packets',
      goal: { atLeast: packetsMin },
    }),
    plain('packets drained', verdict.drained, 'packets'),
    plain('packets whose rest went back', verdict.refunds, 'packets'),
    plain(
      'packets left to expire on purpose',
      history.sent.filter(({ isLeft }) => isLeft).length,
      'packets',
    ),
    plain(
      'sendings refused for want of money',
      history.sent.filter(({ refusal }) => refusal !== null).length,
      'packets',
    ),
    plain('opens that were due and not asked', load.undone, 'opens'),
    ...verdictFigures(findings),
    figure({
      name: 'differences that `./hongbao audit` finds',
      value: audit.differences,
      unit: 'differences',
      goal: { atMost: 0 },
    }),
    plain('rows that it reads', audit.rows, 'rows'),
    plain('rows that it reads a second', audit.rowsPerS, 'rows/s'),
    figure({
      name: 'outboxes empty after the last fault',
      value: seconds(ending.emptyMs),
      unit: 's',
      goal: { atMost: EMPTY_S },
    }),
    plain('replicas equal after that', seconds(ending.equalMs), 's'),
    ...hurtFigures(world),
    plain('takeovers', verdict.takeovers, 'epochs'),
    ...silenceFigures(history, span),
    ...settleFigures(history, verdict),
    ...latencyFigures(history),
    ...[...world.cpu.byTier].map(([tier, ms]) =>
      plain(`CPU of the ${tier}`, rounded(ms / 1_000, 1), 's'),
    ),
    plain('CPU of the clients and of this proof', rounded(args.ownCpuS, 1), 's'),
    plain(
      'answers that were asked for again',
      [...history.doubts.values()].reduce((a, b) => a + b, 0),
      'answers',
    ),
    plain(
      'asked on two devices or again',
      history.opens.reduce((sum, { again }) => sum + again.length, 0),
      'opens',
    ),
    plain('of those asked once more at the end', ending.askedAgain, 'opens'),
    plain('balances told and held against the journal', history.balances.length, 'balances'),
    plain('looks at the running audit', gauges.looks, 'looks'),
    figure({
      name: 'false alarms',
      value: gauges.alarms.length,
      unit: 'alarms',
      goal: { atMost: 0 },
    }),
    plain('faults left out: victim not to be had', chaos.leftOut, 'faults'),
    plain('cents in wallets', verdict.whereabouts.walletsCents, 'cents'),
    plain('cents in packets', verdict.whereabouts.packetsCents, 'cents'),
    plain('cents in flight', verdict.whereabouts.inFlightCents, 'cents'),
    plain('cents issued', verdict.whereabouts.issuedCents, 'cents'),
    plain('journal entries read again', verdict.entries, 'entries'),
    plain('journaled commands read again', verdict.ops, 'commands'),
    plain('lines of statements read again', verdict.lines, 'lines'),
    plain('rows discarded in repairs', verdict.discarded, 'rows'),
  ];
}

function hurtFigures({ chaos }: MoneyWorld): Figure[] {
  const counts = [...chaos.counts].toSorted(([a], [b]) => a.localeCompare(b));
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return [
    plain('faults', total, 'faults'),
    ...counts.map(([what, count]) => plain(`faults: ${what}`, count, 'faults')),
  ];
}

/** How long nobody was told of a share: over all Sets, and over the packets of each. */
function silenceFigures(history: History, { fromMs, toMs }: Span): Figure[] {
  const bySet = Map.groupBy(history.opens, ({ packetId }) => setOf(BigInt(packetId)));
  const longest = (opens: History['opens']): number => {
    const times = opens
      .flatMap(({ told, endedMs }) => (told?.kind === 'claim' && endedMs !== null ? [endedMs] : []))
      .filter((ms) => ms > fromMs && ms < toMs)
      .sort((a, b) => a - b);
    let [worst, last] = [0, fromMs];
    for (const ms of [...times, toMs]) {
      worst = Math.max(worst, ms - last);
      last = ms;
    }
    return rounded(worst / 1_000, 3);
  };
  const sets = [...bySet].toSorted(([a], [b]) => a - b);
  return [
    plain('longest time without an acknowledged open', longest(history.opens), 's'),
    ...sets.map(([set, opens]) =>
      plain(`longest time without an acknowledged open: Set ${set}`, longest(opens), 's'),
    ),
  ];
}

function settleFigures(history: History, { times }: Verdict): Figure[] {
  const calm: number[] = [];
  const hurt: number[] = [];
  for (const { fromMs, tookMs } of times.settled) {
    (history.isCalm(fromMs, WELL_MS) ? calm : hurt).push(tookMs);
  }
  return [
    plain('settled in calm time', calm.length, 'transfers'),
    plain('settled in calm time, p50', quantile(calm, 0.5), 'ms'),
    plain('settled in calm time, p99', quantile(calm, 0.99), 'ms'),
    plain('settled under faults', hurt.length, 'transfers'),
    plain('settled under faults, p50', quantile(hurt, 0.5), 'ms'),
    plain('settled under faults, p99', quantile(hurt, 0.99), 'ms'),
    plain('settled under faults, worst', quantile(hurt, 1), 'ms'),
  ];
}

/** From when it was due to the final answer. */
function latencyFigures(history: History): Figure[] {
  const took = history.opens.flatMap(({ dueMs, endedMs }) =>
    endedMs === null ? [] : [endedMs - dueMs],
  );
  return [
    plain('opens answered, p50', rounded(quantile(took, 0.5), 1), 'ms'),
    plain('opens answered, p99', rounded(quantile(took, 0.99), 1), 'ms'),
    plain('opens answered, worst', rounded(quantile(took, 1), 1), 'ms'),
  ];
}
