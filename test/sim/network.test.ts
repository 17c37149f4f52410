import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { DecodeError } from '../../lib/core/bytes.ts';
import type { BatchStream, SetNodeStreams, StreamListener } from '../../lib/runtime/stream.ts';
import { messageBytesMax, queueBatchesMax } from '../../lib/runtime/stream.ts';
import type { NetworkWeather } from '../../ops/sim/network.ts';
import { CALM_NETWORK, SimNetwork } from '../../ops/sim/network.ts';
import { SimProcess } from '../../ops/sim/process.ts';
import { Trace } from '../../ops/sim/trace.ts';
import type { CommandBatch__Output } from '../../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch } from '../../proto/gen/hongbao/CommandReplyBatch.ts';

type Replies = BatchStream<CommandReplyBatch>;
type Heard = { numbers: number[]; closed: (string | null)[]; opened: number; drained: number };

/** Two processes and what each of them hears: numbers travel as topology versions. */
class World {
  readonly clock = new ManualClock();
  readonly trace = new Trace(() => this.clock.monotonicMs());
  weather: NetworkWeather = CALM_NETWORK;
  readonly network: SimNetwork;
  readonly access = this.process('access');
  readonly node = this.process('node');
  /** By stream, in the order of opening. */
  readonly served: (Heard & { stream: Replies })[] = [];
  status: SetNodeStreams['status'] = () => ({ setId: 7, lsn: '12' });
  stepDown: SetNodeStreams['stepDown'] = () => Promise.resolve(true);
  /** What the node does with a batch. */
  receive: (batch: CommandBatch__Output, stream: Replies) => void = () => {};

  constructor(seed = 1) {
    this.network = new SimNetwork({
      clock: this.clock,
      chance: new SeededRandom(seed),
      trace: this.trace,
      weather: () => this.weather,
    });
    this.serve(this.node);
  }

  process(name: string): SimProcess {
    return new SimProcess({ name, clock: this.clock });
  }

  serve(process: SimProcess, address = 'a:1'): { stop(): Promise<void> } {
    const silent = { message: () => {}, closed: () => {} };
    return this.network.serve(address, process, {
      commands: (stream) => {
        const { heard, listener } = listen<CommandBatch__Output>((batch) => {
          this.receive(batch, stream);
          return Number(batch.topologyVersion);
        });
        this.served.push(Object.assign(heard, { stream }));
        return listener;
      },
      queries: () => silent,
      events: () => silent,
      status: () => this.status(),
      stepDown: () => this.stepDown(),
      upgrade: ({ rules }) => Promise.resolve({ raised: rules === 3, rules }),
    });
  }

  open(from = this.access, address = 'a:1') {
    const { heard, listener } = listen<{ topologyVersion: string }>((batch) =>
      Number(batch.topologyVersion),
    );
    const stream = this.network.connect(address, from).commands(listener);
    return { stream, heard };
  }

  /** Streams that open at the same time are taken in any order. */
  async opened(from = this.access) {
    const one = this.open(from);
    await this.pass(20);
    return one;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advanceSettled(ms);
  }
}

