import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Answer } from './answers.ts';
import type { Op, OpOf } from './decode.ts';
import { sameBytes } from './effects.ts';
import type { Claim, Packet } from './packets.ts';
import type { Receipt, Transfer } from './parts.ts';
import { moneyOf } from './parts.ts';
import { Place } from './place.ts';
import { SetBooks, opsOf } from './set-books.ts';
import { setOf } from './words.ts';

/** Where every cent is, in cents. */
export type Whereabouts = {
  readonly walletsCents: number;
  readonly packetsCents: number;
  /** Sent, and neither credited nor given back. */
  readonly inFlightCents: number;
  readonly issuedCents: number;
};

/** A transfer that the op of an entry takes off its way, or puts on it. */
type Move = { readonly from: number; readonly to: number; readonly amountCents: number };

/**
 * The books of all Sets: what none of them can see alone (M2, M6, M8). Entries come in the order in
 * which they were committed; between Sets only this much of it counts, that nobody uses what another
 * Set has not committed, so an entry that does is a violation.
 */
export class ClusterBooks {
  readonly #sets: ReadonlyMap<number, SetBooks>;
  /** Money on its way, counted from transfers, by `from * 1024 + to`. */
  readonly #inFlight = new Map<number, number>();

  constructor(sets: readonly number[]) {
    this.#sets = new Map(sets.map((setId) => [setId, new SetBooks(setId)]));
  }

  /** Throws for a Set that is not of this cluster. */
  set(setId: number): SetBooks {
    const books = this.#sets.get(setId);
    if (books === undefined) throw new Error(`there is no Set ${setId}`);
    return books;
  }

  sets(): IterableIterator<SetBooks> {
    return this.#sets.values();
  }

  whereabouts(): Whereabouts {
    let walletsCents = 0;
    let packetsCents = 0;
    let issuedCents = 0;
    for (const { ledger } of this.#sets.values()) {
      walletsCents += ledger.totals.walletsCents;
      packetsCents += ledger.totals.packetsCents;
      issuedCents -= ledger.totals.issuerCents;
    }
    let inFlightCents = 0;
    for (const cents of this.#inFlight.values()) inFlightCents += cents;
    return { walletsCents, packetsCents, inFlightCents, issuedCents };
  }

  packet(packetId: bigint): Packet | undefined {
    return this.#sets.get(setOf(packetId))?.packets.get(packetId);
  }

  claim(key: { packetId: bigint; user: string }): Claim | undefined {
    return this.packet(key.packetId)?.claims.get(key.user);
  }

  /** What the journals say of a command id: at home for packets and groups, else at the group. */
  answer(key: { user: string; commandId: string }): Answer | undefined {
    for (const { answers } of this.#sets.values()) {
      const found = answers.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The books of the user's home Set; undefined before its configuration. */
  homeOf(user: string): SetBooks | undefined {
    for (const books of this.#sets.values()) if (books.isHomeOf(user) === true) return books;
    return undefined;
  }

  /** The next committed entry of this Set. Throws a Violation that begins with the broken rule. */
  addCommitted(setId: number, entry: Entry): void {
    const books = this.set(setId);
    const ops = opsOf(entry);
    const place = new Place(entry);
    const moves: Move[] = [];
    // All of it against what was committed before this entry.
    for (const [index, op] of ops.entries()) {
      place.op = index;
      this.#holdBetweenSets(op, { books, place, moves });
    }
    place.op = null;
    books.addOps(entry, ops);
    this.#holdMoney(moves, place);
  }

  #holdBetweenSets(op: Op, at: { books: SetBooks; place: Place; moves: Move[] }): void {
    const { books, place, moves } = at;
    if (op.type === 'packet.send' && op.outcome.success !== null) {
      const { definition, grant } = op.command;
      const { sender: user, packetId } = definition;
      this.#holdMember({ user, grant, place });
      this.#books(setOf(packetId), place);
    } else if (op.type === 'packet.open' && op.outcome.success !== null) {
      const { user, grant } = op.command;
      this.#holdMember({ user, grant, place });
    } else if (op.type === 'transfer.deliver') this.#holdDelivery(op, at);
    else if (op.type === 'transfer.ack') this.#holdReceipt(op, at);
    for (const { to, transfer } of op.sends) {
      this.#holdHome({ to, transfer, place });
      moves.push({ from: books.setId, to, amountCents: moneyOf(transfer) });
    }
  }

  #books(setId: number, place: Place): SetBooks {
    const books = this.#sets.get(setId);
    if (books === undefined) throw place.broken('M8', `names Set ${setId}, which is not there`);
    return books;
  }

  /** M6: the group's Set shows the person as a member at the LSN that his grant names. */
  #holdMember(args: {
    user: string;
    grant: OpOf<'packet.open'>['command']['grant'];
    place: Place;
  }): void {
    const { user, grant, place } = args;
    // That there is one is held by the Set's own books.
    if (grant === null) return;
    const { groupId, groupLsn } = grant;
    const group = this.#books(setOf(groupId), place);
    if (groupLsn > group.lsn) {
      const what = `a grant of ${user} names LSN ${groupLsn} of Set ${group.setId}`;
      throw place.broken('M6', `${what}, which has committed ${group.lsn}`);
    }
    if (!group.groups.wasMember({ groupId, user, lsn: groupLsn })) {
      throw place.broken('M6', `${user} was no member of group ${groupId} at LSN ${groupLsn}`);
    }
  }

