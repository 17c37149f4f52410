import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { BUS_QUEUE_MAX, MemoryBus } from '../../lib/adapter/memory-bus.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import { busContract } from './bus.contract.ts';

const QUIET: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

function makeBus(clock: Clock, settle: () => Promise<void>) {
  const bus = new MemoryBus({ clock, log: QUIET });
  return { bus, settle, dispose: () => bus.close() };
}

busContract('memory', async () => {
  const clock = new SystemClock();
  return makeBus(clock, () => sleep(clock, 5));
});

busContract('memory, virtual time', async () => {
  const clock = new ManualClock();
  return makeBus(clock, () => clock.advanceSettled(1));
});

test('[BU4a] a full queue loses its oldest message and counts it', async () => {
  const clock = new ManualClock();
  const bus = new MemoryBus({ clock, log: QUIET });
  const heard: number[] = [];
  await bus.subscribe('a', (_, payload) => {
    heard.push((payload[0] ?? 0) * 256 + (payload[1] ?? 0));
  });
  const all: Promise<void>[] = [];
  for (let n = 0; n < BUS_QUEUE_MAX + 3; n++) {
    all.push(bus.publish('a', Uint8Array.of(n >> 8, n & 255)));
  }
  await Promise.all(all);
  await clock.advanceSettled(1);
  expect(bus.dropped).toBe(3);
  expect(heard).toHaveLength(BUS_QUEUE_MAX);
  expect([heard[0], heard.at(-1)]).toEqual([3, BUS_QUEUE_MAX + 2]);
});

test('[BU4b] the throw of a handler is logged, with its subject and no payload', async () => {
  const lines: unknown[] = [];
  const log: Log = { ...QUIET, error: (event, fields) => lines.push({ event, ...fields }) };
  const clock = new ManualClock();
  const bus = new MemoryBus({ clock, log });
  await bus.subscribe('a', () => {
    throw new Error('planted');
  });
  await bus.publish('a', Uint8Array.of(7));
  await clock.advanceSettled(1);
  expect(lines).toEqual([{ event: 'bus_handler_failed', subject: 'a', reason: 'Error: planted' }]);
});
