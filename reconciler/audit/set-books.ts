import type { Entry } from '../../lib/core/journal-entry.ts';
import { sumOf } from './sum.ts';
import type { Violation } from './violation.ts';
import { Answers } from './answers.ts';
import type { Op, OpOf } from './decode.ts';
import { decodeOps } from './decode.ts';
import { Effects, sameBytes } from './effects.ts';
import { Groups } from './groups.ts';
import { Ids } from './ids.ts';
import type { SetBooksDump } from './dump.ts';
import type { KeyedOp } from './keys.ts';
import { RULES, keyOf, refusedForGood } from './keys.ts';
import { Inbox, Outbox } from './lanes.ts';
import { Ledger } from './ledger.ts';
import { Packets, holdGrant } from './packets.ts';
import { Payments } from './payments.ts';
import type { Account, Receipt, Transfer } from './parts.ts';
import { Place } from './place.ts';
import { NotTheFormat } from './reader.ts';
import { slotOf } from './shares.ts';
import { CONTROL_LANE, setOf } from './words.ts';

const ZEROS = new Uint8Array(32);
/** People whose home is remembered: it costs a hash to see. */
const AT_HOME_MAX = 100_000;

/** The ops of an entry. Throws a Violation of F2 when its bytes are not of its format. */
export function opsOf(entry: Entry): Op[] {
  try {
    return decodeOps(entry);
  } catch (error) {
    if (!(error instanceof NotTheFormat)) throw error;
    throw new Place(entry).broken('F2', error.message);
  }
}

function wallet(user: string): Account {
  return { kind: 'wallet', user };
}

function clearing(peer: number): Account {
  return { kind: 'clearing', peer };
}

/**
 * The books of one Set, kept from its journal alone: what every op says must follow from those
 * before it. Pure and incremental; after a Violation they are of no further use.
 */
export class SetBooks {
  readonly setId: number;
  readonly ledger: Ledger;
  readonly packets = new Packets();
  readonly groups = new Groups();
  readonly ids = new Ids();
  readonly outbox = new Outbox();
  readonly inbox = new Inbox();
  readonly answers: Answers;
  readonly payments = new Payments();
  #welcomed = new Set<string>();
  /** Newest member version in each person's list of groups, by user, then group. */
  #hints = new Map<string, Map<bigint, number>>();
  #slots: Uint8Array | null = null;
  readonly #atHome = new Map<string, boolean>();
  #lsn = 0;
  #ts = 0;
  #epoch = 0;
  #rules = 1;
  #sum: Uint8Array = ZEROS;
  #ops = 0;
  /** Whose head was held last: its checksum need not be computed twice. */
  #held: Entry | null = null;

  /** `history`: what wallets had at every LSN, and what people were told, is known; default true. */
  constructor(setId: number, { history }: { history: boolean } = { history: true }) {
    this.setId = setId;
    this.ledger = new Ledger({ history });
    this.answers = new Answers({ whole: history });
  }

  /** Shares what it holds: to be written down before the next entry is added. */
  dump(): SetBooksDump {
    return {
      setId: this.setId,
      lsn: this.#lsn,
      ts: this.#ts,
      epoch: this.#epoch,
      rules: this.#rules,
      sum: this.#sum,
      ops: this.#ops,
      slots: this.#slots,
      welcomed: this.#welcomed,
      hints: this.#hints,
      ledger: this.ledger.dump(),
      packets: this.packets.dump(),
      groups: this.groups.dump(),
      ids: this.ids.dump(),
      outbox: this.outbox.dump(),
      inbox: this.inbox.dump(),
      answers: this.answers.dump(),
      payments: this.payments.dump(),
    };
  }

