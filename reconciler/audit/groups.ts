import type { OpOf } from './decode.ts';
import type { Effects } from './effects.ts';
import { lastAtOrBelow } from './ledger.ts';
import type { TransferOf } from './parts.ts';
import type { Place } from './place.ts';
import { CONTROL_LANE } from './words.ts';

/** SPEC Q5: further back than so many messages an unread count is a guess. */
const EXACT_MESSAGES = 256;
const UNREAD_SHOWN_MAX = 100;

type Success<T extends 'group.join' | 'group.leave' | 'message.send' | 'message.read'> =
  NonNullable<OpOf<T>['outcome']['success']>;
type Answered<T extends 'group.join' | 'group.leave' | 'message.send' | 'message.read'> = {
  readonly op: OpOf<T>;
  readonly success: Success<T>;
  readonly place: Place;
  readonly effects: Effects;
};

type Member = { readonly joinedSeq: number; readSeq: number };
/** From the entry that let somebody in up to, not with, the one that let him go. */
type Stay = { readonly from: number; to: number };

type Group = {
  readonly name: string;
  readonly members: Map<string, Member>;
  readonly stays: Map<string, Stay[]>;
  version: number;
  seq: number;
  /** How many messages count as unread. */
  counted: number;
  /** Seqs of the newest of them, and of those of each sender: as far back as counts are exact. */
  readonly counting: number[];
  readonly own: Map<string, number[]>;
};

type Left = {
  readonly groupId: bigint;
  readonly user: string;
  readonly lsn: number;
  readonly at: number;
};

export type GroupsDump = {
  readonly all: ReadonlyMap<bigint, Group>;
  readonly left: readonly Left[];
};

/** The groups of one Set: seqs without gaps, members that come and go, unread counts. */
export class Groups {
  #all = new Map<bigint, Group>();
  /** Who left, in order. */
  #left: Left[] = [];

  dump(): GroupsDump {
    return { all: this.#all, left: this.#left };
  }

  restore({ all, left }: GroupsDump): void {
    this.#all = new Map(all);
    this.#left = [...left];
  }

  /** Stays that ended before this log time leave memory: no grant is that old (C8). */
  forget(before: number): void {
    const kept = this.#left.findIndex(({ at }) => at >= before);
    const gone = this.#left.splice(0, kept === -1 ? this.#left.length : kept);
    for (const { groupId, user, lsn } of gone) {
      const stays = this.#all.get(groupId)?.stays;
      const rest = (stays?.get(user) ?? []).filter(({ to }) => to > lsn);
      if (rest.length > 0) stays?.set(user, rest);
      else stays?.delete(user);
    }
  }

  has(groupId: bigint): boolean {
    return this.#all.has(groupId);
  }

  /** Last seq of a group, 0 when it is not there. */
  lastSeq(groupId: bigint): number {
    return this.#all.get(groupId)?.seq ?? 0;
  }

  /** Was this person a member after the entry with this LSN (M6)? */
  wasMember(args: { groupId: bigint; user: string; lsn: number }): boolean {
    const stays = this.#all.get(args.groupId)?.stays.get(args.user) ?? [];
    return stays.some(({ from, to }) => from <= args.lsn && args.lsn < to);
  }

  found(args: {
    transfer: TransferOf<'group.found'>;
    seq: number;
    place: Place;
    effects: Effects;
  }): void {
    const { transfer, seq, place, effects } = args;
    const { groupId, owner, name } = transfer;
    if (seq !== 1) throw place.broken('Q2', `group ${groupId} begins with seq ${seq}`);
    const group: Group = {
      name,
      members: new Map([[owner, { joinedSeq: 0, readSeq: 1 }]]),
      stays: new Map([[owner, [{ from: place.lsn, to: Infinity }]]]),
      version: 1,
      seq: 1,
      counted: 0,
      counting: [],
      own: new Map(),
    };
    this.#all.set(groupId, group);
    expectHint({ group, groupId, user: owner, present: true, effects });
  }

  join({ op, success, place, effects }: Answered<'group.join'>): void {
    const { user, groupId, expiresAt } = op.command;
    const group = this.#group(groupId, place);
    const what = `group ${groupId}, ${user}:`;
    if (group.members.has(user)) throw place.broken('M9', `${what} joins a second time`);
    if (place.ts >= expiresAt) throw place.broken('L12', `${what} the invitation had expired`);
    if (success.role !== 'member') throw place.broken('C8', `${what} joins as ${success.role}`);
    if (success.joinedSeq !== group.seq) {
      throw place.broken('Q2', `${what} joins after seq ${success.joinedSeq}, not ${group.seq}`);
    }
    group.members.set(user, { joinedSeq: group.seq, readSeq: group.seq });
    const stays = group.stays.get(user) ?? [];
    group.stays.set(user, [...stays, { from: place.lsn, to: Infinity }]);
    this.#append({ group, groupId, seq: success.seq, sender: null, place });
    nextVersion({ group, groupId, version: success.version, place });
    expectHint({ group, groupId, user, present: true, effects });
  }

  leave({ op, success, place, effects }: Answered<'group.leave'>): void {
    const { user, groupId } = op.command;
    const group = this.#group(groupId, place);
    if (!group.members.delete(user)) {
      throw place.broken('M6', `group ${groupId}, ${user}: leaves and is no member`);
    }
    const stay = group.stays.get(user)?.at(-1);
    if (stay !== undefined) stay.to = place.lsn;
    this.#left.push({ groupId, user, lsn: place.lsn, at: place.ts });
    this.#append({ group, groupId, seq: success.seq, sender: null, place });
    nextVersion({ group, groupId, version: success.version, place });
    expectHint({ group, groupId, user, present: false, effects });
  }

  message({ op, success, place }: Omit<Answered<'message.send'>, 'effects'>): void {
    const { user, groupId, seenSeq } = op.command;
    const group = this.#group(groupId, place);
    const member = this.#member({ group, groupId, user, place });
    if (success.at !== place.ts) {
      throw place.broken('L12', `a message at ${success.at}, in an entry of ${place.ts}`);
    }
    member.readSeq = Math.max(member.readSeq, Math.min(seenSeq, group.seq));
    this.#append({ group, groupId, seq: success.seq, sender: user, place });
  }

  announced(args: { transfer: TransferOf<'packet.announce'>; seq: number; place: Place }): void {
    const { transfer, seq, place } = args;
    const { groupId, sender } = transfer;
    const group = this.#group(groupId, place);
    this.#append({ group, groupId, seq, sender, place });
  }

  read({ op, success, place }: Omit<Answered<'message.read'>, 'effects'>): void {
    const { user, groupId } = op.command;
    const { seq, readCount, ownAfter, unread } = success;
    const group = this.#group(groupId, place);
    const member = this.#member({ group, groupId, user, place });
    const what = `group ${groupId}, ${user}:`;
    if (seq !== Math.min(op.command.seq, group.seq) || seq <= member.readSeq) {
      throw place.broken('Q5', `${what} the cursor moves from ${member.readSeq} to ${seq}`);
    }
    member.readSeq = seq;
    const { counted, counting, own } = group;
    const left = counted - readCount - ownAfter;
    if (left < 0 || unread !== Math.min(left, UNREAD_SHOWN_MAX)) {
      throw place.broken('Q5', `${what} ${unread} unread of ${left}`);
    }
    if (group.seq - seq > EXACT_MESSAGES) return;
    const mine = own.get(user) ?? [];
    const isExact =
      readCount === counted - counting.length + lastAtOrBelow(counting, seq) + 1 &&
      ownAfter === mine.length - (lastAtOrBelow(mine, seq) + 1);
    if (!isExact)
      throw place.broken('Q5', `${what} ${readCount} read, ${ownAfter} own after ${seq}`);
  }

  #group(groupId: bigint, place: Place): Group {
    const group = this.#all.get(groupId);
    if (group === undefined) throw place.broken('M6', `there is no group ${groupId}`);
    return group;
  }

