import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { ReplicaStore } from '../../../lib/port/replica-store.ts';
import type { Engine } from '../../../set-node/lead/engine.ts';
import { SimProcess } from '../process.ts';
import type { Weather } from '../replica-lines.ts';
import { ReplicaLines } from '../replica-lines.ts';
import type { Site } from '../site.ts';
import type { Trace } from '../trace.ts';

/** One process of a set-node, and its lines to the replicas. */
export class SimNode extends SimProcess {
  readonly slot: number;
  readonly engine: Engine;
  readonly lines: ReplicaLines;

  constructor(args: {
    name: string;
    slot: number;
    clock: Clock;
    chance: SeededRandom;
    weather: () => Weather;
    trace: Trace;
    sites: readonly Site[];
    makeEngine: (clock: Clock, replicas: readonly ReplicaStore[]) => Engine;
  }) {
    super(args);
    this.slot = args.slot;
    this.lines = new ReplicaLines({ ...args, process: this });
    this.engine = args.makeEngine(
      this.clock,
      args.sites.map((site) => this.lines.to(site)),
    );
  }

  get leads(): boolean {
    return !this.dead && !this.paused && this.engine.driver !== null;
  }

  cut(replica: number, ms: number): void {
    this.lines.cut(replica, ms);
  }

  numb(ms: number): void {
    this.lines.numb(ms);
  }
}
