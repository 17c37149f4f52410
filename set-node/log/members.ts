import { assert } from '../../lib/core/assert.ts';
import { equalBytes, toHex } from '../../lib/core/bytes.ts';
import type { Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Fence, FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { doneOrEnough } from './ask-all.ts';
import type { Difference } from './differences.ts';
import { DonorFailed, differences, fromDonor, headOf, placeAt } from './differences.ts';
import type { SetLog } from './set-log.ts';
import type { Adopted, Candidate } from './takeover.ts';
import { TakeoverFailed } from './takeover.ts';
import { READMITS_PER_EPOCH } from './tripwire.ts';

/** What members need of the log: who counts, and from where. */
export type JoinedLog = Pick<
  SetLog,
  'join' | 'isActive' | 'ackedBy' | 'hasForgotten' | 'isDamaged' | 'noteDamage' | 'commit'
>;

export type MembersArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly clusterId: Uint8Array;
  readonly setLog: JoinedLog;
  readonly clock: Clock;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** P8: a bug while a replica was brought back. */
  readonly onDoubt: (reason: string) => void;
  /** A counter's hook: this replica was re-admitted (P9). */
  readonly onReadmitted?: (replica: number) => void;
};

/** Donor of a chain, and the last LSN of it that is wanted. */
type Chain = { readonly winner: number; readonly end: Lsn };

/**
 * What became of bringing a replica back. `waits`: others must come first, nothing was tried.
 * `donor`: with another donor it may go better.
 */
type Outcome = 'joined' | 'waits' | 'donor' | 'failed';

/** A replica that cannot be brought back just now is tried again, ever more seldom. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;
/** A candidate that lives has led, failed or tried again by then, with a greater epoch each time. */
const OUTBID_MS = 5_000;

/**
 * Which replicas count, and how the others come back: P4 repairs voters, P9 re-admits the doubtful
 * and the lost, at the start of an epoch and again while the leader serves.
 */
export class Members {
  readonly #args: MembersArgs;
  readonly #epoch: Epoch;
  readonly #owner: Uint8Array;
  readonly #incarnations: number[];
  /** Replicas that hold this epoch's fence, and with which incarnation. */
  readonly #fences = new Map<number, Fence>();
  /** Those of them that are proved: a lost disk is recorded only on these (P9). */
  readonly #proved = new Set<number>();
  /** Replicas that are being brought up, by the start of the epoch or by heal. */
  readonly #joining = new Set<number>();
  /** Signed by the operator: what is away need not record a re-admission. */
  readonly #trusted: boolean;
  #readmits = 0;
  /** Replicas whose return failed: when it is tried again, after how long, and what was said. */
  readonly #failures = new Map<number, { atMs: number; afterMs: number }>();
  readonly #told = new Map<number, string>();
  /** Replicas that hold a fence which this epoch cannot pass: which, and since when. */
  readonly #outbid = new Map<number, { fence: string; sinceMs: number }>();

  constructor(args: MembersArgs & { adopted: Adopted }) {
    const { adopted } = args;
    this.#args = args;
    this.#epoch = adopted.epoch;
    this.#owner = adopted.owner;
    this.#incarnations = adopted.incarnations;
    this.#trusted = adopted.trusted;
    for (const { replica, kind, fence } of adopted.candidates) {
      if (kind === 'absent') continue;
      this.#fences.set(replica, fence);
      if (kind === 'voter') this.#proved.add(replica);
    }
  }

