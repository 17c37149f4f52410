/**
 * The journals of one Set's replicas against each other (SPEC L1, L2, L24 and AU): each row by
 * itself, the chain, and which of different copies is the Set's entry.
 */
import type { Entry } from '../../lib/core/journal-entry.ts';
import { sumOf } from './sum.ts';

const ZEROS = new Uint8Array(32);

/** A row of `journal`: an entry, or what cannot be one. */
export type JournalRow = {
  readonly lsn: number;
  readonly entry: Entry | null;
  /** Why it is none; '' for an entry. */
  readonly problem: string;
};

export type JournalFinding = {
  /** One word for statistics. */
  readonly kind: string;
  readonly replica: number;
  readonly lsn: number;
  readonly rule: string;
  readonly expected: string;
  readonly found: string;
};

type Copy = {
  readonly replica: number;
  readonly row: JournalRow;
  readonly entry: Entry | null;
  /** It is what was sealed: the checksum is over all of it. */
  readonly isWhole: boolean;
};

/** Follows the journals of all replicas of a Set, LSN by LSN from 1. */
export class ReplicaJournals {
  readonly #setId: number;
  readonly #onFinding: (finding: JournalFinding) => void;
  #lsn = 0;
  #sum: Uint8Array = ZEROS;
  /** By replica: checksum of its own last row, what its next one must chain to. */
  readonly #own = new Map<number, Uint8Array>();
  /** By replica: the last row above what was agreed on. */
  readonly #above = new Map<number, number>();

  constructor(args: { setId: number; onFinding: (finding: JournalFinding) => void }) {
    this.#setId = args.setId;
    this.#onFinding = args.onFinding;
  }

  /** Of the last entry that was agreed on. */
  get lsn(): number {
    return this.#lsn;
  }

  /**
   * The rows of the next LSN, by replica; those that have none are left out. Returns the Set's
   * entry and who has it, or null when no copy can be believed: then nothing above it can be.
   * `isCommitted`: a copy that differs is damage, not what a fenced leader left.
   */
  next(args: {
    rows: readonly { readonly replica: number; readonly row: JournalRow }[];
    isCommitted: boolean;
  }): { entry: Entry; copies: number } | null {
    const lsn = this.#lsn + 1;
    const there = new Set(args.rows.map(({ replica }) => replica));
    // Behind a hole nothing says what a row chains to but the other replicas.
    for (const replica of this.#own.keys()) if (!there.has(replica)) this.#own.delete(replica);
    const copies = args.rows.map((each) => this.#look(each));
    const chosen = this.#choose(copies);
    if (chosen === null) return null;
    let same = 0;
    for (const { replica, entry, isWhole } of copies) {
      if (isWhole && entry !== null && isSame(entry.sum, chosen.sum)) same += 1;
      else if (isWhole && entry !== null && args.isCommitted) {
        const { field, expected, found } = difference(chosen, entry);
        this.#onFinding({
          kind: 'journal differs',
          replica,
          lsn,
          rule: 'L24',
          expected: `${field} ${expected}, as the Set has it`,
          found: `${field} ${found}`,
        });
      }
    }
    this.#lsn = lsn;
    this.#sum = chosen.sum;
    return { entry: chosen, copies: same };
  }

  /** A row above the last one that was agreed on, in order: whole, and chained to the one before. */
  above({ replica, row }: { replica: number; row: JournalRow }): void {
    const before = this.#above.get(replica) ?? this.#lsn;
    this.#above.set(replica, row.lsn);
    if (row.lsn !== before + 1) {
      const found = `no row from LSN ${before + 1} to ${row.lsn - 1}`;
      const expected = `an entry, as LSN ${row.lsn} is there`;
      const { lsn } = row;
      this.#onFinding({ kind: 'journal hole', replica, lsn, rule: 'L24', expected, found });
      this.#own.delete(replica);
    }
    this.#look({ replica, row });
  }

