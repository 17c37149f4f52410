import { CorruptEntry } from '../lib/core/journal-entry.ts';
import { sleep } from '../lib/port/clock.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { Abort } from './abort.ts';
import type { Driver } from './driver.ts';
import type { ReplySink } from './leadership.ts';
import { refuseAt } from './driver.ts';
import type { LeaderArgs } from './leader.ts';
import { WrongConfiguration, lead } from './leader.ts';
import { Quarantine } from './quarantine.ts';
import { TakeoverFailed } from './takeover.ts';

/** What this node is to its Set. */
export type EngineStatus =
  | { kind: 'starting' }
  | { kind: 'leading'; driver: Driver }
  /** Final: a corrupt journal without a good copy, or another configuration than it was made with. */
  | { kind: 'refused'; error: CorruptEntry | WrongConfiguration }
  | { kind: 'stopped' };

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 2_000;

/**
 * Crash-only leadership of one Set (P8): lead; on any doubt throw memory away and take a new
 * epoch. A corrupt journal without a good copy is final: it is reported, never worked around.
 */
export class Engine {
  readonly #args: Omit<LeaderArgs, 'quarantine'>;
  readonly #quarantine: Quarantine;
  readonly #abort = new Abort();
  #status: EngineStatus = { kind: 'starting' };
  #listeners: ((status: EngineStatus) => void)[] = [];

  constructor(args: Omit<LeaderArgs, 'quarantine'>) {
    this.#args = args;
    this.#quarantine = new Quarantine(args.crypto.sha256);
  }

  get status(): EngineStatus {
    return this.#status;
  }

  get driver(): Driver | null {
    return this.#status.kind === 'leading' ? this.#status.driver : null;
  }

  start(): void {
    void this.#run();
  }

  /** Resolves when this node leads. Rejects with CorruptEntry when it never will. */
  async ready(): Promise<Driver> {
    for (;;) {
      const status = this.#status;
      if (status.kind === 'leading') return status.driver;
      if (status.kind === 'refused') throw status.error;
      if (status.kind === 'stopped') throw new TakeoverFailed('stopped');
      await new Promise<void>((resolve) => {
        this.#listeners.push(() => resolve());
      });
    }
  }

  submit(args: { bytes: Uint8Array; sink: ReplySink; tag: number }): void {
    const { driver } = this;
    if (driver === null) refuseAt(args.sink, args.tag, 'set_unavailable');
    else driver.submit(args);
  }

  async #run(): Promise<void> {
    const { clock, random, log, setId } = this.#args;
    let backoffMs = BACKOFF_MS_MIN;
    while (!this.#isStopped()) {
      try {
        await this.#leadOnce();
        backoffMs = BACKOFF_MS_MIN;
      } catch (error) {
        if (error instanceof CorruptEntry || error instanceof WrongConfiguration) {
          log.error('set_refused', { set: setId, reason: error.message });
          return this.#become({ kind: 'refused', error });
        }
        if (!(error instanceof TakeoverFailed) && !(error instanceof StoreError)) {
          log.error('takeover_bug', { set: setId, reason: String(error) });
        } else {
          log.warn('takeover_failed', { set: setId, reason: error.message });
        }
        await sleep(clock, backoffMs + random.below(backoffMs));
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX);
      }
    }
  }

  /** One leadership, from takeover to doubt. */
  async #leadOnce(): Promise<void> {
    const { log, setId } = this.#args;
    let doubt: (reason: string) => void = () => undefined;
    const doubted = new Promise<string>((resolve) => {
      doubt = resolve;
    });
    const driver = await lead({
      ...this.#args,
      quarantine: this.#quarantine,
      abort: this.#abort,
      onDoubt: (reason) => doubt(reason),
    });
    if (this.#isStopped()) return driver.abandon();
    log.info('set_leading', { set: setId, epoch: driver.epoch, lsn: driver.state.lsn });
    this.#become({ kind: 'leading', driver });
    const reason = await doubted;
    driver.abandon();
    if (this.#isStopped()) return;
    log.error('set_doubt', { set: setId, epoch: driver.epoch, reason });
    this.#become({ kind: 'starting' });
  }

  #isStopped(): boolean {
    return this.#status.kind === 'stopped';
  }

  #become(status: EngineStatus): void {
    if (this.#isStopped()) return;
    this.#status = status;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener(status);
  }

  /** Finishes what is sealed (bounded by the quorum timeout), writes the commit point, and leaves. */
  async stop(): Promise<void> {
    const { driver } = this;
    if (driver !== null) await driver.close();
    this.#become({ kind: 'stopped' });
    this.#abort.now();
  }
}
