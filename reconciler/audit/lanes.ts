import type { Outgoing, Receipt, Transfer } from './parts.ts';
import type { Place } from './place.ts';

/** How far above the first hole a receiver remembers numbers: rulings 9 bounds it. */
const AHEAD_MAX = 4_096;

export type OutboxDump = ReadonlyMap<string, Readonly<OutLane>>;
export type InboxDump = ReadonlyMap<string, Readonly<InLane>>;

type OutLane = {
  /** Lowest number without a receipt. */
  first: number;
  /** Those from `first` on. */
  readonly rows: Transfer[];
};

/** What a Set owes others, by (destination, lane): numbers from 1 without gaps (SPEC C12). */
export class Outbox {
  #lanes = new Map<string, OutLane>();

  dump(): OutboxDump {
    return this.#lanes;
  }

  restore(dump: OutboxDump): void {
    this.#lanes = new Map(
      [...dump].map(([key, { first, rows }]) => [key, { first, rows: [...rows] }]),
    );
  }

  /** Every lane that was ever used: `first` to below `next` wait for a receipt. */
  *lanes(): Generator<{ to: number; lane: number; first: number; rows: readonly Transfer[] }> {
    for (const [key, { first, rows }] of this.#lanes) {
      const [to = 0, lane = 0] = key.split('/').map(Number);
      yield { to, lane, first, rows };
    }
  }

  #lane(to: number, lane: number): OutLane {
    const key = `${to}/${lane}`;
    let found = this.#lanes.get(key);
    if (found === undefined) this.#lanes.set(key, (found = { first: 1, rows: [] }));
    return found;
  }

  /** Highest number ever sent. */
  sentUpTo(to: number, lane: number): number {
    const { first, rows } = this.#lane(to, lane);
    return first + rows.length - 1;
  }

  /** Highest number with a receipt. */
  doneUpTo(to: number, lane: number): number {
    return this.#lane(to, lane).first - 1;
  }

  /** A row that waits for its receipt; undefined when it has one, or was never sent. */
  row(key: { to: number; lane: number; number: number }): Transfer | undefined {
    const { first, rows } = this.#lane(key.to, key.lane);
    return rows[key.number - first];
  }

  add({ to, lane, number, transfer }: Outgoing, place: Place): void {
    const next = this.sentUpTo(to, lane) + 1;
    if (number !== next) {
      throw place.broken('C12', `number ${number} to Set ${to}, lane ${lane}, after ${next - 1}`);
    }
    this.#lane(to, lane).rows.push(kept(transfer));
  }

  /** A receipt for everything up to a number; returns what it finishes, by number. */
  finish(args: { to: number; lane: number; upTo: number; place: Place }): Map<number, Transfer> {
    const { to, lane, upTo, place } = args;
    const found = this.#lane(to, lane);
    const where = `Set ${to}, lane ${lane}`;
    const sent = this.sentUpTo(to, lane);
    if (upTo > sent) throw place.broken('M8', `receipt ${upTo} from ${where}: ${sent} were sent`);
    if (upTo < found.first) {
      throw place.broken('M8', `receipt ${upTo} from ${where} goes back before ${found.first - 1}`);
    }
    const done = new Map<number, Transfer>();
    const rows = found.rows.splice(0, upTo - found.first + 1);
    for (const transfer of rows) done.set(found.first++, transfer);
    return done;
  }
}

/** A transfer without the page of the journal that its bytes were a view of. */
function kept(transfer: Transfer): Transfer {
  const bytes = new Uint8Array(transfer.bytes);
  if (transfer.kind !== 'packet.create') return { ...transfer, bytes };
  const { definition } = transfer;
  return {
    ...transfer,
    bytes,
    definition: { ...definition, bytes: new Uint8Array(definition.bytes) },
  };
}

type InLane = {
  /** All up to here were received. */
  upTo: number;
  readonly above: Set<number>;
  readonly tombstones: Map<number, string>;
};

/** What a Set has received, by (source, lane): every number once, for ever (SPEC C12, M8). */
export class Inbox {
  #lanes = new Map<string, InLane>();

  dump(): InboxDump {
    return this.#lanes;
  }

  restore(dump: InboxDump): void {
    this.#lanes = new Map(
      [...dump].map(([key, { upTo, above, tombstones }]) => [
        key,
        { upTo, above: new Set(above), tombstones: new Map(tombstones) },
      ]),
    );
  }

  /** Every lane that was ever used. */
  *lanes(): Generator<{
    from: number;
    lane: number;
    upTo: number;
    above: number;
    tombstones: number;
  }> {
    for (const [key, { upTo, above, tombstones }] of this.#lanes) {
      const [from = 0, lane = 0] = key.split('/').map(Number);
      yield { from, lane, upTo, above: above.size, tombstones: tombstones.size };
    }
  }

  #lane(from: number, lane: number): InLane {
    const key = `${from}/${lane}`;
    let found = this.#lanes.get(key);
    if (found === undefined) {
      this.#lanes.set(key, (found = { upTo: 0, above: new Set(), tombstones: new Map() }));
    }
    return found;
  }

  /** All up to here were received. */
  upTo(from: number, lane: number): number {
    return this.#lane(from, lane).upTo;
  }

  has(key: { from: number; lane: number; number: number }): boolean {
    const lane = this.#lane(key.from, key.lane);
    return key.number <= lane.upTo || lane.above.has(key.number);
  }

  /** Why this number was refused for ever; undefined when it was not. */
  tombstone(key: { from: number; lane: number; number: number }): string | undefined {
    return this.#lane(key.from, key.lane).tombstones.get(key.number);
  }

  /** Books a receipt. True: the number is new, and the receipt says what became of it. */
  receive(args: {
    from: number;
    lane: number;
    number: number;
    receipt: Receipt;
    place: Place;
  }): boolean {
    const { from, lane, number, receipt, place } = args;
    const found = this.#lane(from, lane);
    const what = `number ${number} of Set ${from}, lane ${lane},`;
    if (this.has(args)) {
      const reason = found.tombstones.get(number);
      const isAsBefore =
        reason === undefined
          ? receipt.kind === 'duplicate'
          : receipt.kind === 'tombstone' && receipt.reason === reason;
      const before = reason === undefined ? 'taken' : `refused (${reason})`;
      if (!isAsBefore)
        throw place.broken('M8', `${what} was ${before}, and is ${receipt.kind} now`);
      return false;
    }
    if (receipt.kind === 'duplicate') throw place.broken('M8', `${what} was never received before`);
    if (number > found.upTo + AHEAD_MAX) {
      throw place.broken('C12', `${what} is more than ${AHEAD_MAX} ahead of ${found.upTo}`);
    }
    if (receipt.kind === 'tombstone') found.tombstones.set(number, receipt.reason);
    found.above.add(number);
    while (found.above.delete(found.upTo + 1)) found.upTo += 1;
    return true;
  }
}
