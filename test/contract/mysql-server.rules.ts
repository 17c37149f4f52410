import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Timer } from '../../lib/port/clock.ts';
import type { Change, ReplicaStore } from '../../lib/port/replica-store.ts';
import type { MysqlBench } from './mysql-world.ts';
import {
  CLUSTER,
  E1,
  E2,
  E3,
  FENCE_A,
  FENCE_B,
  OWNER_A,
  OWNER_B,
  codeOf,
  makeChain,
  makeEntry,
  startVoter,
  commitTo,
} from './replica-world.ts';
import type { Rule } from './rule.ts';

/** A store on a bench whose database was emptied for it. */
export type ServerWorld = {
  readonly bench: MysqlBench;
  readonly store: ReplicaStore;
  dispose(): Promise<void>;
};

/** Deadlines come ten times as soon, so that a test need not wait 10 s for one. */
class HastyClock extends SystemClock {
  override after(delayMs: number, run: () => void): Timer {
    return super.after(delayMs / 10, run);
  }
}

async function voterWith(store: ReplicaStore, count: number): Promise<Entry[]> {
  await startVoter(store);
  const chain = makeChain({ prev: null, count });
  expect(await store.append({ fence: FENCE_A, entries: chain })).toMatchObject({ kind: 'acked' });
  return chain;
}

/** Sessions of the leader's user on the replica's database. */
async function sessions({ disk: { server } }: MysqlBench): Promise<number[]> {
  const rows = await server.query(
    `SELECT ID AS id FROM information_schema.PROCESSLIST
     WHERE USER = 's7_leader' AND DB = 'hongbao_set_7' AND COMMAND <> 'Killed' ORDER BY ID`,
  );
  return rows.map((row) => Number(row['id']));
}

/** How a call ended, and after how many milliseconds. */
async function timed(call: Promise<unknown>): Promise<{ how: string; ms: number }> {
  const started = performance.now();
  const how = await call.then(() => 'answered', codeOf);
  return { how, ms: performance.now() - started };
}

/** Of all users. The server looks anew only every tenth of a second. */
async function openTransactions({ disk: { server } }: MysqlBench): Promise<number> {
  await sleep(120);
  const rows = await server.query('SELECT COUNT(*) AS n FROM information_schema.INNODB_TRX');
  return Number(rows[0]?.['n']);
}

const FENCE_LOCK = 'SELECT 1 FROM replica_state WHERE set_id = 7 FOR UPDATE';