function listen<In>(numberOf: (batch: In) => number): {
  heard: Heard;
  listener: StreamListener<In>;
} {
  const heard: Heard = { numbers: [], closed: [], opened: 0, drained: 0 };
  const listener = {
    opened: () => void (heard.opened += 1),
    message: (batch: In) => void heard.numbers.push(numberOf(batch)),
    drained: () => void (heard.drained += 1),
    closed: (reason: string | null) => void heard.closed.push(reason),
  };
  return { heard, listener };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe('a simulated stream', () => {
  test('brings what is sent in order both ways, and tells both ends of its end', async () => {
    const world = new World();
    const { stream, heard } = await world.opened();
    expect(heard.opened).toBe(1);
    for (const number of upTo(200)) {
      stream.send({ topologyVersion: number });
      if (number % 10 === 0) await world.pass(1);
      world.served[0]?.stream.send({ topologyVersion: number });
    }
    await world.pass(20);
    const [served] = world.served;
    expect(served?.numbers).toEqual(upTo(200));
    expect(heard.numbers).toEqual(upTo(200));
    stream.end();
    expect([stream.open, stream.send({})]).toEqual([false, false]);
    await world.pass(20);
    expect([served?.closed, heard.closed, heard.opened]).toEqual([[null], [null], 1]);
    expect(world.network.open).toBe(0);
  });

  test('what is received has passed the wire: its types, its defaults, its own bytes', async () => {
    const world = new World();
    const got: CommandBatch__Output[] = [];
    world.receive = (batch) => got.push(batch);
    const { stream } = world.open();
    const body = Buffer.from([1, 2, 3]);
    stream.send({ topologyVersion: 5, body });
    body.fill(9);
    stream.send({});
    await world.pass(20);
    expect(got).toEqual([
      { topologyVersion: '5', body: Buffer.from([1, 2, 3]) },
      { topologyVersion: '0', body: Buffer.alloc(0) },
    ]);
  });

  test('a server that ends lets what it sent arrive', async () => {
    const world = new World();
    const { heard } = world.open();
    await world.pass(20);
    for (const number of upTo(50)) world.served[0]?.stream.send({ topologyVersion: number });
    world.served[0]?.stream.end();
    await world.pass(20);
    expect([heard.numbers, heard.closed]).toEqual([upTo(50), [null]]);
    expect(world.served[0]?.closed).toEqual([null]);
    expect(world.network.open).toBe(0);
  });

  test('an abort closes its own end at once, and the other with its reason', async () => {
    const world = new World();
    const one = await world.opened();
    const two = await world.opened();
    one.stream.abort('mine');
    expect(one.heard.closed).toEqual(['mine']);
    world.served[1]?.stream.abort('theirs');
    expect(world.served[1]?.closed).toEqual(['theirs']);
    await world.pass(20);
    expect(two.heard.closed).toEqual(['theirs']);
    expect(world.served[0]?.closed).toEqual(['cancelled by the peer']);
    expect(world.network.open).toBe(0);
  });

  test('what was sent before an abort arrives from the front, all of it or a part', async () => {
    const parts = new Set<number>();
    for (const seed of upTo(40)) {
      const world = new World(seed);
      const { stream } = world.open();
      await world.pass(20);
      for (const number of upTo(5)) stream.send({ topologyVersion: number });
      stream.abort('enough');
      await world.pass(20);
      const numbers = world.served[0]?.numbers ?? [];
      expect(numbers).toEqual(upTo(numbers.length));
      parts.add(numbers.length);
    }
    expect([...parts].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('bytes that cannot be read close it as malformed', async () => {
    const world = new World();
    world.receive = () => {
      throw new DecodeError('planted');
    };
    const { stream, heard } = world.open();
    stream.send({});
    await world.pass(20);
    expect(heard.closed).toEqual(['malformed: planted']);
    expect(world.served[0]?.closed).toEqual(['malformed: planted']);
  });

  test('a handler that has a bug is not silenced', async () => {
    const world = new World();
    world.receive = () => {
      throw new TypeError('planted');
    };
    world.open().stream.send({});
    await expect(world.pass(20)).rejects.toThrow('planted');
  });

  test('a message that is too long ends it', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    stream.send({ body: Buffer.alloc(messageBytesMax + 1) });
    await world.pass(20);
    expect(heard.closed).toEqual([expect.stringContaining('too long')]);
    expect(world.served[0]?.closed).toHaveLength(1);
  });

  test('a slow reader congests it, and room for so many batches is all there is', async () => {
    const world = new World();
    world.weather = { ...CALM_NETWORK, narrow: 1_000 };
    const { stream, heard } = world.open();
    await world.pass(20);
    world.node.pause();
    let sent = 0;
    while (sent < 1_000 && stream.send({ topologyVersion: sent })) sent += 1;
    // One is under way, 16 wait in the library, the rest here.
    expect([sent, stream.congested]).toEqual([1 + 16 + queueBatchesMax, true]);
    await world.pass(100);
    world.node.resume();
    await world.pass(2_000);
    expect(world.served[0]?.numbers).toEqual(upTo(sent));
    expect([heard.drained > 0, stream.congested, heard.closed]).toEqual([true, false, []]);
  });
});

describe('what breaks a simulated stream', () => {
  test('nobody at the address: it closes soon, and never within the call', async () => {
    const world = new World();
    const { heard, stream } = world.open(world.access, 'b:2');
    expect([heard.closed, stream.open]).toEqual([[], true]);
    await world.pass(20);
    expect([heard.closed, heard.opened]).toEqual([['nobody listens at b:2'], 0]);
  });

  test('weather refuses and breaks, and both ends are told once', async () => {
    const world = new World();
    world.weather = { ...CALM_NETWORK, refused: 500, broken: 20 };
    const all = [];
    for (let opened = 0; opened < 40; opened++) {
      const one = world.open();
      all.push(one);
      for (const number of upTo(40)) {
        one.stream.send({ topologyVersion: number });
        await world.pass(1);
      }
    }
    world.weather = CALM_NETWORK;
    await world.pass(20);
    const refused = all.filter(({ heard }) => heard.opened === 0);
    const broken = all.filter(({ heard }) => heard.closed[0] === 'connection dropped');
    expect([refused.length, broken.length].every((count) => count > 5)).toBe(true);
    expect(all.every(({ heard }) => heard.closed.length <= 1)).toBe(true);
    const gone = world.served.filter(({ closed }) => closed.length > 0);
    expect(gone).toHaveLength(broken.filter(({ heard }) => heard.opened > 0).length);
    for (const { numbers } of world.served) expect(numbers).toEqual(upTo(numbers.length));
  });

  test('a killed server: the caller is told at once, and the next attempt finds its heir', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    world.node.kill();
    stream.send({ topologyVersion: 1 });
    await world.pass(5);
    expect(heard.closed).toEqual(['connection reset by peer']);
    expect(world.served[0]).toMatchObject({ numbers: [], closed: [] });
    const between = world.open();
    await world.pass(20);
    expect(between.heard.closed).toEqual(['nobody listens at a:1']);
    world.serve(world.process('node'));
    const { heard: after } = world.open();
    await world.pass(20);
    expect([after.opened, after.closed]).toEqual([1, []]);
  });

  test('a killed caller: the server is told, and the dead hear nothing', async () => {
    const world = new World();
    const { heard } = world.open();
    await world.pass(20);
    world.served[0]?.stream.send({ topologyVersion: 1 });
    world.access.kill();
    await world.pass(20);
    expect(heard).toMatchObject({ numbers: [], closed: [] });
    expect(world.served[0]?.closed).toEqual(['cancelled by the peer']);
    expect(world.network.open).toBe(0);
  });

  test('a short pause: nothing is read, and then all of it', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    world.node.pause();
    for (const number of upTo(10)) stream.send({ topologyVersion: number });
    await world.pass(2_500);
    expect(world.served[0]?.numbers).toEqual([]);
    world.node.resume();
    expect(world.served[0]?.numbers).toEqual(upTo(10));
    await world.pass(20_000);
    expect(heard.closed).toEqual([]);
  });

  test('a long pause: the other end leaves, and the sleeper learns of it when it wakes', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    world.node.pause();
    stream.send({ topologyVersion: 1 });
    await world.pass(9_000);
    expect(heard.closed).toEqual(['no sign of life']);
    expect(world.served[0]?.closed).toEqual([]);
    world.node.resume();
    await world.pass(20);
    expect(world.served[0]?.closed).toHaveLength(1);
  });

  test('a reset: both ends close at once, others stay', async () => {
    const world = new World();
    const other = world.process('other');
    const one = await world.opened();
    const two = await world.opened();
    const three = await world.opened(other);
    world.network.reset('node', 'access');
    await world.pass(5);
    expect([one, two, three].map(({ heard }) => heard.closed.length)).toEqual([1, 1, 0]);
    expect(world.served.map(({ closed }) => closed.length)).toEqual([1, 1, 0]);
  });

  test('a server that stops ends its streams and refuses new ones', async () => {
    const world = new World();
    const node = world.process('second');
    const server = world.serve(node, 'c:3');
    const { heard } = world.open(world.access, 'c:3');
    await world.pass(20);
    world.served[0]?.stream.send({ topologyVersion: 4 });
    const stopped = server.stop();
    const late = world.open(world.access, 'c:3');
    await world.pass(1_100);
    await stopped;
    expect(heard).toMatchObject({ numbers: [4], closed: [null] });
    expect(late.heard.closed).toEqual(['nobody listens at c:3']);
  });
});

