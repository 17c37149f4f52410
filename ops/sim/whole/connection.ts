import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';
import type { Errand, View } from './errand.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, text } from './fields.ts';
import type { Gateway } from './gateway.ts';
import type { Frame, Line } from './line.ts';

/** One request on one socket, and what its asker knew when it left. */
export type Asked = {
  /** null: a hello or a ping. */
  readonly errand: Errand | null;
  readonly op: string;
  readonly atMs: number;
  readonly view: View;
  /** Of the view; -1: a hello was on its way, and nothing is held against the marks. */
  readonly generation: number;
  /** Marks of the view, by Set. */
  readonly floors: ReadonlyMap<number, number>;
  readonly knew: Knew;
};

/** What was certain when the question left; the answer must not be older. */
export type Knew = {
  /** A yes to this very command. */
  readonly yes: boolean;
  /** Somebody was told that the packet is there. */
  readonly shown: boolean;
  readonly ended: 'drained' | 'refunded' | null;
  /** The asker has a share of the packet. */
  readonly opened: boolean;
  /** The asker is in the group, and never asked to leave it. */
  readonly member: boolean;
};

export const KNEW_NOTHING: Knew = {
  yes: false,
  shown: false,
  ended: null,
  opened: false,
  member: false,
};

/** What the owner of a connection hears. */
export interface Listener {
  live(connection: Connection, d: Fields): void;
  answered(connection: Connection, asked: Asked, reply: Fields): void;
  /** `isFirst`: nobody else has been told this very frame. */
  news(event: string, d: Fields, isFirst: boolean): void;
  /** `lost` had no answer. */
  gone(connection: Connection, code: number, lost: readonly Asked[]): void;
}

/** A client's end of one socket, from hello to its end. */
export class Connection {
  readonly gateway: Gateway;
  readonly view: View;
  readonly slot: number;
  live = false;
  /** Last seqs that its hello named, by group. */
  resumed: Readonly<Record<string, number>> = {};
  /** When anything was last heard, ms. */
  heardMs: number;
  /** When anything was last sent, ms. */
  sentMs: number;
  readonly #trace: Trace;
  readonly #owner: Listener;
  readonly #nowMs: () => number;
  readonly #line: Line | null;
  readonly #asked = new Map<number, Asked>();
  #lastId = 0;
  #over = false;

  constructor(args: {
    gateway: Gateway;
    view: View;
    slot: number;
    trace: Trace;
    owner: Listener;
    nowMs: () => number;
  }) {
    const { gateway, view, slot, trace, owner, nowMs } = args;
    this.gateway = gateway;
    this.view = view;
    this.slot = slot;
    this.#trace = trace;
    this.#owner = owner;
    this.#nowMs = nowMs;
    this.heardMs = nowMs();
    this.sentMs = nowMs();
    this.#line = gateway.connect({
      heard: (frame) => this.#heard(frame),
      gone: (code) => this.#gone(code),
    });
  }

  /** Nobody listened, or the line is gone. */
  get over(): boolean {
    return this.#over || this.#line === null;
  }

  get unanswered(): number {
    return this.#asked.size;
  }

  /** Of what has no answer, for people who read a violation. */
  oldest(): Asked | undefined {
    return this.#asked.values().next().value;
  }

  /** @param body the JSON of `d` */
  ask(args: { op: string; body: string; errand: Errand | null; knew: Knew }): void {
    const { op, body, errand, knew } = args;
    if (this.#line === null || this.#over) return;
    const { view } = this;
    if (op === 'hello') view.greeted();
    const id = ++this.#lastId;
    const atMs = this.#nowMs();
    const sure = view.hellos === 0;
    this.#asked.set(id, {
      errand,
      op,
      atMs,
      view,
      generation: sure ? view.generation : -1,
      floors: sure && view.lsns.size > 0 ? new Map(view.lsns) : NO_FLOORS,
      knew,
    });
    this.sentMs = atMs;
    this.#line.send(`{"id":${id},"op":"${op}","d":${body}}`);
  }

  /** The client hangs up. */
  leave(code: number): void {
    if (this.#over) return;
    this.#line?.leave();
    this.#gone(code);
  }

  #gone(code: number): void {
    if (this.#over) return;
    this.#over = true;
    this.live = false;
    const lost = [...this.#asked.values()];
    this.#asked.clear();
    for (const { op } of lost) if (op === 'hello') this.view.hellos -= 1;
    this.#owner.gone(this, code, lost);
  }

  #heard(frame: Frame): void {
    if (this.#over) return;
    this.heardMs = this.#nowMs();
    this.#trace.guard(() => this.#read(frame));
  }

  #read(heard: Frame): void {
    const frame = fieldsOf(heard.json, 'a frame');
    if (frame['ev'] !== undefined) {
      this.#owner.news(text(frame, 'ev'), fieldsOf(frame['d'], 'd'), heard.isNews());
      return;
    }
    const { id } = frame;
    const asked = typeof id === 'number' ? this.#asked.get(id) : undefined;
    // Never asked, or answered before: one request, one reply.
    if (typeof id !== 'number' || asked === undefined) {
      return hold(false, `protocol: a reply to nothing that was asked: ${JSON.stringify(frame)}`);
    }
    this.#asked.delete(id);
    if (asked.op === 'hello') {
      this.view.hellos -= 1;
      if (frame['ok'] === true) {
        this.live = true;
        this.#owner.live(this, fieldsOf(frame['d'], 'd'));
        return;
      }
    }
    this.#owner.answered(this, asked, frame);
  }
}

const NO_FLOORS: ReadonlyMap<number, number> = new Map();
