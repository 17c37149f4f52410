import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteReplica } from '../../../lib/adapter/sqlite-replica.ts';
import type { ReplicaStore } from '../../../lib/port/replica-store.ts';
import type { DiskCopy, ReplicaWorld, WorldSource } from './replica-world.ts';
import { SCHEMA_MODULE, SET } from './replica-world.ts';

const FILE = 'replica.db';

/** Replicas in SQLite files of one temporary folder; a restart is a new worker thread. */
export class SqliteWorlds implements WorldSource {
  readonly name = 'sqlite';
  readonly #folder = mkdtempSync(join(tmpdir(), 'hb-conformance-'));
  #opened = 0;
  /** A file whose tables are made, and nothing else: half of the time of a first opening. */
  #template: Promise<string> | null = null;

  async open(): Promise<ReplicaWorld> {
    this.#template ??= this.#makeTemplate();
    const folder = join(this.#folder, `replica-${this.#opened++}`);
    mkdirSync(folder);
    copyFileSync(await this.#template, join(folder, FILE));
    return openSqliteWorld(folder);
  }

  async close(): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #makeTemplate(): Promise<string> {
    const path = join(this.#folder, 'template.db');
    await (await openFile(path)).close();
    return path;
  }
}

function openFile(path: string): Promise<ReplicaStore> {
  return openSqliteReplica({ path, setId: SET, schemaModule: SCHEMA_MODULE });
}

/** One replica in a file of this folder, which goes with it. */
export async function openSqliteWorld(folder: string): Promise<ReplicaWorld> {
  const path = join(folder, FILE);
  const open = (): Promise<ReplicaStore> => openFile(path);
  let store = await open();
  let copies = 0;

  /** Does something to the file while nobody has it open. */
  async function whileDown(work: () => void): Promise<void> {
    await store.close();
    work();
    store = await open();
  }

  function edit(sql: string): void {
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
  }

  return {
    name: 'sqlite',
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
