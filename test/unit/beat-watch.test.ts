import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import { epochOf, setId } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { BeatWatch } from '../../set-node/lead/beat-watch.ts';
import { schema } from '../../set-node/read/projection.ts';

const EPOCH = epochOf(1, 0);
const BEAT_MS = 200;

let clock: ManualClock;
let disks: MemoryReplica[];
/** Replicas whose answers never come, or come as errors. */
let hung: Set<number>;
let down: Set<number>;
let watch: BeatWatch;

beforeEach(() => {
  clock = new ManualClock();
  disks = Array.from({ length: 3 }, () => new MemoryReplica(setId(1), schema));
  hung = new Set();
  down = new Set();
  const stores = disks.map((disk, replica): ReplicaStore =>
    Object.assign(Object.create(disk) as MemoryReplica, {
      readBeat: () => {
        if (hung.has(replica)) return new Promise(() => undefined);
        if (down.has(replica)) return Promise.reject(new StoreError('unavailable', 'down'));
        return disk.readBeat();
      },
    }),
  );
  watch = new BeatWatch({ replicas: stores, quorum: 2, clock });
  watch.start();
});

/** The leader beats on these replicas for so long. */
async function beat(ms: number, on: readonly number[] = [0, 1, 2]): Promise<void> {
  for (let passed = 0; passed < ms; passed += BEAT_MS) {
    for (const replica of on) await disks[replica]?.beat(EPOCH);
    await clock.advanceSettled(BEAT_MS);
  }
}

describe('a standby watches the leader', () => {
  test('it is alive while it beats, and silent 700 ms after its last beat', async () => {
    await beat(2_000);
    expect(watch.verdict()).toBe('alive');
    expect(watch.leaderEpoch(1)).toBe(EPOCH);
    await clock.advanceSettled(480);
    expect(watch.verdict()).toBe('alive');
    await clock.advanceSettled(150);
    expect(watch.verdict()).toBe('silent');
    expect(watch.leaderEpoch(1)).toBe(0);
  });

  test('one replica on which the beat stands still is not enough, two are', async () => {
    await beat(1_000);
    await beat(2_000, [0, 1]);
    expect(watch.verdict()).toBe('alive');
    await beat(1_000, [0]);
    expect(watch.verdict()).toBe('silent');
  });

  test.each(['hung', 'down'] as const)('a replica that is %s says nothing', async (how) => {
    await beat(1_000);
    (how === 'hung' ? hung : down).add(1).add(2);
    await clock.advanceSettled(3_000);
    expect(watch.verdict()).toBe('blind');
    expect(watch.leaderEpoch(1)).toBe(0);
  });

  test('a replica that comes back counts from when it is seen again', async () => {
    await beat(1_000);
    down.add(1).add(2);
    await clock.advanceSettled(3_000);
    down.clear();
    await clock.advanceSettled(100);
    // It stood still in between as well: the value is the same that was seen before.
    expect(watch.verdict()).toBe('silent');
    await beat(200);
    expect(watch.verdict()).toBe('alive');
  });

  test('who stood still himself begins anew', async () => {
    await beat(1_000);
    clock.advance(5_000); // no promise settles in between: a stopped process
    expect(watch.verdict()).not.toBe('silent');
    await beat(400);
    expect(watch.verdict()).toBe('alive');
  });

  test('nobody ever led, and a leader that left, leave the Set vacant', async () => {
    await clock.advanceSettled(100);
    expect(watch.verdict()).toBe('vacant');
    await beat(400);
    expect(watch.verdict()).toBe('alive');
    await disks[1]?.resign(EPOCH);
    await clock.advanceSettled(100);
    expect(watch.verdict()).toBe('vacant');
    // A late beat of its own does not bring it back; the next leader's does.
    await disks[1]?.beat(EPOCH);
    await clock.advanceSettled(100);
    expect(watch.verdict()).toBe('vacant');
    for (const disk of disks) await disk.beat(epochOf(2, 1));
    await clock.advanceSettled(100);
    expect(watch.verdict()).toBe('alive');
    expect(watch.leaderEpoch(0)).toBe(epochOf(2, 1));
    // Its own old beats tell a node nothing of who leads.
    expect(watch.leaderEpoch(1)).toBe(0);
  });
});
