import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Assembly } from '../../../access/assembly.ts';
import type { Publish } from '../../../access/fan-out.ts';
import type { SimProcess } from '../process.ts';
import type { Trace } from '../trace.ts';
import type { LineEnd, LineServer, LineWeather } from './line.ts';
import { CLEAR_LINES, Frame, Line, Post } from './line.ts';

const PACKET_NEWS = '{"ev":"packet"';
const NEWS_MAX = 64;

/** The sockets and topics of one access process: what uWebSockets.js is in a real one. */
export class Gateway {
  readonly process: SimProcess;
  /** For `assemble`: a topic's frame goes to the sockets that are subscribed now. */
  readonly publish: Publish;
  readonly #chance: SeededRandom;
  readonly #trace: Trace;
  readonly #post: Post;
  readonly #weather: () => LineWeather;
  readonly #byTopic = new Map<string, Set<Line>>();
  readonly #lines = new Set<Line>();
  #server: LineServer | null = null;
  /** News of packets that were told last. */
  readonly #news = new Map<string, Frame>();

  /** `clock` is the world's: the network goes on while the process sleeps. */
  constructor(args: {
    process: SimProcess;
    clock: Clock;
    chance: SeededRandom;
    trace: Trace;
    weather?: () => LineWeather;
  }) {
    this.process = args.process;
    this.#chance = args.chance;
    this.#trace = args.trace;
    this.#post = new Post(args.clock);
    this.#weather = args.weather ?? (() => CLEAR_LINES);
    this.publish = (topic, text) => this.#publish(topic, text);
    // The kernel of a dead process closes its sockets.
    this.process.onDeath(() => this.breakAll('is dead'));
  }

  get name(): string {
    return this.process.name;
  }

  /** Takes sockets from now on. */
  open(assembly: Assembly): void {
    const { process } = this;
    this.#server = {
      process,
      assembly,
      post: this.#post,
      chance: this.#chance,
      weather: this.#weather,
      subscribe: (line, topic) => {
        const lines = this.#byTopic.get(topic);
        if (lines === undefined) this.#byTopic.set(topic, new Set([line]));
        else lines.add(line);
      },
      unsubscribe: (line, topic) => {
        const lines = this.#byTopic.get(topic);
        if (lines?.delete(line) === true && lines.size === 0) this.#byTopic.delete(topic);
      },
      frameOf: (text) => this.#frameOf(text),
      forget: (line) => this.#lines.delete(line),
    };
  }

  /** A new socket; null: nobody listens there. */
  connect(end: LineEnd): Line | null {
    if (this.#server === null || this.process.dead) return null;
    const line = new Line(this.#server, end);
    this.#lines.add(line);
    return line;
  }

  /** Breaks every line, as a switch that restarts. */
  breakAll(why: string): void {
    if (this.#lines.size === 0) return;
    this.#trace.note(`${this.name} ${why}: ${this.#lines.size} lines break`);
    for (const line of this.#lines) line.break();
  }

  /** Some lines break; how many, chance decides. */
  breakSome(): void {
    for (const line of this.#lines) if (this.#chance.below(2) === 0) line.break();
  }

  get connections(): number {
    return this.#lines.size;
  }

  /** News of a packet are written to each socket of each member, one after another. */
  #frameOf(text: string): Frame {
    if (!text.startsWith(PACKET_NEWS)) return new Frame(text);
    const known = this.#news.get(text);
    if (known !== undefined) return known;
    if (this.#news.size >= NEWS_MAX) this.#news.clear();
    const frame = new Frame(text);
    this.#news.set(text, frame);
    return frame;
  }

  #publish(topic: string, text: string): void {
    const lines = this.#byTopic.get(topic);
    if (lines === undefined || this.process.dead) return;
    const frame = new Frame(text);
    for (const line of lines) line.push(frame);
  }
}
