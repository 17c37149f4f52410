import { AssertionFailed, assert } from '../../lib/core/assert.ts';
import { DecodeError } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { checkShape, decodeCommand, encodeCommand } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { encodeOutcome } from '../../lib/core/outcome.ts';
import type { Epoch, Lsn, TimeMs } from '../../lib/core/units.ts';
import { timeMs } from '../../lib/core/units.ts';
import type { Timer } from '../../lib/port/clock.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import type { Batch } from '../machine/batcher.ts';
import { Batcher } from '../machine/batcher.ts';
import type { World } from '../machine/context.ts';
import { NO_FINDINGS } from '../machine/context.ts';
import { Expiries } from '../machine/expiries.ts';
import { Seals } from '../machine/findings.ts';
import { lookUp, needsLookup } from '../read/lookups.ts';
import { Projections } from '../read/projections.ts';
import type { Routed } from '../machine/events.ts';
import { LeaderProof } from '../log/proof.ts';
import type { SetLog } from '../log/set-log.ts';
import { Trickle } from './trickle.ts';
import { refuseAt } from './refusal.ts';
import { Replies } from './replies.ts';
import { Snapshotter } from '../log/snapshotter.ts';
import type { SetState } from '../machine/state.ts';
import { Tail } from '../read/tail.ts';
import { makeWorld } from '../machine/world.ts';
import type { DriverArgs, Leadership, ReplySink, Waiting } from './leadership.ts';

const INFLIGHT_MAX = 1;
const HEAL_MS = 500;
/** Between two looks at a clock that leapt and that replicas have not borne out yet. */
const LEAP_LOOK_MS = 20;
/** Commands that wait longer than this for a batch find an overloaded machine (design 5). */
const BUSY_WAIT_US = 20_000;
/** Rulings 16b: refused within 1 s. An append that takes longer has no quorum, or a very slow one. */
const STALLED_MS = 500;
const WAITED_MS = 700;
/** Questions to a projection on their way at once. */
const LOOKUPS_MAX = 1_024;
/** Answers that may wait for a commit, with those that wait for a batch. */
const PENDING_MAX = 4 * LIMITS.commandQueueMax;
/** 500 opens of one packet are a handful of events, not 500 (feature 8). */
const PROGRESS_MS = 250;
const SILENT: ReplySink = { reply: () => undefined };

/**
 * The shell around the state machine while this node leads: batch → seal → append → commit at Q →
 * reply. It owns the order (persist BEFORE reply, P7) and nothing else.
 */
export class Driver {
  readonly #args: DriverArgs;
  readonly #leadership: Leadership;
  readonly #state: SetState;
  readonly #batcher: Batcher;
  readonly #seals: Seals;
  readonly #projections: Projections;
  readonly #trickle: Trickle;
  readonly #expiries: Expiries;
  readonly #snapshotter: Snapshotter;
  readonly #proof: LeaderProof;
  readonly tail = new Tail();
  #queue: Waiting[] = [];
  readonly #replies = new Replies();
  #batches: Batch[] = [];
  /** Committed progress that nodes have not been told of yet. */
  #progress = new Map<Id, Routed>();
  #pumpQueued = false;
  #stopped = false;
  #draining: Promise<void> | null = null;
  #healing = false;
  #lookups = 0;
  #waitUs = 0;
  readonly #onPoison: (error: unknown) => void;
  readonly #timers: Timer[] = [];
  /** Commands answered, and batches sealed, since this leader began: for metrics. */
  readonly counts = { commands: 0, batches: 0, ops: 0 };

