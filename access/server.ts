import { createServer } from 'node:net';
import {
  App,
  us_listen_socket_close as closeListener,
  us_socket_local_port as localPort,
} from 'uWebSockets.js';
import type {
  HttpResponse as UwsResponse,
  HttpRequest as UwsRequest,
  TemplatedApp,
  WebSocket,
  us_listen_socket as Listener,
  us_socket_context_t as UwsContext,
} from 'uWebSockets.js';
import type { Cache } from '../lib/port/cache.ts';
import type { Clock } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { HostedCheckout, PaymentGateway } from '../lib/port/payment-gateway.ts';
import type { Random } from '../lib/port/random.ts';
import type { Router } from '../router/api.ts';
import type { Assembly } from './assembly.ts';
import { assemble } from './assembly.ts';
import { fail } from './errors.ts';
import type { HttpOptions, HttpResponse } from './http.ts';
import { HEADERS_READ, answerHttp, bodyBytesMax, problem } from './http.ts';
import type { AccessLimits } from './limits.ts';
import { limitsWith } from './limits.ts';
import type { AccessMetrics } from './metrics.ts';
import { HEARTBEAT_MS } from './ops-session.ts';
import { readPages } from './pages.ts';
import { Callbacks } from './payments.ts';
import { eventFrame } from './render.ts';
import type { Session, Socket } from './sessions.ts';
import type { Tokens } from './tokens.ts';

/** With these, the composition root needs this file alone. */
export type { AccessLimits } from './limits.ts';
export { CHECKOUT_PATH } from './checkout-page.ts';
export { CALLBACK_PATH } from './payments.ts';
export { Tokens } from './tokens.ts';

export type AccessOptions = {
  /** 0: the system chooses one. */
  readonly port: number;
  readonly host: string;
  readonly router: Router;
  readonly cache: Cache;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tokens: Tokens;
  /** `POST /v1/dev/token` gives anybody a token. Embedded mode, or asked for by name. */
  readonly devTokens?: { readonly lifetimeMs: number } | null;
  /** Money that a new user gets at the first hello, cents. Default 0: none. */
  readonly demoCents?: number;
  /** Where money enters and leaves. Default null: it does neither. */
  readonly gateway?: PaymentGateway | null;
  /** Serves the checkout pages of a sandbox gateway; never with real money. */
  readonly hostedCheckout?: HostedCheckout | null;
  /** The built chat page. A directory that is not there: no page. */
  readonly pageDir: string;
  /** Web origins that may open sockets. Default: only the server's own. */
  readonly origins?: readonly string[];
  readonly version?: string;
  readonly limits?: Partial<AccessLimits>;
};

export type AccessServer = {
  readonly port: number;
  /** Takes no new sockets, lets requests finish, tells clients to come back, closes. */
  drain(): Promise<void>;
  /** Closes at once. */
  stop(): void;
};

export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** `port_in_use`: another process, or another server of this one, listens there. */
  readonly code: 'port_in_use' | 'cannot_listen';

  constructor(code: ListenError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** uWebSockets.js names it at run time; its types promise an enum that is not there. */
const LISTEN_EXCLUSIVE_PORT = 1;

type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  listening: (listener: Listener | false) => void,
) => void;

/** Ours, not the library's: it may be asked after the socket is gone. */
type Line = { readonly session: Session; open: boolean };
type UserData = { line: Line | null };

/** Of uWebSockets.js; rounded by it to 4 s. */
const IDLE_TIMEOUT_S = (3 * HEARTBEAT_MS) / 1_000;
/** Each client is told another time within this, so that they do not come back together. */
const RECONNECT_SPREAD_MS = 2_000;
/** What was said last leaves before the sockets close. */
const LAST_WORDS_MS = 50;

/**
 * Opens the door: WebSockets on `/v1/ws`, pages and operations over HTTP on the same port.
 * @throws ListenError when the port is taken
 */
