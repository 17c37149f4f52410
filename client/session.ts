import { fullJitterMs } from './backoff.ts';
import { Connection } from './connection.ts';
import type { ConnectionHandler } from './connection.ts';
import { HongbaoError, isAuthError, localError } from './errors.ts';
import type { Platform } from './platform.ts';
import type { Hello } from './protocol.ts';

export type Token = string | (() => Promise<string>);

export type ClientState = 'connecting' | 'connected' | 'closed';

/** A connection that lived this long did not fail: the next wait starts small again. */
const STABLE_MS = 5_000;
/** Tokens refused one after the other before we believe that no other will do. */
const TOKENS_MAX = 3;
const CROWDED_MS = 5_000;

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking_token' }
  | { readonly kind: 'opening'; readonly connection: Connection }
  | { readonly kind: 'up'; readonly connection: Connection; readonly sinceMs: number }
  | { readonly kind: 'waiting'; readonly cancel: () => void }
  | { readonly kind: 'closed'; readonly error: HongbaoError | null };

type Waiter = {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: HongbaoError) => void;
};

export type SessionHandler = {
  readonly state: (state: ClientState) => void;
  readonly greeted: (hello: Hello) => void;
  readonly closed: (error: HongbaoError | null) => void;
} & Pick<ConnectionHandler, 'event' | 'level' | 'seen' | 'behind'>;

export type SessionOptions = {
  readonly platform: Platform;
  readonly url: string;
  readonly token: Token;
  readonly handler: SessionHandler;
};

