import { FENCE_RULES } from './replica-fence.rules.ts';
import { JOURNAL_RULES } from './replica-journal.rules.ts';
import { PROJECTION_RULES } from './replica-projection.rules.ts';
import { READMIT_RULES } from './replica-readmit.rules.ts';
import type { ReplicaWorld } from '../../ops/sim/conformance/replica-world.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export const REPLICA_RULES: readonly Rule<ReplicaWorld>[] = [
  ...FENCE_RULES,
  ...JOURNAL_RULES,
  ...READMIT_RULES,
  ...PROJECTION_RULES,
];

/** The port's rules against one adapter; `make` opens an empty replica. */
export function replicaStoreContract(name: string, make: () => Promise<ReplicaWorld>): void {
  runRules(`replica store: ${name}`, REPLICA_RULES, make);
}
