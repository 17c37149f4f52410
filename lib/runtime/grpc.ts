import { rm } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import type {
  CallOptions,
  ChannelOptions,
  ClientDuplexStream,
  ServerDuplexStream,
  ServiceError,
  sendUnaryData,
} from '@grpc/grpc-js';
import {
  Metadata,
  Server,
  ServerCredentials,
  credentials,
  logVerbosity,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { assert } from '../core/assert.ts';
import type { ProtoGrpcType } from '../../proto/gen/hongbao.ts';
import type { SetNodeHandlers } from '../../proto/gen/hongbao/SetNode.ts';
import type { StepDownReply__Output } from '../../proto/gen/hongbao/StepDownReply.ts';
import { hongbao } from './grpc-codec.ts';
import { GrpcStream } from './grpc-stream.ts';
import type { BatchStream, SetNodeClient, SetNodeStreams, StreamListener } from './stream.ts';
import { messageBytesMax } from './stream.ts';

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_send_message_length': messageBytesMax,
  'grpc.max_receive_message_length': messageBytesMax,
  // A peer whose machine vanished sends no reset: 8 s bounds how long that stays unseen.
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  // One batch fits the window, so that a sender does not stop in the middle of it.
  'grpc-node.flow_control_window': 1_048_576,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
};

/** Linux allows 107 bytes of socket path; the shorter limit leaves room for other systems. */
const UNIX_PATH_BYTES_MAX = 100;
/** After this a stopping server no longer waits for callers to go. */
const STOP_GRACE_MS = 1_000;
/** An operator asks several nodes: a dead one is not waited for. */
const STATUS_MS = 2_000;
/** Sealed commands finish first, or the quorum timeout ends them. */
const ACTION_MS = 10_000;

type Done<Answer> = (error: ServiceError | null, answer?: Answer) => void;

// What goes wrong comes back as a value or a status; the library would also print it.
setLogVerbosity(logVerbosity.NONE);

export type SetNodeServer = {
  /** The address as callers use it: with the port that was chosen when 0 was asked for. */
  readonly address: string;
  /** Refuses new streams, ends the open ones, and cuts what is left after one second. */
  stop(): Promise<void>;
};

/**
 * Serves one Set. `address` is `unix:/path` (at most 100 bytes) or `host:port`; port 0 chooses one.
 * Rejects when the address is taken by a living process or cannot be bound.
 */
