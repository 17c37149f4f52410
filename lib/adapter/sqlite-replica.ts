import { Worker } from 'node:worker_threads';
import { AssertionFailed, assert } from '../core/assert.ts';
import type { Entry } from '../core/journal-entry.ts';
import { encodeEntry } from '../core/journal-entry.ts';
import type { SetId } from '../core/units.ts';
import type { Bootstrapped, Place, ReplicaStore } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';
import { assertEntries, assertOwner, assertPlace } from './replica-arguments.ts';
import type {
  AskedBootstrap,
  Call,
  EncodedAppend,
  Method,
  Reply,
  WorkerSetup,
} from './sqlite-protocol.ts';

export type SqliteReplicaOptions = {
  /** The file; its folder is made when missing. Two replicas never share one. */
  readonly path: string;
  readonly setId: SetId;
  /** Module that exports `schema: Schema`; the worker imports it, so that projecting stays there. */
  readonly schemaModule: URL;
};

type Pending = {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
};

/**
 * One replica in one SQLite file, in its own worker thread: WAL, every commit on the disk before
 * its answer, `alive` in the memory of the process (SPEC section RS). Rejects with a StoreError:
 * `rejected` for the file of another Set, `corrupt`, `unavailable`.
 */
export async function openSqliteReplica(options: SqliteReplicaOptions): Promise<ReplicaStore> {
  const replica = new SqliteReplica(options);
  await replica.opened();
  return replica;
}

class SqliteReplica implements ReplicaStore {
  readonly #setId: SetId;
  readonly #setup: WorkerSetup;
  #worker: Worker;
  #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #open = true;
  #crash = false;
  #restarting: Promise<void> | null = null;

  constructor({ path, setId, schemaModule }: SqliteReplicaOptions) {
    this.#setId = setId;
    this.#setup = { path, setId, schema: schemaModule.href };
    this.#worker = this.#spawn();
    this.#exited = exitOf(this.#worker);
  }

