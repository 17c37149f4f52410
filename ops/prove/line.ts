/** A refusal in the words of the wire, or what was asked for. */
export type Answer =
  | { readonly ok: true; readonly d: Readonly<Record<string, unknown>> }
  | {
      readonly ok: false;
      readonly code: string;
      readonly retryable: boolean;
      readonly retryAfterMs: number;
    };

type Frame = {
  readonly id?: number | null;
  readonly ok?: boolean;
  readonly d?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: string; readonly retryable: boolean; retryAfterMs: number };
};

/** An answer that does not come is a finding, not a reason to wait for ever. */
const ANSWER_WITHIN_MS = 30_000;

/**
 * One WebSocket without any help: no reconnect and no repetition, so that a proof sees what a
 * client really was told. Apps use the SDK.
 */
export class Line {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer | null) => void>();
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#received(String(data)));
    socket.addEventListener('close', () => this.#lost());
  }

  /** Connects and says hello with a development token. Rejects when the server does not greet. */
  static async open(args: { url: string; socketUrl: string; userId: string }): Promise<Line> {
    const token = await devToken(args);
    const socket = new WebSocket(args.socketUrl);
    const line = new Line(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve(), { once: true });
      socket.addEventListener('error', () => reject(new Error('no WebSocket')), { once: true });
    });
    const hello = await line.ask('hello', { token });
    if (hello?.ok !== true) {
      line.close();
      throw new Error(`hello of ${args.userId}: ${hello?.code ?? 'lost'}`);
    }
    return line;
  }

  /** null: the line was lost before the answer, so that it is unknown what became of the request. */
  ask(op: string, d: unknown): Promise<Answer | null> {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.resolve(null);
    const id = this.#nextId++;
    this.#socket.send(JSON.stringify({ id, op, d }));
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#settle(id, null), ANSWER_WITHIN_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
    });
  }

  close(): void {
    this.#socket.close();
  }

  #received(text: string): void {
    // Events are the most of it; nothing here needs them.
    if (text.startsWith('{"ev"')) return;
    const { id, ok, d, error } = JSON.parse(text) as Frame;
    if (typeof id !== 'number') return;
    if (ok === true) this.#settle(id, { ok, d: d ?? {} });
    else if (error !== undefined) this.#settle(id, { ok: false, ...error });
  }

  #settle(id: number, answer: Answer | null): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(answer);
  }

  #lost(): void {
    for (const id of this.#waiting.keys()) this.#settle(id, null);
  }
}

/** A development token, which embedded mode gives to anybody. */
export async function devToken(args: { url: string; userId: string }): Promise<string> {
  const response = await fetch(`${args.url}/v1/dev/token`, {
    method: 'POST',
    body: JSON.stringify({ userId: args.userId }),
    signal: AbortSignal.timeout(10_000),
  });
  const body = (await response.json()) as { token?: string };
  if (body.token === undefined) throw new Error(`no token for ${args.userId}`);
  return body.token;
}
