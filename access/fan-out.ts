import type { WalletEvent } from '../lib/core/batch.ts';
import { decodeWalletEvents } from '../lib/core/batch.ts';
import { epoch, setId } from '../lib/core/units.ts';
import type { SetId } from '../lib/core/units.ts';
import { asId } from '../lib/core/ids.ts';
import type { EventBatch__Output } from '../proto/gen/hongbao/EventBatch.ts';
import type { Event__Output } from '../proto/gen/hongbao/Event.ts';
import type { GroupEvent__Output } from '../proto/gen/hongbao/GroupEvent.ts';
import type { Message__Output } from '../proto/gen/hongbao/Message.ts';
import type { PacketEvent__Output } from '../proto/gen/hongbao/PacketEvent.ts';
import type { EventListener } from '../router/api.ts';
import type { Door } from './door.ts';
import { groupEventKey } from './ops-group.ts';
import { packetEventKey } from './ops-packet.ts';
import { eventFrame, groupEventOf, messageOf, packetEventOf, walletEventOf } from './render.ts';
import type { Person } from './people.ts';
import type { Repair } from './repair.ts';
import { groupTopic } from './sessions.ts';

/** Sends one frame to the sockets of a group. server.ts: one uWebSockets publish. */
export type Publish = (topic: string, frame: string) => void;

/** Of one batch: whose it is, and up to which LSN it tells. */
type Told = { readonly set: SetId; readonly lsn: number };

/** Events of the Sets → one frame each → the sockets of their group or user. */
export class FanOut implements EventListener {
  readonly #door: Door;
  readonly #publish: Publish;
  readonly #repair: Repair;

  constructor(args: { door: Door; publish: Publish; repair: Repair }) {
    this.#door = args.door;
    this.#publish = args.publish;
    this.#repair = args.repair;
  }

  events(batch: EventBatch__Output): void {
    const { epochs, log } = this.#door;
    const told = { set: setId(batch.setId), lsn: Number(batch.asOfLsn) };
    epochs.set(told.set, epoch(Number(batch.epoch)));
    const newest = newestOfPackets(batch.events);
    // One bad event must not cost the others of its batch.
    const failed = (event: string | undefined, error: unknown): void =>
      log.error('access.event_failed', { event, error: String(error) });
    for (const event of batch.events) {
      try {
        this.#note(event, told);
        this.#event(event, newest);
      } catch (error) {
        failed(event.event, error);
      }
    }
    try {
      for (const wallet of decodeWalletEvents(batch.wallets)) this.#wallet(wallet, told);
    } catch (error) {
      failed('wallet', error);
    }
  }

  gap(set: SetId): void {
    this.#repair.gap(set);
  }

  #event(event: Event__Output, newest: ReadonlyMap<string, PacketEvent__Output>): void {
    if (event.message) this.message(event.message);
    else if (event.packet) {
      // Of several opens in one batch only the last shows: each tells the whole count.
      const stale = newest.get(event.packet.packetId) !== event.packet;
      if (event.packet.phase !== 'progress' || !stale) this.#packet(event.packet);
    } else if (event.group) this.#group(event.group);
  }

  /** The group's next lists show what it was told (rulings 16). */
  #note({ message, packet, group }: Event__Output, { set, lsn }: Told): void {
    const groupId = (message ?? packet ?? group)?.groupId;
    if (groupId !== undefined) this.#door.topics.get(groupId)?.marks.note(set, lsn);
  }

  message(m: Message__Output): void {
    const topic = this.#door.topics.get(m.groupId);
    if (topic === undefined) return;
    topic.toldSeq = Math.max(topic.toldSeq, Number(m.seq));
    this.#publish(groupTopic(m.groupId), eventFrame('message', messageOf(m)));
  }

  #packet(e: PacketEvent__Output): void {
    this.#door.packets.learn(e);
    if (e.phase === 'live') this.#door.waiters.wake(packetEventKey(e.packetId));
    // Packet events go to every node: most nodes have nobody of most groups.
    const topic = this.#door.topics.get(e.groupId);
    if (topic === undefined) return;
    const frame = eventFrame('packet', packetEventOf(e));
    // A new packet is what people wait for; how far the others are, they hear in passing.
    if (e.phase === 'live') return this.#publish(groupTopic(e.groupId), frame);
    for (const person of topic.people) {
      if (person.groups.has(e.groupId)) tell(person, frame);
    }
  }

  #wallet(e: WalletEvent, { set, lsn }: Told): void {
    const person = this.#door.people.find(e.user);
    if (person === undefined) return;
    person.marks.note(set, lsn);
    if (e.reason === 'claim') person.settled.set(String(e.packetId), true);
    if (person.sessions.size > 0) tell(person, eventFrame('wallet', walletEventOf(e)));
  }

  #group(e: GroupEvent__Output): void {
    const { topics, people, grants, waiters } = this.#door;
    if (topics.get(e.groupId) !== undefined) {
      this.#publish(groupTopic(e.groupId), eventFrame('group', groupEventOf(e)));
    }
    waiters.wake(groupEventKey(e.groupId));
    const person = people.find(e.user);
    if (person === undefined) return;
    const groupId = asId(BigInt(e.groupId));
    if (e.change === 'left') grants.drop(person, groupId, Number(e.version));
    // Joined by another socket or node: this one listens too from now on.
    else if (!person.groups.has(e.groupId)) void grants.ask(person, groupId);
  }
}

function tell(person: Person, frame: string): void {
  for (const session of person.sessions) session.tell(frame);
}

function newestOfPackets(events: readonly Event__Output[]): Map<string, PacketEvent__Output> {
  const newest = new Map<string, PacketEvent__Output>();
  for (const { packet } of events) if (packet) newest.set(packet.packetId, packet);
  return newest;
}
