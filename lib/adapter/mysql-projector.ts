import { Worker } from 'node:worker_threads';
import { AssertionFailed, assert } from '../core/assert.ts';
import type { Lsn, SetId } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import { StoreError } from '../port/replica-store.ts';
import type { Migration } from './mysql-migrations.ts';
import type { ProjectorCall, ProjectorReply } from './mysql-protocol.ts';
import type { MysqlAddress } from './mysql-session.ts';

const YOUNG_GENERATION_MB = 96;

type Pending = { resolve: (at: Lsn) => void; reject: (error: Error) => void };

type Served = {
  readonly address: MysqlAddress;
  readonly onSession: (id: number, isOpen: boolean) => void;
  readonly pending: Map<number, Pending>;
  readonly sessions: Set<number>;
  onClosed: (() => void) | null;
};

/**
 * One thread that projects for all replicas of a Set, made at the first call: decoding, checking
 * and writing rows would hold up the leader's own work, and done once it serves all of them
 * (RS12k). A thread that ended is made anew by the next call.
 */
export class MysqlProjectors {
  readonly #set: SetId;
  readonly #schemaModule: URL;
  #migrations: readonly Migration[] = [];
  readonly #served = new Map<number, Served>();
  #worker: Worker | null = null;
  #nextReplica = 1;
  #nextId = 1;

  /** `schemaModule` exports `schema: Schema`; the thread imports it. */
  constructor(args: { setId: SetId; schemaModule: URL }) {
    this.#set = args.setId;
    this.#schemaModule = args.schemaModule;
  }

  /** The projector of one replica; the thread ends when the last of them is closed. */
  replica(args: {
    address: MysqlAddress;
    migrations: readonly Migration[];
    /** Told of the connections that come and go. */
    onSession: (id: number, isOpen: boolean) => void;
  }): { project: (to: Lsn) => Promise<Lsn>; close: () => Promise<void> } {
    const replica = this.#nextReplica++;
    const { address, onSession } = args;
    this.#migrations = args.migrations;
    const served: Served = {
      address,
      onSession,
      pending: new Map(),
      sessions: new Set(),
      onClosed: null,
    };
    let isClosed = false;
    return {
      project: (to) => {
        assert(!isClosed, 'a closed replica projects no more');
        return this.#project(replica, served, to);
      },
      close: async () => {
        isClosed = true;
        await this.#close(replica, served);
      },
    };
  }

  #project(replica: number, served: Served, to: Lsn): Promise<Lsn> {
    const worker = (this.#worker ??= this.#spawn());
    if (!this.#served.has(replica)) {
      this.#served.set(replica, served);
      this.#say(worker, { kind: 'open', replica, address: served.address });
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      served.pending.set(id, { resolve, reject });
      this.#say(worker, { kind: 'project', replica, id, to });
    });
  }

  /** When the chunks under way have ended. */
  async #close(replica: number, served: Served): Promise<void> {
    const worker = this.#worker;
    if (worker === null || !this.#served.has(replica)) return;
    await new Promise<void>((resolve) => {
      served.onClosed = resolve;
      this.#say(worker, { kind: 'close', replica });
    });
    this.#served.delete(replica);
    if (this.#served.size > 0 || this.#worker !== worker) return;
    this.#worker = null;
    await worker.terminate();
  }

  #say(worker: Worker, call: ProjectorCall): void {
    worker.postMessage(call);
  }

  #spawn(): Worker {
    const workerData = {
      set: this.#set,
      schema: this.#schemaModule.href,
      migrations: this.#migrations,
    };
    const worker = new Worker(new URL('./mysql-projector-worker.ts', import.meta.url), {
      workerData,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      // Rows live for a chunk: in a small young generation each would be copied several times.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    worker.on('message', (reply: ProjectorReply) => this.#settle(reply));
    worker.on('error', (cause: Error) => this.#ended(worker, cause));
    worker.on('exit', (code) => this.#ended(worker, new Error(`the projector ended with ${code}`)));
    return worker;
  }

  #settle(reply: ProjectorReply): void {
    const served = this.#served.get(reply.replica);
    if (served === undefined) return;
    if (reply.kind === 'closed') return served.onClosed?.();
    if (reply.kind === 'session') {
      if (reply.isOpen) served.sessions.add(reply.sessionId);
      else served.sessions.delete(reply.sessionId);
      served.onSession(reply.sessionId, reply.isOpen);
      return;
    }
    const pending = served.pending.get(reply.id);
    served.pending.delete(reply.id);
    if (reply.kind === 'projected') return pending?.resolve(lsn(reply.lsn));
    const { code, message } = reply.failure;
    pending?.reject(
      code === 'assertion' ? new AssertionFailed(message) : new StoreError(code, message),
    );
  }

  #ended(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    for (const served of this.#served.values()) {
      for (const id of served.sessions) served.onSession(id, false);
      served.sessions.clear();
      for (const { reject } of served.pending.values()) {
        reject(new StoreError('unknown', 'the projector ended', { cause }));
      }
      served.pending.clear();
      served.onClosed?.();
    }
    // Each is told of again, to the next thread, by its next call.
    this.#served.clear();
  }
}
