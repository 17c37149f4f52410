import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { LIMITS } from '../../../lib/core/limits.ts';
import type { Asked } from './connection.ts';
import type { Errand, Own } from './errand.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, text, whole } from './fields.ts';
import { PacketTerms, packetBody } from './packet-terms.ts';
import type { Person } from './person.ts';
import type { GroupTalk, PacketTalk, Town } from './town.ts';

const GROUPS_MAX = 6;
/** Most opens go to the newest packets. */
const RECENT_PACKETS = 6;
const LOOK_BACK = 40;
const STATEMENT_MAX = 100;

/** What the people of a walk do, drawn from its seed. */
export class Script {
  readonly #people: readonly Person[];
  readonly #chance: SeededRandom;
  readonly #town: Town;
  readonly #terms: PacketTerms;
  /** Who opens what, as soon as there is room: a storm is many of them. */
  readonly #storm: { person: Person; packet: PacketTalk }[] = [];
  /** Commands that have an answer, oldest first. */
  readonly #done: { person: Person; errand: Errand }[] = [];
  /** Groups that are being founded. */
  #founding = 0;
  /** Errands that had their first final answer, by number. */
  readonly #heard = new Set<number>();

  constructor(args: { people: readonly Person[]; chance: SeededRandom; town: Town }) {
    this.#people = args.people;
    this.#chance = args.chance;
    this.#town = args.town;
    const users = args.people.map(({ user }) => user);
    this.#terms = new PacketTerms({ chance: args.chance, users });
  }

  /** Somebody begins something; null: there is nothing to do before there is a group. */
  step(): Errand | null {
    const next = this.#storm.shift();
    if (next !== undefined) return this.#open(next.person, next.packet);
    const person = this.#pick(this.#people);
    const errand = this.#draw(person, this.#chance.below(100));
    if (errand?.isCommand === true && this.#chance.below(25) === 0) errand.twice = true;
    return errand;
  }

  #draw(person: Person, dice: number): Errand | null {
    const { groups, packets } = this.#town;
    const group = this.#groupOf(person);
    const mayFound = groups.length + this.#founding < GROUPS_MAX;
    if (mayFound && (groups.length === 0 || dice < 2)) return this.#found(person);
    if (groups.length === 0) return null;
    if (group === null || dice < 6) return this.#join(person) ?? this.#message(person, group);
    if (dice < 7) return this.#leave(person, group);
    if (dice < 27) return this.#message(person, group);
    if (dice < 33) return this.#payment(person, group);
    if (dice < 43) return this.#send(person, group);
    if (dice < 44) return this.#send(person, group, true);
    if (dice < 47) return this.#wrong(person, group);
    if (packets.length === 0) return this.#message(person, group);
    // Every second question is left out: they cost more than commands, and tell less.
    const opens = dice < 64 || (dice >= 78 && this.#chance.below(2) === 0);
    if (opens) return this.#open(person, this.#packet(person));
    if (dice < 78) return this.#grab(person, this.#packet(person));
    return this.#ask(person, group, dice);
  }

  /** A question, which is no command. */
  #ask(person: Person, group: GroupTalk, dice: number): Errand {
    const packet = this.#packet(person);
    const { packetId, groupId } = packet;
    if (dice < 82) return person.begin({ op: 'wallet.get' }, () => ({}));
    if (dice < 84) return this.#statement(person, null);
    if (dice < 87) return this.#history(person, { groupId: group.groupId, fromSeq: 1, own: null });
    if (dice < 91)
      return person.begin({ op: 'packet.get', packetId, groupId }, () => ({ packetId }));
    if (dice < 95) return this.#claims(person, { packet, afterOrder: 0, own: null });
    if (dice < 97) return person.begin({ op: 'group.list' }, () => ({}));
    if (dice < 99) return this.#invite(group);
    const seq = 1 + this.#chance.below(50);
    const read = { groupId: group.groupId, seq };
    return person.begin({ op: 'message.read', ...read }, () => read);
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[this.#chance.below(list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }

  #groupOf(person: Person): GroupTalk | null {
    const mine = this.#town.groups.filter(({ members }) => members.includes(person.index));
    return mine.length === 0 ? null : this.#pick(mine);
  }

  /** Mostly a new one of a group of his, now and then one of long ago or of strangers. */
  #packet(person: Person): PacketTalk {
    const { packets } = this.#town;
    if (this.#chance.below(8) === 0) return this.#pick(packets);
    const recent: PacketTalk[] = [];
    const oldest = Math.max(0, packets.length - LOOK_BACK);
    for (let at = packets.length - 1; at >= oldest && recent.length < RECENT_PACKETS; at--) {
      const packet = packets[at];
      if (packet !== undefined && person.isMember(packet.groupId)) recent.push(packet);
    }
    return this.#pick(recent.length > 0 ? recent : packets);
  }

  // ---- groups

  #found(person: Person): Errand {
    this.#founding += 1;
    const name = `group of ${person.user}`;
    const history = this.#chance.below(3) === 0 ? 'from_join' : 'all';
    const want = { op: 'group.create', name, history } as const;
    return person.begin(want, (clientId) => ({ clientId, name, history }));
  }

