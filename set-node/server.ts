import { serveSetNode } from '../lib/runtime/grpc.ts';
import type { Engine } from './lead/engine.ts';
import type { SetStreamsArgs } from './streams.ts';
import { openSetStreams } from './streams.ts';

export { bootstrapNew } from './log/bootstrap.ts';
export { WrongConfiguration } from './log/configuration.ts';

export type SetServerArgs = SetStreamsArgs & {
  /** `unix:/path` or `host:port`. */
  readonly address: string;
};

export type SetServer = {
  readonly address: string;
  readonly engine: Engine;
  stop(): Promise<void>;
};

/** Serves one Set over gRPC. Rejects when the address is taken by a living process. */
export async function startSetServer(args: SetServerArgs): Promise<SetServer> {
  const set = openSetStreams(args);
  const server = await serveSetNode({ address: args.address, handlers: set.streams });
  set.start();
  return {
    address: server.address,
    engine: set.engine,
    stop: async () => {
      await set.stop();
      await server.stop();
    },
  };
}
