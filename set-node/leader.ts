import { assert } from '../lib/core/assert.ts';
import type { Command } from '../lib/core/command.ts';
import { CorruptEntry } from '../lib/core/journal-entry.ts';
import type { Lsn } from '../lib/core/units.ts';
import { lsn, timeMs } from '../lib/core/units.ts';
import type { Timer } from '../lib/port/clock.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import { Batcher } from './batcher.ts';
import type { DriverArgs, Leadership } from './driver.ts';
import { Driver } from './driver.ts';
import { Members } from './members.ts';
import type { Recovered } from './replay.ts';
import { applyEntry, recover } from './replay.ts';
import { SetLog } from './set-log.ts';
import type { Adopted, TakeoverArgs } from './takeover.ts';
import { TakeoverFailed, takeOver } from './takeover.ts';

const EPOCH_START_MS = 5_000;

export type LeaderArgs = DriverArgs & {
  readonly nodeSlot: number;
  /** Journaled by the very first leader (rulings 13, 15). */
  readonly configuration: Extract<Command, { type: 'set.configure' }>;
};

/**
 * Leads the Set: recover, fence, choose, repair, EPOCH_START at Q, and only then serve (P1–P5).
 * Throws TakeoverFailed when it may go better later, CorruptEntry when no good copy is left.
 */
export async function lead(args: LeaderArgs & { onDoubt: (reason: string) => void }): Promise<Driver> {
  const recovered = await recoverBest(args);
  const { state } = recovered;
  const takeover: TakeoverArgs = {
    ...args, hash: args.crypto.sha256, applied: { lsn: state.lsn, sum: recovered.sum },
  };
  const adopted = await takeOver(takeover);
  const adoptedLsn = lsn(state.lsn + adopted.tail.length);
  let driver: Driver | null = null;
  let members: Members;
  let started: (() => void) | null = null;
  const setLog = new SetLog({
    ...args, epoch: adopted.epoch, owner: adopted.owner, adoptedLsn,
    onCommit: (at) => {
      started?.();
      driver?.onCommit(at);
    },
  });
  try {
    const { clusterId } = args.configuration;
    members = new Members({ ...args, clusterId, setLog, adopted });
    await members.joinAll({ ...adopted, end: adoptedLsn });
    for (const entry of adopted.tail) applyEntry(recovered, entry);
    assert(state.lsn === adoptedLsn, 'the whole adopted chain is applied');
    const committed = new Promise<void>((resolve) => {
      started = resolve;
    });
    startEpoch({ args, adopted, recovered, setLog });
    await beforeTimeout(args, committed);
  } catch (error) {
    setLog.stop();
    throw error;
  }
  const leadership: Leadership = { ...adopted, adoptedLsn, setLog, recovered, members };
  driver = new Driver({ ...args, leadership, onPoison: (error) => args.onDoubt(String(error)) });
  if (state.config === null) driver.configure(args.configuration);
  else assertConfiguration(args, driver);
  return driver;
}

/** Recovers from the replica with the highest commit point; a corrupt one is passed over while there are others. */
async function recoverBest(args: LeaderArgs): Promise<Recovered> {
  const candidates: { store: (typeof args.replicas)[number]; commitLsn: Lsn }[] = [];
  for (const store of args.replicas) {
    try {
      candidates.push({ store, commitLsn: await store.commitLsn() });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
  if (candidates.length < args.quorum) throw new TakeoverFailed('fewer than a quorum of replicas answer');
  candidates.sort((a, b) => b.commitLsn - a.commitLsn);
  let corrupt: CorruptEntry | null = null;
  for (const { store, commitLsn } of candidates) {
    try {
      return await recover({ store, setId: args.setId, commitLsn, hash: args.crypto.sha256 });
    } catch (error) {
      if (!(error instanceof CorruptEntry)) throw error;
      args.log.error('journal_corrupt', { set: args.setId, reason: error.message });
      corrupt = error;
    }
  }
  throw corrupt ?? new TakeoverFailed('no replica answers');
}

/** P5: the first entry of the epoch; everything below it is committed when it is. */
function startEpoch(found: { args: LeaderArgs; adopted: Adopted; recovered: Recovered; setLog: SetLog }): void {
  const { args, adopted, recovered, setLog } = found;
  const { state } = recovered;
  const batcher = new Batcher({ state, prev: recovered.sum, hash: args.crypto.sha256 });
  const stamp = {
    epoch: adopted.epoch, owner: adopted.owner, commitLsn: setLog.commit, acked: setLog.acked(),
  };
  const ts = timeMs(Math.max(state.ts, args.clock.now()));
  const { entry } = batcher.seal({ kind: 'EPOCH_START', stamp, ts });
  recovered.sum = entry.sum;
  setLog.append(entry);
}

async function beforeTimeout(args: LeaderArgs, committed: Promise<void>): Promise<void> {
  let timer: Timer | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = args.clock.after(EPOCH_START_MS, () => {
      reject(new TakeoverFailed('EPOCH_START found no quorum'));
    });
  });
  try {
    await Promise.race([committed, late]);
  } finally {
    (timer as Timer | null)?.cancel();
  }
}

/** A Set started with another cluster, N, Q or slots than it journaled would lose money: refuse. */
function assertConfiguration(args: LeaderArgs, driver: Driver): void {
  const { config } = driver.state;
  const { configuration } = args;
  assert(config !== null, 'a served Set has a configuration');
  assert(
    config.replicas === configuration.replicas && config.quorum === configuration.quorum,
    `Set ${args.setId} was made with N=${config.replicas}, Q=${config.quorum}`,
  );
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
  assert(same(config.clusterId, configuration.clusterId), `Set ${args.setId} is of another cluster`);
  assert(same(config.slots, configuration.slots), `Set ${args.setId} owns other slots`);
}
