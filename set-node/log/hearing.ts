import { assert } from '../../lib/core/assert.ts';
import { equalBytes } from '../../lib/core/bytes.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, ZERO_SUM } from '../../lib/core/journal-entry.ts';
import type { Epoch } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { askAll, within } from './ask-all.ts';
import { readVerified } from './replay.ts';
import type { TakeoverArgs } from './takeover.ts';
import { Amnesia } from './tripwire.ts';
import type { Reply, Votes } from './votes.ts';
import { isNewest } from './votes.ts';

/** For one entry of a replica that has just told its whole tail. */
const PATIENCE_MS = 1_000;

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

/** Why nobody can be chosen now. */
type Failed = { readonly failed: string };

/** The journals that decide, and what they decide. */
type Heard = {
  readonly winner: Voice;
  readonly voices: readonly Voice[];
  /** Replicas that vote: proved, readable, and with all that they acknowledged. */
  readonly votesOn: ReadonlySet<number>;
  /** Proved replicas whose journal could not be read just now. */
  readonly silent: ReadonlySet<number>;
  /** An operator answers for doubtful disks. */
  readonly trusted: boolean;
};

type HearArgs = TakeoverArgs & { readonly epoch: Epoch; readonly owner: Uint8Array };

/**
 * P3, P3b: reads journals under their fences, Q proved ones or a full house of all N, and chooses.
 * A proved replica that has forgotten what it acknowledged loses its vote, and it is done again
 * without it: the second time needs Q others or a full house.
 */
export async function hear(args: HearArgs, votes: Votes): Promise<Heard | Failed> {
  const { quorum, epoch, replicas } = args;
  const { promised, incarnations } = votes;
  const newest = promised.filter((one) => isNewest(one, incarnations));
  let { proved } = votes;
  for (;;) {
    const trusted = mayTrust(args, { ...votes, proved });
    const fullHouse = proved.length < quorum;
    if (fullHouse && promised.length < replicas.length && !trusted) {
      const all = `${promised.length} of ${replicas.length} promised`;
      return { failed: `epoch ${epoch}: ${proved.length} of ${quorum} proved replicas, ${all}` };
    }
    // Journals are read only now, when every fence that counts is set: the second pass of a full house.
    const needed = fullHouse && !trusted ? replicas.length : quorum;
    const asked = trusted ? newest : fullHouse ? promised : proved;
    const { voices, silent } = await readVoices(args, { asked, needed });
    if (voices.length < needed) {
      return { failed: `epoch ${epoch}: too few replicas with a readable journal` };
    }
    if (fullHouse && !trusted && !(await areFenced(args, asked))) {
      return { failed: `epoch ${epoch}: not all replicas still hold its fence` };
    }
    const winner = choose(withoutRejected(args, { voices, needed }));
    await assertPrefixes(args, { voices, winner });
    const forgetful = await findAmnesia(args, { voices, winner, proved });
    const votesOn = new Set(
      proved.map(({ replica }) => replica).filter((replica) => !forgetful.has(replica)),
    );
    const left = voices.filter(({ replica }) => votesOn.has(replica)).length;
    if (fullHouse || left >= quorum) {
      for (const { replica } of proved) {
        if (!voices.some((voice) => voice.replica === replica)) votesOn.delete(replica);
      }
      return { winner, voices, votesOn, silent, trusted };
    }
    proved = proved.filter(({ replica }) => votesOn.has(replica));
  }
}

/** `--trust-disks`: only where nothing else is to be had, and never in silence. */
function mayTrust(args: HearArgs, { promised, proved, incarnations }: Votes): boolean {
  if (args.trustDisks !== true) return false;
  const { epoch, log, quorum, replicas, setId } = args;
  const fields = { set: setId, epoch, proved: proved.map(({ replica }) => replica) };
  const newest = promised.filter((one) => isNewest(one, incarnations));
  if (proved.length >= quorum || promised.length === replicas.length) {
    log.error('trust_disks_refused', { ...fields, reason: 'a quorum or a full house is there' });
    return false;
  }
  if (newest.length < quorum) {
    log.error('trust_disks_refused', { ...fields, reason: 'an old incarnation has no vote' });
    return false;
  }
  const trusted = newest.map(({ replica, reply: { incarnation, head } }) => ({
    replica,
    incarnation,
    lsn: head.lsn,
    sum: head.sum,
  }));
  log.error('trust_disks', { ...fields, trusted, reason: 'signed by the operator' });
  return true;
}

/**
 * P3b: each of a full house held this fence while its journal was read: it holds it now, and is
 * fenced once an epoch. One that was set back meanwhile, and re-admitted by a leader of before, may
 * acknowledge to that one still; a second doubtful replica may have forgotten the same entry.
 */
async function areFenced(args: HearArgs, house: readonly Reply[]): Promise<boolean> {
  const { clock, epoch, owner, replicas } = args;
  const rows = await askAll({
    clock,
    calls: house.map(async ({ replica }) => replicas[replica]?.fenceRow() ?? null),
    isEnough: () => false,
  });
  return house.every(({ reply: { incarnation } }, index) => {
    const row = rows[index] ?? null;
    if (row === null || row.incarnation !== incarnation) return false;
    return row.fenceEpoch === epoch && equalBytes(row.fenceOwner, owner);
  });
}

type Reading =
  | { readonly kind: 'voice'; readonly voice: Voice }
  | { readonly kind: 'corrupt'; readonly error: CorruptEntry };

