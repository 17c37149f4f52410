import type { Random } from '../../../lib/port/random.ts';
import { RawSocket } from '../../load/raw-socket.ts';
import { LOOPBACK } from '../../rig/ports.ts';
import { devToken } from '../line.ts';
import { pause } from '../member.ts';

/** A refusal in the words of the wire, or what was asked for. */
export type Answer =
  | { readonly ok: true; readonly d: Fields }
  | {
      readonly ok: false;
      readonly code: string;
      readonly retryable: boolean;
      readonly retryAfterMs: number;
    };
export type Fields = Readonly<Record<string, unknown>>;

type Frame = {
  readonly id?: number | null;
  readonly ok?: boolean;
  readonly d?: Fields;
  readonly error?: { readonly code: string; readonly retryable: boolean; retryAfterMs: number };
};

/** Above what an access node takes to say `unknown`; a line that is silent for so long is given up. */
const ANSWER_WITHIN_MS = 8_000;
const CONNECT_WITHIN_MS = 2_000;
/** A request that has no final answer after this long never gets one: a finding. */
const FINAL_WITHIN_MS = 120_000;
const RETRY_MS = { first: 50, last: 1_500 };
/** Between two tries to connect: all questions of a phone wait for the same one. */
const CONNECT_MS = { first: 100, last: 3_000 };
/** `{"e…`, an event, against `{"i…`, an answer. */
const OF_EVENT = 0x65;
/** Nobody pings: an answer or an event keeps a line; the server closes one that is silent. */
const PING_EVERY_MS = 15_000;

/**
 * A person's app: it connects to any access node that answers, again and again, and asks the same
 * thing with the same bytes until the answer is final.
 */
export class Phone {
  readonly user: string;
  readonly #doors: readonly { readonly port: number }[];
  readonly #random: Random;
  readonly #onNoLine: (why: string) => void;
  readonly #waiting = new Map<number, (answer: Answer | null) => void>();
  #door: number;
  #token = '';
  #nextId = 1;
  #socket: RawSocket | null = null;
  #connecting: Promise<RawSocket | null> | null = null;
  #ping: NodeJS.Timeout | undefined;
  /** When anything came on the line, monotonic. */
  #heardMs = 0;
  /** Tries to connect since the last one that succeeded. */
  #misses = 0;
  #closed = false;

  constructor(args: {
    readonly user: string;
    readonly doors: readonly { readonly port: number }[];
    readonly random: Random;
    /** A try to connect that came to nothing: the code of the refused hello, or what went wrong. */
    readonly onNoLine: (why: string) => void;
  }) {
    this.#onNoLine = args.onNoLine;
    this.user = args.user;
    this.#doors = args.doors;
    this.#random = args.random;
    this.#door = args.random.below(args.doors.length);
  }

