import { equalBytes } from '../../lib/core/bytes.ts';
import type { Epoch } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';

/**
 * Does this node still lead? Asked of Q fence rows after the question came (rulings 16): no empty
 * entry is written for a read, and no clock decides.
 */
export class LeaderProof {
  readonly #rows: readonly FenceRows[];
  readonly #quorum: number;
  readonly #clock: Clock;
  readonly #epoch: Epoch;
  readonly #owner: Uint8Array;
  #round: Promise<boolean> | null = null;

  constructor(args: {
    replicas: readonly ReplicaStore[];
    quorum: number;
    clock: Clock;
    epoch: Epoch;
    owner: Uint8Array;
  }) {
    this.#rows = args.replicas.map((store) => new FenceRows(store));
    this.#quorum = args.quorum;
    this.#clock = args.clock;
    this.#epoch = args.epoch;
    this.#owner = args.owner;
  }

  /**
   * One check for all questions of this turn. A round that has begun proves nothing about a
   * question that comes now: it starts the next.
   */
  ask(): Promise<boolean> {
    this.#round ??= new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#round = null;
        resolve(this.#check());
      });
    });
    return this.#round;
  }

  /** Resolves with the Q-th yes: a replica that does not answer holds no reader up. */
  async #check(): Promise<boolean> {
    const isMine = (row: FenceRow | null): boolean =>
      row !== null &&
      row.proved &&
      row.fenceEpoch === this.#epoch &&
      equalBytes(row.fenceOwner, this.#owner);
    return new Promise((resolve) => {
      let open = this.#rows.length;
      let mine = 0;
      const count = (row: FenceRow | null): void => {
        open -= 1;
        if (isMine(row)) mine += 1;
        if (mine >= this.#quorum) resolve(true);
        else if (mine + open < this.#quorum) resolve(false);
      };
      for (const rows of this.#rows) void rows.next().then(count);
    });
  }
}

/** Fence rows of one replica: one question on its way, and one for all who come meanwhile. */
class FenceRows {
  readonly #store: ReplicaStore;
  #running: Promise<FenceRow | null> | null = null;
  #waiting: Promise<FenceRow | null> | null = null;

  constructor(store: ReplicaStore) {
    this.#store = store;
  }

  /** The row as it is after this call; null when the replica does not say. */
  next(): Promise<FenceRow | null> {
    if (this.#waiting !== null) return this.#waiting;
    if (this.#running === null) return this.#start();
    this.#waiting = this.#running.then(() => {
      this.#waiting = null;
      return this.#start();
    });
    return this.#waiting;
  }

  #start(): Promise<FenceRow | null> {
    const running = this.#store.fenceRow().then(
      (row) => this.#end(row),
      () => this.#end(null),
    );
    this.#running = running;
    return running;
  }

  #end(row: FenceRow | null): FenceRow | null {
    this.#running = null;
    return row;
  }
}
