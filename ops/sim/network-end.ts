import { EventEmitter } from 'node:events';
import { assert } from '../../lib/core/assert.ts';
import type { DuplexCall } from '../../lib/runtime/grpc-stream.ts';
import type { SimProcess } from './process.ts';

/** Messages that a Node stream takes before it asks its writer to wait. */
const BUFFERED_MAX = 16;

/** How a call ends for one of its ends: in peace, or not. */
export type LastWord = { readonly event: 'end' | 'error' | 'cancelled'; readonly reason: string };

/** One end of a call, as the gRPC library shows it to its adapter: messages in, messages out. */
export class CallEnd extends EventEmitter implements DuplexCall<unknown, unknown> {
  readonly process: SimProcess;
  readonly #windowBytes: number;
  readonly #send: (batch: unknown) => number;
  readonly #finish: () => void;
  /** Written, and without room in the window of the other end. */
  #buffer: unknown[] = [];
  #unreadBytes = 0;
  #needsDrain = false;
  #ending: 'no' | 'when all is sent' | 'said' = 'no';
  /** It hears nothing more and says nothing more. */
  done = false;
  /** Why it fears that the other end is gone; whoever clears the doubt sets null. */
  doubt: object | null = null;

  constructor(args: {
    process: SimProcess;
    windowBytes: number;
    /** Lets a message go; returns its size in bytes. */
    send: (batch: unknown) => number;
    /** Lets the end go. */
    finish: () => void;
  }) {
    super();
    this.process = args.process;
    this.#windowBytes = args.windowBytes;
    this.#send = args.send;
    this.#finish = args.finish;
  }

  get isWaiting(): boolean {
    return this.#buffer.length > 0;
  }

  write(batch: unknown): boolean {
    // What still runs in a process that was killed reaches nobody.
    if (this.done || this.process.dead) return true;
    assert(this.#ending === 'no', 'nothing is written after the end');
    this.#buffer.push(batch);
    this.#pump();
    if (this.#buffer.length >= BUFFERED_MAX) this.#needsDrain = true;
    return !this.#needsDrain;
  }

  end(): void {
    if (this.done || this.#ending !== 'no' || this.process.dead) return;
    this.#ending = 'when all is sent';
    this.#pump();
  }

  /** The other end has read so much of what was sent. */
  wasRead(bytes: number): void {
    this.#unreadBytes -= bytes;
    assert(this.#unreadBytes >= 0, 'nobody reads more than was sent');
    this.#pump();
  }

  /** Tells its owner the last thing that there is to say. */
  close({ event, reason }: LastWord): void {
    if (this.done) return;
    this.done = true;
    this.#buffer = [];
    this.emit(event, new Error(reason));
  }

  #pump(): void {
    let sent = 0;
    while (sent < this.#buffer.length && this.#unreadBytes < this.#windowBytes) {
      this.#unreadBytes += this.#send(this.#buffer[sent]);
      sent += 1;
    }
    this.#buffer.splice(0, sent);
    if (this.done || this.#buffer.length > 0) return;
    if (this.#needsDrain) {
      this.#needsDrain = false;
      this.emit('drain');
    }
    if (this.#ending !== 'when all is sent' || this.isWaiting) return;
    this.#ending = 'said';
    this.#finish();
  }
}

/** The same end with the types of its messages: they were forgotten where calls are all alike. */
export function typedEnd<In, Out>(end: CallEnd): DuplexCall<In, Out> {
  return end;
}
