import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { assert } from '../../lib/core/assert.ts';
import { fromHex } from '../../lib/core/bytes.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { createRouter } from '../../router/router.ts';
import { takeSnapshot } from '../../set-node/log/snapshotter.ts';
import type { Figure } from '../cli.ts';
import { figure } from '../cli.ts';
import { databaseOf } from '../rig/mariadb.ts';
import type { Bench } from './bench.ts';
import { BenchSet } from './bench-set.ts';
import type { BusySize } from './busy-set.ts';
import { makeBusySet } from './busy-set.ts';
import { fillReplicas } from './fill-replicas.ts';
import { BENCH_SET, SetMaker } from './set-maker.ts';
import type { ReplayFigures, StateJob } from './state-process.ts';
import { median, rounded } from './statistics.ts';

/** 100,000 live packets and a million claims, all settled. */
const PACKETS = 100_000;
const CLAIMS = 10;
const PEOPLE = 10_000;
const FEW = 10_000;
const MANY = 1_000_000;
const CPU_FEW = 1_000;
const HEAP_MB = 12_288;
const LOOK_MS = 20;
const CAUGHT_UP_WITHIN_MS = 120_000;
/** Of the three, a replica that does not lead. */
const WIPED = 2;

type Log = (line: string) => void;

/** What a restart costs, and what a state weighs. */
export const recoveryBench: Bench = {
  seconds: 1,
  runs: 3,
  conditions: ({ percent }) => ({
    durability: '3 MariaDB, innodb_flush_log_at_trx_commit=1, Q=2',
    state: `${sizeOf(percent).packets} live packets, ${sizeOf(percent).packets * CLAIMS} settled claims, ${PEOPLE} people; entries of up to 1,024 ops, made by the real state machine and batcher`,
    processes:
      'the set-node is a process of its own, started and killed for each run; replay, memory and CPU are each measured in a process of their own',
    secondsToServe:
      'from the start of the process to its first epoch: Node itself, reading, replay, takeover',
    secondsPerRun: 'as long as it takes',
  }),
  run: async ({ runs, percent }, log) => {
    const size = sizeOf(percent);
    const many = Math.max(FEW, (MANY * percent) / 100);
    return [
      ...(await replayFigures({ size, runs, log })),
      ...(await memoryFigures(many, log)),
      ...(await cpuFigures({ many, runs, log })),
      ...(await serveFigures({ size, runs, log })),
    ];
  },
};

function sizeOf(percent: number): BusySize {
  return { packets: (PACKETS * percent) / 100, claims: CLAIMS, people: PEOPLE };
}

type SizedArgs = { size: BusySize; runs: number; log: Log };

async function replayFigures({ size, runs, log }: SizedArgs): Promise<Figure[]> {
  log('replay');
  const found = (await stateProcess({ kind: 'replay', size, runs })) as ReplayFigures;
  return [
    figure({
      name: 'replay of opens, verified',
      value: Math.round(median(found.opensPerS)),
      unit: 'opens/s',
      goal: { atLeast: 1_000_000 },
    }),
    figure({
      name: 'the same by CPU, all threads',
      value: Math.round(median(found.opensPerCpuS)),
      unit: 'opens/CPU s',
    }),
    figure({
      name: 'replay of the whole journal (sends, opens, settlement)',
      value: rounded(median(found.wholeSeconds), 2),
      unit: 's',
    }),
    figure({ name: 'journal', value: rounded(found.journalBytes / 1e6, 1), unit: 'MB' }),
    figure({ name: 'snapshot', value: rounded(found.snapshotBytes / 1e6, 1), unit: 'MB' }),
    figure({ name: 'snapshot, encode', value: rounded(found.snapshotEncodeS, 2), unit: 's' }),
    figure({ name: 'snapshot, decode', value: rounded(found.snapshotDecodeS, 2), unit: 's' }),
  ];
}

async function memoryFigures(many: number, log: Log): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const thing of ['packet', 'wallet'] as const) {
    for (const count of [FEW, many]) {
      log(`memory of ${count} ${thing}s`);
      const bytes = Number(await stateProcess({ kind: 'memory', of: thing, count }));
      const name = `memory of a ${thing === 'packet' ? 'live packet' : 'wallet'}, of ${count}`;
      figures.push(figure({ name, value: Math.round(bytes), unit: 'bytes' }));
    }
  }
  return figures;
}

type CpuRun = { newestUs: number; everywhereUs: number };

