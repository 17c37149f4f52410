import type { SetId } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { ObjectStore } from '../lib/port/object-store.ts';
import type { LanesAnswer__Output } from '../proto/gen/hongbao/LanesAnswer.ts';
import type { Router } from '../router/api.ts';
import type { AuditMetrics } from './audit-metrics.ts';
import { auditMetrics } from './audit-metrics.ts';
import type { ClusterDump } from './audit/dump.ts';
import { readEntry } from './audit/entry.ts';
import type { Finding } from './audit/feed.ts';
import { Feed } from './audit/feed.ts';
import type { Horizon } from './audit/needs.ts';
import { NotTheFormat } from './audit/reader.ts';
import type { SetBooks } from './audit/set-books.ts';
import { Checkpoints } from './checkpoints.ts';

export type AuditTimes = {
  /** Between two looks at a journal that had nothing new. */
  readonly pollMs: number;
  /** Between two words of each leader about its lanes. */
  readonly lanesMs: number;
  /** Between two checkpoints. */
  readonly checkpointMs: number;
  /** What ended longer ago leaves memory (SPEC AU4). */
  readonly horizonMs: number;
  /** The same at least, when there is too much of it. */
  readonly horizonMsMin: number;
  /** Packets, claims, answers and payments in memory beyond which the horizon comes nearer. */
  readonly keptMax: number;
};

const TIMES: AuditTimes = {
  pollMs: 200,
  lanesMs: 1_000,
  checkpointMs: 30_000,
  horizonMs: 3_600_000,
  horizonMsMin: 300_000,
  // About 200 bytes each.
  keptMax: 4_000_000,
};
const PAGE_BYTES = 1_048_576;
const PAGE_DEADLINE_MS = 5_000;
/** Transfers of the same process wait no longer than this for the audit. */
const SLICE_MS = 4;
/** A word of a leader that somebody waits for. */
const URGENT_MS = 50;
/** A Set that was seen whole so lately is as far as the clock. */
const CAUGHT_UP_MS = 5_000;
/** Log time may be so far from the clock of this process (SPEC L12, and its own error). */
const CLOCKS_MS = 30_000;
/** Then people are told what an entry waits for. */
const LONG_WAIT_MS = 10_000;
/** Judging stands still while a checkpoint is taken down: one that takes long is made less often. */
const CHECKPOINT_SHARE = 50;

export type AuditorArgs = {
  readonly router: Router;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where checkpoints live; null: every start reads the journals from LSN 1. */
  readonly store: ObjectStore | null;
  /** Several reconcilers may audit, one is enough. Asked again all the time. Default: yes. */
  readonly mayAudit?: () => boolean;
  readonly times?: Partial<AuditTimes>;
};

/** The continuous audit (SPEC AU): judges every committed entry by books of its own, for ever. */
export class Auditor {
  readonly #args: AuditorArgs;
  readonly #times: AuditTimes;
  readonly #metrics: AuditMetrics;
  readonly #checkpoints: Checkpoints | null;
  readonly #running = new Set<SetId>();
  /** Sets whose first page must show the entry that the checkpoint ends with. */
  readonly #unproved = new Map<number, Uint8Array>();
  readonly #findings = new Map<string, Finding>();
  #feed: Feed | null = null;
  #starting = false;
  #advancing = false;
  /** Since when entries of a Set have waited for the same thing, monotonic. */
  readonly #waits = new Map<number, { readonly what: string; readonly sinceMs: number }>();
  #stopped = false;
  /** What `horizonMs` is just now. */
  #horizonMs: number;
  #savedAtMs = 0;
  #saveCostMs = 0;
  #saving: Promise<void> | null = null;
  /** A checkpoint is taken down: the books stand still. */
  #isTaking = false;
  readonly #timer: { cancel(): void };

  constructor(args: AuditorArgs) {
    this.#args = args;
    this.#times = { ...TIMES, ...args.times };
    this.#horizonMs = this.#times.horizonMs;
    this.#metrics = auditMetrics(args.metrics);
    const { store, clock, log } = args;
    this.#checkpoints = store === null ? null : new Checkpoints({ store, clock, log });
    this.#savedAtMs = args.clock.monotonicMs();
    this.#timer = args.clock.every(this.#times.pollMs, () => this.#tick());
    this.#metrics.mismatch.set(0);
    this.#tick();
  }

