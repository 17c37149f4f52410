import { equalBytes, toHex } from '../../../lib/core/bytes.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';

const QUORUM = 2;
const NONE = new Uint8Array(0);

/**
 * What an observer beside the replicas knows: every entry that was ever written, and what is
 * committed by the letter of P7, whatever the leaders believe.
 */
export class History {
  readonly #trace: Trace;
  /** (epoch, LSN) → checksum, in all history (I5). */
  readonly #named = new Map<string, string>();
  /** Checksum → replicas that took the entry from a leader of the entry's own epoch. */
  readonly #holders = new Map<string, Set<number>>();
  /** Checksums that were on a quorum under their own epoch's fence; LSN n at n - 1. */
  readonly #stored: string[] = [];
  readonly #entries: Entry[] = [];
  /** Those that a leader announced: by an answer, or by a commit point. They stay (I1, I2, I7). */
  readonly committed: string[] = [];

  readonly #onCommitted: (entry: Entry) => void;

  /** `onCommitted` hears of every announced entry once, in order of LSN. */
  constructor(trace: Trace, onCommitted: (entry: Entry) => void = () => undefined) {
    this.#trace = trace;
    this.#onCommitted = onCommitted;
  }

  /** An entry came to a replica, from whomever. */
  see(entry: Entry): void {
    const key = `${entry.epoch}/${entry.lsn}`;
    const sum = toHex(entry.sum);
    const known = this.#named.get(key);
    this.#named.set(key, known ?? sum);
    this.#trace.guard(() => hold(known === undefined || known === sum, `I5 ${key} has two sums`));
  }

  /** A replica with a vote holds this entry, written under the fence of the entry's own epoch. */
  acknowledge(args: { replica: number; entry: Entry; journal: readonly Entry[] }): void {
    const { replica, entry, journal } = args;
    const sum = toHex(entry.sum);
    const holders = this.#holders.get(sum) ?? new Set();
    this.#holders.set(sum, holders.add(replica));
    if (holders.size < QUORUM || this.#stored[entry.lsn - 1] === sum) return;
    // Entries name their predecessors (I3): below one that is the same, all are.
    let from = entry.lsn - 1;
    while (from > 0 && toHex(journal[from - 1]?.sum ?? NONE) !== this.#stored[from - 1]) from -= 1;
    for (const each of journal.slice(from, entry.lsn)) {
      const other = this.committed[each.lsn - 1];
      const mine = toHex(each.sum);
      this.#trace.guard(() =>
        hold(other === undefined || other === mine, `I2 LSN ${each.lsn} is committed twice`),
      );
      this.#stored[each.lsn - 1] = mine;
      this.#entries[each.lsn - 1] = each;
    }
  }

  /** I10: what it acknowledged before counts no more, unless it is in the journal it came back with. */
  readmitted(replica: number, journal: readonly Entry[]): void {
    const kept = new Set(journal.map(({ sum }) => toHex(sum)));
    for (const [sum, holders] of this.#holders) if (!kept.has(sum)) holders.delete(replica);
  }

  /** Somebody outside is told that all up to `lsn` is committed. */
  announce(lsn: number, by: string): void {
    const { length } = this.#stored;
    this.#trace.guard(() =>
      hold(lsn <= length, `P7 ${by}: LSN ${lsn}, two replicas have ${length}`),
    );
    for (let at = this.committed.length; at < lsn; at++) {
      const sum = this.#stored[at];
      const entry = this.#entries[at];
      if (sum === undefined || entry === undefined) continue;
      this.committed.push(sum);
      this.#trace.guard(() => this.#onCommitted(entry));
    }
  }

  isCommitted(entry: Entry): boolean {
    return this.committed[entry.lsn - 1] === toHex(entry.sum);
  }
}

/** I3 for the rows of one replica from LSN `from` on: contiguous, chained, epochs never falling. */
export function holdChain(
  journal: readonly Entry[],
  { from = 1, name }: { from?: number; name: string },
): void {
  for (let at = Math.max(1, from); at <= journal.length; at++) {
    const entry = journal[at - 1];
    const before = journal[at - 2];
    hold(entry !== undefined && entry.lsn === at, `I3 ${name} has a hole at LSN ${at}`);
    if (before === undefined) continue;
    hold(equalBytes(before.sum, entry.prev), `I3 ${name} is not chained at LSN ${at}`);
    hold(before.epoch <= entry.epoch, `I3 ${name}: the epoch falls at LSN ${at}`);
    hold(before.ts <= entry.ts, `I3 ${name}: log time falls at LSN ${at}`);
  }
}
