import { join } from 'node:path';
import type { Figure, Result } from '../../cli.ts';
import { figure, resultOf } from '../../cli.ts';
import { rounded } from '../../bench/statistics.ts';
import { Rig } from '../../rig/rig.ts';
import { keepLogs } from '../keep.ts';
import { verdictFigures } from './figures.ts';
import { QUORUM, REPLICAS } from './cluster.ts';
import type { SetSabotage } from './sabotage.ts';
import { plant, tamper } from './sabotage.ts';
import type { Ending, WorldOptions } from './world.ts';
import { SetWorld } from './world.ts';

export type SetProof = {
  readonly result: Result;
  /** What did not hold, in words; empty when all did. */
  readonly findings: readonly string[];
  /** Logs and history of a run that did not hold; null when there is nothing to look into. */
  readonly keptDir: string | null;
};

type ProofOptions = {
  readonly name: string;
  readonly options: WorldOptions;
  readonly sabotage: SetSabotage | null;
  readonly conditions: Readonly<Record<string, unknown>>;
  /** Hurts the Set; returns its figures, read when every open is answered. */
  readonly run: (world: SetWorld) => Promise<() => Figure[]>;
};

/** One proof from the first server to the verdict. Leaves no process behind. */
export async function prove(args: ProofOptions): Promise<SetProof> {
  const { name, options, sabotage } = args;
  const rig = await Rig.open();
  let world: SetWorld | null = null;
  const lines: string[] = [];
  let figures: Figure[] = [];
  let held = false;
  let version = '';
  try {
    const nodeArgs = sabotage === null ? [] : plant(sabotage);
    world = await SetWorld.start({ ...options, nodeArgs }, rig);
    version = world.cluster.servers[0]?.version ?? '';
    const read = await args.run(world);
    const over = world;
    const ending = await world.end(sabotage === null ? null : () => tamper(over, sabotage));
    figures = [...read(), ...endFigures(world, ending)];
    held = world.findings.none;
  } catch (error) {
    lines.push(`broken: ${error instanceof Error ? error.message : String(error)}`);
    if (world !== null) figures = verdictFigures(world.findings);
  }
  lines.unshift(...(world?.findings.lines ?? []));
  const { people, ratePerS, seed } = options;
  const result = resultOf({
    name,
    figures,
    conditions: {
      ...args.conditions,
      replicas: REPLICAS,
      quorum: QUORUM,
      nodes: 2,
      server: version,
      opensPerS: ratePerS,
      people,
      seed,
      sabotage,
    },
    held: held && lines.length === 0,
  });
  const keptDir = result.ok ? null : await keep(rig, world);
  await (world?.abandon() ?? rig.close());
  return { result, findings: lines, keptDir };
}

function endFigures(world: SetWorld, ending: Ending): Figure[] {
  const { load, history } = world.clients;
  const plain = (name: string, value: number, unit: string): Figure =>
    figure({ name, value, unit });
  return [
    plain('opens asked', history.opens.length, 'opens'),
    plain('shares acknowledged', ending.claims, 'opens'),
    plain('opens without a packet left', load.starved, 'opens'),
    ...verdictFigures(world.findings),
    figure({
      name: 'replicas equal after the last fault',
      value: rounded(ending.healedS, 3),
      unit: 's',
      goal: { atMost: 60 },
    }),
    plain('asked once more at the end', ending.askedAgain, 'opens'),
    plain('journal entries read again', ending.entries, 'entries'),
    plain('journaled commands read again', ending.ops, 'commands'),
    plain('epochs in the journal', ending.epochs, 'epochs'),
    plain('rows discarded in repairs', ending.discarded, 'rows'),
  ];
}

/** Logs and history: what an inquest needs first. */
async function keep(rig: Rig, world: SetWorld | null): Promise<string> {
  const dir = await keepLogs(rig, 'set-proof');
  await world?.clients.history.recorder.write(join(dir, 'history.jsonl'));
  return dir;
}
