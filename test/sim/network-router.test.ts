import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import { decodeCommands, encodeReplies } from '../../lib/core/batch.ts';
import type { Command } from '../../lib/core/command.ts';
import { decodeCommand } from '../../lib/core/command.ts';
import { asId } from '../../lib/core/ids.ts';
import { encodeOutcome, refuse } from '../../lib/core/outcome.ts';
import { cents, setId, timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { SetNodeStreams } from '../../lib/runtime/stream.ts';
import type { NetworkWeather } from '../../ops/sim/network.ts';
import { CALM_NETWORK, SimNetwork } from '../../ops/sim/network.ts';
import { SimProcess } from '../../ops/sim/process.ts';
import { Trace } from '../../ops/sim/trace.ts';
import type { CommandAnswer } from '../../router/api.ts';
import { createRouter } from '../../router/router.ts';
import { firstTopology } from '../../router/topology.ts';

const SET = setId(0);
const ALICE = parseUserId('alice')!;
const SIGN_MS = 500;

/** One of two nodes of a Set that has no memory but this: who leads, and what was done. */
class StubNode {
  readonly process: SimProcess;
  readonly done: string[];
  /** 0: it does not lead. */
  epoch = 0;
  leaderEpoch = 0;
  readonly #tellers = new Set<() => void>();

  constructor(process: SimProcess, done: string[]) {
    this.process = process;
    this.done = done;
    process.clock.every(SIGN_MS, () => this.tell());
  }

  tell(): void {
    for (const tell of this.#tellers) tell();
  }

  get streams(): SetNodeStreams {
    return {
      status: () => ({ setId: SET, epoch: this.epoch }),
      stepDown: () => Promise.resolve(false),
      upgrade: () => Promise.resolve({}),
      commands: (stream) => ({
        ...this.#told(() => stream.send({ ...this.#standing(), body: Buffer.alloc(0) })),
        message: ({ body }) => {
          const replies = decodeCommands(body).map(({ tag, command }) => {
            const outcome = this.#do(decodeCommand(command));
            return { tag, lsn: this.epoch === 0 ? 0 : this.done.length, outcome };
          });
          stream.send({ ...this.#standing(), body: encodeReplies(replies) });
        },
      }),
      queries: (stream) => ({
        ...this.#told(() => stream.send({ ...this.#standing(), replies: [] })),
        message: ({ queries }) => {
          const replies = queries.map(({ tag }) => ({
            tag,
            status: this.epoch === 0 ? 'set_unavailable' : 'ok',
            money: { lsn: 5, walletsCents: -7 },
          }));
          stream.send({ ...this.#standing(), replies });
        },
      }),
      events: (stream) => {
        const tell = (): void => void stream.send({ ...this.#standing(), firstNumber: 1 });
        return { ...this.#told(tell), message: tell };
      },
    };
  }

  #standing(): { setId: number; epoch: number; leaderEpoch: number } {
    return { setId: SET, epoch: this.epoch, leaderEpoch: this.leaderEpoch };
  }

  #told(tell: () => void): { closed(): void } {
    this.#tellers.add(tell);
    this.process.clock.soon(tell);
    return { closed: () => void this.#tellers.delete(tell) };
  }

  #do(command: Command): Uint8Array {
    if (this.epoch === 0) return encodeOutcome(refuse(command.type, 'set_unavailable'));
    if (command.type !== 'packet.open') throw new Error('the test opens packets only');
    this.done.push(String(command.packetId));
    const amountCents = cents(Number(command.packetId));
    const rest = { order: 1, left: 0, at: timeMs(5), seed: new Uint8Array() };
    return encodeOutcome({ type: 'packet.open', status: 'ok', amountCents, ...rest });
  }
}

/** Two nodes, the first of which leads, and a real router in a process of its own. */
class World {
  readonly clock = new ManualClock();
  readonly trace = new Trace(() => this.clock.monotonicMs());
  weather: NetworkWeather = CALM_NETWORK;
  readonly network: SimNetwork;
  readonly done: string[] = [];
  readonly nodes: readonly StubNode[];
  readonly access = new SimProcess({ name: 'access', clock: this.clock });
  readonly router;
  readonly gaps: number[] = [];

  constructor(seed = 1) {
    this.network = new SimNetwork({
      clock: this.clock,
      chance: new SeededRandom(seed),
      trace: this.trace,
      weather: () => this.weather,
    });
    this.nodes = [0, 1].map((slot) => this.start(slot));
    this.lead(0, 256);
    const note = (event: string, fields: unknown = {}): void =>
      this.trace.note(`${event} ${JSON.stringify(fields)}`);
    this.router = createRouter({
      topology: firstTopology({
        clusterId: '00'.repeat(16),
        sets: [
          {
            id: SET,
            state: 'active',
            weight: 1,
            region: '',
            nodes: [0, 1].map((slot) => ({ primary: `n${slot}`, backup: '' })),
            replicas: [],
          },
        ],
      }),
      clock: this.access.clock,
      random: new SeededRandom(seed + 1),
      log: { info: note, warn: note, error: note },
      connect: (address) => this.network.connect(address, this.access),
    });
    this.router.onEvents({ events: () => {}, gap: (set) => void this.gaps.push(set) });
  }

  start(slot: number): StubNode {
    const process = new SimProcess({ name: `n${slot}`, clock: this.clock });
    const node = new StubNode(process, this.done);
    this.network.serve(`n${slot}`, process, node.streams);
    return node;
  }

  /** The other one hears of it too. */
  lead(slot: number, epoch: number): void {
    for (const [at, node] of this.nodes.entries()) {
      node.epoch = at === slot ? epoch : 0;
      node.leaderEpoch = epoch;
      if (!node.process.dead && !node.process.paused) node.tell();
    }
  }

  open(number: number, deadlineMs = 5_000): Promise<CommandAnswer> {
    const packetId = asId(BigInt(number));
    const command: Command = { type: 'packet.open', packetId, user: ALICE, grant: null };
    return this.router.command(SET, command, { deadlineMs });
  }

  /** Virtual time goes on until there is an answer; how long that took. */
  async after<T>(asked: Promise<T>): Promise<{ answer: T; ms: number }> {
    const since = this.clock.monotonicMs();
    let answer: { answer: T; ms: number } | undefined;
    void asked.then((got) => (answer = { answer: got, ms: this.clock.monotonicMs() - since }));
    const endMs = since + 20_000;
    while (answer === undefined) {
      if (this.clock.monotonicMs() > endMs) throw new Error('no answer in 20 s');
      await this.clock.advanceSettled(1);
    }
    return answer;
  }
}

const ok = (amountCents: number) => ({ outcome: { status: 'ok', amountCents } });

test('a router finds the leader and asks it', async () => {
  const world = new World();
  await world.clock.advanceSettled(50);
  expect(world.router.isUp(SET)).toBe(true);
  const { answer, ms } = await world.after(world.open(3));
  expect(answer).toMatchObject({ ...ok(3), mark: { setId: 0, epoch: 256, lsn: 1 } });
  expect(ms).toBeLessThan(10);
  const money = await world.after(world.router.query(SET, { money: {} }));
  expect(money.answer).toMatchObject({ status: 'ok', reply: { money: { walletsCents: '-7' } } });
});

test('a killed leader: the other one is asked as soon as it leads', async () => {
  const world = new World();
  await world.clock.advanceSettled(2_000);
  world.nodes[0]?.process.kill();
  const asked = world.open(4);
  await world.clock.advanceSettled(800);
  world.lead(1, 513);
  const { answer, ms } = await world.after(asked);
  expect(answer).toMatchObject({ ...ok(4), mark: { epoch: 513 } });
  expect(ms).toBeLessThan(1_500);
  await world.clock.advanceSettled(2_000);
  expect(world.gaps.length).toBeGreaterThan(0);
});

test.each(['paused', 'cut'] as const)('a leader that is %s is left for its heir', async (how) => {
  const world = new World();
  await world.clock.advanceSettled(2_000);
  const [first] = world.nodes;
  if (how === 'paused') first?.process.pause();
  else world.network.cut('access', 'n0', { ms: 4_000, way: 'both' });
  const asked = world.open(4);
  await world.clock.advanceSettled(300);
  world.lead(1, 513);
  const { answer, ms } = await world.after(asked);
  expect(answer).toMatchObject({ ...ok(4), mark: { epoch: 513 } });
  expect(ms).toBeLessThan(4_000);
  // What the first one was told before it was left, it was told once.
  first?.process.resume();
  await world.clock.advanceSettled(10_000);
  expect(world.done.filter((number) => number === '4').length).toBeLessThan(3);
});

test('a cut without an heir: unknown at the deadline, and up again when the line is', async () => {
  const world = new World();
  await world.clock.advanceSettled(2_000);
  for (const node of ['n0', 'n1']) world.network.cut('access', node, { ms: 5_000, way: 'there' });
  const { answer, ms } = await world.after(world.open(4, 900));
  expect(answer.outcome.status).toBe('unknown');
  expect(ms).toBeLessThan(1_000);
  await world.clock.advanceSettled(8_000);
  expect((await world.after(world.open(5))).answer).toMatchObject(ok(5));
});

test('the same seed, the same trace: router, streams and weather', async () => {
  const walk = async (seed: number): Promise<{ hash: string; statuses: string[] }> => {
    const world = new World(seed);
    const chance = new SeededRandom(seed + 2);
    world.weather = { slow: 60, broken: 5, refused: 200, narrow: 100 };
    const statuses: string[] = [];
    for (let number = 1; number <= 150; number++) {
      void world.open(number).then(({ outcome, mark }) => {
        world.trace.note(`${number} ${outcome.status} ${mark.lsn}`);
        statuses.push(outcome.status);
      });
      if (chance.below(40) === 0) world.network.reset('access', 'n0');
      if (chance.below(60) === 0) world.network.cut('access', 'n0', { ms: 900, way: 'back' });
      await world.clock.advanceSettled(chance.below(100));
    }
    world.weather = CALM_NETWORK;
    await world.clock.advanceSettled(10_000);
    return { hash: world.trace.hash(), statuses };
  };
  const { hash, statuses } = await walk(1);
  expect(statuses).toHaveLength(150);
  expect(statuses.filter((status) => status === 'ok').length).toBeGreaterThan(50);
  expect((await walk(1)).hash).toBe(hash);
  expect((await walk(2)).hash).not.toBe(hash);
});
