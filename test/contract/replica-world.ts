import { sha256 } from '../../lib/adapter/node-crypto.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM, seal } from '../../lib/core/journal-entry.ts';
import { RULES_MIN } from '../../lib/core/rules.ts';
import { cents, epoch, epochOf, lsn, timeMs } from '../../lib/core/units.ts';
import type { Change, Fence, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { SET } from '../../ops/sim/conformance/replica-world.ts';
import { encodeChanges } from '../../ops/sim/conformance/schema.ts';

export const CLUSTER = new Uint8Array(16).fill(0xc1);
export const OWNER_A = new Uint8Array(16).fill(0xa1);
export const OWNER_B = new Uint8Array(16).fill(0xb2);
export const E1 = epochOf(1, 0);
export const E2 = epochOf(2, 1);
export const E3 = epochOf(3, 0);

export const FENCE_A: Fence = { epoch: E1, owner: OWNER_A, incarnation: 1 };
export const FENCE_B: Fence = { epoch: E2, owner: OWNER_B, incarnation: 1 };

/** An entry after `prev` (null: the first one), of `at`'s epoch, that does `changes`. */
export function makeEntry(args: {
  prev: Entry | null;
  epoch?: number;
  changes?: readonly Change[];
  payload?: Uint8Array;
  leader?: Uint8Array;
}): Entry {
  const at = (args.prev?.lsn ?? 0) + 1;
  return seal({
    head: {
      setId: SET,
      lsn: lsn(at),
      epoch: epoch(args.epoch ?? E1),
      leaderId: args.leader ?? OWNER_A,
      kind: 'OPS',
      prev: args.prev?.sum ?? ZERO_SUM,
      ts: timeMs(1_767_225_600_000 + at),
      commitLsn: lsn(at - 1),
      acked: [lsn(at - 1), lsn(0), lsn(0)],
      format: RULES_MIN,
      opCount: args.changes?.length ?? 0,
      money: {
        walletsCents: cents(700 + at),
        packetsCents: cents(300),
        clearingCents: cents(-5),
        issuerCents: cents(-995 - at),
      },
    },
    payload: args.payload ?? encodeChanges(args.changes ?? []),
    hash: sha256,
  });
}

/** `count` chained entries after `prev`. */
export function makeChain(args: {
  prev: Entry | null;
  count: number;
  epoch?: number;
  changes?: (at: number) => readonly Change[];
}): Entry[] {
  const entries: Entry[] = [];
  let { prev } = args;
  for (let index = 0; index < args.count; index++) {
    const at: number = (prev?.lsn ?? 0) + 1;
    prev = makeEntry({ prev, epoch: args.epoch ?? E1, changes: args.changes?.(at) ?? [] });
    entries.push(prev);
  }
  return entries;
}

/** A voter at fence E1 of owner A with an empty journal. */
export async function startVoter(store: ReplicaStore): Promise<void> {
  await store.bootstrap({ clusterId: CLUSTER, replicaId: 0, replicas: 3 });
  await store.takeOver({ epoch: E1, owner: OWNER_A });
}

/** Tells a replica that its own entry `at` is committed. */
export async function commitTo(store: ReplicaStore, at: number): Promise<void> {
  const [entry] = await store.read({ after: lsn(at - 1), limitBytes: 1 });
  if (entry?.lsn !== at) throw new Error(`there is no entry ${at}`);
  await store.setCommit(entry);
}

/** The code of a StoreError, for comparing what two replicas refuse. */
export function codeOf(error: unknown): string {
  return error instanceof StoreError ? error.code : String(error);
}
