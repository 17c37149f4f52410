import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SoonQueue } from '../../lib/adapter/soon-queue.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { clockContract } from './clock.contract.ts';

clockContract('system', async () => ({
  clock: new SystemClock(),
  pass: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms + 2);
    }),
  dispose: async () => undefined,
}));

clockContract('manual', async () => {
  const clock = new ManualClock();
  return { clock, pass: (ms) => clock.advanceSettled(ms), dispose: async () => undefined };
});

test('[CL6a] virtual time stands still, runs timers in order of due time and then of setting', () => {
  const clock = new ManualClock();
  const ran: string[] = [];
  clock.after(20, () => ran.push(`late ${clock.monotonicMs()}`));
  clock.after(10, () => {
    ran.push(`early ${clock.monotonicMs()}`);
    clock.after(5, () => ran.push(`nested ${clock.monotonicMs()}`));
  });
  clock.after(10, () => ran.push('early too'));
  expect(clock.nextDueMs()).toBe(10);
  clock.advance(9);
  expect(ran).toEqual([]);
  clock.advance(11);
  expect(ran).toEqual(['early 10', 'early too', 'nested 15', 'late 20']);
  expect(clock.nextDueMs()).toBeNull();
});

test('[CL6b] a jump of the wall clock moves no timer', () => {
  const clock = new ManualClock();
  const before = clock.now();
  let runs = 0;
  clock.every(10, () => {
    runs += 1;
  });
  clock.jump(3_600_000);
  clock.advance(10);
  clock.jump(-7_200_000);
  clock.advance(10);
  expect(runs).toBe(2);
  expect(clock.now() - before).toBe(20 - 3_600_000);
});

test('[CL5c] one that throws leaves the others for the next turn', () => {
  let woken = 0;
  const queue = new SoonQueue(() => {
    woken += 1;
  });
  const ran: string[] = [];
  queue.add(() => {
    throw new Error('planted');
  });
  queue.add(() => ran.push('other'));
  expect(() => queue.drain()).toThrow('planted');
  expect([woken, ran]).toEqual([2, []]);
  queue.drain();
  expect(ran).toEqual(['other']);
});