  /** Goes on where the dump stands. */
  restore(dump: SetBooksDump): void {
    this.#lsn = dump.lsn;
    this.#ts = dump.ts;
    this.#epoch = dump.epoch;
    this.#rules = dump.rules;
    this.#sum = dump.sum;
    this.#ops = dump.ops;
    this.#slots = dump.slots;
    this.#atHome.clear();
    this.#welcomed = new Set(dump.welcomed);
    this.#hints = new Map(dump.hints);
    this.ledger.restore(dump.ledger, dump.lsn);
    this.packets.restore(dump.packets);
    this.groups.restore(dump.groups);
    this.ids.restore(dump.ids);
    this.outbox.restore(dump.outbox);
    this.inbox.restore(dump.inbox);
    this.answers.restore(dump.answers);
    this.payments.restore(dump.payments);
  }

  /** SPEC AU4: what ended before this log time leaves memory. */
  forget(before: number): void {
    this.packets.forget(before);
    this.groups.forget(before);
    this.answers.forget(before);
    this.payments.forget(before);
  }

  /** Things in memory that {@link forget} lets go. */
  get forgettable(): number {
    return this.packets.claimCount + this.packets.size + this.answers.size + this.payments.size;
  }

  /** Log time of the last entry; 0 before the first. */
  get ts(): number {
    return this.#ts;
  }

