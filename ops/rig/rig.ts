import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'hongbao-rig-';

/** Whatever a rig has to end; ended in the opposite order of its making. */
export type Owned = { close(): Promise<void> };

/**
 * A directory and everything that was started in it, until `close`.
 * The directories of rigs that were killed are swept away by the next one.
 */
export class Rig {
  /** Absolute and short enough for a unix socket. */
  readonly dir: string;
  readonly #owned: Owned[] = [];
  readonly #keeps: boolean;

  private constructor(dir: string, keeps: boolean) {
    this.dir = dir;
    this.#keeps = keeps;
  }

  /** Without `keepIn` the directory is temporary and goes with the rig. */
  static async open(options: { readonly keepIn?: string } = {}): Promise<Rig> {
    const { keepIn } = options;
    if (keepIn !== undefined) {
      await mkdir(keepIn, { recursive: true, mode: 0o700 });
      return new Rig(keepIn, true);
    }
    await sweep();
    return new Rig(await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`)), false);
  }

  /** Ends it with the rig. */
  own<T extends Owned>(one: T): T {
    this.#owned.push(one);
    return one;
  }

  /** Ends all that it owns, also when one of them fails to; then throws what went wrong. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let one = this.#owned.pop(); one !== undefined; one = this.#owned.pop()) {
      await one.close().catch((error: unknown) => failures.push(error));
    }
    if (!this.#keeps) await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
    if (failures.length > 0) throw new AggregateError(failures, 'the rig did not close cleanly');
  }
}

async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    // Another user's cannot be removed, and is not ours to remove.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
