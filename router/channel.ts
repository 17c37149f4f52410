import { assert } from '../lib/core/assert.ts';
import type { Clock, Timer } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { BatchStream, StreamListener } from '../lib/runtime/stream.ts';
import { Backoff } from './backoff.ts';
import type { SetNodes, Standing } from './nodes.ts';

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
  /** Requests lie with a peer that has answered none for this long: try another connection. */
  silenceMs: 3_000,
  /** Where another node may take over, one that is quiet is left: signs of life come twice a second. */
  silenceAmongNodesMs: 1_200,
  /** An attempt without a first word by then is given up for the next line. */
  openMs: 2_000,
  openAmongNodesMs: 1_000,
  /** A leader that was replaced may still answer what lies with it, for so long. */
  farewellMs: 300,
  /** A sweep this late: we stood still, and what has come meanwhile was not read. */
  awayMs: 500,
} as const;

/** Why a channel answers itself. Never done for certain, except `unknown`, which may have been. */
export type Failure = 'overloaded' | 'set_unavailable' | 'unknown';

/** How one kind of request travels: `Out` and `In` are the stream's batches. */
export type Wire<Request, Out, In, Reply extends { readonly tag: number }, Answer> = {
  /** One attempt at a stream to this node of the Set. */
  open(listener: StreamListener<In>, slot: number): BatchStream<Out>;
  /** What the node says of the leadership. Throws DecodeError. */
  standing(batch: In): Standing;
  /** A refusal that says that nothing was done: of a node that does not lead, another may do it. */
  isRefusal(reply: Reply): boolean;
  pack(items: readonly { readonly tag: number; readonly request: Request }[]): Out;
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
  /** On the current stream, without an answer. */
  lies: boolean;
  readonly resolve: (answer: Answer) => void;
};

export type ChannelPorts = { clock: Clock; random: Random; log: Log };

/**
 * One stream of batched requests to the leader of one Set, kept up for ever. Requests of one turn of
 * the event loop share a message; after a reconnect, or a refusal by a node that does not lead, they
 * go again, the same bytes under the same tags, until their deadline.
 */
export class Channel<Request, Out, In, Reply extends { readonly tag: number }, Answer> {
  readonly #name: string;
  readonly #ports: ChannelPorts;
  readonly #nodes: SetNodes;
  readonly #wire: Wire<Request, Out, In, Reply, Answer>;
  /** By tag, in the order of asking. */
  readonly #pending = new Map<number, Pending<Request, Answer>>();
  /** Those that are not on the current stream. */
  #queue: Pending<Request, Answer>[] = [];
  #nextTag = 1;
  #stream: BatchStream<Out> | null = null;
  /** The node of the current stream, and whether it leads. */
  #slot = 0;
  #up = false;
  /** Its epoch while it leads. */
  #epoch = 0;
  /** Requests that lie with it. */
  #lying = 0;
  /** Since when it has not led, or not led any more. */
  #parkedAt = 0;
  /** A stream that was left on purpose is followed by the next at once. */
  #leaving = false;
  #closed = false;
  #flushing = false;
  /** Since when there is no stream to a leader. */
  #downSince: number;
  #heardAt = 0;
  /** The last message with an answer in it, or with nothing to answer. */
  #answeredAt = 0;
  #sweptAt = 0;
  readonly #backoff: Backoff;
  readonly #sweep: Timer;
  /** Until the next attempt, or until this one is given up. */
  #timer: Timer | null = null;

  constructor(args: {
    name: string;
    ports: ChannelPorts;
    nodes: SetNodes;
    wire: Wire<Request, Out, In, Reply, Answer>;
  }) {
    this.#name = args.name;
    this.#ports = args.ports;
    this.#nodes = args.nodes;
    this.#wire = args.wire;
    this.#backoff = new Backoff({ random: args.ports.random, firstMs: 50, lastMs: 2_000 });
    this.#downSince = args.ports.clock.monotonicMs();
    this.#sweptAt = this.#downSince;
    this.#sweep = args.ports.clock.every(CHANNEL_LIMITS.sweepMs, () => this.#sweepAll());
    this.#open();
  }

  /** Is there a stream to a node that leads? */
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
      const fresh = { written: false, doubtful: false, lies: false };
      const pending = { tag, request, deadlineAt, ...fresh, resolve };
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

