import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Assembly } from '../../../access/assembly.ts';
import type { Session, Socket } from '../../../access/sessions.ts';
import type { SimProcess } from '../process.ts';

/** What may happen to frames on their way. Drawn for each frame or write. */
export type LineWeather = {
  /** The longest usual delay, ms. */
  readonly latencyMs: number;
  /** Frames of 10,000 at which the line breaks; what is on its way then is lost. */
  readonly breaks: number;
  /** Frames of 10,000 behind which the line stands still for a while. */
  readonly stalls: number;
};

export const CLEAR_LINES: LineWeather = { latencyMs: 4, breaks: 0, stalls: 0 };

const STALL_MS_MAX = 4_000;
/** How long a server may believe in a socket whose line is gone. */
const HALF_OPEN_MS_MAX = 2_000;
/** As the real door: what waits for a slow client beyond it cuts the socket. */
const BACKPRESSURE_BYTES_MAX = 65_536;
/** As browsers say it: nobody sent a close frame. */
export const CUT = 1006;

/** One text frame; parsed once, however many sockets receive it. */
export class Frame {
  readonly text: string;
  #json: unknown = undefined;
  #isRead = false;

  constructor(text: string) {
    this.text = text;
  }

  get json(): unknown {
    this.#json ??= JSON.parse(this.text);
    return this.#json;
  }

  /** Whether this is the first socket at which it is read: the others need not look at it again. */
  isNews(): boolean {
    const isNews = !this.#isRead;
    this.#isRead = true;
    return isNews;
  }
}

/** The client's end of a line. */
export interface LineEnd {
  heard(frame: Frame): void;
  /** The line is gone, by a close frame with this code or by {@link CUT}. Nothing is heard after it. */
  gone(code: number): void;
}

/** Frames arrive on a grid: those that share a timer share a turn of the world, which costs more. */
const GRID_MS = 5;

/** What is on its way, by the time at which it arrives. */
export class Post {
  readonly #clock: Clock;
  readonly #byDue = new Map<number, (() => void)[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Runs at `dueMs` or up to {@link GRID_MS} later, in the order of the calls. */
  at(dueMs: number, deliver: () => void): void {
    const due = GRID_MS * Math.ceil(Math.max(dueMs, this.nowMs) / GRID_MS);
    const waiting = this.#byDue.get(due);
    if (waiting !== undefined) {
      waiting.push(deliver);
      return;
    }
    const batch = [deliver];
    this.#byDue.set(due, batch);
    this.#clock.after(due - this.nowMs, () => {
      this.#byDue.delete(due);
      for (const run of batch) run();
    });
  }
}

/** The server's end of all its lines. */
export type LineServer = {
  readonly process: SimProcess;
  readonly assembly: Assembly;
  readonly post: Post;
  readonly chance: SeededRandom;
  weather(): LineWeather;
  subscribe(line: Line, topic: string): void;
  unsubscribe(line: Line, topic: string): void;
  /** The frame of this text: several sockets may be told the same. */
  frameOf(text: string): Frame;
  /** The server has forgotten this line. */
  forget(line: Line): void;
};

/** One simulated WebSocket: frames arrive late and in order, or the line breaks. */
export class Line implements Socket {
  readonly topics = new Set<string>();
  readonly #server: LineServer;
  readonly #end: LineEnd;
  #session: Session | null = null;
  /** Frames in flight arrive. Off: they are lost. */
  #up = true;
  /** The server still writes. */
  #open = true;
  #clientGone = false;
  #bytesToClient = 0;
  /** When what was sent last arrives: nothing overtakes it. */
  #serverDueMs = 0;
  #clientDueMs = 0;

  constructor(server: LineServer, end: LineEnd) {
    this.#server = server;
    this.#end = end;
    this.#serverDueMs = this.#due(0);
    server.post.at(this.#serverDueMs, () => {
      if (!this.#up) return;
      server.process.hold(() => {
        this.#session = server.assembly.open(this);
      });
    });
  }

