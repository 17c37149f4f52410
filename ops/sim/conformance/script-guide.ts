import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Entry } from '../../../lib/core/journal-entry.ts';
import { SUM_BYTES, ZERO_SUM } from '../../../lib/core/journal-entry.ts';
import type { Epoch } from '../../../lib/core/units.ts';
import { epoch, epochOf, lsn } from '../../../lib/core/units.ts';
import type { Fence, FenceRow, Place } from '../../../lib/port/replica-store.ts';
import { openMemoryWorld } from './memory-world.ts';
import { once, pick } from './random-entry.ts';
import type { ReplicaWorld } from './replica-world.ts';
import { ScriptRunner } from './run-script.ts';
import type { Call, Step } from './script.ts';

export const READ_BYTES_MAX = 64 * 1_048_576;
export const OWNERS = [0xa1, 0xb2, 0xc3].map((byte) => new Uint8Array(16).fill(byte));
/** Epochs ahead: rival leaders that have not come yet. */
const ROUNDS_AHEAD = 4;
/** One round of leaders (see `epochOf`). */
const EPOCH_SLOTS = 256;

export type Readmission = { epoch: Epoch; owner: Uint8Array; incarnation: number };

/**
 * A script while it is made. Its steps are taken by a replica in memory as they come, so that the
 * next ones can fit what that replica has, or nearly.
 */
export class ScriptGuide {
  readonly random: SeededRandom;
  readonly steps: Step[] = [];
  /** Entries that were sent before, to be sent again. */
  readonly sent: Entry[][] = [];
  readonly #calls: Call[] = [];
  readonly #world: ReplicaWorld = openMemoryWorld();
  readonly #runner = new ScriptRunner(this.#world);
  #known: { row: FenceRow | null; journal: readonly Entry[] } = { row: null, journal: [] };

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  /** A late copy of an earlier call, word for word; null when there is none. */
  get earlierCall(): Call | null {
    return this.#calls.length === 0 ? null : pick(this.random, this.#calls);
  }

  /** Adds a step and looks at what it comes to. */
  async take(step: Step): Promise<void> {
    this.steps.push(step);
    if ('args' in step) this.#calls.push(step);
    await this.#runner.take(step);
    await this.#learn();
  }

  /** A closed store tells nothing: what was known stays. */
  async #learn(): Promise<void> {
    const { store } = this.#world;
    try {
      const row = await store.fenceRow();
      const journal = await store.read({ after: lsn(0), limitBytes: READ_BYTES_MAX });
      this.#known = { row, journal };
    } catch {
      // Closed on purpose.
    }
  }

  get row(): FenceRow | null {
    return this.#known.row;
  }

  get journal(): readonly Entry[] {
    return this.#known.journal;
  }

  /** LSN 0 when there is none. */
  get head(): Place {
    return this.#known.journal.at(-1) ?? { lsn: lsn(0), sum: ZERO_SUM };
  }

  /** The one that holds, or nearly. */
  fence(): Fence {
    const random = this.random;
    const row = this.row;
    const fence: Fence = {
      epoch: row?.fenceEpoch ?? epochOf(1, 0),
      owner: row?.fenceOwner ?? pick(random, OWNERS),
      incarnation: row?.incarnation ?? 1,
    };
    switch (random.below(12)) {
      case 0:
        return { ...fence, epoch: this.epochNear(fence.epoch) };
      case 1:
        return { ...fence, owner: pick(random, OWNERS) };
      case 2:
        return { ...fence, incarnation: Math.max(1, fence.incarnation + random.below(3) - 1) };
      default:
        return fence;
    }
  }

  /** One that may follow, or nearly. */
  readmission(): Readmission {
    const random = this.random;
    const row = this.row;
    const at = row?.fenceEpoch ?? epochOf(2, 0);
    const isOurs = !once(random, 4) && at > 0;
    const incarnation = (row?.incarnation ?? 1) + 1 + random.below(2);
    return {
      epoch: isOurs ? at : this.epochNear(Math.max(1, at)),
      owner: isOurs && row !== null ? row.fenceOwner : pick(random, OWNERS),
      incarnation: once(random, 6) ? Math.max(1, incarnation - 2) : incarnation,
    };
  }

  /** The place, or one beside it, or another entry in it. */
  placeNear(place: Place): Place {
    const { lsn: at, sum } = place;
    switch (this.random.below(12)) {
      case 0:
        return { lsn: lsn(at + 1), sum };
      case 1:
        return { lsn: at, sum: this.random.bytes(SUM_BYTES) };
      case 2:
        return { lsn: lsn(0), sum: ZERO_SUM };
      default:
        return { lsn: at, sum };
    }
  }

  /** Leaders append their own, and what they found of leaders before them. */
  entryEpoch(fence: Fence): Epoch {
    return once(this.random, 6) ? epoch(this.random.below(fence.epoch + 1)) : fence.epoch;
  }

  /** Of a leader that comes after it. */
  epochAbove(at: number): Epoch {
    const round = Math.floor(at / EPOCH_SLOTS) + 1 + this.random.below(2);
    return epochOf(round, this.random.below(3));
  }

  /** This one, or one before or after it; never 0. */
  epochNear(at: number): Epoch {
    if (once(this.random, 3)) return epoch(Math.max(1, at));
    const round = Math.floor(at / EPOCH_SLOTS) + ROUNDS_AHEAD - this.random.below(2 * ROUNDS_AHEAD);
    return epoch(Math.max(1, epochOf(Math.max(0, round), this.random.below(3))));
  }
}