  /** Counter-examples so far, one of each rule and Set. */
  findings(): Finding[] {
    return [...this.#findings.values()];
  }

  /** LSN up to which the books of this Set go. */
  lsnOf(set: SetId): number {
    const feed = this.#feed;
    return feed !== null && feed.books.has(set) ? feed.books.set(set).lsn : 0;
  }

  /** How late the slowest Set is, milliseconds. */
  lagMs(): number {
    const now = this.#args.clock.monotonicMs();
    const feed = this.#feed;
    if (feed === null) return 0;
    return Math.max(0, ...this.#serving(feed).map(({ setId }) => feed.lagMs(setId, now)));
  }

  /** Writes a last checkpoint, if it is this one that audits. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    // What another has audited since is further on than these books.
    const mayWrite = this.#isActive;
    this.#stopped = true;
    this.#timer.cancel();
    await this.#saving;
    const feed = this.#feed;
    if (mayWrite && feed !== null && this.#unproved.size === 0) await this.#save(feed);
  }

  get #isActive(): boolean {
    return !this.#stopped && (this.#args.mayAudit?.() ?? true);
  }

  #tick(): void {
    const isActive = this.#isActive;
    this.#metrics.active.set(isActive ? 1 : 0);
    if (!isActive) return;
    if (this.#feed === null) {
      void this.#start();
      return;
    }
    const feed = this.#feed;
    this.#addSets(feed);
    for (const set of this.#args.router.sets()) {
      if (this.#running.has(set)) continue;
      this.#running.add(set);
      void this.#readSet(set);
      void this.#hearSet(set);
    }
    if (!this.#isTaking) this.#forget(feed);
    this.#show(feed);
    this.#saveSometimes(feed);
  }

  /** Sets may join while this runs. */
  #addSets(feed: Feed): void {
    const nowMs = this.#args.clock.monotonicMs();
    for (const set of this.#args.router.sets()) feed.addSet(set, nowMs);
  }

  /** Books of Sets that serve: nothing more comes of one that was retired. */
  #serving(feed: Feed): SetBooks[] {
    return this.#args.router
      .sets()
      .flatMap((set) => (feed.books.has(set) ? [feed.books.set(set)] : []));
  }

  async #start(): Promise<void> {
    if (this.#starting) return;
    this.#starting = true;
    const dump = (await this.#checkpoints?.load()) ?? null;
    this.#begin(dump);
    this.#starting = false;
    if (!this.#stopped) this.#tick();
  }

  #begin(from: ClusterDump | null): void {
    const { router, clock, log } = this.#args;
    this.#unproved.clear();
    const serving = new Set<number>(router.sets());
    for (const { setId, lsn, sum } of from?.sets ?? []) {
      if (lsn > 0 && serving.has(setId)) this.#unproved.set(setId, new Uint8Array(sum));
    }
    const onFinding = (finding: Finding): void => this.#find(finding);
    const nowMs = clock.monotonicMs();
    this.#feed = new Feed({ sets: router.sets(), nowMs, onFinding, from });
    const lsns = Object.fromEntries((from?.sets ?? []).map(({ setId, lsn }) => [setId, lsn]));
    log.info('audit_begins', { after: lsns });
  }

  /** A journal does not have the entry that the checkpoint ends with: reading all of it says why. */
  #beginAnew(set: SetId, lsn: number): void {
    this.#args.log.error('audit_checkpoint_foreign', { set, lsn });
    this.#begin(null);
  }

  #find(finding: Finding): void {
    const key = `${finding.set} ${finding.rule}`;
    this.#metrics.violations.add(1, { rule: finding.rule });
    if (this.#findings.has(key)) return;
    this.#findings.set(key, finding);
    const { set, rule, stops, message } = finding;
    this.#args.log.error('audit_violation', { set, rule, stops, message });
    this.#metrics.mismatch.set(this.#findings.size);
  }

  /** Reads one Set's journal, page by page, for ever. */
  async #readSet(set: SetId): Promise<void> {
    const { clock } = this.#args;
    while (!this.#stopped) {
      const isMore = this.#isActive && (await this.#readPage(set));
      if (!isMore) await sleep(clock, this.#times.pollMs);
    }
  }

  /** True: there is more to read at once. */
  async #readPage(set: SetId): Promise<boolean> {
    const feed = this.#feed;
    const next = feed?.next(set) ?? null;
    if (feed === null || next === null) return false;
    const { router, clock } = this.#args;
    const sum = this.#unproved.get(set);
    const afterLsn = sum === undefined ? next : next - 1;
    const atMs = clock.monotonicMs();
    const journal = { afterLsn: String(afterLsn), maxBytes: PAGE_BYTES };
    const { reply } = await router.query(set, { journal }, { deadlineMs: PAGE_DEADLINE_MS });
    const page = reply?.journal ?? null;
    // Meanwhile all may have begun anew.
    if (page === null || this.#stopped || this.#feed !== feed) return false;
    let { entries } = page;
    if (sum !== undefined) {
      const [last, ...rest] = entries;
      if (last === undefined) return false;
      if (!isEntry(last, { lsn: next, sum })) {
        this.#beginAnew(set, next);
        return true;
      }
      this.#unproved.delete(set);
      entries = rest;
    }
    const commitLsn = Number(page.commitLsn);
    // Before what names a Set that joined since the last tick.
    this.#addSets(feed);
    feed.offer(set, { entries, commitLsn, atMs });
    await this.#advance(feed);
    // A replica that knows of more than it has would be asked without a pause.
    return entries.length > 0 && (feed.next(set) ?? commitLsn) < commitLsn;
  }

  /** Asks a Set's leader for its lanes, at once when an entry of another Set waits for its word. */
  async #hearSet(set: SetId): Promise<void> {
    const { router, clock } = this.#args;
    let askedAtMs = Number.NEGATIVE_INFINITY;
    while (!this.#stopped) {
      const feed = this.#feed;
      const isDue = clock.monotonicMs() - askedAtMs >= this.#times.lanesMs;
      if (this.#isActive && feed !== null && (isDue || feed.wantsHorizon(set))) {
        askedAtMs = clock.monotonicMs();
        const asked = feed.ask();
        const seenLsn = feed.books.set(set).lsn;
        const { reply } = await router.query(set, { lanes: {} });
        const lanes = reply?.lanes ?? null;
        if (reply !== null && lanes !== null && this.#feed === feed) {
          const value = horizonOf(Number(reply.asOfLsn), lanes);
          if (value.lsn < seenLsn && this.#unproved.has(set)) {
            // No page will ever show the entry that the checkpoint ends with.
            this.#beginAnew(set, seenLsn);
            continue;
          }
          feed.horizon(set, { asked, atMs: askedAtMs, value, seenLsn });
          await this.#advance(feed);
        }
      }
      await sleep(clock, URGENT_MS);
    }
  }

