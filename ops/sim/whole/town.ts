import type { Definition, PacketStory } from './book.ts';
import type { Fields } from './fields.ts';
import { text } from './fields.ts';

/** A person's standing in a group, as far as he was told. */
export type Member = {
  /** He was told that he is in. */
  sure: boolean;
  /** He has asked to leave, once at least: nothing is certain from then on. */
  left: boolean;
};

export type GroupTalk = {
  readonly groupId: string;
  /** Who founded it, by number. */
  readonly owner: number;
  invite: string | null;
  /** Who is believed to be in it, by number, in the order of joining. */
  readonly members: number[];
};

export type PacketTalk = {
  readonly packetId: string;
  readonly groupId: string;
  readonly definition: Definition | null;
};

/** What people know of groups and packets by talk: the script draws from it. */
export class Town {
  readonly groups: GroupTalk[] = [];
  /** In the order in which they were first heard of. */
  readonly packets: PacketTalk[] = [];
  readonly #known = new Set<string>();

  group(groupId: string): GroupTalk | undefined {
    return this.groups.find((group) => group.groupId === groupId);
  }

  /** The event `packet`. */
  heard({ packetId, definition }: PacketStory, d: Fields): void {
    this.packet({ packetId, groupId: text(d, 'groupId'), definition });
  }

  packet(packet: PacketTalk): void {
    if (this.#known.has(packet.packetId)) return;
    this.#known.add(packet.packetId);
    this.packets.push(packet);
  }
}