  #invite(group: GroupTalk): Errand {
    const owner = this.#people[group.owner] ?? this.#pick(this.#people);
    const { groupId } = group;
    const lifetimeMs = this.#chance.below(4) === 0 ? 60_000 : LIMITS.inviteLifetimeMs;
    const want = { op: 'group.invite', groupId, lifetimeMs } as const;
    return owner.begin(want, () => ({ groupId, lifetimeMs }));
  }

  /** Into the first group that he is not in and that has an invitation. */
  #join(person: Person): Errand | null {
    const { groups } = this.#town;
    const from = this.#chance.below(groups.length);
    for (let at = 0; at < groups.length; at++) {
      const group = groups[(from + at) % groups.length];
      if (group === undefined || group.members.includes(person.index)) continue;
      const { groupId, invite } = group;
      if (invite === null) return this.#invite(group);
      return person.begin({ op: 'group.join', groupId, invite }, () => ({ invite }), {
        key: groupId,
      });
    }
    return null;
  }

  #leave(person: Person, { groupId, members }: GroupTalk): Errand {
    const membership = person.memberships.get(groupId);
    if (membership !== undefined) membership.left = true;
    if (members.includes(person.index)) members.splice(members.indexOf(person.index), 1);
    return person.begin({ op: 'group.leave', groupId }, (clientId) => ({ groupId, clientId }));
  }

  // ---- messages

  /** Also by somebody who is in no group: he is told so. */
  #message(person: Person, group: GroupTalk | null): Errand {
    const { groupId } = group ?? this.#pick(this.#town.groups);
    const body = `${person.user} says ${this.#chance.below(1_000_000)}`;
    const want = { op: 'message.send', groupId, body } as const;
    return person.begin(want, (clientMsgId) => ({ groupId, clientMsgId, body }));
  }

  #history(
    person: Person,
    of: { groupId: string; fromSeq: number; own: Own<{ readonly seq: number }> | null },
  ): Errand {
    const { groupId, fromSeq } = of;
    return person.begin({ op: 'message.history', ...of }, () => ({ groupId, fromSeq }));
  }

  #statement(
    person: Person,
    own: Own<{ readonly packetId: string; readonly totalCents: number }> | null,
  ): Errand {
    const limit = STATEMENT_MAX;
    return person.begin({ op: 'wallet.history', limit, own }, () => ({ limit }));
  }

  // ---- packets

  #send(person: Person, group: GroupTalk, storm = false): Errand {
    const definition = this.#terms.draw(group, storm);
    const want = { op: 'packet.send', definition, storm, pay: 'wallet' } as const;
    return person.begin(want, (clientId) => packetBody(clientId, definition));
  }

  /** Money comes in, goes out, or comes in for a packet. */
  #payment(person: Person, group: GroupTalk): Errand {
    const dice = this.#chance.below(3);
    // Now and then more than anybody has.
    const amountCents = 1 + this.#chance.below(this.#chance.below(8) === 0 ? 400_000 : 5_000);
    if (dice === 0) {
      const want = { op: 'wallet.topup', amountCents } as const;
      return person.begin(want, (clientId) => ({ clientId, amountCents }));
    }
    if (dice === 1) {
      const destination = `account ${this.#chance.below(100)}`;
      const want = { op: 'wallet.withdraw', amountCents, destination } as const;
      return person.begin(want, (clientId) => ({ clientId, amountCents, destination }));
    }
    const definition = this.#terms.draw(group, false);
    const want = { op: 'packet.send', definition, storm: false, pay: 'gateway' } as const;
    return person.begin(want, (clientId) => ({
      ...packetBody(clientId, definition),
      pay: 'gateway',
    }));
  }

  #open(person: Person, { packetId, groupId }: PacketTalk): Errand {
    const want = { op: 'packet.open', packetId, groupId } as const;
    return person.begin(want, () => ({ packetId }), { key: packetId });
  }

  #grab(person: Person, { packetId, groupId }: PacketTalk): Errand {
    return person.begin({ op: 'packet.grab', packetId, groupId }, () => ({ packetId }));
  }

  #claims(
    person: Person,
    of: { packet: PacketTalk; afterOrder: number; own: Own<{ readonly order: number }> | null },
  ): Errand {
    const { afterOrder, own } = of;
    const { packetId, groupId } = of.packet;
    const want = { op: 'packet.claims', packetId, groupId, afterOrder, own } as const;
    return person.begin(want, () => ({ packetId, afterOrder, limit: LIMITS.historyPageMax }));
  }

  // ---- on purpose

  /** Something that has to be refused, and leaves nothing behind. */
  #wrong(person: Person, group: GroupTalk): Errand {
    const dice = this.#chance.below(5);
    if (dice >= 3) return this.#sameIdOtherwise() ?? this.#message(person, group);
    const right = this.#terms.draw(group, false);
    const wrong = [
      { totalCents: 0, mustFail: 'amount_out_of_range' },
      { count: LIMITS.packetCountMax + 1, mustFail: 'count_out_of_range' },
      { totalCents: 1, count: 2, receivers: [], kind: 'lucky', strategy: 'classic' },
    ][dice];
    const { mustFail = 'share_below_minimum', ...fields } = wrong ?? {};
    const definition = { ...right, ...fields };
    const want = { op: 'packet.send', definition, storm: false, pay: 'wallet' } as const;
    return person.begin(want, (clientId) => packetBody(clientId, definition), { mustFail });
  }

  /** An id that has its answer, with other fields (C3). */
  #sameIdOtherwise(): Errand | null {
    const [last] = this.#some(1);
    if (last === undefined) return null;
    const { person, errand } = last;
    const { want, key, yes } = errand;
    if (yes === null || errand.mustFail !== null) return null;
    const more = { key, mustFail: 'id_reused' };
    if (want.op === 'message.send') {
      const other = { ...want, body: `${want.body}, or not` };
      const { groupId, body } = other;
      return person.begin(other, (clientMsgId) => ({ groupId, clientMsgId, body }), more);
    }
    if (want.op === 'wallet.topup') {
      const other = { ...want, amountCents: want.amountCents + 1 };
      const { amountCents } = other;
      return person.begin(other, (clientId) => ({ clientId, amountCents }), more);
    }
    if (want.op !== 'packet.send') return null;
    const totalCents = want.definition.totalCents + 1;
    const definition = { ...want.definition, totalCents };
    const other = { ...want, definition };
    const { pay } = want;
    return person.begin(other, (clientId) => ({ ...packetBody(clientId, definition), pay }), more);
  }

  /** Some that have been answered: half of them of late, the others from any time. */
  #some(count: number): { person: Person; errand: Errand }[] {
    const done = this.#done;
    if (done.length === 0) return [];
    return Array.from({ length: count }, () => {
      const recent = this.#chance.below(2) === 0;
      return this.#pick(recent ? done.slice(-30) : done);
    });
  }

  /** Asks again, under the same id, for what has been answered; how many it became. */
  again(count: number): number {
    let asked = 0;
    for (const { person, errand } of this.#some(count)) {
      // After the next join a join is another one.
      if (errand.open || errand.want.op === 'group.join') continue;
      person.repeat(errand);
      asked += 1;
    }
    return asked;
  }

  // ---- what follows from an answer

  answered(person: Person, errand: Errand, to: { d: Fields | null; asked: Asked }): void {
    const { want } = errand;
    const isFirst = !this.#heard.has(errand.number);
    this.#heard.add(errand.number);
    // Other noes are not sealed: whoever asks again later may be told yes (C7).
    const sealed = errand.yes !== null || errand.broke;
    if (sealed && isFirst && errand.isCommand) this.#done.push({ person, errand });
    if (want.op === 'group.create' && isFirst) this.#founding -= 1;
    const { d, asked } = to;
    if (d === null) {
      const group = want.op === 'group.join' ? this.#town.group(want.groupId) : undefined;
      // It may be too old: somebody asks for another one.
      if (group !== undefined) group.invite = null;
      return;
    }
    if (isFirst) this.#follow(person, errand, { d, asked });
  }

  #follow(person: Person, errand: Errand, { d, asked }: { d: Fields; asked: Asked }): void {
    const { want } = errand;
    const { view, generation } = asked;
    const often = this.#chance.below(6) === 0;
    switch (want.op) {
      case 'group.create': {
        const groupId = text(d, 'groupId');
        this.#town.groups.push({ groupId, owner: person.index, invite: null, members: [] });
        this.#joined(person, groupId, text(d, 'status') === 'ready');
        return;
      }
      case 'group.invite': {
        const group = this.#town.group(want.groupId);
        if (group !== undefined) group.invite = text(d, 'invite');
        return;
      }
      case 'group.join':
        return this.#joined(person, text(fieldsOf(d['group'], 'group'), 'groupId'), true);
      case 'message.send': {
        const { groupId } = want;
        this.#joined(person, groupId, true);
        if (!often) return;
        const seq = whole(d, 'seq');
        const own = { shown: { seq }, view, generation };
        const fromSeq = Math.max(1, seq - this.#chance.below(3));
        return person.askOn(this.#history(person, { groupId, fromSeq, own }), errand.lastSlot);
      }
      case 'packet.send': {
        const { definition, storm } = want;
        // Nobody knows of it before somebody has paid.
        if (want.pay === 'gateway') return;
        const { groupId, totalCents } = definition;
        const packet = { packetId: text(d, 'packetId'), groupId, definition };
        this.#town.packet(packet);
        if (storm) this.#allOpen(packet);
        if (!often) return;
        const own = { shown: { packetId: packet.packetId, totalCents }, view, generation };
        return person.askOn(this.#statement(person, own), errand.lastSlot);
      }
      case 'packet.open': {
        if (!often) return;
        const order = whole(d, 'order');
        const own = { shown: { order }, view, generation };
        const { packetId, groupId } = want;
        const packet = { packetId, groupId, definition: null };
        const afterOrder = this.#chance.below(order);
        const claims = this.#claims(person, { packet, afterOrder, own });
        return person.askOn(claims, errand.lastSlot);
      }
      case 'packet.grab':
        return this.#grabbed(person, errand, text(d, 'status'));
      default:
        return;
    }
  }

  #joined(person: Person, groupId: string, sure: boolean): void {
    const membership = person.memberships.get(groupId) ?? { sure: false, left: false };
    membership.sure ||= sure;
    person.memberships.set(groupId, membership);
    const group = this.#town.group(groupId);
    if (group !== undefined && !group.members.includes(person.index))
      group.members.push(person.index);
  }

  /** The whole group and somebody else, at once. */
  #allOpen(packet: PacketTalk): void {
    const members = this.#town.group(packet.groupId)?.members ?? [];
    for (const at of members) {
      const person = this.#people[at];
      if (person !== undefined) this.#storm.push({ person, packet });
    }
    this.#storm.push({ person: this.#pick(this.#people), packet });
  }

  /** Who may try does; who is told not to now and then tries all the same. */
  #grabbed(person: Person, { want }: Errand, status: string): void {
    if (want.op !== 'packet.grab') return;
    const packet = { packetId: want.packetId, groupId: want.groupId, definition: null };
    if (status === 'go' || this.#chance.below(4) === 0) this.#storm.push({ person, packet });
  }
}
