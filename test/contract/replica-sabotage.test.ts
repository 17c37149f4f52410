import { expect, test } from 'vitest';
import { MemoryReplica } from '../../lib/adapter/memory-replica.ts';
import type { Epoch, Lsn } from '../../lib/core/units.ts';
import { epoch, lsn } from '../../lib/core/units.ts';
import type { AppendReply, Fence, Place, TakeOverReply } from '../../lib/port/replica-store.ts';
import { openMemoryWorld } from '../../ops/sim/conformance/memory-world.ts';
import { REPLICA_RULES } from './replica-store.contract.ts';
import { SET } from '../../ops/sim/conformance/replica-world.ts';

import { checkRule } from './rule.ts';
import { schema } from '../../ops/sim/conformance/schema.ts';

/** A replica with one planted fault each: the suite must be able to fail (replication.md, mutants). */
class IgnoresFence extends MemoryReplica {
  override async append(args: Parameters<MemoryReplica['append']>[0]): Promise<AppendReply> {
    const row = await this.fenceRow();
    if (row === null) return super.append(args);
    const fence: Fence = { ...args.fence, epoch: row.fenceEpoch, owner: row.fenceOwner };
    return super.append({ ...args, fence });
  }
}

class KeepsAlive extends MemoryReplica {
  override restart(): void {
    // The proof of life survives, as it would in a table on the disk.
  }
}

class PromisesTwice extends MemoryReplica {
  override async takeOver(args: { epoch: Epoch; owner: Uint8Array }): Promise<TakeOverReply> {
    const reply = await super.takeOver(args);
    if (reply.kind !== 'refused' || reply.fenceEpoch !== args.epoch) return reply;
    return super.takeOver({ ...args, epoch: epoch(args.epoch + 1) });
  }
}

class MakesDefaultRow extends MemoryReplica {
  override async takeOver(args: { epoch: Epoch; owner: Uint8Array }): Promise<TakeOverReply> {
    await super.bootstrap({ clusterId: new Uint8Array(16), replicaId: 0, replicas: 3 });
    return super.takeOver(args);
  }
}

class TakesOnlyFirst extends MemoryReplica {
  override async append(args: Parameters<MemoryReplica['append']>[0]): Promise<AppendReply> {
    const reply = await super.append({ ...args, entries: args.entries.slice(0, 1) });
    const last = args.entries.at(-1);
    return reply.kind === 'acked' && last !== undefined ? { ...reply, lsn: last.lsn } : reply;
  }
}

class AdmitsAgain extends MemoryReplica {
  override async admit(
    args: Parameters<MemoryReplica['admit']>[0],
  ): ReturnType<MemoryReplica['admit']> {
    const reply = await super.admit(args);
    if (reply === 'done') return reply;
    return super.admit({ ...args, incarnation: args.incarnation + 1 });
  }
}

/** Every call is the newest: what lands late overtakes what came after it. */
class ForgetsReadmissions extends MemoryReplica {
  #count = 100;

  override async restore(
    args: Parameters<MemoryReplica['restore']>[0],
  ): ReturnType<MemoryReplica['restore']> {
    const newest = { epoch: epoch(args.epoch + 256 * this.#count), incarnation: this.#count };
    this.#count += 1;
    return super.restore({ ...args, ...newest });
  }
}

class AdmitsAnyHead extends MemoryReplica {
  override async admit(
    args: Parameters<MemoryReplica['admit']>[0],
  ): ReturnType<MemoryReplica['admit']> {
    const entries = await this.read({ after: lsn(0), limitBytes: 1_000_000 });
    return super.admit({ ...args, head: entries.at(-1) ?? args.head });
  }
}

class CutsAnyHead extends MemoryReplica {
  override async truncate(
    args: Parameters<MemoryReplica['truncate']>[0],
  ): ReturnType<MemoryReplica['truncate']> {
    const entries = await this.read({ after: lsn(0), limitBytes: 1_000_000 });
    return super.truncate({ ...args, head: entries.at(-1) ?? args.head });
  }
}

class ProjectsUncommitted extends MemoryReplica {
  override async project(to: Lsn): Promise<Lsn> {
    const entries = await this.read({ after: lsn(0), limitBytes: 1_000_000 });
    const last = entries[to - 1] ?? entries.at(-1);
    if (last !== undefined) await super.setCommit(last);
    return super.project(to);
  }
}

class ForgetsDiscarded extends MemoryReplica {
  override discarded(): readonly never[] {
    return [];
  }
}

class ReadsPastLimit extends MemoryReplica {
  override async read(args: { after: Lsn; limitBytes: number }): ReturnType<MemoryReplica['read']> {
    return super.read({ ...args, limitBytes: 1_000_000 });
  }
}

class CommitFollowsAnyone extends MemoryReplica {
  override async setCommit(at: Place): Promise<void> {
    const entries = await this.read({ after: lsn(0), limitBytes: 1_000_000 });
    const here = entries[Math.min(at.lsn, entries.length) - 1];
    if (here !== undefined) await super.setCommit(here);
  }
}

class RecordsUnproved extends MemoryReplica {
  override async recordIncarnation(
    args: Parameters<MemoryReplica['recordIncarnation']>[0],
  ): ReturnType<MemoryReplica['recordIncarnation']> {
    return super.recordIncarnation({ ...args, proved: false });
  }
}

class UnprovesForAnyone extends MemoryReplica {
  override async unprove({ fence }: { fence: Fence }): ReturnType<MemoryReplica['unprove']> {
    const row = await this.fenceRow();
    if (row === null) return super.unprove({ fence });
    const { fenceEpoch, fenceOwner: owner, incarnation } = row;
    return super.unprove({ fence: { epoch: fenceEpoch, owner, incarnation } });
  }
}

/** The farewell of one leader is everybody's. */
class ResignsForAnyone extends MemoryReplica {
  override async resign(at: Epoch): Promise<void> {
    const beat = await this.readBeat();
    await super.resign(epoch(Math.max(at, beat.epoch)));
  }
}

const PLANTED: readonly [typeof MemoryReplica, string][] = [
  [IgnoresFence, 'RS3b'],
  [IgnoresFence, 'RS2f'],
  [KeepsAlive, 'RS3i'],
  [KeepsAlive, 'RS2d'],
  [PromisesTwice, 'RS2b'],
  [MakesDefaultRow, 'RS2c'],
  [TakesOnlyFirst, 'RS3a'],
  [AdmitsAgain, 'RS9b'],
  [ForgetsReadmissions, 'RS8g'],
  [ForgetsReadmissions, 'RS8h'],
  [AdmitsAnyHead, 'RS9h'],
  [CutsAnyHead, 'RS4e'],
  [ProjectsUncommitted, 'RS12a'],
  [ForgetsDiscarded, 'RS4a'],
  [ReadsPastLimit, 'RS5a'],
  [CommitFollowsAnyone, 'RS10b'],
  [RecordsUnproved, 'RS7d'],
  [UnprovesForAnyone, 'RS26b'],
  [ResignsForAnyone, 'RS11b'],
];

test.each(PLANTED)('the contract catches %o by [%s]', async (Faulty, id) => {
  const rule = REPLICA_RULES.find((each) => each.id === id);
  if (rule === undefined) throw new Error(`no rule ${id}`);
  const good = checkRule(rule, async () => openMemoryWorld());
  await expect(good).resolves.toBeUndefined();
  const bad = checkRule(rule, async () => openMemoryWorld(new Faulty(SET, schema)));
  await expect(bad).rejects.toBeInstanceOf(Error);
});