/** Always one connection, or on the way to the next one, until it is closed or not let in. */
export class Session {
  readonly #options: SessionOptions;
  readonly #platform: Platform;
  readonly #waiters = new Set<Waiter>();
  #phase: Phase = { kind: 'idle' };
  #attempt = 0;
  #lastToken: string | null = null;
  #tokensRefused = 0;
  /** The server asked us to come back not before this time (monotonic). */
  #notBeforeMs = 0;
  #stopWaking = (): void => {};

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#platform = options.platform;
  }

  get state(): ClientState {
    const { kind } = this.#phase;
    if (kind === 'up') return 'connected';
    return kind === 'closed' || kind === 'idle' ? 'closed' : 'connecting';
  }

  /** Begins; does nothing when it has begun. */
  start(): void {
    if (this.#phase.kind !== 'idle') return;
    this.#stopWaking = this.#platform.onWake(() => this.#wake());
    void this.#open();
  }

  /** Ends it for good; `error` is the reason that everybody who waits is told. */
  finish(error: HongbaoError | null): void {
    const phase = this.#phase;
    if (phase.kind === 'closed') return;
    // First, so that the end of the connection is nobody's business any more.
    this.#enter({ kind: 'closed', error });
    if (phase.kind === 'waiting') phase.cancel();
    if (phase.kind === 'opening' || phase.kind === 'up') phase.connection.close(null);
    this.#stopWaking();
    for (const waiter of this.#takeWaiters()) waiter.reject(this.closedError());
    this.#options.handler.closed(error);
  }

  isClosed(): boolean {
    return this.#phase.kind === 'closed';
  }

  closedError(): HongbaoError {
    const error = this.#phase.kind === 'closed' ? this.#phase.error : null;
    return error ?? localError('closed', 'the client was closed');
  }

  /**
   * The connection, as soon as there is one. Rejects with `late` at the deadline (monotonic
   * milliseconds), and when the session ends.
   */
  connected(deadlineMs: number, late: HongbaoError): Promise<Connection> {
    if (this.#phase.kind === 'up') return Promise.resolve(this.#phase.connection);
    if (this.#phase.kind === 'closed') return Promise.reject(this.closedError());
    return new Promise((resolve, reject) => {
      const left = Math.max(0, deadlineMs - this.#platform.monotonicMs());
      const cancel = this.#platform.after(left, () => {
        this.#waiters.delete(waiter);
        reject(late);
      });
      const waiter: Waiter = {
        resolve: (connection) => {
          cancel();
          resolve(connection);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** The server drains: leave when it said, so that not everybody leaves at once. */
  moveOn(afterMs: number): void {
    const phase = this.#phase;
    if (phase.kind !== 'up') return;
    this.#notBeforeMs = this.#platform.monotonicMs() + afterMs;
    this.#platform.after(afterMs, () => phase.connection.close(null));
  }

  async #open(): Promise<void> {
    this.#enter({ kind: 'asking_token' });
    let token: string;
    try {
      const source = this.#options.token;
      token = typeof source === 'string' ? source : await source();
    } catch (error) {
      // The application's token endpoint is away, or says that this person may not come in.
      if (error instanceof HongbaoError && error.final) this.finish(error);
      else if (!this.isClosed()) this.#retry(0);
      return;
    }
    if (this.#phase.kind !== 'asking_token') return;
    if (this.#tokensRefused > 0 && token === this.#lastToken) {
      const message = 'the token was refused, and there is no other';
      this.finish(new HongbaoError({ code: 'token_invalid', message, retryable: false }));
      return;
    }
    this.#lastToken = token;
    const { platform, url, handler } = this.#options;
    const connection: Connection = new Connection({
      platform,
      url,
      token,
      resume: handler.seen(),
      handler: this.#handlerOf(() => connection),
    });
    this.#enter({ kind: 'opening', connection });
  }

  /** What a connection reports; one that is not the current one is not listened to. */
  #handlerOf(self: () => Connection): ConnectionHandler {
    const { handler } = this.#options;
    const isCurrent = (): boolean => {
      const phase = this.#phase;
      return (phase.kind === 'opening' || phase.kind === 'up') && phase.connection === self();
    };
    return {
      greeted: (hello) => {
        if (isCurrent()) this.#greeted(self(), hello);
      },
      event: (name, d) => {
        if (isCurrent()) handler.event(name, d);
      },
      level: handler.level,
      seen: handler.seen,
      behind: handler.behind,
      ended: (error) => {
        if (isCurrent()) this.#lost(error);
      },
    };
  }

  #greeted(connection: Connection, hello: Hello): void {
    this.#enter({ kind: 'up', connection, sinceMs: this.#platform.monotonicMs() });
    this.#tokensRefused = 0;
    this.#options.handler.greeted(hello);
    // After the application knows where it stands, in the order in which they came.
    for (const waiter of this.#takeWaiters()) waiter.resolve(connection);
  }

  #lost(error: HongbaoError | null): void {
    const phase = this.#phase;
    if (error !== null && isAuthError(error)) {
      this.#tokensRefused += 1;
      const isHopeless = typeof this.#options.token === 'string';
      if (isHopeless || this.#tokensRefused >= TOKENS_MAX) this.finish(error);
      else void this.#open();
      return;
    }
    // Sockets of this person that died unseen free themselves in time: not the end for us.
    const isCrowded = error?.code === 'too_many_sockets';
    if (error !== null && error.final && !isCrowded) {
      this.finish(error);
      return;
    }
    const isStable =
      phase.kind === 'up' && this.#platform.monotonicMs() - phase.sinceMs >= STABLE_MS;
    if (isStable) this.#attempt = 0;
    this.#retry(isCrowded ? CROWDED_MS : (error?.retryAfterMs ?? 0));
  }

  #retry(atLeastMs: number): void {
    const jitter = fullJitterMs({ attempt: this.#attempt, random: this.#platform.random() });
    const asked = this.#notBeforeMs - this.#platform.monotonicMs();
    this.#attempt += 1;
    const delay = Math.max(jitter, atLeastMs, asked);
    const cancel = this.#platform.after(delay, () => void this.#open());
    this.#enter({ kind: 'waiting', cancel });
  }

  #wake(): void {
    const phase = this.#phase;
    if (phase.kind === 'up') phase.connection.probe();
    if (phase.kind !== 'waiting') return;
    phase.cancel();
    void this.#open();
  }

  #enter(phase: Phase): void {
    const before = this.state;
    this.#phase = phase;
    if (this.state !== before) this.#options.handler.state(this.state);
  }

  #takeWaiters(): Waiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    return waiters;
  }
}
