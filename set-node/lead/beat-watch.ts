import { nodeSlotOf } from '../../lib/core/units.ts';
import type { Clock, Timer } from '../../lib/port/clock.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';

/** Rulings 12: this long without a beat on Q replicas, on our own monotonic clock. */
const SILENT_MS = 700;
const POLL_MS = 50;
/** Near the verdict the clock is watched more closely. */
const CLOSE_MS = 400;
const CLOSE_POLL_MS = 25;
/** An older reading says nothing of now. */
const FRESH_MS = 500;
/** A tick this late: we stood still ourselves, and so may the leader have, on the same machine. */
const AWAY_MS = 300;

/**
 * `silent`: the leader's beat has stood still on Q replicas. `vacant`: nobody ever led, or the leader
 * left on purpose. `blind`: fewer than Q replicas can be read, and nobody may be fenced.
 */
export type Verdict = 'alive' | 'silent' | 'vacant' | 'blind';

type Reading = {
  readonly epoch: number;
  readonly n: number;
  /** When we first knew of this value. */
  readonly since: number;
  /** When we last asked and found it. */
  readonly askedAt: number;
};

/** Watches `leader_beat` of every replica. A replica that cannot be read says nothing. */
export class BeatWatch {
  readonly #replicas: readonly ReplicaStore[];
  readonly #quorum: number;
  readonly #clock: Clock;
  readonly #readings: (Reading | null)[];
  readonly #asking = new Set<number>();
  #timer: Timer | null = null;
  #tickAt = 0;
  #askedAt = 0;

  constructor(args: { replicas: readonly ReplicaStore[]; quorum: number; clock: Clock }) {
    this.#replicas = args.replicas;
    this.#quorum = args.quorum;
    this.#clock = args.clock;
    this.#readings = args.replicas.map(() => null);
  }

  start(): void {
    if (this.#timer !== null) return;
    this.#readings.fill(null);
    this.#tickAt = this.#clock.monotonicMs();
    this.#ask();
    this.#timer = this.#clock.every(CLOSE_POLL_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** How many replicas can be read just now. */
  get readable(): number {
    return this.#fresh().length;
  }

  verdict(): Verdict {
    const fresh = this.#fresh();
    if (fresh.length < this.#quorum) return 'blind';
    const newest = Math.max(...fresh.map(({ epoch }) => epoch));
    // Its own leader's farewell; that of an earlier one says nothing of a later.
    const left = fresh.some(({ epoch, n }) => epoch === newest && n === 0);
    if (newest === 0 || left) return 'vacant';
    const still = fresh.filter(({ since, askedAt }) => askedAt - since >= SILENT_MS);
    return still.length >= this.#quorum ? 'silent' : 'alive';
  }

  /** Newest epoch that any replica has a beat of; of a leader that left, too. 0: none. */
  newestEpoch(): number {
    return Math.max(0, ...this.#fresh().map(({ epoch }) => epoch));
  }

  /** Epoch of a leader that beats, other than node `own`; 0 when none is known to. */
  leaderEpoch(own: number): number {
    const newest = this.newestEpoch();
    return this.verdict() === 'alive' && nodeSlotOf(newest) !== own ? newest : 0;
  }

  #fresh(): Reading[] {
    const oldest = this.#clock.monotonicMs() - FRESH_MS;
    return this.#readings.filter((one) => one !== null).filter(({ askedAt }) => askedAt >= oldest);
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#tickAt >= AWAY_MS) this.#readings.fill(null);
    this.#tickAt = now;
    const close = this.#fresh().some(({ since, askedAt }) => askedAt - since >= CLOSE_MS);
    if (close || now - this.#askedAt >= POLL_MS) this.#ask();
  }

  #ask(): void {
    this.#askedAt = this.#clock.monotonicMs();
    for (const [replica, store] of this.#replicas.entries()) {
      if (this.#asking.has(replica)) continue;
      this.#asking.add(replica);
      const askedAt = this.#askedAt;
      store
        .readBeat()
        .then((beat) => this.#note({ replica, askedAt, ...beat }))
        .catch(() => undefined)
        .finally(() => this.#asking.delete(replica));
    }
  }

  #note(found: { replica: number; askedAt: number; epoch: number; n: number }): void {
    const { replica, askedAt, epoch, n } = found;
    const before = this.#readings[replica] ?? null;
    const same = before !== null && before.epoch === epoch && before.n === n;
    // From the end of the first look to the beginning of the last: it stood still at least so long.
    const since = same ? before.since : this.#clock.monotonicMs();
    this.#readings[replica] = { epoch, n, since, askedAt: same ? askedAt : since };
  }
}