  /** One at a time, in slices: couriers share this thread. */
  async #advance(feed: Feed): Promise<void> {
    if (this.#advancing || this.#isTaking) return;
    this.#advancing = true;
    const { clock } = this.#args;
    try {
      for (;;) {
        const end = clock.monotonicMs() + SLICE_MS;
        const isMore = feed.advance(() => clock.monotonicMs() < end);
        if (!isMore || this.#stopped || this.#feed !== feed) return;
        await sleep(clock, 0);
        if (this.#isTaking) return;
      }
    } finally {
      this.#advancing = false;
    }
  }

  /** Shorter while there is too much in memory, bit by bit, and longer again. */
  #horizonNow(feed: Feed): number {
    const { horizonMs, horizonMsMin, keptMax } = this.#times;
    const { forgettable } = feed.books;
    if (forgettable > keptMax) this.#horizonMs = Math.max(horizonMsMin, this.#horizonMs * 0.95);
    else if (forgettable < keptMax * 0.8)
      this.#horizonMs = Math.min(horizonMs, this.#horizonMs * 1.05);
    this.#metrics.horizon.set(this.#horizonMs / 1_000);
    return this.#horizonMs;
  }

  /** SPEC AU4, by the slowest Set: what it has not shown may still name what others have ended. */
  #forget(feed: Feed): void {
    const { clock } = this.#args;
    const nowMs = clock.monotonicMs();
    const serving = this.#serving(feed);
    // Never by this clock alone: one that runs ahead would forget what is used now.
    const newest = serving.reduce((latest, { ts }) => Math.max(latest, ts), 0);
    let slowest = Math.min(newest, clock.now()) - CLOCKS_MS;
    for (const { setId, ts } of serving) {
      if (feed.isStopped(setId)) continue;
      if (feed.lagMs(setId, nowMs) > CAUGHT_UP_MS) slowest = Math.min(slowest, ts);
    }
    feed.books.forget(slowest - this.#horizonNow(feed));
  }

  #show(feed: Feed): void {
    const { cents, lag, lsn, mismatch } = this.#metrics;
    lag.set(this.lagMs() / 1_000);
    mismatch.set(this.#findings.size);
    for (const books of feed.books.sets()) {
      lsn.set(books.lsn, { set: books.setId });
      this.#tellWait(feed, books.setId);
    }
    // Books that stopped half way add up to nothing.
    if (feed.isBroken) return;
    const { walletsCents, packetsCents, inFlightCents, refundingCents, issuedCents } =
      feed.books.whereabouts();
    cents.set(walletsCents, { where: 'wallets' });
    cents.set(packetsCents, { where: 'packets' });
    cents.set(inFlightCents - refundingCents, { where: 'in_flight' });
    cents.set(refundingCents, { where: 'refunding' });
    cents.set(issuedCents, { where: 'issued' });
  }

  /** Once for each thing that is waited for. */
  #tellWait(feed: Feed, set: number): void {
    const what = feed.isStopped(set) ? null : feed.waitOf(set);
    const known = this.#waits.get(set);
    const nowMs = this.#args.clock.monotonicMs();
    if (what === null) this.#waits.delete(set);
    else if (known?.what !== what) this.#waits.set(set, { what, sinceMs: nowMs });
    else if (nowMs - known.sinceMs >= LONG_WAIT_MS) {
      this.#args.log.warn('audit_waits', { set, after: feed.books.set(set).lsn, waitsFor: what });
      this.#waits.set(set, { what, sinceMs: Infinity });
    }
  }

