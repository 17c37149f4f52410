import type { Epoch } from '../../lib/core/units.ts';
import { nodeSlotOf } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Random } from '../../lib/port/random.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { askAll } from '../log/ask-all.ts';
import { BeatWatch } from './beat-watch.ts';
import type { FollowerArgs } from './follower.ts';
import { Follower } from './follower.ts';

/** Rulings 12: standbys of one leader do not all rise at once. Small values are likelier. */
const JITTER_MS = 401;
/** When nobody leads there is nothing to be sure of. */
const VACANT_JITTER_MS = 101;
/** Who led last lets the others go first: they may all be waiting for the same replica. */
const LED_LAST_MS = 400;
const LOOK_MS = 10;
/** A fence that is newer than any beat: a candidate is at work. It gets this long. */
const CANDIDATE_MS = 700;
/** By then a watch has heard of every replica that it can read. */
const SETTLED_MS = 1_500;
const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 5_000;

export type StandbyArgs = FollowerArgs & { readonly random: Random };

/** Follows the Set, and tells when it is this node's turn to lead it (rulings 7, 11, 12). */
export class Standby {
  readonly follower: Follower;
  readonly watch: BeatWatch;
  readonly #replicas: readonly ReplicaStore[];
  readonly #quorum: number;
  readonly #clock: Clock;
  readonly #random: Random;
  #stopped = false;
  #holdUntil = 0;
  /** After a failed try; sooner when a replica came back meanwhile. */
  #retryAt = 0;
  #readable = 0;
  /** The newest epoch that this node led. */
  #ledEpoch = 0;
  #startedAt = 0;
  #backoffMs = BACKOFF_MS_MIN;
  /** The newest fence that no beat has followed, and since when we know. */
  #candidate = { epoch: 0, since: 0 };

  constructor(args: StandbyArgs) {
    this.follower = new Follower(args);
    this.watch = new BeatWatch(args);
    this.#replicas = args.replicas;
    this.#quorum = args.quorum;
    this.#clock = args.clock;
    this.#random = args.random;
  }

  /** Does not compete for so long, whatever happens. */
  hold(ms: number): void {
    this.#holdUntil = Math.max(this.#holdUntil, this.#clock.monotonicMs() + ms);
  }

  /** After a failed try: 0.2 s, doubling up to 5 s, with jitter; leading begins anew. */
  failed(): void {
    const delayMs = this.#backoffMs + this.#random.below(this.#backoffMs);
    this.#retryAt = this.#clock.monotonicMs() + delayMs;
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
  }

  /** This node leads: until the leadership is over it neither watches nor follows. */
  leads(epoch: Epoch): void {
    this.#ledEpoch = epoch;
    this.#backoffMs = BACKOFF_MS_MIN;
    this.watch.stop();
  }

  stop(): void {
    this.#stopped = true;
    this.watch.stop();
    this.follower.pause();
  }

  /**
   * Follows until nobody leads; true when this node should take over, false when it was stopped.
   * Then the follower stands still: what it holds may be lent to a candidate. Rejects with
   * NodeTooOld when the Set is at rules that this node cannot read.
   */
  async untilTurn(): Promise<boolean> {
    this.follower.start();
    this.watch.start();
    this.#startedAt = this.#clock.monotonicMs();
    try {
      while (!this.#stopped) {
        await sleep(this.#clock, LOOK_MS);
        if (this.follower.tooOld !== null) throw this.follower.tooOld;
        this.#noteHelp();
        if (!this.#mayRise()) continue;
        const vacant = this.watch.verdict() === 'vacant';
        await sleep(this.#clock, this.#jitterMs(vacant));
        if (this.#stopped || !this.#mayRise()) continue;
        if (await this.#isCandidateAtWork()) continue;
        if (!this.#stopped && this.#mayRise()) return true;
      }
      return false;
    } finally {
      this.follower.pause();
    }
  }

  /** Asked again at the last moment: somebody else may have been faster. */
  get isNeeded(): boolean {
    const verdict = this.watch.verdict();
    return verdict === 'silent' || verdict === 'vacant';
  }

  /** Two replicas were away and one is back: what failed before may go well now (rulings 16b). */
  #noteHelp(): void {
    const { readable } = this.watch;
    if (readable > this.#readable) {
      [this.#retryAt, this.#backoffMs] = [0, BACKOFF_MS_MIN];
      this.#readable = readable;
    } else if (this.#clock.monotonicMs() - this.#startedAt >= SETTLED_MS) {
      this.#readable = readable;
    }
  }

  #mayRise(): boolean {
    const until = this.#hasOtherLed() ? this.#retryAt : Math.max(this.#holdUntil, this.#retryAt);
    return this.#clock.monotonicMs() >= until && this.isNeeded;
  }

  /** What this node held back for has happened: it competes like everybody. */
  #hasOtherLed(): boolean {
    const newest = this.watch.newestEpoch();
    return newest - nodeSlotOf(newest) > this.#ledEpoch - nodeSlotOf(this.#ledEpoch);
  }

  #jitterMs(vacant: boolean): number {
    const ledLast = this.#ledEpoch > 0 && this.#ledEpoch === this.watch.newestEpoch();
    const handicapMs = ledLast ? LED_LAST_MS : 0;
    if (vacant) return handicapMs + this.#random.below(VACANT_JITTER_MS);
    const part = this.#random.below(JITTER_MS) / JITTER_MS;
    return handicapMs + Math.floor(part * this.#random.below(JITTER_MS));
  }

  /** Somebody fenced and does not beat yet: two candidates would only stop each other. */
  async #isCandidateAtWork(): Promise<boolean> {
    const rows = await askAll({
      calls: this.#replicas.map((store) => store.fenceRow()),
      isEnough: (found) => found.filter((row) => row !== null).length >= this.#quorum,
      clock: this.#clock,
    });
    const fence = Math.max(0, ...rows.map((row) => row?.fenceEpoch ?? 0));
    if (fence <= this.watch.newestEpoch()) return false;
    const now = this.#clock.monotonicMs();
    if (this.#candidate.epoch !== fence) this.#candidate = { epoch: fence, since: now };
    return now - this.#candidate.since < CANDIDATE_MS;
  }
}
