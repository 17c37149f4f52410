import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../lib/adapter/seeded-random.ts';
import type { Result } from '../cli.ts';
import { figure, resultOf } from '../cli.ts';
import { checkJournals, checkMoney, checkPackets } from './kill-checks.ts';
import { askAgain, killRound, retry } from './kill-round.ts';
import type { KillOptions } from './kill-world.ts';
import { KillWorld } from './kill-world.ts';
import { sabotage } from './sabotage.ts';

/** A kill that came too late proves less: the round is played, counted apart, and made up for. */
const ROUNDS_PLAYED_FACTOR = 3;

type Totals = {
  played: number;
  inTheMiddle: number;
  acknowledged: number;
  unknown: number;
  unsent: number;
  doneUnheard: number;
  entries: number;
  ops: number;
};

export type KillProof = {
  readonly result: Result;
  /** What did not hold, in words; empty when all did. */
  readonly findings: readonly string[];
  /** Data and history of a run that did not hold; null when there is nothing to look into. */
  readonly keptDir: string | null;
};

/**
 * Kills the real embedded process with SIGKILL in the middle of concurrent opens, again and again,
 * and compares what people were told before and after. The moments of the kill and all choices
 * repeat from the seed; what the machine does in between does not.
 */
export async function proveKillEmbedded(options: KillOptions): Promise<KillProof> {
  const dir = await mkdtemp(join(tmpdir(), 'hb-kill-'));
  const random = new SeededRandom(options.seed);
  const world = new KillWorld({ options, dataDir: join(dir, 'data'), random });
  const totals: Totals = {
    played: 0,
    inTheMiddle: 0,
    acknowledged: 0,
    unknown: 0,
    unsent: 0,
    doneUnheard: 0,
    entries: 0,
    ops: 0,
  };
  try {
    await play(world, totals);
  } catch (error) {
    world.findings.break(error instanceof Error ? error.message : String(error));
  } finally {
    await world.abandon();
  }
  const { findings } = world;
  const result = resultOf({
    name: 'kill-embedded',
    figures: figuresOf(world, totals),
    conditions: conditionsOf(options),
    held: findings.none && totals.inTheMiddle >= options.rounds,
  });
  if (result.ok) {
    await rm(dir, { recursive: true, force: true });
    return { result, findings: [], keptDir: null };
  }
  await world.recorder.write(join(dir, 'history.jsonl'));
  return { result, findings: findings.lines, keptDir: dir };
}

async function play(world: KillWorld, totals: Totals): Promise<void> {
  const { options, findings } = world;
  await world.start();
  await world.gather();
  const playedMax = options.rounds * ROUNDS_PLAYED_FACTOR;
  while (totals.inTheMiddle < options.rounds && totals.played < playedMax) {
    totals.played += 1;
    await playRound(world, totals);
    if (!findings.none) return;
  }
  if (!(await world.stop())) findings.break('the last process did not end with status 0');
  const books = await checkJournals(world);
  totals.entries = books.entries;
  totals.ops = books.ops;
}

async function playRound(world: KillWorld, totals: Totals): Promise<void> {
  const { options } = world;
  const round = totals.played;
  const before = { opens: world.opens.length, packets: world.packets.length };
  const { acknowledged, unknown, unsent } = await killRound(world, round);
  totals.acknowledged += acknowledged;
  totals.unknown += unknown;
  totals.unsent += unsent;
  if (acknowledged > 0 && unknown > 0) totals.inTheMiddle += 1;
  if (options.sabotage !== null && round === 1) await sabotage(world, options.sabotage);
  await world.restart();
  const doneUnheard = await retry(world, round);
  totals.doneUnheard += doneUnheard;
  const opens = world.opens.slice(before.opens);
  await askAgain(world, { round, opens });
  const packets = world.packets.slice(before.packets);
  await checkPackets(world, { round, packets, opens });
  await checkMoney(world, round);
  const seconds = world.restartSeconds.at(-1) ?? 0;
  options.say(
    `round ${round}: ${acknowledged} acknowledged, ${unknown} unknown (${doneUnheard} of them ` +
      `done), ${unsent} not sent, back in ${seconds.toFixed(2)} s${world.findings.none ? '' : ', DOES NOT HOLD'}`,
  );
}

function figuresOf({ findings, restartSeconds, opens }: KillWorld, totals: Totals) {
  const count = (name: string, value: number) => figure({ name, value, unit: 'opens' });
  const none = (name: string, of: { value: number; unit: string }) =>
    figure({ name, ...of, goal: { atMost: 0 } });
  const sorted = restartSeconds.toSorted((a, b) => a - b);
  const seconds = (value: number | undefined): number => Math.round((value ?? 0) * 1_000) / 1_000;
  return [
    figure({ name: 'rounds killed in the middle', value: totals.inTheMiddle, unit: 'rounds' }),
    figure({ name: 'rounds played', value: totals.played, unit: 'rounds' }),
    count('opens asked', opens.length),
    count('acknowledged before the kill', totals.acknowledged),
    count('unknown after the kill', totals.unknown),
    count('not yet sent at the kill', totals.unsent),
    count('unknown, and had been done', totals.doneUnheard),
    none('lost', { value: findings.lost, unit: 'opens' }),
    none('changed answers', { value: findings.changed, unit: 'answers' }),
    none('cents wrong', { value: findings.centsWrong, unit: 'cents' }),
    none('other findings', { value: findings.broken, unit: 'findings' }),
    figure({
      name: 'restart until ready, p50',
      value: seconds(sorted[Math.floor(sorted.length / 2)]),
      unit: 's',
    }),
    figure({ name: 'restart until ready, max', value: seconds(sorted.at(-1)), unit: 's' }),
    figure({ name: 'journal entries read again', value: totals.entries, unit: 'entries' }),
    figure({ name: 'journaled commands read again', value: totals.ops, unit: 'commands' }),
  ];
}

function conditionsOf(options: KillOptions): Record<string, unknown> {
  const { rounds, opens, outstanding, packets, sets, seed } = options;
  return {
    rounds,
    opensARound: opens,
    outstanding,
    packetsARound: packets,
    sets,
    replicas: 1,
    seed,
    sabotage: options.sabotage,
    kill: 'SIGKILL of the process; the machine and its disk stay up',
  };
}
