import { expect } from 'vitest';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { AssertionFailed } from '../../lib/core/assert.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, unseal } from '../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { Fence, ReplicaStore } from '../../lib/port/replica-store.ts';
import type { ReplicaWorld } from '../../ops/sim/conformance/replica-world.ts';
import { SET } from '../../ops/sim/conformance/replica-world.ts';
import {
  E1,
  E2,
  E3,
  FENCE_A,
  FENCE_B,
  OWNER_B,
  makeChain,
  makeEntry,
  startVoter,
  commitTo,
} from './replica-world.ts';
import type { Rule } from './rule.ts';

const put = (at: number) =>
  [{ kind: 'put', table: 'totals', row: [`user ${at}`, at, 1, null] }] as const;

/** A voter with entries 1..3 of owner A. */
async function withThree(store: ReplicaStore): Promise<[Entry, Entry, Entry]> {
  await startVoter(store);
  const chain = makeChain({ prev: null, count: 3, changes: put });
  const reply = await store.append({ fence: FENCE_A, entries: chain });
  expect(reply).toEqual({ kind: 'acked', lsn: 3 });
  return chain as [Entry, Entry, Entry];
}

async function readAll(store: ReplicaStore): Promise<Entry[]> {
  return store.read({ after: lsn(0), limitBytes: 1_000_000 });
}

async function isUnchanged(store: ReplicaStore, expected: readonly Entry[]): Promise<void> {
  expect(await readAll(store)).toEqual(expected);
}

