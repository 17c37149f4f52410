import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerJob } from './server-process.ts';

type Reply = { port?: number; cpu?: { user: number; system: number } };

/** The server under test: a process of its own with a data directory that is gone afterwards. */
export class BenchServer {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #dataDir: string;

  private constructor(args: { port: number; child: ChildProcess; dataDir: string }) {
    this.port = args.port;
    this.#child = args.child;
    this.#dataDir = args.dataDir;
  }

  static async start(job: Omit<ServerJob, 'dataDir'>): Promise<BenchServer> {
    const dataDir = await mkdtemp(join(tmpdir(), 'hb-bench-'));
    const program = new URL('./server-process.ts', import.meta.url);
    const child = fork(program, [JSON.stringify({ ...job, dataDir })], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const { port } = await next(child);
    if (port === undefined) throw new Error('the server did not start');
    return new BenchServer({ port, child, dataDir });
  }

  /** CPU that the whole process has used, all threads, microseconds. */
  async cpuUs(): Promise<number> {
    this.#child.send('cpu');
    const { cpu } = await next(this.#child);
    return (cpu?.user ?? 0) + (cpu?.system ?? 0);
  }

  /** The sum over labels of each of these counters. */
  async counters(names: readonly string[]): Promise<number[]> {
    const response = await fetch(`http://127.0.0.1:${this.port}/metrics`);
    const lines = (await response.text()).split('\n');
    return names.map((name) =>
      lines
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0),
    );
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.send('stop');
    await gone;
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

function next(child: ChildProcess): Promise<Reply> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Reply));
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}