  /**
   * Before serving: Q replicas get the whole adopted chain, up to `end`. The others get 100 ms more
   * and then go on beside the leader. Throws TakeoverFailed when fewer than Q could be brought up.
   */
  async joinAll(args: Chain & { candidates: readonly Candidate[] }): Promise<void> {
    const { clock, quorum, setLog, replicas } = this.#args;
    const count = (): number => replicas.filter((_, replica) => setLog.isActive(replica)).length;
    let reached: () => void = () => undefined;
    const enough = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const join = async (candidate: Candidate): Promise<void> => {
      await this.#tryJoin(candidate, args);
      if (count() >= quorum) reached();
    };
    for (const { replica } of args.candidates) this.#joining.add(replica);
    const done = this.#joinInOrder({ ...args, join });
    await doneOrEnough({ clock, done, enough });
    if (count() < quorum) throw new TakeoverFailed('fewer than a quorum could be repaired');
  }

  async #joinInOrder(args: {
    candidates: readonly Candidate[];
    winner: number;
    join: (candidate: Candidate) => Promise<void>;
  }): Promise<void> {
    const { candidates, winner, join } = args;
    try {
      // The others are fed from the winner.
      for (const candidate of candidates) if (candidate.replica === winner) await join(candidate);
      const rest = candidates.filter(({ replica }) => replica !== winner);
      await Promise.all(rest.filter(({ kind }) => kind === 'voter').map(join));
      // Each of these needs all others, in the incarnations that they then have.
      for (const kind of ['doubtful', 'absent'] as const) {
        for (const candidate of rest) if (candidate.kind === kind) await join(candidate);
      }
    } catch (error) {
      this.#args.onDoubt(`a replica could not be brought up: ${String(error)}`);
    } finally {
      for (const { replica } of candidates) this.#joining.delete(replica);
    }
  }

  async #tryJoin(candidate: Candidate, chain: Chain): Promise<Outcome> {
    const { replica, kind } = candidate;
    try {
      const outcome =
        kind === 'voter'
          ? await this.#repair(candidate, chain)
          : await this.#readmit(candidate, chain);
      if (outcome === 'joined') this.#joined(replica);
      else this.#tell(candidate, outcome === 'waits' ? 'others must come first' : 'refused');
      return outcome;
    } catch (error) {
      if (error instanceof DonorFailed) {
        const { cause } = error;
        if (cause instanceof CorruptEntry) this.#args.setLog.noteDamage(chain.winner, cause);
      } else if (!(error instanceof StoreError)) throw error;
      this.#tell(candidate, error.message);
      return error instanceof DonorFailed ? 'donor' : 'failed';
    }
  }

  #joined(replica: number): void {
    this.#failures.delete(replica);
    this.#told.delete(replica);
  }

  /** One line as long as it is for one reason. */
  #tell({ replica, kind }: Candidate, reason: string): void {
    if (this.#told.get(replica) === reason) return;
    this.#told.set(replica, reason);
    const { log, setId } = this.#args;
    log.warn('replica_not_joined', { set: setId, replica, kind, reason });
  }

  #differences({ replica, sharedLsn }: Candidate, chain: Chain): AsyncGenerator<Difference> {
    // Of a damaged one nothing stays that was not compared.
    const keeps = this.#args.setLog.isDamaged(replica) ? null : this.#epoch;
    return differences({
      donor: this.#store(chain.winner),
      target: this.#store(replica),
      from: sharedLsn,
      end: chain.end,
      keeps,
      hash: this.#args.hash,
    });
  }

  /** P4: a voter's conflicting suffix is discarded, missing entries are inserted unchanged. */
  async #repair(candidate: Candidate, chain: Chain): Promise<Outcome> {
    const { replica, fence } = candidate;
    const store = this.#store(replica);
    let truncated = replica === chain.winner;
    for await (const { after, missing, differs } of this.#differences(candidate, chain)) {
      if (differs && !truncated) {
        const head = await headOf(store, after);
        if ((await store.truncate({ fence, after, head })) !== 'done') return 'failed';
        truncated = true;
      }
      if (missing.length === 0) continue;
      const reply = await store.append({ fence, entries: missing });
      if (reply.kind !== 'acked') return 'failed';
    }
    this.#args.setLog.join({ replica, fence, acked: chain.end });
    return 'joined';
  }

  /**
   * P9: a new incarnation is recorded on ALL other replicas under this epoch's fence; then the
   * journal up to `end`; then the row and, on the same connection, the alive row; then it counts.
   * Both journals are read up to their first difference before anything is recorded.
   */
  async #readmit(candidate: Candidate, chain: Chain): Promise<Outcome> {
    const { replica, kind, fence } = candidate;
    const { replicas, clusterId, setLog } = this.#args;
    const others = [...this.#fences].filter(([other]) => other !== replica);
    if (others.length !== replicas.length - 1 && !this.#trusted) return 'waits';
    if (kind === 'absent' && others.some(([other]) => !this.#proved.has(other))) return 'waits';
    const store = this.#store(replica);
    const head = await fromDonor(() => placeAt(this.#store(chain.winner), chain.end));
    let identity: Fence | null = null;
    for await (const { after, missing, differs } of this.#differences(candidate, chain)) {
      if (missing.length === 0 && !differs) continue;
      identity ??= await this.#record(candidate, others);
      if (identity === null) return 'failed';
      const piece = { ...identity, after, entries: missing };
      let done = await store.restore(piece);
      if (done === 'has_vote') {
        // A newer incarnation is recorded: what it still proves counts nowhere, and is in the way.
        if ((await store.unprove({ fence })) !== 'done') return 'failed';
        done = await store.restore(piece);
      }
      if (done !== 'done') return 'failed';
    }
    identity ??= await this.#record(candidate, others);
    if (identity === null) return 'failed';
    // Entries of this leader above `end` are still there: they may have been committed meanwhile (I7).
    const above = await headOf(store, chain.end);
    const admitted = await store.admit({
      ...identity,
      incarnations: this.#incarnations,
      clusterId,
      replicaId: replica,
      head: above.lsn > chain.end ? above : head,
    });
    if (admitted !== 'done') return 'failed';
    this.#fences.set(replica, identity);
    this.#proved.add(replica);
    setLog.join({ replica, fence: identity, acked: chain.end });
    this.#args.onReadmitted?.(replica);
    return 'joined';
  }

  /**
   * Under which identity a replica is re-admitted. Never used again when something of it fails: what
   * lands late finds a newer one (RS8g). null: somebody else led meanwhile, or has lost his proof.
   */
  async #record(
    { replica, kind }: Candidate,
    others: readonly (readonly [number, Fence])[],
  ): Promise<Fence | null> {
    this.#readmits += 1;
    if (this.#readmits >= READMITS_PER_EPOCH) {
      // Incarnations of one epoch are counted; the next leader has new ones.
      this.#args.onDoubt('this epoch has no incarnations left to re-admit a replica with');
      return null;
    }
    const incarnation = this.#epoch * READMITS_PER_EPOCH + this.#readmits;
    // For a lost disk each of them must be proved as it records (rulings 6): one that came back
    // with an old disk may have forgotten the same entries.
    const proved = kind === 'absent';
    // From the first attempt on: an answer that is lost may have been a yes, and an older identity
    // whose admission lands late is then not the newest that is recorded anywhere (P0, I10).
    this.#incarnations[replica] = incarnation;
    for (const [other, fence] of others) {
      const call = { fence, replica, incarnation, proved };
      if ((await this.#store(other).recordIncarnation(call)) !== 'done') return null;
    }
    return { epoch: this.#epoch, owner: this.#owner, incarnation };
  }

  /** While serving: a replica that restarted, was lost or could not be reached comes back (P9, P10). */
  async heal(): Promise<void> {
    const { setLog, replicas, clock } = this.#args;
    const isAway = (replica: number): boolean =>
      !setLog.isActive(replica) && !this.#joining.has(replica);
    const away = [...replicas.keys()].filter(isAway);
    // What they proved when they left is nothing that they prove now.
    for (const replica of away) this.#proved.delete(replica);
    for (const replica of away) {
      if (!isAway(replica)) continue;
      this.#joining.add(replica);
      try {
        const candidate = await this.#look(replica);
        const isDue = clock.monotonicMs() >= (this.#failures.get(replica)?.atMs ?? 0);
        if (candidate !== null && isDue) await this.#bringBack(candidate);
      } finally {
        this.#joining.delete(replica);
      }
    }
  }

  /** From whoever has the whole committed journal; from another one when that cannot be read. */
  async #bringBack(candidate: Candidate): Promise<void> {
    const { setLog, replicas, clock } = this.#args;
    const { replica } = candidate;
    // The committed journal only: what follows comes through the log like everybody's.
    const end = setLog.commit;
    for (const winner of replicas.keys()) {
      if (!setLog.isActive(winner) || setLog.ackedBy(winner) < end) continue;
      const outcome = await this.#tryJoin(candidate, { winner, end });
      if (outcome === 'joined' || outcome === 'waits') return;
      if (outcome === 'failed') break;
    }
    const before = this.#failures.get(replica)?.afterMs ?? RETRY_MS_MIN / 2;
    const afterMs = Math.min(before * 2, RETRY_MS_MAX);
    this.#failures.set(replica, { atMs: clock.monotonicMs() + afterMs, afterMs });
  }

  async #look(replica: number): Promise<Candidate | null> {
    const { setLog } = this.#args;
    const store = this.#store(replica);
    try {
      const row = await store.fenceRow();
      const lost = { replica, kind: 'absent', fence: this.#fence(0), sharedLsn: lsn(0) } as const;
      if (row === null) return lost;
      const isOurs = row.fenceEpoch === this.#epoch && equalBytes(row.fenceOwner, this.#owner);
      if (row.fenceEpoch >= this.#epoch && !isOurs) return this.#watchFence(replica, row);
      this.#outbid.delete(replica);
      if (!isOurs) {
        const reply = await store.takeOver({ epoch: this.#epoch, owner: this.#owner });
        if (reply.kind === 'no_row') return lost;
        if (reply.kind === 'refused') return null;
      }
      const fence = this.#fence(row.incarnation);
      this.#fences.set(replica, fence);
      const isNewest = row.incarnation >= (this.#incarnations[replica] ?? 0);
      const damaged = setLog.isDamaged(replica);
      const votes = row.proved && isNewest && !damaged && !setLog.hasForgotten(replica);
      if (votes) this.#proved.add(replica);
      else this.#proved.delete(replica);
      // A damaged one is looked through from its first entry.
      const sharedLsn = damaged ? lsn(0) : lsn(Math.min(await store.commitLsn(), setLog.commit));
      return { replica, kind: votes ? 'voter' : 'doubtful', fence, sharedLsn };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return null;
    }
  }

  /**
   * Somebody asked for this replica's vote with an epoch that ours does not pass. While he tries to
   * lead, his epochs grow; whoever gave up or died leaves a fence, and only a new epoch of ours
   * brings this replica back (L10).
   */
  #watchFence(replica: number, { fenceEpoch, fenceOwner }: FenceRow): null {
    const nowMs = this.#args.clock.monotonicMs();
    const fence = `${fenceEpoch} ${toHex(fenceOwner)}`;
    const before = this.#outbid.get(replica);
    if (before?.fence !== fence) this.#outbid.set(replica, { fence, sinceMs: nowMs });
    else if (nowMs - before.sinceMs >= OUTBID_MS) {
      this.#args.onDoubt(
        `replica ${replica} is fenced by epoch ${fenceEpoch}, and nobody leads in it`,
      );
    }
    return null;
  }

  #fence(incarnation: number): Fence {
    return { epoch: this.#epoch, owner: this.#owner, incarnation };
  }

  #store(replica: number): ReplicaStore {
    const store = this.#args.replicas[replica];
    assert(store !== undefined, 'a member is a replica');
    return store;
  }
}
