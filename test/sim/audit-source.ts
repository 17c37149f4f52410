/** Journals as a live cluster shows them: in pages, each Set at its own speed, with its leader's word. */
import type { Entry } from '../../lib/core/journal-entry.ts';
import { decodeOps, encodeEntry } from '../../lib/core/journal-entry.ts';
import { moneyOf } from '../../lib/core/transfer.ts';
import type { ClusterDump } from '../../reconciler/audit/dump.ts';
import type { Feed, Finding } from '../../reconciler/audit/feed.ts';
import type { Horizon } from '../../reconciler/audit/needs.ts';

type Sent = { to: number; lane: number; first: number; rows: number[] };
type Received = { from: number; lane: number; upTo: number; above: Set<number>; refused: number };

/** The lanes of a leader that has done these entries of its Set, by its own words. */
export function horizonAfter(entries: readonly Entry[]): Horizon {
  const sent = new Map<string, Sent>();
  const received = new Map<string, Received>();
  for (const entry of entries) {
    for (const { command, outcome, sends } of decodeOps(entry)) {
      if (command.type === 'transfer.deliver' && 'receipts' in outcome) {
        const { from, lane, first } = command;
        const found = received.get(`${from}/${lane}`) ?? empty(from, lane);
        received.set(`${from}/${lane}`, found);
        for (const [at, { kind }] of outcome.receipts.entries()) {
          const number = first + at;
          if (number <= found.upTo || found.above.has(number)) continue;
          found.above.add(number);
          if (kind === 'tombstone') found.refused += 1;
          while (found.above.delete(found.upTo + 1)) found.upTo += 1;
        }
      }
      if (command.type === 'transfer.ack') {
        const found = sent.get(`${command.to}/${command.lane}`);
        while (found !== undefined && found.first <= command.upTo && found.rows.length > 0) {
          found.rows.shift();
          found.first += 1;
        }
      }
      for (const { to, lane, transfer } of sends) {
        const found = sent.get(`${to}/${lane}`) ?? { to, lane, first: 1, rows: [] };
        sent.set(`${to}/${lane}`, found);
        found.rows.push(moneyOf(transfer));
      }
    }
  }
  return {
    lsn: entries.at(-1)?.lsn ?? 0,
    sent: [...sent.values()].map(({ to, lane, first, rows }) => ({
      to,
      lane,
      first,
      next: first + rows.length,
      pendingCents: rows.reduce((sum, cents) => sum + cents, 0),
    })),
    received: [...received.values()].map(({ from, lane, upTo, above, refused }) => ({
      from,
      lane,
      upTo,
      above: above.size,
      tombstones: refused,
    })),
  };
}

function empty(from: number, lane: number): Received {
  return { from, lane, upTo: 0, above: new Set(), refused: 0 };
}

/** A journal of all Sets in the order of its commits, of which so much has happened. */
export class Shown {
  readonly #journal: readonly Entry[];
  readonly sets: readonly number[];
  readonly #happened = new Map<number, Entry[]>();
  #at = 0;

  constructor(journal: readonly Entry[], sets: readonly number[] = [1, 2]) {
    this.#journal = journal;
    this.sets = sets;
    for (const set of sets) this.#happened.set(set, []);
  }

  get isOver(): boolean {
    return this.#at >= this.#journal.length;
  }

  happen(count: number): void {
    for (const entry of this.#journal.slice(this.#at, this.#at + count))
      this.of(entry.setId).push(entry);
    this.#at += count;
  }

  of(set: number): Entry[] {
    return this.#happened.get(set) ?? [];
  }

  /** A page of so many entries above `after`: like a replica, whatever hole there is. */
  page(set: number, after: number, count: number): { entries: Uint8Array[]; commitLsn: number } {
    const entries = this.of(set);
    // Not by LSN: a tampered head may say any, and the row stands where it stands.
    const from = after === 0 ? 0 : entries.findLastIndex(({ lsn }) => lsn === after) + 1;
    return {
      entries: entries.slice(from, from + count).map((entry) => encodeEntry(entry)),
      commitLsn: entries.at(-1)?.lsn ?? 0,
    };
  }

  offer(feed: Feed, set: number, args: { count: number; atMs?: number }): void {
    const after = feed.next(set);
    if (after === null) return;
    feed.offer(set, { ...this.page(set, after, args.count), atMs: args.atMs ?? 0 });
    feed.advance(() => true);
  }

  tell(feed: Feed, set: number): void {
    const asked = feed.ask();
    feed.horizon(set, { asked, atMs: 0, value: horizonAfter(this.of(set)) });
    feed.advance(() => true);
  }

  /** Shows all that there is until nothing moves. */
  finish(feed: Feed, findings: readonly Finding[]): void {
    this.happen(Infinity);
    for (let round = 0; round < 50 && findings.every(({ stops }) => !stops); round++) {
      for (const set of this.sets) this.offer(feed, set, { count: 1_000 });
      for (const set of this.sets) this.tell(feed, set);
    }
  }
}

/** The same values, whatever kind of bytes holds them. */
export function plain(dump: ClusterDump | null): string {
  return JSON.stringify(dump, (_, value: unknown) => {
    if (value instanceof Map) return { map: [...value] };
    if (value instanceof Set) return { set: [...value] };
    if (typeof value === 'bigint') return `${value}n`;
    const isBytes =
      typeof value === 'object' && value !== null && 'type' in value && 'data' in value;
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    return isBytes ? Buffer.from(value.data as number[]).toString('hex') : value;
  });
}
