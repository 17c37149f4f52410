import { nodeSlotOf } from '../lib/core/units.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Timer } from '../lib/port/clock.ts';
import type { BatchStream } from '../lib/runtime/stream.ts';
import type { QueryBatch } from '../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReplyBatch__Output } from '../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Ask } from './api.ts';
import { Backoff } from './backoff.ts';
import type { ChannelPorts } from './channel.ts';
import type { SetNodes } from './nodes.ts';
import type { LineAnswer, QueryWire } from './wire.ts';
import { wireNumber } from './wire-number.ts';

const STANDBY_LIMITS = {
  /** A question that a standby has not answered by then goes to the leader. */
  patienceMs: 1_000,
  /** The leader's part of a deadline is at least as long as the standby's. */
  patienceShare: 0.5,
  inFlightMax: 1_024,
  batchItemsMax: 256,
  sweepMs: 50,
  /** Signs of life come twice a second. */
  silenceMs: 1_200,
  /** With a node that answers nothing for so long, where there is a third one. */
  uselessMs: 2_000,
} as const;

type Asked = {
  readonly tag: number;
  readonly ask: Ask;
  readonly untilAt: number;
  readonly resolve: (answer: LineAnswer | null) => void;
};

/**
 * Lists from a node that does not lead, so that the leader's time is for writes (P11). Opened by the
 * first question that could go there. Whatever goes wrong is null: then the leader is asked.
 */
export class StandbyLine {
  readonly #set: SetId;
  readonly #ports: ChannelPorts;
  readonly #nodes: SetNodes;
  readonly #wire: QueryWire;
  readonly #backoff: Backoff;
  readonly #asked = new Map<number, Asked>();
  #queue: Asked[] = [];
  #stream: BatchStream<QueryBatch> | null = null;
  #slot = -1;
  #nextTag = 1;
  /** What the node says that it shows; 0 unless it follows. */
  #shownLsn = 0;
  #heardAt = 0;
  #usefulAt = 0;
  #wanted = false;
  #flushing = false;
  #closed = false;
  #sweep: Timer | null = null;
  #timer: Timer | null = null;

  constructor(args: { set: SetId; ports: ChannelPorts; nodes: SetNodes; wire: QueryWire }) {
    this.#set = args.set;
    this.#ports = args.ports;
    this.#nodes = args.nodes;
    this.#wire = args.wire;
    this.#backoff = new Backoff({ random: args.ports.random, firstMs: 100, lastMs: 2_000 });
  }

  /**
   * The answer of a standby that shows the ask's `atLsn`. null, at once where that is known already:
   * the leader is to be asked. Never takes more than half of `deadlineMs`.
   */
  ask(ask: Ask, deadlineMs: number): Promise<LineAnswer | null> {
    this.#want();
    const { inFlightMax, patienceMs, patienceShare } = STANDBY_LIMITS;
    const shows = this.#shownLsn > 0 && Number(ask.atLsn ?? 0) <= this.#shownLsn;
    const stream = this.#stream;
    if (!shows || stream === null || stream.congested || this.#asked.size >= inFlightMax) {
      return Promise.resolve(null);
    }
    return new Promise((resolve) => {
      const tag = this.#nextTag;
      this.#nextTag = tag === 0xffff_ffff ? 1 : tag + 1;
      const patience = Math.min(patienceMs, deadlineMs * patienceShare);
      const untilAt = this.#ports.clock.monotonicMs() + patience;
      const asked = { tag, ask, untilAt, resolve };
      this.#asked.set(tag, asked);
      this.#queue.push(asked);
      this.#flushSoon();
    });
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    this.#timer?.cancel();
    this.#stream?.abort('router closes');
    this.#giveUp();
  }

  #want(): void {
    if (this.#wanted || this.#closed || this.#nodes.count < 2) return;
    this.#wanted = true;
    this.#sweep = this.#ports.clock.every(STANDBY_LIMITS.sweepMs, () => this.#sweepAll());
    this.#open();
  }

  #open(): void {
    const now = this.#ports.clock.monotonicMs();
    [this.#heardAt, this.#usefulAt] = [now, now];
    this.#slot = this.#pick();
    const stream = this.#wire.open(
      {
        message: (batch) => this.#receive(batch),
        closed: (reason) => this.#lost(reason),
      },
      this.#slot,
    );
    if (stream.open) this.#stream = stream;
  }

  /** The next in turn that does not lead, as far as anybody has said. */
  #pick(): number {
    const { count, leaderEpoch } = this.#nodes;
    const next = (this.#slot + 1) % count;
    const leads = leaderEpoch > 0 && nodeSlotOf(leaderEpoch) === next;
    return leads ? (next + 1) % count : next;
  }

  #receive(batch: QueryReplyBatch__Output): void {
    const now = this.#ports.clock.monotonicMs();
    this.#heardAt = now;
    const standing = this.#wire.standing(batch);
    const replies = this.#wire.unpack(batch);
    // What it says of a newer leader is news for the others; that it does not lead itself is not.
    if (standing.leaderEpoch > this.#nodes.leaderEpoch) this.#nodes.heard(this.#slot, standing);
    this.#shownLsn = standing.epoch === 0 ? wireNumber(batch.shownLsn) : 0;
    if (this.#shownLsn > 0) {
      this.#usefulAt = now;
      this.#backoff.reset();
    }
    for (const reply of replies) {
      const asked = this.#asked.get(reply.tag);
      if (asked === undefined) continue;
      const answer = this.#wire.answer({ request: asked.ask, doubtful: false, reply, batch });
      this.#asked.delete(reply.tag);
      // It says yes or nothing: a no is for the leader to say.
      asked.resolve(answer.status === 'ok' ? answer : null);
    }
    if (standing.epoch > 0) this.#stream?.abort('it leads');
  }

  #lost(reason: string | null): void {
    const { clock, log } = this.#ports;
    const wasOf = this.#shownLsn > 0;
    this.#stream = null;
    this.#giveUp();
    if (this.#closed) return;
    if (wasOf) log.warn('standby_lost', { set: this.#set, node: this.#slot, reason });
    this.#timer = clock.after(this.#backoff.next(), () => this.#open());
  }

  /** Everything that waits here goes to the leader. */
  #giveUp(): void {
    this.#shownLsn = 0;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    this.#queue = [];
    for (const { resolve } of asked) resolve(null);
  }

  #sweepAll(): void {
    const now = this.#ports.clock.monotonicMs();
    let late = false;
    for (const { tag, untilAt, resolve } of this.#asked.values()) {
      if (now < untilAt) continue;
      late = true;
      this.#asked.delete(tag);
      resolve(null);
    }
    // Nothing more goes there until it speaks again.
    if (late) this.#shownLsn = 0;
    const { silenceMs, uselessMs } = STANDBY_LIMITS;
    const useless = this.#nodes.count > 2 && now - this.#usefulAt >= uselessMs;
    if (now - this.#heardAt >= silenceMs) this.#stream?.abort('it says nothing');
    else if (useless) this.#stream?.abort('it answers nothing');
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#ports.clock.soon(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (let at = 0; at < queue.length; at += STANDBY_LIMITS.batchItemsMax) {
      const part = queue.slice(at, at + STANDBY_LIMITS.batchItemsMax);
      const items = part.map(({ tag, ask }) => ({ tag, request: ask }));
      // One that is not taken is given up by the stream's end, or at its time.
      this.#stream?.send(this.#wire.pack(items));
    }
  }
}
