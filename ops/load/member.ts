import { RawSocket } from './raw-socket.ts';

type Answer = { id?: number; ok?: boolean; d?: Record<string, unknown>; error?: { code: string } };

/** A signed-in member for load: requests by id, no reconnect, events counted and dropped. */
export class Member {
  readonly userId: string;
  readonly #socket: RawSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;
  events = 0;

  private constructor(userId: string, socket: RawSocket) {
    this.userId = userId;
    this.#socket = socket;
    socket.onText = (bytes, start, end) => this.#received(bytes, start, end);
  }

  /** Takes a development token and says hello. */
  static async join(args: { host: string; port: number; userId: string }): Promise<Member> {
    const { host, port, userId } = args;
    const response = await fetch(`http://${host}:${port}/v1/dev/token`, {
      method: 'POST',
      body: JSON.stringify({ userId }),
    });
    const { token } = (await response.json()) as { token: string };
    const member = new Member(userId, await RawSocket.connect({ host, port, path: '/v1/ws' }));
    await member.need('hello', { token });
    return member;
  }

  /** Sends one request; `done` is called with its answer. */
  request(op: string, args: { d: unknown; done: (answer: Answer) => void }): void {
    const id = this.#nextId++;
    this.#waiting.set(id, args.done);
    this.#socket.send(JSON.stringify({ id, op, d: args.d }));
  }

  /** The answer's data; rejects when it was refused. */
  need(op: string, d: unknown): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      this.request(op, {
        d,
        done: (answer) => {
          if (answer.ok === true && answer.d !== undefined) resolve(answer.d);
          else reject(new Error(`${op}: ${answer.error?.code ?? 'no answer'}`));
        },
      });
    });
  }

  close(): void {
    this.#socket.close();
  }

  #received(bytes: Buffer, start: number, end: number): void {
    // Events are the most of it and need no parse here: `{"e…` against `{"i…`.
    if (bytes[start + 2] === 0x65) {
      this.events += 1;
      return;
    }
    const answer = JSON.parse(bytes.toString('utf8', start, end)) as Answer;
    const done = this.#waiting.get(answer.id ?? 0);
    this.#waiting.delete(answer.id ?? 0);
    done?.(answer);
  }
}
