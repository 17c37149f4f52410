import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Figure, Result } from '../../cli.ts';
import { resultOf } from '../../cli.ts';
import { fdatasyncRate, rounded } from '../../bench/statistics.ts';
import { Rig } from '../../rig/rig.ts';
import { keepLogs } from '../keep.ts';
import { pause } from '../member.ts';
import { verdictFigures } from '../set/figures.ts';
import { auditAll } from './audit-all.ts';
import { QUORUM, REPLICAS } from './cluster.ts';
import { figuresOf } from './figures.ts';
import { judge } from './judge.ts';
import { planChaos } from './plan.ts';
import type { MoneySabotage } from './sabotage.ts';
import { plant, tamper } from './sabotage.ts';
import type { WorldOptions } from './world.ts';
import { MoneyWorld } from './world.ts';

/** Of the issue, for ten minutes; a shorter run has to do its part. */
const WHOLE_MINUTES = 10;
const OPENS_MIN = 200_000;
const PACKETS_MIN = 2_000;
/** Before the first fault, so that calm time has figures, too. */
const CALM_MS = 30_000;
const CALM_SHARE = 0.2;

const SETS = 2;
const CROWD = { people: 400, groups: 40, members: 60, idleOneIn: 10 };
const LIFETIMES = { left: { min: 3_000, spread: 9_000 }, others: 40_000 };
/** 10,000.00 each: more than anybody sends in ten minutes, and little enough for some to run dry. */
const WELCOME_CENTS = 1_000_000;

export type MoneyProofOptions = {
  readonly minutes: number;
  readonly ratePerS: number;
  readonly seed: number;
  readonly hasNats: boolean;
  readonly sabotage: MoneySabotage | null;
  readonly say: (line: string) => void;
};

export type MoneyProof = {
  readonly result: Result;
  /** What did not hold, in words; empty when all did. */
  readonly findings: readonly string[];
  /** Logs and history of a run that did not hold; null when there is nothing to look into. */
  readonly keptDir: string | null;
};

/**
 * Two Sets of three replicas, reconcilers, access nodes and a crowd, with everything killed and
 * paused at random; then every cent is looked for. Leaves no process behind.
 */
export async function proveMoney(options: MoneyProofOptions): Promise<MoneyProof> {
  const { minutes, ratePerS, seed, hasNats, sabotage, say } = options;
  const share = Math.min(1, minutes / WHOLE_MINUTES);
  const fdatasync = rounded(fdatasyncRate(), 0);
  const rig = await Rig.open();
  const worldOptions: WorldOptions = {
    sets: SETS,
    reconcilers: 2,
    access: 2,
    hasNats,
    sharesServers: false,
    welcomeCents: WELCOME_CENTS,
    reconcilerArgs: sabotage === null ? [] : plant(sabotage),
    crowd: CROWD,
    ratePerS,
    lifetimes: LIFETIMES,
    seed,
    say,
  };
  let world: MoneyWorld | null = null;
  let figures: Figure[] = [];
  const lines: string[] = [];
  let watched: string[] = [];
  let version = '';
  try {
    world = await MoneyWorld.start(worldOptions, rig);
    version = world.cluster.servers[0]?.version ?? '';
    const { cluster, history, findings, gauges } = world;
    const fromMs = history.now();
    const calmMs = Math.min(CALM_MS, minutes * 60_000 * CALM_SHARE);
    const durationMs = minutes * 60_000 - calmMs;
    say(`calm for ${calmMs / 1_000} s, then faults for ${durationMs / 1_000} s`);
    await pause(calmMs);
    const random = new SeededRandom(seed);
    await world.hurt(planChaos({ random, durationMs, crew: cluster.crew }));
    const span = { fromMs, toMs: history.now() };
    say('no more faults: every answer, every cent and every replica is waited for');
    const ending = await world.end();
    const ownCpu = process.cpuUsage();
    const ownCpuS = (ownCpu.user + ownCpu.system) / 1e6;
    watched = [...gauges.seen];
    const { sets } = cluster;
    if (sabotage !== null) await tamper(sabotage, { sets, history });
    say('the disks are read');
    const startMs = performance.now();
    const isHealed = ending.equalMs !== null;
    const verdict = await judge({ sets, history, last: ending.last, isHealed, findings });
    const audit = await auditAll({ cluster, findings });
    say(`judged in ${rounded((performance.now() - startMs) / 1_000, 1)} s`);
    const goals = {
      opensMin: Math.floor(OPENS_MIN * share),
      packetsMin: Math.floor(PACKETS_MIN * share),
    };
    figures = figuresOf({ world, span, ending, verdict, audit, ownCpuS, ...goals });
  } catch (error) {
    lines.push(
      `broken: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    if (world !== null) figures = verdictFigures(world.findings);
  }
  const found = [...(world?.findings.lines ?? []), ...lines];
  const held = lines.length === 0 && world?.findings.none === true;
  const result = resultOf({
    name: 'money-10m',
    figures,
    conditions: {
      minutes,
      opensPerS: ratePerS,
      seed,
      sabotage,
      sets: SETS,
      replicas: REPLICAS,
      quorum: QUORUM,
      servers: SETS * REPLICAS,
      setNodes: SETS * 2,
      reconcilers: 2,
      accessNodes: 2,
      bus: hasNats ? 'NATS' : 'none between processes: outboxes are polled',
      clients: 'WebSockets to the access nodes, from the process of this proof',
      crowd: CROWD,
      gaugesWatched: watched,
      server: version,
      fdatasyncPerS: { before: fdatasync, after: rounded(fdatasyncRate(), 0) },
      doubts: Object.fromEntries(world?.history.doubts ?? []),
    },
    held,
  });
  const keptDir = result.ok ? null : await keep(rig, world);
  await (world?.abandon() ?? rig.close());
  return { result, findings: found, keptDir };
}

async function keep(rig: Rig, world: MoneyWorld | null): Promise<string> {
  const dir = await keepLogs(rig, 'money-proof');
  if (world === null) return dir;
  const { opens, sent, balances, hurts, notes } = world.history;
  const lines = [...hurts, ...notes, ...sent, ...balances, ...opens];
  await writeFile(
    join(dir, 'history.jsonl'),
    lines.map((one) => `${JSON.stringify(one)}\n`).join(''),
  );
  return dir;
}
