import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Something that the machine lacks or refuses; the message says what a person can do about it. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}

export type Environment = Readonly<Record<string, string | undefined>>;
export type Log = (line: string) => void;

/** apt's package tables and chromium's complaints fit; an endless stream does not. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const ERROR_LINES_MAX = 4;

/**
 * Runs a program to its end and returns its standard output.
 * Throws ProvisionError when it cannot start, fails, or lasts longer than `timeoutMs`
 * (it is then killed).
 */
export function runCommand(options: {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly timeoutMs: number;
  readonly cwd?: string;
}): Promise<string> {
  const { file, args, env, timeoutMs, cwd } = options;
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      { env, cwd, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const what = `${file} ${args.findLast((arg) => !arg.startsWith('-')) ?? ''}`.trim();
        const why = error.killed ? `no answer within ${timeoutMs} ms` : lastLines(stderr);
        reject(new ProvisionError(`${what} failed: ${why || error.message}`, { cause: error }));
      },
    );
  });
}

/** The first executable of one of these names (best first) on PATH, or null. */
export async function findOnPath(
  names: readonly string[],
  env: Environment,
): Promise<string | null> {
  // An ordinary user's PATH often lacks the directories where Debian puts servers.
  const path = (env['PATH'] ?? '').split(delimiter).filter((dir) => dir !== '');
  const dirs = [...path, '/usr/local/sbin', '/usr/sbin'];
  for (const name of names) {
    for (const dir of dirs) {
      const file = join(dir, name);
      if (await isExecutable(file)) return file;
    }
  }
  return null;
}

/** True for a file (not a directory) that this user may run. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-ERROR_LINES_MAX).join(' | ');
}