describe('a cut line', () => {
  test('a short cut delays, and nobody is told', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    world.network.cut('access', 'node', { ms: 2_000, way: 'both' });
    stream.send({ topologyVersion: 1 });
    world.served[0]?.stream.send({ topologyVersion: 2 });
    await world.pass(1_999);
    expect([world.served[0]?.numbers, heard.numbers]).toEqual([[], []]);
    await world.pass(300);
    expect([world.served[0]?.numbers, heard.numbers]).toEqual([[1], [2]]);
    await world.pass(10_000);
    expect([world.served[0]?.closed, heard.closed]).toEqual([[], []]);
  });

  test('one way: the other goes on', async () => {
    const world = new World();
    const { stream, heard } = world.open();
    await world.pass(20);
    world.network.cut('access', 'node', { ms: 2_000, way: 'back' });
    stream.send({ topologyVersion: 1 });
    world.served[0]?.stream.send({ topologyVersion: 2 });
    await world.pass(100);
    expect([world.served[0]?.numbers, heard.numbers]).toEqual([[1], []]);
    await world.pass(2_200);
    expect(heard.numbers).toEqual([2]);
  });

  test.each(['both', 'there', 'back'] as const)(
    'a long cut (%s): each end leaves by itself, after 3 to 8 s',
    async (way) => {
      const world = new World();
      const { heard } = world.open();
      await world.pass(20);
      world.network.cut('access', 'node', { ms: 60_000, way });
      await world.pass(2_900);
      expect([heard.closed, world.served[0]?.closed]).toEqual([[], []]);
      await world.pass(5_200);
      expect([heard.closed, world.served[0]?.closed].map((each) => each?.length)).toEqual([1, 1]);
    },
  );

  test('two cuts with a moment between them are not one', async () => {
    const world = new World();
    const { heard, stream } = world.open();
    await world.pass(20);
    for (const number of upTo(8)) {
      world.network.cut('access', 'node', { ms: 2_700, way: 'both' });
      stream.send({ topologyVersion: number });
      await world.pass(3_000);
    }
    expect([heard.closed, world.served[0]?.numbers]).toEqual([[], upTo(8)]);
  });

  test('an attempt waits for the line, one way cut or both', async () => {
    const world = new World();
    world.network.cut('access', 'node', { ms: 2_000, way: 'back' });
    const { heard } = world.open();
    await world.pass(1_900);
    expect([world.served.length, heard.opened, heard.closed]).toEqual([0, 0, []]);
    await world.pass(400);
    expect([world.served.length, heard.opened]).toEqual([1, 1]);
  });

  test('others are not touched', async () => {
    const world = new World();
    world.network.cut('access', 'node', { ms: 60_000, way: 'both' });
    const { heard } = world.open(world.process('other'));
    await world.pass(20);
    expect(heard.opened).toBe(1);
  });
});