/** RS22 to RS24: what only a server with connections, locks and a process of its own can get wrong. */
export const SERVER_RULES: readonly Rule<ServerWorld>[] = [
  {
    id: 'RS22a',
    says: 'taking over cuts a session of the leader user that holds the fence, and no other user',
    check: async ({ bench, store }) => {
      await voterWith(store, 2);
      const paused = await bench.disk.connect();
      paused.on('error', () => undefined);
      await paused.query('START TRANSACTION');
      await paused.query(FENCE_LOCK);
      const other = await bench.disk.admin();
      const started = performance.now();
      const reply = await store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(reply).toMatchObject({ kind: 'promised', head: { lsn: 2 } });
      expect(performance.now() - started).toBeLessThan(900);
      await expect(paused.query('COMMIT')).rejects.toBeInstanceOf(Error);
      await expect(other.query('SELECT 1')).resolves.toBeDefined();
      paused.destroy();
    },
  },
  {
    id: 'RS22b',
    says: 'a store does not cut its own connections by taking over',
    check: async ({ bench, store }) => {
      const chain = await voterWith(store, 2);
      await commitTo(store, 2);
      await store.project(lsn(2));
      await store.fenceRow();
      const before = await sessions(bench);
      expect(before.length).toBeGreaterThanOrEqual(4);
      await store.takeOver({ epoch: E2, owner: OWNER_B });
      expect(await sessions(bench)).toEqual(before);
      const next = makeEntry({ prev: chain[1] as Entry, epoch: E2 });
      const reply = await store.append({ fence: FENCE_B, entries: [next] });
      expect(reply).toEqual({ kind: 'acked', lsn: 3 });
    },
  },
  {
    id: 'RS22c',
    says: 'a candidate with an epoch that is not higher cuts nobody',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const leader = await bench.disk.connect();
      const reply = await store.takeOver({ epoch: E1, owner: OWNER_B });
      expect(reply).toEqual({ kind: 'refused', fenceEpoch: E1 });
      await expect(leader.query('SELECT 1')).resolves.toBeDefined();
      await leader.end();
    },
  },
  {
    id: 'RS22d',
    says: 'no call leaves a transaction or a lock behind, whatever it answers',
    check: async ({ bench, store }) => {
      const chain = await voterWith(store, 3);
      const head = chain[2] as Entry;
      await commitTo(store, 2);
      await store.project(lsn(2));
      await store.scan({ table: 'items', prefix: [], limit: 1 });
      await store.read({ after: lsn(0), limitBytes: 1 });
      await store.append({ fence: FENCE_A, entries: [makeEntry({ prev: chain[0] as Entry })] });
      const by = { epoch: E2, owner: OWNER_B, incarnation: 9 };
      const calls = [
        () => store.restore({ ...by, after: lsn(0), entries: [] }),
        () => store.takeOver({ epoch: E1, owner: OWNER_B }),
        () => store.truncate({ fence: FENCE_B, after: lsn(2), head }),
        // One that throws in the middle of its transaction.
        () => store.truncate({ fence: FENCE_A, after: lsn(0), head }),
      ];
      for (const call of calls) {
        await call().catch(codeOf);
        expect(await openTransactions(bench)).toBe(0);
      }
    },
  },
  {
    id: 'RS22e',
    says: 'an open projection transaction holds up neither appends nor taking over',
    check: async ({ bench, store }) => {
      const chain = await voterWith(store, 2);
      const projector = await bench.disk.admin();
      await projector.query('START TRANSACTION');
      await projector.query('UPDATE projection_state SET projected_lsn = 1 WHERE set_id = 7');
      await projector.query("INSERT INTO totals VALUES ('ann', 1, 1, NULL)");
      const next = makeEntry({ prev: chain[1] as Entry });
      const append = await timed(store.append({ fence: FENCE_A, entries: [next] }));
      const takeOver = await timed(store.takeOver({ epoch: E2, owner: OWNER_B }));
      await projector.query('ROLLBACK');
      for (const { how, ms } of [append, takeOver]) {
        expect(how).toBe('answered');
        expect(ms).toBeLessThan(500);
      }
    },
  },
  {
    id: 'RS22f',
    says: 'an append waits for whoever holds the fence and then sees what he did',
    check: async ({ bench, store }) => {
      const chain = await voterWith(store, 1);
      const other = await bench.disk.admin();
      await other.query('START TRANSACTION');
      await other.query('UPDATE replica_state SET fence_epoch = ? WHERE set_id = 7', [E3]);
      const next = makeEntry({ prev: chain[0] as Entry });
      const append = store.append({ fence: FENCE_A, entries: [next] });
      await sleep(150);
      await other.query('COMMIT');
      expect(await append).toEqual({ kind: 'fenced', fenceEpoch: E3 });
      expect(await store.read({ after: lsn(0), limitBytes: 1_000 })).toHaveLength(1);
    },
  },
  {
    id: 'RS22g',
    says: 'two processes that project at once fill the tables once',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const add: Change = { kind: 'add', table: 'totals', key: ['ann'], deltas: { amount: 1 } };
      const entries = makeChain({ prev: null, count: 400, changes: () => [add] });
      await store.append({ fence: FENCE_A, entries });
      await commitTo(store, 400);
      const second = await bench.open();
      for (const to of [1, 50, 100, 200, 300, 400]) {
        await Promise.all([
          store.project(lsn(to)).catch(codeOf),
          second.project(lsn(to)).catch(codeOf),
        ]);
      }
      expect(await store.project(lsn(400))).toBe(400);
      const { rows } = await store.scan({ table: 'totals', prefix: [], limit: 9 });
      expect(rows).toEqual([['ann', 400, 0, null]]);
      await second.close();
    },
  },
  {
    id: 'RS23a',
    says: 'a server that stands still: writes are unknown, reads unavailable, each at its deadline',
    check: async ({ bench, store: warm }) => {
      const chain = await voterWith(warm, 2);
      const store = await bench.open({ clock: new HastyClock() });
      // Every line has its connection before the server stands still.
      const calls = [store.fenceRow(), store.readBeat(), store.commitLsn(), store.readSnapshot()];
      await Promise.all(calls);
      const next = makeEntry({ prev: chain[1] as Entry });
      await store.append({ fence: FENCE_A, entries: [chain[1] as Entry] });
      await bench.disk.server.pause();
      const append = timed(store.append({ fence: FENCE_A, entries: [next] }));
      const ends = await Promise.all([
        append,
        timed(store.beat(E1)),
        timed(store.read({ after: lsn(0), limitBytes: 9 })),
        timed(store.setCommit(chain[0] as Entry)),
        // Behind another call on its connection: nothing of it was sent.
        timed(store.append({ fence: FENCE_A, entries: [next] })),
        append.then(() => timed(store.takeOver({ epoch: E2, owner: OWNER_B }))),
      ]);
      expect(ends.map(({ how }) => how)).toEqual([
        'unknown',
        'unknown',
        'unavailable',
        'unknown',
        'unavailable',
        'unknown',
      ]);
      const limits = [100, 100, 1_000, 1_000, 100, 200];
      for (const [at, { ms }] of ends.entries()) {
        expect(ms).toBeGreaterThanOrEqual(limits[at] ?? 0);
        expect(ms).toBeLessThan((limits[at] ?? 0) + 250);
      }
      bench.disk.server.resume();
      // The one that was late may have been done: the same bytes again tell (P8).
      const again = await warm.append({ fence: FENCE_A, entries: [next] });
      expect(['acked', 'fenced']).toContain(again.kind);
      expect(await store.fenceRow()).toMatchObject({ proved: true });
      await store.close();
    },
  },
  {
    id: 'RS23b',
    says: 'without a server every call is unavailable at once, and a store can be opened all the same',
    check: async ({ bench, store }) => {
      await voterWith(store, 1);
      await bench.disk.server.kill();
      const lines = [store, await bench.open()];
      for (const each of lines) {
        for (const call of [
          () => each.append({ fence: FENCE_A, entries: makeChain({ prev: null, count: 1 }) }),
          () => each.takeOver({ epoch: E2, owner: OWNER_B }),
          () => each.fenceRow(),
        ]) {
          // The first may still find the connection that the server cut: then it is not sure.
          await call().catch(codeOf);
          const { how, ms } = await timed(call());
          expect(how).toBe('unavailable');
          expect(ms).toBeLessThan(200);
        }
      }
      await bench.disk.server.start();
      for (const each of lines) expect(await each.fenceRow()).toMatchObject({ proved: false });
      await lines[1]?.close();
    },
  },
  {
    id: 'RS24a',
    says: 'after kill -9 every acknowledged entry is there, and nothing is taken without a new vote',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const chain = makeChain({ prev: null, count: 500 });
      let acked = 0;
      const appending = (async () => {
        for (const entry of chain) {
          const reply = await store.append({ fence: FENCE_A, entries: [entry] });
          if (reply.kind === 'acked') acked = reply.lsn;
        }
      })().catch(codeOf);
      while (acked < 20) await sleep(5);
      await bench.disk.server.kill();
      expect(['unknown', 'unavailable']).toContain(await appending);
      await bench.disk.server.start();
      const there = await store.read({ after: lsn(0), limitBytes: 1_000_000 });
      expect(there.length).toBeGreaterThanOrEqual(acked);
      expect(there).toEqual(chain.slice(0, there.length));
      expect(await store.fenceRow()).toMatchObject({ incarnation: 1, proved: false });
      for (const entry of chain.slice(there.length - 1, there.length + 1)) {
        const reply = await store.append({ fence: FENCE_A, entries: [entry] });
        expect(reply).toEqual({ kind: 'no_vote' });
      }
      const head = there.at(-1) as Entry;
      const by = { epoch: E2, owner: OWNER_B, incarnation: 40 };
      const admit = { ...by, incarnations: [40, 1, 1], clusterId: CLUSTER, replicaId: 0, head };
      expect(await store.admit(admit)).toBe('done');
      const next = makeEntry({ prev: head, epoch: E2 });
      const fence = { ...FENCE_B, incarnation: 40 };
      const reply = await store.append({ fence, entries: [next] });
      expect(reply).toEqual({ kind: 'acked', lsn: head.lsn + 1 });
    },
  },
  {
    id: 'RS24b',
    says: 'a server that comes back with an empty disk gets its schema anew and has no vote',
    check: async ({ bench, store }) => {
      await voterWith(store, 2);
      await bench.disk.server.wipe();
      await bench.disk.server.start();
      await bench.disk.reset();
      await expect.poll(() => store.fenceRow().catch(codeOf), { timeout: 5_000 }).toBeNull();
      expect(await store.takeOver({ epoch: E2, owner: OWNER_B })).toEqual({ kind: 'no_row' });
      const by = { epoch: E2, owner: OWNER_A, incarnation: 7 };
      expect(await store.restore({ ...by, after: lsn(0), entries: [] })).toBe('done');
      const head = { lsn: lsn(0), sum: ZERO_SUM };
      const admit = { ...by, incarnations: [7, 1, 1], clusterId: CLUSTER, replicaId: 0, head };
      expect(await store.admit(admit)).toBe('done');
    },
  },
  {
    id: 'RS25a',
    says: 'an entry of 8 MiB is taken whole; one that no packet holds is rejected, and nothing breaks',
    check: async ({ store }) => {
      await startVoter(store);
      const large = makeEntry({ prev: null, payload: new Uint8Array(8 * 1_048_576).fill(0xfe) });
      const first = await store.append({ fence: FENCE_A, entries: [large] });
      expect(first).toEqual({ kind: 'acked', lsn: 1 });
      const [read] = await store.read({ after: lsn(0), limitBytes: 1 });
      expect(Buffer.compare(read?.payload ?? new Uint8Array(0), large.payload)).toBe(0);
      const huge = makeEntry({ prev: large, payload: new Uint8Array(16 * 1_048_576) });
      const call = store.append({ fence: FENCE_A, entries: [huge] });
      await expect(call).rejects.toMatchObject({ code: 'rejected' });
      const many = makeChain({ prev: large, count: 70 });
      const reply = await store.append({ fence: FENCE_A, entries: many });
      expect(reply).toEqual({ kind: 'acked', lsn: 71 });
    },
  },
  {
    id: 'RS25b',
    says: 'two stores that append the same and other bytes at once leave one chain',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const second = await bench.open();
      const mine = makeChain({ prev: null, count: 40 });
      const changes = (): Change[] => [{ kind: 'put', table: 'totals', row: ['b', 1, 1, null] }];
      const other = makeChain({ prev: mine[19] as Entry, count: 20, changes });
      const race = await Promise.all([
        store.append({ fence: FENCE_A, entries: mine }),
        second.append({ fence: FENCE_A, entries: [...mine.slice(0, 20), ...other] }),
        store.append({ fence: FENCE_A, entries: mine.slice(0, 30) }),
      ]);
      expect(race.filter((reply) => reply.kind === 'acked').length).toBeGreaterThan(0);
      expect(race.filter((reply) => reply.kind === 'mismatch').length).toBeGreaterThan(0);
      const there = await store.read({ after: lsn(0), limitBytes: 1_000_000 });
      expect(there.map((entry) => entry.lsn)).toEqual(there.map((_, at) => at + 1));
      for (const [at, entry] of there.entries()) {
        expect(entry.prev).toEqual(at === 0 ? ZERO_SUM : there[at - 1]?.sum);
      }
      await second.close();
    },
  },
];
