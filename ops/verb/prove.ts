import { LIMITS } from '../../lib/core/limits.ts';
import { JSON_FLAG, parseArgs, printResult, UsageError, usageOf, type Verb } from '../cli.ts';
import { proveKillEmbedded } from '../prove/kill-embedded.ts';
import { membersFor, SABOTAGES } from '../prove/kill-world.ts';
import { writeProof } from '../prove/write.ts';

const NAME = 'prove';
const SUMMARY = 'run a proof against the real thing and write down what it found';
const PROOFS = ['kill-embedded'];
const SEED_MAX = 2 ** 32 - 1;
const FLAGS = {
  rounds: { kind: 'integer', help: 'kills in the middle', min: 1, max: 1_000, fallback: 20 },
  opens: {
    kind: 'integer',
    help: 'concurrent opens of a round',
    min: 20,
    max: 5_000,
    fallback: 2_000,
  },
  packets: { kind: 'integer', help: 'packets of a round', min: 1, max: 500, fallback: 50 },
  sets: { kind: 'integer', help: 'Sets of the data directory', min: 1, max: 16, fallback: 2 },
  seed: { kind: 'integer', help: 'repeats the choices of a run', min: 0, max: SEED_MAX },
  sabotage: {
    kind: 'text',
    value: 'KIND',
    help: 'break something on purpose: the proof has to fail, and nothing is written',
    choices: SABOTAGES,
  },
  json: JSON_FLAG,
} as const;

/** `./hongbao prove kill-embedded`: exit status 1 when something does not hold. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['PROOF'],
    notes: [
      `PROOF is one of ${PROOFS.join(', ')}. The figures go to docs/proofs/PROOF.json; data and`,
      'history of a run that does not hold are kept, and the path is printed.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['PROOF'] });
    const [name = ''] = positionals;
    if (!PROOFS.includes(name)) {
      throw new UsageError(`PROOF is one of ${PROOFS.join(', ')}; not '${name}'`);
    }
    if (membersFor(flags) > LIMITS.groupMembersMax) {
      throw new UsageError(`--opens and --packets need over ${LIMITS.groupMembersMax} members`);
    }
    const seed = flags.seed ?? Math.floor(Math.random() * SEED_MAX);
    console.log(`seed ${seed}`);
    const proof = await proveKillEmbedded({
      ...flags,
      seed,
      outstanding: flags.opens,
      sabotage: SABOTAGES.find((kind) => kind === flags.sabotage) ?? null,
      say: (line) => console.log(line),
    });
    const { result, findings, keptDir } = proof;
    for (const one of result.figures) console.log(`${one.name}: ${one.value} ${one.unit}`);
    for (const line of findings) console.error(line);
    if (keptDir !== null) console.error(`data and history are in ${keptDir}`);
    if (flags.sabotage === undefined) console.log(`written: ${await writeProof({ name, result })}`);
    if (flags.json) printResult(result);
    return result.ok ? 0 : 1;
  },
};
