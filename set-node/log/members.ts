import { assert } from '../../lib/core/assert.ts';
import { equalBytes } from '../../lib/core/bytes.ts';
import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, ZERO_SUM, unseal } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Epoch, Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Fence, Place, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { doneOrEnough } from './ask-all.ts';
import type { SetLog } from './set-log.ts';
import type { Adopted, Candidate } from './takeover.ts';
import { TakeoverFailed } from './takeover.ts';
import { READMITS_PER_EPOCH } from './tripwire.ts';

/** What members need of the log: who counts, and from where. */
export type JoinedLog = Pick<SetLog, 'join' | 'isActive' | 'hasForgotten' | 'commit'>;

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
};

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
  async joinAll(args: {
    candidates: readonly Candidate[];
    winner: number;
    end: Lsn;
  }): Promise<void> {
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

  async #tryJoin(candidate: Candidate, args: { winner: number; end: Lsn }): Promise<void> {
    const { log, setId } = this.#args;
    const { replica, kind } = candidate;
    try {
      const joined =
        kind === 'voter'
          ? await this.#repair(candidate, args)
          : await this.#readmit(candidate, args);
      if (!joined) log.warn('replica_not_joined', { set: setId, replica, kind });
    } catch (error) {
      if (!(error instanceof StoreError) && !(error instanceof CorruptEntry)) throw error;
      log.warn('replica_not_joined', { set: setId, replica, kind, reason: error.message });
    }
  }

  /** P4: a voter's conflicting suffix is discarded, missing entries are inserted unchanged. */
  async #repair(candidate: Candidate, args: { winner: number; end: Lsn }): Promise<boolean> {
    const { replica, fence, sharedLsn } = candidate;
    const store = this.#store(replica);
    let truncated = replica === args.winner;
    for await (const { after, missing, differs } of this.#differences({
      ...args,
      replica,
      from: sharedLsn,
      keeps: this.#epoch,
    })) {
      if (differs && !truncated) {
        const head = await headOf(store, after);
        if ((await store.truncate({ fence, after, head })) !== 'done') return false;
        truncated = true;
      }
      if (missing.length === 0) continue;
      const reply = await store.append({ fence, entries: missing });
      if (reply.kind !== 'acked') return false;
    }
    this.#args.setLog.join({ replica, fence, acked: args.end });
    return true;
  }

  /**
   * P9: a new incarnation is recorded on ALL other replicas under this epoch's fence; then the
   * journal up to `end`; then the row and, on the same connection, the alive row; then it counts.
   */
  async #readmit(candidate: Candidate, args: { winner: number; end: Lsn }): Promise<boolean> {
    const { replica, kind, sharedLsn } = candidate;
    const { replicas, clusterId, setLog } = this.#args;
    const others = [...this.#fences].filter(([other]) => other !== replica);
    if (others.length !== replicas.length - 1 && !this.#trusted) return false;
    if (kind === 'absent' && others.some(([other]) => !this.#proved.has(other))) return false;
    this.#readmits += 1;
    // Incarnations of one epoch are counted; the next leader has new ones.
    if (this.#readmits >= READMITS_PER_EPOCH) return false;
    const incarnation = this.#epoch * READMITS_PER_EPOCH + this.#readmits;
    for (const [other, fence] of others) {
      const done = await this.#store(other).recordIncarnation({ fence, replica, incarnation });
      if (done !== 'done') return false;
    }
    this.#incarnations[replica] = incarnation;
    const store = this.#store(replica);
    // Never used again when something of it fails: what lands late finds a newer one (RS8g).
    const identity = { epoch: this.#epoch, owner: this.#owner, incarnation };
    for await (const { after, missing, differs } of this.#differences({
      ...args,
      replica,
      from: sharedLsn,
      keeps: null,
    })) {
      if (missing.length === 0 && !differs) continue;
      const done = await store.restore({ ...identity, after, entries: missing });
      if (done === 'has_vote') {
        // Alive, and a newer incarnation of it is recorded: what P4 may write, and it does not count.
        const { fence } = candidate;
        const head = differs ? await headOf(store, after) : null;
        if (head !== null && (await store.truncate({ fence, after, head })) !== 'done')
          return false;
        if (missing.length === 0) continue;
        const reply = await store.append({ fence, entries: missing });
        if (reply.kind !== 'acked') return false;
      } else if (done !== 'done') return false;
    }
    const admitted = await store.admit({
      ...identity,
      incarnations: this.#incarnations,
      clusterId,
      replicaId: replica,
      head: await placeAt(this.#store(args.winner), args.end),
    });
    if (admitted !== 'done') return false;
    const fence = identity;
    this.#fences.set(replica, fence);
    this.#proved.add(replica);
    setLog.join({ replica, fence, acked: args.end });
    return true;
  }

  /**
   * Walks the winner's chain and a replica's from an LSN that both share, piece by piece: what is
   * missing after which LSN, and whether the replica has something else there.
   */
  async *#differences(args: {
    replica: number;
    winner: number;
    from: Lsn;
    end: Lsn;
    /** Entries of this epoch above `end` stay: they are this leader's own (I5). */
    keeps: Epoch | null;
  }): AsyncGenerator<{ after: Lsn; missing: Entry[]; differs: boolean }> {
    const target = this.#store(args.replica);
    const donor = this.#store(args.winner);
    let at: number = args.from;
    let diverged = args.replica === args.winner;
    if (diverged) return;
    while (at < args.end) {
      const good = (await donor.read({ after: lsn(at), limitBytes: LIMITS.batchBytesMax })).filter(
        (entry) => entry.lsn <= args.end,
      );
      if (good.length === 0) throw new StoreError('unavailable', 'the donor ended early');
      let prev: Uint8Array | null = null;
      for (const entry of good) {
        // Damage must not spread. Throws CorruptEntry: this replica cannot be the donor.
        unseal({ entry, prev, hash: this.#args.hash });
        prev = entry.sum;
      }
      const mine = diverged
        ? []
        : await target.read({ after: lsn(at), limitBytes: LIMITS.batchBytesMax * 2 });
      const same = shared(good, mine);
      if (same < good.length) {
        const differs = !diverged && same < mine.length;
        diverged = true;
        yield { after: lsn(at + same), missing: good.slice(same), differs };
      }
      at += good.length;
    }
    if (diverged) return;
    // Equal so far: what stands above the adopted chain was never committed.
    const [above] = await target.read({ after: args.end, limitBytes: 1 });
    if (above !== undefined && above.epoch !== args.keeps) {
      yield { after: args.end, missing: [], differs: true };
    }
  }

  /** While serving: a replica that restarted, was lost or could not be reached comes back (P9, P10). */
  async heal(donor: number): Promise<void> {
    const { setLog, replicas } = this.#args;
    for (const replica of replicas.keys()) {
      if (setLog.isActive(replica) || this.#joining.has(replica)) continue;
      this.#joining.add(replica);
      try {
        const candidate = await this.#look(replica);
        if (candidate === null) continue;
        // The committed journal only: what follows comes through the log like everybody's.
        await this.#tryJoin(candidate, { winner: donor, end: setLog.commit });
      } finally {
        this.#joining.delete(replica);
      }
    }
  }

  async #look(replica: number): Promise<Candidate | null> {
    const store = this.#store(replica);
    try {
      const row = await store.fenceRow();
      const lost = { replica, kind: 'absent', fence: this.#fence(0), sharedLsn: lsn(0) } as const;
      if (row === null) return lost;
      if (row.fenceEpoch > this.#epoch) return null;
      if (row.fenceEpoch < this.#epoch) {
        const reply = await store.takeOver({ epoch: this.#epoch, owner: this.#owner });
        if (reply.kind === 'no_row') return lost;
        if (reply.kind === 'refused') return null;
      } else if (!equalBytes(row.fenceOwner, this.#owner)) return null;
      const fence = this.#fence(row.incarnation);
      this.#fences.set(replica, fence);
      const isNewest = row.incarnation >= (this.#incarnations[replica] ?? 0);
      const votes = row.proved && isNewest && !this.#args.setLog.hasForgotten(replica);
      if (votes) this.#proved.add(replica);
      else this.#proved.delete(replica);
      const sharedLsn = lsn(Math.min(await store.commitLsn(), this.#args.setLog.commit));
      return { replica, kind: votes ? 'voter' : 'doubtful', fence, sharedLsn };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return null;
    }
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

/** The last entry above `after`; `after` itself, without its sum, when there is none. */
export async function headOf(store: ReplicaStore, after: Lsn): Promise<Place> {
  let head: Place = { lsn: after, sum: ZERO_SUM };
  for (;;) {
    const more = await store.read({ after: head.lsn, limitBytes: LIMITS.batchBytesMax });
    const last = more.at(-1);
    if (last === undefined) return head;
    head = last;
  }
}

/** Throws StoreError `unavailable` when the journal has no such entry. */
export async function placeAt(store: ReplicaStore, at: Lsn): Promise<Place> {
  if (at === 0) return { lsn: at, sum: ZERO_SUM };
  const [entry] = await store.read({ after: lsn(at - 1), limitBytes: 1 });
  if (entry?.lsn !== at) throw new StoreError('unavailable', 'the donor ended early');
  return entry;
}

function shared(good: readonly Entry[], mine: readonly Entry[]): number {
  let count = 0;
  for (const [index, entry] of good.entries()) {
    const other = mine[index];
    if (other === undefined || other.lsn !== entry.lsn || !equalBytes(other.sum, entry.sum)) break;
    count += 1;
  }
  return count;
}
