import { unreachable } from '../lib/core/assert.ts';
import type { Door, Handler, Reply } from './door.ts';
import type { Failure } from './errors.ts';
import { fail, failureFrame } from './errors.ts';
import type { BadRequest, Request } from './frames.ts';
import { parseFrame } from './frames.ts';
import type { AccessMetrics } from './metrics.ts';
import {
  groupCreate,
  groupGet,
  groupInvite,
  groupJoin,
  groupLeave,
  groupList,
} from './ops-group.ts';
import { messageHistory, messageRead, messageSend } from './ops-message.ts';
import { walletTopup, walletWithdraw } from './ops-payment.ts';
import { packetClaims, packetGet } from './ops-packet-view.ts';
import { packetGrab, packetOpen, packetSend } from './ops-packet.ts';
import { closesSocket, hello, ping } from './ops-session.ts';
import { walletBalanceAt, walletStatement, walletStatistics } from './ops-statement.ts';
import { walletGet, walletHistory } from './ops-wallet.ts';
import type { Person } from './people.ts';
import type { Input, OpName } from './schema.ts';
import type { Session } from './sessions.ts';

type PersonOp = Exclude<OpName, 'hello'>;

/** Every op that a person may ask once the session is live. */
const HANDLERS: { readonly [Op in PersonOp]: Handler<Op> } = {
  ping,
  'wallet.get': walletGet,
  'wallet.history': walletHistory,
  'wallet.statement': walletStatement,
  'wallet.balanceAt': walletBalanceAt,
  'wallet.statistics': walletStatistics,
  'wallet.topup': walletTopup,
  'wallet.withdraw': walletWithdraw,
  'group.create': groupCreate,
  'group.get': groupGet,
  'group.list': groupList,
  'group.invite': groupInvite,
  'group.join': groupJoin,
  'group.leave': groupLeave,
  'message.send': messageSend,
  'message.history': messageHistory,
  'message.read': messageRead,
  'packet.send': packetSend,
  'packet.grab': packetGrab,
  'packet.open': packetOpen,
  'packet.get': packetGet,
  'packet.claims': packetClaims,
};

/** Label of requests whose op could not be read: never a client's own text. */
const NO_OP = 'none';

type AnyReply = Reply<OpName>;
type Asked = { readonly id: number | null; readonly op: string; readonly startMs: number };

/** From a frame to its answer. Nothing that a client sends makes this throw. */
export class Dispatch {
  readonly #door: Door;
  readonly #metrics: AccessMetrics;
  readonly #idle: (() => void)[] = [];
  #inFlight = 0;

  constructor(door: Door, metrics: AccessMetrics) {
    this.#door = door;
    this.#metrics = metrics;
  }

  /** Resolves when no request is being answered. */
  whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** A text frame. */
  receive(session: Session, text: string): void {
    const startMs = this.#door.clock.monotonicMs();
    if (session.state.phase === 'closing') return;
    const request = this.#parse(text);
    const asked = { id: request.id, op: request.op ?? NO_OP, startMs };
    const waitMs = session.admit(startMs);
    if (waitMs > 0) {
      return this.#answer(session, asked, fail('rate_limited', { retryAfterMs: waitMs }));
    }
    if (!request.ok) return this.#answer(session, asked, request);
    const work = this.#start(session, request);
    if (!(work instanceof Promise)) return this.#answer(session, asked, work);
    this.#inFlight += 1;
    void work
      .catch((error: unknown) => this.#crashed(asked.op, error))
      .then((reply) => {
        this.#answer(session, asked, reply);
        this.#inFlight -= 1;
        if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
      });
  }

  /** The library calls us from C++: what is thrown there ends the process. */
  #parse(text: string): Request | BadRequest {
    try {
      return parseFrame(text);
    } catch (error) {
      return { ...this.#crashed(NO_OP, error), id: null, op: null };
    }
  }

  /** A frame that is refused without being read. */
  refuse(session: Session, failure: Failure): void {
    const startMs = this.#door.clock.monotonicMs();
    if (session.state.phase === 'closing') return;
    const asked = { id: null, op: NO_OP, startMs };
    this.#answer(session, asked, failure);
    if (failure.code === 'frame_too_large') session.close('frameTooLarge');
  }

  #start(session: Session, request: Request): Promise<AnyReply> | AnyReply {
    const { state } = session;
    switch (state.phase) {
      case 'connecting':
        if (request.op !== 'hello') return fail('hello_required');
        return hello(this.#door, session, request.d);
      case 'greeting':
        return fail(request.op === 'hello' ? 'already_greeted' : 'hello_required');
      case 'live':
        if (state.tokenExpiresAt <= this.#door.clock.now()) return fail('token_expired');
        if (request.op === 'hello') return fail('already_greeted');
        return this.#run(state.person, { op: request.op, d: request.d });
      case 'closing':
        return fail('internal');
      default:
        return unreachable(state);
    }
  }

  #run<Op extends PersonOp>(
    person: Person,
    request: { readonly op: Op; readonly d: Input<Op> },
  ): Promise<AnyReply> {
    return HANDLERS[request.op](this.#door, person, request.d);
  }

  /** A bug of ours: said once in the log, with the op and without the client's data. */
  #crashed(op: string, error: unknown): Failure {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#door.log.error('access.handler_failed', { op, error: text });
    return fail('internal');
  }

  #answer(session: Session, asked: Asked, reply: AnyReply): void {
    const { id, op, startMs } = asked;
    if (reply.ok) {
      session.send(`{"id":${id},"ok":true,"d":${JSON.stringify(reply.d)},"level":"full"}`);
    } else {
      session.send(failureFrame(id, reply));
    }
    const seconds = (this.#door.clock.monotonicMs() - startMs) / 1_000;
    this.#metrics.request({ op, code: reply.ok ? 'ok' : reply.code, seconds });
    const reason = reply.ok ? null : closesSocket(reply);
    if (reason !== null) session.close(reason);
  }
}
