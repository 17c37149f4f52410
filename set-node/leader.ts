import { assert } from '../lib/core/assert.ts';
import type { Command } from '../lib/core/command.ts';
import { CorruptEntry } from '../lib/core/journal-entry.ts';
import type { Lsn } from '../lib/core/units.ts';
import { lsn, timeMs } from '../lib/core/units.ts';
import type { Timer } from '../lib/port/clock.ts';
import { StoreError } from '../lib/port/replica-store.ts';
import type { Abort } from './abort.ts';
import { Batcher } from './batcher.ts';
import type { DriverArgs, Leadership } from './leadership.ts';
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
export async function lead(
  args: LeaderArgs & { onDoubt: (reason: string) => void; abort: Abort },
): Promise<Driver> {
  const recovered = await recoverBest(args);
  const { state } = recovered;
  assertConfiguration(args, recovered);
  const takeover: TakeoverArgs = {
    ...args,
    hash: args.crypto.sha256,
    applied: { lsn: state.lsn, sum: recovered.sum },
  };
  const adopted = await takeOver(takeover);
  const adoptedLsn = lsn(state.lsn + adopted.tail.length);
  let driver: Driver | null = null;
  let members: Members;
  let started: (() => void) | null = null;
  const setLog = new SetLog({
    ...args,
    hash: args.crypto.sha256,
    epoch: adopted.epoch,
    owner: adopted.owner,
    adoptedLsn,
    onCommit: (at) => {
      started?.();
      driver?.onCommit(at);
    },
  });
  args.abort.on(() => setLog.stop());
  try {
    const { clusterId } = args.configuration;
    members = new Members({ ...args, clusterId, setLog, hash: args.crypto.sha256, adopted });
    await members.joinAll({ ...adopted, end: adoptedLsn });
    for (const entry of adopted.tail) applyEntry(recovered, entry);
    assert(state.lsn === adoptedLsn, 'the whole adopted chain is applied');
    const committed = new Promise<void>((resolve) => {
      started = resolve;
    });
    assertConfiguration(args, recovered);
    startEpoch({ args, adopted, recovered, setLog });
    await beforeTimeout({ ...args, committed });
  } catch (error) {
    setLog.stop();
    throw error;
  }
  const leadership: Leadership = { ...adopted, adoptedLsn, setLog, recovered, members };
  driver = new Driver({ ...args, leadership, onPoison: (error) => args.onDoubt(String(error)) });
  if (state.config === null) driver.configure(args.configuration);
  return driver;
}

/** Recovers from the replica with the highest commit point; a corrupt one is passed over while there are others. */
async function recoverBest(args: LeaderArgs): Promise<Recovered> {
  let corrupt: CorruptEntry | null = null;
  let silent = 0;
  const candidates: { store: (typeof args.replicas)[number]; commitLsn: Lsn }[] = [];
  for (const store of args.replicas) {
    try {
      candidates.push({ store, commitLsn: await store.commitLsn() });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const reason = damageOf(error);
      if (reason === null) silent += 1;
      else corrupt = new CorruptEntry({ setId: args.setId, lsn: 0, reason });
    }
  }
  if (candidates.length < args.quorum) {
    throw (
      (silent === 0 ? corrupt : null) ??
      new TakeoverFailed('fewer than a quorum of replicas answer')
    );
  }
  candidates.sort((a, b) => b.commitLsn - a.commitLsn);
  for (const { store, commitLsn } of candidates) {
    try {
      return await recover({ store, setId: args.setId, commitLsn, hash: args.crypto.sha256 });
    } catch (error) {
      const reason = damageOf(error);
      if (reason === null) {
        if (!(error instanceof StoreError)) throw error;
        silent += 1;
        continue;
      }
      args.log.error('journal_corrupt', { set: args.setId, reason });
      corrupt =
        error instanceof CorruptEntry
          ? error
          : new CorruptEntry({ setId: args.setId, lsn: 0, reason });
    }
  }
  throw (silent === 0 ? corrupt : null) ?? new TakeoverFailed('no replica answers');
}

/** Why a copy is not to be read: an entry that is not what was sealed, or a file that is none. */
function damageOf(error: unknown): string | null {
  if (error instanceof CorruptEntry) return error.message;
  return error instanceof StoreError && error.code === 'corrupt' ? error.message : null;
}

/** P5: the first entry of the epoch; everything below it is committed when it is. */
function startEpoch(found: {
  args: LeaderArgs;
  adopted: Adopted;
  recovered: Recovered;
  setLog: SetLog;
}): void {
  const { args, adopted, recovered, setLog } = found;
  const { state } = recovered;
  const batcher = new Batcher({ state, prev: recovered.sum, hash: args.crypto.sha256 });
  const stamp = {
    epoch: adopted.epoch,
    owner: adopted.owner,
    commitLsn: setLog.commit,
    acked: setLog.acked(),
  };
  const ts = timeMs(Math.max(state.ts, args.clock.now()));
  const { entry } = batcher.seal({ kind: 'EPOCH_START', stamp, ts });
  recovered.sum = entry.sum;
  setLog.append(entry);
}

async function beforeTimeout(
  args: LeaderArgs & { abort: Abort; committed: Promise<void> },
): Promise<void> {
  let timer: Timer | null = null;
  const late = new Promise<never>((_, reject) => {
    const fail = (reason: string): void => reject(new TakeoverFailed(reason));
    timer = args.clock.after(EPOCH_START_MS, () => fail('EPOCH_START found no quorum'));
    args.abort.on(() => fail('stopped'));
  });
  try {
    await Promise.race([args.committed, late]);
  } finally {
    (timer as Timer | null)?.cancel();
  }
}

/** The Set was made with another cluster, N, Q or slots than it is started with. Final. */
export class WrongConfiguration extends Error {
  override readonly name = 'WrongConfiguration';
}

/** Rulings 13, 15: before anybody is fenced, and again when the adopted chain is known. */
function assertConfiguration(args: LeaderArgs, { state }: Recovered): void {
  const { config } = state;
  const { configuration } = args;
  if (config === null) return;
  const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
  const wrong =
    config.replicas !== configuration.replicas || config.quorum !== configuration.quorum
      ? `was made with N=${config.replicas}, Q=${config.quorum}`
      : !same(config.clusterId, configuration.clusterId)
        ? 'is of another cluster'
        : !same(config.slots, configuration.slots)
          ? 'owns other slots'
          : null;
  if (wrong !== null) throw new WrongConfiguration(`Set ${args.setId} ${wrong}`);
}
