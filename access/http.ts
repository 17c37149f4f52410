import type { Clock } from '../lib/port/clock.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import { parseUserId } from '../lib/core/user.ts';
import type { Router } from '../router/api.ts';
import type { HostedCheckout } from '../lib/port/payment-gateway.ts';
import { CALLBACK_BYTES_MAX, CALLBACK_HEADERS } from '../lib/port/payment-gateway.ts';
import { CHECKOUT_PATH, checkoutPage } from './checkout-page.ts';
import type { Pages } from './pages.ts';
import type { Callbacks } from './payments.ts';
import { CALLBACK_PATH } from './payments.ts';
import type { Tokens } from './tokens.ts';

/** A request as server.ts copied it: nothing of it belongs to the library any more. */
export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  readonly ifNoneMatch: string;
  /** Where it came from, as the socket says. */
  readonly address: string;
  /** Those of {@link HEADERS_READ}, by their names; one that is missing is empty. */
  readonly headers: Readonly<Record<string, string>>;
  /** Only read for POST; at most {@link bodyBytesMax}. */
  readonly body: Buffer;
};

export type HttpResponse = {
  readonly status: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

export type HttpOptions = {
  readonly router: Router;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly tokens: Tokens;
  /** Development tokens for anyone who asks; null: the route does not exist. */
  readonly devTokens: { readonly lifetimeMs: number } | null;
  /** null: without a payment gateway the route does not exist. */
  readonly callbacks: Callbacks | null;
  /** Checkout pages of the sandbox gateway; null: there are none. */
  readonly hostedCheckout: HostedCheckout | null;
  readonly pages: Pages;
  readonly version: string;
  readonly isDraining: () => boolean;
};

export const HEADERS_READ: readonly string[] = Object.values(CALLBACK_HEADERS);

const BODY_BYTES_MAX = 1_024;

/** What may be sent to this path. */
export function bodyBytesMax(path: string): number {
  return path === CALLBACK_PATH ? CALLBACK_BYTES_MAX : BODY_BYTES_MAX;
}

const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** The page runs its own files only; sockets go back to where it came from. */
const CSP = [
  "default-src 'self'",
  "connect-src 'self' ws: wss:",
  "style-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Answers everything on the port that is not the WebSocket. */
export async function answerHttp(
  options: HttpOptions,
  request: HttpRequest,
): Promise<HttpResponse> {
  const { method, path } = request;
  if (path === '/v1/dev/token' && options.devTokens !== null) {
    return method === 'POST' ? devToken(options, request.body.toString()) : notAllowed('POST');
  }
  if (path === CALLBACK_PATH && options.callbacks !== null) {
    return method === 'POST' ? callback(options.callbacks, request) : notAllowed('POST');
  }
  if (path.startsWith(CHECKOUT_PATH) && options.hostedCheckout !== null) {
    return hostedPage(options.hostedCheckout, { request, now: options.clock.now() });
  }
  const answer = await routes(options, request);
  if (answer === null) {
    const text = path === '/' ? 'the chat page is not built' : 'there is nothing here';
    return problem('404 Not Found', { code: 'not_found', message: text });
  }
  return method === 'GET' || method === 'HEAD' ? answer : notAllowed('GET, HEAD');
}

async function routes(options: HttpOptions, request: HttpRequest): Promise<HttpResponse | null> {
  const { router, metrics, version, pages } = options;
  switch (request.path) {
    case '/healthz':
      return json('200 OK', { ok: true });
    case '/readyz':
      return readiness(options);
    case '/version':
      return json('200 OK', { version, topologyVersion: router.topologyVersion });
    case '/metrics':
      return {
        status: '200 OK',
        headers: { ...SAFE_HEADERS, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: await metrics.expose(),
      };
    default:
      return pageResponse(pages, request);
  }
}

/** Ready means: every Set of the topology is up and we are not on our way out. */
function readiness({ router, isDraining }: HttpOptions): HttpResponse {
  const missingSets = router.sets().filter((set) => !router.isUp(set));
  const draining = isDraining();
  const ready = missingSets.length === 0 && !draining;
  return json(ready ? '200 OK' : '503 Service Unavailable', { ready, draining, missingSets });
}

function pageResponse(pages: Pages, { path, ifNoneMatch }: HttpRequest): HttpResponse | null {
  const page = pages.get(path);
  if (page === undefined) return null;
  const headers = {
    ...SAFE_HEADERS,
    'content-security-policy': CSP,
    'cache-control': page.forever ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: page.etag,
  };
  if (ifNoneMatch === page.etag) return { status: '304 Not Modified', headers, body: '' };
  return { status: '200 OK', headers: { ...headers, 'content-type': page.type }, body: page.bytes };
}

async function callback(
  callbacks: Callbacks,
  { address, headers, body }: HttpRequest,
): Promise<HttpResponse> {
  const { timestamp, nonce, signature } = CALLBACK_HEADERS;
  const received = {
    timestamp: headers[timestamp] ?? '',
    nonce: headers[nonce] ?? '',
    signature: headers[signature] ?? '',
    body,
  };
  const { status, code, retryAfterMs } = await callbacks.receive(received, address);
  const answer = json(
    CALLBACK_STATUSES[status],
    status === 200 ? { ok: true } : { error: { code } },
  );
  if (retryAfterMs === 0) return answer;
  const retryAfter = String(Math.ceil(retryAfterMs / 1_000));
  return { ...answer, headers: { ...answer.headers, 'retry-after': retryAfter } };
}

const CALLBACK_STATUSES = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  409: '409 Conflict',
  429: '429 Too Many Requests',
  503: '503 Service Unavailable',
} as const;

function hostedPage(
  hosted: HostedCheckout,
  { request, now }: { request: HttpRequest; now: number },
): HttpResponse {
  const { method, path } = request;
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    return notAllowed('GET, HEAD, POST');
  }
  const body = method === 'POST' ? request.body.toString() : null;
  const page = checkoutPage({ hosted, page: path.slice(CHECKOUT_PATH.length), body, now });
  if (page === null) {
    return problem('404 Not Found', { code: 'not_found', message: 'there is no such payment' });
  }
  const headers = {
    ...SAFE_HEADERS,
    'content-security-policy': CSP,
    'cache-control': 'no-store',
    'content-type': 'text/html; charset=utf-8',
  };
  return { status: '200 OK', headers, body: page };
}

/** `{"userId": "alice"}` → a token for her. Only where the operator asked for it by name. */
function devToken(options: HttpOptions, body: string): HttpResponse {
  const userId = userIdOf(body);
  const user = userId === null ? null : parseUserId(userId);
  if (user === null || options.devTokens === null) {
    const message = 'send {"userId": "…"}: 1 to 64 bytes without control characters';
    return problem('400 Bad Request', { code: 'bad_argument', message });
  }
  const { lifetimeMs } = options.devTokens;
  return json('200 OK', options.tokens.sign({ user, now: options.clock.now(), lifetimeMs }));
}

function userIdOf(body: string): string | null {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('userId' in parsed)) return null;
    return typeof parsed.userId === 'string' && Object.keys(parsed).length === 1
      ? parsed.userId
      : null;
  } catch {
    return null;
  }
}

export function problem(status: string, error: { code: string; message: string }): HttpResponse {
  return json(status, { error });
}

function notAllowed(allow: string): HttpResponse {
  const message = `this address takes ${allow}`;
  const answer = problem('405 Method Not Allowed', { code: 'method_not_allowed', message });
  return { ...answer, headers: { ...answer.headers, allow } };
}

function json(status: string, value: unknown): HttpResponse {
  const headers = {
    ...SAFE_HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  };
  return { status, headers, body: `${JSON.stringify(value)}\n` };
}
