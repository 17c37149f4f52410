import type { Socket } from 'node:net';

/** In flight on one lane at most; then its source is not read until some of it has left. */
const HELD_BYTES_MAX = 1_048_576;

/** What travels: bytes, the end of the stream, or a reset. */
type Item = { readonly dueMs: number; readonly what: Buffer | 'end' | 'reset' };

/** Faults of one direction, shared by all its lanes. */
export type LaneFaults = { isCut: boolean; delayMs: number; bytes: number };

/**
 * One direction of one connection. A cut lane is a black hole as TCP sees it: nothing arrives, not
 * even the end, and what was sent arrives after the healing.
 */
export class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #faults: LaneFaults;
  readonly #items: Item[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #isFull = false;

  constructor(args: { source: Socket; sink: Socket; faults: LaneFaults }) {
    this.#source = args.source;
    this.#sink = args.sink;
    this.#faults = args.faults;
    this.#source.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#source.on('end', () => this.#take('end'));
    this.#source.on('error', () => this.#take('reset'));
    this.#sink.on('drain', () => {
      this.#isFull = false;
      this.pump();
    });
  }

  /** Sends on what is due. Call it when a fault has changed. */
  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#faults.isCut && !this.#isFull) {
      const [item] = this.#items;
      if (item === undefined) break;
      const waitMs = item.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        break;
      }
      this.#items.shift();
      this.#deliver(item.what);
    }
    const mayRead = !this.#faults.isCut && this.#heldBytes < HELD_BYTES_MAX;
    if (mayRead) this.#source.resume();
    else this.#source.pause();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#items.length = 0;
    this.#heldBytes = 0;
  }

  #take(what: Item['what']): void {
    if (typeof what !== 'string') this.#heldBytes += what.length;
    const earliest = this.#items.at(-1)?.dueMs ?? 0;
    const dueMs = Math.max(earliest, performance.now() + this.#faults.delayMs);
    this.#items.push({ dueMs, what });
    this.pump();
  }

  #deliver(what: Item['what']): void {
    if (typeof what !== 'string') this.#heldBytes -= what.length;
    if (this.#sink.destroyed) return;
    if (what === 'end') {
      this.#sink.end();
    } else if (what === 'reset') {
      this.#sink.resetAndDestroy();
    } else {
      this.#faults.bytes += what.length;
      this.#isFull = !this.#sink.write(what);
    }
  }
}
