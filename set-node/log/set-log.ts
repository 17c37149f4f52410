import { assert, unreachable } from '../../lib/core/assert.ts';
import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Epoch, Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock, Timer } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Fence, Place, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { within } from './ask-all.ts';
import type { Follower } from './follower.ts';
import { LOOK_MS, newFollower } from './follower.ts';
import { Donors } from './donors.ts';
import type { Quarantine } from './quarantine.ts';

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
  readonly quarantine: Quarantine;
  /** A counter's hook: this replica has forgotten what it acknowledged (rulings 6). */
  readonly onAmnesia?: (replica: number) => void;
};

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;
const WATCH_MS = 50;
const COMMIT_WRITE_MS = 100;
/** A commit point is written lazily: a replica that does not take it now gets a later one. */
const COMMIT_PATIENCE_MS = 1_000;

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
  #oldestUncommittedAt: number | null = null;
  /** Replicas that forgot something since they joined: they come back by P9 only. */
  readonly #forgetful = new Set<number>();
  /** Replicas with a damaged entry: they lose their vote as soon as the others do without. */
  readonly #damaged = new Set<number>();
  readonly #donors: Donors;
  /** Checksum of the entry at the commit point. */
  #commitSum = ZERO_SUM;
  /** Who rejected the entry after the commit point. */
  readonly #rejectedBy = new Set<number>();
  #stopped = false;
  readonly #timers: Timer[] = [];

  constructor(args: SetLogArgs) {
    this.#args = args;
    this.#followers = args.replicas.map(() => null);
    this.#donors = new Donors({ ...args, onDamage: (...found) => this.noteDamage(...found) });
    this.#head = args.adoptedLsn;
    this.#commit = lsn(0);
    this.#windowStart = args.adoptedLsn + 1;
    this.#timers.push(
      args.clock.every(COMMIT_WRITE_MS, () => this.#writeCommit()),
      args.clock.every(WATCH_MS, () => this.#watchQuorum()),
      args.clock.every(LOOK_MS, () => this.#lookAtAll()),
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

  /** What a slow replica holds in memory: bounded by P10. */
  get window(): { batches: number; bytes: number } {
    return { batches: this.#window.length, bytes: this.#windowBytes };
  }

  /** How long the oldest uncommitted entry has waited; 0 when everything is committed. */
  get stalledMs(): number {
    const since = this.#oldestUncommittedAt;
    return since === null ? 0 : this.#args.clock.monotonicMs() - since;
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

  /** The committed entry up to which this replica's journal is ours for certain; null: none yet. */
  committedOn(replica: number): Place | null {
    const follower = this.#followers[replica];
    if (this.#commit === 0 || follower?.active !== true) return null;
    if (follower.acked >= this.#commit) return { lsn: this.#commit, sum: this.#commitSum };
    return follower.ackedSum === null ? null : { lsn: follower.acked, sum: follower.ackedSum };
  }

  hasForgotten(replica: number): boolean {
    return this.#forgetful.has(replica);
  }

  /** Was an entry of it seen to be damaged, and not made good since? */
  isDamaged(replica: number): boolean {
    return this.#damaged.has(replica);
  }

  /** It goes on storing what comes while it is needed, and returns by P9 with good entries. */
  noteDamage(replica: number, { message }: Error): void {
    const { log, setId } = this.#args;
    if (this.#damaged.has(replica)) return;
    this.#damaged.add(replica);
    log.error('journal_corrupt', { set: setId, replica, reason: message });
    this.#dropDamaged();
  }

  #dropDamaged(): void {
    const active = this.#followers.filter((one) => one !== null).filter((one) => one.active);
    const isGood = ({ replica, failing }: Follower): boolean =>
      failing === null && !this.#damaged.has(replica);
    if (active.filter(isGood).length < this.#args.quorum) return;
    for (const one of active) if (this.#damaged.has(one.replica)) this.#leave(one, 'damaged');
  }

  /** Lets a repaired or re-admitted replica count, from `acked` on. Earlier acknowledgements are forgotten (P9). */
  join(args: { replica: number; fence: Fence; acked: Lsn }): void {
    const store = this.#args.replicas[args.replica];
    assert(store !== undefined && !this.isActive(args.replica), 'an inactive replica joins');
    // Whoever brought it up may hear late that this leader is gone.
    if (this.#stopped) return;
    const follower = newFollower({ ...args, store, clock: this.#args.clock });
    this.#followers[args.replica] = follower;
    this.#forgetful.delete(args.replica);
    this.#damaged.delete(args.replica);
    this.#dropDamaged();
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

  /** Writes the commit point everywhere: the last thing of a clean stop. */
  async flushCommit(): Promise<void> {
    const { clock } = this.#args;
    const told = this.#followers.map(async (follower) => {
      await follower?.telling;
      if (follower !== null) await this.#tellCommit(follower);
    });
    const call = Promise.all(told);
    await within({ clock, ms: COMMIT_PATIENCE_MS, call }).catch(() => undefined);
  }

  /** Within 100 ms of going idle (rulings 11). */
  #writeCommit(): void {
    for (const follower of this.#followers) {
      if (follower !== null && follower.telling === null) void this.#tellCommit(follower);
    }
  }

  /** One call on its way per replica: what a stopped one leaves unanswered must not pile up. */
  async #tellCommit(follower: Follower): Promise<void> {
    const at = this.committedOn(follower.replica);
    if (at === null || follower.told >= at.lsn) return;
    follower.telling = follower.store.setCommit(at).then(
      () => {
        follower.told = at.lsn;
      },
      () => undefined,
    );
    await follower.telling;
    follower.telling = null;
  }

  #watchQuorum(): void {
    if (!this.#stopped && this.stalledMs > LIMITS.quorumTimeoutMs) {
      this.#doubt(`no quorum for ${LIMITS.quorumTimeoutMs} ms`);
    }
  }

  #lookAtAll(): void {
    for (const follower of this.#followers) {
      if (follower?.active === true) void this.#look(follower);
    }
  }

  /** What its next append would tell, in a Set that is idle. A Follower is of one incarnation. */
  async #look(follower: Follower): Promise<void> {
    const { replica } = follower;
    try {
      const found = await follower.watch.look();
      if (found === null || this.#stopped || !follower.active) return;
      switch (found.kind) {
        case 'fenced':
          return this.#doubt(`replica ${replica} is fenced by epoch ${found.fenceEpoch}`);
        case 'forgot':
          this.#alarm(follower, { fenceEpoch: found.fenceEpoch });
          this.#leave(follower, 'fenced');
          break;
        case 'no_vote':
          this.#leave(follower, found.kind);
          break;
        case 'silent':
          // The last Q stay: with fewer nobody could bring the others back. An append finds out.
          if (this.#activeCount() > this.#args.quorum) this.#leave(follower, found.kind);
          return;
        default:
          unreachable(found);
      }
      // Nobody is left from whom another could be brought back.
      if (this.#activeCount() === 0) this.#doubt('no replica counts any more');
    } catch (error) {
      this.#doubt(`replica ${replica}: ${String(error)}`);
    }
  }

  #activeCount(): number {
    return this.#followers.filter((follower) => follower?.active === true).length;
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
    const { replica } = follower;
    let entries: Entry[] = [];
    try {
      entries = await this.#entriesFor(follower);
      const reply = await follower.store.append({ fence: follower.fence, entries });
      follower.watch.heard();
      if (this.#stopped || !follower.active) return;
      switch (reply.kind) {
        case 'acked':
          follower.acked = reply.lsn;
          follower.ackedSum = entries.findLast(({ lsn: at }) => at === reply.lsn)?.sum ?? null;
          this.#recovered(follower);
          this.#advance();
          return;
        case 'fenced':
          if (reply.fenceEpoch < follower.fence.epoch) {
            // It had promised itself to us: a fence never falls where memory is kept.
            this.#alarm(follower, { fenceEpoch: reply.fenceEpoch });
            return this.#leave(follower, reply.kind);
          }
          this.#doubt(`replica ${replica} is fenced by epoch ${reply.fenceEpoch}`);
          return;
        case 'mismatch':
          if (reply.head.lsn < follower.acked) {
            this.#alarm(follower, { headLsn: reply.head.lsn, headEpoch: reply.head.epoch });
          }
          this.#leave(follower, reply.kind);
          return;
        case 'no_vote':
          // It restarted or is another disk: it no longer counts, nor do its acknowledgements.
          this.#leave(follower, reply.kind);
          return;
        default:
          unreachable(reply);
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'rejected' && entries.length > 1) {
        follower.oneByOneTo = entries.at(-1)?.lsn ?? 0;
        return;
      }
      if (error.code === 'rejected' || error.code === 'corrupt') {
        this.#leave(follower, error.message);
        if (error.code === 'rejected') this.#rejected(follower, entries);
        return;
      }
      // P8: unknown is resent byte for byte under the same (epoch, LSN).
      const { failing } = follower;
      if (failing === null) {
        log.warn('replica_append_failed', { set: setId, replica, reason: error.message });
      }
      const waitMs = failing?.waitMs ?? RETRY_MS_MIN;
      const sinceMs = failing?.sinceMs ?? clock.monotonicMs();
      follower.failing = { sinceMs, waitMs: Math.min(waitMs * 2, RETRY_MS_MAX) };
      await sleep(clock, waitMs);
    }
  }

  /** One line for an outage, and one for its end. */
  #recovered(follower: Follower): void {
    const { clock, log, setId } = this.#args;
    const { failing, replica } = follower;
    if (failing === null) return;
    follower.failing = null;
    const awayMs = Math.round(clock.monotonicMs() - failing.sinceMs);
    log.info('replica_append_recovered', { set: setId, replica, awayMs });
    this.#dropDamaged();
  }

  #leave(follower: Follower, reason: string): void {
    const { log, setId } = this.#args;
    log.warn('replica_left', { set: setId, replica: follower.replica, reason });
    follower.active = false;
    follower.ahead = null;
  }

  /** Rulings 6: what it acknowledged or promised to this leader is gone. */
  #alarm({ replica, acked, fence }: Follower, found: Readonly<Record<string, number>>): void {
    const { log, setId } = this.#args;
    const { incarnation } = fence;
    log.error('replica_amnesia', { set: setId, replica, incarnation, ackedLsn: acked, ...found });
    this.#forgetful.add(replica);
    this.#args.onAmnesia?.(replica);
  }

  /** P8: an entry that Q replicas will not store is no accident, and waiting does not help. */
  #rejected({ replica }: Follower, entries: readonly Entry[]): void {
    const [entry] = entries;
    const oldest = Math.max(this.#commit, this.#args.adoptedLsn) + 1;
    if (entry === undefined || entry.lsn !== oldest) return;
    this.#rejectedBy.add(replica);
    if (this.#rejectedBy.size < this.#args.quorum) return;
    this.#args.quarantine.reject(entry);
    this.#doubt(`LSN ${entry.lsn} is rejected by ${this.#rejectedBy.size} replicas`);
  }

  async #entriesFor(follower: Follower): Promise<Entry[]> {
    const { acked, ahead } = follower;
    follower.ahead = null;
    const entries = await (ahead !== null && ahead.after === acked
      ? ahead.entries
      : this.#entriesAfter(acked));
    if (acked < follower.oneByOneTo) return entries.slice(0, 1);
    const last = entries.at(-1);
    if (last !== undefined && last.lsn + 1 < this.#windowStart) {
      const more = this.#entriesAfter(last.lsn);
      // Nobody may be there to hear it.
      more.catch(() => undefined);
      follower.ahead = { after: last.lsn, entries: more };
    }
    return entries;
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
    // P10: behind the window, from the journal of another, and from the next when it cannot tell.
    for (const donor of this.#followers) {
      if (donor?.active !== true || donor.acked <= after) continue;
      const entries = await this.#donors.read({ ...donor, after });
      if (entries.length > 0) return entries;
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
      const entry = this.#window[reached - this.#windowStart];
      assert(entry?.lsn === reached, 'what is committed just now is in the window');
      this.#commit = entry.lsn;
      this.#commitSum = entry.sum;
      this.#rejectedBy.clear();
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
