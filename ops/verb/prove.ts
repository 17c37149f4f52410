import { LIMITS } from '../../lib/core/limits.ts';
import { JSON_FLAG, parseArgs, printResult, UsageError, usageOf } from '../cli.ts';
import type { FlagValues, Result, Verb } from '../cli.ts';
import { proveConformance } from '../prove/conformance.ts';
import { proveKillEmbedded } from '../prove/kill-embedded.ts';
import { membersFor, SABOTAGES } from '../prove/kill-world.ts';
import { proveLeaderKill } from '../prove/set/leader-kill.ts';
import { proveReplicaFaults, SCENARIOS } from '../prove/set/replica-faults.ts';
import { SET_SABOTAGES } from '../prove/set/sabotage.ts';
import { proveSim, SIM_250 } from '../prove/sim-250.ts';
import { writeProof } from '../prove/write.ts';

const NAME = 'prove';
const SUMMARY = 'run a proof against the real thing and write down what it found';
const SEED_MAX = 2 ** 32 - 1;
/** Of the proof that is written down. */
const SCRIPTS = 1_000;
const FLAGS = {
  rounds: {
    kind: 'integer',
    help: 'kill-embedded: kills in the middle',
    min: 1,
    max: 1_000,
    fallback: 20,
  },
  opens: {
    kind: 'integer',
    help: 'kill-embedded: concurrent opens of a round',
    min: 20,
    max: 5_000,
    fallback: 2_000,
  },
  packets: {
    kind: 'integer',
    help: 'kill-embedded: packets of a round',
    min: 1,
    max: 500,
    fallback: 50,
  },
  sets: {
    kind: 'integer',
    help: 'kill-embedded: Sets of the data directory',
    min: 1,
    max: 16,
    fallback: 2,
  },
  kills: { kind: 'integer', help: 'leader-kill: leaders killed', min: 1, max: 1_000, fallback: 50 },
  scenario: {
    kind: 'list',
    value: 'NAME',
    help: 'replica-faults: only this one',
    choices: SCENARIOS.map(({ name }) => name),
  },
  rate: {
    kind: 'integer',
    help: 'proofs of a Set: opens a second',
    min: 50,
    max: 5_000,
    fallback: 500,
  },
  scripts: {
    kind: 'integer',
    help: 'conformance: scripts, each of its own seed',
    min: 1,
    max: 100_000,
    fallback: SCRIPTS,
  },
  seed: { kind: 'integer', help: 'repeats the choices of a run', min: 0, max: SEED_MAX },
  sabotage: {
    kind: 'text',
    value: 'KIND',
    help: 'break something on purpose: the proof has to fail, and nothing is written',
    choices: [...SABOTAGES, ...SET_SABOTAGES],
  },
  json: JSON_FLAG,
} as const;

type Proof = {
  readonly result: Result;
  readonly findings: readonly string[];
  readonly keptDir: string | null;
};
type Values = FlagValues<typeof FLAGS> & { readonly seed: number };

const say = (line: string): void => console.log(line);
/** Members of the one group: as many as a packet has shares at most, so that packets are drained. */
const PEOPLE = 100;
/** Long enough for thousands of opens, and for what a fault leaves behind to show. */
const PACE = { stretchMs: 5_000, times: 3, withinMs: 30_000 };

const PROOFS: Readonly<Record<string, (values: Values) => Promise<Proof>>> = {
  'kill-embedded': (values) =>
    proveKillEmbedded({
      ...values,
      outstanding: values.opens,
      sabotage: SABOTAGES.find((kind) => kind === values.sabotage) ?? null,
      say,
    }),
  conformance: (values) => proveConformance({ ...values, say }),
  'leader-kill': (values) => proveLeaderKill({ ...setOptions(values), kills: values.kills }),
  'replica-faults': (values) =>
    proveReplicaFaults({ ...setOptions(values), scenarios: values.scenario, pace: PACE }),
  'sim-250': () => proveSim({ ...SIM_250, say }),
};

function setOptions({ rate, seed, sabotage }: Values) {
  const lie = SET_SABOTAGES.find((kind) => kind === sabotage) ?? null;
  return { people: PEOPLE, ratePerS: rate, seed, sabotage: lie, say };
}

/** `./hongbao prove NAME`: exit status 1 when something does not hold. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['PROOF'],
    notes: [
      `PROOF is one of ${Object.keys(PROOFS).join(', ')}. The figures go to`,
      'docs/proofs/PROOF.json; what a run that does not hold leaves behind is kept, and the path is',
      'printed.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['PROOF'] });
    const [name = ''] = positionals;
    const prove = PROOFS[name];
    if (prove === undefined) {
      throw new UsageError(`PROOF is one of ${Object.keys(PROOFS).join(', ')}; not '${name}'`);
    }
    checkFlags(name, flags);
    const seed = flags.seed ?? Math.floor(Math.random() * SEED_MAX);
    console.log(`seed ${seed}`);
    const { result, findings, keptDir } = await prove({ ...flags, seed });
    for (const one of result.figures) console.log(`${one.name}: ${one.value} ${one.unit}`);
    for (const line of findings) console.error(line);
    if (keptDir !== null) console.error(`what is left of it is in ${keptDir}`);
    // A part of the proof, or a broken one, is not the proof.
    const isWhole =
      flags.sabotage === undefined && flags.scenario.length === 0 && flags.scripts >= SCRIPTS;
    if (isWhole) console.log(`written: ${await writeProof({ name, result })}`);
    if (flags.json) printResult(result);
    return result.ok ? 0 : 1;
  },
};

function checkFlags(name: string, flags: FlagValues<typeof FLAGS>): void {
  const { sabotage } = flags;
  if (sabotage !== undefined && name === 'sim-250') {
    throw new UsageError('sim-250 has no --sabotage: ./hongbao sim --mutants plants mistakes');
  }
  if (name === 'conformance' && sabotage !== undefined) {
    throw new UsageError('conformance has no --sabotage: its test plants differences');
  }
  const lies: readonly string[] = name === 'kill-embedded' ? SABOTAGES : SET_SABOTAGES;
  if (sabotage !== undefined && !lies.includes(sabotage)) {
    throw new UsageError(`--sabotage of ${name} is one of ${lies.join(', ')}`);
  }
  if (flags.scenario.length > 0 && name !== 'replica-faults') {
    throw new UsageError('--scenario is for replica-faults');
  }
  if (name === 'kill-embedded' && membersFor(flags) > LIMITS.groupMembersMax) {
    throw new UsageError(`--opens and --packets need over ${LIMITS.groupMembersMax} members`);
  }
}
