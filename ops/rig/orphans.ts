/**
 * No child outlives its rig, however the rig ends: a clean exit kills them one by one; after
 * kill -9 the kernel does (`setpriv --pdeathsig KILL`, Linux), or, where that is missing, a watcher
 * that waits for the end of a pipe which only the rig holds open.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { findOnPath, runCommand } from '../provision/command.ts';

const PROBE_WITHIN_MS = 5_000;
/** Ends with the pipe, or when it is told that its charge is gone. */
const WATCHER = 'read -r word; [ "$word" = gone ] || kill -KILL "$0"';

const living = new Set<ChildProcess>();
let prefix: Promise<readonly string[]> | undefined;

/**
 * What stands before a command so that the kernel kills it with the thread that started it; empty
 * where the machine cannot.
 */
export function deathPrefix(): Promise<readonly string[]> {
  prefix ??= findPrefix();
  return prefix;
}

async function findPrefix(): Promise<readonly string[]> {
  const file = await findOnPath(['setpriv'], process.env);
  if (file === null) return [];
  const args = [file, '--pdeathsig', 'KILL'];
  try {
    const probe = { file, args: [...args.slice(1), 'true'], env: process.env };
    await runCommand({ ...probe, timeoutMs: PROBE_WITHIN_MS });
    return args;
  } catch {
    return [];
  }
}

/** Keeps an eye on a child from its start to its end. */
export function guard(child: ChildProcess, hasPrefix: boolean): void {
  if (living.size === 0) process.on('exit', killAll);
  living.add(child);
  const watcher = hasPrefix || child.pid === undefined ? null : watch(child.pid);
  child.once('exit', () => {
    living.delete(child);
    if (living.size === 0) process.off('exit', killAll);
    watcher?.stdin?.end('gone\n');
  });
}

function watch(pid: number): ChildProcess {
  // A group of its own: Ctrl-C must not end it before the rig.
  const watcher = spawn('sh', ['-c', WATCHER, String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  return watcher;
}

function killAll(): void {
  for (const child of living) child.kill('SIGKILL');
}
