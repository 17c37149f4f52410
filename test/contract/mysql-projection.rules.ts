import { expect } from 'vitest';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { MysqlProjectors } from '../../lib/adapter/mysql-projector.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { Change, ReplicaStore, Scan } from '../../lib/port/replica-store.ts';
import { openMemoryWorld } from '../../ops/sim/conformance/memory-world.ts';
import type { ServerWorld } from './mysql-server.rules.ts';
import type { MysqlBench } from './mysql-world.ts';
import { SCHEMA_MODULE, SET } from '../../ops/sim/conformance/replica-world.ts';
import { FENCE_A, codeOf, commitTo, makeChain, startVoter } from './replica-world.ts';
import type { Rule } from './rule.ts';

const PEOPLE = ['ann', 'ann ', 'Ann', '红包', '\u{1f9e7}', '', "o'neil \\ \u0000"];
const GROUPS = [0n, (1n << 53n) + 1n, (1n << 63n) - 1n];
const SEEDS = 8;
const ENTRIES = 24;

/** Few rows and many changes: what is folded into one statement must come out as one by one. */
function randomChange(random: SeededRandom): Change {
  const who = PEOPLE[random.below(PEOPLE.length)] ?? '';
  const group = GROUPS[random.below(GROUPS.length)] ?? 0n;
  const seq = random.below(3);
  const amount = random.below(2 ** 31) - 2 ** 30;
  const note = random.below(3) === 0 ? null : `${who}'s \\ note`;
  // Rarely equal in the unique index; then both must refuse.
  const token = random.below(3) === 0 ? null : random.bytes(2);
  switch (random.below(7)) {
    case 0:
      return { kind: 'put', table: 'totals', row: [who, amount, seq, note] };
    case 1:
      return { kind: 'set', table: 'totals', key: [who], values: { note, times: seq } };
    case 2:
      return { kind: 'set', table: 'totals', key: [who], values: { amount } };
    case 3:
      return { kind: 'add', table: 'totals', key: [who], deltas: { amount } };
    case 4:
      return { kind: 'add', table: 'totals', key: [who], deltas: { times: 1, amount: -3 } };
    case 5:
      return { kind: 'set', table: 'items', key: [group, seq], values: { author: who, token } };
    default:
      return { kind: 'put', table: 'items', row: [group, seq, who, note, token, 1] };
  }
}

const SCANS: readonly Scan[] = [
  { table: 'totals', prefix: [], limit: 100 },
  { table: 'totals', prefix: [], from: 'ann', to: 'ann ', reverse: true, limit: 100 },
  { table: 'items', prefix: [], limit: 100 },
  { table: 'items', prefix: [GROUPS[1] ?? 0n], from: 1, limit: 2 },
  { table: 'items', index: 'by_author', prefix: [], reverse: true, limit: 100 },
  { table: 'items', index: 'by_token', prefix: [], limit: 100 },
  { table: 'items', index: 'by_token', prefix: [null], limit: 100 },
];

async function show(store: ReplicaStore, seed: number): Promise<unknown[]> {
  const random = new SeededRandom(seed);
  const lists = Array.from({ length: ENTRIES }, () =>
    Array.from({ length: random.below(12) }, () => randomChange(random)),
  );
  await startVoter(store);
  const entries = makeChain({ prev: null, count: ENTRIES, changes: (at) => lists[at - 1] ?? [] });
  await store.append({ fence: FENCE_A, entries });
  await commitTo(store, ENTRIES);
  const seen: unknown[] = [];
  for (const to of [5, ENTRIES]) {
    const end = await store.project(lsn(to)).catch(codeOf);
    // After a refusal the two may have come to different ends of a chunk.
    if (end !== to) return [...seen, end];
    for (const scan of SCANS) seen.push(await store.scan(scan));
  }
  return seen;
}

const addTo = (who: string, amount: number): Change => ({
  kind: 'add',
  table: 'totals',
  key: [who],
  deltas: { amount },
});

