import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';

/** Enough for any tool's complaints; a tool that prints more is cut, not collected for ever. */
const OUTPUT_CHARS_MAX = 200_000;

export interface Run {
  /** A file name below node_modules/.bin, or a path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The process group is killed after this time. Usually only the gate's own limit holds. */
  readonly timeoutMs?: number;
}

export interface Ended {
  /** The exit status; null when it was killed or could not be started. */
  readonly status: number | null;
  /** Standard output and standard error as they came. */
  readonly output: string;
}

/**
 * The child processes of one gate. Each leads a process group of its own, which is killed when its
 * leader ends: what a test leaves behind would slow down and confuse the next part.
 */
export class Processes {
  readonly #groups = new Set<number>();
  #stopped = false;

  /** Runs one command to its end; never rejects. */
  async run({ command, args, cwd, timeoutMs }: Run): Promise<Ended> {
    if (this.#stopped) return { status: null, output: 'stopped' };
    const path = [
      dirname(process.execPath),
      `${cwd}/node_modules/.bin`,
      process.env['PATH'] ?? '',
    ].join(delimiter);
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, PATH: path, NO_COLOR: '1', FORCE_COLOR: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) this.#groups.add(pid);
    let output = '';
    const collect = (chunk: string): void => {
      if (output.length < OUTPUT_CHARS_MAX) output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const timer =
      timeoutMs === undefined || pid === undefined
        ? undefined
        : setTimeout(() => {
            collect(`\nstopped after ${timeoutMs / 1000} s\n`);
            killGroup(pid);
          }, timeoutMs);
    const status = await new Promise<number | null>((resolve) => {
      child.once('error', (error) => {
        collect(`${command}: ${error.message}\n`);
        resolve(null);
      });
      // Descendants that hold the pipes would keep 'close' from coming: the group ends first.
      child.once('exit', () => {
        if (pid !== undefined) killGroup(pid);
      });
      child.once('close', resolve);
    });
    clearTimeout(timer);
    if (pid !== undefined) this.#groups.delete(pid);
    return { status, output };
  }

  /** Kills everything that runs and refuses to start more. */
  stop(): void {
    this.#stopped = true;
    for (const group of this.#groups) killGroup(group);
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    // Nobody is left in the group: that is the usual end.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
