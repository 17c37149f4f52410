import { mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { AssertionFailed, assert } from '../core/assert.ts';
import { decodeEntry } from '../core/journal-entry.ts';
import type { Lsn } from '../core/units.ts';
import { setId } from '../core/units.ts';
import type { AppendReply, Bootstrapped, ReplicaStore, Schema } from '../port/replica-store.ts';
import { SqliteFence } from './sqlite-fence.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { SqliteProjection } from './sqlite-projection.ts';
import type {
  AskedBootstrap,
  Call,
  EncodedAppend,
  Failure,
  Method,
  Reply,
  WorkerSetup,
} from './sqlite-protocol.ts';
import { makeProjectionTables, migrate } from './sqlite-schema.ts';
import type { Snapshot } from './sqlite-snapshot.ts';
import { readSnapshot, snapshotSteps } from './sqlite-snapshot.ts';
import { Statements } from './sqlite-statements.ts';
import { lazily, toStoreError } from './sqlite-transaction.ts';

/** Another process holds the file's lock for one transaction only; longer is a fault. */
const BUSY_TIMEOUT_MS = 1_000;
/** 16 MiB of log before a checkpoint: the price of copying back is paid once for many appends. */
const CHECKPOINT_PAGES = 4_096;
const LOG_BYTES_KEPT = 64 * 1_048_576;

type Handlers = {
  [M in Exclude<Method, 'close' | 'append' | 'bootstrap'>]: (
    ...args: Parameters<ReplicaStore[M]>
  ) => Awaited<ReturnType<ReplicaStore[M]>> | ReturnType<ReplicaStore[M]>;
} & {
  append: (args: EncodedAppend) => AppendReply;
  bootstrap: (args: AskedBootstrap) => Bootstrapped;
};

assert(parentPort !== null, 'this file runs as a worker');
const port = parentPort;
const setup = workerData as WorkerSetup;

function openDatabase(): DatabaseSync {
  mkdirSync(dirname(setup.path), { recursive: true });
  const db = new DatabaseSync(setup.path, { timeout: BUSY_TIMEOUT_MS });
  // A page size holds only if set before the first table is made.
  db.exec(`
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_BYTES_KEPT};
    PRAGMA cache_size = -32768;
    PRAGMA temp_store = MEMORY`);
  const mode = db.prepare('PRAGMA journal_mode').get()?.['journal_mode'];
  assert(mode === 'wal', 'the file is in WAL mode');
  return db;
}

async function loadSchema(): Promise<Schema> {
  const module = (await import(setup.schema)) as { schema?: Schema };
  assert(module.schema !== undefined, 'the schema module exports `schema`');
  return module.schema;
}

/** Lets calls that have come in meanwhile go first. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function makeHandlers(db: DatabaseSync, schema: Schema): Handlers {
  const set = setId(setup.setId);
  const statements = new Statements(db);
  const fence = new SqliteFence({ statements, set });
  const journal = new SqliteJournal({ statements, set, fence });
  const projection = new SqliteProjection({ statements, set, schema });
  let snapshots: Promise<void> = Promise.resolve();

  async function project(to: Lsn): Promise<Lsn> {
    for (let before = calls; ;) {
      const others = calls > before;
      before = calls;
      const { projected, more } = lazily(db, () => projection.projectChunk(to, others));
      if (!more) return projected;
      await turn();
      if (closing) return fence.projectedLsn();
    }
  }

  async function writeSnapshot(snapshot: Readonly<Snapshot>): Promise<void> {
    const steps = snapshotSteps(db, snapshot);
    while (steps.next().done !== true) await turn();
  }

  return {
    bootstrap: (args) => fence.bootstrap(args),
    takeOver: (args) => fence.takeOver(args),
    append: ({ fence: by, entries }) =>
      journal.append({ fence: by, entries: entries.map(decodeEntry) }),
    truncate: (args) => journal.truncate(args),
    read: (args) => journal.read(args),
    fenceRow: () => fence.fenceRow(),
    recordIncarnation: (args) => fence.recordIncarnation(args),
    unprove: (args) => fence.unprove(args),
    restore: (args) => journal.restore(args),
    admit: (args) => fence.admit(args),
    setCommit: (at) => lazily(db, () => fence.setCommit(at)),
    commitLsn: () => fence.commitLsn(),
    beat: (at) => lazily(db, () => fence.beat(at)),
    resign: (at) => lazily(db, () => fence.resign(at)),
    readBeat: () => fence.readBeat(),
    project,
    projectedLsn: () => fence.projectedLsn(),
    scan: (query) => projection.scan(query),
    writeSnapshot: (args) => {
      // One after the other: two writers of one LSN must not mix their chunks.
      const turnOf = snapshots.then(() =>
        writeSnapshot({ lsn: args.lsn, chunks: [...args.chunks], manifest: args.manifest }),
      );
      snapshots = turnOf.catch(() => undefined);
      return turnOf;
    },
    readSnapshot: () => readSnapshot(db),
    probe: () => ({ clockMs: Date.now(), dataDirectory: realpathSync(setup.path) }),
  };
}

function failureOf(error: unknown): Failure {
  const known = toStoreError(error);
  if (known instanceof AssertionFailed) return { code: 'assertion', message: known.message };
  return { code: known.code, message: known.message };
}

function reply(message: Reply): void {
  port.postMessage(message);
}

let closing = false;
/** Calls so far: those that came in during a chunk had to wait for it. */
let calls = 0;
const running = new Set<Promise<void>>();

async function answer(handlers: Handlers, call: Call & { method: keyof Handlers }): Promise<void> {
  try {
    // The pair of SqliteReplica's #call, which types both ends by the port.
    const handle = handlers[call.method] as (...args: readonly unknown[]) => unknown;
    const result = handle(...call.args);
    reply({ id: call.id, ok: true, value: result instanceof Promise ? await result : result });
  } catch (error) {
    const failure = failureOf(error);
    reply({ id: call.id, ok: false, failure });
    // After a failed write or fsync the file may differ from what this connection believes:
    // stop here, so that the replica comes back in doubt (P3b) instead of acknowledging on.
    if (failure.code === 'unknown') setImmediate(() => process.exit(1));
  }
}

async function main(): Promise<void> {
  let db: DatabaseSync | undefined;
  let handlers: Handlers;
  try {
    db = openDatabase();
    const schema = await loadSchema();
    migrate(db, setup.setId);
    makeProjectionTables(db, setup.setId, schema.tables);
    handlers = makeHandlers(db, schema);
  } catch (error) {
    db?.close();
    reply({ id: 0, ok: false, failure: failureOf(error) });
    return;
  }
  const open = db;
  port.on('message', (call: Call) => {
    const { method } = call;
    calls += 1;
    if (method === 'close') {
      closing = true;
      void Promise.all(running).then(() => {
        open.close();
        reply({ id: call.id, ok: true, value: undefined });
        port.close();
      });
      return;
    }
    const work = answer(handlers, { ...call, method });
    running.add(work);
    void work.finally(() => running.delete(work));
  });
  reply({ id: 0, ok: true, value: undefined });
}

await main();