  /** Money and hints for a person go to his home. */
  #holdHome(args: { to: number; transfer: Transfer; place: Place }): void {
    const { to, transfer, place } = args;
    const books = this.#books(to, place);
    switch (transfer.kind) {
      case 'claim.credit':
      case 'packet.refund':
      case 'member.hint':
        if (books.isHomeOf(transfer.user) !== false) return;
        throw place.broken('U2', `${transfer.kind} for ${transfer.user} goes to Set ${to}`);
      default:
    }
  }

  /** M8: what is received was committed by its sender, under this number and with these words. */
  #holdDelivery(
    op: OpOf<'transfer.deliver'>,
    at: { books: SetBooks; place: Place; moves: Move[] },
  ): void {
    const { books, place, moves } = at;
    const { from, lane, first, transfers } = op.command;
    const receipts = op.outcome.success?.receipts ?? [];
    const { outbox } = this.#books(from, place);
    const to = books.setId;
    for (const [index, transfer] of transfers.entries()) {
      const number = first + index;
      if (books.inbox.has({ from, lane, number })) continue;
      const row = outbox.row({ to, lane, number });
      const what = `number ${number} of Set ${from}, lane ${lane},`;
      if (row === undefined) {
        const done = number <= outbox.doneUpTo(to, lane);
        throw place.broken(
          'M8',
          `${what} ${done ? 'was done before' : 'was never committed there'}`,
        );
      }
      if (!sameBytes(row.bytes, transfer.bytes)) {
        throw place.broken('M8', `${what} (${transfer.kind}) is not what was sent`);
      }
      if (!isCredit(receipts[index])) continue;
      moves.push({ from, to, amountCents: -moneyOf(transfer) });
    }
  }

  /** M8: done means committed there; given back means refused there, for ever. */
  #holdReceipt(
    op: OpOf<'transfer.ack'>,
    at: { books: SetBooks; place: Place; moves: Move[] },
  ): void {
    const { books, place, moves } = at;
    const { to, lane, upTo, tombstones, receiptLsn } = op.command;
    const from = books.setId;
    const receiver = this.#books(to, place);
    const received = receiver.inbox.upTo(from, lane);
    const what = `receipt of Set ${to}, lane ${lane}:`;
    if (upTo > received) {
      throw place.broken('M8', `${what} ${upTo} is done, ${received} were received`);
    }
    if (receiptLsn > receiver.lsn) {
      throw place.broken('M8', `${what} LSN ${receiptLsn}, ${receiver.lsn} are committed there`);
    }
    const listed = new Set<number>();
    for (const { number, reason } of tombstones) {
      const real = receiver.inbox.tombstone({ from, lane, number });
      if (real !== reason) {
        throw place.broken('M8', `${what} ${number} was not refused with ${reason} but ${real}`);
      }
      listed.add(number);
    }
    for (let number = books.outbox.doneUpTo(to, lane) + 1; number <= upTo; number++) {
      const isRefused = receiver.inbox.tombstone({ from, lane, number }) !== undefined;
      if (!isRefused) continue;
      const row = books.outbox.row({ to, lane, number });
      if (row?.kind !== 'packet.create') continue;
      if (!listed.has(number)) {
        throw place.broken('M8', `${what} ${number} was refused, and is done without a refund`);
      }
      moves.push({ from, to, amountCents: -row.definition.totalCents });
    }
  }

  /** M2: the transfers on their way are worth what the clearing accounts say, and nothing is lost. */
  #holdMoney(moves: readonly Move[], place: Place): void {
    const touched = new Set<number>();
    for (const { from, to, amountCents } of moves) {
      if (amountCents === 0) continue;
      const key = from * 1024 + to;
      this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + amountCents);
      touched.add(key);
    }
    for (const key of touched)
      this.#holdPair({ from: Math.floor(key / 1024), to: key % 1024, place });
    const { walletsCents, packetsCents, inFlightCents, issuedCents } = this.whereabouts();
    if (walletsCents + packetsCents + inFlightCents !== issuedCents) {
      const parts = `${walletsCents} in wallets, ${packetsCents} in packets, ${inFlightCents} in flight`;
      throw place.broken('M2', `${parts}, ${issuedCents} issued`);
    }
  }

  #holdPair({ from, to, place }: { from: number; to: number; place: Place }): void {
    const between = (a: number, b: number): number =>
      a === b ? (this.#inFlight.get(a * 1024 + b) ?? 0) : this.#oneWay(a, b) + this.#oneWay(b, a);
    const clearing =
      from === to
        ? this.set(from).ledger.clearing(to)
        : this.set(from).ledger.clearing(to) + this.set(to).ledger.clearing(from);
    const inFlight = between(from, to);
    if (clearing !== inFlight) {
      const what = `between Sets ${from} and ${to} ${inFlight} cents are in flight`;
      throw place.broken('M2', `${what}, clearing says ${clearing}`);
    }
  }

  #oneWay(from: number, to: number): number {
    return this.#inFlight.get(from * 1024 + to) ?? 0;
  }
}

function isCredit(receipt: Receipt | undefined): boolean {
  return receipt?.kind === 'applied' || receipt?.kind === 'live';
}
