import type { Figure } from '../cli.ts';
import { figure } from '../cli.ts';
import { Rig } from '../rig/rig.ts';
import { BenchSet } from './bench-set.ts';
import type { BenchFlags, Bench } from './bench.ts';
import type { Hold } from './journal-hold.ts';
import { holdRate } from './journal-hold.ts';
import type { Run } from './load.ts';
import { medianRun } from './load.ts';
import type { PeerWay } from './peer-mariadb.ts';
import { MariaDbPeer, PEER_SHARES } from './peer-mariadb.ts';
import type { RedisWay } from './peer-redis.ts';
import { REDIS_WAYS, RedisPeer } from './peer-redis.ts';
import { SetLoad } from './set-load.ts';
import { SetPeople } from './set-people.ts';
import { rounded } from './statistics.ts';

/** Packets that are opened side by side: one hot packet after the other, or many. */
const SHAPES = { hot: 1, spread: 2_000 } as const;
type Shape = keyof typeof SHAPES;
const SHAPE_NAMES: readonly Shape[] = ['hot', 'spread'];

const PROBE_SECONDS = 1;
const PROBE_PACKETS = 2_000;
/** Messages of 100 opens on their way. */
const WINDOWS = [16, 64];
const CONNECTIONS = [1, 16, 64];
const BATCHED_CONNECTIONS = [1, 4, 16];
const REDIS_WIDTHS = [64, 256, 1_024];
/** More packets than the probe's rate would open, so that none of them runs out. */
const SPARE = 1.5;
const PACKETS_MAX = 60_000;
/** Where the search for the rate that holds begins, as a share of (a). */
const NEARLY_ALL = 0.9;

type Sides = { ours: Run; row: Run; batched: Run; redis: Run };
const SIDES = ['ours', 'row', 'batched', 'redis'] as const;

type RowChoice = { way: PeerWay; connections: number };
type RedisChoice = { way: RedisWay; width: number };
/** What was fastest in a short probe, and how many packets a run needs. */
type Choice = {
  window: { window: number; packets: number };
  row: RowChoice & { packets: number };
  batched: RowChoice & { packets: number };
  redis: RedisChoice & { packets: number };
};

/** Rulings 24: one real Set against the best hot-row transaction and against Redis, interleaved. */
export const journalBench: Bench = {
  seconds: 10,
  runs: 5,
  conditions: ({ holdSeconds }) => ({
    durability: {
      ours: '3 MariaDB, innodb_flush_log_at_trx_commit=1, answered when 2 of 3 have it; projection on',
      mariadb: '1 MariaDB, innodb_flush_log_at_trx_commit=1, deadlock detection off, no binary log',
      redis: '1 Redis, appendfsync always, ioredis with automatic pipelining',
    },
    processes:
      'each side: its servers, and this process as its one client; ours: set-node and 3 MariaDB',
    shapes: `hot: one packet of ${PEER_SHARES} shares, then the next, everybody on the same one (a packet has at most ${PEER_SHARES} shares); spread: ${SHAPES.spread} packets of ${PEER_SHARES} shares, share by share`,
    settlement: `not carried during the runs of (a); carried by a reconciler process in the ${holdSeconds} s of (b)`,
    peers: 'equal shares without a draw, no wallet, no event; best of 1, 16, 64 connections',
  }),
  run: async (flags, log) => {
    const rig = await Rig.open();
    try {
      return await measure({ rig, flags, log });
    } finally {
      await rig.close();
    }
  },
};

