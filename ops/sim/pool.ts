import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SimResult, WorldName } from './simulate.ts';

/** One walk to be done. Without `ops` a walk is as long as its world makes it. */
export type SimJob = {
  readonly world: WorldName;
  readonly seed: number;
  /** Commands of the walk. */
  readonly ops?: number;
};

/**
 * How a walk ended. `broken` is no verdict of a checker: the code threw, the thread died, or the
 * walk hung. It counts as a failure like a violation.
 */
export type SimEnd =
  | {
      readonly kind: 'walked';
      readonly job: SimJob;
      readonly seconds: number;
      /** Its `lines` are empty unless a rule was broken or traces are kept. */
      readonly result: SimResult;
    }
  | {
      readonly kind: 'broken';
      readonly job: SimJob;
      readonly seconds: number;
      readonly message: string;
    };

export type PoolOptions = {
  /** Taken one by one as threads become free: it may be endless when `signal` ends the run. */
  readonly jobs: Iterable<SimJob>;
  /** Called once for each walk that ended, in the order of their ends. It must not throw. */
  readonly ended: (end: SimEnd) => void;
  /** The mistake planted in every thread. Usually none. */
  readonly mutant?: string | null;
  /** Threads. Usually as many as the machine has cores. */
  readonly workers?: number;
  /** Wall time after which a walk counts as hung and its thread is ended. Usually 120 s. */
  readonly watchdogMs?: number;
  /** Clean walks keep their lines too: for printing traces, one thread, a few seeds. */
  readonly keepTraces?: boolean;
  /** Ends the run at once: threads are terminated, what they did is not reported. */
  readonly signal?: AbortSignal;
  /** Another module for the threads: tests of the pool itself. */
  readonly script?: URL;
};

/** What a thread is told and what it answers; `workerData` is `{ mutant: string | null }`. */
export type PoolRequest = { readonly type: 'run'; readonly options: SimJob };
export type PoolReply =
  | { readonly type: 'result'; readonly result: SimResult }
  | { readonly type: 'error'; readonly message: string };

const SCRIPT = new URL('./worker.ts', import.meta.url);
const WATCHDOG_MS = 120_000;
/** More threads than this only share one memory bus. */
const WORKERS_MAX = 8;
/** A walk needs a tenth; a planted mistake that fills memory ends its own thread only. */
const HEAP_MIB_MAX = 1_536;

/** Threads of a run when nobody says how many. */
export function workersByDefault(): number {
  return Math.min(WORKERS_MAX, availableParallelism());
}

/**
 * Runs walks over threads. Every thread is ended when this resolves. Never rejects because of a
 * walk: a thread that fails is reported with its job and replaced.
 */
export async function runWalks(options: PoolOptions): Promise<void> {
  const { jobs, ended, signal, keepTraces = false, workers = workersByDefault() } = options;
  const queue = jobs[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const lane = new Lane(options);
      const stop = (): void => lane.stop();
      signal?.addEventListener('abort', stop);
      try {
        while (signal?.aborted !== true) {
          const next = queue.next();
          if (next.done === true) return;
          const end = await lane.walk(next.value);
          if (end !== null) ended(keepTraces ? end : withoutCleanTrace(end));
        }
      } finally {
        signal?.removeEventListener('abort', stop);
        await lane.close();
      }
    }),
  );
}

function withoutCleanTrace(end: SimEnd): SimEnd {
  if (end.kind === 'broken' || end.result.violation !== null) return end;
  return { ...end, result: { ...end.result, lines: [] } };
}

type Answer = PoolReply | { readonly type: 'stopped' };

/** One thread at a time, made when there is a walk for it and replaced when it fails. */
class Lane {
  readonly #script: URL;
  readonly #mutant: string | null;
  readonly #watchdogMs: number;
  #worker: Worker | null = null;
  #answered: ((answer: Answer) => void) | null = null;
  /** What went wrong while nobody waited: told with the next walk. */
  #fault: string | null = null;
  #stopped = false;

  constructor({ script = SCRIPT, mutant = null, watchdogMs = WATCHDOG_MS }: PoolOptions) {
    this.#script = script;
    this.#mutant = mutant;
    this.#watchdogMs = watchdogMs;
  }

  /** Null when the run was stopped meanwhile. */
  async walk(job: SimJob): Promise<SimEnd | null> {
    const begun = performance.now();
    const answer = await this.#ask({ type: 'run', options: job });
    const seconds = (performance.now() - begun) / 1_000;
    switch (answer.type) {
      case 'stopped':
        return null;
      case 'result':
        return { kind: 'walked', job, seconds, result: answer.result };
      case 'error':
        // What a walk left behind when it threw is not known: the next one gets a new thread.
        await this.close();
        return { kind: 'broken', job, seconds, message: answer.message };
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#settle({ type: 'stopped' });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    this.#fault = null;
    await worker?.terminate();
  }

  async #ask(request: PoolRequest): Promise<Answer> {
    if (this.#stopped) return { type: 'stopped' };
    if (this.#fault !== null) return { type: 'error', message: `between walks: ${this.#fault}` };
    const worker = (this.#worker ??= this.#spawn());
    let watchdog: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Answer>((resolve) => {
        this.#answered = resolve;
        const seconds = this.#watchdogMs / 1_000;
        const message = `the walk hung: no end within ${seconds} s of wall time`;
        watchdog = setTimeout(() => this.#settle({ type: 'error', message }), this.#watchdogMs);
        worker.postMessage(request);
      });
    } finally {
      clearTimeout(watchdog);
    }
  }

  #spawn(): Worker {
    const worker = new Worker(this.#script, {
      workerData: { mutant: this.#mutant },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX, maxYoungGenerationSizeMb: 96 },
    });
    const fail = (message: string): void => {
      // A thread that was replaced has nothing more to say.
      if (this.#worker !== worker) return;
      if (this.#answered === null) this.#fault ??= message;
      else this.#settle({ type: 'error', message });
    };
    worker.on('message', (reply: PoolReply) => {
      if (this.#worker === worker) this.#settle(reply);
    });
    worker.on('error', (error) => fail(error.stack ?? error.message));
    worker.on('messageerror', (error) => fail(error.message));
    worker.on('exit', (code) => fail(`the thread ended with ${code}`));
    return worker;
  }

  #settle(answer: Answer): void {
    const answered = this.#answered;
    this.#answered = null;
    answered?.(answer);
  }
}
