import { createHash } from 'node:crypto';
import { NotTheFormat, Reader } from './reader.ts';

const SUM_BYTES = 32;

/** What is stored of one snapshot. Its inner form is the Set's own: only its seals are checked here. */
export type StoredSnapshot = {
  readonly lsn: number;
  /** How many chunks the manifest says. */
  readonly chunks: number;
  readonly manifest: Uint8Array;
  /** Sizes and running hash of the chunks that are there, in order. */
  readonly stored: { readonly numbers: readonly number[]; readonly bytes: number };
  readonly hash: string;
};

type SnapshotProblem = { readonly expected: string; readonly found: string };

/**
 * SPEC L13: the manifest is u16 format, 32 bytes checksum of the entry at its LSN, u64 size of all
 * chunks and 32 bytes of their SHA-256. Returns what does not hold; `sumAt` is the journal's word,
 * null when it does not reach so far.
 */
export function snapshotProblems(
  snapshot: StoredSnapshot,
  sumAt: Uint8Array | null,
): SnapshotProblem[] {
  const problems: SnapshotProblem[] = [];
  const hold = (what: string, expected: string, found: string): void => {
    if (expected !== found) problems.push({ expected: `${what} ${expected}`, found });
  };
  const { stored, chunks } = snapshot;
  const wanted = Array.from({ length: Math.min(chunks, 1_000_000) }, (_, index) => index);
  hold('chunks', wanted.join(' '), stored.numbers.join(' '));
  try {
    const r = new Reader(snapshot.manifest);
    r.u16();
    const sum = r.hex(SUM_BYTES);
    const size = r.u64();
    const hash = r.hex(SUM_BYTES);
    r.end();
    hold('size of its chunks', String(size), String(stored.bytes));
    hold('SHA-256 of its chunks', hash, snapshot.hash);
    if (sumAt === null) problems.push({ expected: 'a committed LSN', found: String(snapshot.lsn) });
    else hold('checksum of its entry', Buffer.from(sumAt).toString('hex'), sum);
  } catch (error) {
    if (!(error instanceof NotTheFormat)) throw error;
    problems.push({ expected: 'a manifest', found: error.message });
  }
  return problems;
}

/** Gathers chunks one at a time, so that a snapshot need not fit into memory. */
export class ChunkSum {
  readonly #hash = createHash('sha256');
  readonly #numbers: number[] = [];
  #bytes = 0;

  add(number: number, bytes: Uint8Array): void {
    this.#numbers.push(number);
    this.#bytes += bytes.length;
    this.#hash.update(bytes);
  }

  end(): { stored: StoredSnapshot['stored']; hash: string } {
    const stored = { numbers: this.#numbers, bytes: this.#bytes };
    return { stored, hash: this.#hash.digest('hex') };
  }
}
