import { fromHex } from '../../../lib/core/bytes.ts';
import { RULES_MAX } from '../../../lib/core/rules.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import type { SetId } from '../../../lib/core/units.ts';
import { slotOf } from '../../../lib/core/user.ts';
import { ownerOfSlot, slotBitmap } from '../../../router/topology.ts';
import type { BatchStream, SetNodeStreams } from '../../../lib/runtime/stream.ts';
import type { Engine } from '../../../set-node/lead/engine.ts';
import { schema } from '../../../set-node/read/projection.ts';
import { openSetStreams } from '../../../set-node/streams.ts';
import { History } from '../log/history.ts';
import { SimProcess } from '../process.ts';
import { ReplicaLines } from '../replica-lines.ts';
import { Site, votes } from '../site.ts';
import { NO_METRICS } from './quiet.ts';
import type { Shared } from './shared.ts';
import { logOf, randomOf } from './shared.ts';

export const REPLICAS = 3;
export const NODES = 2;
const QUORUM = 2;

export type SetNode = {
  readonly process: SimProcess;
  readonly slot: number;
  readonly engine: Engine;
  readonly lines: ReplicaLines;
  readonly stop: () => Promise<void>;
};

/** One Set: three servers, two nodes, and the observer of its log. */
export class SimSet {
  readonly id: SetId;
  readonly history: History;
  readonly sites: readonly Site[];
  readonly #shared: Shared;
  #nodes: SetNode[] = [];
  #started = 0;

  /** `onCommitted` hears of every committed entry of this Set, in order of LSN. */
  constructor(id: SetId, shared: Shared, onCommitted: (entry: Entry) => void) {
    const { clock, trace } = shared;
    this.id = id;
    this.#shared = shared;
    this.history = new History(trace, onCommitted);
    this.sites = Array.from(
      { length: REPLICAS },
      (_, replica) => new Site({ replica, setId: id, schema, clock, history: this.history, trace }),
    );
  }

  async bootstrap(): Promise<void> {
    const clusterId = fromHex(this.#shared.topology.clusterId);
    for (const { store, replica } of this.sites) {
      await store.bootstrap({ clusterId, replicaId: replica, replicas: REPLICAS });
    }
  }

  /** Processes that have not been killed, also paused ones. */
  get nodes(): readonly SetNode[] {
    this.#nodes = this.#nodes.filter(({ process }) => !process.dead);
    return this.#nodes;
  }

  get leaders(): readonly SetNode[] {
    return this.nodes.filter(({ process, engine }) => !process.paused && engine.driver !== null);
  }

  /** Who else runs in this slot is killed first: there is one process a slot. */
  start(slot: number): void {
    for (const node of this.nodes) if (node.slot === slot) this.kill(node);
    const { clock, chance, trace, crypto, topology, network, bus, weather } = this.#shared;
    const { id } = this;
    const name = `s${id}n${slot}`;
    const process = new SimProcess({ name, clock });
    trace.note(`start ${name} #${this.#started++}`);
    const lines = new ReplicaLines({ process, clock, chance, weather, trace });
    const log = logOf(this.#shared, name);
    const set = openSetStreams({
      setId: id,
      replicas: this.sites.map((site) => lines.to(site)),
      quorum: QUORUM,
      clock: process.clock,
      random: randomOf(this.#shared),
      crypto,
      bus: bus.of(process),
      log,
      metrics: NO_METRICS,
      topologyVersion: () => topology.version,
      homeOf: (user) => ownerOfSlot(topology, slotOf(user)),
      snapshotElsewhere: null,
      nodeSlot: slot,
      standby: true,
      nodes: NODES,
      configuration: {
        type: 'set.configure',
        clusterId: fromHex(topology.clusterId),
        replicas: REPLICAS,
        quorum: QUORUM,
        rules: RULES_MAX,
        slots: slotBitmap(topology, id),
      },
    });
    network.serve(addressOf(id, slot), process, this.#overheard(set.streams, set.engine));
    this.#nodes.push({ process, slot, engine: set.engine, lines, stop: () => set.stop() });
    set.start();
  }

  /** P7: whatever leaves a leader may depend on all that it takes for committed. */
  #overheard(streams: SetNodeStreams, engine: Engine): SetNodeStreams {
    const hear = <Out>(stream: BatchStream<Out>): BatchStream<Out> => ({
      send: (batch) => {
        const { driver } = engine;
        if (driver !== null) this.history.announce(driver.commit, 'a batch leaves');
        return stream.send(batch);
      },
      get congested() {
        return stream.congested;
      },
      get open() {
        return stream.open;
      },
      end: () => stream.end(),
      abort: (reason) => stream.abort(reason),
    });
    return {
      ...streams,
      commands: (stream) => streams.commands(hear(stream)),
      queries: (stream) => streams.queries(hear(stream)),
      events: (stream) => streams.events(hear(stream)),
    };
  }

  kill({ process }: SetNode): void {
    this.#shared.trace.note(`kill ${process.name}`);
    process.kill();
  }

  /** Why the three are not the same, all of it committed, with votes and tables; null when they are. */
  async whyNotWhole(): Promise<string | null> {
    const committed = this.history.committed.length;
    for (const site of this.sites) {
      const head = site.journal.at(-1);
      if (head?.lsn !== committed)
        return `replica ${site.name} ends at ${head?.lsn} of ${committed}`;
      const [first] = this.sites;
      const other = first?.journal.at(-1)?.sum ?? head.sum;
      if (Buffer.compare(head.sum, other) !== 0) return `replica ${site.name} has another head`;
      if (!(await votes(site, this.sites))) return `replica ${site.name} has no vote`;
      const shown = await site.disk.projectedLsn();
      if (shown !== committed) return `tables of ${site.name} show ${shown} of ${committed}`;
    }
    const { length } = this.leaders;
    return length === 1 ? null : `${length} nodes lead Set ${this.id}`;
  }
}

export function addressOf(id: SetId, slot: number): string {
  return `s${id}n${slot}`;
}
