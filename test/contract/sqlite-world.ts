import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { DiskCopy, ReplicaWorld } from './replica-world.ts';
import { SET } from './replica-world.ts';

export const TEST_SCHEMA = new URL('./test-schema.ts', import.meta.url);

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'hongbao-contract-'));
}

export async function makeSqliteWorld(): Promise<ReplicaWorld> {
  const folder = makeFolder();
  const path = join(folder, 'replica.db');
  const open = (): Promise<ReplicaStore> =>
    openSqliteReplica({ path, setId: SET, schemaModule: TEST_SCHEMA });
  let store = await open();
  let copies = 0;

  /** Does something to the file while nobody has it open. */
  async function whileDown(work: () => void): Promise<void> {
    await store.close();
    work();
    store = await open();
  }

  function edit(sql: string, ...values: number[]): void {
    const db = new DatabaseSync(path);
    db.prepare(sql).run(...values);
    db.close();
  }

  return {
    get store() {
      return store;
    },
    restart: () => whileDown(() => undefined),
    copyDisk: async () => {
      const copy = join(folder, `copy-${copies++}`);
      await whileDown(() => copyFileSync(path, copy));
      return copy as unknown as DiskCopy;
    },
    restoreDisk: (copy) => whileDown(() => copyFileSync(copy as unknown as string, path)),
    wipe: () => whileDown(() => rmSync(path)),
    dropFenceRow: () => whileDown(() => edit('DELETE FROM replica_state')),
    // With the store open: what it reads is what is on the disk.
    flipPayloadBit: async (at) => {
      const db = new DatabaseSync(path);
      const row = db.prepare('SELECT payload FROM journal WHERE lsn = ?').get(at);
      const payload = row?.['payload'] as Uint8Array;
      payload[0] = (payload[0] ?? 0) ^ 1;
      db.prepare('UPDATE journal SET payload = ? WHERE lsn = ?').run(payload, at);
      db.close();
    },
    dropManifest: () => whileDown(() => edit('DELETE FROM snapshot_manifest')),
    discarded: async () => {
      const db = new DatabaseSync(path);
      const rows = db
        .prepare('SELECT lsn, sum, discarded_by_epoch AS by FROM journal_discarded ORDER BY place')
        .all();
      db.close();
      return rows.map((row) => ({
        lsn: Number(row['lsn']),
        sum: row['sum'] as Uint8Array,
        by: Number(row['by']),
      }));
    },
    dispose: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}
