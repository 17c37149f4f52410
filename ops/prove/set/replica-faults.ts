import type { Figure } from '../../cli.ts';
import { resultOf } from '../../cli.ts';
import { LEADER_SCENARIOS } from './leader-scenarios.ts';
import type { SetProof } from './proof.ts';
import { oldAndNew } from './old-and-new.ts';
import { prove } from './proof.ts';
import { REPLICA_SCENARIOS } from './replica-scenarios.ts';
import type { SetSabotage } from './sabotage.ts';
import type { Pace, Scenario } from './scenario.ts';
import type { Surroundings, WorldOptions } from './world.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...REPLICA_SCENARIOS,
  ...LEADER_SCENARIOS,
  oldAndNew,
];

export type FaultOptions = Omit<WorldOptions, Surroundings> & {
  /** Names; all when empty. */
  readonly scenarios: readonly string[];
  readonly pace: Pace;
  readonly sabotage: SetSabotage | null;
};

/** One fault after the other, each on a Set of its own and with a verdict of its own. */
export async function proveReplicaFaults(options: FaultOptions): Promise<SetProof> {
  const { scenarios, say } = options;
  const chosen = SCENARIOS.filter(({ name }) => scenarios.length === 0 || scenarios.includes(name));
  const proofs: { name: string; proof: SetProof }[] = [];
  for (const scenario of chosen) {
    say(`${scenario.name}: ${scenario.summary}`);
    const proof = await proveScenario(scenario, options);
    say(`${scenario.name}: ${proof.result.ok ? 'holds' : 'DOES NOT HOLD'}`);
    for (const line of proof.findings) say(`  ${line}`);
    if (proof.keptDir !== null) say(`  logs and history are in ${proof.keptDir}`);
    proofs.push({ name: scenario.name, proof });
  }
  const figures = proofs.flatMap(({ name, proof }) =>
    proof.result.figures.map((one): Figure => ({ ...one, name: `${name}: ${one.name}` })),
  );
  const result = resultOf({
    name: 'replica-faults',
    figures,
    conditions: {
      ...proofs[0]?.proof.result.conditions,
      scenarios: chosen.map(({ name, summary }) => `${name}: ${summary}`),
      ...options.pace,
    },
    held: proofs.every(({ proof }) => proof.result.ok),
  });
  return {
    result,
    findings: proofs.flatMap(({ name, proof }) => proof.findings.map((line) => `${name}: ${line}`)),
    keptDir: proofs.find(({ proof }) => proof.keptDir !== null)?.proof.keptDir ?? null,
  };
}

function proveScenario(scenario: Scenario, options: FaultOptions): Promise<SetProof> {
  const { isProxied = false, hasSmallDisk = false, hasOldNode = false } = scenario;
  return prove({
    name: scenario.name,
    options: { ...options, isProxied, hasSmallDisk, hasOldNode },
    sabotage: options.sabotage,
    conditions: {},
    run: (world) => scenario.run(world, options.pace),
  });
}
