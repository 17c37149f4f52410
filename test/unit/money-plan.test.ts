/** What a run of `./hongbao prove money-10m` does to whom, and what is sent in it: by the seed alone. */
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Crew, Victim } from '../../ops/prove/money/plan.ts';
import { planChaos, VICTIMS } from '../../ops/prove/money/plan.ts';
import { termsOf } from '../../ops/prove/money/terms.ts';

const CREW: Crew = { sets: 2, replicas: 3, reconcilers: 2, access: 2, hasNats: true };
const TEN_MINUTES_MS = 600_000;

function plan(seed: number, crew = CREW) {
  return planChaos({ random: new SeededRandom(seed), durationMs: TEN_MINUTES_MS, crew });
}

describe('the plan of the chaos', () => {
  test('is the same for a seed, and another for another', () => {
    expect(plan(1)).toEqual(plan(1));
    expect(plan(1)).not.toEqual(plan(2));
  });

  test('hits everybody in ten minutes, every few seconds', () => {
    for (let seed = 0; seed < 20; seed++) {
      const faults = plan(seed);
      expect(new Set(faults.map(({ victim }) => victim))).toEqual(new Set<Victim>(VICTIMS));
      expect(faults.length).toBeGreaterThan(120);
      const gaps = faults.slice(1).map(({ atMs }, at) => atMs - (faults[at]?.atMs ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(5_000);
      expect(faults.at(-1)?.atMs).toBeLessThan(TEN_MINUTES_MS);
      for (const { set, index, awayMs, victim } of faults) {
        expect(set).toBeLessThan(CREW.sets);
        expect(index).toBeLessThan(CREW.replicas);
        expect(awayMs).toBeLessThanOrEqual(victim === 'nats' ? 60_000 : 5_000);
      }
    }
  });

  test('a reconciler and a leader die in the same moment, again and again', () => {
    const faults = plan(3);
    const both = faults.filter(
      ({ atMs, victim }, at) =>
        victim === 'leader' &&
        faults[at - 1]?.atMs === atMs &&
        faults[at - 1]?.victim === 'reconciler',
    );
    expect(both.length).toBeGreaterThan(5);
  });

  test('nobody hits a bus that is not there', () => {
    const faults = plan(4, { ...CREW, hasNats: false });
    expect(faults.some(({ victim }) => victim === 'nats')).toBe(false);
  });
});

describe('the packets that are sent', () => {
  const random = new SeededRandom(5);
  const lifetimes = { left: { min: 3_000, spread: 9_000 }, others: 40_000 };
  const all = Array.from({ length: 4_000 }, () => termsOf({ random, members: 54, lifetimes }));

  test('a fifth is left to expire, with shares that nobody is asked to take', () => {
    const left = all.filter(({ isLeft }) => isLeft);
    expect(left.length / all.length).toBeGreaterThan(0.17);
    expect(left.length / all.length).toBeLessThan(0.23);
    for (const { openers, count, lifetimeMs } of left) {
      expect(openers).toBeLessThan(count);
      expect(lifetimeMs).toBeLessThan(15_000);
    }
  });

  test('every kind, strategy and timing, and amounts that are allowed', () => {
    const words = new Set(all.flatMap(({ kind, strategy, timing }) => [kind, strategy, timing]));
    expect(words).toEqual(
      new Set([
        ...['lucky', 'equal', 'exclusive', 'double_mean', 'classic', 'uniform'],
        ...['at_open', 'pre_split'],
      ]),
    );
    for (const { kind, strategy, totalCents, count, receivers } of all) {
      expect(totalCents).toBeGreaterThanOrEqual(count);
      expect(totalCents).toBeLessThanOrEqual(20_000);
      expect(count).toBeLessThanOrEqual(100);
      expect(receivers > 0).toBe(kind === 'exclusive');
      expect(strategy === 'equal').toBe(kind !== 'lucky');
    }
  });
});
