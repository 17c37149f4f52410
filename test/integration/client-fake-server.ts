/**
 * A small stand-in for the access tier with scripted faults: it cuts, swallows, repeats, reorders
 * and loses on purpose, and checks every frame against the schema.
 */
import uws from 'uWebSockets.js';
import type { us_listen_socket, WebSocket } from 'uWebSockets.js';
import { INPUTS, OUTPUTS } from '../../access/schema.ts';
import type { EventData, EventName, OpName } from '../../access/schema.ts';
import type { Message } from '../../client/protocol.ts';
import { isRecord } from '../../client/wire.ts';

export type Request = { readonly op: OpName; readonly d: Record<string, unknown> };

/** What to do with a request instead of, or besides, answering it. */
export type Fault =
  | { readonly kind: 'cut_before' }
  /** Done, and the line is cut before the answer is sent. */
  | { readonly kind: 'cut_after' }
  /** Done, and the answer is swallowed. */
  | { readonly kind: 'silence' }
  | {
      readonly kind: 'refuse';
      readonly code: string;
      readonly retryable: boolean;
      readonly retryAfterMs: number;
    };

type Socket = WebSocket<{ greeted: boolean }>;

const ME = 'alice';
const GROUP = '100';

/** One person, one group, a log of messages; the rest is up to `answer`. */
export class FakeServer {
  readonly groupId = GROUP;
  /** Everything that was received, in order, over all connections. */
  readonly received: Request[] = [];
  readonly log: Message[] = [];
  /** Consulted once per request, before it is done. */
  fault: (request: Request) => Fault | null = () => null;
  /** Which tokens are good, and how others are refused. */
  tokenError: (token: string) => string | null = () => null;
  heartbeatMs = 60_000;
  arriving = 0;
  balance = 1_000;
  connections = 0;
  /** Refuses new connections. (A port that was closed cannot be bound again at once.) */
  away = false;
  grabs: ('go' | 'wait' | 'drained' | 'expired')[] = [];
  #port = 0;
  #listening: us_listen_socket | null = null;
  readonly #app: ReturnType<typeof uws.App>;
  readonly #sockets = new Set<Socket>();
  readonly #byClientId = new Map<string, Message>();
  readonly #opened = new Map<string, object>();

  constructor() {
    this.#app = uws.App().ws<{ greeted: boolean }>('/v1/ws', {
      upgrade: (response, request, context) => {
        if (this.away) {
          response.writeStatus('503').end('', true);
          return;
        }
        response.upgrade(
          { greeted: false },
          request.getHeader('sec-websocket-key'),
          request.getHeader('sec-websocket-protocol'),
          request.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (socket) => {
        this.connections += 1;
        this.#sockets.add(socket);
      },
      message: (socket, bytes) => this.#take(socket, Buffer.from(bytes).toString('utf8')),
      close: (socket) => {
        this.#sockets.delete(socket);
      },
    });
  }

