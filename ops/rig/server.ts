import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert } from '../../lib/core/assert.ts';
import { copyDataDir } from './data-dir.ts';
import type { RigProcess } from './process.ts';

/** An orderly end writes what is in memory. */
const END_WITHIN_MS = 20_000;

/** A server with one port of 127.0.0.1 and one data directory, and what can happen to it. */
export class RigServer {
  readonly name: string;
  readonly port: number;
  readonly dataDir: string;
  readonly process: RigProcess;

  readonly #emptyDir: string | null;
  readonly #sparse: boolean;

  constructor(args: {
    readonly name: string;
    readonly port: number;
    readonly dataDir: string;
    readonly process: RigProcess;
    /** Copied when it is wiped; without it an empty directory is made. */
    readonly emptyDir?: string;
    /** Whether copies may have holes; usually true. */
    readonly sparse?: boolean;
  }) {
    this.name = args.name;
    this.port = args.port;
    this.dataDir = args.dataDir;
    this.process = args.process;
    this.#emptyDir = args.emptyDir ?? null;
    this.#sparse = args.sparse ?? true;
  }

  /** null while it does not run. */
  get pid(): number | null {
    return this.process.pid;
  }

  /** Returns when it takes connections; how long that took, ms. Rejects with ProcessFailed. */
  start(): Promise<number> {
    return this.process.start();
  }

  /** `kill -9`, also while it is paused. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  /** An orderly end; after 20 s `kill -9`. */
  async stop(): Promise<void> {
    if (this.pid !== null) await this.process.terminate(END_WITHIN_MS);
  }

  /** SIGSTOP: connections stay open, nobody answers. Returns when it stands still. */
  pause(): Promise<void> {
    return this.process.pause();
  }

  resume(): void {
    this.process.resume();
  }

  /** `kill -9` and start; how long it took to be back, ms. */
  restart(): Promise<number> {
    return this.process.restart();
  }

  /** Copies the data directory, as it is, to one that does not exist yet. Not while it runs. */
  async copyData(to: string): Promise<void> {
    assert(this.pid === null, `${this.name} does not run while its data is copied`);
    await copyDataDir({ from: this.dataDir, to, sparse: true });
  }

  /** Puts a copy (see {@link copyData}) in the place of its data: kills it first, does not start it. */
  async restoreCopy(from: string): Promise<void> {
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
    await mkdir(dirname(this.dataDir), { recursive: true, mode: 0o700 });
    await copyDataDir({ from, to: this.dataDir, sparse: this.#sparse });
  }

  /** A new disk: kills it and leaves the data of a server that never ran; does not start it. */
  async wipe(): Promise<void> {
    if (this.#emptyDir !== null) return this.restoreCopy(this.#emptyDir);
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
    await mkdir(this.dataDir, { recursive: true, mode: 0o700 });
  }

  /** For the rig that owns it: `kill -9`, which its data must bear anyway. */
  close(): Promise<void> {
    return this.kill();
  }
}
