import type { Epoch, SetId } from '../../lib/core/units.ts';
import type { Clock, Timer } from '../../lib/port/clock.ts';
import { sleep } from '../../lib/port/clock.ts';
import type { Log } from '../../lib/port/log.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';

/** Rulings 12. */
const BEAT_MS = 200;
/** An idle leader appends nothing that could be refused: it looks at the fences itself. */
const FENCE_MS = 1_000;
/** This late, the process stood still: somebody else may lead. */
const AWAY_MS = 600;
/** A replica that does not take the farewell in this time goes without. */
const RESIGN_MS = 300;

/**
 * The leader's sign of life on every replica, and its look at their fences. Safety rests on neither:
 * a leader that was replaced cannot append (P6).
 */
export class Heart {
  readonly #replicas: readonly ReplicaStore[];
  readonly #epoch: Epoch;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #setId: SetId;
  readonly #onFenced: (reason: string) => void;
  /** Replicas whose last beat has not been answered: a slow one holds nobody up. */
  readonly #beating = new Set<number>();
  readonly #failing = new Set<number>();
  #timer: Timer | null = null;
  #tickAt: number;
  #lookedAt: number;
  #looking = false;

  constructor(args: {
    setId: SetId;
    replicas: readonly ReplicaStore[];
    epoch: Epoch;
    clock: Clock;
    log: Log;
    /** Some replica has promised itself to a newer leader. */
    onFenced: (reason: string) => void;
  }) {
    this.#replicas = args.replicas;
    this.#epoch = args.epoch;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#setId = args.setId;
    this.#onFenced = args.onFenced;
    this.#tickAt = args.clock.monotonicMs();
    this.#lookedAt = this.#tickAt;
  }

  start(): void {
    this.#beat();
    this.#timer = this.#clock.every(BEAT_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Beats no more, and says so: a standby need not wait until it is missed. At most 300 ms. */
  async resign(): Promise<void> {
    this.stop();
    const told = this.#replicas.map((store) => store.resign(this.#epoch).catch(() => undefined));
    await Promise.race([Promise.all(told), sleep(this.#clock, RESIGN_MS)]);
  }

  #tick(): void {
    const now = this.#clock.monotonicMs();
    const away = now - this.#tickAt >= AWAY_MS;
    this.#tickAt = now;
    this.#beat();
    if (away || now - this.#lookedAt >= FENCE_MS) void this.#look(now);
  }

  #beat(): void {
    for (const [replica, store] of this.#replicas.entries()) {
      if (this.#beating.has(replica)) continue;
      this.#beating.add(replica);
      store
        .beat(this.#epoch)
        .then(
          () => this.#failing.delete(replica),
          (error: unknown) => this.#failed(replica, error),
        )
        .finally(() => this.#beating.delete(replica));
    }
  }

  /** One line of log for a replica that is away, not five a second. */
  #failed(replica: number, error: unknown): void {
    if (this.#failing.has(replica)) return;
    this.#failing.add(replica);
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.warn('beat_failed', { set: this.#setId, replica, reason });
  }

  async #look(now: number): Promise<void> {
    if (this.#looking) return;
    this.#lookedAt = now;
    this.#looking = true;
    const rows = await Promise.all(
      this.#replicas.map((store) => store.fenceRow().catch(() => null)),
    );
    this.#looking = false;
    if (this.#timer === null) return;
    const newest = Math.max(0, ...rows.map((row) => row?.fenceEpoch ?? 0));
    if (newest > this.#epoch) this.#onFenced(`fenced by epoch ${newest}`);
  }
}
