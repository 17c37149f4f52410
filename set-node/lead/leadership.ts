import type { Command } from '../../lib/core/command.ts';
import type { Epoch, Lsn, SetId } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Bus } from '../../lib/port/bus.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Crypto } from '../../lib/port/crypto.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Random } from '../../lib/port/random.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { LogClock } from '../log/log-clock.ts';
import type { Findings } from '../machine/context.ts';
import type { Policy } from '../machine/policy.ts';
import type { Members } from '../log/members.ts';
import type { Publisher } from '../read/publisher.ts';
import type { Quarantine } from '../log/quarantine.ts';
import type { Recovered } from '../log/replay.ts';
import type { SetLog } from '../log/set-log.ts';
import type { SnapshotElsewhere } from '../log/snapshotter.ts';

/** Who waits for an answer. `tag` is the caller's own. Called exactly once per command. */
export interface ReplySink {
  reply(tag: number, lsn: number, outcome: Uint8Array): void;
}

/** A command before its batch; `since` is monotonic, ms. */
export type Waiting = {
  readonly bytes: Uint8Array;
  readonly command: Command;
  readonly found: Findings;
  readonly sink: ReplySink;
  readonly tag: number;
  readonly since: number;
};

export type DriverArgs = {
  readonly setId: SetId;
  readonly replicas: readonly ReplicaStore[];
  readonly quorum: number;
  readonly clock: Clock;
  /** What entries are stamped with (rulings 7). */
  readonly logClock: LogClock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly bus: Bus;
  readonly log: Log;
  readonly publisher: Publisher;
  readonly homeOf: (user: UserId) => SetId;
  /** What the operator allows. Default DEFAULT_POLICY. */
  readonly policy?: Policy | undefined;
  /** null: snapshots only at a clean end. */
  readonly snapshotElsewhere: SnapshotElsewhere | null;
  readonly quarantine: Quarantine;
};

/** What a leader starts from: adopted, repaired, and its EPOCH_START committed (P5). */
export type Leadership = {
  readonly epoch: Epoch;
  readonly owner: Uint8Array;
  readonly setLog: SetLog;
  readonly adoptedLsn: Lsn;
  readonly recovered: Recovered;
  readonly members: Members;
};