  #member(args: { group: Group; groupId: bigint; user: string; place: Place }): Member {
    const member = args.group.members.get(args.user);
    if (member === undefined) {
      throw args.place.broken('M6', `group ${args.groupId}, ${args.user}: is no member`);
    }
    return member;
  }

  #append(args: {
    group: Group;
    groupId: bigint;
    seq: number;
    /** null: the message does not count as unread. */
    sender: string | null;
    place: Place;
  }): void {
    const { group, groupId, seq, sender, place } = args;
    if (seq !== group.seq + 1) {
      throw place.broken('Q2', `group ${groupId}: seq ${seq} after ${group.seq}`);
    }
    group.seq = seq;
    if (sender === null) return;
    group.counted += 1;
    const own = group.own.get(sender);
    if (own === undefined) group.own.set(sender, [seq]);
    else own.push(seq);
    group.counting.push(seq);
    // A few times what exact counts need, so that the rest is dropped seldom.
    if (group.counting.length <= 4 * EXACT_MESSAGES) return;
    dropBelow(group.counting, seq - EXACT_MESSAGES);
    for (const [user, seqs] of group.own) {
      dropBelow(seqs, seq - EXACT_MESSAGES);
      if (seqs.length === 0) group.own.delete(user);
    }
  }
}

function dropBelow(rising: number[], limit: number): void {
  rising.splice(0, lastAtOrBelow(rising, limit - 1) + 1);
}

function nextVersion(args: { group: Group; groupId: bigint; version: number; place: Place }): void {
  const { group, groupId, version, place } = args;
  if (version !== group.version + 1) {
    const what = `group ${groupId}: member version ${version} after ${group.version}`;
    throw place.broken('rulings 18', what);
  }
  group.version = version;
}

function expectHint(args: {
  group: Group;
  groupId: bigint;
  user: string;
  present: boolean;
  effects: Effects;
}): void {
  const { group, groupId, user, present, effects } = args;
  const { version, name } = group;
  effects.send({
    to: null,
    lanes: [CONTROL_LANE],
    transfer: { kind: 'member.hint', groupId, user, version, present, name },
  });
}
