/** The bus over a real nats-server: the contract, and what becomes of it when the server does not answer. */
import type { JetStreamManager, NatsConnection } from 'nats';
import { AckPolicy, connect, DeliverPolicy } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BUS_PAYLOAD_MAX } from '../../lib/adapter/bus-subject.ts';
import { NatsBus } from '../../lib/adapter/nats-bus.ts';
import { decodeFrame, encodeFrame, fitting } from '../../lib/adapter/nats-frame.ts';
import { OUTGOING_RECORDS_MAX } from '../../lib/adapter/nats-outgoing.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import { createMetrics } from '../../lib/runtime/metrics.ts';
import { Nats } from '../../ops/rig/nats.ts';
import { Rig } from '../../ops/rig/rig.ts';
import { busContract } from './bus.contract.ts';

const BELL = Uint8Array.of(7);
/** Every byte of what the first process of a cluster calls itself. */
const NAME = 'ab';
const WITHIN_MS = 10_000;

let rig: Rig;
let server: Nats;
let connection: NatsConnection;
let manager: JetStreamManager;
let clusters = 0;
const clock: Clock = new SystemClock();

/** Until `is`; fails after 10 s. */
async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  const lateMs = clock.monotonicMs() + WITHIN_MS;
  while (!(await is())) {
    expect(clock.monotonicMs(), 'it takes too long').toBeLessThan(lateMs);
    await sleep(clock, 5);
  }
}

/** A bus of its own cluster: nothing of another test is heard. */
class World {
  readonly cluster = `t${++clusters}`;
  readonly lines: string[] = [];
  readonly metrics = createMetrics();
  readonly bus: NatsBus;
  readonly buses: NatsBus[] = [];

  constructor(url = server.url) {
    this.bus = this.join(url);
  }

  /** One more process of the cluster; its metrics are those of the first. */
  join(url = server.url): NatsBus {
    const note = (event: string): void => void this.lines.push(event);
    const log: Log = { info: note, warn: note, error: note };
    const metrics = this.buses.length === 0 ? this.metrics : createMetrics();
    const { cluster } = this;
    const system = new SystemRandom();
    const random =
      this.buses.length > 0
        ? system
        : { below: (n: number) => system.below(n), bytes: (size: number) => named(size) };
    const bus = new NatsBus({ url, cluster, clock, random, log, metrics });
    this.buses.push(bus);
    return bus;
  }

  /** Everything said has been heard: no consumer of the stream lacks or holds anything. */
  readonly settle = async (): Promise<void> => {
    await sleep(clock, 15);
    await until(async () => {
      const consumers = await manager.consumers.list(`hongbao_${this.cluster}`).next();
      return consumers.every((one) => one.num_pending === 0 && one.num_ack_pending === 0);
    });
  };

  async metric(name: string): Promise<number> {
    const line = new RegExp(`^${name} (\\S+)$`, 'm').exec(await this.metrics.expose());
    return Number(line?.[1] ?? Number.NaN);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.buses.map((bus) => bus.close()));
  }
}

const worlds: World[] = [];
function world(url?: string): World {
  const made = new World(url);
  worlds.push(made);
  return made;
}

beforeAll(async () => {
  rig = await Rig.open();
  server = await Nats.start({ rig, name: 'bus' });
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1 });
  manager = await connection.jetstreamManager();
}, 120_000);
afterEach(async () => {
  for (const each of worlds.splice(0)) await each.dispose();
});
afterAll(async () => {
  await connection.close();
  await rig.close();
});

busContract('NATS', async () => {
  const made = new World();
  await until(() => made.bus.isConnected);
  return made;
});

describe('several processes', () => {
  test('[BU5a] each of them hears what any of them says; another cluster does not', async () => {
    const one = world();
    const stranger = world();
    const other = one.join();
    const heard: string[] = [];
    await one.bus.subscribe('outbox.>', (subject) => heard.push(`one ${subject}`));
    await other.subscribe('outbox.>', (subject) => heard.push(`other ${subject}`));
    await stranger.bus.subscribe('outbox.>', () => heard.push('stranger'));
    await other.publish('outbox.3', BELL);
    await one.settle();
    expect(heard.toSorted()).toEqual(['one outbox.3', 'other outbox.3']);
  });

  test('[BU5b] a thousand records are a few messages, in order, and acknowledged', async () => {
    const { bus, cluster, settle, metric } = bound(world());
    const heard: number[] = [];
    await bus.subscribe('many.>', (_, payload) =>
      heard.push((payload[0] ?? 0) * 256 + payload[1]!),
    );
    for (let n = 0; n < 1_000; n++) await bus.publish('many.x', Uint8Array.of(n >> 8, n & 255));
    await until(async () => (await metric('hongbao_bus_published_total')) === 1_000);
    await settle();
    expect(heard).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    const { state } = await manager.streams.info(`hongbao_${cluster}`);
    expect(state.messages).toBeLessThan(20);
  });
});

