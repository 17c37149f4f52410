import { assert } from '../lib/core/assert.ts';
import { equalBytes } from '../lib/core/bytes.ts';
import type { Entry, Sha256Function } from '../lib/core/journal-entry.ts';
import { CorruptEntry, OWNER_BYTES, ZERO_SUM } from '../lib/core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../lib/core/units.ts';
import { lsn, nextEpoch } from '../lib/core/units.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { Fence, ReplicaStore, TakeOverReply } from '../lib/port/replica-store.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { readVerified } from './replay.ts';

export type TakeoverArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly nodeSlot: number;
  readonly random: Random;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** What the candidate has applied: committed, so every later leader's chain has it. */
  readonly applied: { readonly lsn: Lsn; readonly sum: Uint8Array };
};

/** Why nobody leads now; a later try may go better. */
export class TakeoverFailed extends Error {
  override readonly name = 'TakeoverFailed';
}

type Promised = Extract<TakeOverReply, { kind: 'promised' }>;
type Reply = { readonly replica: number; readonly reply: Promised };

/** One replica's journal as read under the fence. */
type Voice = Reply & {
  /** Last LSN and its epoch; 0 for an empty journal. */
  readonly head: { readonly lsn: number; readonly epoch: number };
  /** Checksum at the candidate's applied LSN; null when this journal ends below it. */
  readonly atApplied: Uint8Array | null;
  /** Checksum at this replica's own commit point. */
  readonly atCommit: Uint8Array;
  /** Entries above the applied LSN. */
  readonly tail: readonly Entry[];
};

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
};

/** P1–P3: a new epoch, fences, votes, one whole chain. Repairs nothing yet. */
export async function takeOver(args: TakeoverArgs): Promise<Adopted> {
  const { replicas, quorum, random } = args;
  const seen = await Promise.all(replicas.map((store) => quiet(args, store.fenceRow())));
  const greatest = Math.max(0, ...seen.map((row) => row?.fenceEpoch ?? 0));
  const epoch = nextEpoch(greatest, args.nodeSlot);
  const owner = random.bytes(OWNER_BYTES);
  const replies = await Promise.all(
    replicas.map((store) => quiet(args, store.takeOver({ epoch, owner }))),
  );
  const promised = replies.flatMap((reply, replica) =>
    reply?.kind === 'promised' ? [{ replica, reply }] : [],
  );
  const incarnations = newestIncarnations(replicas.length, promised);
  const mayVote = mayVoteBy(incarnations);
  const proved = promised.filter(mayVote);
  const fullHouse = proved.length < quorum;
  if (fullHouse && promised.length < replicas.length) {
    throw new TakeoverFailed(
      `epoch ${epoch}: ${proved.length} of ${quorum} proved replicas, ${promised.length} of ${replicas.length} promised`,
    );
  }
  // Journals are read only now, when every fence that counts is set: the second pass of a full house.
  const silent = new Set<number>();
  const voices = await readVoices({ ...args, epoch, silent }, fullHouse ? promised : proved);
  if (voices.length < (fullHouse ? replicas.length : quorum)) {
    throw new TakeoverFailed(`epoch ${epoch}: too few replicas with a readable journal`);
  }
  const winner = choose(voices);
  await assertPrefixes(args, { voices, winner });
  const fenceOf = (incarnation: number): Fence => ({ epoch, owner, incarnation });
  const readable = new Set(voices.map(({ replica }) => replica));
  const candidates = promised.flatMap(({ replica, reply }): Candidate[] => {
    // It keeps its vote, and heal() asks again: a new incarnation would lock it out (RS8 has_vote).
    if (silent.has(replica)) return [];
    const votes = mayVote({ replica, reply }) && readable.has(replica);
    return [
      {
        replica,
        kind: votes ? 'voter' : 'doubtful',
        fence: fenceOf(reply.incarnation),
        sharedLsn: readable.has(replica) ? reply.commitLsn : lsn(0),
      },
    ];
  });
  replies.forEach((reply, replica) => {
    if (reply?.kind !== 'no_row') return;
    candidates.push({ replica, kind: 'absent', fence: fenceOf(0), sharedLsn: lsn(0) });
  });
  return { epoch, owner, tail: winner.tail, winner: winner.replica, incarnations, candidates };
}

function newestIncarnations(count: number, promised: readonly Reply[]): number[] {
  return Array.from({ length: count }, (_, replica) =>
    Math.max(
      0,
      ...promised.map(({ replica: of, reply }) =>
        Math.max(reply.incarnations[replica] ?? 0, of === replica ? reply.incarnation : 0),
      ),
    ),
  );
}

