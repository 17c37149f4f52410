import type { Sha256Function } from '../../lib/core/journal-entry.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Lsn, SetId } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import { within } from './ask-all.ts';
import type { Recovered } from './replay.ts';
import { recover } from './replay.ts';
import { encodeState } from '../machine/snapshot.ts';

/**
 * Writes a snapshot of one replica beside the leader, never in its way (rulings 14): the newest
 * one is replayed to the commit point in a state of its own. Meant for another thread or a standby.
 */
export async function takeSnapshot(args: {
  store: ReplicaStore;
  setId: SetId;
  hash: Sha256Function;
}): Promise<Lsn> {
  const recovered = await recover({ ...args, commitLsn: await args.store.commitLsn() });
  // Whoever starts from it asks only projections that show at least its LSN.
  recovered.state.forget(recovered.state.lsn);
  await args.store.writeSnapshot(encodeState(recovered));
  return recovered.state.lsn;
}

/** A clean end does not wait longer for a replica that is stopped: the next start replays more. */
const FINISH_MS = 3_000;

/** Takes a snapshot of a replica elsewhere; bound where the process is composed. */
export type SnapshotElsewhere = (replica: number) => Promise<void>;

/** Decides when: after so many bytes of journal, one at a time, replica after replica. */
export class Snapshotter {
  readonly #take: SnapshotElsewhere | null;
  readonly #replicas: readonly ReplicaStore[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #setId: SetId;
  #bytes: number;
  #running: Promise<void> | null = null;

  constructor(args: {
    take: SnapshotElsewhere | null;
    replicas: readonly ReplicaStore[];
    clock: Clock;
    log: Log;
    setId: SetId;
    /** Journal that a start now would have to replay. */
    bytes: number;
  }) {
    this.#take = args.take;
    this.#replicas = args.replicas;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#setId = args.setId;
    this.#bytes = args.bytes;
  }

  /** So much more was committed. */
  note(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < LIMITS.snapshotEveryBytes || this.#running !== null || this.#take === null)
      return;
    this.#bytes = 0;
    this.#running = this.#takeAll(this.#take).finally(() => {
      this.#running = null;
    });
  }

  async #takeAll(take: SnapshotElsewhere): Promise<void> {
    for (const replica of this.#replicas.keys()) {
      try {
        await take(replica);
        this.#log.info('snapshot_taken', { set: this.#setId, replica });
      } catch (error) {
        // A snapshot is only speed: the next one will do.
        this.#log.warn('snapshot_failed', { set: this.#setId, replica, reason: String(error) });
      }
    }
  }

  /** At a clean end the state stands still: write it as it is. */
  async finish(recovered: Recovered): Promise<void> {
    await this.#running;
    if (this.#bytes === 0) return;
    const snapshot = encodeState(recovered);
    await Promise.all(
      this.#replicas.map((store) => {
        const call = store.writeSnapshot(snapshot);
        return within({ clock: this.#clock, ms: FINISH_MS, call }).catch((error: unknown) => {
          this.#log.warn('snapshot_failed', { set: this.#setId, reason: String(error) });
        });
      }),
    );
  }
}
