import { assert } from '../lib/core/assert.ts';
import type { Entry, Sha256Function } from '../lib/core/journal-entry.ts';
import { CorruptEntry, OWNER_BYTES } from '../lib/core/journal-entry.ts';
import type { Epoch, Lsn, SetId } from '../lib/core/units.ts';
import { lsn, nextEpoch } from '../lib/core/units.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { Fence, ReplicaStore, TakeOverReply } from '../lib/port/replica-store.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { commonPrefix, readVerified } from './replay.ts';

export type TakeoverArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly nodeSlot: number;
  readonly random: Random;
  readonly hash: Sha256Function;
  readonly log: Log;
  /** What the candidate has applied: committed, so every good replica has it. */
  readonly applied: { readonly lsn: Lsn; readonly sum: Uint8Array };
};

/** Why nobody leads now; a later try may go better. */
export class TakeoverFailed extends Error {
  override readonly name = 'TakeoverFailed';
}

type Promised = Extract<TakeOverReply, { kind: 'promised' }>;

/** What a candidate holds of one replica after P2 and P3. */
type Voice = { readonly replica: number; readonly reply: Promised; readonly tail: readonly Entry[] };

export type Adopted = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  /** The winner's chain above what was applied. */
  readonly tail: readonly Entry[];
  /** Newest incarnation known of every replica. */
  readonly incarnations: number[];
  /** Replicas that have a vote now; the others must be re-admitted (P9). */
  readonly voters: readonly { replica: number; tail: readonly Entry[]; fence: Fence }[];
  /** Doubtful replicas with this epoch's fence. */
  readonly doubtful: readonly { replica: number; fence: Fence }[];
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
  const incarnations = replicas.map((_, replica) =>
    Math.max(0, ...promised.map(({ replica: of, reply }) =>
      Math.max(reply.incarnations[replica] ?? 0, of === replica ? reply.incarnation : 0))),
  );
  // P0, P3b: a vote needs the newest incarnation and proof of no restart.
  const mayVote = ({ replica, reply }: { replica: number; reply: Promised }): boolean =>
    reply.proved && reply.incarnation >= (incarnations[replica] ?? 0);
  const proved = promised.filter(mayVote);
  const fullHouse = proved.length < quorum;
  if (fullHouse && promised.length < replicas.length) {
    throw new TakeoverFailed(
      `epoch ${epoch}: ${proved.length} of ${quorum} proved replicas, ${promised.length} of ${replicas.length} promised`,
    );
  }
  // Tails are read only now, when every fence that counts is set: the second pass of a full house.
  const voices = await readTails(args, fullHouse ? promised : proved);
  if (voices.length < (fullHouse ? replicas.length : quorum)) {
    throw new TakeoverFailed(`epoch ${epoch}: too few replicas with a readable journal`);
  }
  const winner = choose(voices);
  assertPrefixes(args, { voices, winner });
  const fenceOf = (reply: Promised): Fence => ({ epoch, owner, incarnation: reply.incarnation });
  return {
    epoch, owner, incarnations, tail: winner.tail,
    voters: voices
      .filter(mayVote)
      .map(({ replica, reply, tail }) => ({ replica, tail, fence: fenceOf(reply) })),
    doubtful: promised
      .filter((one) => !mayVote(one))
      .map(({ replica, reply }) => ({ replica, fence: fenceOf(reply) })),
  };
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

async function readTails(args: TakeoverArgs, promised: readonly { replica: number; reply: Promised }[]): Promise<Voice[]> {
  const voices: Voice[] = [];
  let corrupt: CorruptEntry | null = null;
  for (const { replica, reply } of promised) {
    const store = args.replicas[replica];
    assert(store !== undefined, 'a reply has its replica');
    try {
      const tail: Entry[] = [];
      const from = { after: args.applied.lsn, prev: args.applied.sum };
      for await (const entry of readVerified({ ...args, store, ...from })) tail.push(entry);
      voices.push({ replica, reply, tail });
    } catch (error) {
      // P3: a bad row means no vote, never "short log".
      if (error instanceof CorruptEntry) corrupt = error;
      else if (!(error instanceof StoreError)) throw error;
      args.log.error('replica_without_vote', { set: args.setId, replica, reason: String(error) });
    }
  }
  if (voices.length === 0 && corrupt !== null) throw corrupt;
  return voices;
}

/** P3: the greatest (epoch of the last entry, last LSN) wins with its WHOLE chain. */
function choose(voices: readonly Voice[]): Voice {
  return voices.reduce((best, voice) => {
    const a = best.tail.at(-1);
    const b = voice.tail.at(-1);
    if (b === undefined) return best;
    if (a === undefined || b.epoch > a.epoch) return voice;
    return b.epoch === a.epoch && b.lsn > a.lsn ? voice : best;
  });
}

/** P3: every voter's committed prefix is in the winner, else halt with a clear report. */
function assertPrefixes(args: TakeoverArgs, found: { voices: readonly Voice[]; winner: Voice }): void {
  for (const { replica, reply, tail } of found.voices) {
    const shared = args.applied.lsn + commonPrefix(tail, found.winner.tail);
    assert(
      reply.commitLsn <= shared,
      `Set ${args.setId}: replica ${replica} committed LSN ${reply.commitLsn}, but shares only ${shared} with the winner`,
    );
  }
}

/** P4: makes a voter's journal equal to the adopted chain, oldest first, entries unchanged. */
export async function repair(args: {
  store: ReplicaStore;
  fence: Fence;
  applied: Lsn;
  tail: readonly Entry[];
  adopted: readonly Entry[];
}): Promise<boolean> {
  const shared = commonPrefix(args.tail, args.adopted);
  if (shared < args.tail.length) {
    const done = await args.store.truncate({ fence: args.fence, after: lsn(args.applied + shared) });
    if (done !== 'done') return false;
  }
  const missing = args.adopted.slice(shared);
  if (missing.length === 0) return true;
  const reply = await args.store.append({ fence: args.fence, entries: missing });
  return reply.kind === 'acked';
}

/**
 * P9: re-admits a doubtful or empty replica under a new incarnation, recorded on all others first.
 * The caller holds this epoch's fence on every one of `others`. false: not now.
 */
export async function readmit(args: {
  replicas: readonly ReplicaStore[];
  replica: number;
  others: readonly { replica: number; fence: Fence }[];
  epoch: Epoch;
  owner: Uint8Array;
  incarnation: number;
  incarnations: readonly number[];
  clusterId: Uint8Array;
  /** The committed journal from `after` on, unchanged; before serving: the whole adopted chain. */
  after: Lsn;
  journal: readonly Entry[];
}): Promise<boolean> {
  const { replicas, replica, epoch, owner, incarnation } = args;
  const target = replicas[replica];
  assert(target !== undefined, 're-admission names a replica');
  if (args.others.length !== replicas.length - 1) return false;
  for (const other of args.others) {
    const store = replicas[other.replica];
    assert(store !== undefined && other.replica !== replica, 'others are the other replicas');
    const done = await store.recordIncarnation({ fence: other.fence, replica, incarnation });
    if (done !== 'done') return false;
  }
  const { after, journal } = args;
  const restored = await target.restore({ epoch, owner, after, entries: journal });
  if (restored !== 'done') return false;
  const { clusterId, incarnations } = args;
  const known = incarnations.map((n, index) => (index === replica ? incarnation : n));
  const admitted = await target.admit({
    epoch, owner, incarnation, incarnations: known, clusterId, replicaId: replica,
  });
  return admitted === 'done';
}

