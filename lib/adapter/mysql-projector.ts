import { Worker } from 'node:worker_threads';
import { AssertionFailed } from '../core/assert.ts';
import type { Lsn } from '../core/units.ts';
import { lsn } from '../core/units.ts';
import { StoreError } from '../port/replica-store.ts';
import type { ProjectorCall, ProjectorReply, ProjectorSetup } from './mysql-protocol.ts';

const YOUNG_GENERATION_MB = 96;

type Pending = { resolve: (at: Lsn) => void; reject: (error: Error) => void };

/**
 * Projects in a thread of its own, made at the first call: decoding, checking and writing rows
 * would hold up the leader's own work. A thread that ended is made anew by the next call.
 */
export class MysqlProjector {
  readonly #setup: ProjectorSetup;
  readonly #onSession: (id: number, isOpen: boolean) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #sessions = new Set<number>();
  #worker: Worker | null = null;
  #exited: Promise<void> = Promise.resolve();
  #nextId = 1;

  constructor(setup: ProjectorSetup, onSession: (id: number, isOpen: boolean) => void) {
    this.#setup = setup;
    this.#onSession = onSession;
  }

  project(to: Lsn): Promise<Lsn> {
    const worker = (this.#worker ??= this.#spawn());
    const call: ProjectorCall = { id: this.#nextId++, to };
    return new Promise((resolve, reject) => {
      this.#pending.set(call.id, { resolve, reject });
      worker.postMessage(call);
    });
  }

  /** Ends the thread when the chunks under way have ended. */
  async close(): Promise<void> {
    const end: ProjectorCall = { id: 0 };
    this.#worker?.postMessage(end);
    await this.#exited;
  }

  #spawn(): Worker {
    const worker = new Worker(new URL('./mysql-projector-worker.ts', import.meta.url), {
      workerData: this.#setup,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      // Rows live for a chunk: in a small young generation each would be copied several times.
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    worker.on('message', (reply: ProjectorReply) => this.#settle(reply));
    this.#exited = new Promise((resolve) => {
      const ended = (cause: Error): void => {
        this.#ended(worker, cause);
        resolve();
      };
      worker.on('error', ended);
      worker.on('exit', (code) => ended(new Error(`the projector ended with ${code}`)));
    });
    return worker;
  }

  #settle(reply: ProjectorReply): void {
    if (reply.kind === 'session') {
      if (reply.isOpen) this.#sessions.add(reply.sessionId);
      else this.#sessions.delete(reply.sessionId);
      this.#onSession(reply.sessionId, reply.isOpen);
      return;
    }
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === 'projected') return pending?.resolve(lsn(reply.lsn));
    const { code, message } = reply.failure;
    pending?.reject(
      code === 'assertion' ? new AssertionFailed(message) : new StoreError(code, message),
    );
  }

  #ended(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    for (const id of this.#sessions) this.#onSession(id, false);
    this.#sessions.clear();
    for (const { reject } of this.#pending.values()) {
      reject(new StoreError('unknown', 'the projector ended', { cause }));
    }
    this.#pending.clear();
  }
}