export async function startAccess(options: AccessOptions): Promise<AccessServer> {
  const { router, clock, log, metrics, tokens } = options;
  const limits = limitsWith(options.limits);
  const gateway = options.gateway ?? null;
  const app = App();
  const assembly = assemble({
    router,
    cache: options.cache,
    clock,
    random: options.random,
    log,
    metrics,
    tokens,
    demoCents: options.demoCents ?? 0,
    gateway,
    limits,
    publish: (topic, frame) => {
      // The router may still bring events when this server has stopped.
      if (!stopped) publish(app, assembly.metrics, { topic, frame });
    },
  });
  let draining = false;
  let stopped = false;
  const http: HttpOptions = {
    router,
    clock,
    metrics,
    tokens,
    devTokens: options.devTokens ?? null,
    callbacks: gateway === null ? null : new Callbacks({ gateway, router, clock, log, metrics }),
    hostedCheckout: options.hostedCheckout ?? null,
    pages: readPages(options.pageDir),
    version: options.version ?? 'unknown',
    isDraining: () => draining,
  };
  routeSockets(app, { assembly, limits, origins: options.origins ?? null });
  app.any('/*', (res, req) => serveHttp({ res, req, http, log }));

  const listener = await listen(app, options);
  if (listener === null) {
    assembly.stop();
    app.close();
    throw await whyNot(options);
  }
  const port = localPort(listener);
  log.info('access.listening', { host: options.host, port });

  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    assembly.stop();
    assembly.closeAll('goingAway');
    app.close();
  };
  const drain = async (): Promise<void> => {
    if (draining || stopped) return;
    draining = true;
    closeListener(listener);
    assembly.tellAll(() => {
      const afterMs = options.random.below(RECONNECT_SPREAD_MS);
      return eventFrame('reconnect', { reason: 'restart', afterMs });
    });
    await Promise.race([assembly.dispatch.whenIdle(), sleep(clock, limits.drainMs)]);
    await sleep(clock, LAST_WORDS_MS);
    assembly.closeAll('restart');
    stop();
  };
  return { port, drain, stop };
}

function listen(app: TemplatedApp, { host, port }: AccessOptions): Promise<Listener | null> {
  return new Promise((resolve) => {
    const listenExclusively = app.listen.bind(app) as unknown as ListenExclusively;
    listenExclusively(host, port, LISTEN_EXCLUSIVE_PORT, (listener) => {
      resolve(listener === false ? null : listener);
    });
  });
}

/** The library only says no: Node's own listener knows the reason. */
function whyNot({ host, port }: AccessOptions): Promise<ListenError> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      const message = inUse
        ? `port ${port} on ${host} is in use: stop the other process or choose another port`
        : `cannot listen on ${host} port ${port}: ${error.message}`;
      resolve(new ListenError(inUse ? 'port_in_use' : 'cannot_listen', message));
    });
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close();
      resolve(new ListenError('port_in_use', `port ${port} on ${host} was in use; try again`));
    });
  });
}

function publish(
  app: TemplatedApp,
  metrics: AccessMetrics,
  { topic, frame }: { topic: string; frame: string },
): void {
  const receivers = app.numSubscribers(topic);
  if (receivers === 0) return;
  metrics.framesOut(receivers);
  app.publish(topic, frame);
}

// ---- WebSockets

type SocketArgs = {
  readonly assembly: Assembly;
  readonly limits: AccessLimits;
  readonly origins: readonly string[] | null;
};

function routeSockets(app: TemplatedApp, { assembly, limits, origins }: SocketArgs): void {
  const { dispatch, metrics } = assembly;
  app.ws<UserData>('/v1/ws', {
    maxPayloadLength: limits.frameBytesReadMax,
    maxBackpressure: limits.backpressureBytesMax,
    closeOnBackpressureLimit: true,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: true,
    upgrade: (res, req, context) => {
      if (!isOurOrigin(req, origins)) {
        const message = 'this web page may not open a socket here';
        write(res, problem('403 Forbidden', { code: 'origin_refused', message }), true);
      } else if (assembly.connections >= limits.connectionsMax) {
        const message = 'too many sockets on this server; try another one or later';
        write(res, problem('503 Service Unavailable', { code: 'overloaded', message }), true);
      } else {
        upgrade(res, req, context);
      }
    },
    open: (ws) => {
      const isOpen = (): boolean => line.open;
      const line: Line = { session: assembly.open(socketOf(ws, { metrics, isOpen })), open: true };
      ws.getUserData().line = line;
    },
    message: (ws, message, isBinary) => {
      const session = ws.getUserData().line?.session;
      if (session === undefined) return;
      if (message.byteLength > limits.frameBytesMax) {
        dispatch.refuse(session, fail('frame_too_large'));
      } else if (isBinary) {
        dispatch.refuse(session, fail('bad_frame', { message: 'frames are text, not binary' }));
      } else {
        // A copy: the library takes its memory back when we return.
        dispatch.receive(session, Buffer.from(message).toString('utf8'));
      }
    },
    dropped: (ws) => {
      metrics.dropped();
      ws.getUserData().line?.session.cut();
    },
    close: (ws) => {
      const { line } = ws.getUserData();
      if (line === null) return;
      line.open = false;
      assembly.close(line.session);
    },
  });
}

