import { expect } from 'vitest';
import { lsn } from '../../lib/core/units.ts';
import type { Change, ReplicaStore, Row, Scan, Value } from '../../lib/port/replica-store.ts';
import type { ReplicaWorld } from '../../ops/sim/conformance/replica-world.ts';
import { E2, FENCE_A, makeChain, makeEntry, startVoter, commitTo } from './replica-world.ts';
import type { Rule } from './rule.ts';

/** Beyond 2^53: a float would change it. */
const GROUP = 9_007_199_254_740_993n;

const item = (args: {
  seq: number;
  author?: string;
  body?: string | null;
  token?: Uint8Array | null;
  group?: bigint;
}): Change => ({
  kind: 'put',
  table: 'items',
  row: [
    args.group ?? GROUP,
    args.seq,
    args.author ?? 'ann',
    args.body ?? null,
    args.token ?? null,
    0,
  ],
});

const addTo = (owner: string, amount: number): Change => ({
  kind: 'add',
  table: 'totals',
  key: [owner],
  deltas: { amount, times: 1 },
});

/** Appends one entry for each list of changes and commits them all. */
async function committed(
  store: ReplicaStore,
  lists: readonly (readonly Change[])[],
): Promise<void> {
  await startVoter(store);
  const entries = makeChain({
    prev: null,
    count: lists.length,
    changes: (at) => lists[at - 1] ?? [],
  });
  await store.append({ fence: FENCE_A, entries });
  await commitTo(store, lists.length);
}

async function rows(store: ReplicaStore, scan: Partial<Scan> & { table: string }): Promise<Row[]> {
  return (await store.scan({ prefix: [], limit: 1_000, ...scan })).rows;
}

async function column(
  store: ReplicaStore,
  at: number,
  scan: Partial<Scan> & { table: string },
): Promise<Value[]> {
  return (await rows(store, scan)).map((row) => row[at] ?? null);
}

