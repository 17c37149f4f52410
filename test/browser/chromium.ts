/** A headless Chromium for tests: found or unpacked on the spot, gone for sure at the end. */
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import type { Browser, BrowserServer } from 'playwright-core';
import { provision } from '../../ops/provision.ts';

export type LaunchedChromium = {
  readonly browser: Browser;
  /** Process id of the browser, which leads a process group of its own. */
  readonly pid: number;
  /** Ends every process of the browser; may be called twice. Never throws. */
  close(): Promise<void>;
};

const START_TIMEOUT_MS = 30_000;
/** A page that hangs must not hold up a test run: after this the browser is killed. */
const FRIENDLY_CLOSE_MS = 3_000;
const KILL_MS = 1_000;
const KILL_STEP_MS = 10;

const FLAGS = [
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Containers have a tiny /dev/shm; a full one shows as a crashed page.
  '--disable-dev-shm-usage',
];

/**
 * Starts Chromium on an empty profile of its own, so that tests share no state.
 * `env` is laid over the environment that the provisioned browser needs.
 * The first call on a machine may fetch the browser (`ops/provision.ts`): give it minutes.
 * Throws ProvisionError, or playwright's error when the browser does not come up.
 */
export async function launchChromium(
  options: { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<LaunchedChromium> {
  const provisioned = await provision({
    want: 'chromium',
    log: (line) => process.stderr.write(`provision: ${line}\n`),
  });
  // A server rather than launch(): only the server shows its process.
  const server = await chromium.launchServer({
    executablePath: provisioned.binaries.chromium,
    headless: true,
    // Its sandbox needs root or user namespaces; tests open their own pages only.
    chromiumSandbox: false,
    args: FLAGS,
    env: { ...process.env, ...provisioned.env, ...options.env },
    host: '127.0.0.1',
    timeout: START_TIMEOUT_MS,
  });
  const pid = server.process().pid;
  if (pid === undefined) throw new Error('chromium came up without a process id');
  try {
    const browser = await chromium.connect(server.wsEndpoint(), { timeout: START_TIMEOUT_MS });
    return { browser, pid, close: () => closeServer(server, pid) };
  } catch (error) {
    await closeServer(server, pid);
    throw error;
  }
}

async function closeServer(server: BrowserServer, pid: number): Promise<void> {
  const patience = new AbortController();
  const { signal } = patience;
  await Promise.race([
    server.close().catch(() => {}),
    sleep(FRIENDLY_CLOSE_MS, undefined, { signal }).catch(() => {}),
  ]);
  patience.abort();
  // The whole group: a renderer must not outlive a browser that died of something else.
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    return; // Nobody is left.
  }
  for (let waitedMs = 0; waitedMs < KILL_MS; waitedMs += KILL_STEP_MS) {
    if ((await livingMembers(pid)) === 0) return;
    await sleep(KILL_STEP_MS);
  }
}

/**
 * How many processes of a group run. From /proc, because a signal also reaches the dead whom
 * nobody has waited for, and in a container that may be for ever. Always 0 without /proc.
 */
export async function livingMembers(group: number): Promise<number> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
  return stats.filter((stat) => {
    // pid (name, may contain anything) state parent group …
    const [state, , owner] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return owner === String(group) && state !== 'Z' && state !== 'X';
  }).length;
}
