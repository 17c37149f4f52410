import type { MemoryReplica } from '../../../lib/adapter/memory-replica.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { lsn } from '../../../lib/core/units.ts';
import type {
  AppendReply,
  Bootstrap,
  Fence,
  ReplicaStore,
} from '../../../lib/port/replica-store.ts';
import type { Mutant } from './walk.ts';

type Overrides = Partial<ReplicaStore>;
type Append = { fence: Fence; entries: readonly Entry[] };

/** The replica with some methods replaced by worse ones. */
function over(disk: MemoryReplica, overrides: Overrides): ReplicaStore {
  return new Proxy<ReplicaStore>(disk, {
    get: (_, name) => {
      const method: unknown = Reflect.get(overrides, name) ?? Reflect.get(disk, name);
      return typeof method === 'function' ? (method.bind(disk) as unknown) : method;
    },
  });
}

/** It says that it has what it was sent, and has not written it. */
function liar(disk: MemoryReplica): ReplicaStore {
  return over(disk, {
    append: async ({ entries }: Append): Promise<AppendReply> => ({
      kind: 'acked',
      lsn: entries.at(-1)?.lsn ?? lsn(0),
    }),
  });
}

/** A lost disk makes itself a new row, and votes with its empty journal. */
function selfMade(disk: MemoryReplica): ReplicaStore {
  let made: Bootstrap | null = null;
  return over(disk, {
    bootstrap: (args) => {
      made = args;
      return disk.bootstrap(args);
    },
    takeOver: async (args) => {
      const reply = await disk.takeOver(args);
      if (reply.kind !== 'no_row' || made === null) return reply;
      await disk.bootstrap(made);
      return disk.takeOver(args);
    },
  });
}

/** It has forgotten to whom it gave its fence: whoever writes holds it. */
function forgetful(disk: MemoryReplica): ReplicaStore {
  return over(disk, {
    append: async ({ fence, entries }: Append): Promise<AppendReply> => {
      const reply = await disk.append({ fence, entries });
      const row = await disk.fenceRow();
      if (reply.kind !== 'fenced' || row === null || row.fenceEpoch < fence.epoch) return reply;
      const { fenceEpoch: epoch, fenceOwner: owner, incarnation } = row;
      return disk.append({ fence: { epoch, owner, incarnation }, entries });
    },
  });
}

type Restore = Parameters<ReplicaStore['restore']>[0];

/** It takes what lands late for new: no incarnation check on restore. */
function overtaken(disk: MemoryReplica): ReplicaStore {
  return over(disk, {
    restore: (args: Restore) => {
      disk.forgetReadmission();
      return disk.restore(args);
    },
  });
}

/** A mutant, the rule by which it must be seen, and a seed that sees it. */
type Planted = {
  readonly name: string;
  readonly mutant: Mutant;
  readonly rule: RegExp;
  readonly seed: number;
};

/** Rules of replication.md, broken one at a time, around the code under test and not in it. */
export const MUTANTS: readonly Planted[] = [
  {
    name: 'an answer after one write (W=1)',
    mutant: { quorum: 1 },
    rule: /^P7 /,
    seed: 1,
  },
  {
    name: 'a replica that acknowledges without storing',
    mutant: { replica: (disk, replica) => (replica === 2 ? liar(disk) : disk) },
    rule: /^P7 /,
    seed: 1,
  },
  {
    name: 'an empty replica that votes',
    mutant: { replica: selfMade },
    rule: /^I[12] /,
    seed: 216,
  },
  {
    name: 'a replica that forgets its fence',
    mutant: { replica: forgetful },
    rule: /^I6 /,
    seed: 4,
  },
  {
    name: 'no incarnation check on restore',
    mutant: { disorderly: true, replica: overtaken },
    rule: /^I7 /,
    seed: 97,
  },
];