/** RS3, RS4, RS5, RS10: the journal. */
export const JOURNAL_RULES: readonly Rule<ReplicaWorld>[] = [
  {
    id: 'RS3a',
    says: 'chained entries are acknowledged and come back byte for byte, also after a restart',
    check: async (world) => {
      const chain = await withThree(world.store);
      const next = makeEntry({ prev: chain[2], payload: new Uint8Array(0) });
      const reply = await world.store.append({ fence: FENCE_A, entries: [next] });
      expect(reply).toEqual({ kind: 'acked', lsn: 4 });
      await world.restart();
      await isUnchanged(world.store, [...chain, next]);
    },
  },
  {
    id: 'RS3b',
    says: 'another epoch or owner is fenced, told the fence, and writes nothing',
    check: async (world) => {
      const chain = await withThree(world.store);
      const next = makeEntry({ prev: chain[2], changes: put(4) });
      const others: Fence[] = [FENCE_B, { ...FENCE_A, owner: OWNER_B }, { ...FENCE_B, epoch: E3 }];
      for (const fence of others) {
        const reply = await world.store.append({ fence, entries: [next] });
        expect(reply).toEqual({ kind: 'fenced', fenceEpoch: E1 });
      }
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3c',
    says: 'another incarnation has no vote',
    check: async (world) => {
      const chain = await withThree(world.store);
      const next = makeEntry({ prev: chain[2] });
      const fence = { ...FENCE_A, incarnation: 2 };
      expect(await world.store.append({ fence, entries: [next] })).toEqual({ kind: 'no_vote' });
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3d',
    says: 'a gap is a mismatch that tells the head',
    check: async (world) => {
      const chain = await withThree(world.store);
      const [, five] = makeChain({ prev: chain[2], count: 2 });
      const reply = await world.store.append({ fence: FENCE_A, entries: [five as Entry] });
      expect(reply).toEqual({
        kind: 'mismatch',
        head: { lsn: 3, epoch: E1, sum: chain[2].sum },
      });
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3e',
    says: 'another entry before is a mismatch',
    check: async (world) => {
      const chain = await withThree(world.store);
      const other = makeEntry({ prev: chain[1], changes: put(99) });
      const next = makeEntry({ prev: other, changes: put(4) });
      const reply = await world.store.append({ fence: FENCE_A, entries: [next] });
      expect(reply).toMatchObject({ kind: 'mismatch', head: { lsn: 3 } });
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3f',
    says: 'the same bytes again are acknowledged, alone, in the middle and with new ones (P8)',
    check: async (world) => {
      const chain = await withThree(world.store);
      const next = makeEntry({ prev: chain[2], changes: put(4) });
      const again = async (entries: readonly Entry[]): Promise<unknown> =>
        world.store.append({ fence: FENCE_A, entries });
      expect(await again([chain[1]])).toEqual({ kind: 'acked', lsn: 2 });
      expect(await again(chain)).toEqual({ kind: 'acked', lsn: 3 });
      expect(await again([chain[1], chain[2], next])).toEqual({ kind: 'acked', lsn: 4 });
      await isUnchanged(world.store, [...chain, next]);
    },
  },
  {
    id: 'RS3g',
    says: 'other bytes at a place that is taken are a mismatch and nothing of the call is written',
    check: async (world) => {
      const chain = await withThree(world.store);
      const other = makeChain({ prev: chain[1], count: 3, changes: (at) => put(at + 50) });
      const alone = await world.store.append({ fence: FENCE_A, entries: other.slice(0, 1) });
      expect(alone).toMatchObject({ kind: 'mismatch', head: { lsn: 3 } });
      const among = await world.store.append({ fence: FENCE_A, entries: [chain[1], ...other] });
      expect(among).toMatchObject({ kind: 'mismatch', head: { lsn: 3 } });
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3h',
    says: 'without a row there is no vote',
    check: async (world) => {
      const entries = makeChain({ prev: null, count: 1 });
      expect(await world.store.append({ fence: FENCE_A, entries })).toEqual({ kind: 'no_vote' });
      await isUnchanged(world.store, []);
    },
  },
  {
    id: 'RS3i',
    says: 'after a restart there is no vote, not even for bytes that are there (P3b)',
    check: async (world) => {
      const chain = await withThree(world.store);
      await world.restart();
      const next = makeEntry({ prev: chain[2] });
      for (const entries of [[next], [chain[2]]]) {
        expect(await world.store.append({ fence: FENCE_A, entries })).toEqual({ kind: 'no_vote' });
      }
      await isUnchanged(world.store, chain);
    },
  },
  {
    id: 'RS3j',
    says: 'entries of earlier epochs are taken unchanged (P4)',
    check: async (world) => {
      await startVoter(world.store);
      await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      const old = makeChain({ prev: null, count: 2, epoch: E1 });
      const entries = [...old, makeEntry({ prev: old[1] as Entry, epoch: E2 })];
      const reply = await world.store.append({ fence: FENCE_B, entries });
      expect(reply).toEqual({ kind: 'acked', lsn: 3 });
      await isUnchanged(world.store, entries);
    },
  },
  {
    id: 'RS3k',
    says: 'what a caller does to its bytes afterwards does not reach the journal',
    check: async (world) => {
      await startVoter(world.store);
      const entry = makeEntry({ prev: null, changes: put(1) });
      const sent = { ...entry, payload: entry.payload.slice(), sum: entry.sum.slice() };
      await world.store.append({ fence: FENCE_A, entries: [sent] });
      sent.payload.fill(0);
      sent.sum.fill(0);
      const [first] = await readAll(world.store);
      first?.payload.fill(0);
      await isUnchanged(world.store, [entry]);
    },
  },
  {
    id: 'RS3l',
    says: 'entries that no correct caller sends are an assertion and write nothing',
    check: async (world) => {
      await startVoter(world.store);
      const [one, two, three] = makeChain({ prev: null, count: 3 }) as [Entry, Entry, Entry];
      const ahead = makeEntry({ prev: null, epoch: E2 });
      const bad = [[], [one, three], [{ ...one, setId: setId(8) }], [ahead]];
      const other = makeEntry({ prev: makeEntry({ prev: null, changes: put(9) }) });
      for (const entries of [...bad, [one, other], [two, one]]) {
        const call = world.store.append({ fence: FENCE_A, entries });
        await expect(call).rejects.toBeInstanceOf(AssertionFailed);
      }
      await isUnchanged(world.store, []);
    },
  },
  {
    id: 'RS4a',
    says: 'rows above are moved to the discarded ones, with the epoch that discarded them',
    check: async (world) => {
      const chain = await withThree(world.store);
      await world.store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(await world.store.truncate({ fence: FENCE_B, after: lsn(1), head: chain[2] })).toBe(
        'done',
      );
      await isUnchanged(world.store, chain.slice(0, 1));
      const moved = chain.slice(1).map((entry) => ({ lsn: entry.lsn, sum: entry.sum, by: E2 }));
      expect(await world.discarded()).toEqual(moved);
    },
  },
  {
    id: 'RS4b',
    says: 'only the holder of the fence truncates',
    check: async (world) => {
      const chain = await withThree(world.store);
      for (const fence of [
        FENCE_B,
        { ...FENCE_A, owner: OWNER_B },
        { ...FENCE_A, incarnation: 2 },
      ]) {
        expect(await world.store.truncate({ fence, after: lsn(0), head: chain[2] })).toBe('fenced');
      }
      await isUnchanged(world.store, chain);
      expect(await world.discarded()).toEqual([]);
    },
  },
  {
    id: 'RS4c',
    says: 'a committed row is never truncated: the call is rejected',
    check: async (world) => {
      const chain = await withThree(world.store);
      await commitTo(world.store, 2);
      const call = world.store.truncate({ fence: FENCE_A, after: lsn(1), head: chain[2] });
      await expect(call).rejects.toMatchObject({ name: 'StoreError', code: 'rejected' });
      await isUnchanged(world.store, chain);
      const above = { fence: FENCE_A, after: lsn(2), head: chain[2] };
      expect(await world.store.truncate(above)).toBe('done');
    },
  },
  {
    id: 'RS4d',
    says: 'another chain can follow, and one place may be discarded more than once',
    check: async (world) => {
      const chain = await withThree(world.store);
      await world.store.truncate({ fence: FENCE_A, after: lsn(2), head: chain[2] });
      const other = makeEntry({ prev: chain[1], changes: put(33) });
      const reply = await world.store.append({ fence: FENCE_A, entries: [other] });
      expect(reply).toEqual({ kind: 'acked', lsn: 3 });
      await world.store.truncate({ fence: FENCE_A, after: lsn(2), head: other });
      expect((await world.discarded()).map(({ sum }) => sum)).toEqual([chain[2].sum, other.sum]);
    },
  },
  {
    id: 'RS4e',
    says: 'one that lands late finds another head, and cuts nothing off',
    check: async (world) => {
      const chain = await withThree(world.store);
      const late = { fence: FENCE_A, after: lsn(1), head: chain[2] };
      expect(await world.store.truncate(late)).toBe('done');
      const other = makeChain({ prev: chain[0], count: 2, changes: (at) => put(at + 50) });
      await world.store.append({ fence: FENCE_A, entries: other });
      expect(await world.store.truncate(late)).toBe('mismatch');
      const short = { ...late, head: other[0] as Entry };
      expect(await world.store.truncate(short)).toBe('mismatch');
      await isUnchanged(world.store, [chain[0], ...other]);
    },
  },
  {
    id: 'RS5a',
    says: 'entries above come in order within the limit, but at least one',
    check: async (world) => {
      const chain = await withThree(world.store);
      const size = chain[0].payload.length;
      const read = async (after: number, limitBytes: number): Promise<number[]> =>
        (await world.store.read({ after: lsn(after), limitBytes })).map((entry) => entry.lsn);
      expect(await read(0, size * 3)).toEqual([1, 2, 3]);
      expect(await read(0, size * 3 - 1)).toEqual([1, 2]);
      expect(await read(1, 0)).toEqual([2]);
      expect(await read(3, size)).toEqual([]);
      expect(await read(9, size)).toEqual([]);
    },
  },
  {
    id: 'RS5c',
    says: 'as many as fit: empty ones still follow where the limit is reached',
    check: async (world) => {
      const chain: Entry[] = [];
      const payload = (at: number): Uint8Array => new Uint8Array(at === 1 ? 10 : 0);
      while (chain.length < 150) {
        const prev = chain.at(-1) ?? null;
        chain.push(makeEntry({ prev, payload: payload(chain.length) }));
      }
      await startVoter(world.store);
      await world.store.append({ fence: FENCE_A, entries: chain });
      const read = async (after: number, limitBytes: number): Promise<number> =>
        (await world.store.read({ after: lsn(after), limitBytes })).length;
      expect(await read(2, 0)).toBe(148);
      expect(await read(0, 10)).toBe(150);
      expect(await read(0, 9)).toBe(1);
    },
  },
  {
    id: 'RS5b',
    says: 'a flipped bit comes back as it is, and unseal names Set and LSN',
    check: async (world) => {
      const chain = await withThree(world.store);
      await world.flipPayloadBit(2);
      const entry = (await readAll(world.store))[1];
      expect(entry?.sum).toEqual(chain[1].sum);
      expect(entry?.payload).not.toEqual(chain[1].payload);
      const check = (): void => unseal({ entry: entry as Entry, prev: chain[0].sum, hash: sha256 });
      expect(check).toThrow(CorruptEntry);
      expect(check).toThrow(`Set ${SET}, LSN 2`);
    },
  },
  {
    id: 'RS10a',
    says: 'the commit point rises, never falls and survives a restart',
    check: async (world) => {
      await withThree(world.store);
      expect(await world.store.commitLsn()).toBe(0);
      await commitTo(world.store, 2);
      await commitTo(world.store, 1);
      await world.restart();
      expect(await world.store.commitLsn()).toBe(2);
    },
  },
  {
    id: 'RS10b',
    says: 'a commit point that names an entry which is not there changes nothing',
    check: async (world) => {
      const chain = await withThree(world.store);
      await world.store.setCommit(makeEntry({ prev: chain[2] }));
      expect(await world.store.commitLsn()).toBe(0);
      // An old disk may have another chain under the same numbers.
      await world.store.setCommit(makeEntry({ prev: chain[0], epoch: E2 }));
      expect(await world.store.commitLsn()).toBe(0);
      await world.store.setCommit(chain[2]);
      expect(await world.store.commitLsn()).toBe(3);
    },
  },
  {
    id: 'RS15a',
    says: 'after close every call is unavailable; closing twice is fine',
    check: async (world) => {
      const { store } = world;
      const chain = await withThree(store);
      await store.close();
      await store.close();
      const calls = [
        store.append({ fence: FENCE_A, entries: [makeEntry({ prev: chain[2] })] }),
        store.takeOver({ epoch: E2, owner: OWNER_B }),
        store.projectedLsn(),
      ];
      for (const result of await Promise.allSettled(calls)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
      }
      await world.restart();
      await isUnchanged(world.store, chain);
    },
  },
];
