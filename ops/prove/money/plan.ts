/** What is done to whom and when, drawn from the seed before anything starts. */
import { assert } from '../../../lib/core/assert.ts';
import type { Random } from '../../../lib/port/random.ts';

/** `leader` and `standby` are whoever it is at that moment. */
export const VICTIMS = ['leader', 'standby', 'replica', 'reconciler', 'access', 'nats'] as const;
export type Victim = (typeof VICTIMS)[number];

/** `kill` is SIGKILL and a start afterwards, `pause` SIGSTOP, `wipe` a start without its data. */
export type Harm = 'kill' | 'pause' | 'wipe';

export type Fault = {
  /** Since the beginning of the chaos. */
  readonly atMs: number;
  readonly victim: Victim;
  readonly harm: Harm;
  /** Place of the Set, for those of a Set; else 0. */
  readonly set: number;
  /** Place among the replicas, reconcilers or access nodes; else 0. */
  readonly index: number;
  /** How long it stays away. */
  readonly awayMs: number;
};

/** How many there are of everything. */
export type Crew = {
  readonly sets: number;
  readonly replicas: number;
  readonly reconcilers: number;
  readonly access: number;
  readonly hasNats: boolean;
};

/** From one fault to the next: every few seconds, also while the last one still hurts. */
const GAP_MS = { min: 1_500, spread: 3_500 };
const KILLED_MS = { min: 100, spread: 2_400 };
const PAUSED_MS = { min: 1_000, spread: 4_000 };
/** The bus may be away for a minute; no longer than a quarter of a short run. */
const NATS_AWAY_MS_MAX = 60_000;
const NATS_AWAY_MS_MIN = 1_000;

/** Of 20: who is hit. */
const WEIGHTS: readonly (readonly [Victim, number])[] = [
  ['leader', 4],
  ['standby', 2],
  ['replica', 6],
  ['reconciler', 5],
  ['access', 2],
  ['nats', 1],
];
/** Every so many times a reconciler and a leader die in the same moment. */
const BOTH_EVERY = 9;

/** The faults of a run in the order of their time. */
export function planChaos(args: {
  readonly random: Random;
  readonly durationMs: number;
  readonly crew: Crew;
}): Fault[] {
  const { random, durationMs, crew } = args;
  const faults: Fault[] = [];
  let atMs = random.below(GAP_MS.min);
  for (let turn = 1; atMs < durationMs; turn++) {
    if (turn % BOTH_EVERY === 0) {
      for (const victim of ['reconciler', 'leader'] as const) {
        faults.push({
          ...aim({ random, crew, victim }),
          atMs,
          harm: 'kill',
          awayMs: killedMs(random),
        });
      }
    } else {
      const victim = pickVictim(random, crew);
      faults.push({
        atMs,
        ...aim({ random, crew, victim }),
        ...harmOf({ random, victim, durationMs }),
      });
    }
    atMs += GAP_MS.min + random.below(GAP_MS.spread);
  }
  return faults;
}

function pickVictim(random: Random, crew: Crew): Victim {
  const some = WEIGHTS.filter(([victim]) => victim !== 'nats' || crew.hasNats);
  let left = random.below(some.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [victim, weight] of some) {
    if (left < weight) return victim;
    left -= weight;
  }
  throw new Error('somebody is hit');
}

function aim(args: { random: Random; crew: Crew; victim: Victim }) {
  const { random, crew, victim } = args;
  const ofSet = victim === 'leader' || victim === 'standby' || victim === 'replica';
  const counts: Readonly<Record<Victim, number>> = {
    leader: 1,
    standby: 1,
    replica: crew.replicas,
    reconciler: crew.reconcilers,
    access: crew.access,
    nats: 1,
  };
  assert(counts[victim] > 0, `there is a ${victim}`);
  return {
    victim,
    set: ofSet ? random.below(crew.sets) : 0,
    index: random.below(counts[victim]),
  };
}

function harmOf(args: { random: Random; victim: Victim; durationMs: number }): {
  harm: Harm;
  awayMs: number;
} {
  const { random, victim, durationMs } = args;
  if (victim === 'nats') {
    const most = Math.min(NATS_AWAY_MS_MAX, Math.floor(durationMs / 4));
    const awayMs = NATS_AWAY_MS_MIN + random.below(Math.max(1, most - NATS_AWAY_MS_MIN));
    // An emptied stream is what a lost disk leaves; it need not be away for long.
    return random.below(3) === 0
      ? { harm: 'wipe', awayMs: NATS_AWAY_MS_MIN }
      : { harm: random.below(2) === 0 ? 'kill' : 'pause', awayMs };
  }
  return random.below(5) < 3
    ? { harm: 'kill', awayMs: killedMs(random) }
    : { harm: 'pause', awayMs: PAUSED_MS.min + random.below(PAUSED_MS.spread) };
}

function killedMs(random: Random): number {
  return KILLED_MS.min + random.below(KILLED_MS.spread);
}
