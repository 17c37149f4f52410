import type { SetNodeClient } from '../../lib/runtime/stream.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { NodeStatus__Output } from '../../proto/gen/hongbao/NodeStatus.ts';
import { loadTopology } from '../../router/topology-file.ts';
import type { TopologySet } from '../../router/topology.ts';
import { TopologyError } from '../../router/topology.ts';
import { columns, JSON_FLAG, parseArgs, printResult, resultOf } from '../cli.ts';
import { UsageError, usageOf, type Verb } from '../cli.ts';

const NAME = 'set';
const SUMMARY = 'show who leads a Set, or hand its leadership over on purpose';
const FLAGS = {
  set: { kind: 'integer', help: 'number of the Set; without it: all of them', min: 0, max: 1_023 },
  topology: {
    kind: 'text',
    value: 'FILE',
    help: 'the topology document',
    fallback: '.data/cluster/topology.json',
  },
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

/** `./hongbao set status`, `./hongbao set step-down --set N`. */
export const verb: Verb = {
  name: NAME,
  summary: SUMMARY,
  usage: usageOf({
    name: NAME,
    summary: SUMMARY,
    flags: FLAGS,
    positionals: ['status|step-down'],
    notes: [
      'step-down: the leader finishes what it has taken, and a standby takes over at once; the old',
      'leader does not compete for five seconds. Refused while no other node follows.',
      'Exit status: 0 when every Set that was asked for has a leader, else 1.',
    ],
  }),
  async run(args) {
    const { flags, positionals } = parseArgs({ args, flags: FLAGS, positionals: ['ACTION'] });
    const [action] = positionals;
    if (action !== 'status' && action !== 'step-down') {
      throw new UsageError(`status or step-down, not '${action}'`);
    }
    const sets = await setsOf(flags.topology, flags.set);
    if (action === 'status') return report(await look(sets), flags.json);
    const [set] = sets;
    if (flags.set === undefined || set === undefined) throw new UsageError('--set is missing');
    return stepDown(set);
  },
};

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
