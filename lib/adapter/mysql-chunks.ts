import type { Clock, Timer } from '../port/clock.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Step } from './mysql-steps.ts';

/** Replicas of a Set are seldom further apart; one that is makes its own. */
const CHUNKS_MAX = 6;
const CHARS_MAX = 24 * 1_048_576;
/** Reading and making a large chunk takes so long on a busy machine; a stopped server takes for ever. */
const PATIENCE_MS = 250;

/** Entries above `from`, verified, and what they come to. */
export type Chunk = {
  readonly from: number;
  readonly until: number;
  /** Checksum at `from`, to which the first entry chains. */
  readonly prev: Uint8Array;
  /** Checksums of `from + 1` .. `until`: who has the same has the same entries. */
  readonly sums: readonly Uint8Array[];
  readonly bytes: number;
  readonly steps: readonly Step[];
};

/**
 * The last few chunks that one replica of a Set has read, verified and turned into statements, for
 * its siblings (RS12k). Nothing here says that a sibling has these entries: it looks at its own
 * journal for that.
 */
export class MysqlChunks {
  readonly #clock: Clock;
  /** By `from`; the oldest first. */
  readonly #kept = new Map<number, Chunk>();
  readonly #making = new Map<number, Promise<unknown>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A chunk that begins there and does not pass `end`; waits a moment for one that is being made. */
  async find(want: { from: number; end: number; prev: Uint8Array }): Promise<Chunk | null> {
    const { from, end, prev } = want;
    const making = this.#making.get(from);
    if (making !== undefined) await this.#patiently(making);
    const chunk = this.#kept.get(from);
    if (chunk === undefined || chunk.until > end) return null;
    return equalBytes(chunk.prev, prev) ? chunk : null;
  }

  /** Where a chunk from the middle of another should end, so that the next one is shared again. */
  endOf({ from, end }: { from: number; end: number }): number {
    for (const chunk of this.#kept.values()) {
      if (chunk.from < from && from < chunk.until) return Math.min(end, chunk.until);
    }
    return end;
  }

  /** Makes a chunk that siblings may take. */
  async make(from: number, work: () => Promise<Chunk>): Promise<Chunk> {
    const making = work();
    this.#making.set(from, making);
    try {
      const chunk = await making;
      this.#keep(chunk);
      return chunk;
    } finally {
      if (this.#making.get(from) === making) this.#making.delete(from);
    }
  }

  #keep(chunk: Chunk): void {
    this.#kept.delete(chunk.from);
    this.#kept.set(chunk.from, chunk);
    let chars = 0;
    for (const { steps } of this.#kept.values()) for (const step of steps) chars += step.chars;
    for (const old of this.#kept.values()) {
      if (this.#kept.size <= CHUNKS_MAX && chars <= CHARS_MAX) return;
      this.#kept.delete(old.from);
      for (const step of old.steps) chars -= step.chars;
    }
  }

  /** Whatever becomes of it: a sibling's server that stands still must not hold up this one. */
  async #patiently(making: Promise<unknown>): Promise<void> {
    let late: Timer | null = null;
    const patience = new Promise<void>((resolve) => {
      late = this.#clock.after(PATIENCE_MS, resolve);
    });
    await Promise.race([making, patience]).catch(() => undefined);
    (late as Timer | null)?.cancel();
  }
}
