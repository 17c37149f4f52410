import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import { NodeTooOld, RULES_MAX } from '../../lib/core/rules.ts';
import { sleep } from '../../lib/port/clock.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { Abort } from '../log/abort.ts';
import { SharedDataDirectory, clockAheadMs, isTooFarAhead } from '../log/clock-check.ts';
import { WrongConfiguration } from '../log/configuration.ts';
import type { Driver } from './driver.ts';
import { Heart } from './heart.ts';
import type { LeaderArgs, Warm } from './leader.ts';
import { lead } from './leader.ts';
import type { ReplySink } from './leadership.ts';
import type { RaiseAsk, RaiseReply } from './raise-rules.ts';
import { raiseRules } from './raise-rules.ts';
import { Quarantine } from '../log/quarantine.ts';
import { refuseAt } from './refusal.ts';
import { Standby } from './standby.ts';
import { TakeoverFailed } from '../log/takeover.ts';
import { LogClock } from '../log/log-clock.ts';

/** What this node is to its Set. */
export type EngineStatus =
  | { kind: 'starting' }
  /** Another node leads, or nobody does: this one stands by. */
  | { kind: 'following' }
  | { kind: 'leading'; driver: Driver }
  /** Final: no good copy of the journal, another configuration, a shared disk, a node too old. */
  | { kind: 'refused'; error: FinalError }
  | { kind: 'stopped' };

type FinalError = CorruptEntry | WrongConfiguration | SharedDataDirectory | NodeTooOld;

export type EngineArgs = Omit<LeaderArgs, 'quarantine' | 'logClock'> & {
  /** The Set has more nodes than this one: follow, and lead when nobody else does. Default false. */
  readonly standby?: boolean;
  /** How many nodes the Set has by the topology. Default 1. */
  readonly nodes?: number;
};

const BACKOFF_MS_MIN = 50;
/** With jitter twice this: who comes back makes a quorum, and is served within 3 s (rulings 16b). */
const BACKOFF_MS_MAX = 500;
/** Rulings 7: how often a leader compares its clock. */
const CLOCK_MS = 2_000;
/** Who doubted himself lets others go first; who stepped down on purpose, longer. */
const HOLD_AFTER_DOUBT_MS = 300;
const HOLD_AFTER_STEP_DOWN_MS = 5_000;
const STEPPED_DOWN = 'stepped down';

/**
 * Crash-only leadership of one Set (P8): lead; on any doubt throw memory away and take a new
 * epoch. A corrupt journal without a good copy is final: it is reported, never worked around.
 */
export class Engine {
  readonly #args: EngineArgs;
  readonly #quarantine: Quarantine;
  readonly #abort = new Abort();
  /** null: the only node of its Set. */
  readonly #standby: Standby | null;
  #heart: Heart | null = null;
  #comparing = false;
  #handOver: ((reason: string) => void) | null = null;
  #status: EngineStatus = { kind: 'starting' };
  readonly #listeners: ((status: EngineStatus) => void)[] = [];
  /** Times that this node came to lead, and how long the last takeover took. */
  readonly takeovers = { count: 0, lastMs: 0 };

  constructor(args: EngineArgs) {
    this.#args = args;
    this.#quarantine = new Quarantine(args.crypto.sha256);
    this.#standby =
      args.standby === true ? new Standby({ ...args, hash: args.crypto.sha256 }) : null;
  }

  get status(): EngineStatus {
    return this.#status;
  }

  get driver(): Driver | null {
    return this.#status.kind === 'leading' ? this.#status.driver : null;
  }

