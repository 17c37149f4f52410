/** Every packet of the journals, recomputed as it ends; memory is that of the live ones. */
import type { Entry } from '../../lib/core/journal-entry.ts';
import { decodeOps } from '../../reconciler/audit/decode.ts';
import { changesOf } from './changes.ts';
import type { Rebuilt } from './rebuild.ts';
import { applyChange, faultsOf } from './rebuild.ts';

const FAULTS_KEPT = 100;

export type PacketFault = {
  readonly packetId: string;
  readonly setId: number;
  /** Of the entry that ended it. */
  readonly lsn: number;
  readonly what: string;
};

/** Takes the entries of one Set after the other, each in order. */
export class AllPackets {
  readonly #live = new Map<bigint, { packet: Rebuilt; wrong: string[] }>();
  /** The first ones; `wrongPackets` counts all. */
  readonly faults: PacketFault[] = [];
  readonly wrongPackets = new Set<string>();
  /** Ended packets by `kind/strategy/timing/phase`. */
  readonly ended = new Map<string, number>();
  shares = 0;

  get endedCount(): number {
    return [...this.ended.values()].reduce((sum, count) => sum + count, 0);
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** Throws NotTheFormat. */
  add(entry: Entry): void {
    for (const op of decodeOps(entry)) {
      for (const { packetId, change } of changesOf(op, entry.ts)) {
        const known = this.#live.get(packetId);
        const wrong = known?.wrong ?? [];
        const packet = applyChange(known?.packet ?? null, change, (what) => wrong.push(what));
        if (packet === null) this.#fault({ packetId, entry, wrong });
        else if (packet.phase === 'live') this.#live.set(packetId, { packet, wrong });
        else this.#end({ packetId, packet, entry, wrong });
      }
    }
  }

  #end(args: { packetId: bigint; packet: Rebuilt; entry: Entry; wrong: string[] }): void {
    const { packetId, packet, entry, wrong } = args;
    this.#live.delete(packetId);
    const { kind, strategy, timing } = packet.definition;
    const name = `${kind}/${strategy}/${timing}/${packet.phase}`;
    this.ended.set(name, (this.ended.get(name) ?? 0) + 1);
    this.shares += packet.claims.length;
    this.#fault({ packetId, entry, wrong: [...wrong, ...faultsOf(packet)] });
  }

  #fault(args: { packetId: bigint; entry: Entry; wrong: readonly string[] }): void {
    const { packetId, entry, wrong } = args;
    if (wrong.length === 0) return;
    this.wrongPackets.add(String(packetId));
    for (const what of wrong) {
      if (this.faults.length >= FAULTS_KEPT) return;
      this.faults.push({ packetId: String(packetId), setId: entry.setId, lsn: entry.lsn, what });
    }
  }
}
