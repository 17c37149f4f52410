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
import type { Ask, CommandAnswer, EncodedCommand, EventListener, QueryAnswer } from './api.ts';
import type { ChannelPorts } from './channel.ts';
import { Channel } from './channel.ts';
import { EventLine } from './events.ts';
import { IdLease } from './ids.ts';
import { SetNodes } from './nodes.ts';
import type { SessionMarks } from './session-marks.ts';
import { StandbyLine } from './standby-line.ts';
import type { TopologyNode } from './topology.ts';
import type { LineAnswer, SetFacts } from './wire.ts';
import { commandRequest, commandWire, queryWire } from './wire.ts';

/** How long a lease of ids is waited for: then the caller places its new thing elsewhere. */
const RESERVE_DEADLINE_MS = 1_500;

/** All that one router has of one Set: channels, an event stream when asked for, leased ids. */
export class SetLine {
  readonly #args: {
    readonly set: SetId;
    readonly ports: ChannelPorts;
    readonly standbyReads: boolean;
    readonly topologyVersion: () => number;
    readonly listener: EventListener;
  };
  readonly #nodes: SetNodes;
  readonly #facts: SetFacts = { epoch: 0, queueWaitUs: 0 };
  readonly #commands: Channel<
    EncodedCommand,
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
    LineAnswer
  >;
  readonly #standby: StandbyLine;
  readonly #ids: IdLease;
  #events: EventLine | null = null;

  constructor(args: {
    set: SetId;
    ports: ChannelPorts;
    standbyReads: boolean;
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
    const wire = queryWire({ set, line, topologyVersion, facts });
    this.#queries = new Channel({ name: `queries.${set}`, ports, nodes, wire });
    this.#standby = new StandbyLine({ set, ports, nodes, wire });
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

  command(
    command: Command | EncodedCommand,
    deadlineMs: number,
    session?: SessionMarks,
  ): Promise<CommandAnswer> {
    const asked = this.#commands.ask(commandRequest(command), deadlineMs);
    if (session === undefined) return asked;
    return asked.then((answer) => {
      session.note(this.#args.set, answer.mark.lsn);
      return answer;
    });
  }

  /** Of a session: a list shows what the session has seen, from a standby if one has that much. */
  async query(ask: Ask, deadlineMs: number, session?: SessionMarks): Promise<QueryAnswer> {
    const { status, reply, asOfLsn } = await this.#query(ask, deadlineMs, session);
    session?.note(this.#args.set, asOfLsn);
    return { status, reply };
  }

  async #query(ask: Ask, deadlineMs: number, session?: SessionMarks): Promise<LineAnswer> {
    const seen = session?.at(this.#args.set) ?? 0;
    // A journal is read by who can wait: a standby's is as good, however far it is.
    const isJournal = ask.journal !== undefined && ask.journal !== null;
    if (!isJournal && (seen === 0 || !isList(ask))) return this.#queries.ask(ask, deadlineMs);
    const { clock } = this.#args.ports;
    const since = clock.monotonicMs();
    const list = { ...ask, atLsn: Math.max(Number(ask.atLsn ?? 0), seen) };
    const { standbyReads } = this.#args;
    const answer = standbyReads ? await this.#standby.ask(list, deadlineMs) : null;
    return answer ?? this.#queries.ask(list, deadlineMs - (clock.monotonicMs() - since));
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
    this.#standby.close();
    this.#events?.close();
    this.#nodes.close();
  }
}

/** What tables answer (P11). Balances, memberships, unread and "did I get it" are the leader's. */
function isList({ claims, history, ledger, statement, statistics }: Ask): boolean {
  return [claims, history, ledger, statement, statistics].some(
    (one) => one !== undefined && one !== null,
  );
}