async function measure(args: {
  rig: Rig;
  flags: BenchFlags;
  log: (line: string) => void;
}): Promise<Figure[]> {
  const { rig, flags, log } = args;
  const peers = {
    mariadb: await MariaDbPeer.start({ rig, name: 'peer', connections: Math.max(...CONNECTIONS) }),
    redis: await RedisPeer.start({ rig, name: 'redis' }),
  };
  const figures: Figure[] = [];
  for (const shape of SHAPE_NAMES) {
    const choice = await probe({ peers, shape, seconds: flags.seconds, log });
    const runs: Sides[] = [];
    for (let run = 0; run < flags.runs; run++) {
      runs.push(await oneRun({ peers, shape, choice, seconds: flags.seconds, log }));
    }
    const median = Object.fromEntries(
      SIDES.map((side) => [side, medianRun(runs.map((run) => run[side]))]),
    ) as Sides;
    const held = await withSet((set, people) =>
      holdRate({
        set,
        people,
        spread: SHAPES[shape],
        startPerS: median.ours.opensPerS * NEARLY_ALL,
        seconds: flags.holdSeconds,
        log,
      }),
    );
    figures.push(...figuresOf({ shape, median, choice, held }));
  }
  await peers.mariadb.close();
  await peers.redis.close();
  return figures;
}

/** A new Set with its people, for one measurement: nothing is left of the one before. */
async function withSet<T>(body: (set: BenchSet, people: SetPeople) => Promise<T>): Promise<T> {
  const set = await BenchSet.create();
  try {
    await set.startNode();
    const people = await SetPeople.gather(set.topology);
    try {
      return await body(set, people);
    } finally {
      await people.close();
    }
  } finally {
    await set.close();
  }
}

type Peers = { mariadb: MariaDbPeer; redis: RedisPeer };

async function probe(args: {
  peers: Peers;
  shape: Shape;
  seconds: number;
  log: (line: string) => void;
}): Promise<Choice> {
  const { peers, shape, seconds, log } = args;
  const spread = SHAPES[shape];
  const short = { spread, packets: PROBE_PACKETS, seconds: PROBE_SECONDS };
  log(`${shape}: looking for each side's best`);
  const windows = await withSet(async (set, people) => {
    const tried: { of: { window: number }; run: Run }[] = [];
    for (const window of WINDOWS) {
      tried.push({ of: { window }, run: await saturate({ ...short, set, people, window }) });
    }
    return tried;
  });
  const rows: { of: RowChoice; run: Run }[] = [];
  for (const way of ['for_update', 'procedure'] as const) {
    for (const connections of CONNECTIONS) {
      const of = { way, connections };
      rows.push({ of, run: await peers.mariadb.run({ ...short, ...of }) });
    }
  }
  const batched: { of: RowChoice; run: Run }[] = [];
  for (const connections of BATCHED_CONNECTIONS) {
    const of = { way: 'batched', connections } as const;
    batched.push({ of, run: await peers.mariadb.run({ ...short, ...of }) });
  }
  const redis: { of: RedisChoice; run: Run }[] = [];
  for (const way of REDIS_WAYS) {
    for (const width of REDIS_WIDTHS) {
      const of = { way, width };
      redis.push({ of, run: await peers.redis.run({ ...short, ...of }) });
    }
  }
  return {
    window: best({ tried: windows, seconds, log }),
    row: best({ tried: rows, seconds, log }),
    batched: best({ tried: batched, seconds, log }),
    redis: best({ tried: redis, seconds, log }),
  };
}

function best<T extends object>(args: {
  tried: readonly { of: T; run: Run }[];
  seconds: number;
  log: (line: string) => void;
}): T & { packets: number } {
  const [first, ...others] = args.tried;
  if (first === undefined) throw new Error('something was tried');
  const found = others.reduce((a, b) => (b.run.opensPerS > a.run.opensPerS ? b : a), first);
  args.log(`  ${JSON.stringify(found.of)}: ${lineOf(found.run)}`);
  const needed = (found.run.opensPerS * args.seconds * SPARE) / PEER_SHARES;
  return {
    ...found.of,
    packets: Math.min(PACKETS_MAX, Math.max(PROBE_PACKETS, Math.ceil(needed))),
  };
}

