import type { Message } from './protocol.ts';

/** A range of sequence numbers, both ends included. */
export type SeqRange = { readonly from: number; readonly to: number };

/** Out-of-order messages kept per group; more are pulled again when their turn comes. */
const WAITING_MAX = 500;

/**
 * Puts one group's messages in order: each is handed out once, in the order of `seq`, without a
 * hole. Pure: the caller fetches what {@link missing} names.
 */
export class GroupStream {
  /** The highest seq handed out: what a resume states. */
  #known: number;
  /** The highest seq that is said to exist. */
  #target: number;
  readonly #waiting = new Map<number, Message>();

  constructor(known: number) {
    this.#known = known;
    this.#target = known;
  }

  get known(): number {
    return this.#known;
  }

  /** Takes a message from wherever it came; returns what may be handed out now, in order. */
  accept(message: Message): Message[] {
    const { seq } = message;
    this.aim(seq);
    if (seq <= this.#known) return [];
    if (seq === this.#known + 1 || this.#waiting.size < WAITING_MAX) {
      this.#waiting.set(seq, message);
    }
    return this.#drain();
  }

  /** The group's last seq is at least this. */
  aim(lastSeq: number): void {
    this.#target = Math.max(this.#target, lastSeq);
  }

  /** The first hole, or null when everything that is said to exist was handed out. */
  missing(): SeqRange | null {
    if (this.#known >= this.#target) return null;
    let to = this.#target;
    for (const seq of this.#waiting.keys()) to = Math.min(to, seq - 1);
    return { from: this.#known + 1, to };
  }

  /** Gives up on everything up to `seq`; returns what may be handed out now. */
  skipTo(seq: number): Message[] {
    this.#known = Math.max(this.#known, seq);
    this.#target = Math.max(this.#target, this.#known);
    for (const waiting of [...this.#waiting.keys()]) {
      if (waiting <= this.#known) this.#waiting.delete(waiting);
    }
    return this.#drain();
  }

  #drain(): Message[] {
    const ready: Message[] = [];
    for (;;) {
      const next = this.#waiting.get(this.#known + 1);
      if (next === undefined) return ready;
      this.#waiting.delete(next.seq);
      this.#known = next.seq;
      ready.push(next);
    }
  }
}