  #due(lastMs: number): number {
    const { chance, post } = this.#server;
    const { latencyMs, breaks, stalls } = this.#server.weather();
    const dice = breaks + stalls > 0 ? chance.below(10_000) : 10_000;
    if (dice < breaks) this.break();
    const stallMs = dice >= breaks && dice < breaks + stalls ? chance.below(STALL_MS_MAX) : 0;
    return Math.max(lastMs, Math.ceil(post.nowMs) + 1 + chance.below(latencyMs) + stallMs);
  }

  // ---- the client's side

  /** Sends a text frame. */
  send(text: string): void {
    const { post, process, assembly } = this.#server;
    if (!this.#up) return;
    this.#serverDueMs = this.#due(this.#serverDueMs);
    post.at(this.#serverDueMs, () => {
      // What has arrived is read, also by a process that sleeps while the line breaks.
      if (!this.#up) return;
      process.hold(() => {
        if (this.#session !== null) assembly.dispatch.receive(this.#session, text);
      });
    });
  }

  /** The client closes: it hears nothing any more. */
  leave(): void {
    this.#clientGone = true;
    if (!this.#up) return;
    this.#up = false;
    this.#tellServer(this.#due(this.#serverDueMs));
  }

  // ---- the network

  /** Neither end hears of it at once, the server sometimes much later. */
  break(): void {
    if (!this.#up) return;
    this.#up = false;
    const { post, chance } = this.#server;
    this.#tellServer(post.nowMs + chance.below(HALF_OPEN_MS_MAX));
    this.#tellClient(post.nowMs + 1 + chance.below(50), CUT);
  }

  #tellClient(dueMs: number, code: number): void {
    this.#server.post.at(dueMs, () => {
      if (this.#clientGone) return;
      this.#clientGone = true;
      this.#end.gone(code);
    });
  }

  #tellServer(dueMs: number): void {
    const { post, process } = this.#server;
    post.at(dueMs, () => process.hold(() => this.#closed()));
  }

  // ---- the server's side

  write(frames: readonly string[]): boolean {
    if (!this.#open || this.#server.process.dead) return false;
    return this.#toClient(frames.map((text) => this.#server.frameOf(text)));
  }

  /** A frame of a topic. */
  push(frame: Frame): void {
    if (!this.#open || this.#server.process.dead) return;
    // As uWebSockets.js does it: too much that waits closes the socket.
    if (!this.#toClient([frame])) this.#session?.cut();
  }

  #toClient(frames: readonly Frame[]): boolean {
    const bytes = frames.reduce((sum, { text }) => sum + text.length, 0);
    if (this.#bytesToClient + bytes > BACKPRESSURE_BYTES_MAX) return false;
    // A server may write for a while to a line that is gone.
    if (!this.#up) return true;
    this.#bytesToClient += bytes;
    this.#clientDueMs = this.#due(this.#clientDueMs);
    this.#server.post.at(this.#clientDueMs, () => {
      this.#bytesToClient -= bytes;
      for (const frame of frames) if (this.#up && !this.#clientGone) this.#end.heard(frame);
    });
    return true;
  }

  subscribe(topic: string): void {
    if (!this.#open || this.topics.has(topic)) return;
    this.topics.add(topic);
    this.#server.subscribe(this, topic);
  }

  unsubscribe(topic: string): void {
    if (this.topics.delete(topic)) this.#server.unsubscribe(this, topic);
  }

  end(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#up) {
      // Behind what is written: the client hears all of it first.
      this.#clientDueMs = this.#due(this.#clientDueMs);
      this.#server.post.at(this.#clientDueMs, () => {
        this.#up = false;
      });
      this.#tellClient(this.#clientDueMs, code);
    }
    this.#server.process.clock.soon(() => this.#closed());
  }

  cut(): void {
    if (!this.#open) return;
    this.#open = false;
    this.break();
    this.#server.process.clock.soon(() => this.#closed());
  }

  /** The server knows that the socket is gone. */
  #closed(): void {
    this.#open = false;
    for (const topic of this.topics) this.#server.unsubscribe(this, topic);
    this.topics.clear();
    this.#server.forget(this);
    if (this.#session === null) return;
    const session = this.#session;
    this.#session = null;
    this.#server.assembly.close(session);
  }
}
