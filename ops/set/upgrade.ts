/** `./hongbao set upgrade`: raises the rules that a Set's entries are written by (SPEC L23). */
import { openSetNode } from '../../lib/runtime/grpc.ts';
import type { SetNodeClient } from '../../lib/runtime/stream.ts';
import type { NodeStatus__Output } from '../../proto/gen/hongbao/NodeStatus.ts';
import type { TopologySet } from '../../router/topology.ts';

export type UpgradeOptions = {
  readonly set: Pick<TopologySet, 'id' | 'nodes'>;
  readonly rules: number;
  /** What was done, line by line. */
  readonly print: (line: string) => void;
  /** Why it was not. */
  readonly complain: (line: string) => void;
};

type Asked = {
  readonly slot: number;
  readonly client: SetNodeClient;
  /** null: it did not answer. */
  readonly status: NodeStatus__Output | null;
};

/**
 * Asks every node of the Set what it reads, and its leader to raise the rules when all of them read
 * those. Resolves with the exit status. Nothing is changed unless it says that the Set is raised,
 * or that nobody knows: then the same call again finds out.
 */
export async function upgrade(options: UpgradeOptions): Promise<number> {
  const { set, rules, print, complain } = options;
  const asked = await Promise.all(set.nodes.map(({ primary }, slot) => ask(primary, slot)));
  const against = asked.map((one) => whyNot(one, options)).filter((reason) => reason !== null);
  const leader = asked.find(({ status }) => status?.role === 'leading');
  if (leader === undefined) against.push(`Set ${set.id} has no leader`);
  for (const reason of against) complain(reason);
  if (leader === undefined || against.length > 0) return 1;
  const askedSlots = asked.map(({ slot }) => slot);
  try {
    const reply = await leader.client.upgrade({ rules, askedSlots });
    if (!reply.raised) {
      complain(`node ${leader.slot} of Set ${set.id} does not: ${reply.reason}`);
      return 1;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    complain(`node ${leader.slot} of Set ${set.id} did not say whether it did: ${reason}`);
    return 1;
  }
  print(`Set ${set.id} is at rules ${rules}`);
  return 0;
}

async function ask(address: string, slot: number): Promise<Asked> {
  const client = openSetNode(address);
  const status = await client.status().catch(() => null);
  return { slot, client, status };
}

/** null: this node can read what the Set is to be raised to. */
function whyNot({ slot, status }: Asked, { set, rules }: UpgradeOptions): string | null {
  const name = `node ${slot} of Set ${set.id}`;
  if (status === null) return `${name} does not answer`;
  if (status.setId !== set.id) return `${name} answers for Set ${status.setId}`;
  // A build from before there was anything to choose says nothing of rules.
  const rulesMax = Math.max(1, status.rulesMax);
  if (rulesMax < rules) return `${name} is too old: it reads up to rules ${rulesMax}`;
  if (status.rules > rules) return `Set ${set.id} is at rules ${status.rules}: never lowered`;
  return null;
}
