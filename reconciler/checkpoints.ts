import type { Clock } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { ObjectStore } from '../lib/port/object-store.ts';
import { CheckpointWriter, decodeCheckpoint } from './audit/checkpoint.ts';
import type { ClusterDump } from './audit/dump.ts';

const PREFIX = 'audit/books-';
const DIGITS = 12;
/** The newest, and the one before it while the newest is being written. */
const KEPT = 2;
/** More names than there ever are. */
const NAMES_MAX = 1_000;

/** Whatever else this process does waits no longer than this for a checkpoint. */
const SLICE_MS = 4;

/** The books on disk, so that a restart need not read every journal again. */
export class Checkpoints {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(args: { store: ObjectStore; clock: Clock; log: Log }) {
    this.#clock = args.clock;
    this.#store = args.store;
    this.#log = args.log;
  }

  /** The newest whole one; null: none. Never rejects: the journals say it all again. */
  async load(): Promise<ClusterDump | null> {
    try {
      const names = await this.#names();
      for (const name of names.toReversed()) {
        const bytes = await this.#store.get(name);
        const dump = bytes === null ? null : decodeCheckpoint(bytes);
        if (dump !== null) return dump;
        this.#log.error('audit_checkpoint_damaged', { name });
      }
    } catch (error) {
      this.#log.error('audit_checkpoint_unread', { reason: String(error) });
    }
    return null;
  }

  /** Takes down what the dump says, in slices; the books must stand still until this resolves. */
  async take(dump: ClusterDump): Promise<CheckpointWriter> {
    const taken = new CheckpointWriter(dump);
    while (taken.advance(this.#slice())) await sleep(this.#clock, 0);
    return taken;
  }

  /** Writes a new one whole, then lets the oldest go. Never rejects. */
  async put(taken: CheckpointWriter): Promise<void> {
    const slice = (): Uint8Array | null => taken.assemble(this.#slice());
    let bytes = slice();
    for (; bytes === null; bytes = slice()) await sleep(this.#clock, 0);
    try {
      // Another auditor may have written meanwhile, and this one goes on after it.
      const [newest = ''] = (await this.#names()).slice(-1);
      const number = (Number(newest.slice(PREFIX.length)) || 0) + 1;
      await this.#store.put(PREFIX + String(number).padStart(DIGITS, '0'), bytes);
      const names = await this.#names();
      for (const name of names.slice(0, -KEPT)) await this.#store.delete(name);
    } catch (error) {
      this.#log.warn('audit_checkpoint_unwritten', { reason: String(error) });
    }
  }

  /** Oldest first. */
  #names(): Promise<string[]> {
    return this.#store.list({ prefix: PREFIX, limit: NAMES_MAX });
  }

  /** True until the slice that begins now is over. */
  #slice(): () => boolean {
    const end = this.#clock.monotonicMs() + SLICE_MS;
    return () => this.#clock.monotonicMs() < end;
  }
}
