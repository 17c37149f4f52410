/**
 * A second Set, dumb on purpose: plain objects and lists, written from the design (section 4) and
 * the money invariants M1..M10, not from set-node. It is told every command and what the machine
 * answered, and says where the two disagree. It cannot know a share before it is drawn: there it
 * checks the bounds and takes the machine's word.
 */
import type { Command } from '../../lib/core/command.ts';
import { isPaymentCommand } from '../../lib/core/payment.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Decision } from '../../set-node/machine/context.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import type { Facts } from './machine-agree.ts';
import { agree, setOf, show } from './machine-agree.ts';
import { ModelPayments } from './machine-model-payments.ts';

export type ModelPacket = {
  definition: Extract<Transfer, { kind: 'packet.create' }>['definition'];
  expiresAt: number;
  rest: number;
  claims: { user: string; amount: number; at: number }[];
  phase: 'live' | 'drained' | 'refunded';
  refund: number;
};
export type ModelGroup = {
  owner: string;
  name: string;
  version: number;
  messages: { sender: string; counts: boolean }[];
  members: Record<string, { role: string; read: number; joined: number }>;
};
/** Who was told so is told so for ever (M9). */
const KEPT = ['ok', 'insufficient_funds', 'wallet_frozen', 'too_many_payments', 'daily_limit'];

type Received = { kind: 'done' } | { kind: 'refused'; reason: string };

export class ModelSet {
  readonly set: number;
  wallets: Record<string, number> = {};
  welcomed: Record<string, true> = {};
  packets: Record<string, ModelPacket> = {};
  groups: Record<string, ModelGroup> = {};
  hints: Record<string, { version: number; present: boolean }> = {};
  answers: Record<string, { asked: string; answer: string }> = {};
  /** Ids below this have left the Set. */
  idsEnd = 0n;
  issued = 0;
  rules = 1;
  clearing: Record<string, number> = {};
  /** Every transfer ever sent, by `to/lane`; acknowledged ones stay, numbers are places. */
  sent: Record<string, Transfer[]> = {};
  acked: Record<string, number> = {};
  received: Record<string, Record<number, Received>> = {};
  readonly payments = new ModelPayments(this);
  readonly homeOf: (user: string) => number;

  constructor(set: number, homeOf: (user: string) => number) {
    this.set = set;
    this.homeOf = homeOf;
  }

  /** Compares and follows. Throws {@link Disagreement}. */
  step(command: Command, facts: Facts, decision: Decision): void {
    const before = this.#sentCount();
    const status = this.#decide(command, facts, decision);
    agree(`status of ${command.type}`, decision.outcome.status, status);
    const sum = decision.postings.reduce((total, { amountCents }) => total + amountCents, 0);
    agree('M1: sum of the postings', sum, 0);
    agree(`transfers sent by ${command.type}`, decision.sends.length, this.#sentCount() - before);
    for (const { to, lane, number, transfer } of decision.sends) {
      agree('transfer', transfer, this.sent[`${to}/${lane}`]?.[number - 1]);
    }
  }

  #sentCount(): number {
    return Object.values(this.sent).reduce((count, list) => count + list.length, 0);
  }