  /** Connected and greeted. Rejects when that takes too long. */
  async connect(): Promise<void> {
    const endMs = performance.now() + FINAL_WITHIN_MS;
    while ((await this.#line()) === null) {
      if (performance.now() > endMs || this.#closed) throw new Error(`${this.user} is not greeted`);
      await pause(RETRY_MS.first);
    }
  }

  /** Asks once. null: the line was lost or silent, and nobody knows. */
  async ask(op: string, d: Fields): Promise<Answer | null> {
    const socket = await this.#line();
    return socket === null ? null : this.#request(socket, { op, d });
  }

  /**
   * Asks until the answer is final; rejects when that takes too long or the phone is closed.
   * @param onDoubt called for each answer that is not final, with its code (`lost` without any)
   */
  async askUntilFinal(
    op: string,
    d: Fields,
    onDoubt: (code: string) => void = () => undefined,
  ): Promise<Answer> {
    const endMs = performance.now() + FINAL_WITHIN_MS;
    for (let attempt = 0; ; attempt++) {
      const answer = await this.ask(op, d);
      if (answer !== null && (answer.ok || !answer.retryable)) return answer;
      const code = answer === null ? 'lost' : answer.ok ? '' : answer.code;
      onDoubt(code);
      if (this.#closed || performance.now() > endMs) {
        throw new Error(`${op} of ${this.user}: no final answer, last ${code}`);
      }
      const backoffMs = Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** attempt);
      const askedMs = answer === null || answer.ok ? 0 : answer.retryAfterMs;
      await pause(this.#jittered(Math.max(backoffMs, askedMs)));
    }
  }

  /** {@link askUntilFinal}; the answer has to be yes. */
  async need(op: string, d: Fields): Promise<Fields> {
    const answer = await this.askUntilFinal(op, d);
    if (!answer.ok) throw new Error(`${op} of ${this.user}: ${answer.code}`);
    return answer.d;
  }

  close(): void {
    this.#closed = true;
    this.#drop(this.#socket);
  }

  /** The line, made anew when there is none; null when the door does not open. */
  async #line(): Promise<RawSocket | null> {
    if (this.#closed) return null;
    if (this.#socket !== null) return this.#socket;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<RawSocket | null> {
    if (this.#misses > 0) {
      const backoffMs = Math.min(CONNECT_MS.last, CONNECT_MS.first * 2 ** this.#misses);
      await pause(this.#jittered(backoffMs));
      if (this.#closed) return null;
    }
    // A success takes it back.
    this.#misses += 1;
    const { port } = this.#doors[this.#door % this.#doors.length] ?? { port: 0 };
    // The next try knocks elsewhere.
    this.#door += 1;
    try {
      if (this.#token === '') {
        const url = `http://${LOOPBACK}:${port}`;
        this.#token = await devToken({ url, userId: this.user });
      }
      const socket = await open(port);
      socket.onText = (bytes, start, end) => this.#received(bytes, { start, end });
      socket.onClose = () => this.#drop(socket);
      const hello = await this.#request(socket, { op: 'hello', d: { token: this.#token } });
      if (hello?.ok !== true || this.#closed) {
        socket.close();
        this.#onNoLine(hello === null ? 'hello lost' : `hello ${hello.ok ? 'late' : hello.code}`);
        return null;
      }
      this.#socket = socket;
      this.#misses = 0;
      this.#door -= 1;
      clearInterval(this.#ping);
      this.#ping = setInterval(
        () => void this.#request(socket, { op: 'ping', d: {} }),
        PING_EVERY_MS,
      );
      return socket;
    } catch (error) {
      const isError = error instanceof Error;
      this.#onNoLine(isError && 'code' in error ? String(error.code) : 'no socket');
      return null;
    }
  }

  #request(socket: RawSocket, { op, d }: { op: string; d: Fields }): Promise<Answer | null> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#late(socket, id), ANSWER_WITHIN_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(answer);
      });
      socket.send(JSON.stringify({ id, op, d }));
    });
  }

  #received(bytes: Buffer, { start, end }: { start: number; end: number }): void {
    this.#heardMs = performance.now();
    if (bytes[start + 2] === OF_EVENT) return;
    const { id, ok, d, error } = JSON.parse(bytes.toString('utf8', start, end)) as Frame;
    if (typeof id !== 'number') return;
    if (ok === true) this.#waiting.get(id)?.({ ok, d: d ?? {} });
    else if (error !== undefined) this.#waiting.get(id)?.({ ok: false, ...error });
  }

  /** Half to all of it. */
  #jittered(ms: number): number {
    return ms / 2 + this.#random.below(Math.ceil(ms / 2) + 1);
  }

  /** One question without an answer is lost; a line on which nothing came at all is, too. */
  #late(socket: RawSocket, id: number): void {
    if (performance.now() - this.#heardMs >= ANSWER_WITHIN_MS) this.#drop(socket);
    this.#waiting.get(id)?.(null);
  }

  /** Nothing that was asked on it will be answered. */
  #drop(socket: RawSocket | null): void {
    socket?.close();
    if (socket !== this.#socket && this.#socket !== null) return;
    this.#socket = null;
    clearInterval(this.#ping);
    // Another door: this one is closed, or asleep.
    this.#door += 1;
    for (const lose of [...this.#waiting.values()]) lose(null);
  }
}

/** A node that stands still takes connections and does not answer: not for ever. */
async function open(port: number): Promise<RawSocket> {
  const opening = RawSocket.connect({ host: LOOPBACK, port, path: '/v1/ws' });
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => {
      void opening.then((socket) => socket.close()).catch(() => undefined);
      reject(new Error('nobody opens'));
    }, CONNECT_WITHIN_MS);
  });
  try {
    return await Promise.race([opening, tooLate]);
  } finally {
    clearTimeout(late);
  }
}
