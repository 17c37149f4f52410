import { makeCommandId } from '../lib/core/ids.ts';
import { fullJitterMs, sleep } from './backoff.ts';
import type { Connection } from './connection.ts';
import { Emitter } from './emitter.ts';
import { HongbaoError, localError } from './errors.ts';
import { Marks } from './marks.ts';
import { groupOps, messageOps, packetOps, walletOps } from './ops.ts';
import type { RequestOptions } from './ops.ts';
import { systemPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import type { AppOp, Hello, Input, Message, Output, ServerEvents } from './protocol.ts';
import { Session } from './session.ts';
import type { ClientState, Token } from './session.ts';
import { Sync } from './sync.ts';
import { Wallet } from './wallet.ts';
import type { Balance } from './wallet.ts';

export type ClientOptions = {
  /** `ws://host:port/v1/ws`, or wss. */
  readonly url: string;
  /** A function is asked for every connection, and again when a token was refused or ran out. */
  readonly token: Token;
  readonly platform?: Platform;
};

/** The server's events, messages in order and without holes, and what the SDK adds. */
export type ClientEvents = ServerEvents & {
  state: ClientState;
  /** A session began, the first or after a reconnect. */
  hello: Hello;
  balance: Balance;
  /** Messages that will not be delivered one by one: read that range of the history. */
  gap: { groupId: string; fromSeq: number; toSeq: number };
  /** The end; `error` is null after close(). */
  closed: { error: HongbaoError | null };
};

const DEADLINE_MS = 30_000;
/** A frame without an answer for this long is sent again under the same client id. */
const ATTEMPT_MS = 8_000;
const RETRY_MS_MAX = 5_000;
/** Requests in progress; a caller with more has lost control. */
const REQUESTS_MAX = 1_000;

/**
 * A person's session. It reconnects by itself, resumes where it was, and repeats requests under
 * the same ids until they are answered or their deadline has passed.
 */
export class HongbaoClient {
  readonly platform: Platform;
  /** The newest session mark of every Set that answered (rulings 16). */
  readonly marks = new Marks();
  readonly packet = packetOps(this);
  readonly message = messageOps(this);
  readonly group = groupOps(this);
  readonly wallet = walletOps(this);
  readonly #emitter: Emitter<ClientEvents>;
  readonly #session: Session;
  readonly #sync: Sync;
  readonly #wallet: Wallet;
  #hello: Hello | null = null;
  #requests = 0;
  #level = 'full';

  /** Throws TypeError when `url` is none. */
  constructor(options: ClientOptions) {
    const { url, token, platform = systemPlatform } = options;
    this.platform = platform;
    const emitter = new Emitter<ClientEvents>(platform);
    this.#emitter = emitter;
    this.#sync = new Sync({
      platform,
      history: (d) => this.request('message.history', d),
      deliver: (message) => emitter.emit('message', message),
      gap: (gap) => emitter.emit('gap', gap),
    });
    this.#wallet = new Wallet({
      platform,
      get: () => this.request('wallet.get', {}),
      changed: (balance) => emitter.emit('balance', balance),
    });
    this.#session = new Session({
      platform,
      url: new URL(url).href,
      token,
      handler: {
        state: (state) => emitter.emit('state', state),
        greeted: (hello) => this.#greeted(hello),
        closed: (error) => this.#closed(error),
        event: (name, d) => this.#event(name, d),
        level: (level) => this.#setLevel(level),
        seen: () => this.#sync.marks(),
        behind: (groups) => this.#behind(groups),
      },
    });
  }

  get state(): ClientState {
    return this.#session.state;
  }

  /** null before the first answer of the wallet. */
  get balance(): Balance | null {
    return this.#wallet.balance;
  }

  /** The degradation level in the last answer (design 5). */
  get level(): string {
    return this.#level;
  }

  /** Listens until the returned function is called. */
  on<Name extends keyof ClientEvents>(
    name: Name,
    run: (data: ClientEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, run);
  }

  /**
   * Connects and keeps connected until close(). Resolves at the first hello; a server that cannot
   * be reached is tried for ever. Rejects when the token is refused and after close().
   */
  connect(): Promise<Hello> {
    if (this.#hello !== null && this.state === 'connected') return Promise.resolve(this.#hello);
    if (this.#session.isClosed()) return Promise.reject(this.#session.closedError());
    return new Promise((resolve, reject) => {
      const stopHello = this.on('hello', (hello) => {
        stopHello();
        stopClosed();
        resolve(hello);
      });
      const stopClosed = this.on('closed', () => {
        stopHello();
        stopClosed();
        reject(this.#session.closedError());
      });
      this.#session.start();
    });
  }

  /** Ends it for good. Requests in progress reject with `closed`; their outcome may be unknown. */
  close(): void {
    this.#session.finish(null);
  }

  /** A UUIDv7: the key under which a request may be repeated without being done twice. */
  newId(): string {
    return makeCommandId(this.platform.now(), this.platform.randomBytes(10));
  }

  /**
   * Sends a request until it is answered: again after a lost connection or a retryable refusal,
   * with the same content and so the same client id. Rejects with HongbaoError.
   */
  async request<Op extends AppOp>(
    op: Op,
    d: Input<Op>,
    options: RequestOptions = {},
  ): Promise<Output<Op>> {
    if (this.#requests >= REQUESTS_MAX) {
      const message = `${REQUESTS_MAX} requests are in progress`;
      throw new HongbaoError({ code: 'overloaded', message, retryable: true, retryAfterMs: 1_000 });
    }
    this.#requests += 1;
    try {
      const deadline = this.platform.monotonicMs() + (options.deadlineMs ?? DEADLINE_MS);
      const answer = (await this.#untilAnswered({ op, d, deadline })) as Output<Op>;
      this.#note(op, d, answer);
      return answer;
    } finally {
      this.#requests -= 1;
    }
  }

  async #untilAnswered(args: {
    readonly op: AppOp;
    readonly d: unknown;
    readonly deadline: number;
  }): Promise<unknown> {
    const { deadline } = args;
    const { platform } = this;
    let late = localError('offline', 'not connected; nothing was sent');
    for (let attempt = 0; ; attempt++) {
      const connection = await this.#session.connected(deadline, late);
      late = localError('timeout', 'no answer in time; it may or may not have been done');
      try {
        return await this.#once(connection, args);
      } catch (error) {
        if (!(error instanceof HongbaoError) || error.final) throw error;
        if (this.#session.isClosed()) throw this.#session.closedError();
        const jitter = fullJitterMs({ attempt, random: platform.random(), maxMs: RETRY_MS_MAX });
        // A lost connection has a wait of its own; ours would only add to it.
        const delay = error.code === 'connection_lost' ? 0 : Math.max(error.retryAfterMs, jitter);
        if (platform.monotonicMs() + delay >= deadline) throw error;
        if (delay > 0) await sleep(platform, delay);
      }
    }
  }

  #once(
    connection: Connection,
    args: { readonly op: AppOp; readonly d: unknown; readonly deadline: number },
  ): Promise<unknown> {
    const left = Math.max(0, args.deadline - this.platform.monotonicMs());
    return connection.request({ op: args.op, d: args.d, timeoutMs: Math.min(ATTEMPT_MS, left) });
  }

  /** What an answer tells the rest of the SDK. */
  #note<Op extends AppOp>(op: Op, d: Input<Op>, answer: Output<Op>): void {
    if ('mark' in answer) this.marks.note(answer.mark);
    if (op === 'packet.open') {
      const { settle, amountCents } = answer as Output<'packet.open'>;
      const { packetId } = d as Input<'packet.open'>;
      if (settle === 'arriving') this.#wallet.opened(packetId, amountCents);
    } else if (op === 'group.join') {
      const { group } = answer as Output<'group.join'>;
      this.#sync.follow(group.groupId, group.lastSeq);
    } else if (op === 'group.create') {
      // Ours from its first message on, also when that was pushed before this answer.
      this.#sync.follow((answer as Output<'group.create'>).groupId, 0);
    } else if (op === 'group.leave') {
      this.#sync.forget((d as Input<'group.leave'>).groupId);
    }
  }

  #greeted(hello: Hello): void {
    this.#hello = hello;
    this.#emitter.emit('hello', hello);
    this.#sync.greeted(hello);
    this.#wallet.refresh();
  }

  #closed(error: HongbaoError | null): void {
    this.#sync.stop();
    this.#wallet.stop();
    this.#emitter.emit('closed', { error });
  }

  #event(name: string, d: unknown): void {
    switch (name) {
      case 'message':
        this.#sync.accept(d as Message);
        return;
      case 'wallet':
        this.#wallet.event(d as ServerEvents['wallet']);
        this.#emitter.emit(name, d as ServerEvents['wallet']);
        return;
      case 'packet':
        this.#emitter.emit(name, d as ServerEvents['packet']);
        return;
      case 'group':
        this.#emitter.emit(name, d as ServerEvents['group']);
        return;
      case 'level':
        this.#setLevel((d as ServerEvents['level']).level);
        return;
      case 'reconnect':
        this.#emitter.emit(name, d as ServerEvents['reconnect']);
        this.#session.moveOn((d as ServerEvents['reconnect']).afterMs);
        return;
      default:
      // A newer server's event: not for us.
    }
  }

  #behind(groups: Readonly<Record<string, number>>): void {
    for (const [groupId, lastSeq] of Object.entries(groups)) this.#sync.behind(groupId, lastSeq);
  }

  #setLevel(level: string): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#emitter.emit('level', { level });
  }
}
