import { assert } from '../../lib/core/assert.ts';
import { equalBytes } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import type { Epoch, Lsn, SetId, TimeMs } from '../../lib/core/units.ts';
import { lsn, timeMs } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Random } from '../../lib/port/random.ts';
import type { Fence, ReplicaStore } from '../../lib/port/replica-store.ts';
import { StoreError } from '../../lib/port/replica-store.ts';
import { Batcher } from '../machine/batcher.ts';
import { assertConfiguration, configurationAfter } from './configuration.ts';
import { NO_FINDINGS } from '../machine/context.ts';
import type { JoinedLog } from './members.ts';
import { headOf, placeAt } from './differences.ts';
import { Members } from './members.ts';
import { Quarantine } from './quarantine.ts';
import { recoverBest } from './recover-best.ts';
import { applyEntry } from './replay.ts';
import type { SetConfig } from '../machine/state.ts';
import type { Adopted, Candidate } from './takeover.ts';
import { TakeoverFailed, takeOver } from './takeover.ts';
import { makeWorld } from '../machine/world.ts';

const RETRY_MS = 50;
/** A replica that does not take an entry in this time is not fit to join. */
const APPEND_MS = 10_000;

export type GrowArgs = {
  readonly setId: SetId;
  /** Three: the Set's only one first, then the two new ones. */
  readonly replicas: readonly ReplicaStore[];
  /** What the Set is to be: N=3, Q=2, and the cluster and slots that it has. Its rules stay. */
  readonly configuration: Extract<Command, { type: 'set.configure' }>;
  readonly nodeSlot: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly log: Log;
};

/** `already`: the journal says N=3; whatever is missing is the next leader's work (SPEC L21). */
export type Grown =
  | { readonly kind: 'grown'; readonly epoch: Epoch; readonly lsn: Lsn }
  | { readonly kind: 'already' };

/**
 * Makes a Set of one replica a Set of three (rulings 13, SPEC L20–L22). Nobody is served
 * meanwhile: an old leader is fenced by the first step. It may be run again after any crash. Throws
 * StoreError or TakeoverFailed when it may go better later, WrongConfiguration, CorruptEntry,
 * NodeTooOld, and AssertionFailed when a new replica holds something else.
 */
export async function growSet(args: GrowArgs): Promise<Grown> {
  const { replicas, configuration } = args;
  const [first, ...added] = replicas;
  assert(first !== undefined && added.length === 2, 'one replica becomes three');
  assert(configuration.replicas === 3 && configuration.quorum === 2, 'three replicas, two of them');
  // All must answer, before anything is changed.
  const rows = await Promise.all(replicas.map((store) => store.fenceRow()));
  const alone = { ...args, replicas: [first], quorum: 1, hash: args.crypto.sha256 };
  const recovered = await recoverBest(alone);
  const { state } = recovered;
  if (isGrown(args, state.config)) return { kind: 'already' };
  const adopted = await takeOver({
    ...alone,
    applied: { lsn: state.lsn, sum: recovered.sum, evidence: recovered.evidence },
    quarantine: new Quarantine(args.crypto.sha256),
    fenceAbove: Math.max(0, ...rows.map((row) => row?.fenceEpoch ?? 0)),
  });
  // Stored by the only replica, so it was committed in its old life.
  if (isGrown(args, configurationAfter(state.config, adopted.tail))) return { kind: 'already' };
  for (const entry of adopted.tail) applyEntry(recovered, entry);
  const team = new Team(args, adopted);
  const batcher = new Batcher({ state, prev: recovered.sum, hash: args.crypto.sha256 });
  const sealed = (kind: 'EPOCH_START' | 'CONFIG'): Entry => {
    const ts = timeMs(Math.max(state.ts, args.clock.now()));
    if (kind === 'CONFIG') {
      assert(state.config !== null, 'a Set that grows has a configuration');
      addConfiguration(args, { batcher, ts, rules: state.config.rules });
    }
    const { epoch, owner } = adopted;
    const stamp = { epoch, owner, commitLsn: state.lsn, acked: team.acked() };
    return batcher.seal({ kind, stamp, ts }).entry;
  };
  await team.bring({ replica: 0, end: state.lsn });
  await team.append(0, sealed('EPOCH_START'));
  for (const [index, store] of added.entries()) {
    await demandPrefix({ store, of: first, end: state.lsn });
    await team.bring({ replica: index + 1, end: state.lsn });
  }
  const config = sealed('CONFIG');
  // The old configuration ends when its only replica has stored this: before anybody else has.
  for (const replica of replicas.keys()) await team.append(replica, config);
  await Promise.all(replicas.map((store) => store.setCommit(config)));
  args.log.info('set_grown', { set: args.setId, epoch: adopted.epoch, lsn: config.lsn });
  return { kind: 'grown', epoch: adopted.epoch, lsn: config.lsn };
}

const ALONE = { replicas: 1, quorum: 1 };

/** Throws WrongConfiguration: N is 1 or 3 already, and cluster and slots stay. */
function isGrown(args: GrowArgs, config: SetConfig | null): boolean {
  if (config === null) throw new TakeoverFailed('a Set without a configuration cannot grow');
  const { configuration } = args;
  const isThree = config.replicas === configuration.replicas;
  const expected = isThree ? configuration : { ...configuration, ...ALONE };
  assertConfiguration({ ...args, configuration: expected }, config);
  return isThree;
}

