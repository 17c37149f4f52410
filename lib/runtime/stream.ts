import type { CommandBatch, CommandBatch__Output } from '../../proto/gen/hongbao/CommandBatch.ts';
import type {
  CommandReplyBatch,
  CommandReplyBatch__Output,
} from '../../proto/gen/hongbao/CommandReplyBatch.ts';
import type { EventBatch, EventBatch__Output } from '../../proto/gen/hongbao/EventBatch.ts';
import type {
  EventInterest,
  EventInterest__Output,
} from '../../proto/gen/hongbao/EventInterest.ts';
import type { NodeStatus, NodeStatus__Output } from '../../proto/gen/hongbao/NodeStatus.ts';
import type { QueryBatch, QueryBatch__Output } from '../../proto/gen/hongbao/QueryBatch.ts';
import type {
  QueryReplyBatch,
  QueryReplyBatch__Output,
} from '../../proto/gen/hongbao/QueryReplyBatch.ts';
import type { UpgradeAsk, UpgradeAsk__Output } from '../../proto/gen/hongbao/UpgradeAsk.ts';
import type { UpgradeReply, UpgradeReply__Output } from '../../proto/gen/hongbao/UpgradeReply.ts';

/** The narrow waist between a tier and its transport: our end of one two-way stream of batches. */
export interface BatchStream<Out> {
  /**
   * Hands one batch over. false: the stream is closed, or `queueBatchesMax` batches already wait
   * for a slow peer; the batch was then dropped here, and the peer never sees any of it.
   */
  send(batch: Out): boolean;
  /** The peer is slower than we are: what is sent now waits here. `drained` tells when it is over. */
  readonly congested: boolean;
  /** false from the moment that `closed` was, or will be, reported. */
  readonly open: boolean;
  /** Lets what was sent arrive, then closes. */
  end(): void;
  /** Closes at once; what was sent may or may not arrive. `reason` is for the log of the peer. */
  abort(reason: string): void;
}

/** What the other end does. Callbacks come one at a time; after `closed` there are none. */
export interface StreamListener<In> {
  /** Client only: the server has taken the stream. What is sent before may never be written. */
  opened?(): void;
  /** A thrown DecodeError closes this stream as `malformed`; anything else is a bug and stays one. */
  message(batch: In): void;
  /** The peer has caught up after `congested`. */
  drained?(): void;
  /** Exactly once. `reason` is null when the peer closed in peace. */
  closed(reason: string | null): void;
}

/** Batches that wait in one stream for a slow peer; with batches of 256 KiB that is 16 MiB. */
export const queueBatchesMax = 64;
/** Longest message on any stream: a batch is 256 KiB, a page of history far less. */
export const messageBytesMax = 4 * 1_048_576;

/** One Set's server side: a function per stream, called for each one that a caller opens. */
export interface SetNodeStreams {
  status(): NodeStatus;
  /** false: this node does not lead. Resolves when a standby may take over. */
  stepDown(): Promise<boolean>;
  /** Raises the Set's rules; resolves when that is committed, or with the reason why not. */
  upgrade(ask: UpgradeAsk__Output): Promise<UpgradeReply>;
  commands(stream: BatchStream<CommandReplyBatch>): StreamListener<CommandBatch__Output>;
  queries(stream: BatchStream<QueryReplyBatch>): StreamListener<QueryBatch__Output>;
  events(stream: BatchStream<EventBatch>): StreamListener<EventInterest__Output>;
}

/** One Set's client side. Each call is one attempt on a connection of its own; none is retried. */
export interface SetNodeClient {
  commands(listener: StreamListener<CommandReplyBatch__Output>): BatchStream<CommandBatch>;
  queries(listener: StreamListener<QueryReplyBatch__Output>): BatchStream<QueryBatch>;
  events(listener: StreamListener<EventBatch__Output>): BatchStream<EventInterest>;
  /** What the node is to its Set. Rejects when it does not answer within 2 s. */
  status(): Promise<NodeStatus__Output>;
  /** See {@link SetNodeStreams}. Rejects when it does not answer within 10 s. */
  stepDown(): Promise<boolean>;
  /** See {@link SetNodeStreams}. Rejects when it does not answer within 10 s: perhaps it was done. */
  upgrade(ask: UpgradeAsk): Promise<UpgradeReply__Output>;
  /** Aborts every stream. */
  close(): void;
}
