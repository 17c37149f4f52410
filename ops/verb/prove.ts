import { LIMITS } from '../../lib/core/limits.ts';
import { JSON_FLAG, parseArgs, printResult, UsageError, usageOf } from '../cli.ts';
import type { FlagValues, Result, Verb } from '../cli.ts';
import { provePacketVerify } from '../packet/prove.ts';
import { proveConformance } from '../prove/conformance.ts';
import { proveDamage } from '../prove/damage.ts';
import { proveKillEmbedded } from '../prove/kill-embedded.ts';
import { membersFor, SABOTAGES } from '../prove/kill-world.ts';
import { proveMoney } from '../prove/money/proof.ts';
import { MONEY_SABOTAGES } from '../prove/money/sabotage.ts';
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
const DAMAGES = 1_000;
/** Damages that `./hongbao audit` looks for in a process of its own, too. */
const DAMAGES_BY_VERB = 20;
const MONEY_MINUTES = 10;
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
  minutes: {
    kind: 'integer',
    help: 'money-10m: how long it runs; a shorter run is not written down',
    min: 1,
    max: 600,
    fallback: MONEY_MINUTES,
  },
  rate: {
    kind: 'integer',
    help: 'proofs of a Set and of the money: opens a second',
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
  damages: {
    kind: 'integer',
    help: 'audit-damage: damages, each undone before the next',
    min: 1,
    max: 100_000,
    fallback: DAMAGES,
  },
  seed: { kind: 'integer', help: 'repeats the choices of a run', min: 0, max: SEED_MAX },
  sabotage: {
    kind: 'text',
    value: 'KIND',
    help: 'break something on purpose: the proof has to fail, and nothing is written',
    choices: [...new Set([...SABOTAGES, ...SET_SABOTAGES, ...MONEY_SABOTAGES])],
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
/** Set-nodes, access nodes and reconcilers know the setting `natsUrl`. */
const HAS_NATS = true;
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
  'audit-damage': ({ damages, seed }) =>
    proveDamage({ damages, seed, byVerb: DAMAGES_BY_VERB, hasMaria: true, say }),
  'leader-kill': (values) => proveLeaderKill({ ...setOptions(values), kills: values.kills }),
  'replica-faults': (values) =>
    proveReplicaFaults({ ...setOptions(values), scenarios: values.scenario, pace: PACE }),
  'money-10m': ({ minutes, rate, seed, sabotage }) =>
    proveMoney({
      minutes,
      ratePerS: rate,
      seed,
      hasNats: HAS_NATS,
      sabotage: MONEY_SABOTAGES.find((kind) => kind === sabotage) ?? null,
      say,
    }),
  'packet-verify': ({ seed }) => provePacketVerify({ seed, say }),
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
      flags.sabotage === undefined &&
      flags.scenario.length === 0 &&
      flags.scripts >= SCRIPTS &&
      flags.damages >= DAMAGES &&
      flags.minutes >= MONEY_MINUTES;
    if (isWhole) console.log(`written: ${await writeProof({ name, result })}`);
    if (flags.json) printResult(result);
    return result.ok ? 0 : 1;
  },
};

const LIES: Readonly<Record<string, readonly string[]>> = {
  'kill-embedded': SABOTAGES,
  'money-10m': MONEY_SABOTAGES,
};

function checkFlags(name: string, flags: FlagValues<typeof FLAGS>): void {
  const { sabotage } = flags;
  if (sabotage !== undefined && name === 'sim-250') {
    throw new UsageError('sim-250 has no --sabotage: ./hongbao sim --mutants plants mistakes');
  }
  if (name === 'conformance' && sabotage !== undefined) {
    throw new UsageError('conformance has no --sabotage: its test plants differences');
  }
  if (name === 'audit-damage' && sabotage !== undefined) {
    throw new UsageError('audit-damage has no --sabotage: it damages data all the time');
  }
  if (name === 'packet-verify' && sabotage !== undefined) {
    throw new UsageError('packet-verify has no --sabotage: it tells its own lies');
  }
  const lies = LIES[name] ?? SET_SABOTAGES;
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
