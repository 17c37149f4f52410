/**
 * The command line: a table of verbs, each loaded only when it is called. Exit status: the verb's
 * own, 1 when it threw, 2 when the call was wrong.
 */
import { columns, UsageError, type Verb } from './cli.ts';

export interface VerbEntry {
  readonly name: string;
  /** The same text as in the module, so that the overview loads none. */
  readonly summary: string;
  readonly load: () => Promise<{ readonly verb: Verb }>;
}

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'start',
    summary: 'run everything in one process, without a server to install',
    load: () => import('./verb/start.ts'),
  },
  {
    name: 'cluster',
    summary: 'run the tiers as processes of their own on real servers of this machine',
    load: () => import('./verb/cluster.ts'),
  },
  {
    name: 'set',
    summary: 'show who leads a Set, hand its leadership over, make it larger or raise its rules',
    load: () => import('./verb/set.ts'),
  },
  {
    name: 'wallet',
    summary: "show a person's wallet or statement, freeze or unfreeze it, or adjust its balance",
    load: () => import('./verb/wallet.ts'),
  },
  {
    name: 'cases',
    summary: 'show the transfers that do not reach their Set, why, and what to do',
    load: () => import('./verb/cases.ts'),
  },
  {
    name: 'test',
    summary: 'run the gate: types, lint, format, tidy and every test',
    load: () => import('./verb/test.ts'),
  },
  {
    name: 'bench',
    summary: 'measure, and say under which conditions',
    load: () => import('./verb/bench.ts'),
  },
  {
    name: 'sim',
    summary: 'walk the real code through simulated faults, seed by seed, and judge every step',
    load: () => import('./verb/sim.ts'),
  },
  {
    name: 'prove',
    summary: 'run a proof against the real thing and write down what it found',
    load: () => import('./verb/prove.ts'),
  },
  {
    name: 'audit',
    summary: 'read every replica of every Set and hold journals, money and tables against SPEC',
    load: () => import('./verb/audit.ts'),
  },
  {
    name: 'packet',
    summary: 'replay, verify or show one packet from the journals',
    load: () => import('./verb/packet.ts'),
  },
  {
    name: 'fairness',
    summary: 'deal one packet many times and show what every position gets',
    load: () => import('./verb/fairness.ts'),
  },
  {
    name: 'lock',
    summary: 'complete package-lock.json for the platforms that this machine does not see',
    load: () => import('./verb/lock.ts'),
  },
];

/** The text of `./hongbao --help`. */
export function overview(): string {
  return [
    './hongbao VERB [arguments]',
    '',
    'Group chat and red packets that keep every acknowledged cent.',
    '',
    ...columns(VERBS.map(({ name, summary }) => [name, summary])),
    '',
    './hongbao VERB --help says more about one of them.',
    '',
  ].join('\n');
}

/** @returns the exit status */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(overview());
    return 2;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return 0;
  }
  const entry = VERBS.find((one) => one.name === name);
  if (entry === undefined) {
    const what = name.startsWith('-') ? 'flag' : 'verb';
    process.stderr.write(`hongbao: unknown ${what} '${name}'\n\n${overview()}`);
    return 2;
  }
  const { verb } = await entry.load();
  if (asksForHelp(rest)) {
    process.stdout.write(verb.usage);
    return 0;
  }
  try {
    return await verb.run(rest);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`hongbao ${name}: ${error.message}\n\n${verb.usage}`);
    return 2;
  }
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const flags = end < 0 ? args : args.slice(0, end);
  return flags.includes('--help') || flags.includes('-h');
}

/** `./hongbao fairness … | head`: a reader that has seen enough is no error. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
}

if (import.meta.main) {
  process.stdout.on('error', endWithReader);
  // The exit status is set, not forced: a pipe that still holds output is written out first. A
  // verb that leaves a handle open on purpose (a server) lives on.
  process.exitCode = await main(process.argv.slice(2));
}