  #decide(command: Command, facts: Facts, decision: Decision): string {
    // Rules 2: a leave may have an id. Who is not there yet says what an older build says.
    if (command.type === 'group.leave' && command.commandId !== null && this.rules < 2) {
      return 'malformed';
    }
    if (isPaymentCommand(command) && this.rules < 3) return 'malformed';
    const asked = clientFields(command);
    const key = keyText(command);
    if (key !== null) {
      const earlier = this.answers[key];
      if (earlier !== undefined) {
        if (earlier.asked !== asked) return 'id_reused';
        agree('M9: the same id gets the same answer', show(decision.outcome), earlier.answer);
        return decision.outcome.status;
      }
    }
    const status = this.#fresh(command, facts, decision);
    if (key !== null && KEPT.includes(status)) {
      this.answers[key] = { asked, answer: show(decision.outcome) };
    }
    return status;
  }

  #fresh(command: Command, facts: Facts, decision: Decision): string {
    const { outcome } = decision;
    if (isPaymentCommand(command)) return this.payments.step(command, facts, decision);
    switch (command.type) {
      case 'set.configure':
        this.rules = command.rules;
        return 'ok';
      case 'ids.reserve': {
        if (!('firstId' in outcome)) return 'ok';
        const first = BigInt(outcome.firstId);
        agree('ids are new', first >= this.idsEnd, true);
        agree('ids name their Set', Number((first / 4096n) % 1024n), this.set);
        agree('ids of a block', outcome.count, command.count);
        this.idsEnd = first + BigInt(command.count);
        agree('a block ends in its millisecond', (this.idsEnd - 1n) / 4096n, first / 4096n);
        return 'ok';
      }
      case 'wallet.open': {
        if (this.homeOf(command.user) !== this.set) return 'moved';
        if (!this.welcomed[command.user] && command.welcomeCents > 0) {
          this.welcomed[command.user] = true;
          this.issued += command.welcomeCents;
          this.pay(command.user, command.welcomeCents);
        }
        if ('balanceCents' in outcome) {
          agree('M10: shown balance', outcome.balanceCents, this.wallets[command.user] ?? 0);
        }
        return 'ok';
      }
      case 'packet.send':
        return this.#send(command, facts);
      case 'packet.open':
        return this.#open(command, facts, decision);
      case 'packet.expire':
        return this.#expire(command.packetId, facts);
      case 'group.create': {
        if (this.homeOf(command.user) !== this.set) return 'moved';
        const { groupId, user: owner, name, history } = command;
        this.#owe(setOf(groupId), { kind: 'group.found', groupId, owner, name, history });
        return 'ok';
      }
      case 'group.join':
      case 'group.leave':
      case 'message.send':
      case 'message.read':
        return this.#chat(command, facts, decision);
      case 'transfer.deliver':
        return this.#deliver(command, facts, decision);
      case 'transfer.ack':
        return this.#ack(command);
    }
  }

  pay(user: string, amount: number): void {
    this.wallets[user] = (this.wallets[user] ?? 0) + amount;
    agree('M3: no wallet below zero', this.wallets[user] >= 0, true);
  }

  #clear(peer: number, amount: number): void {
    this.clearing[peer] = (this.clearing[peer] ?? 0) + amount;
  }

  #owe(to: number, transfer: Transfer): void {
    (this.sent[`${to}/${laneFor(transfer)}`] ??= []).push(transfer);
  }

  #grantOf(command: Extract<Command, { grant: unknown }>, facts: Facts, groupId: bigint): string {
    const { grant } = command;
    if (grant === null) return 'not_a_member';
    if (!facts.genuineGrant) return 'grant_invalid';
    if (facts.ts - grant.issuedAt > 60_000) return 'grant_expired';
    return grant.groupId === groupId ? 'member' : 'grant_invalid';
  }

  #send(command: Extract<Command, { type: 'packet.send' }>, facts: Facts): string {
    const { definition } = command;
    if (this.homeOf(definition.sender) !== this.set) return 'moved';
    const allowed = this.payments.allowed(definition);
    if (allowed !== 'ok') return allowed;
    const may = this.maySend(command, facts);
    if (may !== 'ok') return may;
    if (this.payments.frozen[definition.sender]) return 'wallet_frozen';
    if ((this.wallets[definition.sender] ?? 0) < definition.totalCents) return 'insufficient_funds';
    const today = this.payments.today(definition, facts);
    if (today !== 'ok') return today;
    this.payments.tally(definition, facts);
    this.pay(definition.sender, -definition.totalCents);
    this.create(definition, facts);
    return 'ok';
  }

  maySend(command: Extract<Command, { type: 'packet.send' | 'packet.pay' }>, facts: Facts): string {
    const membership = this.#grantOf(command, facts, command.definition.groupId);
    if (membership !== 'member') return membership;
    return command.grant?.rights === 1 ? 'ok' : 'not_allowed';
  }

  create(definition: PacketDefinition, facts: Facts): void {
    const to = setOf(definition.packetId);
    this.#clear(to, definition.totalCents);
    this.#owe(to, { kind: 'packet.create', definition, sentAt: facts.ts } as Transfer);
  }

  /** One new id of this Set. */
  minted(id: bigint): bigint {
    agree('ids are new', id >= this.idsEnd, true);
    agree('ids name their Set', setOf(id), this.set);
    this.idsEnd = id + 1n;
    return id;
  }

  #open(
    command: Extract<Command, { type: 'packet.open' }>,
    facts: Facts,
    { outcome }: Decision,
  ): string {
    if (setOf(command.packetId) !== this.set) return 'wrong_set';
    const packet = this.packets[String(command.packetId)];
    if (packet === undefined) return 'packet_not_found';
    const earlier = packet.claims.findIndex(({ user }) => user === command.user);
    const mine = packet.claims[earlier];
    if (mine !== undefined) {
      if ('order' in outcome) {
        const again = [outcome.amountCents, outcome.order, outcome.at];
        agree('M9: opened again', again, [mine.amount, earlier + 1, mine.at]);
      }
      return 'already_opened';
    }
    const { definition } = packet;
    const membership = this.#grantOf(command, facts, definition.groupId);
    if (membership !== 'member') return membership;
    if (definition.kind === 'exclusive' && !definition.receivers.includes(command.user)) {
      return 'not_allowed';
    }
    if (packet.phase === 'drained') return 'packet_drained';
    if (packet.phase === 'refunded' || facts.ts >= packet.expiresAt) return 'packet_expired';
    if (!('order' in outcome)) return 'ok';
    const left = definition.count - packet.claims.length - 1;
    const amount: number = outcome.amountCents;
    agree('M5: order', outcome.order, packet.claims.length + 1);
    agree('shares left', outcome.left, left);
    agree('M4: at least a cent', amount >= 1, true);
    agree('M4: a cent for each to come', packet.rest - amount >= left, true);
    if (left === 0) agree('M4: the last takes all', amount, packet.rest);
    packet.rest -= amount;
    packet.claims.push({ user: command.user, amount, at: facts.ts });
    if (left === 0) packet.phase = 'drained';
    const { packetId, groupId } = definition;
    const home = this.homeOf(command.user);
    this.#clear(home, amount);
    const credit = { packetId, groupId, user: command.user, amountCents: amount };
    this.#owe(home, { kind: 'claim.credit', ...credit } as Transfer);
    return 'ok';
  }

  #expire(packetId: bigint, facts: Facts): string {
    const packet = this.packets[String(packetId)];
    if (packet === undefined) return 'packet_not_found';
    if (packet.phase === 'drained') return 'packet_drained';
    if (packet.phase === 'refunded') return 'packet_expired';
    if (facts.ts < packet.expiresAt) return 'packet_not_due';
    const { sender: user, groupId } = packet.definition;
    this.#clear(this.homeOf(user), packet.rest);
    const refund = { packetId, groupId, user, amountCents: packet.rest };
    this.#owe(this.homeOf(user), { kind: 'packet.refund', ...refund } as Transfer);
    packet.refund = packet.rest;
    packet.rest = 0;
    packet.phase = 'refunded';
    return 'ok';
  }

  #chat(
    command: Extract<
      Command,
      { type: 'group.join' | 'group.leave' | 'message.send' | 'message.read' }
    >,
    facts: Facts,
    { outcome }: Decision,
  ): string {
    const groupId = command.type === 'group.join' ? command.invite.groupId : command.groupId;
    if (setOf(groupId) !== this.set) return 'wrong_set';
    const group = this.groups[String(groupId)];
    if (group === undefined) return 'group_not_found';
    const { user } = command;
    const member = group.members[user];
    const last = group.messages.length;
    const hint = (present: boolean): void => {
      group.version += 1;
      const { version, name } = group;
      const gone = { kind: 'member.hint', groupId, user, version, present, name };
      this.#owe(this.homeOf(user), gone as Transfer);
    };
    if (command.type === 'group.join') {
      if (member !== undefined) return 'ok';
      if (!facts.genuineInvite) return 'invite_invalid';
      if (facts.ts >= command.invite.expiresAt) return 'invite_expired';
      group.members[user] = { role: 'member', read: last, joined: last };
      group.messages.push({ sender: user, counts: false });
      hint(true);
      if ('joinedSeq' in outcome) agree('seq', [outcome.joinedSeq, outcome.seq], [last, last + 1]);
      return 'ok';
    }
    if (member === undefined) return 'not_a_member';
    if (command.type === 'group.leave') {
      if (member.role === 'owner' && Object.keys(group.members).length > 1) return 'not_allowed';
      delete group.members[user];
      group.messages.push({ sender: user, counts: false });
      hint(false);
      return 'ok';
    }
    if (command.type === 'message.send') {
      member.read = Math.max(member.read, Math.min(command.seenSeq, last));
      group.messages.push({ sender: user, counts: true });
      if ('seq' in outcome) agree('seq of a message', outcome.seq, last + 1);
      return 'ok';
    }
    member.read = Math.max(member.read, Math.min(command.seq, last));
    const unread = unreadFor(group, user);
    if ('unread' in outcome) agree('cursor', [outcome.seq, outcome.unread], [member.read, unread]);
    return 'ok';
  }

  #deliver(
    command: Extract<Command, { type: 'transfer.deliver' }>,
    facts: Facts,
    { outcome }: Decision,
  ): string {
    const known = (this.received[`${command.from}/${command.lane}`] ??= {});
    const receipts = 'receipts' in outcome ? outcome.receipts : [];
    for (const [index, transfer] of command.transfers.entries()) {
      const number = command.first + index;
      const actual = receipts[index];
      const earlier = known[number];
      if (earlier !== undefined) {
        const expected =
          earlier.kind === 'done'
            ? { kind: 'duplicate' }
            : { kind: 'tombstone', reason: earlier.reason };
        agree('M8: a receipt is given once', actual, expected);
        continue;
      }
      const reason = this.#arrive(command.from, transfer, facts, actual);
      known[number] = reason === null ? { kind: 'done' } : { kind: 'refused', reason };
      const refused = actual?.kind === 'tombstone' ? actual.reason : null;
      agree(`receipt of ${transfer.kind}`, refused, reason);
    }
    return 'ok';
  }

  /** null, or why it never will. */
  #arrive(from: number, transfer: Transfer, facts: Facts, receipt: unknown): string | null {
    switch (transfer.kind) {
      case 'packet.create': {
        const { definition } = transfer;
        const name = String(definition.packetId);
        if (setOf(definition.packetId) !== this.set) return 'wrong_set';
        if (definition.packetId >= this.idsEnd) return 'bad_argument';
        if (this.packets[name] !== undefined) return 'id_reused';
        const expiresAt = facts.ts + definition.lifetimeMs;
        const { totalCents: rest } = definition;
        this.packets[name] = {
          definition,
          expiresAt,
          rest,
          claims: [],
          phase: 'live',
          refund: 0,
        };
        this.#clear(from, -rest);
        const { packetId, groupId, sender, kind: packetKind, count, greeting } = definition;
        // The hash is the machine's to make; verify.test holds it to the seed.
        const { seedHash } = receipt as { seedHash: Uint8Array };
        this.#owe(setOf(groupId), {
          kind: 'packet.announce',
          packetId,
          groupId,
          sender,
          packetKind,
          count,
          greeting,
          seedHash,
          expiresAt,
        } as Transfer);
        return null;
      }
      case 'packet.announce': {
        const group = this.groups[String(transfer.groupId)];
        if (group === undefined) return 'group_not_found';
        group.messages.push({ sender: transfer.sender, counts: true });
        agree('seq of an announcement', receipt, { kind: 'message', seq: group.messages.length });
        return null;
      }
      case 'claim.credit':
      case 'packet.refund':
        this.#clear(from, -transfer.amountCents);
        this.pay(transfer.user, transfer.amountCents);
        return null;
      case 'group.found': {
        const { groupId, owner, name } = transfer;
        if (groupId >= this.idsEnd) return 'bad_argument';
        if (this.groups[String(groupId)] !== undefined) return 'id_reused';
        this.groups[String(groupId)] = {
          owner,
          name,
          version: 1,
          messages: [{ sender: owner, counts: false }],
          members: { [owner]: { role: 'owner', read: 1, joined: 0 } },
        };
        const hint = { kind: 'member.hint', groupId, user: owner, version: 1, present: true, name };
        this.#owe(this.homeOf(owner), hint as Transfer);
        return null;
      }
      case 'member.hint': {
        const name = `${transfer.user} ${transfer.groupId}`;
        const { version, present } = transfer;
        if (version > (this.hints[name]?.version ?? 0)) this.hints[name] = { version, present };
        return null;
      }
    }
  }

  #ack(command: Extract<Command, { type: 'transfer.ack' }>): string {
    const name = `${command.to}/${command.lane}`;
    const sent = this.sent[name] ?? [];
    if (command.upTo > sent.length) return 'bad_argument';
    const from = this.acked[name] ?? 0;
    if (command.upTo <= from) return 'ok';
    for (const number of new Set(command.tombstones.map((tombstone) => tombstone.number))) {
      const transfer = sent[number - 1];
      if (number <= from || number > command.upTo || transfer?.kind !== 'packet.create') continue;
      // M8: money comes back on a tombstone and on nothing else.
      this.#clear(command.to, -transfer.definition.totalCents);
      this.pay(transfer.definition.sender, transfer.definition.totalCents);
    }
    this.acked[name] = command.upTo;
    return 'ok';
  }
}

export function unreadFor(group: ModelGroup, user: string): number {
  const member = group.members[user];
  if (member === undefined) return 0;
  const after = Math.max(member.read, member.joined);
  return group.messages.filter((m, at) => at >= after && m.counts && m.sender !== user).length;
}

function laneFor(transfer: Transfer): number {
  if (transfer.kind === 'packet.refund') return 3;
  if (transfer.kind === 'claim.credit') return transfer.amountCents >= 5_000 ? 1 : 2;
  return 0;
}

function keyText(command: Command): string | null {
  if (!('commandId' in command) || command.commandId === null) return null;
  if ('definition' in command) return `${command.commandId} ${command.definition.sender}`;
  return `${command.commandId} ${'operator' in command ? command.operator : command.user}`;
}

/** What the client itself said (rulings 3): ids that a node proposes and grants are not it. */
function clientFields(command: Command): string {
  if (command.type === 'packet.send' || command.type === 'packet.pay') {
    return show({ ...command, grant: null, definition: { ...command.definition, packetId: 0 } });
  }
  if (command.type === 'group.create') return show({ ...command, groupId: 0 });
  if (command.type === 'message.send') return show({ ...command, seenSeq: 0 });
  return show(command);
}
