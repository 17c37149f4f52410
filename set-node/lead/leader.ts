import { assert } from '../../lib/core/assert.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Epoch } from '../../lib/core/units.ts';
import { lsn, timeMs } from '../../lib/core/units.ts';
import type { Timer } from '../../lib/port/clock.ts';
import type { Abort } from '../log/abort.ts';
import { Batcher } from '../machine/batcher.ts';
import type { DriverArgs, Leadership } from './leadership.ts';
import { assertAdopted, configurationAfter, demandConfiguration } from '../log/configuration.ts';
import { Driver } from './driver.ts';
import { Members } from '../log/members.ts';
import type { Recovered } from '../log/replay.ts';
import { recoverBest } from '../log/recover-best.ts';
import { applyEntry } from '../log/replay.ts';
import { SetLog } from '../log/set-log.ts';
import type { Adopted, TakeoverArgs } from '../log/takeover.ts';
import { TakeoverFailed, takeOver } from '../log/takeover.ts';

const EPOCH_START_MS = 5_000;

export type LeaderArgs = DriverArgs & {
  readonly nodeSlot: number;
  /**
   * `--trust-disks`, signed by an operator: where neither Q proved replicas nor a full house are to
   * be had, doubtful disks vote. Logged as an error, refused where a quorum is. Default false.
   */
  readonly trustDisks?: boolean;
  /** A counter's hook: this replica has forgotten what it acknowledged (rulings 6). */
  readonly onAmnesia?: (replica: number) => void;
  /** A counter's hook: this replica is back with a new incarnation (P9). */
  readonly onReadmitted?: (replica: number) => void;
  /** The rules that this node reads; only tests have others than this build. Default RULES_MAX. */
  readonly rulesMax?: number | undefined;
  /** Journaled by the very first leader (rulings 13, 15). */
  readonly configuration: Extract<Command, { type: 'set.configure' }>;
};

/** A standby's state: committed entries only, as long as nobody has taken it. */
export type Warm = {
  readonly recovered: Recovered;
  /** From here on it may hold what nobody committed: the standby must not go on with it. */
  taken(): void;
};

type LeadArgs = LeaderArgs & {
  readonly abort: Abort;
  /** null: recover from the replicas. */
  readonly warm: Warm | null;
  /** Q replicas have promised themselves to this epoch: time for signs of life. */
  readonly onFence: (epoch: Epoch) => void;
  readonly onDoubt: (reason: string) => void;
};

/**
 * Leads the Set: recover, fence, choose, repair, EPOCH_START at Q, and only then serve (P1–P5).
 * Throws TakeoverFailed when it may go better later, CorruptEntry when no good copy is left,
 * NodeTooOld when the Set is at rules that this node cannot read.
 */
export async function lead(args: LeadArgs): Promise<Driver> {
  const recovered =
    args.warm?.recovered ?? (await recoverBest({ ...args, hash: args.crypto.sha256 }));
  const { state } = recovered;
  await demandConfiguration({ ...args, applied: state });
  const takeover: TakeoverArgs = {
    ...args,
    hash: args.crypto.sha256,
    applied: { lsn: state.lsn, sum: recovered.sum, evidence: recovered.evidence },
  };
  const adopted = await takeOver(takeover);
  assertAdopted(args, configurationAfter(state.config, adopted.tail));
  args.onFence(adopted.epoch);
  const adoptedLsn = lsn(state.lsn + adopted.tail.length);
  let driver: Driver | null = null;
  let members: Members;
  let started: (() => void) | null = null;
  let doubted: ((reason: string) => void) | null = null;
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
    onDoubt: (reason) => {
      doubted?.(reason);
      args.onDoubt(reason);
    },
  });
  args.abort.on(() => setLog.stop());
  try {
    const { clusterId } = args.configuration;
    members = new Members({ ...args, clusterId, setLog, hash: args.crypto.sha256, adopted });
    await members.joinAll({ ...adopted, end: adoptedLsn });
    args.warm?.taken();
    for (const entry of adopted.tail) applyEntry(recovered, entry);
    assert(state.lsn === adoptedLsn, 'the whole adopted chain is applied');
    const committed = new Promise<void>((resolve, reject) => {
      started = resolve;
      doubted = (reason) => reject(new TakeoverFailed(reason));
    });
    // Nobody waits for it when what comes next throws.
    committed.catch(() => undefined);
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
  const ts = timeMs(Math.max(state.ts, args.logClock.now()));
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
