import type { Id } from '../lib/core/ids.ts';
import { asId } from '../lib/core/ids.ts';
import { toHex } from '../lib/core/bytes.ts';
import type { PacketAnswer__Output } from '../proto/gen/hongbao/PacketAnswer.ts';
import type { PacketEvent__Output } from '../proto/gen/hongbao/PacketEvent.ts';
import { Recent } from './recent.ts';

export type PacketPhase = 'live' | 'drained' | 'expired';

/** What a node needs of a packet to route an open and to answer a grab. */
export type PacketFacts = {
  readonly packetId: Id;
  readonly groupId: Id;
  /** null while all that is known is the group: the owner tells no more to strangers. */
  readonly shown: { readonly count: number; readonly seedHash: string } | null;
  /** Only the owner's word ends a packet; `live` may be late. */
  readonly phase: PacketPhase;
};

/** The packets this node has heard of lately. Bounded; the owner is asked about the others. */
export class PacketMemo {
  readonly #packets: Recent<PacketFacts>;

  constructor(max: number) {
    this.#packets = new Recent(max);
  }

  get(packetId: string): PacketFacts | undefined {
    return this.#packets.get(packetId);
  }

  learn(packet: PacketEvent__Output | PacketAnswer__Output): PacketFacts {
    const known = this.#packets.get(packet.packetId);
    const shown = isBare(packet) ? null : { count: packet.count, seedHash: toHex(packet.seedHash) };
    const phase = phaseOf(packet.phase);
    // Events and answers come by different ways: an ended packet never lives again.
    const ended = known !== undefined && known.phase !== 'live';
    const facts = {
      packetId: asId(BigInt(packet.packetId)),
      groupId: asId(BigInt(packet.groupId)),
      shown: shown ?? known?.shown ?? null,
      phase: ended ? known.phase : phase,
    };
    const isNews = known?.phase !== facts.phase || known.shown === null;
    if (isNews) this.#packets.set(packet.packetId, facts);
    return facts;
  }

  /** The owner refused an open with this. */
  end(packetId: string, phase: 'drained' | 'expired'): void {
    const known = this.#packets.get(packetId);
    if (known?.phase === 'live') this.#packets.set(packetId, { ...known, phase });
  }
}

/** The owner's answer to somebody who brought no grant: enough to find the group. */
export function isBare(packet: PacketEvent__Output | PacketAnswer__Output): boolean {
  return packet.phase === '';
}

function phaseOf(word: string): PacketPhase {
  if (word === 'drained') return 'drained';
  return word === 'refunded' ? 'expired' : 'live';
}
