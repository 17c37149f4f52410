import type { TaggedReply } from '../lib/core/batch.ts';
import { decodeCommands, encodeReplies, encodeWalletEvents } from '../lib/core/batch.ts';
import type { Id } from '../lib/core/ids.ts';
import type { UserId } from '../lib/core/user.ts';
import type { Timer } from '../lib/port/clock.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { BatchStream, SetNodeStreams, StreamListener } from '../lib/runtime/stream.ts';
import type { CommandBatch__Output } from '../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch } from '../proto/gen/hongbao/CommandReplyBatch.ts';
import type { EventBatch } from '../proto/gen/hongbao/EventBatch.ts';
import type { EventInterest__Output } from '../proto/gen/hongbao/EventInterest.ts';
import type { NodeStatus } from '../proto/gen/hongbao/NodeStatus.ts';
import type { EngineArgs } from './lead/engine.ts';
import { Engine } from './lead/engine.ts';
import { Seals } from './machine/findings.ts';
import type { News } from './read/publisher.ts';
import { Publisher } from './read/publisher.ts';
import type { QueryRoom } from './read/query-stream.ts';
import { ReadCounts, serveQueries } from './read/query-stream.ts';
import { needId, needUser } from './read/reads.ts';
import { ReplicaReads } from './read/replica-reads.ts';
import { countMemory, measure } from './server-metrics.ts';

export type SetStreamsArgs = Omit<EngineArgs, 'publisher'> & {
  readonly topologyVersion: () => number;
  readonly metrics: Metrics;
};

/** One Set on this node, whatever its streams travel over. */
export type SetStreams = {
  readonly engine: Engine;
  readonly streams: SetNodeStreams;
  /** Once, when the streams can be reached. */
  start(): void;
  /** Stops the engine and all timers. Streams stay open: their end is for who serves them. */
  stop(): Promise<void>;
};

/** Streams hear from us at least so often; their other end misses two or three before it leaves. */
const SIGN_MS = 500;
const LOOK_MS = 50;
const NOTHING: News = { events: [], wallets: [] };

/** Batched commands, queries on a stream of their own, numbered events of one Set. */
export function openSetStreams(args: SetStreamsArgs): SetStreams {
  const publisher = new Publisher();
  const engine = new Engine({ ...args, ...countMemory(args), publisher });
  const reads = readsOf(args, engine);
  const counts = new ReadCounts(args);
  const room: Room = { args, engine, publisher, reads, counts, leaders: new Set() };
  let timers: { measuring: Timer; telling: Timer } | null = null;
  return {
    engine,
    streams: {
      commands: (stream) => serveCommands(room, stream),
      queries: (stream) => serveQueries(room, stream),
      events: (stream) => serveEvents(room, stream),
      status: () => statusOf(room),
      stepDown: () => engine.stepDown(),
      upgrade: (ask) => engine.raiseRules(ask),
    },
    start: () => {
      engine.start();
      timers = { measuring: measure(room), telling: tellLeaders(room) };
    },
    stop: async () => {
      timers?.measuring.cancel();
      await engine.stop();
      reads?.stop();
      timers?.telling.cancel();
    },
  };
}

/** Lists from tables, while this node follows: one that leads has better, one that is refused nothing. */
function readsOf(args: SetStreamsArgs, engine: Engine): ReplicaReads | null {
  if (engine.standby === null) return null;
  const reads = new ReplicaReads({ ...args, seals: new Seals(args.crypto) });
  engine.onChange(({ kind }) => (kind === 'following' ? reads.start() : reads.stop()));
  return reads;
}

/** Streams hear who leads at once when it changes, and as a sign of life twice a second. */
function tellLeaders({ args, engine, leaders }: Room): Timer {
  let told = { leads: false, leaderEpoch: 0, at: 0 };
  const tell = (): void => {
    const leads = engine.driver !== null;
    const { leaderEpoch } = engine;
    const at = args.clock.monotonicMs();
    const same = told.leads === leads && told.leaderEpoch === leaderEpoch;
    if (same && at - told.at < SIGN_MS) return;
    told = { leads, leaderEpoch, at };
    for (const listener of leaders) listener();
  };
  engine.onChange(tell);
  return args.clock.every(LOOK_MS, tell);
}

