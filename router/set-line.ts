import type { TaggedReply } from '../lib/core/batch.ts';
import type { Command } from '../lib/core/command.ts';
import type { Id } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { SetNodeClient } from '../lib/runtime/stream.ts';
import type { CommandBatch } from '../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch__Output } from '../proto/gen/hongbao/CommandReplyBatch.ts';
import type { QueryBatch } from '../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReply__Output } from '../proto/gen/hongbao/QueryReply.ts';
import type { QueryReplyBatch__Output } from '../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Ask, CommandAnswer, EventListener, QueryAnswer } from './api.ts';
import type { ChannelPorts } from './channel.ts';
import { Channel } from './channel.ts';
import { EventLine } from './events.ts';
import { IdLease } from './ids.ts';
import { SetNodes } from './nodes.ts';
import type { TopologyNode } from './topology.ts';
import type { CommandRequest, SetFacts } from './wire.ts';
import { commandRequest, commandWire, queryWire } from './wire.ts';

/** How long a lease of ids is waited for: then the caller places its new thing elsewhere. */
const RESERVE_DEADLINE_MS = 1_500;

/** All that one router has of one Set: two channels, an event stream when asked for, leased ids. */
export class SetLine {
  readonly #args: {
    readonly set: SetId;
    readonly ports: ChannelPorts;
    readonly topologyVersion: () => number;
    readonly listener: EventListener;
  };
  readonly #nodes: SetNodes;
  readonly #facts: SetFacts = { epoch: 0, queueWaitUs: 0 };
  readonly #commands: Channel<
    CommandRequest,
    CommandBatch,
    CommandReplyBatch__Output,
    TaggedReply,
    CommandAnswer
  >;
  readonly #queries: Channel<
    Ask,
    QueryBatch,
    QueryReplyBatch__Output,
    QueryReply__Output,
    QueryAnswer
  >;
  readonly #ids: IdLease;
  #events: EventLine | null = null;

  constructor(args: {
    set: SetId;
    ports: ChannelPorts;
    connect: (address: string) => SetNodeClient;
    /** By node slot; read again at every attempt. */
    addresses: () => readonly TopologyNode[];
    topologyVersion: () => number;
    listener: EventListener;
  }) {
    this.#args = args;
    const { set, ports, topologyVersion } = args;
    const nodes = new SetNodes({ ...ports, connect: args.connect, addresses: args.addresses });
    this.#nodes = nodes;
    const line = (slot: number): SetNodeClient => nodes.client(slot);
    const facts = this.#facts;
    this.#commands = new Channel({
      name: `commands.${set}`,
      ports,
      nodes,
      wire: commandWire({ set, line, topologyVersion, facts }),
    });
    this.#queries = new Channel({
      name: `queries.${set}`,
      ports,
      nodes,
      wire: queryWire({ set, line, topologyVersion, facts }),
    });
    this.#ids = new IdLease(set, (count) =>
      this.command({ type: 'ids.reserve', count }, RESERVE_DEADLINE_MS),
    );
  }

  get isUp(): boolean {
    return this.#commands.isUp;
  }

  get queueWaitUs(): number {
    return this.#facts.queueWaitUs;
  }

  command(command: Command, deadlineMs: number): Promise<CommandAnswer> {
    return this.#commands.ask(commandRequest(command), deadlineMs);
  }

  query(ask: Ask, deadlineMs: number): Promise<QueryAnswer> {
    return this.#queries.ask(ask, deadlineMs);
  }

  takeId(): Promise<Id | null> {
    return this.#ids.take();
  }

  /** The event stream, from the first time that somebody wants it. */
  openEvents(): EventLine {
    const { set, ports, topologyVersion, listener } = this.#args;
    this.#events ??= new EventLine({ set, ports, nodes: this.#nodes, topologyVersion, listener });
    return this.#events;
  }

  close(): void {
    this.#commands.close();
    this.#queries.close();
    this.#events?.close();
    this.#nodes.close();
  }
}
