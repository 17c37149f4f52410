import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { OWNER_BYTES } from '../../lib/core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../../lib/core/units.ts';
import { lsn, nextEpoch } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Random } from '../../lib/port/random.ts';
import type { Fence, ReplicaStore, StoreError } from '../../lib/port/replica-store.ts';
import { askAll } from './ask-all.ts';
import { hear } from './hearing.ts';
import type { Quarantine } from './quarantine.ts';
import type { Evidence } from './tripwire.ts';
import { votesOf } from './votes.ts';

export type TakeoverArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly nodeSlot: number;
  readonly random: Random;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** What the candidate has applied: committed, so every later leader's chain has it. */
  readonly applied: {
    readonly lsn: Lsn;
    readonly sum: Uint8Array;
    readonly evidence: Evidence;
  };
  readonly clock: Clock;
  readonly quarantine: Quarantine;
  /** A fence seen elsewhere: the new epoch is above it, too. */
  readonly fenceAbove?: number;
  /** `--trust-disks`: doubtful replicas vote when neither Q proved nor a full house is to be had. */
  readonly trustDisks?: boolean;
  /** A counter's hook: this replica has forgotten what it acknowledged. */
  readonly onAmnesia?: (replica: number) => void;
  /** The rules that this node reads; only tests have others than this build. Default RULES_MAX. */
  readonly rulesMax?: number | undefined;
};

/** Why nobody leads now; a later try may go better. */
export class TakeoverFailed extends Error {
  override readonly name = 'TakeoverFailed';
}

/** A replica that must be brought up to the adopted chain before it counts. */
export type Candidate = {
  readonly replica: number;
  /** `voter`: repaired by P4. `doubtful`, `absent` (no row): re-admitted by P9. */
  readonly kind: 'voter' | 'doubtful' | 'absent';
  readonly fence: Fence;
  /** Up to here its journal is a prefix of the adopted chain for certain. */
  readonly sharedLsn: Lsn;
};

export type Adopted = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  /** The winner's chain above what was applied. */
  readonly tail: readonly Entry[];
  /** Where the winner's whole chain stands. */
  readonly winner: number;
  /** Newest incarnation known of every replica. */
  readonly incarnations: number[];
  readonly candidates: readonly Candidate[];
  /** Signed: a re-admission need not be recorded on replicas that are away. */
  readonly trusted: boolean;
};

/** P1–P3: a new epoch, fences, votes, one whole chain. Repairs nothing yet. */
export async function takeOver(args: TakeoverArgs): Promise<Adopted> {
  const { replicas, quorum, random, clock } = args;
  const onError = unreachableIn(args);
  const seen = await askAll({
    clock,
    onError,
    calls: replicas.map((store) => store.fenceRow()),
    isEnough: (rows) => rows.filter((row) => row !== null).length >= quorum,
  });
  const greatest = Math.max(args.fenceAbove ?? 0, ...seen.map((row) => row?.fenceEpoch ?? 0));
  const epoch = nextEpoch(greatest, args.nodeSlot);
  const owner = random.bytes(OWNER_BYTES);
  const replies = await askAll({
    clock,
    onError,
    calls: replicas.map((store) => store.takeOver({ epoch, owner })),
    isEnough: (heard) => votesOf(heard).proved.length >= quorum,
  });
  const votes = votesOf(replies);
  const { promised, incarnations } = votes;
  const heard = await hear({ ...args, epoch, owner }, votes);
  if ('failed' in heard) throw new TakeoverFailed(heard.failed);
  const { winner, voices, votesOn } = heard;
  const fenceOf = (incarnation: number): Fence => ({ epoch, owner, incarnation });
  const readable = new Set(voices.map(({ replica }) => replica));
  const candidates = promised.flatMap(({ replica, reply }): Candidate[] => {
    // It keeps its vote, and heal() asks again: a new incarnation would lock it out (RS8 has_vote).
    if (heard.silent.has(replica)) return [];
    return [
      {
        replica,
        kind: votesOn.has(replica) ? 'voter' : 'doubtful',
        fence: fenceOf(reply.incarnation),
        sharedLsn: readable.has(replica) ? reply.commitLsn : lsn(0),
      },
    ];
  });
  replies.forEach((reply, replica) => {
    if (reply?.kind !== 'no_row') return;
    candidates.push({ replica, kind: 'absent', fence: fenceOf(0), sharedLsn: lsn(0) });
  });
  const { tail } = winner;
  for (const entry of tail) args.quarantine.adopt(entry);
  const { trusted } = heard;
  return { epoch, owner, tail, winner: winner.replica, incarnations, candidates, trusted };
}

function unreachableIn(args: TakeoverArgs): (replica: number, error: StoreError) => void {
  return (replica, { message }) =>
    args.log.warn('replica_unreachable', { set: args.setId, replica, reason: message });
}
