import { equalBytes } from '../../lib/core/bytes.ts';
import type { Epoch } from '../../lib/core/units.ts';
import type { Clock } from '../../lib/port/clock.ts';
import type { FenceRow, ReplicaStore } from '../../lib/port/replica-store.ts';

/**
 * Does this node still lead? Asked of Q fence rows after the question came (rulings 16): no empty
 * entry is written for a read, and no clock decides.
 */
export class LeaderProof {
  readonly #replicas: readonly ReplicaStore[];
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
    this.#replicas = args.replicas;
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
      let open = this.#replicas.length;
      let mine = 0;
      const count = (yes: boolean): void => {
        open -= 1;
        if (yes) mine += 1;
        if (mine >= this.#quorum) resolve(true);
        else if (mine + open < this.#quorum) resolve(false);
      };
      for (const store of this.#replicas) {
        store.fenceRow().then(
          (row) => count(isMine(row)),
          () => count(false),
        );
      }
    });
  }
}
