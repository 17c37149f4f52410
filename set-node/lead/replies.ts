import type { Lsn } from '../../lib/core/units.ts';
import type { ReplySink } from './leadership.ts';
import { encodeStatus, refuseAt } from './refusal.ts';

/** A decided answer, and the LSN that it depends on. */
export type Reply = {
  readonly sink: ReplySink;
  readonly tag: number;
  readonly lsn: number;
  readonly outcome: Uint8Array;
};

/** Answers that wait for the log: each leaves when all that it depended on is committed (P7). */
export class Replies {
  /** By the LSN they depend on, ascending. */
  #waiting: Reply[] = [];

  get count(): number {
    return this.#waiting.length;
  }

  add(reply: Reply): void {
    this.#waiting.push(reply);
  }

  /** Everything up to `commit` is committed. */
  release(commit: Lsn): void {
    let count = 0;
    for (const { sink, tag, lsn, outcome } of this.#waiting) {
      if (lsn > commit) break;
      sink.reply(tag, lsn, outcome);
      count += 1;
    }
    if (count === this.#waiting.length) this.#waiting = [];
    else if (count > 0) this.#waiting.splice(0, count);
  }

  /**
   * Those that wait now depend on nothing that is on its way: they leave when this node proves that
   * it leads, or a replaced leader says no for ever to what its successor has (rulings 16).
   */
  releaseWhen(leads: Promise<boolean>): void {
    const answers = this.#waiting;
    this.#waiting = [];
    void leads.then((proved) => {
      for (const { sink, tag, lsn, outcome } of answers) {
        if (proved) sink.reply(tag, lsn, outcome);
        else refuseAt(sink, tag, 'set_unavailable');
      }
    });
  }

  /** This leader is gone: nobody here knows whether what was sealed is committed. */
  abandon(): void {
    for (const { sink, tag } of this.#waiting) sink.reply(tag, 0, encodeStatus('unknown'));
    this.#waiting = [];
  }
}