describe('a question', () => {
  test('is answered, with types from the wire', async () => {
    const world = new World();
    const client = world.network.connect('a:1', world.access);
    const asked = Promise.all([client.status(), client.stepDown(), client.upgrade({ rules: 3 })]);
    await world.pass(30);
    const [status, stepped, upgraded] = await asked;
    expect(status).toMatchObject({ setId: 7, lsn: '12', role: '', commitLsn: '0' });
    expect([stepped, upgraded]).toEqual([true, { raised: true, rules: 3, reason: '' }]);
    await world.pass(30);
    expect(world.network.open).toBe(0);
  });

  test('has a deadline of its own', async () => {
    const world = new World();
    world.stepDown = () => new Promise(() => {});
    const client = world.network.connect('a:1', world.access);
    const said: string[] = [];
    const note = (error: unknown): void => void said.push(String(error));
    client.stepDown().catch(note);
    world.network.cut('access', 'node', { ms: 2_500, way: 'back' });
    client.status().catch(note);
    await world.pass(1_990);
    expect(said).toEqual([]);
    await world.pass(20);
    expect(said).toEqual(['Error: status: deadline exceeded']);
    await world.pass(8_000);
    expect(said.slice(1)).toEqual(['Error: stepDown: deadline exceeded']);
  });

  test('fails with the server, and with its refusal', async () => {
    const world = new World();
    const client = world.network.connect('a:1', world.access);
    world.stepDown = () => Promise.reject(new Error('planted'));
    const said: string[] = [];
    const note = (error: unknown): void => void said.push(String(error));
    client.stepDown().catch(note);
    await world.pass(30);
    world.stepDown = () => new Promise(() => {});
    client.stepDown().catch(note);
    await world.pass(30);
    world.node.kill();
    await world.pass(30);
    client.status().catch(note);
    await world.pass(30);
    expect(said).toEqual([
      'Error: stepDown: Error: planted',
      'Error: stepDown: connection reset by peer',
      'Error: status: nobody listens at a:1',
    ]);
  });
});

test('the same seed gives the same trace and the same arrivals, another gives others', async () => {
  const run = async (seed: number): Promise<string> => {
    const world = new World(seed);
    world.weather = { slow: 30, broken: 10, refused: 200, narrow: 100 };
    const chance = new SeededRandom(99);
    let current = world.open();
    for (const number of upTo(3_000)) {
      if (!current.stream.open) current = world.open();
      current.stream.send({ topologyVersion: number, body: Buffer.alloc(chance.below(64)) });
      const dice = chance.below(500);
      if (dice === 0) world.network.reset('access', 'node');
      if (dice === 1) world.network.cut('access', 'node', { ms: 400, way: 'there' });
      await world.pass(chance.below(8));
      for (const { stream } of world.served.slice(-1)) stream.send({ topologyVersion: number });
    }
    expect(world.trace.lines.some((line) => / 1000 batches /.test(line))).toBe(true);
    const arrivals = world.served.map(({ numbers, closed }) => [numbers, closed]);
    return `${world.trace.hash()} ${JSON.stringify(arrivals)}`;
  };
  const once = await run(5);
  expect(await run(5)).toBe(once);
  expect(await run(6)).not.toBe(once);
});
