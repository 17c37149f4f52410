import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { unseal } from '../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { E2, FENCE_A, OWNER_B, makeChain, startVoter, commitTo } from './replica-world.ts';
import { SCHEMA_MODULE, SET } from '../../ops/sim/conformance/replica-world.ts';
import { makeFolder } from './folder.ts';

let folder = '';
let path = '';

beforeEach(() => {
  folder = makeFolder();
  path = join(folder, 'replica.db');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function open(options: { schemaModule?: URL; set?: number } = {}): Promise<ReplicaStore> {
  const { schemaModule = SCHEMA_MODULE, set = SET } = options;
  return openSqliteReplica({ path, setId: setId(set), schemaModule });
}

test('[RS16a] the file of another Set is rejected', async () => {
  await (await open()).close();
  await expect(open({ set: 8 })).rejects.toMatchObject({ code: 'rejected' });
});

test('[RS16b] the file of a newer program is rejected and stays as it is', async () => {
  await (await open()).close();
  const db = new DatabaseSync(path);
  db.exec('UPDATE schema_version SET version = 99');
  await expect(open()).rejects.toMatchObject({ code: 'rejected' });
  expect(db.prepare('SELECT version FROM schema_version').get()).toEqual({ version: 99 });
  db.close();
});

test('[RS16c] a file that is no database is corrupt', async () => {
  const file = openSync(path, 'w');
  writeSync(file, 'this is not a database, and long enough to see it '.repeat(100));
  closeSync(file);
  await expect(open()).rejects.toMatchObject({ code: 'corrupt' });
});

test('[RS16d] a page that was overwritten is corrupt, never a short journal', async () => {
  const store = await open();
  await startVoter(store);
  const changes = (at: number) =>
    [{ kind: 'put', table: 'totals', row: [`${at}`, 1, 1, 'x'.repeat(3_000)] }] as const;
  const entries = makeChain({ prev: null, count: 100, changes });
  await store.append({ fence: FENCE_A, entries });
  await store.close();
  const file = openSync(path, 'r+');
  for (let page = 14; page < 40; page++)
    writeSync(file, Buffer.alloc(4_096, 0xee), 0, 4_096, page * 8_192);
  closeSync(file);
  const again = await open();
  const read = again.read({ after: lsn(0), limitBytes: 1_000_000 });
  await expect(read).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' });
  await again.close();
});

test('[RS16e] other tables than the file was made with are rebuilt from the journal', async () => {
  const first = await open();
  await startVoter(first);
  const changes = () =>
    [{ kind: 'add', table: 'totals', key: ['a'], deltas: { amount: 2 } }] as const;
  const entries = makeChain({ prev: null, count: 3, changes });
  await first.append({ fence: FENCE_A, entries });
  await commitTo(first, 3);
  await first.project(lsn(3));
  await first.close();
  const db = new DatabaseSync(path);
  db.exec(`UPDATE projection_state SET tables = '[]'; UPDATE p_totals SET amount = 99`);
  db.close();
  const second = await open();
  expect(await second.projectedLsn()).toBe(0);
  await second.project(lsn(3));
  const { rows } = await second.scan({ table: 'totals', prefix: [], limit: 9 });
  expect(rows).toEqual([['a', 6, 0, null]]);
  await second.close();
});

test('[RS17a] a worker that crashes leaves its calls unknown and comes back in doubt', async () => {
  const store = await open({ schemaModule: new URL('./broken-schema.ts', import.meta.url) });
  await startVoter(store);
  await store.append({ fence: FENCE_A, entries: makeChain({ prev: null, count: 1 }) });
  await commitTo(store, 1);
  const broken = store.project(lsn(1));
  await expect(broken).rejects.toMatchObject({ name: 'StoreError', code: 'unknown' });
  // Until the worker has ended, a call may be one that was under way.
  const proved = async () => (await store.fenceRow().catch(() => null))?.proved;
  await expect.poll(proved).toBe(false);
  await store.close();
});

test('[RS17b] a file that another process holds is unavailable, and nothing was done', async () => {
  const store = await open();
  await startVoter(store);
  const db = new DatabaseSync(path);
  db.exec('BEGIN IMMEDIATE');
  const entries = makeChain({ prev: null, count: 1 });
  const blocked = store.append({ fence: FENCE_A, entries });
  await expect(blocked).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable' });
  db.exec('ROLLBACK');
  db.close();
  expect(await store.read({ after: lsn(0), limitBytes: 9 })).toEqual([]);
  expect(await store.append({ fence: FENCE_A, entries })).toEqual({ kind: 'acked', lsn: 1 });
  await store.close();
});

test('[RS17c] two openings of one file: the second is in doubt, the first is fenced by it', async () => {
  const first = await open();
  await startVoter(first);
  const second = await open();
  const promise = await second.takeOver({ epoch: E2, owner: OWNER_B });
  expect(promise).toMatchObject({ kind: 'promised', proved: false });
  const late = await first.append({ fence: FENCE_A, entries: makeChain({ prev: null, count: 1 }) });
  expect(late).toMatchObject({ kind: 'fenced' });
  await first.close();
  await second.close();
});

test('[RS18a] kill -9: every acknowledged entry is there, and tables are those of their LSN', async () => {
  const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
  for (let round = 0; round < 3; round++) {
    const file = join(folder, `crash-${round}.db`);
    const flags = ['--disable-warning=ExperimentalWarning', child, file];
    const running = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    running.stdout.on('data', (bytes: Buffer) => {
      printed += bytes.toString();
      if (printed.length > 1_000 + round * 333) running.kill('SIGKILL');
    });
    await once(running, 'close');
    const acked = Number(printed.slice(0, printed.lastIndexOf('\n')).split('\n').at(-1));
    expect(acked).toBeGreaterThan(100);
    path = file;
    const store = await open();
    await expectWhole(store, acked);
    await store.close();
    expect(existsSync(file)).toBe(true);
  }
});

async function expectWhole(store: ReplicaStore, acked: number): Promise<void> {
  const entries = await store.read({ after: lsn(0), limitBytes: 64_000_000 });
  expect(entries.length).toBeGreaterThanOrEqual(acked);
  let prev: Entry | null = null;
  for (const entry of entries) {
    expect(entry.lsn).toBe((prev?.lsn ?? 0) + 1);
    unseal({ entry, prev: prev?.sum ?? null, hash: sha256 });
    prev = entry;
  }
  const { asOfLsn, rows } = await store.scan({ table: 'totals', prefix: [], limit: 9 });
  expect(asOfLsn).toBeGreaterThan(0);
  expect(asOfLsn).toBeLessThanOrEqual(entries.length);
  const sum = (3 * (asOfLsn * (asOfLsn + 1))) / 2;
  expect(rows).toEqual([['sum', sum, 3 * asOfLsn, null]]);
  expect(await store.fenceRow()).toMatchObject({ proved: false });
}
