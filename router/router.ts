import { assert } from '../lib/core/assert.ts';
import type { Command } from '../lib/core/command.ts';
import type { Id } from '../lib/core/ids.ts';
import { setOfId } from '../lib/core/ids.ts';
import { refuse } from '../lib/core/outcome.ts';
import type { SetId } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import { slotOf } from '../lib/core/user.ts';
import type { SetNodeClient } from '../lib/runtime/stream.ts';
import type {
  Ask,
  CommandAnswer,
  EncodedCommand,
  EventListener,
  QueryAnswer,
  RequestOptions,
  Router,
} from './api.ts';
import type { ChannelPorts } from './channel.ts';
import { Placement } from './place.ts';
import { SetLine } from './set-line.ts';
import type { Topology, TopologyNode } from './topology.ts';
import { TopologyError, ownerOfSlot, whyNotSuccessor } from './topology.ts';

const COMMAND_DEADLINE_MS = 5_000;
const QUERY_DEADLINE_MS = 2_000;

export type RouterOptions = ChannelPorts & {
  readonly topology: Topology;
  /** Opens the Set node at an address of the topology; called once per address and Set. */
  readonly connect: (address: string) => SetNodeClient;
  /** Lists of sessions may come from standbys (P11). Default true; without standbys nothing changes. */
  readonly standbyReads?: boolean;
  /** Region of this process: new things stay in it while it has a Set that is up. */
  readonly region?: string;
};

/** A router that can be handed a newer topology. */
export type TopologyRouter = Router & {
  /**
   * Takes a later version of the same document: opens lines to new Sets, closes those to retired
   * ones, and places by it from now on. Throws TopologyError when it is not a successor.
   */
  adopt(next: Topology): void;
  readonly topology: Topology;
};

/** Opens streams to every Set of the topology and keeps them up until closed. */
export function createRouter(options: RouterOptions): TopologyRouter {
  return new SetRouter(options);
}

class SetRouter implements TopologyRouter {
  readonly #options: RouterOptions;
  readonly #lines = new Map<SetId, SetLine>();
  readonly #listeners: EventListener[] = [];
  #topology: Topology;
  #placement: Placement;
  #serving: readonly SetId[] = [];
  #closed = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#topology = options.topology;
    this.#placement = new Placement(options.topology);
    this.#openLines();
  }

  get topology(): Topology {
    return this.#topology;
  }

  get topologyVersion(): number {
    return this.#topology.version;
  }

  adopt(next: Topology): void {
    if (next.hash === this.#topology.hash) return;
    const reason = whyNotSuccessor(this.#topology, next);
    if (reason !== null) throw new TopologyError(`not the successor of what is in use: ${reason}`);
    this.#topology = next;
    this.#placement = new Placement(next);
    this.#openLines();
  }

  sets(): readonly SetId[] {
    return this.#serving;
  }

  homeOf(user: UserId): SetId {
    return ownerOfSlot(this.#topology, slotOf(user));
  }

  place(key: string): SetId | null {
    const { region } = this.#options;
    return this.#placement.place(key, {
      ...(region === undefined ? {} : { region }),
      prefer: (set) => this.isUp(set),
    });
  }

  takeId(set: SetId): Promise<Id | null> {
    return this.#lines.get(set)?.takeId() ?? Promise.resolve(null);
  }

  command(
    set: SetId,
    command: Command | EncodedCommand,
    options: RequestOptions = {},
  ): Promise<CommandAnswer> {
    const line = this.#lines.get(set);
    const { deadlineMs = COMMAND_DEADLINE_MS, session } = options;
    if (line !== undefined) return line.command(command, deadlineMs, session);
    const outcome = refuse(command.type, 'set_unavailable');
    return Promise.resolve({ outcome, mark: { setId: set, epoch: 0, lsn: 0 } });
  }

  query(set: SetId, ask: Ask, options: RequestOptions = {}): Promise<QueryAnswer> {
    const line = this.#lines.get(set);
    const { deadlineMs = QUERY_DEADLINE_MS, session } = options;
    if (line !== undefined) return line.query(ask, deadlineMs, session);
    return Promise.resolve({ status: 'set_unavailable', reply: null });
  }

  onEvents(listener: EventListener): void {
    this.#listeners.push(listener);
    for (const line of this.#lines.values()) line.openEvents();
  }

  watchGroup(groupId: Id): void {
    this.#lines.get(setOfId(groupId))?.openEvents().watchGroup(String(groupId));
  }

  unwatchGroup(groupId: Id): void {
    this.#lines.get(setOfId(groupId))?.openEvents().unwatchGroup(String(groupId));
  }

  watchUser(user: UserId): void {
    this.#lines.get(this.homeOf(user))?.openEvents().watchUser(user);
  }

  unwatchUser(user: UserId): void {
    this.#lines.get(this.homeOf(user))?.openEvents().unwatchUser(user);
  }

  queueWaitUs(set: SetId): number {
    return this.#lines.get(set)?.queueWaitUs ?? 0;
  }

  isUp(set: SetId): boolean {
    return this.#lines.get(set)?.isUp ?? false;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const line of this.#lines.values()) line.close();
    return Promise.resolve();
  }

  #openLines(): void {
    assert(!this.#closed, 'a closed router opens nothing');
    for (const set of this.#topology.sets) {
      const line = this.#lines.get(set.id);
      if (set.state === 'retired') {
        line?.close();
        this.#lines.delete(set.id);
      } else if (line === undefined) {
        this.#lines.set(set.id, this.#newLine(set.id));
      }
    }
    this.#serving = this.#topology.sets
      .filter((set) => set.state !== 'retired')
      .map((set) => set.id);
  }

  #newLine(id: SetId): SetLine {
    const { clock, random, log, connect } = this.#options;
    const line = new SetLine({
      set: id,
      ports: { clock, random, log },
      connect,
      standbyReads: this.#options.standbyReads ?? true,
      addresses: () => this.#addressesOf(id),
      topologyVersion: () => this.#topology.version,
      listener: {
        events: (batch) => {
          for (const listener of this.#listeners) listener.events(batch);
        },
        gap: (set) => {
          for (const listener of this.#listeners) listener.gap(set);
        },
      },
    });
    if (this.#listeners.length > 0) line.openEvents();
    return line;
  }

  #addressesOf(id: SetId): readonly TopologyNode[] {
    const set = this.#topology.sets.find((each) => each.id === id);
    assert(set !== undefined, 'a line leads to a Set of the topology');
    return set.nodes;
  }
}
