import type { Bus, Subscription } from '../port/bus.ts';
import type { Clock } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import { assertMessage, assertPattern, matches } from './bus-subject.ts';

/** Messages that wait for one subscriber: a doorbell that rang this often has been heard. */
export const BUS_QUEUE_MAX = 10_000;

type Handler = (subject: string, payload: Uint8Array) => void;
type Message = { readonly subject: string; readonly payload: Uint8Array };
type Subscriber = { readonly pattern: string; readonly handler: Handler; queue: Message[] };

/**
 * A bus within one process (SPEC section BU). Delivers in a later turn, never inside `publish`; a
 * subscriber that is too slow loses its oldest messages, which are counted.
 */
export class MemoryBus implements Bus {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #subscribers = new Set<Subscriber>();
  #dropped = 0;
  #closed = false;

  constructor({ clock, log }: { clock: Clock; log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Messages lost because a queue was full, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  async publish(subject: string, payload: Uint8Array): Promise<void> {
    assertMessage(subject, payload);
    if (this.#closed) return;
    for (const subscriber of this.#subscribers) {
      if (matches(subscriber.pattern, subject)) {
        this.#enqueue(subscriber, { subject, payload: new Uint8Array(payload) });
      }
    }
  }

  async subscribe(subject: string, handler: Handler): Promise<Subscription> {
    assertPattern(subject);
    const subscriber: Subscriber = { pattern: subject, handler, queue: [] };
    if (!this.#closed) this.#subscribers.add(subscriber);
    return {
      unsubscribe: async () => {
        this.#subscribers.delete(subscriber);
        subscriber.queue = [];
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.queue = [];
    this.#subscribers.clear();
  }

  #enqueue(subscriber: Subscriber, message: Message): void {
    subscriber.queue.push(message);
    if (subscriber.queue.length === 1) this.#clock.soon(() => this.#deliver(subscriber));
    if (subscriber.queue.length <= BUS_QUEUE_MAX) return;
    subscriber.queue.shift();
    this.#dropped += 1;
  }

  #deliver(subscriber: Subscriber): void {
    const batch = subscriber.queue;
    subscriber.queue = [];
    for (const { subject, payload } of batch) {
      // A handler may unsubscribe or close the bus: the rest of its batch is dropped.
      if (!this.#subscribers.has(subscriber)) return;
      try {
        subscriber.handler(subject, payload);
      } catch (error) {
        this.#log.error('bus_handler_failed', { subject, reason: String(error) });
      }
    }
  }
}
