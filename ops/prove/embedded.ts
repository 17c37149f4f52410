import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../main.ts');
const READY = /^Hongbao is ready: (http:\/\/\S+)$/m;
/** A start that takes longer has failed: the process is killed. */
const READY_WITHIN_MS = 30_000;
/** A clean end drains, stops and closes: each is bounded far below this. */
const END_WITHIN_MS = 20_000;
const OUTPUT_CHARS_MAX = 65_536;

export type EmbeddedOptions = {
  readonly dataDir: string;
  /** Usually 0: the system chooses one. */
  readonly port?: number;
  /** Further arguments of `./hongbao start`. */
  readonly args?: readonly string[];
};

/** How a process ended: its exit status (null after a signal) and what it said. */
export type Ended = {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** The process ended, or took too long, before it was ready. */
export class NotReady extends Error {
  override readonly name = 'NotReady';
  readonly ended: Ended;

  constructor(ended: Ended) {
    const words = ended.stderr.trim().split('\n').slice(-3).join('\n');
    super(`the process ended with ${ended.status ?? ended.signal} before it was ready: ${words}`);
    this.ended = ended;
  }
}

/** The real `./hongbao start` in a process of its own, found and ended by its process id. */
export class EmbeddedProcess {
  readonly url: string;
  /** From the spawn to the line that says ready. */
  readonly readySeconds: number;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  private constructor(args: {
    child: ChildProcess;
    ended: Promise<Ended>;
    url: string;
    readySeconds: number;
  }) {
    this.#child = args.child;
    this.ended = args.ended;
    this.url = args.url;
    this.readySeconds = args.readySeconds;
  }

  /** Resolves when it serves. Rejects with {@link NotReady}; then no process is left. */
  static async start(options: EmbeddedOptions): Promise<EmbeddedProcess> {
    const { dataDir, port = 0, args = [] } = options;
    const startMs = performance.now();
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        MAIN,
        'start',
        `--port=${port}`,
        `--data=${dataDir}`,
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const output = { stdout: '', stderr: '' };
    const ended = endOf(child, output);
    const late = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS);
    const url = await Promise.race([firstUrl(child, output), ended]);
    clearTimeout(late);
    if (typeof url !== 'string') throw new NotReady(url);
    const readySeconds = (performance.now() - startMs) / 1_000;
    return new EmbeddedProcess({ child, ended, url, readySeconds });
  }

  get socketUrl(): string {
    return `${this.url.replace('http', 'ws')}/v1/ws`;
  }

  /** `kill -9`. At once: whoever waits for the end waits for `ended`. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  async stop(): Promise<Ended> {
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.kill(), END_WITHIN_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(late);
    }
  }

  /** Values of /metrics by `name` or `name{label="value"}`. */
  async metrics(): Promise<Map<string, number>> {
    const response = await fetch(`${this.url}/metrics`, { signal: AbortSignal.timeout(5_000) });
    const values = new Map<string, number>();
    for (const line of (await response.text()).split('\n')) {
      const space = line.lastIndexOf(' ');
      if (!line.startsWith('#') && space > 0) {
        values.set(line.slice(0, space), Number(line.slice(space + 1)));
      }
    }
    return values;
  }
}

function endOf(child: ChildProcess, output: { stdout: string; stderr: string }): Promise<Ended> {
  // A prover that is stopped leaves no process behind.
  const orphan = (): void => void child.kill('SIGKILL');
  process.once('exit', orphan);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr = (output.stderr + text).slice(-OUTPUT_CHARS_MAX);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      process.off('exit', orphan);
      resolve({ status, signal, ...output });
    });
  });
}

function firstUrl(child: ChildProcess, output: { stdout: string }): Promise<string> {
  return new Promise((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout = (output.stdout + text).slice(-OUTPUT_CHARS_MAX);
      const url = READY.exec(output.stdout)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
}
