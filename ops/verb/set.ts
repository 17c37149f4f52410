import { readFile } from 'node:fs/promises';
import type { SetNodeClient } from '../../lib/runtime/stream.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { NodeStatus__Output } from '../../proto/gen/hongbao/NodeStatus.ts';
import { loadTopology } from '../../router/topology-file.ts';
import type { TopologySet } from '../../router/topology.ts';
import { TopologyError } from '../../router/topology.ts';
import { columns, JSON_FLAG, parseArgs, printResult, resultOf } from '../cli.ts';
import { UsageError, usageOf, type Verb } from '../cli.ts';
import { grow } from '../set/grow.ts';
import { upgrade } from '../set/upgrade.ts';

const NAME = 'set';
const SUMMARY = 'show who leads a Set, hand its leadership over, make it larger or raise its rules';
const ACTIONS = ['status', 'step-down', 'grow', 'upgrade'] as const;
const FLAGS = {
  set: { kind: 'integer', help: 'number of the Set; without it: all of them', min: 0, max: 1_023 },
  topology: {
    kind: 'text',
    value: 'FILE',
    help: 'the topology document',
    fallback: '.data/cluster/topology.json',
  },
  to: { kind: 'text', value: 'DSN,DSN', help: 'grow: the two new replicas, without passwords' },
  'key-file': {
    kind: 'text',
    value: 'FILE',
    help: "grow: the cluster's keys",
    fallback: '.data/cluster/keys',
  },
  'db-password-file': {
    kind: 'text',
    value: 'FILE',
    help: "grow: the database users' password; without it HONGBAO_DB_PASSWORD",
  },
  rules: { kind: 'integer', help: 'upgrade: the rules to raise the Set to', min: 1, max: 65_535 },
  json: JSON_FLAG,
} as const;

type Seen = {
  readonly set: number;
  readonly slot: number;
  readonly address: string;
  readonly client: SetNodeClient;
  /** null: it did not answer. */
  readonly status: NodeStatus__Output | null;
};

/** `./hongbao set status`, `… step-down --set N`, `… grow --set N --to …`, `… upgrade --set N --rules V`. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['status|step-down|grow|upgrade'],
    notes: [
      'step-down: the leader finishes what it has taken, and a standby takes over at once; the old',
      'leader does not compete for five seconds, or until another has led. Refused while nobody',
      'follows.',
      'grow: one replica becomes three. Stop the nodes of the Set first; nobody is served meanwhile.',
      'Run the same call again after a crash at any point; start the nodes when it has said so.',
      'upgrade: refused unless every node of the Set answers and can read those rules. There is no',
      'way back: a node of an older build refuses to serve from then on.',
      'Exit status: 0 when every Set that was asked for has a leader, else 1.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['ACTION'] });
    const [action] = positionals;
    if (!isAction(action)) {
      throw new UsageError(`${ACTIONS.join(', ')}, not '${action}'`);
    }
    const sets = await setsOf(flags.topology, flags.set);
    if (action === 'status') return report(await look(sets), flags.json);
    const [set] = sets;
    if (flags.set === undefined || set === undefined) throw new UsageError('--set is missing');
    if (action === 'step-down') return stepDown(set);
    const print = (line: string): void => console.log(line);
    const complain = (line: string): void => console.error(line);
    if (action === 'upgrade') {
      if (flags.rules === undefined) throw new UsageError('--rules is missing');
      return upgrade({ set, rules: flags.rules, print, complain });
    }
    if (flags.to === undefined) throw new UsageError('--to is missing');
    return grow({
      setId: set.id,
      topologyFile: flags.topology,
      to: flags.to.split(','),
      keyFile: flags['key-file'],
      password: await passwordOf(flags['db-password-file']),
      print,
      complain,
    });
  },
};

function isAction(word: string | undefined): word is (typeof ACTIONS)[number] {
  return ACTIONS.some((action) => action === word);
}

async function passwordOf(file: string | undefined): Promise<string> {
  if (file === undefined) return process.env['HONGBAO_DB_PASSWORD'] ?? '';
  return (await readFile(file, 'utf8')).trim();
}

async function setsOf(file: string, wanted: number | undefined): Promise<readonly TopologySet[]> {
  const topology = await loadTopology(file).catch((error: unknown) => {
    if (error instanceof TopologyError) throw new UsageError(error.message);
    throw error;
  });
  if (topology === null) throw new UsageError(`${file}: there is no topology`);
  const living = topology.sets.filter(({ state }) => state !== 'retired');
  const sets = living.filter(({ id }) => wanted === undefined || id === wanted);
  if (sets.length === 0) throw new UsageError(`there is no Set ${wanted}`);
  return sets;
}

function look(sets: readonly TopologySet[]): Promise<Seen[]> {
  const asked = sets.flatMap((set) =>
    set.nodes.map(async ({ primary }, slot): Promise<Seen> => {
      const client = openSetNode(primary);
      const status = await client.status().catch(() => null);
      return { set: set.id, slot, address: primary, client, status };
    }),
  );
  return Promise.all(asked);
}

function leaderOf(seen: readonly Seen[]): Seen | undefined {
  return seen.find(({ status }) => status?.role === 'leading');
}

function report(seen: readonly Seen[], isJson: boolean): number {
  const sets = [...new Set(seen.map(({ set }) => set))];
  const led = sets.filter((set) => leaderOf(seen.filter((one) => one.set === set)) !== undefined);
  const held = led.length === sets.length;
  if (isJson) {
    const nodes = seen.map(({ set, slot, address, status }) => ({ set, slot, address, status }));
    const figures = [{ name: 'Sets with a leader', value: led.length, unit: 'Sets' }];
    printResult(resultOf({ name: 'set status', figures, conditions: { nodes }, held }));
  } else {
    for (const line of columns(seen.map(lineOf))) console.log(line);
  }
  return held ? 0 : 1;
}

function lineOf({ set, slot, address, status }: Seen): string[] {
  const name = `Set ${set} node ${slot} (${address})`;
  if (status === null) return [name, 'does not answer'];
  const parts = [status.role, `lsn ${status.lsn}`, `commit ${status.commitLsn}`];
  if (status.role === 'leading') parts.splice(1, 0, `epoch ${status.epoch}`);
  for (const { replica, active, ackedLsn, lagEntries } of status.replicas) {
    parts.push(`replica ${replica}: ${active ? `acked ${ackedLsn}, lag ${lagEntries}` : 'away'}`);
  }
  if (status.rules > 0) parts.push(`rules ${status.rules} of ${status.rulesMax}`);
  if (status.reason !== '') parts.push(status.reason);
  return [name, parts.join(' · ')];
}

async function stepDown(set: TopologySet): Promise<number> {
  const seen = await look([set]);
  const leader = leaderOf(seen);
  if (leader === undefined) {
    console.error(`Set ${set.id} has no leader`);
    return 1;
  }
  if (!seen.some(({ status }) => status?.role === 'following')) {
    console.error(`Set ${set.id} has no node that could take over from node ${leader.slot}`);
    return 1;
  }
  if (!(await leader.client.stepDown())) {
    console.error(`node ${leader.slot} did not lead any more`);
    return 1;
  }
  console.log(`node ${leader.slot} of Set ${set.id} has stepped down`);
  return 0;
}
