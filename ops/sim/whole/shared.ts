import type { ManualClock } from '../../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Crypto } from '../../../lib/port/crypto.ts';
import type { Log } from '../../../lib/port/log.ts';
import type { Topology } from '../../../router/topology.ts';
import type { SimNetwork } from '../network.ts';
import type { Weather } from '../replica-lines.ts';
import type { SharedBus } from '../sim-bus.ts';
import type { SharedCache } from '../sim-cache.ts';
import type { SharedGateway } from '../sim-gateway.ts';
import type { Trace } from '../trace.ts';
import type { LineWeather } from './line.ts';

/** What all parts of one simulated cluster share. */
export type Shared = {
  readonly clock: ManualClock;
  readonly chance: SeededRandom;
  readonly trace: Trace;
  readonly crypto: Crypto;
  readonly topology: Topology;
  readonly network: SimNetwork;
  readonly bus: SharedBus;
  readonly cache: SharedCache;
  readonly payments: SharedGateway;
  /** On the lines between set-nodes and replicas. */
  readonly weather: () => Weather;
  /** On the lines between people and access nodes. */
  readonly sockets: () => LineWeather;
  /** Hears every line of every log, after the trace has noted it. */
  readonly onLog: (process: string, event: string, fields: unknown) => void;
};

/** The log of one process: every line is in the trace. */
export function logOf(shared: Shared, process: string): Log {
  const note = (event: string, fields: unknown = {}): void => {
    shared.trace.note(`${process} ${event} ${JSON.stringify(fields)}`);
    shared.onLog(process, event, fields);
  };
  return { info: note, warn: note, error: note };
}

/** Chance of one process: what it draws changes nobody else's. */
export function randomOf({ chance }: Shared): SeededRandom {
  return new SeededRandom(chance.below(2 ** 31));
}
