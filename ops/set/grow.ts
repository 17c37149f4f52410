/** `./hongbao set grow`: a Set of one replica becomes a Set of three (SPEC L20–L22). */
import { existsSync } from 'node:fs';
import { makeJsonLog } from '../../lib/adapter/json-log.ts';
import { loadKeyFile } from '../../lib/adapter/key-file.ts';
import { makeCrypto } from '../../lib/adapter/node-crypto.ts';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { assert } from '../../lib/core/assert.ts';
import { equalBytes, fromHex } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { CorruptEntry } from '../../lib/core/journal-entry.ts';
import { NodeTooOld, RULES_MIN } from '../../lib/core/rules.ts';
import type { SetId } from '../../lib/core/units.ts';
import { NODE_SLOT_MAX, lsn } from '../../lib/core/units.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { ConfigError } from '../../lib/runtime/config.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { loadTopology, saveTopology } from '../../router/topology-file.ts';
import type { Topology, TopologySet } from '../../router/topology.ts';
import { TopologyError, extend, slotBitmap } from '../../router/topology.ts';
import {
  SharedDataDirectory,
  assertApart,
  clockAheadMs,
  isTooFarAhead,
} from '../../set-node/log/clock-check.ts';
import { WrongConfiguration } from '../../set-node/log/configuration.ts';
import { headOf, placeAt } from '../../set-node/log/differences.ts';
import type { Grown } from '../../set-node/log/grow.ts';
import { growSet } from '../../set-node/log/grow.ts';
import { TakeoverFailed } from '../../set-node/log/takeover.ts';
import { openReplica } from '../../set-node/open-replica.ts';
import { UsageError } from '../cli.ts';

const REPLICAS = 3;
const QUORUM = 2;
/** Above every node of a topology: no epoch of the grower is ever a node's. */
const GROWER_SLOT = NODE_SLOT_MAX;

export type GrowOptions = {
  readonly setId: SetId;
  readonly topologyFile: string;
  /** The two new replicas, in order, without passwords. */
  readonly to: readonly string[];
  readonly keyFile: string;
  /** Of the database users; '' for none. */
  readonly password: string;
  /** What was done, line by line. */
  readonly print: (line: string) => void;
  /** Why it was not. */
  readonly complain: (line: string) => void;
};

/** What an operator can mend, said in a line. */
class Refused extends Error {
  override readonly name = 'Refused';
}

/**
 * Grows the Set and writes the topology's next version; safe to run again after a crash at any
 * point. Returns the exit status. Throws UsageError when the call is wrong, and what is a bug.
 */
export async function grow(options: GrowOptions): Promise<number> {
  const { topologyFile, setId, to, print, complain } = options;
  const topology = await loadTopology(topologyFile);
  const set = topology?.sets.find(({ id }) => id === setId);
  if (topology === null || set === undefined) throw new UsageError(`there is no Set ${setId}`);
  const replicas = targets(set, to);
  if (set.replicas.length === REPLICAS) {
    print(`Set ${setId} has these three replicas already, by version ${topology.version}`);
    return 0;
  }
  if (!existsSync(options.keyFile)) throw new UsageError(`${options.keyFile}: there are no keys`);
  try {
    await demandSilence(set);
    await growTo({ ...options, topology, replicas });
    const next = extend(topology, { kind: 'set.replicas', id: setId, replicas });
    await saveTopology(topologyFile, next);
    print(`the topology has version ${next.version} in ${topologyFile}: copy it to every node`);
    print(`now start the nodes of Set ${setId}, then: ./hongbao set status --set ${setId}`);
    return 0;
  } catch (error) {
    if (!isForPeople(error)) throw error;
    complain(`Set ${setId} has not grown: ${error.message}`);
    return 1;
  }
}

/** All three in order. Throws UsageError. */
function targets(set: TopologySet, to: readonly string[]): readonly string[] {
  const [first] = set.replicas;
  if (first === undefined) throw new UsageError(`Set ${set.id} has no replica in the topology`);
  const replicas = [first, ...to];
  if (to.length !== REPLICAS - 1 || new Set(replicas).size !== REPLICAS) {
    throw new UsageError('--to names two new replicas, joined by a comma');
  }
  for (const dsn of to) {
    if (!/^(sqlite:\/|mysql:\/\/)/.test(dsn)) {
      throw new UsageError('a replica is mysql://user@host:port/database or sqlite:/path');
    }
    // The topology is read by many; it must not tell them.
    if (/^mysql:\/\/[^@/]*:[^@/]*@/.test(dsn)) throw new UsageError('a DSN in --to has a password');
  }
  const isSame = replicas.every((dsn, replica) => dsn === set.replicas[replica]);
  if (set.replicas.length !== 1 && !(set.replicas.length === REPLICAS && isSame)) {
    throw new UsageError(`Set ${set.id} has other replicas: ${set.replicas.join(', ')}`);
  }
  return replicas;
}

