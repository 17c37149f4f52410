import { expect } from 'vitest';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
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
  makeEntry,
  startVoter,
  commitTo,
} from './replica-world.ts';
import type { Rule } from './rule.ts';

const EMPTY = { lsn: lsn(0), sum: ZERO_SUM };
/** What the leader of E2 admits an empty replica with. */
const ADMIT = {
  epoch: E2,
  owner: OWNER_B,
  incarnation: 40,
  incarnations: [40, 1, 1],
  clusterId: CLUSTER,
  replicaId: 0,
  head: EMPTY,
};
const BY_B = { epoch: E2, owner: OWNER_B, incarnation: 40 };
const AGAIN = { ...FENCE_B, incarnation: 40 };

async function voterWith(store: ReplicaStore, count: number): Promise<Entry[]> {
  await startVoter(store);
  const chain = makeChain({ prev: null, count });
  await store.append({ fence: FENCE_A, entries: chain });
  return chain;
}

async function sums(store: ReplicaStore): Promise<Uint8Array[]> {
  const entries = await store.read({ after: lsn(0), limitBytes: 1_000_000 });
  return entries.map((entry) => entry.sum);
}

const sumsOf = (entries: readonly Entry[]): Uint8Array[] => entries.map((entry) => entry.sum);

/** RS8, RS9: a replica that lost its disk, its proof or its memory comes back (P9). */
export const READMIT_RULES: readonly Rule<ReplicaWorld>[] = [
  {
    id: 'RS8a',
    says: 'a replica without a row takes a journal, and gets no vote by it',
    check: async (world) => {
      const chain = makeChain({ prev: null, count: 3 });
      const first = await world.store.restore({
        ...BY_B,
        after: lsn(0),
        entries: chain.slice(0, 2),
      });
      expect(first).toBe('done');
      const second = await world.store.restore({ ...BY_B, after: lsn(2), entries: chain.slice(2) });
      expect(second).toBe('done');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
      expect(await world.store.takeOver({ epoch: E3, owner: OWNER_A })).toEqual({ kind: 'no_row' });
      const next = makeEntry({ prev: chain[2] as Entry, epoch: E2 });
      const append = await world.store.append({ fence: FENCE_B, entries: [next] });
      expect(append).toEqual({ kind: 'no_vote' });
    },
  },
  {
    id: 'RS8b',
    says: 'a proved voter refuses',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      const reply = await world.store.restore({ ...BY_B, after: lsn(0), entries: [] });
      expect(reply).toBe('has_vote');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
    },
  },
  {
    id: 'RS8c',
    says: 'a doubtful replica with a higher fence, or this one of another owner, refuses',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      await world.restart();
      const nothing = { after: lsn(0), entries: [] };
      const lower = await world.store.restore({ ...BY_B, epoch: E1, owner: OWNER_A, ...nothing });
      expect(lower).toBe('fenced');
      const other = await world.store.restore({ ...BY_B, owner: OWNER_A, ...nothing });
      expect(other).toBe('fenced');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
    },
  },
  {
    id: 'RS8d',
    says: 'rows that are right stay, others are discarded, and saying it twice is the same',
    check: async (world) => {
      const old = await voterWith(world.store, 4);
      await commitTo(world.store, 2);
      await world.restart();
      const kept = old.slice(0, 2);
      const other = makeChain({ prev: kept[1] as Entry, count: 1, epoch: E2 });
      const entries = [...kept, ...other];
      for (let time = 0; time < 2; time++) {
        expect(await world.store.restore({ ...BY_B, after: lsn(0), entries })).toBe('done');
        expect(await sums(world.store)).toEqual(sumsOf(entries));
        expect((await world.discarded()).map(({ lsn: at, by }) => [at, by])).toEqual([
          [3, E2],
          [4, E2],
        ]);
      }
    },
  },
  {
    id: 'RS8e',
    says: 'entries that do not follow what is there are a mismatch and change nothing',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      await world.restart();
      const far = makeChain({ prev: chain[1] as Entry, count: 2 }).slice(1);
      const gap = await world.store.restore({ ...BY_B, after: lsn(3), entries: far });
      expect(gap).toBe('mismatch');
      const foreign = makeChain({ prev: makeEntry({ prev: null, epoch: E2 }), count: 1 });
      const wrong = await world.store.restore({ ...BY_B, after: lsn(1), entries: foreign });
      expect(wrong).toBe('mismatch');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
      expect(await world.discarded()).toEqual([]);
    },
  },
  {
    id: 'RS8f',
    says: 'a bit that rotted in a kept row is put right',
    check: async (world) => {
      await startVoter(world.store);
      const entry = makeEntry({ prev: null, payload: Uint8Array.of(1, 2, 3) });
      await world.store.append({ fence: FENCE_A, entries: [entry] });
      await world.flipPayloadBit(1);
      await world.restart();
      await world.store.restore({ ...BY_B, after: lsn(0), entries: [entry] });
      expect(await world.store.read({ after: lsn(0), limitBytes: 10 })).toEqual([entry]);
    },
  },
  {
    id: 'RS8g',
    says: 'a late call of an earlier incarnation is fenced, also where there is no row',
    check: async (world) => {
      const chain = makeChain({ prev: null, count: 3 });
      const restore = (by: Partial<typeof BY_B>, entries: readonly Entry[]): Promise<string> =>
        world.store.restore({ ...BY_B, ...by, after: lsn(0), entries });
      expect(await restore({ incarnation: 41 }, chain)).toBe('done');
      expect(await restore({ incarnation: 40 }, [])).toBe('fenced');
      expect(await restore({ epoch: E1, owner: OWNER_A, incarnation: 90 }, [])).toBe('fenced');
      expect(await restore({ owner: OWNER_A, incarnation: 41 }, [])).toBe('fenced');
      expect(await restore({ owner: OWNER_A, incarnation: 42 }, [])).toBe('fenced');
      await world.restart();
      expect(await restore({ incarnation: 40 }, [])).toBe('fenced');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
      expect(await restore({ incarnation: 41 }, chain.slice(0, 2))).toBe('done');
      expect(await restore({ epoch: E3, owner: OWNER_A, incarnation: 50 }, [])).toBe('done');
      expect(await sums(world.store)).toEqual([]);
    },
  },
  {
    id: 'RS8h',
    says: 'a call that lands after its own admission is fenced',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      await world.restart();
      expect(await world.store.admit({ ...ADMIT, head: chain[1] as Entry })).toBe('done');
      await world.restart();
      const late = await world.store.restore({ ...BY_B, after: lsn(0), entries: [] });
      expect(late).toBe('fenced');
      expect(await sums(world.store)).toEqual(sumsOf(chain));
    },
  },
  {
    id: 'RS8i',
    says: 'a mismatch is forgotten: the earlier incarnation goes on',
    check: async (world) => {
      const chain = makeChain({ prev: null, count: 3 });
      await world.store.restore({ ...BY_B, after: lsn(0), entries: chain.slice(0, 1) });
      const newer = { ...BY_B, incarnation: 41 };
      const gap = await world.store.restore({ ...newer, after: lsn(2), entries: chain.slice(2) });
      expect(gap).toBe('mismatch');
      const next = { ...BY_B, after: lsn(1), entries: chain.slice(1) };
      expect(await world.store.restore(next)).toBe('done');
    },
  },
  {
    id: 'RS9a',
    says: 'an admitted replica votes with its new incarnation and knows those of the others',
    check: async (world) => {
      const chain = makeChain({ prev: null, count: 2, epoch: E2 });
      await world.store.restore({ ...BY_B, after: lsn(0), entries: chain.slice(0, 1) });
      const admit = { ...ADMIT, incarnations: [40, 7, 1], head: chain[0] as Entry };
      expect(await world.store.admit(admit)).toBe('done');
      expect(await world.store.fenceRow()).toEqual({
        fenceEpoch: E2,
        fenceOwner: OWNER_B,
        incarnation: 40,
        proved: true,
      });
      const reply = await world.store.append({ fence: AGAIN, entries: chain.slice(1) });
      expect(reply).toEqual({ kind: 'acked', lsn: 2 });
      const report = await world.store.takeOver({ epoch: E3, owner: OWNER_A });
      expect(report).toMatchObject({ incarnation: 40, incarnations: [40, 7, 1], head: { lsn: 2 } });
    },
  },
  {
    id: 'RS9b',
    says: 'the same admission again, or one of an earlier incarnation, is refused (never resent)',
    check: async (world) => {
      expect(await world.store.admit(ADMIT)).toBe('done');
      await world.restart();
      expect(await world.store.admit(ADMIT)).toBe('fenced');
      expect(await world.store.admit({ ...ADMIT, incarnation: 39 })).toBe('fenced');
      expect(await world.store.fenceRow()).toMatchObject({ incarnation: 40, proved: false });
    },
  },
  {
    id: 'RS9c',
    says: 'a higher fence, or this one of another owner, refuses admission',
    check: async (world) => {
      await startVoter(world.store);
      await world.store.takeOver({ epoch: E3, owner: OWNER_A });
      await world.restart();
      expect(await world.store.admit(ADMIT)).toBe('fenced');
      expect(await world.store.admit({ ...ADMIT, epoch: E3 })).toBe('fenced');
      const row = { fenceEpoch: E3, fenceOwner: OWNER_A, incarnation: 1, proved: false };
      expect(await world.store.fenceRow()).toEqual(row);
    },
  },
  {
    id: 'RS9d',
    says: 'the proof of an admission ends with the next restart',
    check: async (world) => {
      await world.store.admit(ADMIT);
      await world.restart();
      const entries = makeChain({ prev: null, count: 1, epoch: E2 });
      expect(await world.store.append({ fence: AGAIN, entries })).toEqual({ kind: 'no_vote' });
    },
  },
  {
    id: 'RS9e',
    says: 'an old copy of the disk is in doubt, and the incarnation it remembers has no vote',
    check: async (world) => {
      const chain = await voterWith(world.store, 1);
      const copy = await world.copyDisk();
      await world.store.admit({ ...ADMIT, head: chain[0] as Entry });
      const next = makeEntry({ prev: chain[0] as Entry, epoch: E2 });
      const acked = await world.store.append({ fence: AGAIN, entries: [next] });
      expect(acked).toEqual({ kind: 'acked', lsn: 2 });
      await world.restoreDisk(copy);
      expect(await world.store.fenceRow()).toMatchObject({ incarnation: 1, proved: false });
      for (const fence of [AGAIN, FENCE_B, FENCE_A]) {
        const reply = await world.store
          .append({ fence, entries: [next].slice(0, 1) })
          .catch(() => null);
        expect(reply?.kind).not.toBe('acked');
      }
      const report = await world.store.takeOver({ epoch: E3, owner: OWNER_A });
      expect(report).toMatchObject({ kind: 'promised', proved: false, head: { lsn: 1 } });
    },
  },
  {
    id: 'RS9f',
    says: 'an empty disk has no vote until it is restored and admitted',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      await world.wipe();
      expect(await world.store.fenceRow()).toBeNull();
      await world.store.restore({ ...BY_B, after: lsn(0), entries: chain });
      expect(await world.store.admit({ ...ADMIT, head: chain[1] as Entry })).toBe('done');
      const next = makeEntry({ prev: chain[1] as Entry, epoch: E2 });
      const reply = await world.store.append({ fence: AGAIN, entries: [next] });
      expect(reply).toEqual({ kind: 'acked', lsn: 3 });
    },
  },
  {
    id: 'RS9g',
    says: 'the replica of another cluster or place is never admitted',
    check: async (world) => {
      await startVoter(world.store);
      const other = new Uint8Array(16).fill(9);
      for (const wrong of [
        { ...ADMIT, clusterId: other },
        { ...ADMIT, replicaId: 1 },
      ]) {
        await expect(world.store.admit(wrong)).rejects.toMatchObject({ code: 'rejected' });
      }
      expect(await world.store.fenceRow()).toMatchObject({ incarnation: 1, fenceEpoch: E1 });
    },
  },
  {
    id: 'RS9h',
    says: 'another head than the one that the leader brought is a mismatch and gives no vote',
    check: async (world) => {
      const chain = await voterWith(world.store, 2);
      await world.restart();
      const other = makeChain({ prev: chain[0] as Entry, count: 1, epoch: E2 });
      for (const head of [chain[0] as Entry, other[0] as Entry, EMPTY]) {
        expect(await world.store.admit({ ...ADMIT, head })).toBe('mismatch');
      }
      expect(await world.store.fenceRow()).toMatchObject({ incarnation: 1, proved: false });
      expect(await world.store.admit({ ...ADMIT, head: chain[1] as Entry })).toBe('done');
    },
  },
  {
    id: 'RS9i',
    says: 'an admission below the newest re-admission is fenced, and one above it is remembered',
    check: async (world) => {
      const newer = { ...BY_B, incarnation: 41 };
      await world.store.restore({ ...newer, after: lsn(0), entries: [] });
      expect(await world.store.admit(ADMIT)).toBe('fenced');
      expect(await world.store.admit({ ...ADMIT, incarnation: 42 })).toBe('done');
      await world.dropFenceRow();
      const late = await world.store.restore({ ...newer, after: lsn(0), entries: [] });
      expect(late).toBe('fenced');
      expect(await world.store.admit({ ...ADMIT, incarnation: 41 })).toBe('fenced');
    },
  },
  {
    id: 'RS19a',
    says: 'a probe tells the clock and the disk, which outlive a restart',
    check: async (world) => {
      const before = await world.store.probe();
      expect(Math.abs(before.clockMs - Date.now())).toBeLessThan(5_000);
      expect(before.dataDirectory).not.toBe('');
      await world.restart();
      expect(await world.store.probe()).toMatchObject({ dataDirectory: before.dataDirectory });
    },
  },
];
