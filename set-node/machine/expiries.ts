import type { Id } from '../../lib/core/ids.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import type { Packet, SetState } from './state.ts';

type Due = { readonly packetId: Id; readonly at: TimeMs };

/** Packets by the time their rest goes back: a binary heap, rebuilt from the state after a takeover. */
export class Expiries {
  readonly #heap: Due[] = [];

  add(packet: Packet): void {
    const heap = this.#heap;
    const item = { packetId: packet.definition.packetId, at: packet.expiresAt };
    let index = heap.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= item.at) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = item;
  }

  /** Removes and returns those due at log time `ts`, the earliest first; at most 1,000 a call. */
  due(ts: TimeMs): Id[] {
    const ids: Id[] = [];
    while (ids.length < 1_000) {
      const first = this.#heap[0];
      if (first === undefined || first.at > ts) break;
      ids.push(first.packetId);
      this.#removeFirst();
    }
    return ids;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[index * 2 + 1];
      const right = heap[index * 2 + 2];
      const child = right !== undefined && left !== undefined && right.at < left.at ? 2 : 1;
      const below = child === 2 ? right : left;
      if (below === undefined || below.at >= last.at) break;
      heap[index] = below;
      index = index * 2 + child;
    }
    heap[index] = last;
  }
}

export function expiriesOf(state: SetState): Expiries {
  const expiries = new Expiries();
  for (const packet of state.packets.values()) if (packet.end === null) expiries.add(packet);
  return expiries;
}