function statusOf({ args, engine }: Room): NodeStatus {
  const { driver, status } = engine;
  const follower = engine.standby?.follower;
  const replicas = driver === null ? [] : [...args.replicas.keys()];
  return {
    setId: args.setId,
    nodeSlot: args.nodeSlot,
    role: status.kind,
    epoch: driver?.epoch ?? 0,
    leaderEpoch: engine.leaderEpoch,
    lsn: String(driver?.state.lsn ?? follower?.appliedLsn ?? 0),
    commitLsn: String(driver?.commit ?? follower?.commitLsn ?? 0),
    replicas: replicas.map((replica) => {
      const ackedLsn = driver?.setLog.ackedBy(replica) ?? 0;
      return {
        replica,
        active: driver?.setLog.isActive(replica) ?? false,
        ackedLsn,
        lagEntries: (driver?.setLog.head ?? 0) - ackedLsn,
      };
    }),
    reason: status.kind === 'refused' ? status.error.message : '',
    rules: engine.rules.at,
    rulesMax: engine.rules.max,
  };
}

type Room = QueryRoom & { readonly args: SetStreamsArgs; readonly publisher: Publisher };

function serveCommands(
  { args, engine, leaders }: Room,
  stream: BatchStream<CommandReplyBatch>,
): StreamListener<CommandBatch__Output> {
  let replies: TaggedReply[] = [];
  const send = (some: readonly TaggedReply[], epoch: number): void => {
    const batch = {
      topologyVersion: args.topologyVersion(),
      setId: args.setId,
      epoch,
      queueWaitUs: Math.round(engine.driver?.queueWaitUs ?? 0),
      body: Buffer.from(encodeReplies(some)),
      leaderEpoch: engine.leaderEpoch,
    };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
  };
  const flush = (): void => {
    const waiting = replies;
    replies = [];
    const { driver } = engine;
    if (driver?.isDraining !== true) return send(waiting, driver?.epoch ?? 0);
    // What it has taken it still answers; whoever comes now is sent on, as by one that does not lead.
    const taken = waiting.filter(({ lsn }) => lsn > 0);
    if (taken.length > 0) send(taken, driver.epoch);
    send(
      waiting.filter(({ lsn }) => lsn === 0),
      0,
    );
  };
  const sink = {
    reply(tag: number, lsn: number, outcome: Uint8Array): void {
      if (replies.length === 0) args.clock.soon(flush);
      replies.push({ tag, lsn, outcome });
    },
  };
  leaders.add(flush);
  // The first word of every stream: whether this node leads.
  args.clock.soon(flush);
  return {
    message: (batch) => {
      for (const { tag, command } of decodeCommands(batch.body)) {
        engine.submit({ bytes: command, sink, tag });
      }
    },
    closed: () => leaders.delete(flush),
  };
}

function serveEvents(
  { args, engine, publisher, leaders }: Room,
  stream: BatchStream<EventBatch>,
): StreamListener<EventInterest__Output> {
  const groups = new Set<Id>();
  const users = new Set<UserId>();
  let number = 1;
  const send = ({ events, wallets }: News): void => {
    const batch = {
      topologyVersion: args.topologyVersion(),
      setId: args.setId,
      epoch: engine.driver?.epoch ?? 0,
      firstNumber: number,
      events: [...events],
      wallets: Buffer.from(encodeWalletEvents(wallets).buffer),
      walletCount: wallets.length,
      leaderEpoch: engine.leaderEpoch,
      asOfLsn: String(engine.driver?.commit ?? 0),
    };
    number += events.length + wallets.length;
    // A node that does not read is cut off: it comes back, sees the gap, and asks (rulings 17).
    if (stream.open && !stream.send(batch)) stream.abort('events are not being read');
  };
  const subscriber = { groups, users, send };
  publisher.add(subscriber);
  const tell = (): void => send(NOTHING);
  leaders.add(tell);
  return {
    message: (interest) => {
      for (const id of interest.addGroups) groups.add(needId(id));
      for (const id of interest.removeGroups) groups.delete(needId(id));
      for (const user of interest.addUsers) users.add(needUser(user));
      for (const user of interest.removeUsers) users.delete(needUser(user));
      // The echo tells the node from which number on its interest counts.
      send(NOTHING);
    },
    closed: () => {
      leaders.delete(tell);
      publisher.remove(subscriber);
    },
  };
}
