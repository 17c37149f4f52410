import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType } from '../../proto/gen/hongbao.ts';
import type { SetNodeDefinition } from '../../proto/gen/hongbao/SetNode.ts';

const PROTO_FILE = fileURLToPath(new URL('../../proto/hongbao.proto', import.meta.url));

/** Same choices as proto/gen was made with: the types are only true with these. */
const LOADER_OPTIONS = { longs: String, enums: String, defaults: true, oneofs: true } as const;

let loaded: ProtoGrpcType['hongbao'] | undefined;

/** The language of the tiers, read from its file once. */
export function hongbao(): ProtoGrpcType['hongbao'] {
  // The loader's own type knows nothing of the file; proto/gen is generated from that very file.
  loaded ??= (
    loadPackageDefinition(loadSync(PROTO_FILE, LOADER_OPTIONS)) as unknown as ProtoGrpcType
  ).hongbao;
  return loaded;
}

/** One kind of message: what comes out has defaults, longs as strings, and bytes of its own. */
export type MessageCodec<Sent, Received> = {
  readonly encode: (message: Sent) => Buffer;
  /** Throws on bytes that are not such a message. */
  readonly decode: (bytes: Buffer) => Received;
};

/** What one method of the service says and hears. */
export type MethodCodec<Ask, AskReceived, Reply, ReplyReceived> = {
  readonly ask: MessageCodec<Ask, AskReceived>;
  readonly reply: MessageCodec<Reply, ReplyReceived>;
};

type CodecOf<Method> =
  Method extends MethodDefinition<infer Ask, infer Reply, infer AskReceived, infer ReplyReceived>
    ? MethodCodec<Ask, AskReceived, Reply, ReplyReceived>
    : never;

export type SetNodeCodecs = {
  readonly commands: CodecOf<SetNodeDefinition['Commands']>;
  readonly queries: CodecOf<SetNodeDefinition['Queries']>;
  readonly events: CodecOf<SetNodeDefinition['Events']>;
  readonly status: CodecOf<SetNodeDefinition['Status']>;
  readonly stepDown: CodecOf<SetNodeDefinition['StepDown']>;
  readonly upgrade: CodecOf<SetNodeDefinition['Upgrade']>;
};

/** The wire format without a wire, for what carries messages in another way (the simulator). */
export function setNodeCodecs(): SetNodeCodecs {
  const { service } = hongbao().SetNode;
  return {
    commands: codecOf(service.Commands),
    queries: codecOf(service.Queries),
    events: codecOf(service.Events),
    status: codecOf(service.Status),
    stepDown: codecOf(service.StepDown),
    upgrade: codecOf(service.Upgrade),
  };
}

function codecOf<Ask, Reply, AskReceived, ReplyReceived>(
  method: MethodDefinition<Ask, Reply, AskReceived, ReplyReceived>,
): MethodCodec<Ask, AskReceived, Reply, ReplyReceived> {
  return {
    ask: { encode: method.requestSerialize, decode: method.requestDeserialize },
    reply: { encode: method.responseSerialize, decode: method.responseDeserialize },
  };
}
