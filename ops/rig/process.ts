/** One server process of the rig: started, hurt and ended by its process id, never by a name. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../lib/core/assert.ts';
import { deathPrefix, guard } from './orphans.ts';

const READY_WITHIN_MS = 30_000;
/** SIGTERM may take this long; then SIGKILL. */
const END_WITHIN_MS = 10_000;
const POLL_MS = 5;
/** Of a run's log, at most this much is looked at. */
const LOG_BYTES_MAX = 262_144;
const LAST_LINES = 12;
const PAUSE_WITHIN_MS = 1_000;

export type ProcessOptions = {
  /** What people call it, in errors. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Laid over this process's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** What stands before the command, for example to enter a namespace; it must exec. */
  readonly enter?: readonly string[];
  /** Standard output and standard error of all runs are appended here. */
  readonly logFile: string;
  /** Asked every few ms with what this run has written so far. */
  readonly isReady: (output: string) => boolean | Promise<boolean>;
  /** Usually 30,000 ms; then the process is killed. */
  readonly readyWithinMs?: number;
};

/** How a run ended: exit status (null after a signal) and signal (null after an exit). */
export type Ended = { readonly status: number | null; readonly signal: NodeJS.Signals | null };

/** It ended, or took too long, before it was ready; the message has its last words. */
export class ProcessFailed extends Error {
  override readonly name = 'ProcessFailed';
}

type Run = {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  isOver: boolean;
};

export class RigProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #options: ProcessOptions;
  #run: Run | null = null;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.logFile = options.logFile;
  }

  /** null while it does not run. */
  get pid(): number | null {
    return this.#living?.pid ?? null;
  }

  /** How the newest run ends. Asserts that there was one. */
  get ended(): Promise<Ended> {
    assert(this.#run !== null, `${this.name} was started`);
    return this.#run.ended;
  }

  /**
   * Starts it and waits until it is ready; returns how long that took, ms.
   * Rejects with {@link ProcessFailed}; then nothing is left running.
   */
  async start(): Promise<number> {
    assert(this.#living === null, `${this.name} does not run`);
    const { readyWithinMs = READY_WITHIN_MS } = this.#options;
    const startMs = performance.now();
    const logStart = await sizeOf(this.logFile);
    const run = await this.#spawn();
    try {
      while (!(await this.#options.isReady(await readFrom(this.logFile, logStart)))) {
        const waitedMs = performance.now() - startMs;
        if (waitedMs > readyWithinMs) throw new Error(`was not ready within ${readyWithinMs} ms`);
        if (run.isOver) throw new Error(`ended (${wordsOf(await run.ended)}) before it was ready`);
        await sleep(POLL_MS);
      }
      // What answered may have been another server on the same port.
      if (run.isOver) throw new Error(`ended (${wordsOf(await run.ended)}) as it became ready`);
    } catch (error) {
      await this.kill();
      const why = error instanceof Error ? error.message : String(error);
      const log = lastLines(await readFrom(this.logFile, logStart));
      throw new ProcessFailed(`${this.name} ${why}: ${log}`, { cause: error });
    }
    return performance.now() - startMs;
  }

  /** `kill -9`, also of a paused one; returns when it is gone. */
  async kill(): Promise<void> {
    const run = this.#living;
    if (run === null) return;
    run.child.kill('SIGKILL');
    await run.ended;
  }

  /** SIGTERM, and SIGKILL when it is still there after `withinMs`; a paused one is woken first. */
  async terminate(withinMs: number = END_WITHIN_MS): Promise<Ended> {
    const run = this.#run;
    assert(run !== null, `${this.name} was started`);
    if (run.isOver) return run.ended;
    run.child.kill('SIGTERM');
    run.child.kill('SIGCONT');
    const late = setTimeout(() => run.child.kill('SIGKILL'), withinMs);
    try {
      return await run.ended;
    } finally {
      clearTimeout(late);
    }
  }

  /** SIGSTOP: its connections stay open and nobody answers. Returns when it stands still. */
  async pause(): Promise<void> {
    const run = this.#living;
    assert(run !== null, `${this.name} runs`);
    run.child.kill('SIGSTOP');
    if (process.platform !== 'linux') return;
    const startMs = performance.now();
    while (!(await isStopped(run.pid))) {
      assert(performance.now() - startMs < PAUSE_WITHIN_MS, `${this.name} stops when told`);
      await sleep(1);
    }
  }

  resume(): void {
    const run = this.#living;
    assert(run !== null, `${this.name} runs`);
    run.child.kill('SIGCONT');
  }

  /** `kill -9` and start; returns how long it took to be ready again, ms. */
  async restart(): Promise<number> {
    await this.kill();
    return this.start();
  }

  get #living(): Run | null {
    return this.#run === null || this.#run.isOver ? null : this.#run;
  }

  async #spawn(): Promise<Run> {
    const { command, args, env = {}, cwd, enter = [] } = this.#options;
    const death = await deathPrefix();
    // Innermost: a change of namespace takes the setting away.
    const [file = command, ...rest] = [...enter, ...death, command, ...args];
    mkdirSync(dirname(this.logFile), { recursive: true });
    const log = openSync(this.logFile, 'a', 0o600);
    try {
      const child = spawn(file, rest, {
        env: { ...process.env, ...env },
        cwd,
        stdio: ['ignore', log, log],
        // A group of its own: Ctrl-C on a terminal is for the rig, which ends it in order.
        detached: true,
      });
      const ended = new Promise<Ended>((resolve) => {
        child.once('exit', (status, signal) => resolve({ status, signal }));
        child.once('error', () => resolve({ status: null, signal: null }));
      });
      if (child.pid === undefined) {
        await ended;
        throw new ProcessFailed(`${this.name}: ${file} cannot be run`);
      }
      guard(child, death.length > 0);
      const run: Run = { child, pid: child.pid, ended, isOver: false };
      child.once('exit', () => {
        run.isOver = true;
      });
      this.#run = run;
      return run;
    } finally {
      closeSync(log);
    }
  }
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

async function readFrom(file: string, start: number): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(Math.max(size - start, 0), LOG_BYTES_MAX));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The state is the first word behind the name, which stands in brackets and may contain any. */
async function isStopped(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text === '' || text.slice(text.lastIndexOf(')') + 2).startsWith('T');
}

function wordsOf({ status, signal }: Ended): string {
  return signal ?? `status ${status}`;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-LAST_LINES).join('\n');
}
