import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Fence, FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';

/** One replica as the leader sees it. */
export type Follower = {
  readonly replica: number;
  readonly store: ReplicaStore;
  fence: Fence;
  /** Highest LSN that it has acknowledged in its present incarnation. */
  acked: Lsn;
  /** Checksum of that entry; null until it has acknowledged something to this leader. */
  ackedSum: Uint8Array | null;
  /** Does it count, and is it fed? */
  active: boolean;
  feeding: boolean;
  /** A call with entries up to this LSN was rejected: one at a time, to find out which it is. */
  oneByOneTo: number;
  /** Since when appends fail, and how long to wait before the next; null while they do not. */
  failing: { readonly sinceMs: number; readonly waitMs: number } | null;
  /** Commit point that it was told, and the call that is telling it of another. */
  told: Lsn;
  telling: Promise<void> | null;
  /** P10: the next piece of another's journal, asked for while the last one is on its way. */
  ahead: { readonly after: Lsn; readonly entries: Promise<Entry[]> } | null;
  readonly watch: FollowerWatch;
};

/** One that counts from `acked` on, and has not been fed yet. */
export function newFollower(args: {
  replica: number;
  store: ReplicaStore;
  fence: Fence;
  acked: Lsn;
  clock: Clock;
}): Follower {
  const { replica, store, fence, acked } = args;
  return {
    replica,
    store,
    fence,
    acked,
    active: true,
    ackedSum: null,
    feeding: false,
    oneByOneTo: 0,
    failing: null,
    told: lsn(0),
    telling: null,
    ahead: null,
    watch: new FollowerWatch(args),
  };
}

/** How often a leader looks at each replica that counts. */
export const LOOK_MS = 1_000;
/** Unheard of for so long, a replica counts no more; and more than one question was in vain. */
const SILENT_MS = 3_000;
const FAILURES_MIN = 2;

/** What an idle leader finds at a replica that it believes to count. */
export type Found =
  /** Somebody newer leads. */
  | { readonly kind: 'fenced'; readonly fenceEpoch: number }
  /** It had promised itself to us: a fence never falls where memory is kept. */
  | { readonly kind: 'forgot'; readonly fenceEpoch: number }
  /** No row, another incarnation, or no alive row: it would refuse the next append. */
  | { readonly kind: 'no_vote' }
  | { readonly kind: 'silent' };

/**
 * Looks at one replica that counts. Nothing rests on it: an append finds out the same (P6). But an
 * idle Set appends nothing, and a replica that restarted should be back before another one falls.
 */
export class FollowerWatch {
  readonly #store: Pick<ReplicaStore, 'fenceRow'>;
  readonly #fence: Fence;
  readonly #clock: Clock;
  #asking = false;
  #heardMs: number;
  #failures = 0;

  constructor(args: { store: Pick<ReplicaStore, 'fenceRow'>; fence: Fence; clock: Clock }) {
    this.#store = args.store;
    this.#fence = args.fence;
    this.#clock = args.clock;
    this.#heardMs = args.clock.monotonicMs();
  }

  /** It answered something. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
    this.#failures = 0;
  }

  /** null: all is well, as far as one can tell. One question on its way at a time. */
  async look(): Promise<Found | null> {
    if (this.#asking) return null;
    this.#asking = true;
    try {
      const row = await this.#store.fenceRow();
      this.heard();
      return this.#judge(row);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Failures are counted as well: a leader that itself stood still has heard nobody.
      this.#failures += 1;
      const silentMs = this.#clock.monotonicMs() - this.#heardMs;
      return this.#failures >= FAILURES_MIN && silentMs >= SILENT_MS ? { kind: 'silent' } : null;
    } finally {
      this.#asking = false;
    }
  }

  #judge(row: FenceRow | null): Found | null {
    if (row === null) return { kind: 'no_vote' };
    const { fenceEpoch } = row;
    if (fenceEpoch > this.#fence.epoch) return { kind: 'fenced', fenceEpoch };
    const votes = row.proved && row.incarnation === this.#fence.incarnation;
    if (!votes) return { kind: 'no_vote' };
    return fenceEpoch < this.#fence.epoch ? { kind: 'forgot', fenceEpoch } : null;
  }
}