/** Only browsers send it, and only they can be led here by a foreign page. */
function isOurOrigin(req: UwsRequest, origins: readonly string[] | null): boolean {
  const origin = req.getHeader('origin');
  if (origin === '') return true;
  if (origins !== null) return origins.includes(origin);
  const host = req.getHeader('host');
  return origin === `http://${host}` || origin === `https://${host}`;
}

function upgrade(res: UwsResponse, req: UwsRequest, context: UwsContext): void {
  const data: UserData = { line: null };
  res.upgrade(
    data,
    req.getHeader('sec-websocket-key'),
    req.getHeader('sec-websocket-protocol'),
    req.getHeader('sec-websocket-extensions'),
    context,
  );
}

/** `send` answers 1 sent, 0 buffered, 2 dropped. */
const DROPPED = 2;

/** Nothing reaches the library once the socket is closed: it would throw. */
function socketOf(
  ws: WebSocket<UserData>,
  { metrics, isOpen }: { metrics: AccessMetrics; isOpen: () => boolean },
): Socket {
  return {
    write(frames) {
      if (!isOpen()) return false;
      let took = true;
      ws.cork(() => {
        for (const frame of frames) {
          took &&= ws.send(frame) !== DROPPED;
        }
      });
      metrics.framesOut(frames.length);
      return took;
    },
    subscribe(topic) {
      if (isOpen()) ws.subscribe(topic);
    },
    unsubscribe(topic) {
      if (isOpen()) ws.unsubscribe(topic);
    },
    end(code, reason) {
      if (isOpen()) ws.end(code, reason);
    },
    cut() {
      if (isOpen()) ws.close();
    },
  };
}

// ---- HTTP

type HttpArgs = {
  readonly res: UwsResponse;
  readonly req: UwsRequest;
  readonly http: HttpOptions;
  readonly log: Log;
};

/** Copies what it needs of the request at once: nothing of it may be read after a turn. */
function serveHttp({ res, req, http, log }: HttpArgs): void {
  const method = req.getCaseSensitiveMethod();
  const request = {
    method,
    path: req.getUrl(),
    ifNoneMatch: req.getHeader('if-none-match'),
    address: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
    headers: Object.fromEntries(HEADERS_READ.map((name) => [name, req.getHeader(name)])),
  };
  let aborted = false;
  res.onAborted(() => {
    aborted = true;
  });
  const respond = (response: HttpResponse): void => {
    if (!aborted) res.cork(() => write(res, response, method !== 'HEAD'));
  };
  const answer = (body: Buffer): void => {
    answerHttp(http, { ...request, body })
      .catch((error: unknown) => {
        log.error('access.http_failed', { path: request.path, error: String(error) });
        return problem('500 Internal Server Error', { code: 'internal', message: 'try again' });
      })
      .then(respond, () => {});
  };
  if (method !== 'POST') return answer(Buffer.alloc(0));
  const bytesMax = bodyBytesMax(request.path);
  readBody(res, bytesMax, (body) => {
    if (body !== null) return answer(body);
    const message = `at most ${bytesMax} bytes may be sent here`;
    respond(problem('413 Payload Too Large', { code: 'body_too_large', message }));
  });
}

/** Calls `done` once: with the body, or with null as soon as it is over the limit. */
function readBody(res: UwsResponse, bytesMax: number, done: (body: Buffer | null) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  res.onData((chunk, isLast) => {
    if (size > bytesMax) return;
    size += chunk.byteLength;
    if (size > bytesMax) return done(null);
    // A copy: the library takes its memory back when we return.
    chunks.push(Buffer.from(new Uint8Array(chunk)));
    if (isLast) done(Buffer.concat(chunks));
  });
}

function write(res: UwsResponse, response: HttpResponse, withBody: boolean): void {
  res.writeStatus(response.status);
  for (const [name, value] of Object.entries(response.headers)) res.writeHeader(name, value);
  if (withBody) res.end(response.body);
  else res.endWithoutBody(Buffer.byteLength(response.body));
}
