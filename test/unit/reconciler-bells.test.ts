/** How often outboxes are looked into, by whether bells get through. */
import { expect, test } from 'vitest';
import type { Bus } from '../../lib/port/bus.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { startReconciler } from '../../reconciler/server.ts';
import type { Router } from '../../router/api.ts';
import { FakeWorld } from './reconciler-world.ts';

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

test('polls slowly while bells ring, a bell is heard at once, and quickly when they stop', async () => {
  const world = new FakeWorld({ sets: 1, seed: 3 });
  let looks = 0;
  let isConnected = true;
  let ring: (subject: string) => void = () => undefined;
  const bus: Bus = {
    publish: () => Promise.resolve(),
    subscribe: (pattern, handler) => {
      if (pattern === 'outbox.>') ring = (subject) => handler(subject, new Uint8Array(0));
      return Promise.resolve({ unsubscribe: () => Promise.resolve() });
    },
    close: () => Promise.resolve(),
  };
  const router: Router = {
    ...world.router,
    query: (set, ask, options) => {
      if (ask.outbox) looks += 1;
      return world.router.query(set, ask, options);
    },
  };
  const { clock, random } = world;
  const reconciler = startReconciler({
    router,
    bus,
    clock,
    random,
    log: SILENT,
    metrics: createMetrics(),
    times: { pollMs: 100, bellPollMs: 1_000 },
    bellsRing: () => isConnected,
  });
  const looksIn = async (ms: number): Promise<number> => {
    const before = looks;
    await clock.advanceSettled(ms);
    return looks - before;
  };
  await looksIn(50);
  expect(await looksIn(5_000)).toBe(5);
  const beforeBell = looks;
  ring('outbox.0');
  expect(looks - beforeBell).toBe(1);
  await looksIn(20);
  isConnected = false;
  expect(await looksIn(1_000)).toBeGreaterThanOrEqual(9);
  await reconciler.stop();
});