/** A node that runs would take its leadership back before the new replicas are filled. */
async function demandSilence(set: TopologySet): Promise<void> {
  for (const [slot, { primary }] of set.nodes.entries()) {
    const client = openSetNode(primary);
    const status = await client.status().catch(() => null);
    client.close();
    if (status !== null) throw new Refused(`node ${slot} (${primary}) runs: stop it first`);
  }
}

async function growTo(
  args: GrowOptions & { topology: Topology; replicas: readonly string[] },
): Promise<void> {
  const { topology, setId, password, print } = args;
  const clock = new SystemClock();
  const log = makeJsonLog({ clock });
  const stores: ReplicaStore[] = [];
  try {
    for (const dsn of args.replicas) {
      stores.push(await openReplica({ setId, dsn, password, clock, log }));
    }
    assertApart(await Promise.all(stores.map((store) => store.probe())));
    const aheadMs = await clockAheadMs({ replicas: stores, quorum: REPLICAS, clock });
    if (aheadMs === null) throw new Refused('not all replicas say what time it is');
    if (isTooFarAhead(aheadMs)) {
      throw new Refused(`this machine's clock is ${Math.round(aheadMs)} ms ahead of the replicas'`);
    }
    const configuration: Extract<Command, { type: 'set.configure' }> = {
      type: 'set.configure',
      clusterId: fromHex(topology.clusterId),
      replicas: REPLICAS,
      quorum: QUORUM,
      // Those that the Set has stay; this only fills the field.
      rules: RULES_MIN,
      slots: slotBitmap(topology, setId),
    };
    const grown = await growSet({
      setId,
      replicas: stores,
      configuration,
      nodeSlot: GROWER_SLOT,
      clock,
      random: new SystemRandom(),
      crypto: makeCrypto(loadKeyFile(args.keyFile)),
      log,
    });
    if (grown.kind === 'already') await demandTheSame(stores, configuration.clusterId);
    print(said(setId, grown));
  } finally {
    await Promise.allSettled(stores.map((store) => store.close()));
  }
}

function said(set: SetId, grown: Grown): string {
  if (grown.kind === 'already') return `the journal of Set ${set} says N=3 already`;
  return `Set ${set} has three replicas: N=3, Q=2 is journaled at LSN ${grown.lsn} on all of them`;
}

/**
 * After a crash between the journal and the topology: these must be the very replicas that the Set
 * was grown to. They have their rows for these places, and all that stood below its CONFIG (L21).
 */
async function demandTheSame(
  stores: readonly ReplicaStore[],
  clusterId: Uint8Array,
): Promise<void> {
  const [first, ...added] = stores;
  assert(first !== undefined, 'a Set has its first replica');
  const head = await headOf(first, await first.commitLsn());
  const below = await placeAt(first, lsn(head.lsn - 1));
  for (const [index, store] of added.entries()) {
    const replicaId = index + 1;
    const isAdmitted =
      (await store.fenceRow()) !== null &&
      // A row that exists is only compared.
      (await store.bootstrap({ clusterId, replicaId, replicas: REPLICAS })) === 'exists';
    const [entry] = await store.read({ after: lsn(below.lsn - 1), limitBytes: 1 });
    if (isAdmitted && entry?.lsn === below.lsn && equalBytes(entry.sum, below.sum)) continue;
    throw new Refused(`the Set has grown before, and not to this replica ${replicaId}`);
  }
}

function isForPeople(error: unknown): error is Error {
  return (
    error instanceof Refused ||
    error instanceof StoreError ||
    error instanceof TakeoverFailed ||
    error instanceof WrongConfiguration ||
    error instanceof SharedDataDirectory ||
    error instanceof CorruptEntry ||
    error instanceof NodeTooOld ||
    error instanceof ConfigError ||
    error instanceof TopologyError
  );
}
