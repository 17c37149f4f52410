import type { Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, unseal } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { NodeTooOld } from '../../lib/core/rules.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { within } from '../log/ask-all.ts';
import type { Recovered } from '../log/replay.ts';
import { applyEntry, recover } from '../log/replay.ts';
import { encodeState } from '../machine/snapshot.ts';

const POLL_MS = 75;
/** A replica that does not answer by then is passed over; the adapter's own deadline is longer. */
const ANSWER_MS = 1_000;
/** Nothing new for so long: perhaps this replica is the one that lags. */
const ROTATE_MS = 500;
const READ_BYTES = 4 * 1_048_576;
const FORGET_MS = 1_000;
const AFTER_BUG_MS = 1_000;

export type FollowerArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly clock: Clock;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** The rules that this node reads; only tests have others than this build. Default RULES_MAX. */
  readonly rulesMax?: number | undefined;
};

/**
 * A standby's copy of the Set's state: applies the journal up to commit points that replicas tell
 * of, and nothing above (rulings 11). What it holds is therefore part of every later leader's chain.
 */
export class Follower {
  readonly #args: FollowerArgs;
  #recovered: Recovered | null = null;
  /** A state is only touched by the run that it was made for. */
  #run = 0;
  #paused = true;
  #replica = 0;
  readonly #failing = new Set<number>();
  #newAt = 0;
  #forgotAt = 0;
  #commit = lsn(0);
  #snapshotting = false;
  #tooOld: NodeTooOld | null = null;

  constructor(args: FollowerArgs) {
    this.#args = args;
  }

  get appliedLsn(): Lsn {
    return this.#recovered?.state.lsn ?? lsn(0);
  }

  /** Highest commit point that any replica told of. */
  get commitLsn(): Lsn {
    return this.#commit;
  }

  get lagEntries(): number {
    return this.#commit - this.appliedLsn;
  }

  /** Rules of the Set as far as applied; 0 when nothing is. */
  get rules(): number {
    return this.#recovered?.state.rules ?? 0;
  }

  /** The Set is at rules that this node cannot read: it follows no more. */
  get tooOld(): NodeTooOld | null {
    return this.#tooOld;
  }

  /** Goes on from where it stands. */
  start(): void {
    if (!this.#paused || this.#tooOld !== null) return;
    this.#paused = false;
    this.#run += 1;
    this.#newAt = this.#args.clock.monotonicMs();
    void this.#follow(this.#run);
  }

  /** Lends the state to a candidate; null when there is none yet. Untouched until `start`. */
  pause(): Recovered | null {
    this.#paused = true;
    this.#run += 1;
    return this.#recovered;
  }

  /** The candidate has changed it: it may hold what nobody committed. */
  drop(): void {
    this.#recovered = null;
  }

  async #follow(run: number): Promise<void> {
    const { clock, log, setId } = this.#args;
    while (run === this.#run) {
      let more = false;
      try {
        more = await this.#step(run);
        if (run === this.#run) this.#keepSmall();
      } catch (error) {
        if (run !== this.#run) return;
        if (error instanceof NodeTooOld) {
          this.#tooOld = error;
          return this.drop();
        }
        const reason = error instanceof Error ? error.message : String(error);
        const replica = this.#replica;
        this.#next();
        if (error instanceof StoreError) {
          // One line of log for a replica that is away.
          if (!this.#failing.has(replica))
            log.warn('follow_failed', { set: setId, replica, reason });
          this.#failing.add(replica);
        } else {
          // An entry that is not what was sealed, or a bug: half of it may be applied.
          log.error('follow_broken', { set: setId, replica, reason });
          this.#recovered = null;
          await sleep(clock, AFTER_BUG_MS);
        }
      }
      if (!more) await sleep(clock, POLL_MS);
    }
  }

  /** One bounded read; true when more is there. */
  async #step(run: number): Promise<boolean> {
    const { clock, hash, replicas, rulesMax, setId } = this.#args;
    const store = replicas[this.#replica];
    if (store === undefined) return false;
    const commitLsn = await within({ clock, ms: ANSWER_MS, call: store.commitLsn() });
    if (run !== this.#run) return false;
    this.#failing.delete(this.#replica);
    this.#commit = lsn(Math.max(this.#commit, commitLsn));
    if (this.#recovered === null) {
      const recovered = await recover({ store, setId, commitLsn, hash, rulesMax });
      if (run === this.#run) this.#recovered = recovered;
      return true;
    }
    const { state } = this.#recovered;
    const now = clock.monotonicMs();
    if (commitLsn <= state.lsn) {
      if (now - this.#newAt >= ROTATE_MS) this.#next();
      return false;
    }
    const call = store.read({ after: state.lsn, limitBytes: READ_BYTES });
    const entries = await within({ clock, ms: ANSWER_MS, call });
    if (run !== this.#run) return false;
    if (entries.length === 0) {
      const reason = 'the journal ends below its commit point';
      throw new CorruptEntry({ setId, lsn: state.lsn + 1, reason });
    }
    for (const entry of entries) {
      if (entry.lsn > commitLsn) break;
      if (entry.lsn !== state.lsn + 1 || entry.setId !== setId) {
        throw new CorruptEntry({ setId, lsn: state.lsn + 1, reason: 'the entry is missing' });
      }
      unseal({ entry, prev: this.#recovered.sum, hash, rulesMax });
      applyEntry(this.#recovered, entry);
    }
    this.#newAt = now;
    return state.lsn < commitLsn;
  }

  #next(): void {
    this.#replica = (this.#replica + 1) % this.#args.replicas.length;
    this.#newAt = this.#args.clock.monotonicMs();
  }

  /** What a leader does as well: forgets what tables tell of; and what a standby does for it. */
  #keepSmall(): void {
    const { clock } = this.#args;
    if (this.#recovered === null || clock.monotonicMs() - this.#forgotAt < FORGET_MS) return;
    this.#forgotAt = clock.monotonicMs();
    void this.#forget(this.#run);
    void this.#snapshot(this.#recovered);
  }

  async #forget(run: number): Promise<void> {
    const { clock, replicas, quorum } = this.#args;
    const shown = await Promise.all(
      replicas.map((store) =>
        within({ clock, ms: ANSWER_MS, call: store.projectedLsn() }).catch(() => lsn(0)),
      ),
    );
    if (run !== this.#run || this.#recovered === null) return;
    const projected = shown.toSorted((a, b) => b - a)[quorum - 1] ?? lsn(0);
    const { state } = this.#recovered;
    state.forget(lsn(Math.min(projected, state.lsn)));
  }

  /** Rulings 14: snapshots are a standby's work, on every replica that takes them. */
  async #snapshot(recovered: Recovered): Promise<void> {
    const { log, replicas, setId } = this.#args;
    if (this.#snapshotting || recovered.replayedBytes < LIMITS.snapshotEveryBytes) return;
    this.#snapshotting = true;
    recovered.replayedBytes = 0;
    const snapshot = encodeState(recovered);
    for (const [replica, store] of replicas.entries()) {
      try {
        await store.writeSnapshot(snapshot);
        log.info('snapshot_taken', { set: setId, replica });
      } catch (error) {
        // A snapshot is only speed: the next one will do.
        log.warn('snapshot_failed', { set: setId, replica, reason: String(error) });
      }
    }
    this.#snapshotting = false;
  }
}