  async start(): Promise<void> {
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#app.listen('127.0.0.1', 0, (listening) => {
        if (listening === false) {
          reject(new Error('cannot listen'));
          return;
        }
        this.#listening = listening;
        resolve(uws.us_socket_local_port(listening));
      });
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/v1/ws`;
  }

  stop(): void {
    this.cutAll();
    if (this.#listening !== null) uws.us_listen_socket_close(this.#listening);
    this.#listening = null;
  }

  cutAll(): void {
    for (const socket of [...this.#sockets]) socket.close();
  }

  endAll(code: number): void {
    for (const socket of [...this.#sockets]) socket.end(code, '');
  }

  /** Appends without telling anybody: a lost push. */
  append(body: string, sender = 'bob'): Message {
    const message: Message = {
      groupId: GROUP,
      seq: this.log.length + 1,
      sender,
      kind: 'text',
      body,
      at: 1_700_000_000_000 + this.log.length,
      clientMsgId: '',
    };
    this.log.push(message);
    return message;
  }

  push<Name extends EventName>(ev: Name, d: EventData<Name>): void {
    for (const socket of this.#sockets) {
      if (socket.getUserData().greeted) socket.send(JSON.stringify({ ev, d }));
    }
  }

  ops(op: OpName): Request[] {
    return this.received.filter((request) => request.op === op);
  }

  #take(socket: Socket, text: string): void {
    const frame: unknown = JSON.parse(text);
    if (!isRecord(frame) || typeof frame['id'] !== 'number') throw new Error(`bad frame ${text}`);
    const op = frame['op'] as OpName;
    // Strict: a field too many is as wrong as one too few.
    const d = INPUTS[op].parse(frame['d'] ?? {}) as Record<string, unknown>;
    const request = { op, d };
    this.received.push(request);
    const fault = this.fault(request);
    if (fault?.kind === 'cut_before') {
      socket.close();
      return;
    }
    if (fault?.kind === 'refuse') {
      const { code, retryable, retryAfterMs } = fault;
      this.#refuse(socket, { id: frame['id'], code, retryable, retryAfterMs });
      return;
    }
    const token = op === 'hello' ? this.tokenError(String(d['token'])) : null;
    if (token !== null) {
      this.#refuse(socket, { id: frame['id'], code: token, retryable: false, retryAfterMs: 0 });
      socket.end(4002, '');
      return;
    }
    const answer = OUTPUTS[op].parse(this.#answer(request));
    if (fault?.kind === 'cut_after') {
      socket.close();
      return;
    }
    if (op === 'hello') socket.getUserData().greeted = true;
    if (fault?.kind === 'silence') return;
    socket.send(JSON.stringify({ id: frame['id'], ok: true, d: answer, level: 'full' }));
  }

  #refuse(
    socket: Socket,
    args: { id: number; code: string; retryable: boolean; retryAfterMs: number },
  ): void {
    const { id, code, retryable, retryAfterMs } = args;
    const error = { code, message: code, retryable, retryAfterMs };
    socket.send(JSON.stringify({ id, ok: false, error }));
  }

  #summary(): object {
    return {
      groupId: GROUP,
      name: 'Family',
      role: 'owner',
      lastSeq: this.log.length,
      readSeq: 0,
      firstSeq: 1,
      unread: 0,
      memberCount: 2,
    };
  }

  #answer({ op, d }: Request): unknown {
    const mark = `0:256:${this.received.length}`;
    switch (op) {
      case 'hello': {
        const resume = (d['resume'] ?? {}) as Record<string, number>;
        const from = resume[GROUP];
        const missed = from === undefined ? [] : this.log.filter((m) => m.seq > from);
        return {
          userId: ME,
          sessionId: String(this.connections),
          heartbeatMs: this.heartbeatMs,
          serverAt: 1,
          groups: [this.#summary()],
          recovered: from !== undefined,
          missed: missed.slice(0, 3),
        };
      }
      case 'ping': {
        const seen = ((d['seen'] ?? {}) as Record<string, number>)[GROUP] ?? 0;
        const isBehind = seen < this.log.length;
        return { at: 1, behind: isBehind ? { [GROUP]: this.log.length } : {} };
      }
      case 'wallet.get':
        return {
          balanceCents: this.balance,
          arrivingCents: this.arriving,
          arrivingComplete: true,
          mark,
        };
      case 'message.history': {
        const from = Number(d['fromSeq']);
        const to = Number(d['toSeq'] ?? this.log.length);
        const found = this.log.filter((m) => m.seq >= from && m.seq <= to);
        return {
          messages: found.slice(0, Number(d['limit'])),
          lastSeq: this.log.length,
          asOfLsn: 1,
        };
      }
      case 'message.send': {
        const key = String(d['clientMsgId']);
        const known = this.#byClientId.get(key);
        const message = known ?? { ...this.append(String(d['body']), ME), clientMsgId: key };
        this.log[message.seq - 1] = message;
        this.#byClientId.set(key, message);
        return { seq: message.seq, at: message.at, mark };
      }
      case 'packet.grab':
        return { status: this.grabs.shift() ?? 'go', retryAfterMs: 20 };
      case 'packet.open': {
        const key = String(d['packetId']);
        const again = this.#opened.get(key);
        const fresh = { amountCents: 250 + this.#opened.size, order: 1, left: 2, at: 1, mark };
        if (again === undefined) this.#opened.set(key, fresh);
        const status = again === undefined ? 'opened' : 'already_opened';
        return { ...fresh, ...again, status, settle: 'arriving' };
      }
      default:
        throw new Error(`the fake server does not know ${op}`);
    }
  }
}