/** RS12, RS13, RS14: what people read, and the leader's memory. */
export const PROJECTION_RULES: readonly Rule<ReplicaWorld>[] = [
  {
    id: 'RS12a',
    says: 'only committed entries are projected, up to the LSN asked for',
    check: async (world) => {
      await startVoter(world.store);
      const entries = makeChain({ prev: null, count: 3, changes: (at) => [item({ seq: at })] });
      await world.store.append({ fence: FENCE_A, entries });
      expect(await world.store.project(lsn(3))).toBe(0);
      await commitTo(world.store, 2);
      expect(await world.store.project(lsn(1))).toBe(1);
      expect(await column(world.store, 1, { table: 'items' })).toEqual([1]);
      expect(await world.store.project(lsn(3))).toBe(2);
      expect(await world.store.projectedLsn()).toBe(2);
      expect(await world.store.scan({ table: 'items', prefix: [], limit: 9 })).toEqual({
        asOfLsn: 2,
        rows: [
          [GROUP, 1, 'ann', null, null, 0],
          [GROUP, 2, 'ann', null, null, 0],
        ],
      });
    },
  },
  {
    id: 'RS12b',
    says: 'projecting again changes nothing, and an earlier LSN does not go back',
    check: async (world) => {
      await committed(world.store, [[addTo('ann', 5)], [addTo('ann', 6)]]);
      expect(await world.store.project(lsn(2))).toBe(2);
      expect(await world.store.project(lsn(2))).toBe(2);
      expect(await world.store.project(lsn(1))).toBe(2);
      expect(await rows(world.store, { table: 'totals' })).toEqual([['ann', 11, 2, null]]);
    },
  },
  {
    id: 'RS12c',
    says: 'in pieces with restarts in between it is the same as at once',
    check: async (world) => {
      const lists = Array.from({ length: 9 }, (_, at) => [item({ seq: at }), addTo('ann', at)]);
      await committed(world.store, lists);
      for (const to of [2, 3, 7, 9]) {
        expect(await world.store.project(lsn(to))).toBe(to);
        await world.restart();
        expect(await world.store.projectedLsn()).toBe(to);
      }
      expect(await rows(world.store, { table: 'totals' })).toEqual([['ann', 36, 9, null]]);
      expect(await column(world.store, 1, { table: 'items' })).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    },
  },
  {
    id: 'RS12d',
    says: 'put replaces a row, set changes columns of one that is there, add starts from zero',
    check: async (world) => {
      const set = (seq: number): Change => ({
        kind: 'set',
        table: 'items',
        key: [GROUP, seq],
        values: { body: 'changed', hidden: 1 },
      });
      await committed(world.store, [
        [set(1), item({ seq: 1, body: 'one' }), item({ seq: 2, body: 'two' })],
        [set(1), set(3), item({ seq: 2, author: 'bob' })],
        [
          addTo('ann', -7),
          addTo('ann', 3),
          { kind: 'put', table: 'totals', row: ['bob', 1, 1, 'x'] },
        ],
        [addTo('bob', 10)],
      ]);
      await world.store.project(lsn(4));
      expect(await rows(world.store, { table: 'items' })).toEqual([
        [GROUP, 1, 'ann', 'changed', null, 1],
        [GROUP, 2, 'bob', null, null, 0],
      ]);
      expect(await rows(world.store, { table: 'totals' })).toEqual([
        ['ann', -4, 2, null],
        ['bob', 11, 2, 'x'],
      ]);
    },
  },
  {
    id: 'RS12e',
    says: 'two rows with one unique value are rejected, and the tables stay as they were',
    check: async (world) => {
      const token = Uint8Array.of(1);
      await committed(world.store, [
        [item({ seq: 1, token }), addTo('ann', 1)],
        [addTo('ann', 1), item({ seq: 2, token })],
      ]);
      expect(await world.store.project(lsn(1))).toBe(1);
      await expect(world.store.project(lsn(2))).rejects.toMatchObject({ code: 'rejected' });
      expect(await world.store.projectedLsn()).toBe(1);
      expect(await rows(world.store, { table: 'totals' })).toEqual([['ann', 1, 1, null]]);
      expect(await column(world.store, 1, { table: 'items' })).toEqual([1]);
    },
  },
  {
    id: 'RS12f',
    says: 'a flipped bit is reported as corrupt and never becomes a row',
    check: async (world) => {
      await committed(world.store, [[addTo('ann', 1)], [addTo('ann', 2)]]);
      await world.flipPayloadBit(2);
      await world.store.project(lsn(1));
      const call = world.store.project(lsn(2));
      await expect(call).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' });
      await expect(call).rejects.toThrow('Set 7, LSN 2');
      expect(await world.store.projectedLsn()).toBe(1);
    },
  },
  {
    id: 'RS12n',
    says: 'where a committed entry is missing the tables stop before it, and it is said',
    check: async (world) => {
      await committed(world.store, [[addTo('ann', 1)], [addTo('ann', 2)], [addTo('ann', 4)]]);
      const entries = (await world.store.read({ after: lsn(0), limitBytes: 9_999 })).slice(0, 2);
      await world.restart();
      const by = { epoch: E2, owner: FENCE_A.owner, incarnation: 2, after: lsn(0) };
      expect(await world.store.restore({ ...by, entries })).toBe('done');
      for (const _ of [1, 2]) {
        const call = world.store.project(lsn(3));
        await expect(call).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' });
        await expect(call).rejects.toThrow('Set 7, LSN 3');
        expect(await world.store.projectedLsn()).toBe(2);
        expect(await rows(world.store, { table: 'totals' })).toEqual([['ann', 3, 2, null]]);
      }
    },
  },
  {
    id: 'RS12g',
    says: 'a long way is gone in one call, and appends get in between',
    check: async (world) => {
      await startVoter(world.store);
      const changes = (at: number): Change[] => [item({ seq: at, body: 'x'.repeat(1_000) })];
      const entries = makeChain({ prev: null, count: 2_500, changes });
      await world.store.append({ fence: FENCE_A, entries });
      await commitTo(world.store, 2_500);
      const next = makeEntry({ prev: entries.at(-1) ?? null, changes: changes(2_501) });
      const [projected, appended] = await Promise.all([
        world.store.project(lsn(2_500)),
        world.store.append({ fence: FENCE_A, entries: [next] }),
      ]);
      expect(projected).toBe(2_500);
      expect(appended).toEqual({ kind: 'acked', lsn: 2_501 });
      const last = await rows(world.store, { table: 'items', reverse: true, limit: 1 });
      expect(last[0]?.[1]).toBe(2_500);
    },
  },
  {
    id: 'RS12h',
    says: 'truncated entries were never projected, and those that follow are',
    check: async (world) => {
      await startVoter(world.store);
      const [one, two] = makeChain({ prev: null, count: 2, changes: (at) => [addTo('ann', at)] });
      if (one === undefined || two === undefined) throw new Error('two entries');
      await world.store.append({ fence: FENCE_A, entries: [one, two] });
      await commitTo(world.store, 1);
      await world.store.project(lsn(2));
      const fence = { ...FENCE_A, epoch: E2 };
      await world.store.takeOver({ epoch: E2, owner: fence.owner });
      await world.store.truncate({ fence, after: lsn(1), head: two });
      const other = makeEntry({ prev: one, epoch: E2, changes: [addTo('ann', 100)] });
      await world.store.append({ fence, entries: [other] });
      await commitTo(world.store, 2);
      await world.store.project(lsn(2));
      expect(await rows(world.store, { table: 'totals' })).toEqual([['ann', 101, 2, null]]);
    },
  },
  {
    id: 'RS13a',
    says: 'a scan takes a prefix and inclusive bounds, forwards and backwards, up to its limit',
    check: async (world) => {
      const lists = [1, 2, 3, 4, 5].map((seq) => [item({ seq }), item({ seq, group: GROUP + 1n })]);
      await committed(world.store, lists);
      await world.store.project(lsn(5));
      const seqs = async (scan: Partial<Scan>): Promise<Value[]> =>
        column(world.store, 1, { table: 'items', prefix: [GROUP], ...scan });
      expect(await seqs({})).toEqual([1, 2, 3, 4, 5]);
      expect(await seqs({ from: 2, to: 4 })).toEqual([2, 3, 4]);
      expect(await seqs({ from: 4 })).toEqual([4, 5]);
      expect(await seqs({ to: 2 })).toEqual([1, 2]);
      expect(await seqs({ reverse: true, to: 4, limit: 2 })).toEqual([4, 3]);
      expect(await seqs({ limit: 2 })).toEqual([1, 2]);
      expect(await seqs({ prefix: [GROUP + 1n, 3] })).toEqual([3]);
      expect(await seqs({ prefix: [GROUP + 2n] })).toEqual([]);
    },
  },
  {
    id: 'RS13b',
    says: 'people and text are ordered and compared as UTF-8 bytes, and nothing is padded',
    check: async (world) => {
      // U+FF5E is below U+1F9E7 in bytes and above its first surrogate in JavaScript's order.
      const people = ['alice', 'alice ', 'Alice', '红包', '\u{ff5e}', '\u{1f9e7}', 'é', 'e\u0301'];
      await committed(world.store, [people.map((who) => addTo(who, 1))]);
      await world.store.project(lsn(1));
      const sorted = [...people].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await column(world.store, 0, { table: 'totals' })).toEqual(sorted);
      expect(await rows(world.store, { table: 'totals', prefix: ['alice'] })).toHaveLength(1);
      expect(await rows(world.store, { table: 'totals', prefix: ['ALICE'] })).toEqual([]);
    },
  },
  {
    id: 'RS13c',
    says: 'values come back exactly: ids of 63 bits, safe integers, empty and odd text, bytes, null',
    check: async (world) => {
      const id = 2n ** 63n - 1n;
      const body = "nul \u0000 quote ' \u{1f9e7}";
      const values: Row[] = [
        [0n, 0, 'a', '', new Uint8Array(0), 0],
        [id, Number.MAX_SAFE_INTEGER, 'b', body, Uint8Array.of(0, 255), 1],
        [id - 1n, 7, 'c', null, null, 0],
      ];
      await committed(world.store, [values.map((row) => ({ kind: 'put', table: 'items', row }))]);
      await world.store.project(lsn(1));
      expect(await rows(world.store, { table: 'items', limit: 1 })).toEqual([values[0]]);
      expect(await rows(world.store, { table: 'items', prefix: [id] })).toEqual([values[1]]);
      expect(await rows(world.store, { table: 'items', prefix: [id - 1n] })).toEqual([values[2]]);
    },
  },
  {
    id: 'RS13d',
    says: 'a scan by an index is ordered by it and then by the key',
    check: async (world) => {
      await committed(world.store, [
        [
          item({ seq: 3, author: 'bob', token: Uint8Array.of(9) }),
          item({ seq: 1, author: 'bob', token: Uint8Array.of(2) }),
          item({ seq: 2, author: 'ann', token: Uint8Array.of(5) }),
        ],
      ]);
      await world.store.project(lsn(1));
      const by = async (scan: Partial<Scan>): Promise<Value[]> =>
        column(world.store, 1, { table: 'items', ...scan });
      expect(await by({ index: 'by_author' })).toEqual([2, 1, 3]);
      expect(await by({ index: 'by_author', prefix: ['bob'] })).toEqual([1, 3]);
      expect(await by({ index: 'by_author', prefix: ['bob', GROUP], from: 2 })).toEqual([3]);
      expect(await by({ index: 'by_token', reverse: true })).toEqual([3, 2, 1]);
      expect(await by({ index: 'by_token', from: Uint8Array.of(3) })).toEqual([2, 3]);
    },
  },
  {
    id: 'RS13e',
    says: 'nulls are never equal in a unique index, can be looked up, and lie below every bound',
    check: async (world) => {
      await committed(world.store, [
        [item({ seq: 1 }), item({ seq: 2 }), item({ seq: 3, token: Uint8Array.of(1) })],
      ]);
      await world.store.project(lsn(1));
      const by = async (scan: Partial<Scan>): Promise<Value[]> =>
        column(world.store, 1, { table: 'items', index: 'by_token', ...scan });
      expect(await by({})).toEqual([1, 2, 3]);
      expect(await by({ prefix: [null] })).toEqual([1, 2]);
      expect(await by({ to: Uint8Array.of(9) })).toEqual([3]);
    },
  },
  {
    id: 'RS14a',
    says: 'the newest whole snapshot comes back; an older one does not replace it',
    check: async (world) => {
      expect(await world.store.readSnapshot()).toBeNull();
      const snapshot = (at: number) => ({
        lsn: lsn(at),
        chunks: [Uint8Array.of(at, 1), new Uint8Array(0), Uint8Array.of(at, 2)],
        manifest: Uint8Array.of(at),
      });
      await world.store.writeSnapshot(snapshot(5));
      await world.store.writeSnapshot(snapshot(9));
      await world.store.writeSnapshot(snapshot(7));
      await world.restart();
      expect(await world.store.readSnapshot()).toEqual(snapshot(9));
    },
  },
  {
    id: 'RS14b',
    says: 'chunks without their manifest are no snapshot, and can be written again',
    check: async (world) => {
      const whole = { lsn: lsn(5), chunks: [Uint8Array.of(1)], manifest: Uint8Array.of(2) };
      await world.store.writeSnapshot(whole);
      await world.dropManifest();
      expect(await world.store.readSnapshot()).toBeNull();
      const again = { ...whole, chunks: [Uint8Array.of(3), Uint8Array.of(4)] };
      await world.store.writeSnapshot(again);
      expect(await world.store.readSnapshot()).toEqual(again);
    },
  },
];
