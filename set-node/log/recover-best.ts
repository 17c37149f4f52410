import type { Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { askAll, within } from './ask-all.ts';
import type { JournalReader, Recovered } from './replay.ts';
import { recover } from './replay.ts';
import { TakeoverFailed } from './takeover.ts';

/** A replica that gives no piece of its journal in this time is passed over while there are others. */
const READ_MS = 1_000;
/** The snapshot comes whole. */
const SNAPSHOT_MS = 3_000;

type RecoverArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly clock: Clock;
  readonly hash: Sha256Function;
  readonly log: Log;
  readonly rulesMax?: number | undefined;
};

type Source = { readonly store: JournalReader; readonly commitLsn: Lsn };

/**
 * Recovers from the replica with the highest commit point. A corrupt one is passed over while there
 * are others; a slow one too, and it is waited for when no other will do. Throws TakeoverFailed
 * when it may go better later, CorruptEntry when every copy was read and none is good, NodeTooOld
 * when one of them is of rules that this build cannot read.
 */
export async function recoverBest(args: RecoverArgs): Promise<Recovered> {
  const { clock, quorum, replicas, setId } = args;
  const answers = await askAll({
    clock,
    calls: replicas.map((store) => orDamage(setId, store.commitLsn())),
    isEnough: (heard) => heard.filter((answer) => typeof answer === 'number').length >= quorum,
  });
  const damage: CorruptEntry[] = [];
  let sources: Source[] = [];
  for (const [replica, answer] of answers.entries()) {
    const store = replicas[replica];
    if (answer instanceof CorruptEntry) damage.push(answer);
    else if (answer !== null && store !== undefined) sources.push({ store, commitLsn: answer });
  }
  const unheard = answers.filter((answer) => answer === null).length;
  if (sources.length < quorum) {
    throw why({ damage, silent: unheard, reason: 'fewer than a quorum of replicas answer' });
  }
  sources.sort((a, b) => b.commitLsn - a.commitLsn);
  for (const patient of [false, true]) {
    const silent: Source[] = [];
    for (const source of sources) {
      const store = patient ? source.store : impatient(source.store, clock);
      const tried = await tryFrom(args, { ...source, store });
      if (tried === null) silent.push(source);
      else if (tried instanceof CorruptEntry) damage.push(tried);
      else return tried;
    }
    sources = silent;
  }
  throw why({ damage, silent: unheard + sources.length, reason: 'no replica answers' });
}

/** Final only when every copy was read: one that did not answer may be the good one. */
function why(found: { damage: readonly CorruptEntry[]; silent: number; reason: string }): Error {
  const [corrupt] = found.damage;
  return corrupt !== undefined && found.silent === 0 ? corrupt : new TakeoverFailed(found.reason);
}

/** null: it does not answer now. */
async function tryFrom(
  args: RecoverArgs,
  source: Source,
): Promise<Recovered | CorruptEntry | null> {
  const { setId, hash, log, rulesMax } = args;
  try {
    const recovered = await orDamage(setId, recover({ ...source, setId, hash, rulesMax }));
    if (recovered instanceof CorruptEntry) {
      log.error('journal_corrupt', { set: setId, reason: recovered.message });
    }
    return recovered;
  } catch (error) {
    if (error instanceof StoreError) return null;
    throw error;
  }
}

/** Damage as a value: an entry that is not what was sealed, or a file that is none. */
async function orDamage<T>(setId: SetId, reading: Promise<T>): Promise<T | CorruptEntry> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof CorruptEntry) return error;
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error;
    return new CorruptEntry({ setId, lsn: 0, reason: error.message });
  }
}

function impatient(store: JournalReader, clock: Clock): JournalReader {
  return {
    read: (args) => within({ clock, ms: READ_MS, call: store.read(args) }),
    readSnapshot: () => within({ clock, ms: SNAPSHOT_MS, call: store.readSnapshot() }),
  };
}
