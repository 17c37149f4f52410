import { assert } from '../lib/core/assert.ts';
import { nodeSlotOf } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Random } from '../lib/port/random.ts';
import type { SetNodeClient } from '../lib/runtime/stream.ts';
import type { TopologyNode } from './topology.ts';

const NODE_LIMITS = {
  /** A node that went away is not tried again for so long, doubling with every time. */
  shunMs: 300,
  shunMsMax: 4_000,
  /** One that says that it does not lead: the others first. */
  deniedMs: 300,
  /** With one that does not lead, and knows of nobody who does, for so long: it will tell. */
  parkedMs: 2_000,
} as const;

/** What a node says of the Set's leadership in every batch. 0: none that it knows of. */
export type Standing = {
  /** Of the node itself while it leads. */
  readonly epoch: number;
  /** Newest that leads as far as it knows. */
  readonly leaderEpoch: number;
};

/**
 * The nodes of one Set and which of them leads, as far as anybody has said. All streams of a Set
 * share it: what one of them learns moves the others. A hint is only a hint: whoever does not lead
 * refuses before anything was done.
 */
export class SetNodes {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connect: (address: string) => SetNodeClient;
  readonly #addresses: () => readonly TopologyNode[];
  readonly #clients = new Map<string, SetNodeClient>();
  /** By node slot: not tried before. */
  readonly #shunnedUntil = new Map<number, number>();
  /** Streams of a node that were lost: its two lines take turns. */
  readonly #losses = new Map<number, number>();
  #epoch = 0;
  /** The node of `#epoch` has said itself that it leads no more. */
  #denied = false;
  #lastPick = -1;

  constructor(args: {
    clock: Clock;
    random: Random;
    connect: (address: string) => SetNodeClient;
    /** By node slot; read again at every attempt. */
    addresses: () => readonly TopologyNode[];
  }) {
    this.#clock = args.clock;
    this.#random = args.random;
    this.#connect = args.connect;
    this.#addresses = args.addresses;
  }

  get count(): number {
    return this.#addresses().length;
  }

  /** Newest epoch that anybody spoke of. A stream to a leader of an older one leads nowhere. */
  get leaderEpoch(): number {
    return this.#epoch;
  }

  /** The slot to try next: the leader's, else those that were not in vain just now, in turn. */
  pick(): number {
    const leader = this.#leaderSlot();
    const slot = leader !== null && !this.#isShunned(leader) ? leader : this.#nextInTurn();
    this.#lastPick = slot;
    return slot;
  }

  client(slot: number): SetNodeClient {
    const node = this.#addresses()[slot];
    assert(node !== undefined, 'a Set has this node');
    const other = node.backup !== '' && (this.#losses.get(slot) ?? 0) % 2 === 1;
    const address = other ? node.backup : node.primary;
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = this.#connect(address);
      this.#clients.set(address, client);
    }
    return client;
  }

  /** A batch of this node has come; true when it leads. */
  heard(slot: number, { epoch, leaderEpoch }: Standing): boolean {
    const newest = Math.max(epoch, leaderEpoch);
    if (newest > this.#epoch) {
      this.#epoch = newest;
      this.#denied = false;
      this.#shunnedUntil.delete(nodeSlotOf(newest));
    }
    if (epoch > 0 && epoch === this.#epoch) {
      this.#shunnedUntil.delete(slot);
      this.#losses.delete(slot);
      return true;
    }
    if (nodeSlotOf(this.#epoch) === slot) this.#denied = true;
    this.#shun(slot, NODE_LIMITS.deniedMs);
    return false;
  }

  /**
   * A stream to this node was not taken, broke, or went quiet. All streams of a node that break at
   * once are one loss: otherwise a reset would hide a leader that lives for seconds.
   */
  lost(slot: number): void {
    if (this.#isShunned(slot)) return;
    const losses = this.#losses.get(slot) ?? 0;
    this.#losses.set(slot, losses + 1);
    const { shunMs, shunMsMax } = NODE_LIMITS;
    const ms = Math.min(shunMsMax, shunMs * 2 ** Math.min(losses, 10));
    this.#shun(slot, ms + this.#random.below(ms));
  }

  /** Is there a better node than this one, which has not led since `parkedAt`? */
  isBetter(slot: number, parkedAt: number): boolean {
    const leader = this.#leaderSlot();
    if (leader !== null && leader !== slot && !this.#isShunned(leader)) return true;
    if (this.#clock.monotonicMs() - parkedAt < NODE_LIMITS.parkedMs) return false;
    for (let step = 1; step < this.count; step++) {
      const other = (slot + step) % this.count;
      if (!this.#isShunned(other)) return true;
    }
    return false;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #leaderSlot(): number | null {
    const slot = nodeSlotOf(this.#epoch);
    return this.#epoch === 0 || this.#denied || slot >= this.count ? null : slot;
  }

  #nextInTurn(): number {
    const { count } = this;
    let best = (this.#lastPick + 1) % count;
    let bestAt = Number.POSITIVE_INFINITY;
    for (let step = 1; step <= count; step++) {
      const slot = (this.#lastPick + step) % count;
      const at = this.#isShunned(slot) ? (this.#shunnedUntil.get(slot) ?? 0) : 0;
      if (at < bestAt) [best, bestAt] = [slot, at];
    }
    return best;
  }

  #isShunned(slot: number): boolean {
    return this.#clock.monotonicMs() < (this.#shunnedUntil.get(slot) ?? 0);
  }

  #shun(slot: number, ms: number): void {
    const until = Math.max(this.#shunnedUntil.get(slot) ?? 0, this.#clock.monotonicMs() + ms);
    this.#shunnedUntil.set(slot, until);
  }
}
