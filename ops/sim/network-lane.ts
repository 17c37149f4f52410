import type { Clock, Timer } from '../../lib/port/clock.ts';
import type { SimProcess } from './process.ts';

type Parcel = { readonly dueMs: number; readonly arrive: () => void };

/** What all lanes of one network share. */
export type LaneWorld = {
  /** The world's: a wire does not stand still with a process. */
  readonly clock: Clock;
  /** How long the next batch takes, milliseconds. */
  readonly delayMs: () => number;
  /** From a line that works again until what was lost on it is sent anew, milliseconds. */
  readonly resendMs: () => number;
};

/**
 * One direction of one connection, as TCP makes it: in order, each at most once. What meets a cut
 * line waits, with all that is behind it, until the line is whole and the sender tries again.
 */
export class Lane {
  readonly #world: LaneWorld;
  readonly #to: SimProcess;
  readonly #cutUntilMs: () => number;
  readonly #asleep: () => void;
  #parcels: Parcel[] = [];
  #lastDueMs = 0;
  #timer: Timer | null = null;

  /**
   * Each arrival runs in the `hold` of `to`; `asleep` is told of one that has to wait for that.
   * `cutUntilMs` is 0 while the line works.
   */
  constructor(args: {
    world: LaneWorld;
    to: SimProcess;
    cutUntilMs: () => number;
    asleep: () => void;
  }) {
    this.#world = args.world;
    this.#to = args.to;
    this.#cutUntilMs = args.cutUntilMs;
    this.#asleep = args.asleep;
  }

  push(arrive: () => void): void {
    const { clock, delayMs } = this.#world;
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + delayMs());
    this.#parcels.push({ dueMs: this.#lastDueMs, arrive });
    if (this.#parcels.length === 1) this.#wait(this.#lastDueMs);
  }

  /** The connection is gone: of what is under way, a first part still arrives. */
  lose(below: (n: number) => number): void {
    const kept = below(this.#parcels.length + 1);
    this.#parcels = this.#parcels.slice(0, kept);
    const last = this.#parcels.at(-1);
    this.#lastDueMs = last?.dueMs ?? this.#world.clock.monotonicMs();
    if (last === undefined) this.clear();
  }

  /** Nothing arrives any more. */
  clear(): void {
    this.#parcels = [];
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(untilMs: number): void {
    const { clock } = this.#world;
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    this.#timer = clock.after(leftMs, () => this.#arrive());
  }

  #arrive(): void {
    const { clock, resendMs } = this.#world;
    const cutUntilMs = this.#cutUntilMs();
    if (cutUntilMs > clock.monotonicMs()) return this.#wait(cutUntilMs + resendMs());
    const parcel = this.#parcels.shift();
    const next = this.#parcels[0];
    this.#timer = null;
    if (next !== undefined) this.#wait(next.dueMs);
    if (parcel === undefined) return;
    if (this.#to.paused) this.#asleep();
    this.#to.hold(parcel.arrive);
  }
}
