import type { WalletEvent, WalletReason } from '../../lib/core/batch.ts';
import { encodeWalletEvents } from '../../lib/core/batch.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { packId, setOfId } from '../../lib/core/ids.ts';
import type { Outcome, Success } from '../../lib/core/outcome.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Status } from '../../lib/core/status.ts';
import type { SetId } from '../../lib/core/units.ts';
import { cents, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { slotOf } from '../../lib/core/user.ts';
import type { Event__Output } from '../../proto/gen/hongbao/Event.ts';
import { AT, INVITE_MAC, answerOf, messageOutput } from './access-answers.ts';
import type {
  Ask,
  CommandAnswer,
  EventListener,
  QueryAnswer,
  RequestOptions,
  Router,
} from '../../router/api.ts';
import type { SessionMarks } from '../../router/session-marks.ts';

export type Message = {
  seq: number;
  sender: string;
  kind: string;
  body: string;
  clientMsgId: string;
};
export type Group = {
  groupId: Id;
  name: string;
  owner: UserId;
  members: Map<UserId, { joinedSeq: number; readSeq: number }>;
  messages: Message[];
  version: number;
};
type Claim = { user: UserId; order: number; amountCents: number; at: number };
type Packet = { definition: PacketDefinition; claims: Claim[]; phase: string; restCents: number };

const EPOCH = 513;

/**
 * A Router whose Sets are plain maps in this process: enough of the rules for the door to be seen
 * through it, and levers to break it. `kept` is what a real Set would have journaled.
 */
export class World implements Router {
  readonly topologyVersion = 1;
  readonly down = new Set<number>();
  readonly kept: Command[] = [];
  readonly watched = new Set<string>();
  /** Outcomes to give instead of the world's, once each, by command type. */
  readonly next = new Map<string, Status | Error>();
  /** Until a transfer is delivered; null: never. */
  courierMs: number | null = 1;
  eventsLost = false;
  grantRole: 'member' | 'owner' = 'member';
  queries = 0;
  /** The newest questions, by name: what each of them must show, and of whose session it is. */
  readonly asked = new Map<string, { atLsn: number; session: SessionMarks | null }>();
  /** The LSN that events tell. */
  toldLsn = 0;
  readonly groups = new Map<Id, Group>();
  readonly packets = new Map<Id, Packet>();
  readonly wallets = new Map<string, number>();
  /** Of all Sets. */
  rules = 2;
  readonly #left = new Map<string, Outcome>();
  readonly #answers = new Map<string, { text: string; success: Success }>();
  readonly #listeners: EventListener[] = [];
  #sequence = 0;
  #lsn = 0;

  sets(): readonly SetId[] {
    return [setId(1), setId(2)];
  }

  homeOf(user: UserId): SetId {
    return setId(1 + (slotOf(user) % 2));
  }

  place(key: string): SetId | null {
    const up = this.sets().filter((set) => !this.down.has(set));
    return up[key.charCodeAt(key.length - 1) % Math.max(1, up.length)] ?? null;
  }

  takeId(set: SetId): Promise<Id | null> {
    this.#sequence += 1;
    const id = packId({ ms: 1_000 + this.#sequence, set, sequence: 0 });
    return Promise.resolve(this.down.has(set) ? null : id);
  }

  isUp(set: SetId): boolean {
    return !this.down.has(set);
  }

  queueWaitUs(): number {
    return 0;
  }

  onEvents(listener: EventListener): void {
    this.#listeners.push(listener);
  }

  watchGroup(groupId: Id): void {
    this.watched.add(`g${groupId}`);
  }

  unwatchGroup(groupId: Id): void {
    this.watched.delete(`g${groupId}`);
  }

  watchUser(user: UserId): void {
    this.watched.add(`u${user}`);
  }

  unwatchUser(user: UserId): void {
    this.watched.delete(`u${user}`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async command(set: SetId, command: Command): Promise<CommandAnswer> {
    await Promise.resolve();
    const mark = { setId: set, epoch: EPOCH, lsn: this.#lsn };
    const forced = this.next.get(command.type);
    this.next.delete(command.type);
    if (forced instanceof Error) throw forced;
    if (forced !== undefined && forced !== 'ok' && forced !== 'already_opened') {
      return { outcome: refuse(command.type, forced), mark };
    }
    if (this.down.has(set)) return { outcome: refuse(command.type, 'set_unavailable'), mark };
    const outcome = this.#decide(command);
    if (outcome.status === 'ok') {
      this.kept.push(command);
      this.#lsn += 1;
    }
    return { outcome, mark: { ...mark, lsn: this.#lsn } };
  }

  gap(set: number): void {
    for (const listener of this.#listeners) listener.gap(setId(set));
  }

  emit(set: SetId, ...events: Partial<Event__Output>[]): void {
    const full = events.map((event) => ({ lsn: String(this.#lsn), ...event }));
    const wanted = full.filter((event) => this.#wants(event));
    if (wanted.length > 0) this.#tell(set, { events: wanted, wallets: [] });
  }

  #tell(set: SetId, news: { events: Event__Output[]; wallets: WalletEvent[] }): void {
    if (this.eventsLost) return;
    const batch = {
      topologyVersion: '1',
      setId: set,
      epoch: String(EPOCH),
      firstNumber: '1',
      events: news.events,
      wallets: Buffer.from(encodeWalletEvents(news.wallets)),
      walletCount: news.wallets.length,
      leaderEpoch: String(EPOCH),
      asOfLsn: String(this.toldLsn),
    };
    for (const listener of this.#listeners) listener.events(batch);
  }

  #wants({ message, group }: Partial<Event__Output>): boolean {
    if (message) return this.watched.has(`g${message.groupId}`);
    return !group || this.watched.has(`g${group.groupId}`);
  }

  #later(run: () => void): void {
    if (this.courierMs !== null) setTimeout(run, this.courierMs);
  }

  #decide(c: Command): Outcome {
    switch (c.type) {
      case 'wallet.open':
        return this.#openWallet(c.user, c.welcomeCents);
      case 'group.create':
        return this.#once(`${c.user}/${c.commandId}`, `${c.name}${c.history}`, () => {
          this.#later(() => this.#found(c.groupId, { owner: c.user, name: c.name }));
          return { type: 'group.create', groupId: c.groupId };
        });
      case 'group.join':
        return this.#join(c);
      case 'group.leave':
        return this.#leaveOnce(c);
      case 'message.send': {
        const group = this.groups.get(c.groupId);
        if (group === undefined) return refuse(c.type, 'group_not_found');
        if (!group.members.has(c.user)) return refuse(c.type, 'not_a_member');
        return this.#once(`${c.user}/${c.commandId}`, c.body, () => ({
          type: 'message.send',
          seq: this.say(group, { sender: c.user, body: c.body, clientMsgId: c.commandId }),
          at: timeMs(AT),
        }));
      }
      case 'message.read': {
        const member = this.groups.get(c.groupId)?.members.get(c.user);
        if (member === undefined) return refuse(c.type, 'not_a_member');
        member.readSeq = Math.max(member.readSeq, c.seq);
        const { readSeq: seq } = member;
        return { status: 'ok', type: c.type, seq, readCount: seq, ownAfter: 0, unread: 0 };
      }
      case 'packet.send':
        return this.#send(c);
      case 'packet.open':
        return this.#open(c);
      default:
        return refuse(c.type, 'malformed');
    }
  }

  #once(key: string, text: string, make: () => Success): Outcome {
    const earlier = this.#answers.get(key);
    if (earlier !== undefined && earlier.text !== text) return refuse('message.send', 'id_reused');
    const success = earlier?.success ?? make();
    this.#answers.set(key, { text, success });
    return { status: 'ok', ...success };
  }

  #openWallet(user: UserId, welcomeCents: number): Outcome {
    const welcomed = !this.wallets.has(user);
    if (welcomed) this.pay(user, { amountCents: welcomeCents, reason: 'welcome' });
    const balanceCents = cents(this.wallets.get(user) ?? 0);
    return { status: 'ok', type: 'wallet.open', balanceCents, welcomed };
  }

  pay(user: string, args: { amountCents: number; reason: WalletReason; packetId?: Id }): void {
    const { amountCents, reason, packetId } = args;
    const balanceCents = (this.wallets.get(user) ?? 0) + amountCents;
    this.wallets.set(user, balanceCents);
    if (!this.watched.has(`u${user}`)) return;
    const wallet = { user, balanceCents, amountCents, reason, packetId: packetId ?? 0n, at: AT };
    this.#tell(this.homeOf(user as UserId), { events: [], wallets: [wallet] });
  }

  #found(groupId: Id, args: { owner: UserId; name: string }): void {
    const { owner, name } = args;
    const members = new Map([[owner, { joinedSeq: 0, readSeq: 0 }]]);
    this.groups.set(groupId, { groupId, name, owner, members, messages: [], version: 1 });
    this.#groupEvent(groupId, { change: 'founded', user: owner, role: 'owner' });
  }

  #groupEvent(groupId: Id, args: { change: string; user: string; role: string }): void {
    const group = this.groups.get(groupId)!;
    const { name, version } = group;
    this.emit(setOfId(groupId), {
      group: { groupId: String(groupId), name, version: String(version), ...args },
    });
  }

  #join(c: Extract<Command, { type: 'group.join' }>): Outcome {
    const { groupId, expiresAt, mac } = c.invite;
    const group = this.groups.get(groupId);
    if (!Buffer.from(mac).equals(INVITE_MAC)) return refuse(c.type, 'invite_invalid');
    if (group === undefined) return refuse(c.type, 'group_not_found');
    if (expiresAt < AT) return refuse(c.type, 'invite_expired');
    const seq = group.messages.length;
    if (!group.members.has(c.user)) {
      group.members.set(c.user, { joinedSeq: seq, readSeq: seq });
      group.version += 1;
      this.#groupEvent(groupId, { change: 'joined', user: c.user, role: 'member' });
    }
    const { version } = group;
    return { status: 'ok', type: c.type, role: 'member', version, joinedSeq: seq, seq };
  }

  #leaveOnce(c: Extract<Command, { type: 'group.leave' }>): Outcome {
    if (c.commandId === null) return this.#leave(c);
    if (this.rules < 2) return refuse(c.type, 'malformed');
    const answered = `${c.user}/${c.commandId}`;
    const earlier = this.#left.get(answered);
    if (earlier !== undefined) return earlier;
    const outcome = this.#leave(c);
    if (outcome.status === 'ok') this.#left.set(answered, outcome);
    return outcome;
  }

  #leave(c: Extract<Command, { type: 'group.leave' }>): Outcome {
    const group = this.groups.get(c.groupId);
    if (group === undefined) return refuse(c.type, 'group_not_found');
    if (!group.members.has(c.user)) return refuse(c.type, 'not_a_member');
    this.remove(group, c.user);
    return { status: 'ok', type: c.type, version: group.version, seq: group.messages.length };
  }

  remove(group: Group, user: UserId): void {
    group.members.delete(user);
    group.version += 1;
    this.#groupEvent(group.groupId, { change: 'left', user, role: '' });
  }

  /** Appends and pushes one message; its seq. */
  say(group: Group, m: Omit<Message, 'seq' | 'kind'> & { kind?: string }): number {
    const message = { kind: 'text', ...m, seq: group.messages.length + 1 };
    group.messages.push(message);
    this.emit(setOfId(group.groupId), { message: messageOutput(group, message) });
    return message.seq;
  }

  #send(c: Extract<Command, { type: 'packet.send' }>): Outcome {
    const { definition: d, grant } = c;
    if (grant === null) return refuse(c.type, 'not_a_member');
    if ((this.wallets.get(d.sender) ?? 0) < d.totalCents) {
      return refuse(c.type, 'insufficient_funds');
    }
    return this.#once(`${d.sender}/${c.commandId}`, `${d.totalCents}/${d.count}`, () => {
      this.pay(d.sender, { amountCents: -d.totalCents, reason: 'send', packetId: d.packetId });
      this.#later(() => this.#goLive(d));
      return { type: 'packet.send', packetId: d.packetId };
    });
  }

  #goLive(definition: PacketDefinition): void {
    const { packetId, totalCents, sender, groupId } = definition;
    const packet = { definition, claims: [], phase: 'live', restCents: totalCents };
    this.packets.set(packetId, packet);
    this.packetEvent(packetId, 'live');
    const group = this.groups.get(groupId);
    if (group !== undefined) this.say(group, { sender, body: '{}', clientMsgId: '' });
  }

  packetEvent(packetId: Id, phase: string): void {
    this.emit(setOfId(packetId), { packet: this.packetOutput(packetId, phase) });
  }

  packetOutput(packetId: Id, phase: string): NonNullable<Event__Output['packet']> {
    const { definition: d, claims } = this.packets.get(packetId)!;
    const { sender, kind, count, greeting } = d;
    return {
      packetId: String(packetId),
      groupId: String(d.groupId),
      phase,
      sender,
      kind,
      count,
      greeting,
      taken: claims.length,
      at: String(AT),
      expiresAt: String(AT + d.lifetimeMs),
      seedHash: Buffer.alloc(32, 1),
      seed: phase === 'drained' ? Buffer.alloc(32, 2) : Buffer.alloc(0),
    };
  }

  #open(c: Extract<Command, { type: 'packet.open' }>): Outcome {
    const packet = this.packets.get(c.packetId);
    if (packet === undefined) return refuse(c.type, 'packet_not_found');
    const { count } = packet.definition;
    const mine = packet.claims.find(({ user }) => user === c.user);
    const success = ({ amountCents, order, at }: Claim): Success => ({
      type: c.type,
      amountCents: cents(amountCents),
      order,
      left: count - packet.claims.length,
      at: timeMs(at),
      seed: new Uint8Array(),
    });
    if (mine !== undefined) return { status: 'already_opened', ...success(mine) };
    if (c.grant?.groupId !== packet.definition.groupId) return refuse(c.type, 'not_a_member');
    if (packet.phase === 'refunded') return refuse(c.type, 'packet_expired');
    if (packet.claims.length === count) return refuse(c.type, 'packet_drained');
    const left = count - packet.claims.length;
    const amountCents = Math.ceil(packet.restCents / left);
    const claim = { user: c.user, order: packet.claims.length + 1, amountCents, at: Date.now() };
    packet.claims.push(claim);
    packet.restCents -= amountCents;
    if (packet.claims.length === count) packet.phase = 'drained';
    this.packetEvent(c.packetId, packet.phase === 'drained' ? 'drained' : 'progress');
    const { packetId } = c;
    this.#later(() => this.pay(c.user, { amountCents, reason: 'claim', packetId }));
    return { status: 'ok', ...success(claim) };
  }

  async query(set: SetId, ask: Ask, options: RequestOptions = {}): Promise<QueryAnswer> {
    await Promise.resolve();
    this.queries += 1;
    const { session = null } = options;
    for (const each of Object.keys(ask)) {
      this.asked.set(each, { atLsn: Number(ask.atLsn ?? 0), session });
    }
    const [name] = Object.keys(ask).filter((key) => key !== 'atLsn');
    const forced = this.next.get(`query.${name}`);
    this.next.delete(`query.${name}`);
    if (forced instanceof Error) throw forced;
    if (forced !== undefined) return { status: forced, reply: null };
    if (this.down.has(set)) return { status: 'set_unavailable', reply: null };
    const answer = answerOf(this, set, ask);
    if (typeof answer === 'string') return { status: answer, reply: null };
    return {
      status: 'ok',
      reply: { tag: 1, status: 'ok', asOfLsn: String(this.#lsn), ...answer },
    };
  }
}
