import { expect } from 'vitest';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface ClockWorld {
  readonly clock: Clock;
  /** Lets at least `ms` pass, and what is due run. */
  readonly pass: (ms: number) => Promise<void>;
  dispose(): Promise<void>;
}

const CLOCK_RULES: readonly Rule<ClockWorld>[] = [
  {
    id: 'CL1a',
    says: 'now is whole milliseconds since 1970 and goes with the time that passes',
    check: async ({ clock, pass }) => {
      const before = clock.now();
      expect(Number.isInteger(before)).toBe(true);
      expect(before).toBeGreaterThan(Date.UTC(2025, 0, 1));
      await pass(20);
      expect(clock.now() - before).toBeGreaterThanOrEqual(19);
    },
  },
  {
    id: 'CL2a',
    says: 'the monotonic clock never falls and measures what passes',
    check: async ({ clock, pass }) => {
      const before = clock.monotonicMs();
      expect(clock.monotonicMs()).toBeGreaterThanOrEqual(before);
      await pass(20);
      expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(20);
    },
  },
  {
    id: 'CL3a',
    says: 'a timer runs once, never early, and not before its call returns',
    check: async ({ clock, pass }) => {
      const start = clock.monotonicMs();
      const ran: number[] = [];
      for (const delay of [0, 3, 7.5])
        clock.after(delay, () => ran.push(clock.monotonicMs() - start - delay));
      expect(ran).toEqual([]);
      await pass(40);
      expect(ran).toHaveLength(3);
      expect(Math.min(...ran)).toBeGreaterThanOrEqual(0);
      await pass(10);
      expect(ran).toHaveLength(3);
    },
  },
  {
    id: 'CL3b',
    says: 'a cancelled timer never runs; cancelling late or twice is fine',
    check: async ({ clock, pass }) => {
      const ran: string[] = [];
      const one = clock.after(5, () => ran.push('one'));
      const two = clock.after(1, () => ran.push('two'));
      one.cancel();
      one.cancel();
      await pass(30);
      two.cancel();
      expect(ran).toEqual(['two']);
    },
  },
  {
    id: 'CL3c',
    says: 'sleep resolves after its time',
    check: async ({ clock, pass }) => {
      const start = clock.monotonicMs();
      const slept = sleep(clock, 10).then(() => clock.monotonicMs() - start);
      await pass(40);
      expect(await slept).toBeGreaterThanOrEqual(10);
    },
  },
  {
    id: 'CL4a',
    says: 'a period runs again and again until it is cancelled, also from within',
    check: async ({ clock, pass }) => {
      let runs = 0;
      const timer = clock.every(5, () => {
        runs += 1;
        if (runs === 3) timer.cancel();
      });
      await pass(60);
      await pass(20);
      expect(runs).toBe(3);
      let others = 0;
      const other = clock.every(2, () => {
        others += 1;
      });
      other.cancel();
      await pass(20);
      expect(others).toBe(0);
    },
  },
  {
    id: 'CL5a',
    says: 'soon runs after the work at hand, in order, and before any timer',
    check: async ({ clock, pass }) => {
      const ran: string[] = [];
      clock.after(0, () => ran.push('timer'));
      clock.soon(() => ran.push('first'));
      clock.soon(() => ran.push('second'));
      ran.push('at hand');
      await pass(10);
      expect(ran).toEqual(['at hand', 'first', 'second', 'timer']);
    },
  },
  {
    id: 'CL5b',
    says: 'a soon that queues itself leaves room for others',
    check: async ({ clock, pass }) => {
      let turns = 0;
      let stopped = false;
      const again = (): void => {
        turns += 1;
        if (!stopped) clock.soon(again);
      };
      clock.soon(again);
      clock.after(5, () => {
        stopped = true;
      });
      await pass(30);
      expect(stopped).toBe(true);
      expect(turns).toBeGreaterThan(1);
    },
  },
];

export function clockContract(name: string, make: () => Promise<ClockWorld>): void {
  runRules(`clock: ${name}`, CLOCK_RULES, make);
}
