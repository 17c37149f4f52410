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
};

const TIMES: AuditTimes = {
  pollMs: 200,
  lanesMs: 1_000,
  checkpointMs: 30_000,
  horizonMs: 3_600_000,
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
/** A checkpoint that takes long to make is made less often. */
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
  #savedAtMs = 0;
  #saveCostMs = 0;
  #saving: Promise<void> | null = null;
  readonly #timer: { cancel(): void };

  constructor(args: AuditorArgs) {
    this.#args = args;
    this.#times = { ...TIMES, ...args.times };
    this.#metrics = auditMetrics(args.metrics);
    const { store, log } = args;
    this.#checkpoints = store === null ? null : new Checkpoints({ store, log });
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
    return Math.max(0, ...[...feed.books.sets()].map(({ setId }) => feed.lagMs(setId, now)));
  }

  /** Writes a last checkpoint. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer.cancel();
    await this.#saving;
    if (this.#feed !== null && this.#unproved.size === 0) await this.#save(this.#feed);
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
    for (const set of this.#args.router.sets()) {
      feed.addSet(set, this.#args.clock.monotonicMs());
      if (this.#running.has(set)) continue;
      this.#running.add(set);
      void this.#readSet(set);
      void this.#hearSet(set);
    }
    this.#forget(feed);
    this.#show(feed);
    this.#saveSometimes(feed);
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
    for (const { setId, lsn, sum } of from?.sets ?? []) {
      if (lsn > 0) this.#unproved.set(setId, new Uint8Array(sum));
    }
    const onFinding = (finding: Finding): void => this.#find(finding);
    const nowMs = clock.monotonicMs();
    this.#feed = new Feed({ sets: router.sets(), nowMs, onFinding, from });
    const lsns = Object.fromEntries((from?.sets ?? []).map(({ setId, lsn }) => [setId, lsn]));
    log.info('audit_begins', { after: lsns });
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
        this.#args.log.error('audit_checkpoint_foreign', { set, lsn: next });
        this.#begin(null);
        return true;
      }
      this.#unproved.delete(set);
      entries = rest;
    }
    const commitLsn = Number(page.commitLsn);
    feed.offer(set, { entries, commitLsn, atMs });
    await this.#advance(feed);
    return (feed.next(set) ?? commitLsn) < commitLsn;
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
        const { reply } = await router.query(set, { lanes: {} });
        const lanes = reply?.lanes ?? null;
        if (reply !== null && lanes !== null && this.#feed === feed) {
          const value = horizonOf(Number(reply.asOfLsn), lanes);
          feed.horizon(set, { asked, atMs: askedAtMs, value });
          await this.#advance(feed);
        }
      }
      await sleep(clock, URGENT_MS);
    }
  }

  /** One at a time, in slices: couriers share this thread. */
  async #advance(feed: Feed): Promise<void> {
    if (this.#advancing) return;
    this.#advancing = true;
    const { clock } = this.#args;
    try {
      for (;;) {
        const end = clock.monotonicMs() + SLICE_MS;
        const isMore = feed.advance(() => clock.monotonicMs() < end);
        if (!isMore || this.#stopped || this.#feed !== feed) return;
        await sleep(clock, 0);
      }
    } finally {
      this.#advancing = false;
    }
  }

  /** SPEC AU4, by the slowest Set: what it has not shown may still name what others have ended. */
  #forget(feed: Feed): void {
    const { clock } = this.#args;
    const nowMs = clock.monotonicMs();
    let slowest = clock.now() - CLOCKS_MS;
    for (const { setId, ts } of feed.books.sets()) {
      if (feed.isStopped(setId)) continue;
      if (feed.lagMs(setId, nowMs) > CAUGHT_UP_MS) slowest = Math.min(slowest, ts);
    }
    feed.books.forget(slowest - this.#times.horizonMs);
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
    const saved = this.#checkpoints.save(feed.books.dump());
    this.#saveCostMs = clock.monotonicMs() - beganMs;
    await saved;
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
