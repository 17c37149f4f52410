import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ProvisionError } from './command.ts';
import type { Log } from './command.ts';

const WAITING_NOTICE_MS = 1_000;

/**
 * Runs `body` while no other process holds `file`, and frees it afterwards.
 * The kernel's lock is held by a child that lives as long as its standard input, so it is freed
 * even after kill -9 of this process, and no stale lock file can stay behind.
 * Throws ProvisionError when another process holds it for longer than `waitMs`.
 */
export async function withLock<T>(options: {
  readonly file: string;
  readonly waitMs: number;
  readonly log: Log;
  readonly body: () => Promise<T>;
}): Promise<T> {
  const { file, waitMs, log, body } = options;
  const seconds = String(Math.ceil(waitMs / 1_000));
  const holder = spawn(
    'flock',
    ['--exclusive', '--wait', seconds, file, 'sh', '-c', 'echo held; exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  holder.stdin.on('error', () => {}); // the holder may be gone before its input is closed
  const ended = new Promise<void>((resolve) => {
    holder.once('error', () => resolve());
    holder.once('close', () => resolve());
  });
  const notice = setTimeout(
    () => log(`waiting for another provisioner (${file})`),
    WAITING_NOTICE_MS,
  );
  try {
    const held = await Promise.race([
      once(holder.stdout, 'data').then(() => true),
      ended.then(() => false),
    ]);
    clearTimeout(notice);
    if (!held) {
      throw new ProvisionError(
        `${file} could not be locked within ${seconds} s: another provisioner runs, ` +
          'or flock (util-linux) is missing',
      );
    }
    return await body();
  } finally {
    clearTimeout(notice);
    holder.stdin.end();
    await ended;
  }
}
