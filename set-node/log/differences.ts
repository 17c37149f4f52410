import { equalBytes } from '../../lib/core/bytes.ts';
import type { Entry, Sha256Function } from '../../lib/core/journal-entry.ts';
import { CorruptEntry, ZERO_SUM, encodeEntry, unseal } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Epoch, Lsn } from '../../lib/core/units.ts';
import { lsn } from '../../lib/core/units.ts';
import type { Place, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';

/** What a replica lacks after which LSN, and whether it has something else there. */
export type Difference = {
  readonly after: Lsn;
  readonly missing: readonly Entry[];
  readonly differs: boolean;
};

/** The journal that should be copied cannot be read, or is damaged: another one may be better. */
export class DonorFailed extends Error {
  override readonly name = 'DonorFailed';
  override readonly cause: StoreError | CorruptEntry;

  constructor(cause: StoreError | CorruptEntry) {
    super(`the donor: ${cause.message}`);
    this.cause = cause;
  }
}

/**
 * Walks a donor's chain and a replica's from an LSN that both share, piece by piece. An entry of the
 * replica is the same only when every field is (RS8f): the first damaged one is the first difference.
 * Throws DonorFailed, and StoreError when the replica cannot be read.
 */
export async function* differences(args: {
  donor: ReplicaStore;
  target: ReplicaStore;
  from: Lsn;
  end: Lsn;
  /** Entries of this epoch above `end` stay: they are this leader's own (I5). */
  keeps: Epoch | null;
  hash: Sha256Function;
}): AsyncGenerator<Difference> {
  const { donor, target, end, keeps, hash } = args;
  let at: number = args.from;
  let diverged = donor === target;
  if (diverged) return;
  while (at < end) {
    const good = await readGood({ donor, after: lsn(at), end, hash });
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
  const [above] = await target.read({ after: end, limitBytes: 1 });
  if (above !== undefined && above.epoch !== keeps) {
    yield { after: end, missing: [], differs: true };
  }
}

/** Damage must not spread: what one replica hands on is checked like what a leader reads. */
async function readGood(args: {
  donor: ReplicaStore;
  after: Lsn;
  end: Lsn;
  hash: Sha256Function;
}): Promise<Entry[]> {
  const { donor, after, end, hash } = args;
  return fromDonor(async () => {
    const entries = await donor.read({ after, limitBytes: LIMITS.batchBytesMax });
    const good = entries.filter((entry) => entry.lsn <= end);
    if (good.length === 0) throw new StoreError('unavailable', 'the donor ended early');
    let prev: Uint8Array | null = null;
    for (const entry of good) {
      unseal({ entry, prev, hash });
      prev = entry.sum;
    }
    return good;
  });
}

/** Throws DonorFailed where `read` throws StoreError or CorruptEntry. */
export async function fromDonor<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof StoreError || error instanceof CorruptEntry) throw new DonorFailed(error);
    throw error;
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
  const first = good.findIndex((entry, index) => {
    const other = mine[index];
    return other === undefined || !equalBytes(encodeEntry(other), encodeEntry(entry));
  });
  return first < 0 ? good.length : first;
}