/** All at once; goes on without the slow ones when `needed` journals are read. */
async function readVoices(
  args: HearArgs,
  { asked, needed }: { asked: readonly Reply[]; needed: number },
): Promise<{ voices: Voice[]; silent: Set<number> }> {
  const { setId, log, clock } = args;
  const readings = await askAll<Reading>({
    clock,
    calls: asked.map((one) => readOne(args, one)),
    isEnough: (heard) => heard.filter((reading) => reading?.kind === 'voice').length >= needed,
    onError: (index, error) => {
      const { replica } = asked[index] ?? {};
      log.error('replica_without_vote', { set: setId, replica, reason: error.message });
    },
  });
  const silent = new Set<number>();
  const voices: Voice[] = [];
  const damage: CorruptEntry[] = [];
  for (const [index, { replica }] of asked.entries()) {
    const reading = readings[index] ?? null;
    if (reading === null) silent.add(replica);
    else if (reading.kind === 'voice') voices.push(reading.voice);
    else {
      // P3: a bad row means no vote, never "short log".
      damage.push(reading.error);
      log.error('replica_without_vote', { set: setId, replica, reason: reading.error.message });
    }
  }
  // Final only when every copy was read: one that did not answer may be the good one.
  const [corrupt] = damage;
  if (corrupt !== undefined && damage.length === args.replicas.length) throw corrupt;
  return { voices, silent };
}

async function readOne(args: HearArgs, one: Reply): Promise<Reading> {
  try {
    return { kind: 'voice', voice: await readVoice(args, one) };
  } catch (error) {
    if (error instanceof CorruptEntry) return { kind: 'corrupt', error };
    throw error;
  }
}

/**
 * Reads from the lower of our applied LSN and its commit point, that entry included: below it the
 * journal is everybody's. Above its commit point it may differ from ours, which is no corruption.
 */
async function readVoice(args: HearArgs, { replica, reply }: Reply): Promise<Voice> {
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
    if (entry.epoch > args.epoch) throw new StoreError('unavailable', 'somebody else took over');
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

/**
 * Without the voices whose tail holds an entry that Q replicas rejected (P8): it is committed
 * nowhere, and any `needed` promises may decide. As they are when too few would be left.
 */
function withoutRejected(
  { quarantine }: HearArgs,
  { voices, needed }: { voices: readonly Voice[]; needed: number },
): readonly Voice[] {
  const clean = voices.filter(({ tail }) => !tail.some((entry) => quarantine.rejects(entry)));
  return clean.length >= needed ? clean : voices;
}

/**
 * Rulings 6, the tripwire: replicas whose journal ends below what the winner's chain says that they
 * acknowledged. Throws {@link Amnesia} when there are two.
 */
async function findAmnesia(
  args: HearArgs,
  found: { voices: readonly Voice[]; winner: Voice; proved: readonly Reply[] },
): Promise<Set<number>> {
  const { voices, winner } = found;
  const { setId, log, applied } = args;
  const evidence = applied.evidence.copy();
  for (const entry of winner.tail) evidence.note(entry);
  const forgetful = new Set<number>();
  let least = 0;
  for (const { replica, reply, head } of voices) {
    const { incarnation, discardedBy } = reply;
    const proved = found.proved.some((one) => one.replica === replica);
    const word = evidence.of({ replica, incarnation, discardedBy, proved });
    // What it acknowledged is of epoch `by` or lower: a head of a higher one has passed it.
    if (word === null || head.epoch > word.by) continue;
    const entry = await entryAt(args, winner, word.lsn);
    const isBelow =
      head.epoch < entry.epoch || (head.epoch === entry.epoch && head.lsn < entry.lsn);
    if (!isBelow) continue;
    log.error('replica_amnesia', {
      set: setId,
      replica,
      incarnation,
      headLsn: head.lsn,
      headEpoch: head.epoch,
      ackedLsn: entry.lsn,
      ackedEpoch: entry.epoch,
      saidInEpoch: word.by,
    });
    args.onAmnesia?.(replica);
    forgetful.add(replica);
    least = Math.max(least, word.lsn);
  }
  if (forgetful.size > 1) throw new Amnesia({ setId, lsn: least, replicas: [...forgetful] });
  return forgetful;
}

/** An entry of the winner's chain. Its replica answered just now; it gets a second. */
async function entryAt(args: HearArgs, winner: Voice, at: number): Promise<Entry> {
  const found = winner.tail[at - args.applied.lsn - 1];
  if (found !== undefined) return found;
  const store = args.replicas[winner.replica];
  assert(store !== undefined, 'the winner is a replica');
  const call = store.read({ after: lsn(at - 1), limitBytes: 1 });
  const [entry] = await within({ clock: args.clock, ms: PATIENCE_MS, call });
  assert(entry?.lsn === at, `Set ${args.setId}: LSN ${at} is not in the winner`);
  return entry;
}

/** P3: what we applied, and every voter's committed prefix, is in the winner; else halt with a clear report. */
async function assertPrefixes(
  args: HearArgs,
  found: { voices: readonly Voice[]; winner: Voice },
): Promise<void> {
  const { applied, setId } = args;
  const { winner } = found;
  assert(
    winner.atApplied !== null && equalBytes(winner.atApplied, applied.sum),
    `Set ${setId}: LSN ${applied.lsn} was committed and is not in the winner, replica ${winner.replica}`,
  );
  for (const { replica, reply, atCommit } of found.voices) {
    if (reply.commitLsn === 0 || replica === winner.replica) continue;
    const entry = await entryAt(args, winner, reply.commitLsn);
    assert(
      equalBytes(entry.sum, atCommit),
      `Set ${setId}: replica ${replica} committed LSN ${reply.commitLsn}, and the winner has another`,
    );
  }
}
