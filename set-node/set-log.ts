import { assert } from '../lib/core/assert.ts';
import type { Entry, Sha256Function } from '../lib/core/journal-entry.ts';
import { CorruptEntry, unseal } from '../lib/core/journal-entry.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Epoch, Lsn, SetId } from '../lib/core/units.ts';
import { lsn } from '../lib/core/units.ts';
import type { Clock, Timer } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Fence, ReplicaStore } from '../lib/port/replica-store.ts';
import { StoreError } from '../lib/port/replica-store.ts';

export type SetLogArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  /** LSN of everything that was adopted; the EPOCH_START follows it. */
  readonly adoptedLsn: Lsn;
  readonly clock: Clock;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** Called in order; everything up to `at` is committed (P7). */
  readonly onCommit: (at: Lsn) => void;
  /** P8: this leader must throw its memory away. Called at most once. */
  readonly onDoubt: (reason: string) => void;
};

/** One replica as the leader sees it. */
type Follower = {
  readonly replica: number;
  readonly store: ReplicaStore;
  fence: Fence;
  /** Highest LSN that it has acknowledged in its present incarnation. */
  acked: Lsn;
  /** Does it count, and is it fed? */
  active: boolean;
  feeding: boolean;
};

const RETRY_MS = 50;
const COMMIT_WRITE_MS = 100;

/** The leader's end of the Set log: P6 appends to every follower, P7 commit, P8 doubt, P10 lag. */
export class SetLog {
  readonly #args: SetLogArgs;
  readonly #followers: (Follower | null)[];
  /** Entries that some active follower lacks: LSN of `#window[0]` is `#windowStart`. */
  #window: Entry[] = [];
  #windowBytes = 0;
  #windowStart: number;
  #head: Lsn;
  #commit: Lsn;
  #commitWritten: Lsn;
  #oldestUncommittedAt: number | null = null;
  #stopped = false;
  readonly #timers: Timer[] = [];