/** Two processes, one with few and one with many packets, take turns. */
async function cpuFigures(args: { many: number; runs: number; log: Log }): Promise<Figure[]> {
  const { many: most, runs, log } = args;
  log(`CPU of an open among ${CPU_FEW} and ${most}`);
  const counts = [CPU_FEW, most];
  const children = counts.map((packets) => start({ kind: 'cpu', packets, runs }));
  try {
    await Promise.all(children.map(answerOf));
    const found: CpuRun[][] = [[], []];
    for (let run = 0; run < runs; run++) {
      for (const [index, child] of children.entries()) {
        const answer = answerOf(child);
        child.send('run');
        found[index]?.push((await answer) as CpuRun);
      }
    }
    const [few = [], many = []] = found;
    return CPU_OF.flatMap(({ pick, words, goal }) => {
      const a = median(few.map(pick));
      const b = median(many.map(pick));
      return [
        figure({
          name: `CPU of an open, ${words}, among ${CPU_FEW}`,
          value: rounded(a, 2),
          unit: 'µs',
        }),
        figure({
          name: `CPU of an open, ${words}, among ${most}`,
          value: rounded(b, 2),
          unit: 'µs',
        }),
        figure({
          name: `more CPU among ${most}, ${words}`,
          value: rounded((b / a - 1) * 100, 1),
          unit: '%',
          ...goal,
        }),
      ];
    });
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

const CPU_OF = [
  {
    words: 'the newest packets, one after the other',
    pick: (run: CpuRun) => run.newestUs,
    goal: { goal: { atMost: 10 } },
  },
  {
    words: 'packets from everywhere, share by share',
    pick: (run: CpuRun) => run.everywhereUs,
    goal: {},
  },
];

function start(job: StateJob): ChildProcess {
  const program = new URL('./state-process.ts', import.meta.url);
  return fork(program, [JSON.stringify(job)], {
    execArgv: [
      '--disable-warning=ExperimentalWarning',
      '--expose-gc',
      `--max-old-space-size=${HEAP_MB}`,
    ],
  });
}

function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the process ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer);
    });
  });
}

async function stateProcess(job: StateJob): Promise<unknown> {
  const child = start(job);
  try {
    return await answerOf(child);
  } finally {
    child.kill('SIGKILL');
  }
}

/** A real Set on three servers: to its first epoch without and with a snapshot, and a lost disk. */
async function serveFigures({ size, runs, log }: SizedArgs): Promise<Figure[]> {
  const set = await BenchSet.create();
  try {
    log('filling three replicas');
    const { entries, bytes } = await fill(set, size);
    const without = await startTimes({ set, runs });
    log(`  without a snapshot: ${without.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    for (const store of await set.stores()) {
      await takeSnapshot({ store, setId: BENCH_SET, hash: sha256 });
    }
    const withOne = await startTimes({ set, runs });
    log(`  with one: ${withOne.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    const seconds = await catchUp(set, log);
    const serve = (name: string, ms: readonly number[]): Figure =>
      figure({ name: `to serve, ${name}`, value: rounded(median(ms) / 1_000, 2), unit: 's' });
    return [
      serve('without a snapshot', without),
      serve('with a fresh snapshot', withOne),
      figure({ name: 'catch-up of a wiped replica', value: rounded(seconds, 2), unit: 's' }),
      figure({ name: 'catch-up', value: Math.round(entries / seconds), unit: 'entries/s' }),
      figure({ name: 'catch-up, bytes', value: rounded(bytes / 1e6 / seconds, 1), unit: 'MB/s' }),
    ];
  } finally {
    await set.close();
  }
}

async function fill(set: BenchSet, size: BusySize): Promise<{ entries: number; bytes: number }> {
  const entries: Entry[] = [];
  const clusterId = fromHex(set.topology.clusterId);
  const onEntry = (entry: Entry): void => void entries.push(entry);
  const maker = new SetMaker({ onEntry, replicas: 3, keys: set.keys, clusterId });
  makeBusySet({ maker, size });
  const stores = await set.stores();
  await fillReplicas({ stores, entries, owner: maker.owner, clusterId });
  return {
    entries: entries.length,
    bytes: entries.reduce((sum, { payload }) => sum + payload.length, 0),
  };
}

async function startTimes({ set, runs }: { set: BenchSet; runs: number }): Promise<number[]> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    times.push(await set.startNode());
    await set.killNode();
  }
  return times;
}

async function appendOne(set: BenchSet): Promise<void> {
  const log = { info: () => undefined, warn: () => undefined, error: console.error };
  const clock = new SystemClock();
  const random = new SystemRandom();
  const { topology } = set;
  const router = createRouter({ topology, clock, random, log, connect: openSetNode });
  const packetId = await router.takeId(BENCH_SET);
  assert(packetId !== null, 'the Set gives ids');
  await router.close();
}

/** A replica comes back with an empty disk; seconds until it has a vote again. */
async function catchUp(set: BenchSet, log: Log): Promise<number> {
  await set.startNode();
  const server = set.servers[WIPED];
  assert(server !== undefined, 'there are three');
  await server.wipe();
  await server.start();
  await set.admitUsers(server);
  const startMs = performance.now();
  // An idle leader asks nobody: an entry shows it that the disk is another.
  await appendOne(set);
  const alive = `SELECT COUNT(*) AS n FROM ${databaseOf(BENCH_SET)}.alive`;
  for (;;) {
    const rows = await server.query(alive).catch(() => []);
    if (Number(rows[0]?.['n'] ?? 0) > 0) break;
    assert(performance.now() - startMs < CAUGHT_UP_WITHIN_MS, 'a wiped replica comes back');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const seconds = (performance.now() - startMs) / 1_000;
  log(`  caught up in ${seconds.toFixed(2)} s`);
  return seconds;
}
