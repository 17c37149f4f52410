import type { Tokens } from '../../../access/tokens.ts';
import { MemoryObjectStore } from '../../../lib/adapter/memory-object-store.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { SetId } from '../../../lib/core/units.ts';
import type { Site } from '../site.ts';
import type { SimProcess } from '../process.ts';
import type { Shared } from './shared.ts';
import { NODES, REPLICAS, SimSet } from './sim-set.ts';
import type { SimAccess, SimReconciler } from './tiers.ts';
import { startAccess, startCouriers } from './tiers.ts';

const ACCESS = 2;

/** Every process and server of one simulated Hongbao. */
export class Cluster {
  readonly sets: readonly SimSet[];
  /** Does replica n of every Set live on one server? */
  readonly sharesServers: boolean;
  readonly #shared: Shared;
  readonly #tokens: Tokens;
  readonly access: SimAccess[] = [];
  readonly couriers: SimReconciler[] = [];
  /** One reconciler, or two that share the work. */
  readonly courierCount: number;
  /** By place of the reconciler. The audit reads all that is written: every second walk goes without. */
  readonly #checkpoints: readonly (MemoryObjectStore | null)[];
  #over = false;

  constructor(args: {
    shared: Shared;
    tokens: Tokens;
    onCommitted: (set: SetId, entry: Entry) => void;
  }) {
    const { shared, tokens, onCommitted } = args;
    this.#shared = shared;
    this.#tokens = tokens;
    this.sharesServers = shared.chance.below(2) === 0;
    this.courierCount = 1 + shared.chance.below(2);
    const audits = shared.chance.below(2) === 0;
    this.#checkpoints = Array.from({ length: this.courierCount }, () =>
      audits ? new MemoryObjectStore() : null,
    );
    this.sets = shared.topology.sets.map(
      ({ id }) => new SimSet(id, shared, (entry) => onCommitted(id, entry)),
    );
  }

  async start(): Promise<void> {
    for (const set of this.sets) {
      await set.bootstrap();
      for (let slot = 0; slot < NODES; slot++) set.start(slot);
    }
    for (let at = 0; at < ACCESS; at++) this.startAccess(at);
    for (let at = 0; at < this.courierCount; at++) this.startCouriers(at);
  }

  /** A new process in place of the one that was there. */
  startAccess(at: number): void {
    this.access[at]?.process.kill();
    this.access[at] = startAccess(`a${at}`, this.#shared, this.#tokens);
  }

  startCouriers(at: number): void {
    this.couriers[at]?.process.kill();
    const store = this.#checkpoints[at] ?? null;
    this.couriers[at] = startCouriers(`c${at}`, this.#shared, store);
  }

  /** Processes that live, paused or not. */
  get processes(): SimProcess[] {
    return [...this.sets.flatMap(({ nodes }) => nodes), ...this.access, ...this.couriers].flatMap(
      ({ process }) => (process.dead ? [] : [process]),
    );
  }

  /** The replicas of one server. */
  server(at: number): readonly Site[] {
    const sites = this.sets.map((set) => set.sites.slice(at % REPLICAS, (at % REPLICAS) + 1));
    return this.sharesServers ? sites.flat() : (sites[Math.floor(at / REPLICAS)] ?? []);
  }

  get serverCount(): number {
    return this.sharesServers ? REPLICAS : this.sets.length * REPLICAS;
  }

  /** Runs later, unless the walk is over by then. */
  after(ms: number, run: () => void): void {
    this.#shared.clock.after(ms, () => {
      if (!this.#over) run();
    });
  }

  /** Whatever was killed runs again, whatever stood still goes on, and clocks are right. */
  heal(): void {
    for (const process of this.processes) {
      process.skewMs = 0;
      if (process.paused) process.resume();
    }
    for (const set of this.sets) {
      for (const site of set.sites) site.full = false;
      for (let slot = 0; slot < NODES; slot++) {
        const node = set.nodes.find((each) => each.slot === slot);
        if (node === undefined || node.engine.status.kind === 'stopped') set.start(slot);
        else node.lines.heal();
      }
    }
    for (let at = 0; at < ACCESS; at++) {
      if (this.access[at]?.process.dead !== false) this.startAccess(at);
    }
    for (let at = 0; at < this.courierCount; at++) {
      if (this.couriers[at]?.process.dead !== false) this.startCouriers(at);
    }
  }

  end(): void {
    this.#over = true;
    for (const process of this.processes) process.kill();
  }
}
