/** What packets people send: all kinds, strategies and timings, and ends of every sort. */
import type { Random } from '../../../lib/port/random.ts';

/** WeChat's largest lucky packet. */
const COUNT_MAX = 100;
const LEFT_ONE_IN = 5;
const LARGE_CENTS = 20_000;
/** A share is 50 cents in the mean, so that wallets last. */
const SHARE_CENTS_SPREAD = 99;

export type Terms = {
  readonly kind: 'lucky' | 'equal' | 'exclusive';
  readonly strategy: 'double_mean' | 'classic' | 'uniform' | 'equal';
  readonly timing: 'at_open' | 'pre_split';
  readonly totalCents: number;
  readonly count: number;
  readonly lifetimeMs: number;
  /** How many of the members are asked to open it. */
  readonly openers: number;
  /** How many of the members it is for; 0: all of them. */
  readonly receivers: number;
  /** Some of its shares are left on purpose. */
  readonly isLeft: boolean;
};

/** How long packets live, ms. */
export type Lifetimes = {
  /** Those that are left to expire: opened by some, and over soon. */
  readonly left: { readonly min: number; readonly spread: number };
  /** The others: those that still have shares end, too, while it runs or soon after. */
  readonly others: number;
};

/** For a group with so many members who open packets. */
export function termsOf(args: {
  readonly random: Random;
  readonly members: number;
  readonly lifetimes: Lifetimes;
}): Terms {
  const { random, members, lifetimes } = args;
  const isLeft = random.below(LEFT_ONE_IN) === 0;
  const shape = random.below(10);
  const kind = kindOf(random.below(20));
  const lucky = (['double_mean', 'classic', 'uniform'] as const)[random.below(3)] ?? 'classic';
  const timing = random.below(2) === 0 ? 'at_open' : 'pre_split';
  let count = members;
  if (isLeft) count = members;
  else if (shape === 0) count = 3;
  else if (shape < 3) count = Math.ceil(members * 0.75);
  else if (shape < 4) count = members + 5;
  count = Math.min(count, COUNT_MAX);
  const isLarge = shape === 0 && !isLeft;
  return {
    kind,
    strategy: kind === 'lucky' ? lucky : 'equal',
    timing,
    totalCents: isLarge ? LARGE_CENTS : count + random.below(SHARE_CENTS_SPREAD * count),
    count,
    lifetimeMs: isLeft
      ? lifetimes.left.min + random.below(lifetimes.left.spread)
      : lifetimes.others,
    openers: isLeft ? Math.ceil(members / 2) : members,
    receivers: kind === 'exclusive' ? Math.min(count, Math.ceil(members * 0.6)) : 0,
    isLeft,
  };
}

function kindOf(die: number): Terms['kind'] {
  if (die < 3) return 'equal';
  return die < 5 ? 'exclusive' : 'lucky';
}
