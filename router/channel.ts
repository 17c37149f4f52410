import { assert } from '../lib/core/assert.ts';
import type { Clock, Timer } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { BatchStream, StreamListener } from '../lib/runtime/stream.ts';
import { Backoff } from './backoff.ts';

export const CHANNEL_LIMITS = {
  /** One message: enough to share its cost, little enough not to stand before a grab. */
  batchItemsMax: 256,
  batchBytesMax: 256 * 1_024,
  /** Requests without an answer. At 100,000 a second this is 40 ms of work: beyond it, shed. */
  inFlightMax: 4_096,
  /** One timer looks after every deadline of a channel; answers may come this much late. */
  sweepMs: 50,
  /** Rulings 16b: a Set that is down refuses within a second, whatever the deadline. */
  failFastMs: 1_000,
  /** Requests lie with a peer that has said nothing for this long: try another connection. */
  silenceMs: 3_000,
  /** An attempt that is not taken by then is given up for the next line. */
  openMs: 2_000,
} as const;

/** Why a channel answers itself. Never done for certain, except `unknown`, which may have been. */
export type Failure = 'overloaded' | 'set_unavailable' | 'unknown';

/** How one kind of request travels: `Out` and `In` are the stream's batches. */
export type Wire<Request, Out, In, Reply extends { readonly tag: number }, Answer> = {
  /** One attempt at the stream; `attempt` counts from 0 and alternates between lines. */
  open(listener: StreamListener<In>, attempt: number): BatchStream<Out>;
  pack(items: readonly Pending<Request, Answer>[]): Out;
  /** The replies of a batch. Throws DecodeError. */
  unpack(batch: In): readonly Reply[];
  /** What the caller gets. Throws DecodeError. */
  answer(args: { request: Request; doubtful: boolean; reply: Reply; batch: In }): Answer;
  sizeOf(request: Request): number;
  fail(request: Request, failure: Failure): Answer;
};

/** One request from its call to its answer. Plain fields: thousands are made each second. */
export type Pending<Request, Answer> = {
  readonly tag: number;
  readonly request: Request;
  readonly deadlineAt: number;
  /** On whichever stream: from then on nobody can say that it was not done. */
  written: boolean;
  /** Written on a stream that is gone: a refusal of the second copy says nothing of the first. */
  doubtful: boolean;
  readonly resolve: (answer: Answer) => void;
};

export type ChannelPorts = { clock: Clock; random: Random; log: Log };

/**
 * One stream of batched requests to one Set, kept up for ever. Requests of one turn of the event
 * loop share a message; after a reconnect all that have no answer go again, the same bytes under
 * the same tags, until their deadline.
 */
export class Channel<Request, Out, In, Reply extends { readonly tag: number }, Answer> {
  readonly #name: string;
  readonly #ports: ChannelPorts;
  readonly #wire: Wire<Request, Out, In, Reply, Answer>;
  /** By tag, in the order of asking. */
  readonly #pending = new Map<number, Pending<Request, Answer>>();
  /** Those that are not on the current stream. */
  #queue: Pending<Request, Answer>[] = [];
  #nextTag = 1;
  #stream: BatchStream<Out> | null = null;
  #up = false;
  #closed = false;
  #flushing = false;
  #attempt = 0;
  #downSince: number;
  #heardAt = 0;
  readonly #backoff: Backoff;
  readonly #sweep: Timer;
  /** Until the next attempt, or until this one is given up. */
  #timer: Timer | null = null;

