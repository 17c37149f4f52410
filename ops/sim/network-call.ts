import type { MessageCodec, MethodCodec } from '../../lib/runtime/grpc-codec.ts';
import { messageBytesMax } from '../../lib/runtime/stream.ts';
import type { LastWord } from './network-end.ts';
import { CallEnd } from './network-end.ts';
import type { LaneWorld } from './network-lane.ts';
import { Lane } from './network-lane.ts';
import type { SimProcess } from './process.ts';

/** As in lib/runtime/grpc.ts: a sign of life is asked for every 5 s, and awaited for 3 s. */
const SIGN_EVERY_MS = 5_000;
const SIGN_WAIT_MS = 3_000;

type Bytes = MessageCodec<unknown, unknown>;
type Codec = { readonly ask: Bytes; readonly reply: Bytes };

/** What a call needs of the network that it is in. */
export type CallWorld = LaneWorld & {
  /** Until when a line is cut in one direction, monotonic milliseconds; 0 while it works. */
  readonly cutUntilMs: (from: SimProcess, to: SimProcess) => number;
  /** Uniform in [0, n). */
  readonly below: (n: number) => number;
  /** A message is on its way. */
  readonly sent: (call: SimCall) => void;
  /** A message is read. */
  readonly read: (call: SimCall, bytes: Buffer) => void;
  /** Nothing happens on it any more. */
  readonly gone: (call: SimCall) => void;
};

/** One call on a connection of its own: two ends, two lanes, and all the ways in which it can end. */
export class SimCall {
  readonly number: number;
  readonly client: CallEnd;
  readonly server: CallEnd;
  readonly #world: CallWorld;
  readonly #codec: Codec;
  readonly #there: Lane;
  readonly #back: Lane;
  /** The connection stands: from now on its ends ask for signs of life. */
  #established = false;