function addConfiguration(
  args: GrowArgs,
  at: { batcher: Batcher; ts: TimeMs; rules: number },
): void {
  const command = { ...args.configuration, rules: at.rules };
  const world = makeWorld({ ...args, ts: at.ts, vault: args.crypto, homeOf: () => args.setId });
  const bytes = encodeCommand(command);
  const { effects } = at.batcher.add({ bytes, command, found: NO_FINDINGS, world });
  assert(effects, 'a configuration is journaled');
}

/** What an earlier try left is a piece of the same journal; anything else is not ours to discard. */
async function demandPrefix(args: {
  store: ReplicaStore;
  of: ReplicaStore;
  end: Lsn;
}): Promise<void> {
  const head = await headOf(args.store, lsn(0));
  if (head.lsn === 0) return;
  const isPrefix =
    head.lsn <= args.end && equalBytes((await placeAt(args.of, head.lsn)).sum, head.sum);
  if (!isPrefix) throw new StoreError('rejected', 'a new replica holds another journal');
}

/** The replicas that have joined, with the fences under which they are written to. */
class Team implements JoinedLog {
  readonly #args: GrowArgs;
  readonly #adopted: Adopted;
  readonly #members: Members;
  readonly #joined = new Map<number, { fence: Fence; acked: Lsn }>();
  readonly commit = lsn(0);

  constructor(args: GrowArgs, adopted: Adopted) {
    this.#args = args;
    // The old configuration's only replica is all others: P9 under Q=1.
    this.#adopted = {
      ...adopted,
      incarnations: args.replicas.map((_, replica) => adopted.incarnations[replica] ?? 0),
      trusted: true,
    };
    this.#members = new Members({
      ...args,
      adopted: this.#adopted,
      quorum: 1,
      clusterId: args.configuration.clusterId,
      setLog: this,
      hash: args.crypto.sha256,
      onDoubt: (reason) => args.log.error('grow_bug', { set: args.setId, reason }),
    });
  }

  isActive(replica: number): boolean {
    return this.#joined.has(replica);
  }

  ackedBy(replica: number): Lsn {
    return this.#joined.get(replica)?.acked ?? lsn(0);
  }

  hasForgotten(): boolean {
    return false;
  }

  isDamaged(): boolean {
    return false;
  }

  noteDamage(replica: number, { message }: Error): void {
    const { log, setId } = this.#args;
    log.error('journal_corrupt', { set: setId, replica, reason: message });
  }

  acked(): [Lsn, Lsn, Lsn] {
    return [this.ackedBy(0), this.ackedBy(1), this.ackedBy(2)];
  }

  /** Called by the members when a replica is there. */
  join(one: { replica: number; fence: Fence; acked: Lsn }): void {
    this.#joined.set(one.replica, { fence: one.fence, acked: one.acked });
  }

  /** Brings a replica to the whole chain up to `end`, with a vote. */
  async bring({ replica, end }: { replica: number; end: Lsn }): Promise<void> {
    const candidate = await this.#candidate(replica);
    await this.#members.joinAll({ candidates: [candidate], winner: 0, end });
    if (!this.isActive(replica)) {
      throw new TakeoverFailed(`replica ${replica} could not be brought up`);
    }
  }

  /** A new replica never votes as it is, whatever an earlier try has left there. */
  async #candidate(replica: number): Promise<Candidate> {
    const { epoch, owner, candidates } = this.#adopted;
    const found = candidates.find((candidate) => candidate.replica === replica);
    if (found !== undefined) return found;
    const reply = await this.#store(replica).takeOver({ epoch, owner });
    if (reply.kind === 'refused') throw new TakeoverFailed(`fenced by epoch ${reply.fenceEpoch}`);
    const incarnation = reply.kind === 'promised' ? reply.incarnation : 0;
    return { replica, kind: 'absent', fence: { epoch, owner, incarnation }, sharedLsn: lsn(0) };
  }

  /** Until it is acknowledged: the same bytes again after every doubt (P8). */
  async append(replica: number, entry: Entry): Promise<void> {
    const { clock } = this.#args;
    const joined = this.#joined.get(replica);
    assert(joined !== undefined, 'a replica is written to after it has joined');
    const store = this.#store(replica);
    const until = clock.monotonicMs() + APPEND_MS;
    for (;;) {
      try {
        const reply = await store.append({ fence: joined.fence, entries: [entry] });
        if (reply.kind !== 'acked') {
          throw new TakeoverFailed(
            `replica ${replica} does not take LSN ${entry.lsn}: ${reply.kind}`,
          );
        }
        joined.acked = entry.lsn;
        return;
      } catch (error) {
        if (!(error instanceof StoreError) || clock.monotonicMs() > until) throw error;
        await sleep(clock, RETRY_MS);
      }
    }
  }

  #store(replica: number): ReplicaStore {
    const store = this.#args.replicas[replica];
    assert(store !== undefined, 'a team has three replicas');
    return store;
  }
}