/** P0, P3b: a vote needs the newest incarnation and the proof of no restart. */
function mayVoteBy(incarnations: readonly number[]): (reply: Reply) => boolean {
  return ({ replica, reply }) => reply.proved && reply.incarnation >= (incarnations[replica] ?? 0);
}

async function quiet<T>(args: TakeoverArgs, call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    args.log.warn('replica_unreachable', { set: args.setId, reason: error.message });
    return null;
  }
}

async function readVoices(
  args: TakeoverArgs & { epoch: Epoch; silent: Set<number> },
  promised: readonly Reply[],
): Promise<Voice[]> {
  const voices: Voice[] = [];
  let corrupt: CorruptEntry | null = null;
  for (const one of promised) {
    try {
      voices.push(await readVoice(args, one));
    } catch (error) {
      // P3: a bad row means no vote, never "short log".
      if (error instanceof CorruptEntry) corrupt = error;
      else if (error instanceof StoreError) args.silent.add(one.replica);
      else throw error;
      const { setId } = args;
      args.log.error('replica_without_vote', {
        set: setId,
        replica: one.replica,
        reason: String(error),
      });
    }
  }
  // Final only when every copy was read: one that did not answer may be the good one.
  const everybody = promised.length === args.replicas.length && args.silent.size === 0;
  if (everybody && voices.length === 0 && corrupt !== null) throw corrupt;
  return voices;
}

/**
 * Reads from the lower of our applied LSN and its commit point, that entry included: below it the
 * journal is everybody's. Above its commit point it may differ from ours, which is no corruption.
 */
async function readVoice(
  args: TakeoverArgs & { epoch: Epoch },
  { replica, reply }: Reply,
): Promise<Voice> {
  const store = args.replicas[replica];
  assert(store !== undefined, 'a reply has its replica');
  const { applied } = args;
  const base = Math.min(applied.lsn, reply.commitLsn);
  const after = lsn(Math.max(0, base - 1));
  let head = { lsn: 0, epoch: 0 };
  let atApplied = applied.lsn === 0 ? ZERO_SUM : null;
  let atCommit = ZERO_SUM;
  const tail: Entry[] = [];
  const prev = after === 0 ? ZERO_SUM : null;
  for await (const entry of readVerified({ ...args, store, after, prev })) {
    if (entry.epoch > args.epoch) throw new TakeoverFailed('somebody else took over');
    head = entry;
    if (entry.lsn === applied.lsn) atApplied = entry.sum;
    if (entry.lsn === reply.commitLsn) atCommit = entry.sum;
    if (entry.lsn > applied.lsn) tail.push(entry);
  }
  if (head.lsn < base) {
    const reason = `the journal ends below LSN ${base}, which was committed`;
    throw new CorruptEntry({ setId: args.setId, lsn: head.lsn + 1, reason });
  }
  return { replica, reply, head, atApplied, atCommit, tail };
}

/** P3: the greatest (epoch of the last entry, last LSN) wins with its WHOLE chain. */
function choose(voices: readonly Voice[]): Voice {
  return voices.reduce((best, voice) => {
    const { head } = voice;
    if (head.epoch !== best.head.epoch) return head.epoch > best.head.epoch ? voice : best;
    return head.lsn > best.head.lsn ? voice : best;
  });
}

/** P3: what we applied, and every voter's committed prefix, is in the winner; else halt with a clear report. */
async function assertPrefixes(
  args: TakeoverArgs,
  found: { voices: readonly Voice[]; winner: Voice },
): Promise<void> {
  const { applied, setId, replicas } = args;
  const { winner } = found;
  assert(
    winner.atApplied !== null && equalBytes(winner.atApplied, applied.sum),
    `Set ${setId}: LSN ${applied.lsn} was committed and is not in the winner, replica ${winner.replica}`,
  );
  const store = replicas[winner.replica];
  assert(store !== undefined, 'the winner is a replica');
  for (const { replica, reply, atCommit } of found.voices) {
    if (reply.commitLsn === 0 || replica === winner.replica) continue;
    const [entry] = await store.read({ after: lsn(reply.commitLsn - 1), limitBytes: 1 });
    assert(
      entry?.lsn === reply.commitLsn && equalBytes(entry.sum, atCommit),
      `Set ${setId}: replica ${replica} committed LSN ${reply.commitLsn}, and the winner has another`,
    );
  }
}