async function filled(store: ReplicaStore, entries: readonly Entry[]): Promise<void> {
  await startVoter(store);
  await store.append({ fence: FENCE_A, entries });
  const last = entries.at(-1);
  if (last !== undefined) await store.setCommit(last);
}

/** Another database of the server as a second replica, and the thread that both are projected in. */
async function twoReplicas(bench: MysqlBench, database: number) {
  const at = { setId: setId(database), password: 'secret' };
  const projectIn = new MysqlProjectors({ setId: SET, schemaModule: SCHEMA_MODULE });
  const other = await bench.open({ url: await bench.disk.server.createSet(at), projectIn });
  const admin = await bench.disk.connect(
    await bench.disk.server.createSet({ ...at, role: 'test' }),
  );
  const change = async (sql: string): Promise<void> => {
    await admin.query(sql);
  };
  const dispose = async (): Promise<void> => {
    await other.close();
    admin.destroy();
  };
  return { other, dispose, sibling: { projectIn, change } };
}

/** RS12 and RS13, once more for what only these statements could get wrong. */
export const STATEMENT_RULES: readonly Rule<ServerWorld>[] = [
  {
    id: 'RS13g',
    says: 'memory and MySQL show the same rows for any changes, folded into large statements',
    check: async ({ bench }) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const twin = openMemoryWorld();
        await bench.disk.empty();
        const real = await bench.open({ projectIn: 'caller' });
        const [a, b] = [await show(twin.store, seed), await show(real, seed)];
        expect({ seed, seen: b }).toEqual({ seed, seen: a });
        await Promise.all([twin.dispose(), real.close()]);
      }
    },
  },
  {
    id: 'RS12i',
    says: 'a flipped bit that still decodes never becomes a number',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const add: Change = { kind: 'add', table: 'totals', key: ['ann'], deltas: { amount: 4 } };
      const entries = makeChain({ prev: null, count: 2, changes: () => [add] });
      await store.append({ fence: FENCE_A, entries });
      await commitTo(store, 2);
      // The amount is the last eight bytes, lowest first.
      const flipped = 'INSERT(payload, LENGTH(payload) - 7, 1, CHAR(5 USING binary))';
      expect(await bench.disk.change(`UPDATE journal SET payload = ${flipped} WHERE lsn = 2`)).toBe(
        1,
      );
      await expect(store.project(lsn(2))).rejects.toMatchObject({ code: 'corrupt' });
      await expect(store.project(lsn(2))).rejects.toThrow('Set 7, LSN 2');
    },
  },
  {
    id: 'RS12j',
    says: 'thousands of rows of every kind of change go through in chunks',
    check: async ({ store }) => {
      await startVoter(store);
      const body = 'x'.repeat(50_000);
      const changes = (at: number): Change[] =>
        Array.from({ length: 40 }, (_, index): Change[] => {
          const who = `user ${(at * 40 + index) % 900}`;
          return [
            { kind: 'add', table: 'totals', key: [who], deltas: { amount: 1 } },
            {
              kind: 'set',
              table: 'totals',
              key: [who],
              values: { note: index === 0 ? body : who },
            },
          ];
        }).flat();
      const entries = makeChain({ prev: null, count: 90, changes });
      await store.append({ fence: FENCE_A, entries });
      await commitTo(store, 90);
      expect(await store.project(lsn(90))).toBe(90);
      const { rows } = await store.scan({ table: 'totals', prefix: [], limit: 1_000 });
      expect(rows).toHaveLength(900);
      expect(rows.every((row) => row[1] === 4 && row[2] === 0)).toBe(true);
      // Of the last 900 pairs of changes, those that begin an entry.
      expect(rows.filter((row) => row[3] === body)).toHaveLength(22);
    },
  },
  {
    id: 'RS12k',
    says: 'a replica is filled from its sibling only where its own journal has the same checksums',
    check: async ({ bench, store }) => {
      const { sibling, other, dispose } = await twoReplicas(bench, 8);
      const first = await bench.open({ projectIn: sibling.projectIn });
      const entries = makeChain({ prev: null, count: 4, changes: () => [addTo('ann', 1)] });
      for (const each of [store, other]) await filled(each, entries);
      expect(await first.project(lsn(2))).toBe(2);
      // Its payload is not read: what was verified under this checksum are the same bytes.
      await sibling.change("UPDATE journal SET payload = '' WHERE lsn = 2");
      expect(await other.project(lsn(2))).toBe(2);
      // Never above its own commit point, whatever a sibling has.
      expect(await first.project(lsn(4))).toBe(4);
      await sibling.change('UPDATE commit_point SET commit_lsn = 3');
      expect(await other.project(lsn(4))).toBe(3);
      await sibling.change('UPDATE commit_point SET commit_lsn = 4');
      expect(await other.project(lsn(4))).toBe(4);
      for (const each of [first, other]) {
        const { rows } = await each.scan({ table: 'totals', prefix: [], limit: 9 });
        expect(rows).toEqual([['ann', 4, 0, null]]);
      }
      await Promise.all([first.close(), dispose()]);
    },
  },
  {
    id: 'RS12l',
    says: 'a journal with another checksum, or with a hole, is never passed over by a sibling',
    check: async ({ bench, store }) => {
      const { sibling, other, dispose } = await twoReplicas(bench, 9);
      const first = await bench.open({ projectIn: sibling.projectIn });
      const entries = makeChain({ prev: null, count: 3, changes: () => [addTo('ann', 1)] });
      for (const each of [store, other]) await filled(each, entries);
      expect(await first.project(lsn(3))).toBe(3);
      await sibling.change('UPDATE journal SET sum = REVERSE(sum) WHERE lsn = 2');
      await expect(other.project(lsn(3))).rejects.toMatchObject({ code: 'corrupt' });
      await expect(other.project(lsn(3))).rejects.toThrow('Set 7, LSN 2');
      await sibling.change('DELETE FROM journal WHERE lsn = 2');
      await expect(other.project(lsn(3))).rejects.toMatchObject({ code: 'corrupt' });
      // As far as its own journal goes, and no further.
      expect(await other.projectedLsn()).toBe(lsn(1));
      await Promise.all([first.close(), dispose()]);
    },
  },
  {
    id: 'RS12m',
    says: 'a sibling that stands still holds up nobody, though it was first',
    check: async ({ bench, store }) => {
      const { sibling, other, dispose } = await twoReplicas(bench, 10);
      const first = await bench.open({ projectIn: sibling.projectIn });
      const entries = makeChain({ prev: null, count: 3, changes: () => [addTo('ann', 1)] });
      for (const each of [store, other]) await filled(each, entries);
      expect(await Promise.all([first.project(lsn(1)), other.project(lsn(1))])).toEqual([1, 1]);
      await sibling.change('LOCK TABLES journal WRITE, commit_point READ, projection_state READ');
      const stuck = other.project(lsn(3)).catch(codeOf);
      const startMs = performance.now();
      expect(await first.project(lsn(3))).toBe(3);
      expect(performance.now() - startMs).toBeLessThan(1_500);
      await sibling.change('UNLOCK TABLES');
      await stuck;
      expect(await other.project(lsn(3))).toBe(3);
      await Promise.all([first.close(), dispose()]);
    },
  },
  {
    id: 'RS25c',
    says: 'an append is one statement on the wire, of one entry as of many',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const chain = makeChain({ prev: null, count: 40 });
      const questions = async (): Promise<number> => {
        const [row] = await bench.disk.query("SHOW GLOBAL STATUS LIKE 'Questions'");
        return Number(row?.['Value']);
      };
      await store.append({ fence: FENCE_A, entries: chain.slice(0, 1) });
      await store.append({ fence: FENCE_A, entries: chain.slice(1, 11) });
      const before = await questions();
      for (let at = 11; at < 20; at++) {
        await store.append({ fence: FENCE_A, entries: chain.slice(at, at + 1) });
      }
      await store.append({ fence: FENCE_A, entries: chain.slice(20, 30) });
      // The look itself is one.
      expect((await questions()) - before).toBe(9 + 1 + 1);
    },
  },
];