  constructor(args: {
    name: string;
    ports: ChannelPorts;
    wire: Wire<Request, Out, In, Reply, Answer>;
  }) {
    this.#name = args.name;
    this.#ports = args.ports;
    this.#wire = args.wire;
    this.#backoff = new Backoff({ random: args.ports.random, firstMs: 50, lastMs: 2_000 });
    this.#downSince = args.ports.clock.monotonicMs();
    this.#sweep = args.ports.clock.every(CHANNEL_LIMITS.sweepMs, () => this.#sweepDeadlines());
    this.#open();
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** Requests that have no answer yet. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Never rejects. Answers itself at the deadline, when too much is in flight, and when closed. */
  ask(request: Request, deadlineMs: number): Promise<Answer> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.resolve(this.#wire.fail(request, refusal));
    return new Promise((resolve) => {
      const tag = this.#nextTag;
      this.#nextTag = tag === 0xffff_ffff ? 1 : tag + 1;
      const deadlineAt = this.#ports.clock.monotonicMs() + deadlineMs;
      const pending = { tag, request, deadlineAt, written: false, doubtful: false, resolve };
      assert(!this.#pending.has(tag), 'a tag is free again long before it comes round');
      this.#pending.set(tag, pending);
      this.#queue.push(pending);
      this.#flushSoon();
    });
  }

  /** Answers everything that waits and opens no more streams. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sweep.cancel();
    this.#timer?.cancel();
    this.#stream?.abort('router closes');
    for (const pending of this.#pending.values()) this.#fail(pending);
  }

  #refusal(): Failure | null {
    if (this.#closed) return 'set_unavailable';
    if (this.#pending.size >= CHANNEL_LIMITS.inFlightMax) return 'overloaded';
    return this.#isLongDown() ? 'set_unavailable' : null;
  }

  #isLongDown(): boolean {
    if (this.#up) return false;
    return this.#ports.clock.monotonicMs() - this.#downSince >= CHANNEL_LIMITS.failFastMs;
  }

  #open(): void {
    const { clock } = this.#ports;
    this.#timer = clock.after(CHANNEL_LIMITS.openMs, () =>
      this.#stream?.abort('not taken in time'),
    );
    const attempt = this.#attempt++;
    this.#stream = this.#wire.open(
      {
        opened: () => {
          this.#timer?.cancel();
          this.#up = true;
          this.#heardAt = clock.monotonicMs();
          this.#flush();
        },
        message: (batch) => this.#receive(batch),
        drained: () => this.#flush(),
        closed: (reason) => this.#lost(reason),
      },
      attempt,
    );
  }

  #lost(reason: string | null): void {
    const wasUp = this.#up;
    this.#up = false;
    this.#stream = null;
    if (this.#closed) return;
    const { clock, log } = this.#ports;
    if (wasUp) {
      this.#downSince = clock.monotonicMs();
      log.warn('stream_lost', { channel: this.#name, reason });
    }
    for (const pending of this.#pending.values()) pending.doubtful ||= pending.written;
    this.#queue = [...this.#pending.values()];
    this.#timer?.cancel();
    this.#timer = clock.after(this.#backoff.next(), () => this.#open());
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#ports.clock.soon(this.#flushNow);
  }

  readonly #flushNow = (): void => {
    this.#flushing = false;
    this.#flush();
  };

  #flush(): void {
    let sent = 0;
    while (sent < this.#queue.length) {
      const stream = this.#stream;
      // What waits here is gathered into larger messages; what waits in the stream is not.
      if (!this.#up || stream === null || stream.congested) break;
      const end = this.#batchEnd(sent);
      const batch = this.#queue.slice(sent, end);
      sent = end;
      const live = batch.filter((each) => this.#pending.has(each.tag));
      if (live.length === 0) continue;
      // Before the bytes leave: a stream that breaks while sending may have sent them.
      for (const each of live) each.written = true;
      // A stream that closed meanwhile has made a new queue of all that has no answer.
      if (!stream.send(this.#wire.pack(live)) || this.#stream !== stream) return;
    }
    if (sent > 0) this.#queue.splice(0, sent);
  }

  #batchEnd(start: number): number {
    let bytes = 0;
    let end = start;
    while (end < this.#queue.length && end - start < CHANNEL_LIMITS.batchItemsMax) {
      const next = this.#queue[end];
      if (next === undefined) break;
      bytes += this.#wire.sizeOf(next.request);
      if (end > start && bytes > CHANNEL_LIMITS.batchBytesMax) break;
      end += 1;
    }
    return end;
  }

  #receive(batch: In): void {
    this.#heardAt = this.#ports.clock.monotonicMs();
    for (const reply of this.#wire.unpack(batch)) {
      const pending = this.#pending.get(reply.tag);
      // Answered at its deadline already.
      if (pending === undefined) continue;
      // Before it is forgotten: bytes that cannot be read break the stream and are asked for again.
      const answer = this.#wire.answer({ ...pending, reply, batch });
      this.#pending.delete(reply.tag);
      pending.resolve(answer);
    }
    // Only a peer that makes sense ends the back-off.
    this.#backoff.reset();
  }

  #sweepDeadlines(): void {
    const now = this.#ports.clock.monotonicMs();
    const longDown = this.#isLongDown();
    let lying = false;
    for (const pending of this.#pending.values()) {
      if (now >= pending.deadlineAt || (longDown && !pending.written)) this.#fail(pending);
      else if (pending.written) lying = true;
    }
    // Silence counts from when there was something to say.
    if (!lying) this.#heardAt = now;
    if (this.#up && now - this.#heardAt >= CHANNEL_LIMITS.silenceMs) {
      this.#stream?.abort('no answer for too long');
    }
  }

  #fail(pending: Pending<Request, Answer>): void {
    this.#pending.delete(pending.tag);
    const failure = pending.written ? 'unknown' : 'set_unavailable';
    pending.resolve(this.#wire.fail(pending.request, failure));
  }
}