  /** Rules of the Set as far as this node knows, 0 when it does not; and what it can read itself. */
  get rules(): { at: number; max: number } {
    const at = this.driver?.state.rules ?? this.#standby?.follower.rules ?? 0;
    return { at, max: this.#args.rulesMax ?? RULES_MAX };
  }

  /** See {@link raiseRules}: refused on a node that does not lead. */
  raiseRules(ask: RaiseAsk): Promise<RaiseReply> {
    const { nodes = 1, rulesMax } = this.#args;
    return raiseRules({ ...ask, driver: this.driver, nodes, rulesMax });
  }

  /** null when this Set has one node. */
  get standby(): Standby | null {
    return this.#standby;
  }

  /** Newest epoch that leads as far as this node knows; 0 when it knows of none. Only a hint. */
  get leaderEpoch(): number {
    const { driver } = this;
    if (driver !== null) return driver.epoch;
    return this.#standby?.watch.leaderEpoch(this.#args.nodeSlot) ?? 0;
  }

  /** Called after every change of status, for as long as the engine lives. */
  onChange(listener: (status: EngineStatus) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    void this.#run();
  }

  /** Resolves when this node leads. Rejects with the reason when it never will. */
  ready(): Promise<Driver> {
    return new Promise((resolve, reject) => {
      const look = (status: EngineStatus): void => {
        if (status.kind === 'leading') resolve(status.driver);
        if (status.kind === 'refused') reject(status.error);
        if (status.kind === 'stopped') reject(new TakeoverFailed('stopped'));
      };
      this.onChange(look);
      look(this.#status);
    });
  }

  submit(args: { bytes: Uint8Array; sink: ReplySink; tag: number }): void {
    const { driver } = this;
    if (driver === null) refuseAt(args.sink, args.tag, 'set_unavailable');
    else driver.submit(args);
  }

  /**
   * Hands leadership over on purpose (rulings 8): sealed commands finish, and a standby need not
   * wait for silence. This node does not compete for 5 s, or until another has led. false: it does not lead, or is alone.
   */
  async stepDown(): Promise<boolean> {
    const { driver } = this;
    const [heart, handOver] = [this.#heart, this.#handOver];
    if (driver === null || this.#standby === null) return false;
    await driver.drain();
    // A doubt may have come meanwhile, and even another leadership: that one is not given up.
    this.#standby.hold(HOLD_AFTER_STEP_DOWN_MS);
    if (this.driver !== driver) return this.driver === null;
    await heart?.resign();
    handOver?.(STEPPED_DOWN);
    return true;
  }

  async #run(): Promise<void> {
    const { clock, random, log, setId } = this.#args;
    let backoffMs = BACKOFF_MS_MIN;
    while (!this.#isStopped()) {
      try {
        if (this.#standby !== null) {
          this.#become({ kind: 'following' });
          if (!(await this.#standby.untilTurn())) return;
        }
        await this.#leadOnce();
        backoffMs = BACKOFF_MS_MIN;
      } catch (error) {
        if (isFinal(error)) {
          log.error('set_refused', { set: setId, reason: error.message });
          return this.#become({ kind: 'refused', error });
        }
        if (!(error instanceof TakeoverFailed) && !(error instanceof StoreError)) {
          log.error('takeover_bug', { set: setId, reason: String(error) });
        } else {
          log.warn('takeover_failed', { set: setId, reason: error.message });
        }
        if (this.#standby !== null) this.#standby.failed();
        else await sleep(clock, backoffMs + random.below(backoffMs));
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX);
      }
    }
  }

  /** One leadership, from takeover to doubt. */
  async #leadOnce(): Promise<void> {
    const { clock, log, setId } = this.#args;
    const since = clock.monotonicMs();
    let doubt: (reason: string) => void = () => undefined;
    const doubted = new Promise<string>((resolve) => {
      doubt = resolve;
    });
    const logClock = new LogClock({
      clock,
      ask: () => this.#compareClock(logClock, doubt),
    });
    if ((await this.#demandClock(logClock)) === 'nobody says') {
      throw new TakeoverFailed('fewer than Q replicas say what time it is');
    }
    if (this.#standby?.isNeeded === false) throw new TakeoverFailed('somebody else was faster');
    const driver = await this.#tryToLead(logClock, doubt);
    if (this.#isStopped()) return this.#leave(driver);
    this.#standby?.leads(driver.epoch);
    this.takeovers.count += 1;
    this.takeovers.lastMs = clock.monotonicMs() - since;
    const { epoch, state } = driver;
    const tookMs = Math.round(this.takeovers.lastMs);
    log.info('set_leading', { set: setId, epoch, lsn: state.lsn, tookMs });
    this.#handOver = doubt;
    this.#become({ kind: 'leading', driver });
    const watching = clock.every(CLOCK_MS, () => this.#compareClock(logClock, doubt));
    const reason = await doubted;
    watching.cancel();
    this.#handOver = null;
    this.#leave(driver);
    if (this.#isStopped()) return;
    const fields = { set: setId, epoch: driver.epoch, reason };
    if (reason === STEPPED_DOWN) log.info('set_stepped_down', fields);
    else log.error('set_doubt', fields);
    this.#standby?.hold(HOLD_AFTER_DOUBT_MS);
    this.#become({ kind: 'starting' });
  }

  async #tryToLead(logClock: LogClock, onDoubt: (reason: string) => void): Promise<Driver> {
    try {
      return await lead({
        ...this.#args,
        logClock,
        // What an operator signed holds for the start that he saw, and not for a later night.
        trustDisks: this.#args.trustDisks === true && this.takeovers.count === 0,
        quarantine: this.#quarantine,
        abort: this.#abort,
        warm: this.#warm(),
        onFence: (epoch) => {
          // A Set of one node writes no beat: nobody watches (rulings 12).
          if (this.#standby === null) return;
          this.#heart = new Heart({ ...this.#args, epoch, onFenced: onDoubt });
          this.#heart.start();
        },
        onDoubt,
      });
    } catch (error) {
      void this.#heart?.resign();
      this.#heart = null;
      throw error;
    }
  }

  #warm(): Warm | null {
    const follower = this.#standby?.follower;
    const recovered = follower?.pause() ?? null;
    if (follower === undefined || recovered === null) return null;
    return { recovered, taken: () => follower.drop() };
  }

  /** Throws memory away, and tells standbys that they need not wait. */
  #leave(driver: Driver): void {
    driver.abandon();
    void this.#heart?.resign();
    this.#heart = null;
  }

  async #demandClock(logClock: LogClock): Promise<'borne out' | 'nobody says'> {
    const reading = logClock.read();
    const aheadMs = await clockAheadMs(this.#args);
    if (aheadMs === null) return 'nobody says';
    if (isTooFarAhead(aheadMs)) {
      throw new TakeoverFailed(`the clock is ${Math.round(aheadMs)} ms ahead of the replicas'`);
    }
    logClock.bearOut(reading);
    return 'borne out';
  }

  /** One comparison at a time: a leap asks for one at every look. */
  #compareClock(logClock: LogClock, doubt: (reason: string) => void): void {
    if (this.#comparing) return;
    this.#comparing = true;
    this.#demandClock(logClock)
      .catch((error: unknown) => doubt(String(error)))
      .finally(() => {
        this.#comparing = false;
      });
  }

  #isStopped(): boolean {
    return this.#status.kind === 'stopped';
  }

  #become(status: EngineStatus): void {
    if (this.#isStopped()) return;
    this.#status = status;
    for (const listener of this.#listeners) listener(status);
  }

  /** Finishes what is sealed (bounded by the quorum timeout), writes the commit point, and leaves. */
  async stop(): Promise<void> {
    const { driver } = this;
    this.#standby?.stop();
    if (driver !== null) {
      await driver.drain();
      // From here a standby may serve; tables and snapshot are only for the next start.
      await this.#heart?.resign();
      await driver.close();
    }
    this.#become({ kind: 'stopped' });
    this.#handOver?.('stopped');
    this.#abort.now();
  }
}

function isFinal(error: unknown): error is FinalError {
  return (
    error instanceof CorruptEntry ||
    error instanceof WrongConfiguration ||
    error instanceof SharedDataDirectory ||
    error instanceof NodeTooOld
  );
}
