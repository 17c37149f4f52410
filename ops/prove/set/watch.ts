import type { History, Open } from './history.ts';
import type { Load } from './load.ts';
import { quantile, rounded } from '../../bench/statistics.ts';

/** How opens fared that were due in one stretch of time. */
export type Stretch = {
  readonly asked: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  /** Answers that a client had to ask again for: `set_unavailable`, `unknown`, `overloaded`. */
  readonly failed: number;
};

type Claim = Extract<Open['told'], { kind: 'claim' }>;
type AckTest = (ack: { open: Open; claim: Claim }) => boolean;

/** Sees answers as they come: the newest epoch that acknowledged anything, and when. */
export class Watch {
  readonly #load: Load;
  readonly #history: History;
  newestEpoch = 0;
  lastAckMs = 0;

  constructor(args: { load: Load; history: History }) {
    this.#load = args.load;
    this.#history = args.history;
    args.load.onEnd((open) => {
      if (open.told?.kind !== 'claim') return;
      this.newestEpoch = Math.max(this.newestEpoch, open.told.epoch);
      this.lastAckMs = Math.max(this.lastAckMs, open.endedMs ?? 0);
    });
  }

  now(): number {
    return this.#history.now();
  }

  /** When the first share was acknowledged for which the test holds; null when none was in time. */
  nextAck(test: AckTest, withinMs: number): Promise<number | null> {
    return new Promise((resolve) => {
      const end = (at: number | null): void => {
        stop();
        clearTimeout(late);
        resolve(at);
      };
      const stop = this.#load.onEnd((open) => {
        if (open.told?.kind === 'claim' && test({ open, claim: open.told })) end(open.endedMs);
      });
      const late = setTimeout(() => end(null), withinMs);
    });
  }

  /** Acknowledged by a leader after that one. */
  nextLeaderAck(afterEpoch: number, withinMs: number): Promise<number | null> {
    return this.nextAck(({ claim }) => claim.epoch > afterEpoch, withinMs);
  }

  /** Shares that were acknowledged in this time. */
  acksBetween(fromMs: number, toMs: number): number {
    return this.#history.opens.filter(
      ({ told, endedMs }) =>
        told?.kind === 'claim' && endedMs !== null && endedMs > fromMs && endedMs < toMs,
    ).length;
  }

  /** Opens that were due in this time. Call it when all of them are answered. */
  stretch(fromMs: number, toMs: number): Stretch {
    const opens = this.opensDue(fromMs, toMs);
    const latencies = opens.map(({ dueMs, endedMs }) => (endedMs ?? Infinity) - dueMs);
    return {
      asked: opens.length,
      p50Ms: rounded(quantile(latencies, 0.5), 2),
      p99Ms: rounded(quantile(latencies, 0.99), 2),
      worstMs: rounded(Math.max(0, ...latencies), 2),
      failed: opens.reduce((sum, { doubts }) => sum + doubts.length, 0),
    };
  }

  opensDue(fromMs: number, toMs: number): Open[] {
    return this.#history.opens.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
  }
}
