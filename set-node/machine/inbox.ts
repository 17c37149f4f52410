import { assert } from '../../lib/core/assert.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Status } from '../../lib/core/status.ts';
import type { SetId } from '../../lib/core/units.ts';

/** What one (source, lane) has delivered: all up to `upTo`, and those above it in `above`. */
export type InboxLane = {
  readonly from: SetId;
  readonly lane: number;
  upTo: number;
  readonly above: Set<number>;
  /** Refused for ever: the only ground on which a source may refund. */
  readonly tombstones: Map<number, Status>;
};

/** Every transfer number is remembered for ever, in bounded memory (rulings 9). */
export class Inbox {
  readonly #lanes = new Map<number, InboxLane>();

  lanes(): IterableIterator<InboxLane> {
    return this.#lanes.values();
  }

  lane(from: SetId, lane: number): InboxLane {
    const key = from * 256 + lane;
    let found = this.#lanes.get(key);
    if (found === undefined) {
      found = { from, lane, upTo: 0, above: new Set(), tombstones: new Map() };
      this.#lanes.set(key, found);
    }
    return found;
  }

  has(args: { from: SetId; lane: number; number: number }): boolean {
    const lane = this.#lanes.get(args.from * 256 + args.lane);
    return lane !== undefined && (args.number <= lane.upTo || lane.above.has(args.number));
  }

  /** Is there room to remember this number out of order? */
  fits(args: { from: SetId; lane: number; number: number }): boolean {
    const upTo = this.#lanes.get(args.from * 256 + args.lane)?.upTo ?? 0;
    return args.number <= upTo + LIMITS.transferWindowMax;
  }

  tombstone(args: { from: SetId; lane: number; number: number }): Status | undefined {
    return this.#lanes.get(args.from * 256 + args.lane)?.tombstones.get(args.number);
  }

  record(args: { from: SetId; lane: number; number: number; refused: Status | null }): void {
    assert(!this.has(args), 'M8: a transfer is received once');
    assert(this.fits(args), 'the window of a lane is bounded');
    const lane = this.lane(args.from, args.lane);
    if (args.refused !== null) lane.tombstones.set(args.number, args.refused);
    if (args.number === lane.upTo + 1) lane.upTo += 1;
    else lane.above.add(args.number);
    while (lane.above.delete(lane.upTo + 1)) lane.upTo += 1;
  }
}