  #spawn(): Worker {
    const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      workerData: this.#setup,
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    worker.on('message', (reply: Reply) => this.#settle(reply));
    worker.on('error', (error) => this.#crashed(worker, error));
    worker.on('exit', (code) => this.#crashed(worker, new Error(`worker ended with ${code}`)));
    return worker;
  }

  /** A worker that crashed is a server that restarts: the next one is in doubt, as it should be (P3b). */
  async #restart(): Promise<void> {
    this.#worker = this.#spawn();
    this.#exited = exitOf(this.#worker);
    this.#crash = false;
    await this.#wait(0);
  }

  /** Resolves when the file is open; the worker has ended when it rejects. */
  async opened(): Promise<void> {
    try {
      await this.#wait(0);
    } catch (error) {
      this.#open = false;
      await this.#worker.terminate();
      throw error;
    }
  }

  readonly bootstrap: ReplicaStore['bootstrap'] = async ({ stillNew, ...args }) => {
    assert(args.replicaId >= 0 && args.replicaId < args.replicas, 'a replica is 0 .. replicas - 1');
    const ask = (makes: boolean): Promise<Bootstrapped> => {
      const asked: AskedBootstrap = { ...args, clusterId: own(args.clusterId), makes };
      // The pair of the worker's `bootstrap`.
      return this.#post('bootstrap', [asked]) as Promise<Bootstrapped>;
    };
    if (stillNew === undefined) return ask(true);
    const found = await ask(false);
    // The file is opened by this very process: nobody puts another one in its place meanwhile.
    return found === 'late' && (await stillNew()) ? ask(true) : found;
  };

  readonly takeOver: ReplicaStore['takeOver'] = async (args) => {
    assertOwner(args.owner);
    return this.#call('takeOver', { ...args, owner: own(args.owner) });
  };

  readonly append: ReplicaStore['append'] = async ({ fence, entries }) => {
    const first = entries[0];
    assert(first !== undefined, 'an append has entries');
    assertOwner(fence.owner);
    assertEntries({ setId: this.#setId, after: first.lsn - 1, epoch: fence.epoch, entries });
    const encoded = entries.map(encodeEntry);
    const args: EncodedAppend = { fence: { ...fence, owner: own(fence.owner) }, entries: encoded };
    const memory = encoded.map(({ buffer }) => buffer as ArrayBuffer);
    // The pair of the worker's `append`, which answers as the port says.
    return this.#post('append', [args], memory) as ReturnType<ReplicaStore['append']>;
  };

  readonly truncate: ReplicaStore['truncate'] = async ({ fence, after, head }) => {
    assertPlace(head);
    return this.#call('truncate', {
      fence: { ...fence, owner: own(fence.owner) },
      after,
      head: ownPlace(head),
    });
  };

  readonly read: ReplicaStore['read'] = async (args) => this.#call('read', args);

  readonly fenceRow: ReplicaStore['fenceRow'] = async () => this.#call('fenceRow');

  readonly recordIncarnation: ReplicaStore['recordIncarnation'] = async (args) =>
    this.#call('recordIncarnation', {
      ...args,
      fence: { ...args.fence, owner: own(args.fence.owner) },
    });

  readonly unprove: ReplicaStore['unprove'] = async ({ fence }) =>
    this.#call('unprove', { fence: { ...fence, owner: own(fence.owner) } });

  readonly restore: ReplicaStore['restore'] = async (args) => {
    assertOwner(args.owner);
    assertEntries({ ...args, setId: this.#setId });
    return this.#call('restore', {
      ...args,
      owner: own(args.owner),
      entries: args.entries.map(ownEntry),
    });
  };

  readonly admit: ReplicaStore['admit'] = async (args) => {
    assertOwner(args.owner);
    assertPlace(args.head);
    return this.#call('admit', {
      ...args,
      head: ownPlace(args.head),
      owner: own(args.owner),
      clusterId: own(args.clusterId),
    });
  };

  readonly setCommit: ReplicaStore['setCommit'] = async (at) => {
    assertPlace(at);
    return this.#call('setCommit', ownPlace(at));
  };
  readonly commitLsn: ReplicaStore['commitLsn'] = async () => this.#call('commitLsn');
  readonly beat: ReplicaStore['beat'] = async (epoch) => this.#call('beat', epoch);
  readonly resign: ReplicaStore['resign'] = async (epoch) => this.#call('resign', epoch);
  readonly readBeat: ReplicaStore['readBeat'] = async () => this.#call('readBeat');
  readonly project: ReplicaStore['project'] = async (to) => this.#call('project', to);
  readonly projectedLsn: ReplicaStore['projectedLsn'] = async () => this.#call('projectedLsn');
  readonly scan: ReplicaStore['scan'] = async (query) => this.#call('scan', query);

  readonly writeSnapshot: ReplicaStore['writeSnapshot'] = async ({ lsn, chunks, manifest }) =>
    this.#call('writeSnapshot', { lsn, chunks: chunks.map(own), manifest: own(manifest) });

  readonly readSnapshot: ReplicaStore['readSnapshot'] = async () => this.#call('readSnapshot');

  readonly probe: ReplicaStore['probe'] = async () => this.#call('probe');

  /** What was asked before is answered before; then the worker ends. */
  async close(): Promise<void> {
    if (this.#open && !this.#crash) {
      const closed = this.#call('close');
      this.#open = false;
      // A worker that crashed meanwhile is as closed as one that said so.
      await closed.catch(() => undefined);
    }
    this.#open = false;
    await this.#exited;
  }

  #call<M extends Method>(
    method: M,
    ...args: Parameters<ReplicaStore[M]>
  ): ReturnType<ReplicaStore[M]> {
    // The pair of the worker's `answer`: both ends are typed by the port.
    return this.#post(method, args) as ReturnType<ReplicaStore[M]>;
  }

  async #post(
    method: Method,
    args: readonly unknown[],
    memory: readonly ArrayBuffer[] = [],
  ): Promise<unknown> {
    if (!this.#open) throw new StoreError('unavailable', 'the replica is closed');
    if (this.#crash) {
      this.#restarting ??= this.#restart().finally(() => {
        this.#restarting = null;
      });
    }
    if (this.#restarting !== null) await this.#restarting;
    const call: Call = { id: this.#nextId++, method, args };
    this.#worker.postMessage(call, memory);
    return this.#wait(call.id);
  }

  #wait(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    assert(pending !== undefined, 'a reply has a call');
    this.#pending.delete(reply.id);
    if (reply.ok) pending.resolve(reply.value);
    else if (reply.failure.code === 'assertion') {
      pending.reject(new AssertionFailed(reply.failure.message));
    } else pending.reject(new StoreError(reply.failure.code, reply.failure.message));
  }

  /** Whatever was on its way may have been done (P8). */
  #crashed(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#crash = true;
    for (const { reject } of this.#pending.values()) {
      reject(new StoreError('unknown', 'the worker of the replica ended', { cause }));
    }
    this.#pending.clear();
  }
}

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.on('exit', () => resolve());
  });
}

/** Bytes with a buffer of their own: a clone to the worker copies the whole buffer behind a view. */
function own(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function ownPlace({ lsn, sum }: Place): Place {
  return { lsn, sum: own(sum) };
}

function ownEntry(entry: Entry): Entry {
  return {
    ...entry,
    leaderId: own(entry.leaderId),
    prev: own(entry.prev),
    sum: own(entry.sum),
    payload: own(entry.payload),
  };
}
