import type { MethodCodec, SetNodeCodecs } from '../../lib/runtime/grpc-codec.ts';
import type {
  BatchStream,
  SetNodeClient,
  SetNodeStreams,
  StreamListener,
} from '../../lib/runtime/stream.ts';
import type { SimProcess } from './process.ts';

/** As in lib/runtime/grpc.ts. */
const STATUS_MS = 2_000;
const ACTION_MS = 10_000;

/** What is needed to open one call, at both of its ends. */
export type Opening<Ask, AskRead, Reply, ReplyRead> = {
  readonly name: string;
  readonly codec: MethodCodec<Ask, AskRead, Reply, ReplyRead>;
  /** The server's side of it. */
  readonly handler: (
    streams: SetNodeStreams,
    stream: BatchStream<Reply>,
  ) => StreamListener<AskRead>;
  readonly listener: StreamListener<ReplyRead>;
};

/** Opens one call to one address. */
export type OpenCall = <Ask, AskRead, Reply, ReplyRead>(
  opening: Opening<Ask, AskRead, Reply, ReplyRead>,
) => BatchStream<Ask>;

/** What `openSetNode` gives over gRPC, over whatever `open` opens. `from` has the deadlines. */
export function clientOver(args: {
  open: OpenCall;
  codecs: SetNodeCodecs;
  from: SimProcess;
}): SetNodeClient {
  const { commands, queries, events, status, stepDown, upgrade } = args.codecs;
  const streams = new Set<{ abort(reason: string): void }>();
  const start: OpenCall = (opening) => {
    const { listener } = opening;
    const stream = args.open({
      ...opening,
      listener: {
        opened: () => listener.opened?.(),
        message: (batch) => listener.message(batch),
        drained: () => listener.drained?.(),
        closed: (reason) => {
          streams.delete(stream);
          listener.closed(reason);
        },
      },
    });
    streams.add(stream);
    return stream;
  };
  return {
    commands: (listener) =>
      start({
        name: 'commands',
        codec: commands,
        handler: (server, stream) => server.commands(stream),
        listener,
      }),
    queries: (listener) =>
      start({
        name: 'queries',
        codec: queries,
        handler: (server, stream) => server.queries(stream),
        listener,
      }),
    events: (listener) =>
      start({
        name: 'events',
        codec: events,
        handler: (server, stream) => server.events(stream),
        listener,
      }),
    status: () =>
      ask({
        ...args,
        name: 'status',
        codec: status,
        deadlineMs: STATUS_MS,
        request: {},
        answer: async (server) => server.status(),
      }),
    stepDown: async () => {
      const { stepped } = await ask({
        ...args,
        name: 'stepDown',
        codec: stepDown,
        deadlineMs: ACTION_MS,
        request: {},
        answer: async (server) => ({ stepped: await server.stepDown() }),
      });
      return stepped;
    },
    upgrade: (request) =>
      ask({
        ...args,
        name: 'upgrade',
        codec: upgrade,
        deadlineMs: ACTION_MS,
        request,
        answer: (server, wish) => server.upgrade(wish),
      }),
    close: () => {
      for (const stream of streams) stream.abort('client closes');
    },
  };
}

/** One message there, one back, and not for ever. */
function ask<Ask, AskRead, Reply, ReplyRead>(question: {
  open: OpenCall;
  from: SimProcess;
  name: string;
  codec: MethodCodec<Ask, AskRead, Reply, ReplyRead>;
  deadlineMs: number;
  request: Ask;
  answer: (streams: SetNodeStreams, ask: AskRead) => Promise<Reply>;
}): Promise<ReplyRead> {
  const { open, from, name, codec, deadlineMs, request, answer } = question;
  return new Promise((resolve, reject) => {
    const stream = open({
      name,
      codec,
      handler: (streams, replies) => ({
        message: (asked) => {
          answer(streams, asked).then(
            (reply) => {
              replies.send(reply);
              replies.end();
            },
            (error: unknown) => replies.abort(String(error)),
          );
        },
        closed: () => {},
      }),
      listener: {
        message: resolve,
        closed: (reason) => {
          late.cancel();
          reject(new Error(`${name}: ${reason ?? 'no answer'}`));
        },
      },
    });
    const late = from.clock.after(deadlineMs, () => stream.abort('deadline exceeded'));
    stream.send(request);
  });
}