  constructor(args: DriverArgs & { leadership: Leadership; onPoison: (error: unknown) => void }) {
    this.#args = args;
    this.#leadership = args.leadership;
    this.#onPoison = args.onPoison;
    const { state, sum } = args.leadership.recovered;
    this.#state = state;
    this.#batcher = new Batcher({ state, prev: sum, hash: args.crypto.sha256 });
    this.#seals = new Seals(args.crypto);
    this.#projections = new Projections({
      ...args,
      ...args.leadership,
      isBusy: () => this.#isBusy(),
    });
    this.#trickle = new Trickle(args.clock);
    this.#expiries = new Expiries(state);
    this.#snapshotter = new Snapshotter({
      ...args,
      take: args.snapshotElsewhere,
      bytes: args.leadership.recovered.replayedBytes,
    });
    this.#proof = new LeaderProof({ ...args, ...args.leadership });
    this.#projections.start();
    this.#timers.push(
      args.clock.every(250, () => this.#expire()),
      args.clock.every(200, () => this.#ring()),
      args.clock.every(200, () => this.#refuseStalled()),
      args.clock.every(PROGRESS_MS, () => this.#tellProgress()),
      args.clock.every(1_000, () => this.#evict()),
      args.clock.every(HEAL_MS, () => void this.#heal()),
    );
  }

  get state(): SetState {
    return this.#state;
  }

  get epoch(): Epoch {
    return this.#leadership.epoch;
  }

  get commit(): Lsn {
    return this.#leadership.setLog.commit;
  }

  get setLog(): SetLog {
    return this.#leadership.setLog;
  }

  get seals(): Seals {
    return this.#seals;
  }

  get projections(): Projections {
    return this.#projections;
  }

  /** It finishes what it has taken and takes nothing more: a handover on purpose. */
  get isDraining(): boolean {
    return this.#draining !== null;
  }

  #isBusy(): boolean {
    return this.#waitUs > BUSY_WAIT_US && this.#leadership.setLog.uncommitted > 0;
  }

  get queueWaitUs(): number {
    return this.#waitUs;
  }

  /** Takes encoded commands from a stream. Every one is answered, by a refusal at worst. */
  submit(args: { bytes: Uint8Array; sink: ReplySink; tag: number }): void {
    const { bytes, sink, tag } = args;
    if (this.#stopped || this.#draining !== null) return refuseAt(sink, tag, 'set_unavailable');
    const full = this.#queue.length >= LIMITS.commandQueueMax || this.#replies.count >= PENDING_MAX;
    // A trickle all the same: two replicas without tables must not stop a Set that could serve.
    const isSlowed = this.#projections.isBehind && !this.#trickle.take();
    if (full || this.tail.isFull || isSlowed) return refuseAt(sink, tag, 'overloaded');
    // Rulings 16b: Q replicas do not answer just now, and nobody knows for how long.
    if (this.#isStalled) return refuseAt(sink, tag, 'set_unavailable');
    if (this.#args.quarantine.has(bytes)) return refuseAt(sink, tag, 'malformed');
    if (bytes.length > LIMITS.commandBytesMax) return refuseAt(sink, tag, 'malformed');
    let command: Command;
    try {
      command = decodeCommand(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return refuseAt(sink, tag, 'malformed');
    }
    const shape = isInternal(command) ? 'not_allowed' : checkShape(command);
    if (shape !== null) return refuseAt(sink, tag, shape);
    this.#accept({ bytes, command, sink, tag });
  }

  /** Journals a command of this node itself: an expiry. */
  submitOwn(command: Command): void {
    const bytes = encodeCommand(command);
    if (this.#args.quarantine.has(bytes)) return;
    this.#accept({ bytes, command, sink: SILENT, tag: 0 });
  }

  get #isStalled(): boolean {
    return this.#leadership.setLog.stalledMs > STALLED_MS;
  }

  /** What is not sealed was not done, and need not wait until this leader gives up. */
  #refuseStalled(): void {
    if (!this.#isStalled || this.#stopped) return;
    const before = this.#args.clock.monotonicMs() - WAITED_MS;
    const isLate = ({ sink, since }: Waiting): boolean => sink !== SILENT && since < before;
    const late = this.#queue.filter(isLate);
    this.#queue = this.#queue.filter((waiting) => !isLate(waiting));
    for (const { sink, tag } of late) refuseAt(sink, tag, 'set_unavailable');
  }

  #accept(args: { bytes: Uint8Array; command: Command; sink: ReplySink; tag: number }): void {
    const { command } = args;
    const since = this.#args.clock.monotonicMs();
    const found = this.#seals.findings(command, this.logTime());
    if (needsLookup(this.#state, command)) {
      void this.#lookUp({ ...args, found, since });
      return;
    }
    this.#queue.push({ ...args, found, since });
    this.#wake();
  }

  async #lookUp(waiting: Waiting): Promise<void> {
    const { sink, tag, command } = waiting;
    try {
      if (this.#lookups >= LOOKUPS_MAX) return refuseAt(sink, tag, 'overloaded');
      this.#lookups += 1;
      const state = this.#state;
      const earlier = await this.#projections
        .ask((store, atLsn) => lookUp({ state, store, command, atLsn }))
        .finally(() => (this.#lookups -= 1));
      if (earlier === null || this.#stopped) return refuseAt(sink, tag, 'set_unavailable');
      this.#queue.push({ ...waiting, found: { ...waiting.found, earlier } });
      this.#wake();
    } catch (error) {
      if (!(error instanceof StoreError)) return this.#poison(error);
      refuseAt(sink, tag, 'set_unavailable');
    }
  }

  #wake(): void {
    if (this.#pumpQueued || this.#stopped) return;
    this.#pumpQueued = true;
    this.#args.clock.soon(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  /** `ts = max(previous, now)` (rulings 7). */
  logTime(): TimeMs {
    return timeMs(Math.max(this.#state.ts, this.#args.logClock.now()));
  }

  /** Seals at most one batch; the next gathers while this one is on its way to the replicas. */
  #pump(): void {
    if (this.#stopped || this.#queue.length === 0) return;
    if (this.#leadership.setLog.uncommitted >= INFLIGHT_MAX) return;
    if (this.#args.logClock.hasLeapt) {
      this.#args.clock.after(LEAP_LOOK_MS, () => this.#wake());
      return;
    }
    try {
      this.#sealBatch();
    } catch (error) {
      return this.#poison(error);
    }
    if (this.#queue.length > 0) this.#wake();
  }

  #sealBatch(): void {
    const { setLog, epoch, owner } = this.#leadership;
    const world = this.#world(this.logTime());
    const now = this.#args.clock.monotonicMs();
    const next = this.#state.lsn + 1;
    let taken = 0;
    let waited = 0;
    try {
      for (const waiting of this.#queue) {
        // P8: what was in a rejected batch goes alone, so that the next one names the culprit.
        const alone = this.#args.quarantine.isSuspect(waiting.bytes);
        if (this.#batcher.isFull || (alone && this.#batcher.opCount > 0)) break;
        taken += 1;
        waited += now - waiting.since;
        // Memory may have forgotten the answer while the command waited.
        const stale = waiting.found.earlier === null && needsLookup(this.#state, waiting.command);
        if (stale) void this.#lookUp(waiting);
        else this.#decide({ waiting, world, next });
        if (alone && this.#batcher.opCount > 0) break;
      }
    } finally {
      this.#queue.splice(0, taken);
    }
    this.counts.commands += taken;
    if (taken > 0) this.#waitUs += ((waited / taken) * 1_000 - this.#waitUs) / 8;
    if (this.#batcher.opCount === 0) return this.#answerConfirmed();
    this.counts.ops += this.#batcher.opCount;
    this.counts.batches += 1;
    const stamp = { epoch, owner, commitLsn: setLog.commit, acked: setLog.acked() };
    const batch = this.#batcher.seal({ kind: 'OPS', stamp, ts: world.ts });
    this.#batches.push(batch);
    setLog.append(batch.entry);
  }

  #decide(args: { waiting: Waiting; world: World; next: number }): void {
    const { waiting, world, next } = args;
    const { bytes, command, found, sink, tag } = waiting;
    try {
      const { outcome, effects } = this.#batcher.add({ bytes, command, found, world });
      // P7: an answer leaves when all that it depended on is committed, also a repeat or a no.
      const dependsOn = this.#batcher.opCount > 0 ? next : next - 1;
      this.#replies.add({ sink, tag, lsn: dependsOn, outcome: encodeOutcome(outcome) });
      this.#expiries.note({ command, outcome, effects });
    } catch (error) {
      // It was not sealed and will not be: the whole batch goes with this leader's memory.
      refuseAt(sink, tag, 'set_unavailable');
      this.#args.quarantine.add(bytes);
      throw error;
    }
  }

  /** Journals the Set's configuration: the first command of its first leader. */
  configure(command: Extract<Command, { type: 'set.configure' }>): void {
    const { setLog, epoch, owner } = this.#leadership;
    const world = this.#world(this.logTime());
    this.#batcher.add({ bytes: encodeCommand(command), command, found: NO_FINDINGS, world });
    const stamp = { epoch, owner, commitLsn: setLog.commit, acked: setLog.acked() };
    const batch = this.#batcher.seal({ kind: 'CONFIG', stamp, ts: world.ts });
    this.#batches.push(batch);
    setLog.append(batch.entry);
  }

  /**
   * Journals the present configuration at higher rules (SPEC L23). Resolves when that is committed
   * (true), or never will be known to be by this leader. raise-rules.ts asks first whether it may.
   */
  async raiseRules(rules: number): Promise<boolean> {
    const { config } = this.#state;
    assert(config !== null && rules > config.rules, 'rules are only raised');
    if (this.#stopped || this.#draining !== null) return false;
    try {
      this.configure({ type: 'set.configure', ...config, rules });
    } catch (error) {
      this.#poison(error);
      return false;
    }
    return this.#finished();
  }

  #world(ts: TimeMs): World {
    return makeWorld({ ...this.#args, ts, vault: this.#args.crypto });
  }

  /** Called by the Set log: everything up to `at` is on Q replicas. */
  onCommit(at: Lsn): void {
    let rang = false;
    while (this.#batches[0] !== undefined && this.#batches[0].entry.lsn <= at) {
      const batch = this.#batches.shift();
      assert(batch !== undefined, 'a batch was there');
      for (const message of batch.messages) this.tail.add(message, batch.entry.lsn);
      this.#args.publisher.publish(batch.events);
      for (const routed of batch.events) {
        const packet = routed.kind === 'event' ? routed.event.packet : null;
        if (packet) this.#progress.delete(BigInt(String(packet.packetId)) as Id);
      }
      for (const [packetId, routed] of batch.progress) this.#progress.set(packetId, routed);
      this.#snapshotter.note(batch.entry.payload.length);
      this.#args.quarantine.clear(batch.entry);
      rang ||= batch.sends;
    }
    this.#replies.release(this.commit);
    if (rang) this.#ring();
    this.#projections.wake();
    if (this.#queue.length > 0) this.#wake();
  }

  /** Brings back replicas that left; one at a time, never in the way of an append. */
  async #heal(): Promise<void> {
    const { setLog, members } = this.#leadership;
    const complete = this.#args.replicas.every((_, replica) => setLog.isActive(replica));
    if (complete || this.#healing || this.#stopped) return;
    this.#healing = true;
    try {
      await members.heal();
    } catch (error) {
      this.#poison(error);
    } finally {
      this.#healing = false;
    }
  }

  #tellProgress(): void {
    if (this.#progress.size === 0) return;
    const progress = [...this.#progress.values()];
    this.#progress = new Map();
    this.#args.publisher.publish(progress);
  }

  /** Answers that changed nothing: what is on its way proves this leader, or a fence check does. */
  #answerConfirmed(): void {
    if (this.#leadership.setLog.uncommitted > 0) return this.#replies.release(this.commit);
    this.#replies.releaseWhen(this.#proof.ask().then((leads) => leads && !this.#stopped));
  }

  /** The doorbell; the poller finds what a lost ring left. */
  #ring(): void {
    if (this.#stopped || this.#state.outbox.pendingCount === 0) return;
    const { bus, log, setId } = this.#args;
    bus.publish(`outbox.${setId}`, new Uint8Array(0)).catch((error: unknown) => {
      log.warn('bell_failed', { set: setId, reason: String(error) });
    });
  }

  #expire(): void {
    if (this.#stopped) return;
    for (const command of this.#expiries.commandsDue(this.logTime())) this.submitOwn(command);
  }

  /** Ended packets and old answers leave memory when Q projections show them (rulings 9). */
  #evict(): void {
    const projectedLsn = this.#projections.letGo();
    this.tail.prune(projectedLsn);
    this.#state.forget(projectedLsn);
  }

  /** Resolves when all that the state shows now is committed, and this node still leads (rulings 16). */
  async settled(): Promise<boolean> {
    // Acknowledgements of what is on its way may be older than the question: they prove nothing.
    const isFinished = this.#leadership.setLog.uncommitted === 0 || this.#finished();
    const [done, leads] = await Promise.all([isFinished, this.#proof.ask()]);
    return done && leads;
  }

  /** Resolves when what is sealed now is committed (true), or never will be by this leader. */
  #finished(): Promise<boolean> {
    const { head } = this.#leadership.setLog;
    return new Promise((resolve) => {
      const sink = { reply: (_: number, at: number) => resolve(at >= head && !this.#stopped) };
      this.#replies.add({ sink, tag: 0, lsn: head, outcome: NOTHING });
    });
  }

  #poison(error: unknown): void {
    if (this.#stopped) return;
    const reason = error instanceof AssertionFailed ? error.message : String(error);
    this.#args.log.error('set_poisoned', { set: this.#args.setId, reason });
    this.#onPoison(error);
  }

  /** Takes no new commands, finishes the sealed ones and writes the commit point. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    const { setLog } = this.#leadership;
    for (const timer of this.#timers) timer.cancel();
    if (this.#queue.length > 0 || setLog.uncommitted > 0) await this.#finished();
    this.#stopped = true;
    setLog.stop();
    await setLog.flushCommit();
  }

  /** A clean end: drained, and the tables are written. */
  async close(): Promise<void> {
    const { setLog } = this.#leadership;
    await this.drain();
    await this.#projections.finish();
    // Only what is committed may become a snapshot: memory may hold more.
    if (setLog.commit === this.#state.lsn) {
      await this.#snapshotter.finish({ ...this.#leadership.recovered, sum: this.#batcher.prev });
    }
    this.abandon();
  }

  /** Throws memory away: what was sealed and not committed is unknown, the rest was not done. */
  abandon(): void {
    this.#stopped = true;
    this.#leadership.setLog.stop();
    for (const timer of this.#timers) timer.cancel();
    this.#projections.stop();
    this.#replies.abandon();
    for (const { sink, tag } of this.#queue) refuseAt(sink, tag, 'set_unavailable');
    this.#queue = [];
  }
}

const NOTHING = new Uint8Array(0);

/** Commands that only a leader itself may journal. */
function isInternal(command: Command): boolean {
  const { type } = command;
  return type === 'set.configure' || type === 'packet.expire' || type === 'payment.expire';
}
