import { utf8Length } from '../lib/core/bytes.ts';
import { LIMITS } from '../lib/core/limits.ts';
import { authErrorOfClose, HongbaoError, isAuthError, localError } from './errors.ts';
import type { Platform, Socket } from './platform.ts';
import type { Hello, OpName, Outputs } from './protocol.ts';
import { parseFrame } from './wire.ts';

/** A connection that says nothing for this long is taken for dead, whatever the socket says. */
const HELLO_TIMEOUT_MS = 10_000;
const PING_TIMEOUT_MS = 8_000;
const WAKE_TIMEOUT_MS = 2_500;

export type ConnectionHandler = {
  readonly greeted: (hello: Hello) => void;
  readonly event: (name: string, d: unknown) => void;
  readonly level: (level: string) => void;
  /** Last seq per group, for the digest of a heartbeat. */
  readonly seen: () => Record<string, number>;
  readonly behind: (groups: Record<string, number>) => void;
  /** Once, last. `error` is what the server said of the hello or the token, if it did. */
  readonly ended: (error: HongbaoError | null) => void;
};

type Waiting = {
  readonly resolve: (d: unknown) => void;
  readonly reject: (error: HongbaoError) => void;
  readonly cancel: () => void;
};

/**
 * One socket from its opening to its end: hello first, then requests by id, events and heartbeats.
 * It tries nothing twice; that is the client's business.
 */
export class Connection {
  readonly #platform: Platform;
  readonly #handler: ConnectionHandler;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended = false;
  #pinging = false;
  #cancelHeartbeat = (): void => {};
  #refusal: HongbaoError | null = null;

  constructor(options: {
    readonly platform: Platform;
    readonly url: string;
    readonly token: string;
    readonly resume: Record<string, number>;
    readonly handler: ConnectionHandler;
  }) {
    const { platform, url, token, resume, handler } = options;
    this.#platform = platform;
    this.#handler = handler;
    const cancel = platform.after(HELLO_TIMEOUT_MS, () => this.close(null));
    this.#cancelHeartbeat = cancel;
    this.#socket = platform.connect(url, {
      opened: () => void this.#greet({ token, resume }),
      received: (text) => this.#received(text),
      closed: (code) => this.#end(this.#refusal ?? authErrorOfClose(code)),
    });
  }

  /**
   * Sends one frame and waits for its answer. Rejects with HongbaoError: the server's,
   * `connection_lost`, or `timeout` after `timeoutMs`.
   */
  request(args: {
    readonly op: OpName;
    readonly d: unknown;
    readonly timeoutMs: number;
  }): Promise<unknown> {
    if (this.#ended) return Promise.reject(lost());
    const id = this.#nextId;
    const frame = JSON.stringify({ id, op: args.op, d: args.d });
    if (utf8Length(frame) > LIMITS.frameBytesMax) return Promise.reject(tooLarge(args.op));
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const cancel = this.#platform.after(args.timeoutMs, () => {
        this.#waiting.delete(id);
        reject(localError('timeout', `no answer to ${args.op}`));
      });
      this.#waiting.set(id, { resolve, reject, cancel });
      this.#socket.send(frame);
    });
  }

  /** Is somebody there? Used when a page or a network wakes up: a dead socket is found at once. */
  probe(): void {
    void this.#ping(WAKE_TIMEOUT_MS);
  }

  /** Ends it at once; `ended` is called before this returns. */
  close(error: HongbaoError | null): void {
    if (this.#ended) return;
    this.#end(error);
    this.#socket.close(1000, '');
  }

  async #greet(d: { token: string; resume: Record<string, number> }): Promise<void> {
    const resuming = Object.keys(d.resume).length > 0;
    const input = resuming ? d : { token: d.token };
    try {
      const answer = await this.request({ op: 'hello', d: input, timeoutMs: HELLO_TIMEOUT_MS });
      if (this.#ended) return;
      const hello = answer as Hello;
      this.#cancelHeartbeat();
      this.#beat(hello.heartbeatMs);
      this.#handler.greeted(hello);
    } catch (error) {
      if (!(error instanceof HongbaoError)) throw error;
      this.close(error.code === 'connection_lost' ? null : error);
    }
  }

  /** The next heartbeat, a little early or late so that clients do not beat together. */
  #beat(heartbeatMs: number): void {
    const delay = heartbeatMs * (0.9 + 0.2 * this.#platform.random());
    this.#cancelHeartbeat = this.#platform.after(delay, () => {
      void this.#ping(PING_TIMEOUT_MS);
      this.#beat(heartbeatMs);
    });
  }

  async #ping(timeoutMs: number): Promise<void> {
    if (this.#pinging || this.#ended) return;
    this.#pinging = true;
    const seen = this.#handler.seen();
    const d = Object.keys(seen).length > 0 ? { seen } : {};
    try {
      const { behind } = (await this.request({ op: 'ping', d, timeoutMs })) as Outputs['ping'];
      this.#handler.behind(behind);
    } catch (error) {
      if (!(error instanceof HongbaoError)) throw error;
      // A refused ping is an answer: the server lives and is busy. Silence is not.
      if (error.code === 'timeout') this.close(null);
    } finally {
      this.#pinging = false;
    }
  }

  #received(text: string): void {
    if (this.#ended) return;
    const frame = parseFrame(text);
    if (frame === null) {
      this.close(null);
      return;
    }
    switch (frame.kind) {
      case 'event':
        this.#handler.event(frame.name, frame.d);
        return;
      case 'answer':
        if (frame.level !== null) this.#handler.level(frame.level);
        this.#take(frame.id)?.resolve(frame.d);
        return;
      case 'refusal': {
        this.#take(frame.id)?.reject(frame.error);
        // A token that ran out while the socket lives: the reason for the close that follows.
        if (isAuthError(frame.error)) this.#refusal = frame.error;
      }
    }
  }

  #take(id: number): Waiting | null {
    const waiting = this.#waiting.get(id) ?? null;
    this.#waiting.delete(id);
    waiting?.cancel();
    return waiting;
  }

  #end(error: HongbaoError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelHeartbeat();
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(lost());
    this.#handler.ended(error);
  }
}

function lost(): HongbaoError {
  return localError('connection_lost', 'the connection was lost');
}

/** A server would close the socket over it, and every retry would close the next one. */
function tooLarge(op: string): HongbaoError {
  const message = `${op} is larger than ${LIMITS.frameBytesMax} bytes`;
  return new HongbaoError({ code: 'frame_too_large', message, retryable: false });
}
