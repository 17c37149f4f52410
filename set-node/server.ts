import type { TaggedReply } from '../lib/core/batch.ts';
import { decodeCommands, encodeReplies, encodeWalletEvents } from '../lib/core/batch.ts';
import { DecodeError } from '../lib/core/bytes.ts';
import type { Id } from '../lib/core/ids.ts';
import { timeMs } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { serveSetNode } from '../lib/runtime/grpc.ts';
import type { BatchStream, StreamListener } from '../lib/runtime/stream.ts';
import type { CommandBatch__Output } from '../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch } from '../proto/gen/hongbao/CommandReplyBatch.ts';
import type { EventBatch } from '../proto/gen/hongbao/EventBatch.ts';
import type { EventInterest__Output } from '../proto/gen/hongbao/EventInterest.ts';
import type { Query__Output } from '../proto/gen/hongbao/Query.ts';
import type { QueryBatch__Output } from '../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReply } from '../proto/gen/hongbao/QueryReply.ts';
import type { QueryReplyBatch } from '../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Driver } from './driver.ts';
import { Engine } from './engine.ts';
import type { LeaderArgs } from './leader.ts';
import { readLists } from './lists.ts';
import type { News } from './publisher.ts';
import { Publisher } from './publisher.ts';
import type { Answer } from './reads.ts';
import { needId, needUser, readMemory, refused } from './reads.ts';

export { WrongConfiguration } from './leader.ts';

export type SetServerArgs = Omit<LeaderArgs, 'publisher' | 'quarantine'> & {
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

const HEARTBEAT_MS = 1_000;
const NOTHING: News = { events: [], wallets: [] };

/** Serves one Set over gRPC: batched commands, queries on a stream of their own, numbered events. */
export async function startSetServer(args: SetServerArgs): Promise<SetServer> {
  const publisher = new Publisher();
  const engine = new Engine({ ...args, publisher });
  const room: Room = { args, engine, publisher };
  const server = await serveSetNode({
    address: args.address,
    handlers: {
      commands: (stream) => serveCommands(room, stream),
      queries: (stream) => serveQueries(room, stream),
      events: (stream) => serveEvents(room, stream),
    },
  });
  engine.start();
  const measuring = measure(room);
  return {
    address: server.address,
    engine,
    stop: async () => {
      measuring.cancel();
      await engine.stop();
      await server.stop();
    },
  };
}

type Room = {
  readonly args: SetServerArgs;
  readonly engine: Engine;
  readonly publisher: Publisher;
};

function serveCommands(
  { args, engine }: Room,
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
    };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
  };
  const sink = {
    reply(tag: number, lsn: number, outcome: Uint8Array): void {
      if (replies.length === 0) args.clock.soon(flush);
      replies.push({ tag, lsn, outcome });
    },
  };
  return {
    message: (batch) => {
      for (const { tag, command } of decodeCommands(batch.body)) {
        engine.submit({ bytes: command, sink, tag });
      }
    },
    closed: () => undefined,
  };
}

function serveQueries(
  { args, engine }: Room,
  stream: BatchStream<QueryReplyBatch>,
): StreamListener<QueryBatch__Output> {
  const send = (replies: QueryReply[]): void => {
    const epoch = engine.driver?.epoch ?? 0;
    const batch = { topologyVersion: args.topologyVersion(), setId: args.setId, epoch, replies };
    if (stream.open && !stream.send(batch)) stream.abort('replies are not being read');
  };
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
    closed: () => undefined,
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
  { args, engine, publisher }: Room,
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
    };
    number += events.length + wallets.length;
    // A node that does not read is cut off: it comes back, sees the gap, and asks (rulings 17).
    if (stream.open && !stream.send(batch)) stream.abort('events are not being read');
  };
  const subscriber = { groups, users, send };
  publisher.add(subscriber);
  const heartbeat = args.clock.every(HEARTBEAT_MS, () => send(NOTHING));
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
      heartbeat.cancel();
      publisher.remove(subscriber);
    },
  };
}

function measure({ args, engine, publisher }: Room): { cancel(): void } {
  const labels = ['set'];
  const gauge = (name: string, help: string) => args.metrics.gauge({ name, help, labels });
  const leading = gauge('hongbao_set_leading', '1 while this node leads the Set.');
  const lsn = gauge('hongbao_set_commit_lsn', 'Highest committed LSN.');
  const lag = gauge(
    'hongbao_set_projection_lag_entries',
    'Committed entries that Q projections do not show yet.',
  );
  const pending = gauge('hongbao_set_outbox_pending', 'Transfers without a receipt.');
  const wait = gauge('hongbao_set_queue_wait_seconds', 'Mean time that commands wait for a batch.');
  const live = gauge('hongbao_set_packets', 'Packets in memory.');
  const streams = gauge('hongbao_set_event_streams', 'Access nodes that listen.');
  const ops = args.metrics.counter({
    name: 'hongbao_set_ops_total',
    help: 'Ops journaled.',
    labels,
  });
  const batches = args.metrics.counter({
    name: 'hongbao_set_batches_total',
    help: 'Entries journaled.',
    labels,
  });
  let seen = { driver: engine.driver, ops: 0, batches: 0 };
  return args.clock.every(1_000, () => {
    const { driver } = engine;
    const of = { set: args.setId };
    leading.set(driver === null ? 0 : 1, of);
    streams.set(publisher.size, of);
    if (driver === null) return;
    if (seen.driver !== driver) seen = { driver, ops: 0, batches: 0 };
    ops.add(driver.counts.ops - seen.ops, of);
    batches.add(driver.counts.batches - seen.batches, of);
    seen = { driver, ops: driver.counts.ops, batches: driver.counts.batches };
    lsn.set(driver.commit, of);
    lag.set(driver.projections.lagEntries, of);
    pending.set(driver.state.outbox.pendingCount, of);
    wait.set(driver.queueWaitUs / 1e6, of);
    live.set(driver.state.packets.size, of);
  });
}