  get #hasOthers(): boolean {
    return this.#nodes.count > 1;
  }

  #open(): void {
    const { clock } = this.#ports;
    const { openMs, openAmongNodesMs } = CHANNEL_LIMITS;
    this.#timer = clock.after(this.#hasOthers ? openAmongNodesMs : openMs, () =>
      this.#stream?.abort('not taken in time'),
    );
    this.#slot = this.#nodes.pick();
    this.#heardAt = clock.monotonicMs();
    this.#parkedAt = this.#heardAt;
    const stream = this.#wire.open(
      {
        message: (batch) => this.#receive(batch),
        drained: () => this.#flush(),
        closed: (reason) => this.#lost(reason),
      },
      this.#slot,
    );
    // One that failed at once has made its successor wait already.
    if (stream.open) this.#stream = stream;
  }

  #lost(reason: string | null): void {
    const wasUp = this.#up;
    this.#stream = null;
    if (this.#closed) return;
    const { clock, log } = this.#ports;
    const left = this.#leaving;
    this.#leaving = false;
    this.#down();
    if (!left) this.#nodes.lost(this.#slot);
    if (wasUp) log.warn('stream_lost', { channel: this.#name, node: this.#slot, reason });
    for (const pending of this.#pending.values()) {
      pending.doubtful ||= pending.written;
      pending.lies = false;
    }
    this.#lying = 0;
    this.#queue = [...this.#pending.values()];
    this.#timer?.cancel();
    if (left) this.#open();
    else this.#timer = clock.after(this.#backoff.next(), () => this.#open());
  }

  #down(): void {
    if (!this.#up) return;
    this.#up = false;
    this.#downSince = this.#ports.clock.monotonicMs();
    this.#parkedAt = this.#downSince;
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
      for (const each of live) {
        each.written = true;
        each.lies = true;
      }
      this.#lying += live.length;
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
    const standing = this.#wire.standing(batch);
    const replies = this.#wire.unpack(batch);
    if (replies.length > 0) this.#answeredAt = this.#heardAt;
    this.#timer?.cancel();
    const leads = this.#nodes.heard(this.#slot, standing);
    for (const reply of replies) this.#take({ reply, batch, leads });
    // Only a peer that makes sense ends the back-off.
    this.#backoff.reset();
    if (!leads) {
      this.#down();
      this.#leaveForBetter();
    } else if (!this.#up || this.#epoch !== standing.epoch) {
      this.#up = true;
      this.#epoch = standing.epoch;
      this.#flush();
    }
  }

  #take(got: { reply: Reply; batch: In; leads: boolean }): void {
    const { reply, batch, leads } = got;
    const pending = this.#pending.get(reply.tag);
    // Answered at its deadline already.
    if (pending === undefined) return;
    if (!leads && pending.lies && this.#wire.isRefusal(reply)) {
      // This copy was not done for certain. The node that leads gets the same bytes.
      pending.lies = false;
      pending.written = pending.doubtful;
      this.#lying -= 1;
      this.#queue.push(pending);
      return;
    }
    // Before it is forgotten: bytes that cannot be read break the stream and are asked for again.
    const answer = this.#wire.answer({ ...pending, reply, batch });
    this.#forget(pending);
    pending.resolve(answer);
  }

  /** Leaves a node that does not lead, when another may: first what lies with it gets its refusals. */
  #leaveForBetter(): void {
    const { clock } = this.#ports;
    if (this.#stream === null || this.#leaving) return;
    if (!this.#nodes.isBetter(this.#slot, this.#parkedAt)) return;
    const waited = clock.monotonicMs() - this.#parkedAt >= CHANNEL_LIMITS.farewellMs;
    if (this.#lying > 0 && !waited) return;
    this.#leaving = true;
    this.#stream.abort('it does not lead');
  }

  #sweepAll(): void {
    const now = this.#ports.clock.monotonicMs();
    const away = now - this.#sweptAt >= CHANNEL_LIMITS.awayMs;
    this.#sweptAt = now;
    const longDown = this.#isLongDown();
    for (const pending of this.#pending.values()) {
      if (now >= pending.deadlineAt || (longDown && !pending.written)) this.#fail(pending);
    }
    if (away) [this.#heardAt, this.#answeredAt] = [now, now];
    // Silence counts from when there was something to say.
    if (this.#lying === 0) this.#answeredAt = now;
    const { silenceMs, silenceAmongNodesMs } = CHANNEL_LIMITS;
    const quiet = this.#hasOthers && now - this.#heardAt >= silenceAmongNodesMs;
    if (quiet || now - this.#answeredAt >= silenceMs) {
      return this.#stream?.abort('no answer for too long');
    }
    // Somebody else heard of a newer leader.
    if (this.#up && this.#nodes.leaderEpoch > this.#epoch) this.#down();
    if (!this.#up) this.#leaveForBetter();
  }

  #forget(pending: Pending<Request, Answer>): void {
    this.#pending.delete(pending.tag);
    if (pending.lies) this.#lying -= 1;
  }

  #fail(pending: Pending<Request, Answer>): void {
    this.#forget(pending);
    const failure = pending.written ? 'unknown' : 'set_unavailable';
    pending.resolve(this.#wire.fail(pending.request, failure));
  }
}
