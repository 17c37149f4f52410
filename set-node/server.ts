import type { TaggedReply } from '../lib/core/batch.ts';
import { decodeCommands, encodeReplies, encodeWalletEvents } from '../lib/core/batch.ts';
import { DecodeError } from '../lib/core/bytes.ts';
import type { Id } from '../lib/core/ids.ts';
import { timeMs } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import type { Timer } from '../lib/port/clock.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { serveSetNode } from '../lib/runtime/grpc.ts';
import type { BatchStream, StreamListener } from '../lib/runtime/stream.ts';
import type { CommandBatch__Output } from '../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch } from '../proto/gen/hongbao/CommandReplyBatch.ts';
import type { EventBatch } from '../proto/gen/hongbao/EventBatch.ts';
import type { EventInterest__Output } from '../proto/gen/hongbao/EventInterest.ts';
import type { NodeStatus } from '../proto/gen/hongbao/NodeStatus.ts';
import type { Query__Output } from '../proto/gen/hongbao/Query.ts';
import type { QueryBatch__Output } from '../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReply } from '../proto/gen/hongbao/QueryReply.ts';
import type { QueryReplyBatch } from '../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Driver } from './lead/driver.ts';
import type { EngineArgs } from './lead/engine.ts';
import { Engine } from './lead/engine.ts';
import { readLists } from './read/lists.ts';
import type { News } from './read/publisher.ts';
import { Publisher } from './read/publisher.ts';
import type { Answer } from './read/reads.ts';
import { needId, needUser, readMemory, refused } from './read/reads.ts';
import { measure } from './server-metrics.ts';

export { bootstrapNew } from './log/bootstrap.ts';
export { WrongConfiguration } from './log/configuration.ts';

export type SetServerArgs = Omit<EngineArgs, 'publisher'> & {
  /** `unix:/path` or `host:port`. */
  readonly address: string;
  readonly topologyVersion: () => number;
  readonly metrics: Metrics;
};

export type SetServer = {
  readonly address: string;
  readonly engine: Engine;
  stop(): Promise<void>;
};

/** Streams hear from us at least so often; their other end misses two or three before it leaves. */
const SIGN_MS = 500;
const LOOK_MS = 50;
const NOTHING: News = { events: [], wallets: [] };

/** Serves one Set over gRPC: batched commands, queries on a stream of their own, numbered events. */
export async function startSetServer(args: SetServerArgs): Promise<SetServer> {
  const publisher = new Publisher();
  const engine = new Engine({ ...args, publisher });
  const room: Room = { args, engine, publisher, leaders: new Set() };
  const server = await serveSetNode({
    address: args.address,
    handlers: {
      commands: (stream) => serveCommands(room, stream),
      queries: (stream) => serveQueries(room, stream),
      events: (stream) => serveEvents(room, stream),
      status: () => statusOf(room),
      stepDown: () => engine.stepDown(),
    },
  });
  engine.start();
  const measuring = measure(room);
  const telling = tellLeaders(room);
  return {
    address: server.address,
    engine,
    stop: async () => {
      measuring.cancel();
      await engine.stop();
      telling.cancel();
      await server.stop();
    },
  };
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
  };
}

type Room = {
  readonly args: SetServerArgs;
  readonly engine: Engine;
  readonly publisher: Publisher;
  /** Streams that want to hear who leads. */
  readonly leaders: Set<() => void>;
};

function serveCommands(
  { args, engine, leaders }: Room,
  stream: BatchStream<CommandReplyBatch>,
): StreamListener<CommandBatch__Output> {
  let replies: TaggedReply[] = [];
  const flush = (): void => {
    const body = Buffer.from(encodeReplies(replies));
    replies = [];
    const { driver } = engine;
    const batch = {
      topologyVersion: args.topologyVersion(),
      setId: args.setId,
      epoch: driver?.epoch ?? 0,
      queueWaitUs: Math.round(driver?.queueWaitUs ?? 0),
      body,
      leaderEpoch: engine.leaderEpoch,
    };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
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

function serveQueries(
  { args, engine, leaders }: Room,
  stream: BatchStream<QueryReplyBatch>,
): StreamListener<QueryBatch__Output> {
  const send = (replies: QueryReply[]): void => {
    const { driver, leaderEpoch } = engine;
    const batch = {
      topologyVersion: args.topologyVersion(),
      setId: args.setId,
      epoch: driver?.epoch ?? 0,
      leaderEpoch,
      replies,
    };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
  };
  const tell = (): void => send([]);
  leaders.add(tell);
  args.clock.soon(tell);
  return {
    message: (batch) => {
      const quick: QueryReply[] = [];
      const { driver } = engine;
      for (const query of batch.queries) {
        if (driver === null) quick.push({ ...refused('set_unavailable'), tag: query.tag });
        else void answer({ args, driver, query }).then((reply) => send([reply]));
      }
      if (quick.length > 0) send(quick);
    },
    closed: () => leaders.delete(tell),
  };
}

async function answer(on: {
  args: SetServerArgs;
  driver: Driver;
  query: Query__Output;
}): Promise<QueryReply> {
  const { driver, query } = on;
  const { tag } = query;
  try {
    const reply = await answerOnce(on);
    const asOfLsn = reply.asOfLsn ?? String(driver.state.lsn);
    return (await driver.settled())
      ? { ...reply, asOfLsn, tag }
      : { ...refused('set_unavailable'), tag };
  } catch (error) {
    if (error instanceof DecodeError) return { ...refused('malformed'), tag };
    if (error instanceof StoreError) return { ...refused('set_unavailable'), tag };
    on.args.log.error('query_failed', {
      set: on.args.setId,
      ask: query.ask,
      reason: String(error),
    });
    return { ...refused('unknown'), tag };
  }
}

async function answerOnce({
  args,
  driver,
  query,
}: {
  args: SetServerArgs;
  driver: Driver;
  query: Query__Output;
}): Promise<Answer> {
  const { state, seals } = driver;
  if (Number(query.atLsn) > state.lsn) return refused('set_unavailable');
  const now = timeMs(Math.max(state.ts, args.clock.now()));
  return readMemory({ state, seals, query, now }) ?? readLists(driver, query);
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
