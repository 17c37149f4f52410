import { join } from 'node:path';
import { SystemClock } from '../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../lib/adapter/system-random.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import type { Cache } from '../../lib/port/cache.ts';
import type { Metrics } from '../../lib/port/metrics.ts';
import { COMMON_ERRORS, OP_ERRORS } from '../../access/op-errors.ts';
import type { ErrorCode } from '../../access/errors.ts';
import type { EventData, EventName, OpName, Output } from '../../access/schema.ts';
import { EVENTS, OUTPUTS } from '../../access/schema.ts';
import type { AccessOptions, AccessServer } from '../../access/server.ts';
import { startAccess } from '../../access/server.ts';
import { Tokens } from '../../access/tokens.ts';
import { World } from './access-world.ts';

const random = new SystemRandom();

const SECRET = new Uint8Array(32).fill(9);
const tokens = new Tokens(SECRET);

export function tokenOf(userId: string, lifetimeMs = 60_000): string {
  const user = parseUserId(userId)!;
  return tokens.sign({ user, now: timeMs(Date.now()), lifetimeMs }).token;
}

export function key(): string {
  return makeCommandId(Date.now(), random.bytes(10));
}

/** Only what the gate needs; `broken` refuses everything. */
export class LineCache implements Cache {
  broken = false;
  readonly lines = new Map<string, Set<string>>();

  get(): Promise<null> {
    return Promise.resolve(null);
  }