describe('a server that is away', () => {
  test('[BU5c] nobody waits, and bells ring again when it is back without its memory', async () => {
    const one = world();
    const heard: string[] = [];
    await one.bus.subscribe('outbox.>', (subject) => heard.push(subject));
    await server.kill();
    await until(() => !one.bus.isConnected);
    expect(await one.metric('hongbao_bus_connected')).toBe(0);
    const beforeMs = clock.monotonicMs();
    await one.bus.publish('outbox.1', BELL);
    await one.bus.subscribe('outbox.2', () => undefined);
    expect(clock.monotonicMs() - beforeMs).toBeLessThan(50);
    await server.start();
    // The stream was in its memory: it is made again.
    await until(() => one.bus.isConnected);
    await until(async () => {
      await one.bus.publish('outbox.2', BELL);
      return heard.includes('outbox.2');
    });
    expect(one.lines).toEqual(['bus_away', 'bus_back']);
  });

  test('[BU5d] it holds 10,000 records, then drops the oldest and counts them', async () => {
    const one = world('nats://127.0.0.1:1');
    for (let n = 0; n < OUTGOING_RECORDS_MAX + 3; n++) await one.bus.publish('a', BELL);
    expect(await one.metric('hongbao_bus_dropped_total')).toBe(3);
    await sleep(clock, 300);
    expect(one.lines).toEqual(['bus_away']);
  });

  test('[BU5e] one that stands still costs its time-out, then bells ring again', async () => {
    const one = world();
    const heard: string[] = [];
    await one.bus.subscribe('a', (subject) => heard.push(subject));
    await server.pause();
    try {
      await one.bus.publish('a', BELL);
      await until(() => !one.bus.isConnected);
    } finally {
      server.resume();
    }
    await until(async () => {
      await one.bus.publish('a', BELL);
      return heard.length > 0;
    });
    expect(one.lines).toEqual(['bus_away', 'bus_back']);
  });

  test('[BU5f] a stream that was deleted is made again, and heard', async () => {
    const one = world();
    const heard: string[] = [];
    await one.bus.subscribe('a', (subject) => heard.push(subject));
    await manager.streams.delete(`hongbao_${one.cluster}`);
    await until(async () => {
      await one.bus.publish('a', BELL);
      return heard.length > 0;
    });
    // Also a consumer alone.
    const [consumer] = await manager.consumers.list(`hongbao_${one.cluster}`).next();
    await manager.consumers.delete(`hongbao_${one.cluster}`, consumer?.name ?? '');
    heard.length = 0;
    await until(async () => {
      await one.bus.publish('a', BELL);
      return heard.length > 0;
    });
    expect(one.bus.isConnected).toBe(true);
  });
});

describe('messages of strangers', () => {
  test('[BU5g] what is no frame is logged and acknowledged; the next is heard', async () => {
    const one = world();
    const heard: string[] = [];
    await one.bus.subscribe('a', (subject) => heard.push(subject));
    connection.publish(`hongbao_${one.cluster}.a`, Uint8Array.of(9, 9, 9));
    await one.bus.publish('a', BELL);
    await one.settle();
    expect(heard).toEqual(['a']);
    expect(one.lines).toEqual(['bus_unreadable']);
  });

  test('[BU5h] what nobody acknowledged comes again, and is counted', async () => {
    const one = world();
    await until(() => one.bus.isConnected);
    const name = `${NAME.repeat(8)}_a`;
    const stream = `hongbao_${one.cluster}`;
    await manager.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.New,
      filter_subject: `${stream}.a`,
    });
    connection.publish(`${stream}.a`, encodeFrame([{ subject: 'a', payload: BELL }]));
    // Somebody who takes it and does not bear it.
    const consumer = await connection.jetstream().consumers.get(stream, name);
    (await consumer.next())?.nak();
    const heard: string[] = [];
    await one.bus.subscribe('a', (subject) => heard.push(subject));
    await one.settle();
    expect(heard).toEqual(['a']);
    expect(await one.metric('hongbao_bus_redelivered_total')).toBe(1);
    const [info] = await manager.consumers.list(stream).next();
    expect(info?.config).toMatchObject({ name, ack_policy: 'explicit' });
    await one.dispose();
    expect(await manager.consumers.list(stream).next()).toEqual([]);
  });
});

describe('frames', () => {
  test('hold at least one record, and at most 64 KiB', () => {
    const big = { subject: 'a', payload: new Uint8Array(BUS_PAYLOAD_MAX) };
    const small = { subject: 'a.b', payload: BELL };
    expect(fitting([big, big])).toBe(1);
    expect(fitting([small, big, small])).toBe(3);
    expect(encodeFrame([small, big, small]).length).toBeLessThanOrEqual(65_536);
    expect(decodeFrame(encodeFrame([small, big]))).toEqual([small, big]);
  });
});

function named(size: number): Uint8Array {
  return new Uint8Array(size).fill(Number.parseInt(NAME, 16));
}

/** Methods that may be taken apart. */
function bound(made: World) {
  const { bus, cluster, settle } = made;
  return { bus, cluster, settle, metric: (name: string) => made.metric(name) };
}
