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
  readonly count: number;
  readonly seedHash: string;
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
    const phase = phaseOf(packet.phase);
    // Events and answers come by different ways: an ended packet never lives again.
    if (known !== undefined && (known.phase !== 'live' || phase === 'live')) return known;
    const facts = {
      packetId: asId(BigInt(packet.packetId)),
      groupId: asId(BigInt(packet.groupId)),
      count: packet.count,
      seedHash: toHex(packet.seedHash),
      phase,
    };
    this.#packets.set(packet.packetId, facts);
    return facts;
  }

  /** The owner refused an open with this. */
  end(packetId: string, phase: 'drained' | 'expired'): void {
    const known = this.#packets.get(packetId);
    if (known?.phase === 'live') this.#packets.set(packetId, { ...known, phase });
  }
}

function phaseOf(word: string): PacketPhase {
  if (word === 'drained') return 'drained';
  return word === 'refunded' ? 'expired' : 'live';
}