  /** Everything that one row can be wrong about by itself. */
  #look({ replica, row }: { replica: number; row: JournalRow }): Copy {
    const { entry, problem, lsn } = row;
    const bad = (kind: string, rule: string, words: { expected: string; found: string }): void =>
      this.#onFinding({ kind, replica, lsn, rule, ...words });
    if (entry === null) {
      bad('journal row', 'L24', { expected: 'columns of an entry', found: problem });
      this.#own.delete(replica);
      return { replica, row, entry, isWhole: false };
    }
    if (entry.setId !== this.#setId) {
      const expected = `an entry of Set ${this.#setId}`;
      bad('journal row', 'I3', { expected, found: `one of Set ${entry.setId}` });
    }
    const sum = sumOf(entry);
    const isWhole = isSame(sum, entry.sum) && entry.setId === this.#setId && entry.lsn === lsn;
    if (!isSame(sum, entry.sum)) {
      const expected = `checksum ${short(sum)} over its fields`;
      bad('journal checksum', 'F5', { expected, found: short(entry.sum) });
    }
    const before = this.#own.get(replica) ?? (this.#lsn === 0 ? ZEROS : null);
    if (before !== null && !isSame(before, entry.prev)) {
      const expected = `prev ${short(before)}, the row before`;
      bad('journal chain', 'I3', { expected, found: short(entry.prev) });
    }
    this.#own.set(replica, entry.sum);
    return { replica, row, entry, isWhole };
  }

  /** Whole, chained to the entry before, and what most say; the newest epoch when as many say so. */
  #choose(copies: readonly Copy[]): Entry | null {
    const votes = new Map<string, { entry: Entry; count: number }>();
    for (const { entry, isWhole } of copies) {
      if (entry === null || !isWhole || !isSame(entry.prev, this.#sum)) continue;
      const name = Buffer.from(entry.sum).toString('hex');
      const vote = votes.get(name);
      if (vote === undefined) votes.set(name, { entry, count: 1 });
      else vote.count += 1;
    }
    let best: { entry: Entry; count: number } | null = null;
    for (const vote of votes.values()) {
      const isBetter =
        best === null ||
        vote.count > best.count ||
        (vote.count === best.count && vote.entry.epoch > best.entry.epoch);
      if (isBetter) best = vote;
    }
    return best?.entry ?? null;
  }
}

/** What an entry's head says of itself and of the one before; the books do not look at it. */
export class Heads {
  #before: Entry | null = null;

  /** The first rule that is broken, or null. `ops`: types of its commands, null when unreadable. */
  add(entry: Entry, ops: readonly string[] | null): { rule: string; what: string } | null {
    const before = this.#before;
    this.#before = entry;
    const isNew = entry.epoch !== (before?.epoch ?? 0);
    if (isNew !== (entry.kind === 'EPOCH_START')) {
      return { rule: 'L8', what: `epoch ${entry.epoch} and kind ${entry.kind}` };
    }
    const isSameLeader = before === null || isSame(before.leaderId, entry.leaderId);
    if (!isNew && !isSameLeader) {
      return { rule: 'L1', what: `two leaders write in epoch ${entry.epoch}` };
    }
    const said = Math.max(entry.commitLsn, ...entry.acked);
    if (said >= entry.lsn) {
      return { rule: 'L2', what: `it says that LSN ${said} is acknowledged or committed` };
    }
    if (ops === null) return null;
    const isConfig = ops.includes('set.configure');
    const isRight =
      entry.kind === 'OPS'
        ? ops.length > 0 && !isConfig
        : entry.kind === 'CONFIG'
          ? ops.length === 1 && isConfig
          : ops.length === 0;
    return isRight ? null : { rule: 'L11', what: `kind ${entry.kind} with ${ops.length} ops` };
  }
}

/** The first field in which two entries differ, in words. */
function difference(a: Entry, b: Entry): { field: string; expected: string; found: string } {
  const left = plain(a);
  const right = plain(b);
  const field = Object.keys(left).find((name) => left[name] !== right[name]);
  if (field !== undefined) {
    return { field, expected: left[field] ?? '', found: right[field] ?? '' };
  }
  const at = a.payload.findIndex((byte, index) => byte !== b.payload[index]);
  const from = at === -1 ? a.payload.length : at;
  const text = (payload: Uint8Array): string => hex(payload.subarray(from, from + 8));
  return {
    field: `payload from byte ${from}`,
    expected: `${text(a.payload)} (${a.payload.length} bytes)`,
    found: `${text(b.payload)} (${b.payload.length} bytes)`,
  };
}

function plain(entry: Entry): Record<string, string> {
  const { setId, lsn, epoch, kind, ts, commitLsn, acked, format, opCount, money } = entry;
  const { walletsCents, packetsCents, clearingCents, issuerCents } = money;
  const numbers = { setId, lsn, epoch, kind, ts, commitLsn, acked, format, opCount };
  const all = { ...numbers, walletsCents, packetsCents, clearingCents, issuerCents };
  return {
    ...Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)])),
    leaderId: hex(entry.leaderId),
    prev: hex(entry.prev),
  };
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

function short(bytes: Uint8Array): string {
  return `${hex(bytes).slice(0, 16)}…`;
}
