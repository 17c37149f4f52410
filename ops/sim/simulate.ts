import { walk } from './log/walk.ts';
import { walkWhole } from './whole/walk.ts';

/** `log`: one Set and clients at its engine. `whole`: three Sets, all tiers, people. */
export type WorldName = 'log' | 'whole';

/** What happened in one walk, or in many. */
export type SimTotals = {
  readonly commands: number;
  readonly faults: number;
  readonly takeovers: number;
  readonly refunds: number;
  readonly simulatedMs: number;
};

export type SimOptions = {
  readonly world: WorldName;
  readonly seed: number;
  /** Commands of people, in the whole world; default 2,000. A walk of the log has its own length. */
  readonly ops?: number;
};

export type SimResult = {
  readonly world: WorldName;
  readonly seed: number;
  /** The first broken rule, by its number; null when all held. */
  readonly violation: string | null;
  /** Of all lines: the same for the same seed, always. */
  readonly hash: string;
  readonly lines: readonly string[];
  readonly totals: SimTotals;
};

/** One walk of one seed. Rejects when the code under test or the world itself throws. */
export async function simulate(options: SimOptions): Promise<SimResult> {
  const { world, seed, ops } = options;
  if (world === 'whole') return walkWhole(ops === undefined ? { seed } : { seed, ops });
  const { violation, hash, lines, counts } = await walk(seed);
  const totals = {
    commands: counts.answers,
    faults: counts.faults,
    takeovers: counts.epochs,
    refunds: 0,
    simulatedMs: counts.simulatedMs,
  };
  return { world, seed, violation, hash, lines, totals };
}
