import { expect } from 'vitest';
import type { Bus } from '../../lib/port/bus.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface BusWorld {
  readonly bus: Bus;
  /** Until what was published has been delivered. */
  readonly settle: () => Promise<void>;
  dispose(): Promise<void>;
}

const BYTES = Uint8Array.of(1, 2, 3);

/** Subscribes and collects what comes. */
async function listen(
  bus: Bus,
  subject: string,
): Promise<{ heard: string[]; stop: () => Promise<void> }> {
  const heard: string[] = [];
  const subscription = await bus.subscribe(subject, (on, payload) => {
    heard.push(`${on}:${[...payload].join()}`);
  });
  return { heard, stop: () => subscription.unsubscribe() };
}

const BUS_RULES: readonly Rule<BusWorld>[] = [
  {
    id: 'BU1a',
    says: 'every subscriber of the subject gets the bytes; without one nothing happens',
    check: async ({ bus, settle }) => {
      await bus.publish('nobody.listens', BYTES);
      const one = await listen(bus, 'outbox.7');
      const two = await listen(bus, 'outbox.7');
      const other = await listen(bus, 'outbox.8');
      await bus.publish('outbox.7', BYTES);
      await settle();
      expect([one.heard, two.heard, other.heard]).toEqual([
        ['outbox.7:1,2,3'],
        ['outbox.7:1,2,3'],
        [],
      ]);
    },
  },
  {
    id: 'BU1b',
    says: 'publish never runs a handler before it returns, and takes its own copy of the bytes',
    check: async ({ bus, settle }) => {
      const { heard } = await listen(bus, 'a.b');
      const bytes = BYTES.slice();
      const published = bus.publish('a.b', bytes);
      expect(heard).toEqual([]);
      await published;
      bytes.fill(9);
      await settle();
      expect(heard).toEqual(['a.b:1,2,3']);
    },
  },
  {
    id: 'BU1c',
    says: 'a subject that is not ASCII words joined by dots is an assertion',
    check: async ({ bus }) => {
      for (const subject of ['', 'a..b', '.a', 'a.', 'a b', 'é', 'a.*', 'a.>']) {
        await expect(bus.publish(subject, BYTES)).rejects.toMatchObject({
          name: 'AssertionFailed',
        });
      }
      await expect(bus.subscribe('>', () => undefined)).rejects.toMatchObject({
        name: 'AssertionFailed',
      });
    },
  },
  {
    id: 'BU1d',
    says: 'a payload of more than 60 KiB is an assertion; one of 60 KiB arrives',
    check: async ({ bus, settle }) => {
      const { heard } = await listen(bus, 'a');
      await bus.publish('a', new Uint8Array(61_440));
      await settle();
      expect(heard.map((line) => line.length)).toEqual([2 * 61_440 + 1]);
      await expect(bus.publish('a', new Uint8Array(61_441))).rejects.toMatchObject({
        name: 'AssertionFailed',
      });
    },
  },
  {
    id: 'BU2a',
    says: '`.>` takes everything below and not the subject itself',
    check: async ({ bus, settle }) => {
      const { heard } = await listen(bus, 'set.1.>');
      for (const subject of ['set.1', 'set.1.a', 'set.1.a.b', 'set.10.a', 'set']) {
        await bus.publish(subject, new Uint8Array(0));
      }
      await settle();
      expect(heard).toEqual(['set.1.a:', 'set.1.a.b:']);
    },
  },
  {
    id: 'BU2b',
    says: 'a handler that throws stops neither the others nor what comes later',
    check: async ({ bus, settle }) => {
      await bus.subscribe('a', () => {
        throw new Error('planted');
      });
      const { heard } = await listen(bus, 'a');
      await bus.publish('a', BYTES);
      await bus.publish('a', BYTES);
      await settle();
      expect(heard).toHaveLength(2);
    },
  },
  {
    id: 'BU2c',
    says: 'after unsubscribe nothing is delivered, not even what was under way',
    check: async ({ bus, settle }) => {
      const { heard, stop } = await listen(bus, 'a');
      const other = await listen(bus, 'a');
      await bus.publish('a', BYTES);
      await stop();
      await bus.publish('a', BYTES);
      await settle();
      expect(heard).toEqual([]);
      expect(other.heard).toHaveLength(2);
    },
  },
  {
    id: 'BU3a',
    says: 'after close nothing is delivered any more, and publish is harmless',
    check: async ({ bus, settle }) => {
      const { heard } = await listen(bus, 'a');
      await bus.publish('a', BYTES);
      await bus.close();
      await bus.publish('a', BYTES);
      await listen(bus, 'a');
      await bus.close();
      await settle();
      expect(heard).toEqual([]);
    },
  },
];

export function busContract(name: string, make: () => Promise<BusWorld>): void {
  runRules(`bus: ${name}`, BUS_RULES, make);
}