async function oneRun(args: {
  peers: Peers;
  shape: Shape;
  choice: Choice;
  seconds: number;
  log: (line: string) => void;
}): Promise<Sides> {
  const { peers, shape, choice, seconds, log } = args;
  const of = { spread: SHAPES[shape], seconds };
  const ours = await withSet((set, people) => saturate({ ...of, ...choice.window, set, people }));
  const row = await peers.mariadb.run({ ...of, ...choice.row });
  const batched = await peers.mariadb.run({ ...of, ...choice.batched });
  const redis = await peers.redis.run({ ...of, ...choice.redis });
  const sides = { ours, row, batched, redis };
  for (const side of SIDES) log(`  ${shape}, ${side}: ${lineOf(sides[side])}`);
  return sides;
}

async function saturate(args: {
  set: BenchSet;
  people: SetPeople;
  window: number;
  packets: number;
  spread: number;
  seconds: number;
}): Promise<Run> {
  const { set, people, window, spread, seconds } = args;
  people.carry(true);
  const packets = await people.packets(args.packets);
  const load = await SetLoad.open({ address: set.address, openers: people.openers });
  load.useGrants(await people.grants());
  people.carry(false);
  const serverCpuUs = (): number => set.serverCpuUs();
  const run = await load.saturate({ seconds, window, packets, spread, serverCpuUs });
  load.close();
  const refused = [...run.refused].map(([status, count]) => `${count} × ${status}`);
  if (refused.length > 0) throw new Error(`opens were refused: ${refused.join(', ')}`);
  return run;
}

function lineOf(run: Run): string {
  const { opensPerS, p50Ms, p99Ms, serverCpuUs, clientCpuUs } = run;
  return `${opensPerS.toFixed(0)} opens/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${serverCpuUs.toFixed(1)} µs CPU each (and ${clientCpuUs.toFixed(1)} of the client)`;
}

function figuresOf(args: { shape: Shape; median: Sides; choice: Choice; held: Hold }): Figure[] {
  const { shape, median, choice, held } = args;
  const { ours, row, batched, redis } = median;
  const isHot = shape === 'hot';
  const ratio = (name: string, value: number, atLeast: number): Figure =>
    figure({
      name: `${shape}: ${name}`,
      value: rounded(value, 2),
      unit: '×',
      ...(isHot ? { goal: { atLeast } } : {}),
    });
  return [
    ...runFigures(`${shape}: (a) acknowledged opens`, ours),
    figure({
      name: `${shape}: (b) rate that holds`,
      value: Math.round(held.perS),
      unit: 'opens/s',
    }),
    figure({
      name: `${shape}: longest projection lag at it`,
      value: rounded(held.lagS, 2),
      unit: 's',
    }),
    figure({ name: `${shape}: p99 at it`, value: rounded(held.p99Ms, 1), unit: 'ms' }),
    figure({
      name: `${shape}: transfers without receipt after it`,
      value: held.pendingTransfers,
      unit: 'transfers',
    }),
    ...runFigures(`${shape}: one row, ${choice.row.way} × ${choice.row.connections}`, row),
    ...runFigures(`${shape}: one row, batched × ${choice.batched.connections}`, batched),
    ...runFigures(`${shape}: Redis, ${choice.redis.way} × ${choice.redis.width}`, redis),
    ratio('(a) to the transaction on one row', ours.opensPerS / row.opensPerS, 40),
    ratio('(b) to the transaction on one row', held.perS / row.opensPerS, 3),
    ratio('(a) to Redis', ours.opensPerS / redis.opensPerS, 2),
    figure({
      name: `${shape}: (a) to the batched transaction`,
      value: rounded(ours.opensPerS / batched.opensPerS, 2),
      unit: '×',
    }),
  ];
}

function runFigures(name: string, run: Run): Figure[] {
  return [
    figure({ name, value: Math.round(run.opensPerS), unit: 'opens/s' }),
    figure({ name: `${name}, p50`, value: rounded(run.p50Ms, 2), unit: 'ms' }),
    figure({ name: `${name}, p99`, value: rounded(run.p99Ms, 2), unit: 'ms' }),
    figure({ name: `${name}, server CPU`, value: rounded(run.serverCpuUs, 2), unit: 'µs an open' }),
    figure({ name: `${name}, client CPU`, value: rounded(run.clientCpuUs, 2), unit: 'µs an open' }),
  ];
}
