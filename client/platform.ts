/**
 * All that the SDK takes from the world: sockets, time, chance, one HTTP call. The only file that
 * does; a test hands in its own.
 */

export type SocketHandler = {
  readonly opened: () => void;
  readonly received: (text: string) => void;
  /** Called once, also when the connection never came up (code 1006). */
  readonly closed: (code: number, reason: string) => void;
};

export type Socket = {
  send(text: string): void;
  close(code: number, reason: string): void;
};

export interface Platform {
  /** Epoch milliseconds; may jump. */
  now(): number;
  /** Milliseconds since some start; never falls. */
  monotonicMs(): number;
  /** Runs once after at least `delayMs`; the returned function cancels. */
  after(delayMs: number, run: () => void): () => void;
  /** In [0, 1). For jitter, never for money. */
  random(): number;
  /** Unpredictable bytes. */
  randomBytes(size: number): Uint8Array;
  connect(url: string, handler: SocketHandler): Socket;
  /** POSTs JSON and reads JSON. Rejects when the server cannot be reached; says the HTTP status. */
  postJson(
    url: string,
    body: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Calls `run` when a network or a sleeping page comes back; the returned function stops it. */
  onWake(run: () => void): () => void;
}

/** The part of a browser's globals that Node does not have. */
type BrowserGlobals = {
  addEventListener?: (name: string, run: () => void) => void;
  removeEventListener?: (name: string, run: () => void) => void;
  document?: {
    visibilityState: string;
    addEventListener(name: string, run: () => void): void;
    removeEventListener(name: string, run: () => void): void;
  };
};

function onWake(run: () => void): () => void {
  const page = globalThis as unknown as BrowserGlobals;
  const shown = (): void => {
    if (page.document?.visibilityState === 'visible') run();
  };
  page.addEventListener?.('online', run);
  page.document?.addEventListener('visibilitychange', shown);
  return () => {
    page.removeEventListener?.('online', run);
    page.document?.removeEventListener('visibilitychange', shown);
  };
}

/** What the standard says of a connection that never was. */
const CLOSE_ABNORMAL = 1006;

function connect(url: string, handler: SocketHandler): Socket {
  const socket = new WebSocket(url);
  let wasOpened = false;
  let wasClosed = false;
  const closed = (code: number, reason: string): void => {
    if (wasClosed) return;
    wasClosed = true;
    handler.closed(code, reason);
  };
  socket.addEventListener('open', () => {
    wasOpened = true;
    handler.opened();
  });
  socket.addEventListener('message', (event) => {
    if (typeof event.data === 'string') handler.received(event.data);
  });
  socket.addEventListener('close', (event) => closed(event.code, event.reason));
  // Browsers say `close` after it; Node 22 (undici 6) says nothing more when a connection failed.
  socket.addEventListener('error', () => {
    if (!wasOpened) closed(CLOSE_ABNORMAL, '');
  });
  return {
    send: (text) => socket.send(text),
    close: (code, reason) => socket.close(code, reason),
  };
}

async function postJson(url: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    // A proxy's error page: the status says enough.
  }
  return { status: response.status, body: parsed };
}

/** Browser or Node 22. `crypto.getRandomValues` exists on plain-http pages too, `randomUUID` not. */
export const systemPlatform: Platform = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  randomBytes: (size) => crypto.getRandomValues(new Uint8Array(size)),
  connect,
  postJson,
  onWake,
};
