import { assert } from '../lib/core/assert.ts';
import { equalBytes } from '../lib/core/bytes.ts';
import type { Entry, Sha256Function } from '../lib/core/journal-entry.ts';
import { CorruptEntry, unseal } from '../lib/core/journal-entry.ts';
import { LIMITS } from '../lib/core/limits.ts';
import type { Epoch, Lsn, SetId } from '../lib/core/units.ts';
import { lsn } from '../lib/core/units.ts';
import type { Log } from '../lib/port/log.ts';
import type { Fence, ReplicaStore } from '../lib/port/replica-store.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import type { SetLog } from './set-log.ts';
import type { Adopted, Candidate } from './takeover.ts';

/** Incarnations are (epoch, counter): a leader re-admits at most this many times less one. */
const READMITS_PER_EPOCH = 4_096;

export type MembersArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly clusterId: Uint8Array;
  readonly setLog: SetLog;
  readonly hash: Sha256Function;
  readonly log: Log;
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
  #readmits = 0;

  constructor(args: MembersArgs & { adopted: Adopted }) {
    const { adopted } = args;
    this.#args = args;
    this.#epoch = adopted.epoch;
    this.#owner = adopted.owner;
    this.#incarnations = adopted.incarnations;
    for (const { replica, kind, fence } of adopted.candidates) {
      if (kind === 'absent') continue;
      this.#fences.set(replica, fence);
      if (kind === 'voter') this.#proved.add(replica);
    }
  }

  /** Before serving: everybody who can gets the whole adopted chain, up to `end`. */
  async joinAll(args: {
    candidates: readonly Candidate[];
    winner: number;
    end: Lsn;
  }): Promise<void> {
    const order = [...args.candidates].sort((a, b) => rank(a, args.winner) - rank(b, args.winner));
    for (const candidate of order) await this.#tryJoin(candidate, args);
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
    })) {
      if (differs && !truncated) {
        if ((await store.truncate({ fence, after })) !== 'done') return false;
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
    if (others.length !== replicas.length - 1) return false;
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
    const identity = { epoch: this.#epoch, owner: this.#owner };
    for await (const { after, missing, differs } of this.#differences({
      ...args,
      replica,
      from: sharedLsn,
    })) {
      if (missing.length === 0 && !differs) continue;
      const done = await store.restore({ ...identity, after, entries: missing });
      if (done === 'has_vote') {
        // Alive, and a newer incarnation of it is recorded: what P4 may write, and it does not count.
        const { fence } = candidate;
        if (differs && (await store.truncate({ fence, after })) !== 'done') return false;
        if (missing.length === 0) continue;
        const reply = await store.append({ fence, entries: missing });
        if (reply.kind !== 'acked') return false;
      } else if (done !== 'done') return false;
    }
    const admitted = await store.admit({
      ...identity,
      incarnation,
      incarnations: this.#incarnations,
      clusterId,
      replicaId: replica,
    });
    if (admitted !== 'done') return false;
    const fence = { ...identity, incarnation };
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
    const rest = await target.read({ after: args.end, limitBytes: 1 });
    if (rest.length > 0) yield { after: args.end, missing: [], differs: true };
  }

  /** While serving: a replica that restarted, was lost or could not be reached comes back (P9, P10). */
  async heal(donor: number): Promise<void> {
    const { setLog, replicas } = this.#args;

    for (const replica of replicas.keys()) {
      if (setLog.isActive(replica)) continue;
      const candidate = await this.#look(replica);
      if (candidate === null) continue;
      // The committed journal only: what follows comes through the log like everybody's.
      await this.#tryJoin(candidate, { winner: donor, end: setLog.commit });
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
      const votes = row.proved && row.incarnation >= (this.#incarnations[replica] ?? 0);
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

/** The winner first (the others are fed from it), then voters, then those that need all others. */
function rank(candidate: Candidate, winner: number): number {
  if (candidate.replica === winner) return 0;
  return candidate.kind === 'voter' ? 1 : candidate.kind === 'doubtful' ? 2 : 3;
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
