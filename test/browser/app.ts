/** What the pages of the browser tests talk to: the real embedded process, as a child. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** A start may build the page first. */
const READY_MS = 30_000;

export type App = {
  readonly url: string;
  readonly port: number;
  /** All that the process wrote to standard error so far. */
  log(): string;
  /** SIGKILL; resolves when the process is gone. May be called twice. */
  kill(): Promise<void>;
};

/**
 * A port that nobody listens on, for an app that shall come back on it. Port 0 will not do: the
 * connections of a server that asked for any port keep it from the next one for a minute.
 */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Any port of the loopback; resolves with its number. */
function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/**
 * Starts a whole Hongbao as `./hongbao start` does. Port 0: any free one. Rejects with what the
 * process said when it ends or stays silent.
 */
export async function startApp(options: {
  readonly dataDir: string;
  readonly port: number;
}): Promise<App> {
  const { dataDir, port } = options;
  const flags = ['--port', String(port), '--data', dataDir];
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'ops/main.ts'), 'start', ...flags],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // A run that is broken off must leave no server behind.
  const reap = (): void => void child.kill('SIGKILL');
  process.once('exit', reap);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
    process.off('exit', reap);
  };
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  try {
    const url = await readyUrl(child, gone);
    return { url, port: Number(new URL(url).port), log: () => errors, kill };
  } catch (error) {
    await kill();
    throw new Error(`Hongbao did not start: ${errors}`, { cause: error });
  }
}

async function readyUrl(child: ChildProcess, gone: Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const ready = new Promise<string>((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const url = /^Hongbao is ready: (http:\S+)$/m.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
    timer = setTimeout(() => reject(new Error(`not ready after ${READY_MS} ms`)), READY_MS);
    void gone.then(() => reject(new Error(`ended with ${child.exitCode ?? child.signalCode}`)));
  });
  try {
    return await ready;
  } finally {
    clearTimeout(timer);
  }
}

export type Line = {
  readonly url: string;
  /** Breaks every connection that goes through it; new ones are let through. */
  cut(): void;
  close(): Promise<void>;
};

/**
 * A network line to the app that can break. Chromium's own "offline" only silences open WebSockets,
 * which a page notices at its next heartbeat, many seconds later.
 */
export async function openLine(appPort: number): Promise<Line> {
  const ends = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(appPort, '127.0.0.1');
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      end.on('error', () => end.destroy());
      end.on('close', () => {
        ends.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  const port = await listen(server);
  const cut = (): void => {
    for (const end of ends) end.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      return closed;
    },
  };
}
