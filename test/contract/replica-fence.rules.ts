import { expect } from 'vitest';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { epochOf, lsn } from '../../lib/core/units.ts';
import type { ReplicaWorld } from '../../ops/sim/conformance/replica-world.ts';
import {
  CLUSTER,
  E1,
  E2,
  E3,
  FENCE_A,
  FENCE_B,
  OWNER_A,
  OWNER_B,
  makeChain,
  startVoter,
  commitTo,
} from './replica-world.ts';
import type { Rule } from './rule.ts';

const BOOT = { clusterId: CLUSTER, replicaId: 0, replicas: 3 };

/** RS1, RS2, RS6, RS7, RS11: rows, promises and the signs of life. */
export const FENCE_RULES: readonly Rule<ReplicaWorld>[] = [
  {
    id: 'RS1a',
    says: 'an empty replica gets incarnation 1, fence 0, an empty journal and its proof of life',
    check: async (world) => {
      expect(await world.store.bootstrap(BOOT)).toBe('made');
      expect(await world.store.fenceRow()).toEqual({
        fenceEpoch: 0,
        fenceOwner: new Uint8Array(16),
        incarnation: 1,
        proved: true,
      });
      expect(await world.store.takeOver({ epoch: E1, owner: OWNER_A })).toEqual({
        kind: 'promised',
        incarnation: 1,
        proved: true,
        incarnations: [1, 1, 1],
        commitLsn: 0,
        projectedLsn: 0,
        head: { lsn: 0, epoch: 0, sum: ZERO_SUM },
        discardedBy: 0,
      });
    },
  },
  {
    id: 'RS1b',
    says: 'a second bootstrap answers exists and changes nothing, not even the proof of life',
    check: async (world) => {
      await startVoter(world.store);
      await world.restart();
      expect(await world.store.bootstrap(BOOT)).toBe('exists');
      expect(await world.store.fenceRow()).toMatchObject({ fenceEpoch: E1, proved: false });
    },
  },
  {
    id: 'RS1c',
    says: 'the replica of another cluster or of another place is foreign and stays as it is',
    check: async (world) => {
      await startVoter(world.store);
      const other = new Uint8Array(16).fill(9);
      expect(await world.store.bootstrap({ ...BOOT, clusterId: other })).toBe('foreign_cluster');
      expect(await world.store.bootstrap({ ...BOOT, replicaId: 1 })).toBe('foreign_cluster');
      expect(await world.store.fenceRow()).toMatchObject({ fenceEpoch: E1, proved: true });
    },
  },
  {
    id: 'RS1d',
    says: 'a journal without a row is never given a default row (P0)',
    check: async (world) => {
      await startVoter(world.store);
      await world.dropFenceRow();
      expect(await world.store.bootstrap(BOOT)).toBe('exists');
      expect(await world.store.fenceRow()).toBeNull();
    },
  },
  {
    id: 'RS1e',
    says: 'a bootstrap that is late makes nothing; where rows are there it is not asked',
    check: async (world) => {
      let asked = 0;
      const ask = (answer: boolean) => async () => {
        asked += 1;
        return answer;
      };
      expect(await world.store.bootstrap({ ...BOOT, stillNew: ask(false) })).toBe('late');
      expect(await world.store.fenceRow()).toBeNull();
      expect(await world.store.bootstrap({ ...BOOT, stillNew: ask(true) })).toBe('made');
      expect(asked).toBe(2);
      expect(await world.store.bootstrap({ ...BOOT, stillNew: ask(false) })).toBe('exists');
      expect(asked).toBe(2);
    },
  },
  {
    id: 'RS1e',
    says: 'nor is it asked where a journal is there without a row, be it only the anchor',
    check: async (world) => {
      await startVoter(world.store);
      await world.dropFenceRow();
      let asked = 0;
      const stillNew = async (): Promise<boolean> => {
        asked += 1;
        return false;
      };
      expect(await world.store.bootstrap({ ...BOOT, stillNew })).toBe('exists');
      expect(asked).toBe(0);
    },
  },
  {
    id: 'RS2a',
    says: 'a higher epoch is promised, with a report of head, commit point and incarnations',
    check: async (world) => {
      await startVoter(world.store);
      const chain = makeChain({ prev: null, count: 3 });
      await world.store.append({ fence: FENCE_A, entries: chain });
      await commitTo(world.store, 2);
      await world.store.project(lsn(1));
      expect(await world.store.takeOver({ epoch: E2, owner: OWNER_B })).toEqual({
        kind: 'promised',
        incarnation: 1,
        proved: true,
        incarnations: [1, 1, 1],
        commitLsn: 2,
        projectedLsn: 1,
        head: { lsn: 3, epoch: E1, sum: chain[2]?.sum },
        discardedBy: 0,
      });
    },
  },
  {
    id: 'RS2b',
    says: 'an equal or lower epoch is refused with the fence, whoever asks',
    check: async (world) => {
      await startVoter(world.store);
      await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      const refused = { kind: 'refused', fenceEpoch: E2 };
      expect(await world.store.takeOver({ epoch: E1, owner: OWNER_A })).toEqual(refused);
      expect(await world.store.takeOver({ epoch: E2, owner: OWNER_A })).toEqual(refused);
      expect(await world.store.takeOver({ epoch: E2, owner: OWNER_B })).toEqual(refused);
      expect(await world.store.fenceRow()).toMatchObject({ fenceEpoch: E2, fenceOwner: OWNER_B });
    },
  },
  {
    id: 'RS2c',
    says: 'without a row there is no promise',
    check: async (world) => {
      expect(await world.store.takeOver({ epoch: E1, owner: OWNER_A })).toEqual({ kind: 'no_row' });
      expect(await world.store.fenceRow()).toBeNull();
    },
  },
  {
    id: 'RS2d',
    says: 'after a restart it still promises, but says that it is not proved (P3b)',
    check: async (world) => {
      await startVoter(world.store);
      await world.restart();
      const reply = await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(reply).toMatchObject({ kind: 'promised', proved: false, incarnation: 1 });
    },
  },
  {
    id: 'RS2e',
    says: 'a promise survives a restart',
    check: async (world) => {
      await startVoter(world.store);
      await world.store.takeOver({ epoch: E3, owner: OWNER_B });
      await world.restart();
      const reply = await world.store.takeOver({ epoch: E2, owner: OWNER_A });
      expect(reply).toEqual({ kind: 'refused', fenceEpoch: E3 });
    },
  },
  {
    id: 'RS2f',
    says: 'nothing of the earlier owner is appended after the promise',
    check: async (world) => {
      await startVoter(world.store);
      const chain = makeChain({ prev: null, count: 2 });
      const [promise, late] = await Promise.all([
        world.store.takeOver({ epoch: E2, owner: OWNER_B }),
        world.store.append({ fence: FENCE_A, entries: chain }),
      ]);
      expect(promise).toMatchObject({ kind: 'promised', head: { lsn: 0 } });
      expect(late).toEqual({ kind: 'fenced', fenceEpoch: E2 });
      expect(await world.store.read({ after: lsn(0), limitBytes: 1_000 })).toEqual([]);
    },
  },
  {
    id: 'RS2g',
    says: 'the report names the newest epoch that took entries away here',
    check: async (world) => {
      await startVoter(world.store);
      const chain = makeChain({ prev: null, count: 3 });
      await world.store.append({ fence: FENCE_A, entries: chain });
      const [one, two, three] = chain;
      if (one === undefined || two === undefined || three === undefined) throw new Error('three');
      await world.store.truncate({ fence: FENCE_A, after: lsn(3), head: three });
      const nothing = await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(nothing).toMatchObject({ discardedBy: 0 });
      await world.store.truncate({ fence: FENCE_B, after: lsn(2), head: three });
      const second = await world.store.takeOver({ epoch: E3, owner: OWNER_A });
      expect(second).toMatchObject({ discardedBy: E2 });
      await world.restart();
      const by = { epoch: E3, owner: OWNER_A, incarnation: 40 };
      await world.store.restore({ ...by, after: lsn(1), entries: [] });
      const third = await world.store.takeOver({ epoch: epochOf(4, 0), owner: OWNER_B });
      expect(third).toMatchObject({ discardedBy: E3 });
    },
  },
  {
    id: 'RS6a',
    says: 'the fence row is null without a row, and shows owner and proof as they are now',
    check: async (world) => {
      expect(await world.store.fenceRow()).toBeNull();
      await startVoter(world.store);
      const row = { fenceEpoch: E1, fenceOwner: OWNER_A, incarnation: 1 };
      expect(await world.store.fenceRow()).toEqual({ ...row, proved: true });
      await world.restart();
      expect(await world.store.fenceRow()).toEqual({ ...row, proved: false });
    },
  },
  {
    id: 'RS7a',
    says: 'a recorded incarnation never falls and shows in the next report',
    check: async (world) => {
      await startVoter(world.store);
      const { store } = world;
      const record = (incarnation: number): Promise<string> =>
        store.recordIncarnation({ fence: FENCE_A, replica: 2, incarnation, proved: false });
      expect(await record(17)).toBe('done');
      expect(await record(9)).toBe('done');
      const reply = await store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(reply).toMatchObject({ incarnations: [1, 1, 17], incarnation: 1 });
    },
  },
  {
    id: 'RS7b',
    says: 'only the holder of the fence records incarnations',
    check: async (world) => {
      const record = { replica: 2, incarnation: 17, proved: false };
      const early = await world.store.recordIncarnation({ fence: FENCE_A, ...record });
      expect(early).toBe('fenced');
      await startVoter(world.store);
      for (const fence of [
        FENCE_B,
        { ...FENCE_A, owner: OWNER_B },
        { ...FENCE_A, incarnation: 2 },
      ]) {
        expect(await world.store.recordIncarnation({ fence, ...record })).toBe('fenced');
      }
      const reply = await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(reply).toMatchObject({ incarnations: [1, 1, 1] });
    },
  },
  {
    id: 'RS7c',
    says: 'a replica beyond those of the bootstrap is recorded too: the Set grows',
    check: async (world) => {
      const { store } = world;
      await store.bootstrap({ ...BOOT, replicas: 1 });
      await store.takeOver({ epoch: E1, owner: OWNER_A });
      const record = { fence: FENCE_A, replica: 2, incarnation: 17, proved: true };
      expect(await store.recordIncarnation(record)).toBe('done');
      const reply = await store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(reply).toMatchObject({ incarnations: [1, 0, 17] });
    },
  },
  {
    id: 'RS7d',
    says: 'who must be proved to record is asked by the same transaction',
    check: async (world) => {
      await startVoter(world.store);
      const record = { fence: FENCE_A, replica: 2, incarnation: 17 };
      await world.restart();
      expect(await world.store.recordIncarnation({ ...record, proved: true })).toBe('no_vote');
      const before = await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(before).toMatchObject({ incarnations: [1, 1, 1] });
      const doubtful = { ...record, fence: FENCE_B, proved: false };
      expect(await world.store.recordIncarnation(doubtful)).toBe('done');
      // What is recorded already proves nobody either.
      const again = { ...doubtful, proved: true };
      expect(await world.store.recordIncarnation(again)).toBe('no_vote');
    },
  },
  {
    id: 'RS26a',
    says: 'unprove leaves the replica in doubt, as a restart does',
    check: async (world) => {
      await startVoter(world.store);
      expect(await world.store.unprove({ fence: FENCE_A })).toBe('done');
      expect(await world.store.unprove({ fence: FENCE_A })).toBe('done');
      expect(await world.store.fenceRow()).toMatchObject({ fenceEpoch: E1, proved: false });
      const entries = makeChain({ prev: null, count: 1 });
      expect(await world.store.append({ fence: FENCE_A, entries })).toEqual({ kind: 'no_vote' });
      const by = { epoch: E2, owner: OWNER_B, incarnation: 40, after: lsn(0) };
      expect(await world.store.restore({ ...by, entries })).toBe('done');
    },
  },
  {
    id: 'RS26b',
    says: 'only the holder of epoch, owner and incarnation unproves',
    check: async (world) => {
      expect(await world.store.unprove({ fence: FENCE_A })).toBe('fenced');
      await startVoter(world.store);
      for (const fence of [
        FENCE_B,
        { ...FENCE_A, owner: OWNER_B },
        { ...FENCE_A, incarnation: 2 },
      ]) {
        expect(await world.store.unprove({ fence })).toBe('fenced');
      }
      expect(await world.store.fenceRow()).toMatchObject({ proved: true });
    },
  },
  {
    id: 'RS11a',
    says: 'each beat counts one up; a beat of an earlier epoch changes nothing',
    check: async (world) => {
      await startVoter(world.store);
      expect(await world.store.readBeat()).toEqual({ epoch: 0, n: 0 });
      await world.store.beat(E1);
      await world.store.beat(E1);
      expect(await world.store.readBeat()).toEqual({ epoch: E1, n: 2 });
      await world.store.beat(E2);
      await world.store.beat(E1);
      expect(await world.store.readBeat()).toEqual({ epoch: E2, n: 3 });
    },
  },
  {
    id: 'RS11b',
    says: 'a leader that resigns leaves n = 0 where its own beat is, and beats no more',
    check: async (world) => {
      const { store } = world;
      await startVoter(store);
      await store.resign(E1);
      expect(await store.readBeat()).toEqual({ epoch: 0, n: 0 });
      await store.beat(E2);
      // Somebody else's, earlier or later, in this round or another.
      for (const other of [E1, E3, epochOf(2, 0), epochOf(2, 200)]) await store.resign(other);
      expect(await store.readBeat()).toEqual({ epoch: E2, n: 1 });
      await store.resign(E2);
      await store.beat(E2);
      expect(await store.readBeat()).toEqual({ epoch: E2, n: 0 });
      await store.beat(E3);
      expect(await store.readBeat()).toEqual({ epoch: E3, n: 1 });
    },
  },
];