  /** Of the last entry; 0 before the first. */
  get lsn(): number {
    return this.#lsn;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Ops of all entries so far. */
  get opCount(): number {
    return this.#ops;
  }

  /** Does this Set own the user's slot (U2)? null before a configuration said which it owns. */
  isHomeOf(user: string): boolean | null {
    if (this.#slots === null) return null;
    let known = this.#atHome.get(user);
    if (known === undefined) {
      const slot = slotOf(user);
      known = ((this.#slots[slot >> 3] ?? 0) & (1 << (slot & 7))) !== 0;
      // Asked about the same people again and again, and about strangers once.
      if (this.#atHome.size >= AT_HOME_MAX) this.#atHome.clear();
      this.#atHome.set(user, known);
    }
    return known;
  }

  /** The next committed entry, in LSN order. Throws a Violation that begins with the broken rule. */
  add(entry: Entry): void {
    this.addOps(entry, opsOf(entry));
  }

  /** {@link add} for who has read the ops already. */
  addOps(entry: Entry, ops: readonly Op[]): void {
    const place = new Place(entry);
    if (this.#held !== entry) this.holdHead(entry);
    this.#lsn = entry.lsn;
    this.#epoch = entry.epoch;
    this.#ts = entry.ts;
    this.#sum = entry.sum;
    this.#held = null;
    for (const [index, op] of ops.entries()) {
      place.op = index;
      this.#addOp(op, place);
    }
    place.op = null;
    this.ledger.holdTotals(entry.money, place);
    this.#ops += ops.length;
  }

  /** Is it the next entry, as it was sealed? Throws a Violation; changes nothing. */
  holdHead(entry: Entry): void {
    const place = new Place(entry);
    const { lsn, epoch, ts, prev, sum, format } = entry;
    if (entry.setId !== this.setId)
      throw place.broken('I3', `an entry in the journal of ${this.setId}`);
    if (lsn !== this.#lsn + 1) throw place.broken('I3', `after LSN ${this.#lsn}`);
    if (!sameBytes(prev, this.#sum)) throw place.broken('I3', 'not chained to the entry before');
    if (!sameBytes(sumOf(entry), sum)) throw place.broken('I2', 'the checksum does not match');
    if (epoch < this.#epoch) throw place.broken('I3', `epoch ${epoch} after ${this.#epoch}`);
    if (ts < this.#ts) throw place.broken('L12', `log time falls from ${this.#ts} to ${ts}`);
    if (format !== this.#rules)
      throw place.broken('L23', `format ${format} at rules ${this.#rules}`);
    this.#held = entry;
  }

  #addOp(op: Op, place: Place): void {
    let sum = 0;
    for (const { amountCents } of op.postings) sum += amountCents;
    if (sum !== 0) throw place.broken('M1', `the postings of ${op.type} sum to ${sum}`);
    const { status, success } = op.outcome;
    if (success === null) this.#addRefusal(op, place);
    else if (status !== 'ok') throw place.broken('C7', `${op.type} ${status} is journaled`);
    else this.#addSuccess(op, place);
    this.ledger.post(op.postings, place);
    for (const send of op.sends) this.outbox.add(send, place);
  }

  /** A no that is kept is the truth where the journal can tell: limits are a node's own (C7). */
  #addRefusal(op: Op, place: Place): void {
    const { status } = op.outcome;
    const asked = refusedForGood(op);
    if (asked === null) throw place.broken('C7', `${op.type} ${status} is journaled`);
    const { user, amountCents } = asked;
    const balance = this.ledger.wallet(user);
    if (status === 'insufficient_funds' && balance >= amountCents) {
      throw place.broken('C1', `${user} has ${balance} and is refused ${amountCents}`);
    }
    this.payments.holdRefusal({ user, status, place });
    this.#answer(asked.op, { status, place });
    new Effects({ op, place, rule: 'M8' }).hold();
  }

  #addSuccess(op: Op, place: Place): void {
    const effects = new Effects({ op, place, rule: RULES[op.type] });
    switch (op.type) {
      case 'set.configure':
        this.#configure(op, place);
        break;
      case 'ids.reserve':
        this.ids.reserve({ ...said(op), asked: op.command.count, place });
        break;
      case 'wallet.open':
        this.#welcome(op, { place, effects });
        break;
      case 'packet.send':
        this.#send(op, { place, effects });
        break;
      case 'packet.open':
        this.packets.open({ op, share: said(op), place, effects });
        break;
      case 'packet.expire':
        this.packets.expire({ op, end: said(op), place, effects });
        break;
      case 'group.create':
        this.#createGroup(op, { place, effects });
        break;
      case 'group.join':
        this.groups.join({ op, success: said(op), place, effects });
        break;
      case 'group.leave':
        this.groups.leave({ op, success: said(op), place, effects });
        if (op.command.commandId !== '') this.#answer(op, { status: 'ok', place });
        break;
      case 'message.send':
        this.groups.message({ op, success: said(op), place });
        this.#answer(op, { status: 'ok', place });
        break;
      case 'message.read':
        this.groups.read({ op, success: said(op), place });
        break;
      case 'transfer.deliver':
        this.#deliver(op, { place, effects });
        break;
      case 'transfer.ack':
        this.#finish(op, { place, effects });
        break;
      case 'wallet.topup':
      case 'packet.pay':
      case 'wallet.withdraw':
        this.#pay(op, { place, effects });
        break;
      case 'payment.settle':
        this.payments.settle({ op, place, effects });
        this.#holdHome(said(op).user, place);
        break;
      case 'payment.expire':
        this.payments.expire(op, place);
        break;
      case 'wallet.freeze':
        this.#holdHome(op.command.user, place);
        this.payments.freeze(op, place);
        this.#answer(op, { status: 'ok', place });
        break;
      case 'wallet.adjust':
        this.#adjust(op, { place, effects });
        break;
    }
    effects.hold();
  }

  /** Money is asked of a gateway, or on its way there. */
  #pay(
    op: OpOf<'wallet.topup'> | OpOf<'packet.pay'> | OpOf<'wallet.withdraw'>,
    { place, effects }: { place: Place; effects: Effects },
  ): void {
    if (op.type === 'packet.pay') {
      const { definition, grant } = op.command;
      holdGrant({ grant, groupId: definition.groupId, place });
      if (said(op).packetId !== definition.packetId) {
        const ids = `packet ${said(op).packetId} is promised, ${definition.packetId} is paid`;
        throw place.broken('C9', ids);
      }
      this.#holdHome(definition.sender, place);
    } else this.#holdHome(op.command.user, place);
    this.payments.begin({ op, place, ids: this.ids });
    this.#answer(op, { status: 'ok', place });
    if (op.type !== 'wallet.withdraw') return;
    const { user, amountCents } = op.command;
    this.#holdTold({ user, told: said(op).balanceCents, change: -amountCents, place });
    effects.move({ from: wallet(user), to: { kind: 'gateway' }, amountCents });
  }

  /** An operator's hand: a wallet gets or loses, and the answer says what it has then. */
  #adjust(op: OpOf<'wallet.adjust'>, at: { place: Place; effects: Effects }): void {
    const { place, effects } = at;
    const { user, amountCents } = op.command;
    this.#holdHome(user, place);
    if (amountCents === 0) throw place.broken('C2', `${user} is adjusted by nothing`);
    this.#answer(op, { status: 'ok', place });
    this.#holdTold({ user, told: said(op).balanceCents, change: amountCents, place });
    effects.move({ from: { kind: 'issuer' }, to: wallet(user), amountCents });
  }

  #holdTold(args: { user: string; told: number; change: number; place: Place }): void {
    const { user, told, change, place } = args;
    const balance = this.ledger.wallet(user) + change;
    if (balance < 0) throw place.broken('M3', `wallet ${user} has ${balance}`);
    if (told === balance) return;
    throw place.broken('M10', `${user} is told ${told} and has ${balance}`);
  }

  #configure(op: OpOf<'set.configure'>, place: Place): void {
    const { rules, slots } = op.command;
    if (rules < this.#rules)
      throw place.broken('L23', `rules fall from ${this.#rules} to ${rules}`);
    this.#rules = rules;
    this.#slots = slots;
    this.#atHome.clear();
  }

  #welcome(op: OpOf<'wallet.open'>, at: { place: Place; effects: Effects }): void {
    const { place, effects } = at;
    const { user, welcomeCents } = op.command;
    const { balanceCents, welcomed } = said(op);
    this.#holdHome(user, place);
    if (!welcomed || this.#welcomed.has(user))
      throw place.broken('M9', `${user} is welcomed again`);
    this.#welcomed.add(user);
    this.#holdTold({ user, told: balanceCents, change: welcomeCents, place });
    effects.move({ from: { kind: 'issuer' }, to: wallet(user), amountCents: welcomeCents });
  }

  /** One debit at home, with everything that the packet's Set needs (design 4). */
  #send(op: OpOf<'packet.send'>, at: { place: Place; effects: Effects }): void {
    const { place, effects } = at;
    const { definition, grant } = op.command;
    const { packetId, sender, groupId, totalCents } = definition;
    this.#holdHome(sender, place);
    this.payments.holdWarm(sender, place);
    holdGrant({ grant, groupId, place });
    if (said(op).packetId !== packetId) {
      throw place.broken('C9', `packet ${said(op).packetId} is promised, ${packetId} is sent`);
    }
    this.#answer(op, { status: 'ok', place });
    const to = setOf(packetId);
    effects.move({ from: wallet(sender), to: clearing(to), amountCents: totalCents });
    const transfer = { kind: 'packet.create', definition, sentAt: place.ts } as const;
    effects.send({ to, lanes: [CONTROL_LANE], transfer });
  }

  #createGroup(op: OpOf<'group.create'>, at: { place: Place; effects: Effects }): void {
    const { place, effects } = at;
    const { user, groupId, name, history } = op.command;
    this.#holdHome(user, place);
    if (said(op).groupId !== groupId) {
      throw place.broken('C9', `group ${said(op).groupId} is promised, ${groupId} is sent`);
    }
    this.#answer(op, { status: 'ok', place });
    const transfer = { kind: 'group.found', groupId, owner: user, name, history } as const;
    effects.send({ to: setOf(groupId), lanes: [CONTROL_LANE], transfer });
  }

  #deliver(op: OpOf<'transfer.deliver'>, at: { place: Place; effects: Effects }): void {
    const { place } = at;
    const { from, lane, first, transfers } = op.command;
    const { receipts } = said(op);
    if (receipts.length !== transfers.length) {
      throw place.broken('M8', `${receipts.length} receipts for ${transfers.length} transfers`);
    }
    let fresh = 0;
    for (const [index, transfer] of transfers.entries()) {
      const receipt = receipts[index] as Receipt;
      const isNew = this.inbox.receive({ from, lane, number: first + index, receipt, place });
      if (!isNew) continue;
      fresh += 1;
      if (receipt.kind === 'tombstone') this.#refuse(transfer, { reason: receipt.reason, place });
      else this.#receive(transfer, { ...at, from, receipt });
    }
    if (fresh === 0) throw place.broken('C7', 'a delivery without effects is journaled');
  }

  /** A refusal for ever is no whim where the journal can tell. */
  #refuse(transfer: Transfer, args: { reason: string; place: Place }): void {
    const { reason, place } = args;
    const id = transfer.kind === 'packet.create' ? transfer.definition.packetId : null;
    const created = transfer.kind === 'group.found' ? transfer.groupId : id;
    if (reason === 'id_reused' && (created === null || !this.ids.isUsed(created))) {
      throw place.broken('C10', `${transfer.kind} is refused for an id that was not used`);
    }
    if (transfer.kind === 'packet.announce' && this.groups.has(transfer.groupId)) {
      throw place.broken('M8', `an announcement is refused and group ${transfer.groupId} is there`);
    }
  }

  #receive(
    transfer: Transfer,
    args: { from: number; receipt: Receipt; place: Place; effects: Effects },
  ): void {
    const { from, receipt, place, effects } = args;
    const wrong = (): Violation =>
      place.broken('M8', `${transfer.kind} is answered ${receipt.kind}`);
    switch (transfer.kind) {
      case 'packet.create':
        if (receipt.kind !== 'live') throw wrong();
        this.ids.use(transfer.definition.packetId, place);
        return this.packets.create({ from, transfer, receipt, place, effects });
      case 'packet.announce':
        if (receipt.kind !== 'message') throw wrong();
        return this.groups.announced({ transfer, seq: receipt.seq, place });
      case 'claim.credit':
      case 'packet.refund': {
        if (receipt.kind !== 'applied') throw wrong();
        const { user, amountCents } = transfer;
        this.#holdHome(user, place);
        return effects.move({ from: clearing(from), to: wallet(user), amountCents });
      }
      case 'group.found':
        if (receipt.kind !== 'message') throw wrong();
        this.ids.use(transfer.groupId, place);
        return this.groups.found({ transfer, seq: receipt.seq, place, effects });
      case 'member.hint': {
        const { user, groupId, version } = transfer;
        this.#holdHome(user, place);
        let known = this.#hints.get(user);
        if (known === undefined) this.#hints.set(user, (known = new Map()));
        const isNews = version > (known.get(groupId) ?? 0);
        if (receipt.kind !== (isNews ? 'applied' : 'stale')) throw wrong();
        if (isNews) known.set(groupId, version);
      }
    }
  }

  /** Receipts: what was refused for ever goes back to who sent it, and nothing else (C13). */
  #finish(op: OpOf<'transfer.ack'>, at: { place: Place; effects: Effects }): void {
    const { place, effects } = at;
    const { to, lane, upTo, tombstones } = op.command;
    if (said(op).upTo !== upTo) throw place.broken('M8', `${said(op).upTo} is done, not ${upTo}`);
    const done = this.outbox.finish({ to, lane, upTo, place });
    for (const number of new Set(tombstones.map((each) => each.number))) {
      const transfer = done.get(number);
      if (transfer?.kind !== 'packet.create') continue;
      const { sender, totalCents } = transfer.definition;
      effects.move({ from: clearing(to), to: wallet(sender), amountCents: totalCents });
    }
  }

  #holdHome(user: string, place: Place): void {
    if (this.isHomeOf(user) === false) throw place.broken('U2', `${user} is at home elsewhere`);
  }

  #answer(op: KeyedOp, { status, place }: { status: string; place: Place }): void {
    this.answers.add({ type: op.type, ...keyOf(op), status }, place);
  }
}

/** What the op answered; its caller knows that it is a success. */
function said<Success>(op: { outcome: { success: Success | null } }): Success {
  return op.outcome.success as Success;
}