  #saveSometimes(feed: Feed): void {
    const sinceMs = this.#args.clock.monotonicMs() - this.#savedAtMs;
    const isDue =
      sinceMs >= Math.max(this.#times.checkpointMs, CHECKPOINT_SHARE * this.#saveCostMs);
    if (!isDue || this.#saving !== null || this.#unproved.size > 0) return;
    this.#saving = this.#save(feed).finally(() => (this.#saving = null));
  }

  /** Books that broke a rule are never written: a restart finds the same entry again. */
  async #save(feed: Feed): Promise<void> {
    if (this.#checkpoints === null || feed.isBroken) return;
    const { clock } = this.#args;
    const beganMs = clock.monotonicMs();
    this.#savedAtMs = beganMs;
    this.#isTaking = true;
    const taken = await this.#checkpoints.take(feed.books.dump());
    this.#isTaking = false;
    this.#saveCostMs = clock.monotonicMs() - beganMs;
    void this.#advance(feed);
    await this.#checkpoints.put(taken);
  }
}

function isEntry(bytes: Uint8Array, wanted: { lsn: number; sum: Uint8Array }): boolean {
  try {
    const { lsn, sum } = readEntry(bytes);
    return lsn === wanted.lsn && Buffer.compare(sum, wanted.sum) === 0;
  } catch (error) {
    if (!(error instanceof NotTheFormat)) throw error;
    return false;
  }
}

function horizonOf(lsn: number, lanes: LanesAnswer__Output): Horizon {
  return {
    lsn,
    sent: lanes.sent.map(({ to, lane, first, next, pendingCents }) => ({
      to,
      lane,
      first: Number(first),
      next: Number(next),
      pendingCents: Number(pendingCents),
    })),
    received: lanes.received.map(({ from, lane, upTo, above, tombstones }) => ({
      from,
      lane,
      upTo: Number(upTo),
      above,
      tombstones,
    })),
  };
}