  set(): Promise<void> {
    return Promise.resolve();
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  addMember(name: string, member: string): Promise<number> {
    if (this.broken) return Promise.reject(new Error('no cache'));
    const line = this.lines.get(name) ?? new Set();
    this.lines.set(name, line.add(member));
    return Promise.resolve(line.size);
  }

  removeMember(name: string, member: string): Promise<void> {
    this.lines.get(name)?.delete(member);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Sums and last values by name and labels. */
export class SeenMetrics implements Metrics {
  readonly values = new Map<string, number>();

  counter({ name }: { name: string }) {
    return {
      add: (value: number, labels: object = {}) => {
        const id = name + JSON.stringify(labels);
        this.values.set(id, (this.values.get(id) ?? 0) + value);
      },
    };
  }

  gauge({ name }: { name: string }) {
    return { set: (value: number) => void this.values.set(name, value) };
  }

  histogram({ name }: { name: string }) {
    return { observe: () => void this.values.set(name, (this.values.get(name) ?? 0) + 1) };
  }

  expose(): Promise<string> {
    return Promise.resolve('# all\n');
  }
}

export type Stage = {
  readonly world: World;
  readonly cache: LineCache;
  readonly metrics: SeenMetrics;
  /** Lines of level warn and error. */
  readonly complaints: string[];
  readonly server: AccessServer;
  readonly http: string;
  connect(): Promise<Client>;
  /** A connected and greeted client. */
  as(userId: string, resume?: Record<string, number>): Promise<Client>;
  stop(): void;
};

/** A real server on a free port before a {@link World}. */
export async function stage(options: Partial<AccessOptions> = {}): Promise<Stage> {
  const world = new World();
  const cache = new LineCache();
  const metrics = new SeenMetrics();
  const complaints: string[] = [];
  const complain = (event: string, fields?: object): void => {
    complaints.push(`${event} ${JSON.stringify(fields)}`);
  };
  const server = await startAccess({
    port: 0,
    host: '127.0.0.1',
    router: world,
    cache,
    metrics,
    random,
    tokens,
    clock: new SystemClock(),
    log: { info: () => {}, warn: complain, error: complain },
    devTokens: { lifetimeMs: 60_000 },
    demoCents: 200_000,
    pageDir: join(import.meta.dirname, 'no-page'),
    version: '1.2.3',
    ...options,
  });
  const clients: Client[] = [];
  const connect = async (): Promise<Client> => {
    const client = new Client(`ws://127.0.0.1:${server.port}/v1/ws`);
    clients.push(client);
    await client.opened;
    return client;
  };
  return {
    world,
    cache,
    metrics,
    complaints,
    server,
    connect,
    http: `http://127.0.0.1:${server.port}`,
    async as(userId, resume) {
      const client = await connect();
      const token = tokenOf(userId);
      client.hello = await client.ok('hello', resume === undefined ? { token } : { token, resume });
      return client;
    },
    stop() {
      for (const client of clients) client.close();
      server.stop();
    },
  };
}

type ErrorBody = { code: ErrorCode; message: string; retryable: boolean; retryAfterMs: number };
export type Answer = {
  id: number | null;
  ok: boolean;
  d?: unknown;
  error?: ErrorBody;
  level?: string;
};
type Event = { ev: EventName; d: unknown };

/** Node's own WebSocket. Every frame that arrives is held to the schemas. */
export class Client {
  readonly opened: Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly events: Event[] = [];
  readonly unasked: Answer[] = [];
  hello: Output<'hello'> | null = null;
  isClosed = false;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { op: string; resolve: (answer: Answer) => void }>();
  readonly #watchers = new Set<() => void>();
  #nextId = 1;

  constructor(url: string) {
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error('the socket did not open')));
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => {
        this.isClosed = true;
        for (const watch of this.#watchers) watch();
        resolve({ code, reason });
      });
    });
    socket.addEventListener('message', ({ data }) => this.#receive(String(data)));
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as Answer | Event;
    if ('ev' in frame) {
      EVENTS[frame.ev].parse(frame.d);
      this.events.push(frame);
    } else {
      const waiting = this.#waiting.get(frame.id ?? -1);
      if (waiting === undefined) this.unasked.push(frame);
      this.#waiting.delete(frame.id ?? -1);
      waiting?.resolve(frame);
    }
    for (const watch of this.#watchers) watch();
  }

  raw(frame: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(frame);
  }

  ask(op: string, d?: unknown): Promise<Answer> {
    const id = this.#nextId++;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, { op, resolve }));
    this.raw(JSON.stringify({ id, op, d }));
    return answered;
  }

  /** The output of a request that succeeds. */
  async ok<Op extends OpName>(op: Op, d: unknown = {}): Promise<Output<Op>> {
    const { ok, error, level, d: output } = await this.ask(op, d);
    if (!ok || level !== 'full') throw new Error(`${op} was refused: ${JSON.stringify(error)}`);
    return OUTPUTS[op].strict().parse(output) as Output<Op>;
  }

  /** The error of a request that is refused, as docs/PROTOCOL.md says it may be. */
  async refused(op: OpName, d: unknown = {}): Promise<ErrorBody> {
    const { ok, error } = await this.ask(op, d);
    if (ok || error === undefined) throw new Error(`${op} was not refused`);
    if (![...COMMON_ERRORS, ...OP_ERRORS[op]].includes(error.code)) {
      throw new Error(`${op} may not be refused with ${error.code}`);
    }
    return error;
  }

  /** The first event of this name that fits, past ones included. */
  async event<Name extends EventName>(
    ev: Name,
    fits: (d: EventData<Name>) => boolean = () => true,
  ): Promise<EventData<Name>> {
    const found = (): EventData<Name> | undefined =>
      this.events
        .filter((event) => event.ev === ev)
        .map((event) => event.d as EventData<Name>)
        .find(fits);
    await this.until(() => found() !== undefined);
    return found()!;
  }

  /** Waits for frames until this holds; the test's own time limit is the end. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const watch = (): void => {
        if (!holds()) return;
        this.#watchers.delete(watch);
        resolve();
      };
      this.#watchers.add(watch);
    });
  }

  close(): void {
    this.#socket.close();
  }
}

/** Runs until it holds, at most about two seconds. */
export async function eventually(holds: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 200 && !holds(); turn++) {
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  return holds();
}