export async function serveSetNode(args: {
  address: string;
  handlers: SetNodeStreams;
}): Promise<SetNodeServer> {
  const { address, handlers } = args;
  const server = new Server(CHANNEL_OPTIONS);
  const streams = new Set<{ end(): void }>();

  const accept = <In, Out>(
    call: ServerDuplexStream<In, Out>,
    handler: (stream: BatchStream<Out>) => StreamListener<In>,
  ): void => {
    const stream = new GrpcStream<In, Out>({
      duplex: call,
      // An error event becomes the status that the caller gets.
      abort: (reason) => void call.emit('error', new Error(reason)),
    });
    streams.add(stream);
    call.once('close', () => streams.delete(stream));
    stream.listen(handler(stream));
    // Headers now, not with the first reply: they tell the caller that the stream is taken.
    call.sendMetadata(new Metadata());
  };

  const implementation: SetNodeHandlers = {
    Commands: (call) => accept(call, (stream) => handlers.commands(stream)),
    Queries: (call) => accept(call, (stream) => handlers.queries(stream)),
    Events: (call) => accept(call, (stream) => handlers.events(stream)),
    Status: (_call, callback) => callback(null, handlers.status()),
    StepDown: (_call, callback) =>
      void answer(callback, async () => ({ stepped: await handlers.stepDown() })),
    Upgrade: ({ request }, callback) => void answer(callback, () => handlers.upgrade(request)),
  };
  server.addService(hongbao().SetNode.service, implementation);
  await removeStaleSocket(address);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Error(`${address} cannot be served: ${error.message}`, { cause: error }));
    });
  });

  return {
    address: address.startsWith('unix:') ? address : address.replace(/:0$/, `:${port}`),
    stop: () =>
      new Promise((resolve) => {
        for (const stream of streams) stream.end();
        const cut = setTimeout(() => server.forceShutdown(), STOP_GRACE_MS);
        // Its only error is "not running", which is what was asked for.
        server.tryShutdown(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}

async function answer<Reply>(
  callback: sendUnaryData<Reply>,
  make: () => Promise<Reply>,
): Promise<void> {
  try {
    callback(null, await make());
  } catch (error) {
    callback(new Error(String(error)));
  }
}

/** Opens nothing yet: each stream makes a connection of its own, so that a long read delays no grab. */
export function openSetNode(address: string): SetNodeClient {
  assertAddress(address);
  const streams = new Set<{ abort(reason: string): void }>();

  type Client = InstanceType<ProtoGrpcType['hongbao']['SetNode']>;
  const start = <In, Out>(
    open: (client: Client) => ClientDuplexStream<Out, In>,
    listener: StreamListener<In>,
  ): BatchStream<Out> => {
    const client = new (hongbao().SetNode)(address, credentials.createInsecure(), {
      ...CHANNEL_OPTIONS,
      // Shared subchannels keep a back-off of their own; the caller's is the only one here.
      'grpc.use_local_subchannel_pool': 1,
    });
    const call = open(client);
    const stream = new GrpcStream<In, Out>({ duplex: call, abort: () => call.cancel() });
    streams.add(stream);
    stream.listen({
      opened: () => listener.opened?.(),
      message: (batch) => listener.message(batch),
      drained: () => listener.drained?.(),
      closed: (reason) => {
        streams.delete(stream);
        client.close();
        listener.closed(reason);
      },
    });
    call.on('metadata', () => stream.opened());
    return stream;
  };

  /** One question on a connection of its own. */
  const ask = <Answer>(
    deadlineMs: number,
    call: (client: Client, options: CallOptions, done: Done<Answer>) => unknown,
  ): Promise<Answer> => {
    const client = new (hongbao().SetNode)(address, credentials.createInsecure(), {
      ...CHANNEL_OPTIONS,
      'grpc.use_local_subchannel_pool': 1,
    });
    const answered = new Promise<Answer>((resolve, reject) => {
      call(client, { deadline: Date.now() + deadlineMs }, (error, answer) => {
        if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
        else resolve(answer);
      });
    });
    return answered.finally(() => client.close());
  };

  return {
    status: () => ask(STATUS_MS, (client, options, done) => client.status({}, options, done)),
    stepDown: async () => {
      const { stepped } = await ask<StepDownReply__Output>(ACTION_MS, (client, options, done) =>
        client.stepDown({}, options, done),
      );
      return stepped;
    },
    upgrade: (upgrade) =>
      ask(ACTION_MS, (client, options, done) => client.upgrade(upgrade, options, done)),
    commands: (listener) => start((client) => client.commands(), listener),
    queries: (listener) => start((client) => client.queries(), listener),
    events: (listener) => start((client) => client.events(), listener),
    close: () => {
      for (const stream of streams) stream.abort('client closes');
    },
  };
}

function assertAddress(address: string): void {
  const path = unixPath(address);
  if (path === null) return;
  assert(Buffer.byteLength(path) <= UNIX_PATH_BYTES_MAX, 'a socket path has at most 100 bytes');
}

function unixPath(address: string): string | null {
  return address.startsWith('unix:') ? address.slice('unix:'.length) : null;
}

/** A killed process leaves its socket file, and bind() would refuse it; a living one is not touched. */
async function removeStaleSocket(address: string): Promise<void> {
  assertAddress(address);
  const path = unixPath(address);
  if (path === null) return;
  const code = await new Promise<string>((resolve) => {
    const socket = connectSocket(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('alive');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
  if (code === 'ECONNREFUSED') await rm(path, { force: true });
}
