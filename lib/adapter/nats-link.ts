import type { JetStreamClient, JetStreamManager, NatsConnection, StreamConfig } from 'nats';
import {
  connect,
  DiscardPolicy,
  Events,
  nanos,
  NatsError,
  RetentionPolicy,
  StorageType,
} from 'nats';
import type { Clock } from '../port/clock.ts';
import { sleep } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import type { Random } from '../port/random.ts';

const CONNECT_WITHIN_MS = 2_000;
const REQUEST_WITHIN_MS = 2_000;
/** A server that stands still is noticed after two of these. */
const PING_MS = 2_000;
const RETRY_FIRST_MS = 50;
/** Spread over this much, so that a server that is back is not run over. */
const RETRY_JITTER_MS = 450;
/** Server's code: a stream of this name is there with another configuration. */
const STREAM_DIFFERS = 10_058;
const MIB = 1_024 * 1_024;
const STREAM_LIMITS = {
  /** The outboxes were looked into long before: an older bell is worth nothing. */
  ageMs: 30_000,
  bytes: 64 * MIB,
  messages: 100_000,
} as const;

/** A connection over which the stream is there. */
export type Up = { readonly jetStream: JetStreamClient; readonly manager: JetStreamManager };

type LinkArgs = {
  readonly url: string;
  readonly stream: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called when {@link NatsLink.up} becomes something, and when it becomes null. */
  readonly changed: (up: Up | null) => void;
};

/**
 * Keeps one connection to NATS and one stream on it, for ever: connects again with jitter, and makes
 * the stream where it is missing. Nobody ever waits for it.
 */
export class NatsLink {
  readonly #args: LinkArgs;
  #connection: NatsConnection | null = null;
  #up: Up | null = null;
  /** A loop that makes the stream is at work. */
  #opening = false;
  #isOnline = false;
  #closed = false;
  /** One line for an outage, however long it is; the first connection is no end of one. */
  #told: 'nothing' | 'away' | 'up' = 'nothing';
  #waiting: (() => void)[] = [];

  constructor(args: LinkArgs) {
    this.#args = args;
    void this.#run();
  }

  get up(): Up | null {
    return this.#up;
  }

  /** Something that the stream should have answered was not answered: looks whether it is there. */
  doubt(up: Up): void {
    if (this.#up !== up) return;
    this.#fall('stream');
    void this.#open();
  }

  /** The next connection with its stream; null when it is closed before. */
  async next(): Promise<Up | null> {
    while (this.#up === null && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#up;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#up = null;
    this.#wake();
    await this.#connection?.close().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { url, clock } = this.#args;
    while (!this.#closed) {
      try {
        const connection = await connect({
          servers: url,
          timeout: CONNECT_WITHIN_MS,
          maxReconnectAttempts: -1,
          reconnectDelayHandler: () => this.#delayMs(),
          pingInterval: PING_MS,
          maxPingOut: 2,
        });
        this.#connection = connection;
        // Closed while it was on its way.
        if (this.#closed) return await connection.close();
        void this.#watch(connection);
        this.#isOnline = true;
        void this.#open();
        // Ends only by our own hand, or where the server will not have us.
        const error = await connection.closed();
        this.#isOnline = false;
        this.#fall(error?.message ?? 'closed');
      } catch (error) {
        this.#fall(String(error));
      }
      if (!this.#closed) await sleep(clock, this.#delayMs());
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === Events.Disconnect) {
        this.#isOnline = false;
        this.#fall('disconnected');
      } else if (type === Events.Reconnect) {
        this.#isOnline = true;
        void this.#open();
      }
    }
  }

  /** Makes the stream, again and again while the connection lasts. */
  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    const { clock, stream } = this.#args;
    while (!this.#closed && this.#isOnline && this.#up === null) {
      const connection = this.#connection;
      if (connection === null) break;
      try {
        const options = { timeout: REQUEST_WITHIN_MS, checkAPI: false };
        const manager = await connection.jetstreamManager(options);
        await makeStream(manager, stream);
        if (this.#closed || !this.#isOnline) break;
        this.#rise({ jetStream: connection.jetstream({ timeout: REQUEST_WITHIN_MS }), manager });
      } catch (error) {
        this.#fall(String(error));
        await sleep(clock, this.#delayMs());
      }
    }
    this.#opening = false;
  }

  #rise(up: Up): void {
    if (this.#told === 'away') this.#args.log.info('bus_back');
    this.#told = 'up';
    this.#up = up;
    this.#args.changed(up);
    this.#wake();
  }

  #fall(reason: string): void {
    if (this.#closed) return;
    if (this.#told !== 'away') this.#args.log.warn('bus_away', { reason });
    this.#told = 'away';
    this.#up = null;
    this.#args.changed(null);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #delayMs(): number {
    return RETRY_FIRST_MS + this.#args.random.below(RETRY_JITTER_MS);
  }
}

/** Memory only: a bell that a stopped server forgot is found by the poll like any other. */
async function makeStream(manager: JetStreamManager, name: string): Promise<void> {
  const config: Partial<StreamConfig> & { name: string } = {
    name,
    subjects: [`${name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.Memory,
    discard: DiscardPolicy.Old,
    max_age: nanos(STREAM_LIMITS.ageMs),
    max_bytes: STREAM_LIMITS.bytes,
    max_msgs: STREAM_LIMITS.messages,
    num_replicas: 1,
  };
  try {
    await manager.streams.add(config);
  } catch (error) {
    const differs = error instanceof NatsError && error.api_error?.err_code === STREAM_DIFFERS;
    if (!differs) throw error;
    // Another build made it.
    await manager.streams.update(name, config);
  }
}