  constructor(args: SetLogArgs) {
    this.#args = args;
    this.#followers = args.replicas.map(() => null);
    this.#head = args.adoptedLsn;
    this.#commit = lsn(0);
    this.#commitWritten = lsn(0);
    this.#windowStart = args.adoptedLsn + 1;
    this.#timers.push(
      args.clock.every(COMMIT_WRITE_MS, () => this.#writeCommit()),
      args.clock.every(RETRY_MS, () => this.#watchQuorum()),
    );
  }

  get head(): Lsn {
    return this.#head;
  }

  get commit(): Lsn {
    return this.#commit;
  }

  /** Entries sealed and not yet committed. */
  get uncommitted(): number {
    return this.#head - Math.max(this.#commit, this.#args.adoptedLsn);
  }

  /** Highest acknowledged LSN of each replica; 0 for one that does not count. */
  acked(): [Lsn, Lsn, Lsn] {
    return [this.ackedBy(0), this.ackedBy(1), this.ackedBy(2)];
  }

  /** What this replica has for certain. */
  ackedBy(replica: number): Lsn {
    const follower = this.#followers[replica];
    return follower?.active === true ? follower.acked : lsn(0);
  }

  isActive(replica: number): boolean {
    return this.#followers[replica]?.active === true;
  }

  /** Lets a repaired or re-admitted replica count, from `acked` on. Earlier acknowledgements are forgotten (P9). */
  join(args: { replica: number; fence: Fence; acked: Lsn }): void {
    const store = this.#args.replicas[args.replica];
    assert(store !== undefined && !this.isActive(args.replica), 'an inactive replica joins');
    const follower = { ...args, store, active: true, feeding: false };
    this.#followers[args.replica] = follower;
    this.#advance();
    void this.#feed(follower);
  }

  /** Appends a sealed entry: its LSN follows the head. Committed later, or never. */
  append(entry: Entry): void {
    assert(entry.lsn === this.#head + 1, 'P6: entries are appended in LSN order');
    assert(entry.epoch === this.#args.epoch, 'a leader appends entries of its own epoch');
    if (this.#stopped) return;
    this.#head = entry.lsn;
    this.#window.push(entry);
    this.#windowBytes += entry.payload.length;
    this.#oldestUncommittedAt ??= this.#args.clock.monotonicMs();
    for (const follower of this.#followers) if (follower !== null) void this.#feed(follower);
  }

  /** Stops feeding; what is in flight may still land. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
  }

  /** Writes the commit point everywhere: before a clean stop, and within 100 ms of going idle. */
  async flushCommit(): Promise<void> {
    const at = this.#commit;
    await Promise.all(
      this.#followers.map(async (follower) => {
        if (follower?.active !== true || follower.acked < at) return;
        await follower.store.setCommit(at).catch(() => undefined);
      }),
    );
    this.#commitWritten = at;
  }

  #writeCommit(): void {
    if (this.#commitWritten < this.#commit) void this.flushCommit();
  }

  #watchQuorum(): void {
    const since = this.#oldestUncommittedAt;
    if (since === null || this.#stopped) return;
    if (this.#args.clock.monotonicMs() - since > LIMITS.quorumTimeoutMs) {
      this.#doubt(`no quorum for ${LIMITS.quorumTimeoutMs} ms`);
    }
  }

  #doubt(reason: string): void {
    if (this.#stopped) return;
    this.stop();
    this.#args.onDoubt(reason);
  }

  /** One call in flight per replica; what gathers meanwhile goes in the next, in one transaction. */
  async #feed(follower: Follower): Promise<void> {
    if (follower.feeding) return;
    follower.feeding = true;
    try {
      while (!this.#stopped && follower.active && follower.acked < this.#head) {
        await this.#feedOnce(follower);
      }
    } catch (error) {
      this.#doubt(`replica ${follower.replica}: ${String(error)}`);
    } finally {
      follower.feeding = false;
    }
  }

  async #feedOnce(follower: Follower): Promise<void> {
    const { clock, log, setId } = this.#args;
    try {
      const entries = await this.#entriesAfter(follower.acked);
      const reply = await follower.store.append({ fence: follower.fence, entries });
      if (this.#stopped || !follower.active) return;
      switch (reply.kind) {
        case 'acked':
          follower.acked = reply.lsn;
          this.#advance();
          return;
        case 'fenced':
          this.#doubt(`replica ${follower.replica} is fenced by epoch ${reply.fenceEpoch}`);
          return;
        case 'no_vote':
        case 'mismatch':
          // It restarted or is another disk: it no longer counts, nor do its acknowledgements.
          log.warn('replica_left', { set: setId, replica: follower.replica, reason: reply.kind });
          follower.active = false;
          return;
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'rejected' || error.code === 'corrupt') {
        log.error('replica_left', { set: setId, replica: follower.replica, reason: error.message });
        follower.active = false;
        return;
      }
      // P8: unknown is resent byte for byte under the same (epoch, LSN).
      log.warn('replica_append_failed', {
        set: setId,
        replica: follower.replica,
        reason: error.message,
      });
      await sleep(clock, RETRY_MS);
    }
  }

  async #entriesAfter(after: Lsn): Promise<Entry[]> {
    const offset = after + 1 - this.#windowStart;
    if (offset >= 0) {
      const entries: Entry[] = [];
      let bytes = 0;
      for (let index = offset; index < this.#window.length; index++) {
        const entry = this.#window[index];
        if (entry === undefined) break;
        bytes += entry.payload.length;
        if (entries.length > 0 && bytes > LIMITS.batchBytesMax) break;
        entries.push(entry);
      }
      return entries;
    }
    // P10: behind the window, from the journal of another.
    const { hash, log, setId } = this.#args;
    for (const donor of this.#followers) {
      if (donor?.active !== true || donor.acked <= after) continue;
      const entries = await donor.store.read({ after, limitBytes: LIMITS.batchBytesMax });
      try {
        // Damage must not spread: what one replica hands on is checked like what a leader reads.
        let prev: Uint8Array | null = null;
        for (const entry of entries) {
          unseal({ entry, prev, hash });
          prev = entry.sum;
        }
        if (entries.length > 0) return entries;
      } catch (error) {
        if (!(error instanceof CorruptEntry)) throw error;
        log.error('journal_corrupt', { set: setId, replica: donor.replica, reason: error.message });
      }
    }
    throw new StoreError('unavailable', 'no replica can feed this one');
  }

  /** P7: the greatest LSN of the current epoch that Q replicas have acknowledged. */
  #advance(): void {
    const { quorum, adoptedLsn, clock, onCommit } = this.#args;
    const acked = this.#followers
      .map((follower) => (follower?.active === true ? follower.acked : 0))
      .sort((a, b) => b - a);
    const reached = acked[quorum - 1] ?? 0;
    if (reached > this.#commit && reached > adoptedLsn) {
      this.#commit = lsn(reached);
      this.#oldestUncommittedAt = this.#commit < this.#head ? clock.monotonicMs() : null;
      onCommit(this.#commit);
    }
    this.#shrink();
  }

  #shrink(): void {
    const all = this.#followers.filter((follower) => follower !== null && follower.active);
    const least = Math.min(this.#commit, ...all.map((follower) => follower?.acked ?? 0));
    while (this.#window.length > 0) {
      const overfull =
        this.#window.length > LIMITS.replicaWindowBatches ||
        this.#windowBytes > LIMITS.replicaWindowBytes;
      const needed = overfull ? this.#commit : least;
      if (this.#windowStart > needed) return;
      this.#windowBytes -= this.#window.shift()?.payload.length ?? 0;
      this.#windowStart += 1;
    }
  }
}
