import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Answer } from './answers.ts';
import type { Op, OpOf } from './decode.ts';
import type { ClusterDump } from './dump.ts';
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
  /** Sent, and neither credited nor given back; with what is at the gateway and what goes back. */
  readonly inFlightCents: number;
  /** The part of it that goes back to who sent a packet. */
  readonly refundingCents: number;
  readonly issuedCents: number;
};

/** A transfer that the op of an entry takes off its way, or puts on it. */
type Move = {
  readonly from: number;
  readonly to: number;
  readonly amountCents: number;
  readonly isRefund: boolean;
};

/**
 * The books of all Sets: what none of them can see alone (M2, M6, M8). Entries come in the order in
 * which they were committed; between Sets only this much of it counts, that nobody uses what another
 * Set has not committed, so an entry that does is a violation.
 */
export class ClusterBooks {
  readonly #sets: Map<number, SetBooks>;
  readonly #history: boolean;
  /** Money on its way, counted from transfers, by `from * 1024 + to`. */
  #inFlight = new Map<number, number>();
  /** The sum of those: of many Sets there are many pairs. */
  #inFlightCents = 0;
  #refundingCents = 0;
  /** Sets whose books broke a rule: they stand half way, and no sum with them is one. */
  readonly #broken = new Set<number>();

  /** `history`: what wallets had at every LSN, and what people were told, is known; default true. */
  constructor(sets: readonly number[], { history }: { history: boolean } = { history: true }) {
    this.#history = history;
    this.#sets = new Map();
    for (const setId of sets) this.addSet(setId);
  }

  /** A Set that joined the cluster. */
  addSet(setId: number): void {
    this.#sets.set(setId, new SetBooks(setId, { history: this.#history }));
  }

  /** Its books go no further, and no sum with them is held. */
  markBroken(setId: number): void {
    this.#broken.add(setId);
  }

  has(setId: number): boolean {
    return this.#sets.has(setId);
  }

  /** Shares what it holds: to be written down before the next entry is added. */
  dump(): ClusterDump {
    return {
      sets: [...this.#sets.values()].map((books) => books.dump()),
      inFlight: this.#inFlight,
      refundingCents: this.#refundingCents,
    };
  }

  /** Goes on where the dump stands; Sets that are not in it begin with their first entry. */
  restore(dump: ClusterDump): void {
    this.#inFlight = new Map(dump.inFlight);
    this.#inFlightCents = 0;
    for (const cents of dump.inFlight.values()) this.#inFlightCents += cents;
    this.#refundingCents = dump.refundingCents;
    for (const one of dump.sets) {
      this.addSet(one.setId);
      this.set(one.setId).restore(one);
    }
  }

  /** SPEC AU4: what ended before this log time leaves memory. */
  forget(before: number): void {
    for (const books of this.#sets.values()) {
      if (!this.#broken.has(books.setId)) books.forget(before);
    }
  }

  /** Things in memory that {@link forget} lets go, once they have ended and are old enough. */
  get forgettable(): number {
    let count = 0;
    for (const books of this.#sets.values()) count += books.forgettable;
    return count;
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
    let inFlightCents = this.#inFlightCents;
    for (const { ledger } of this.#sets.values()) {
      inFlightCents += ledger.gatewayCents;
      walletsCents += ledger.totals.walletsCents;
      packetsCents += ledger.totals.packetsCents;
      issuedCents -= ledger.totals.issuerCents;
    }
    const refundingCents = this.#refundingCents;
    return { walletsCents, packetsCents, inFlightCents, refundingCents, issuedCents };
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
    this.addOps(setId, entry, opsOf(entry));
  }

  /** {@link addCommitted} for who has read the ops already. */
  addOps(setId: number, entry: Entry, ops: readonly Op[]): void {
    const books = this.set(setId);
    const place = new Place(entry);
    const moves: Move[] = [];
    try {
      // All of it against what was committed before this entry.
      for (const [index, op] of ops.entries()) {
        place.op = index;
        this.#holdBetweenSets(op, { books, place, moves });
      }
      place.op = null;
      books.addOps(entry, ops);
      this.#holdMoney(moves, place);
    } catch (error) {
      this.#broken.add(setId);
      throw error;
    }
  }

  #holdBetweenSets(op: Op, at: { books: SetBooks; place: Place; moves: Move[] }): void {
    const { books, place, moves } = at;
    const isSend = op.type === 'packet.send' || op.type === 'packet.pay';
    if (isSend && op.outcome.success !== null) {
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
      moves.push(moveOf({ from: books.setId, to, transfer, sign: 1 }));
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
      moves.push(moveOf({ from, to, transfer, sign: -1 }));
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
      moves.push(moveOf({ from, to, transfer: row, sign: -1 }));
    }
  }

  /** M2: the transfers on their way are worth what the clearing accounts say, and nothing is lost. */
  #holdMoney(moves: readonly Move[], place: Place): void {
    const touched = new Set<number>();
    for (const { from, to, amountCents, isRefund } of moves) {
      if (amountCents === 0) continue;
      if (isRefund) this.#refundingCents += amountCents;
      const key = from * 1024 + to;
      this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + amountCents);
      this.#inFlightCents += amountCents;
      touched.add(key);
    }
    for (const key of touched) {
      this.#holdPair({ from: Math.floor(key / 1024), to: key % 1024, place });
    }
    if (this.#broken.size > 0) return;
    const { walletsCents, packetsCents, inFlightCents, issuedCents } = this.whereabouts();
    if (issuedCents < 0) throw place.broken('M2', 'more came back than was issued');
    if (walletsCents + packetsCents + inFlightCents !== issuedCents) {
      const parts = `${walletsCents} in wallets, ${packetsCents} in packets, ${inFlightCents} in flight`;
      throw place.broken('M2', `${parts}, ${issuedCents} issued`);
    }
  }

  #holdPair({ from, to, place }: { from: number; to: number; place: Place }): void {
    if (this.#broken.has(from) || this.#broken.has(to)) return;
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

function moveOf(args: { from: number; to: number; transfer: Transfer; sign: 1 | -1 }): Move {
  const { from, to, transfer, sign } = args;
  const isRefund = transfer.kind === 'packet.refund';
  return { from, to, amountCents: sign * moneyOf(transfer), isRefund };
}

function isCredit(receipt: Receipt | undefined): boolean {
  return receipt?.kind === 'applied' || receipt?.kind === 'live';
}