  constructor(args: {
    number: number;
    world: CallWorld;
    codec: Codec;
    client: SimProcess;
    server: SimProcess;
    /** Room for what the other end has not read, bytes. */
    windowBytes: number;
  }) {
    const { number, world, codec, client, server, windowBytes } = args;
    this.number = number;
    this.#world = world;
    this.#codec = codec;
    const end = (process: SimProcess, self: () => CallEnd): CallEnd =>
      new CallEnd({
        process,
        windowBytes,
        send: (batch) => this.#send(self(), batch),
        finish: () => this.#finish(self()),
      });
    this.client = end(client, () => this.client);
    this.server = end(server, () => this.server);
    const backMs = (): number => world.cutUntilMs(server, client);
    // A connection is made by a word there and a word back: one way alone makes none.
    const thereMs = (): number =>
      Math.max(world.cutUntilMs(client, server), this.#established ? 0 : backMs());
    const lane = (to: () => CallEnd, cutUntilMs: () => number): Lane =>
      new Lane({ world, to: to().process, cutUntilMs, asleep: () => this.#asleep(to()) });
    this.#there = lane(() => this.server, thereMs);
    this.#back = lane(() => this.client, backMs);
  }

  /** Knocks. The first that the caller hears is that the server has taken the call. */
  open(taken: () => void): void {
    this.#there.push(() => {
      if (this.server.done) return;
      this.#established = true;
      taken();
      this.#back.push(() => {
        if (!this.client.done) this.client.emit('metadata');
      });
    });
  }

  /** Nobody listens there. */
  refuse(reason: string): void {
    this.server.done = true;
    this.#back.push(() => this.#close(this.client, { event: 'error', reason }));
  }

  /** One end leaves, and has been told so. What it sent before may or may not arrive. */
  leave(end: CallEnd, reason: string): void {
    if (end.done || end.process.dead) return;
    end.done = true;
    this.#tellOther(end, reason);
    this.#lookAround();
  }

  /** The connection breaks: both ends learn it as soon as word of it reaches them. */
  break(reason: string): void {
    this.#tellOther(this.client, reason);
    this.#tellOther(this.server, reason);
  }

  /** A process is dead: it hears nothing more, and its machine tells the other end. */
  died(process: SimProcess): void {
    for (const end of [this.client, this.server]) {
      if (end.process !== process || end.done) continue;
      end.done = true;
      this.#tellOther(end, 'connection reset by peer');
    }
    this.#lookAround();
  }

  /** The line is cut: each end leaves when no sign of life has come for too long. */
  doubt(isStillCut: () => boolean): void {
    if (!this.#established) return;
    for (const end of [this.client, this.server]) this.#leaveUnless(end, isStillCut);
  }

  /** Something came to a process that stands still: nor does it answer when asked for a sign. */
  #asleep(sleeper: CallEnd): void {
    const end = this.#other(sleeper);
    if (!this.#established || end.done || end.doubt !== null) return;
    const doubt = {};
    end.doubt = doubt;
    sleeper.process.hold(() => {
      end.doubt = null;
    });
    this.#leaveUnless(end, () => end.doubt === doubt);
  }

  #leaveUnless(end: CallEnd, isStillGone: () => boolean): void {
    const { clock, below } = this.#world;
    clock.after(SIGN_WAIT_MS + below(SIGN_EVERY_MS), () => {
      if (!isStillGone()) return;
      end.process.hold(() => {
        if (end.done) return;
        const reason = 'no sign of life';
        this.#tellOther(end, reason);
        this.#close(end, { event: this.#badEvent(end), reason });
      });
    });
  }

  #send(end: CallEnd, batch: unknown): number {
    const codec = end === this.client ? this.#codec.ask : this.#codec.reply;
    const bytes = codec.encode(batch);
    if (bytes.length > messageBytesMax) {
      const reason = `a message of ${bytes.length} bytes is too long`;
      this.#tellOther(end, reason);
      this.#close(end, { event: 'error', reason });
      return 0;
    }
    const other = this.#other(end);
    this.#laneOf(end).push(() => {
      if (other.done) return;
      this.#world.read(this, bytes);
      // Word of the room that there is again travels only where it is waited for.
      if (end.isWaiting) this.#laneOf(other).push(() => end.wasRead(bytes.length));
      else end.wasRead(bytes.length);
      other.emit('data', codec.decode(bytes));
    });
    this.#world.sent(this);
    return bytes.length;
  }

  /** The caller's end is half of the call's; what the server still has to say comes before its own. */
  #finish(end: CallEnd): void {
    const peace: LastWord = { event: 'end', reason: '' };
    if (end === this.client) {
      this.#there.push(() => this.server.done || this.server.emit('end'));
      return;
    }
    this.#back.push(() => {
      this.#close(this.client, peace);
      this.#there.push(() => this.#close(this.server, peace));
    });
  }

  /** Of what `end` has sent a part arrives, then this. */
  #tellOther(end: CallEnd, reason: string): void {
    const lane = this.#laneOf(end);
    const other = this.#other(end);
    lane.lose(this.#world.below);
    if (other.done) return;
    lane.push(() => this.#close(other, { event: this.#badEvent(other), reason }));
  }

  #close(end: CallEnd, word: LastWord): void {
    end.close(word);
    this.#lookAround();
  }

  #lookAround(): void {
    if (!this.client.done || !this.server.done) return;
    this.#there.clear();
    this.#back.clear();
    this.#world.gone(this);
  }

  /** How the library tells an end that a call has not ended well. */
  #badEvent(end: CallEnd): 'error' | 'cancelled' {
    return end === this.client ? 'error' : 'cancelled';
  }

  #other(end: CallEnd): CallEnd {
    return end === this.client ? this.server : this.client;
  }

  #laneOf(end: CallEnd): Lane {
    return end === this.client ? this.#there : this.#back;
  }
}

/** The codecs of one method without their types: those hold where the call is opened. */
export function untyped<Ask, AskRead, Reply, ReplyRead>(
  codec: MethodCodec<Ask, AskRead, Reply, ReplyRead>,
): Codec {
  return { ask: bytesOf(codec.ask), reply: bytesOf(codec.reply) };
}

function bytesOf<Sent, Read>({ encode, decode }: MessageCodec<Sent, Read>): Bytes {
  return { encode: (batch) => encode(batch as Sent), decode };
}
