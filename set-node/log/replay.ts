import { assert } from '../../lib/core/assert.ts';
import { DecodeError, equalBytes } from '../../lib/core/bytes.ts';
import { eachOp } from '../../lib/core/claim-op.ts';
import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, ZERO_SUM, unseal } from '../../lib/core/journal-entry.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { replay, replayClaim } from '../machine/machine.ts';
import { decodeState } from '../machine/snapshot.ts';
import { Evidence } from './tripwire.ts';
import { SetState } from '../machine/state.ts';

/** A state, and the checksum of the entry that it stands at: the next one must chain to it. */
export type Recovered = {
  readonly state: SetState;
  sum: Uint8Array;
  /** Payload bytes replayed since the snapshot. */
  replayedBytes: number;
  /** What the entries up to here say that replicas have. */
  readonly evidence: Evidence;
};

/** Where a state begins that replays from here on. */
export function nothingReplayed(): Pick<Recovered, 'replayedBytes' | 'evidence'> {
  return { replayedBytes: 0, evidence: new Evidence() };
}

const READ_BYTES = 4 * 1_048_576;
/** Entries below a snapshot that a start reads again: a busy Set's are 60 KB each. */
const VERIFIED_ENTRIES = 500;

/**
 * Applies one verified entry and checks its money digest: the first wrong cent stops here. A
 * CorruptEntry may leave half of it applied: whoever gets one throws the state away.
 */
export function applyEntry(recovered: Recovered, entry: Entry): void {
  const { state } = recovered;
  assert(entry.lsn === state.lsn + 1, 'entries are applied in order');
  if (entry.ts < state.ts) throw corrupt(entry, 'log time falls');
  if (entry.format !== state.rules) {
    throw corrupt(entry, `format ${entry.format}, and the Set is at rules ${state.rules}`);
  }
  const place = { lsn: entry.lsn, ts: entry.ts };
  try {
    eachOp(entry, {
      claim: (op) => replayClaim({ state, op, place }),
      other: (op) => replay({ state, op, place }),
    });
  } catch (error) {
    if (error instanceof DecodeError) throw corrupt(entry, error.message);
    throw error;
  }
  state.lsn = entry.lsn;
  state.ts = entry.ts;
  recovered.sum = entry.sum;
  recovered.evidence.note(entry);
  recovered.replayedBytes += entry.payload.length;
  const { money } = entry;
  const same =
    money.walletsCents === state.walletsCents &&
    money.packetsCents === state.packetsCents &&
    money.clearingCents === state.clearingCents &&
    money.issuerCents === state.issuerCents;
  if (!same) throw corrupt(entry, 'the money after it is not what it says');
}

function corrupt(entry: Entry, reason: string): CorruptEntry {
  return new CorruptEntry({ setId: entry.setId, lsn: entry.lsn, reason });
}

/** What a start reads of a replica. */
export type JournalReader = Pick<ReplicaStore, 'read' | 'readSnapshot'>;

/** Reads entries above `after` to the end of the journal, in bounded pieces, each one verified. */
export async function* readVerified(args: {
  store: Pick<ReplicaStore, 'read'>;
  setId: SetId;
  after: Lsn;
  prev: Uint8Array | null;
  hash: Sha256Function;
  rulesMax?: number | undefined;
}): AsyncGenerator<Entry> {
  let { after, prev } = args;
  let reading = args.store.read({ after, limitBytes: READ_BYTES });
  for (;;) {
    const entries = await reading;
    const last = entries.at(-1);
    if (last === undefined) return;
    // The next piece is on its way while this one is applied.
    reading = args.store.read({ after: last.lsn, limitBytes: READ_BYTES });
    reading.catch(() => undefined);
    for (const entry of entries) {
      if (entry.lsn !== after + 1 || entry.setId !== args.setId) {
        throw new CorruptEntry({
          setId: args.setId,
          lsn: after + 1,
          reason: 'the entry is missing',
        });
      }
      unseal({ entry, prev, hash: args.hash, rulesMax: args.rulesMax });
      yield entry;
      after = entry.lsn;
      prev = entry.sum;
    }
  }
}

/**
 * What a candidate does before it fences anybody: newest snapshot, then the journal up to the
 * commit point. What lies above is verified and not applied (rulings 11), and so is what lies
 * below the snapshot, as far back as a start may take. A corrupt entry is thrown before anything
 * was changed (L4), and so is NodeTooOld when a snapshot or an entry is of later rules (L23).
 */
export async function recover(args: {
  store: JournalReader;
  setId: SetId;
  commitLsn: Lsn;
  hash: Sha256Function;
  rulesMax?: number | undefined;
}): Promise<Recovered> {
  const snapshot = await args.store.readSnapshot();
  const usable = snapshot !== null && snapshot.lsn <= args.commitLsn ? snapshot : null;
  const recovered: Recovered =
    usable === null
      ? { state: new SetState(args.setId), sum: ZERO_SUM, ...nothingReplayed() }
      : {
          ...decodeState({ ...usable, setId: args.setId, rulesMax: args.rulesMax }),
          ...nothingReplayed(),
        };
  const { state } = recovered;
  const first = Math.max(0, state.lsn - VERIFIED_ENTRIES);
  const from = { after: lsn(first), prev: first === 0 ? ZERO_SUM : null };
  for await (const entry of readVerified({ ...args, ...from })) {
    if (entry.lsn === state.lsn && !equalBytes(entry.sum, recovered.sum)) {
      throw corrupt(entry, 'the snapshot stands on another entry');
    }
    if (entry.lsn <= state.lsn) recovered.evidence.note(entry);
    else if (entry.lsn <= args.commitLsn) applyEntry(recovered, entry);
  }
  if (state.lsn < args.commitLsn) {
    const reason = 'the journal ends below its commit point';
    throw new CorruptEntry({ setId: args.setId, lsn: state.lsn + 1, reason });
  }
  return recovered;
}
