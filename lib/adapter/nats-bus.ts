import type { JsMsg } from 'nats';
import { AckPolicy, DeliverPolicy, nanos } from 'nats';
import { DecodeError, toHex } from '../core/bytes.ts';
import type { Bus, Subscription } from '../port/bus.ts';
import type { Clock } from '../port/clock.ts';
import { sleep } from '../port/clock.ts';
import type { Log } from '../port/log.ts';
import type { Counter, Metrics } from '../port/metrics.ts';
import type { Random } from '../port/random.ts';
import { assertMessage, assertPattern, matches } from './bus-subject.ts';
import { decodeFrame } from './nats-frame.ts';
import type { Up } from './nats-link.ts';
import { NatsLink } from './nats-link.ts';
import { NatsOutgoing, wordOf } from './nats-outgoing.ts';

/** Between a failure of a consumer and its next try. */
const RETRY_MS = 100;
/** Of a pull; the server says at half of it that it is there. */
const PULL_MS = 5_000;
const PULL_MESSAGES = 256;
const ACK_WITHIN_MS = 5_000;
/** A message that nobody can digest is not sent for ever. */
const DELIVERIES_MAX = 5;
/** The server forgets who did not come back by then. */
const FORGOTTEN_MS = 60_000;
/** A subscriber waits so long for its place, and then goes on without. */
const PLACE_WITHIN_MS = 2_000;
const NAME_BYTES = 8;

type Handler = (subject: string, payload: Uint8Array) => void;
type Subscriber = { readonly pattern: string; readonly handler: Handler };
/** What this process hears of one first word. */
type Topic = { isHeard: boolean; waiting: (() => void)[] };

/**
 * The bus between processes, over NATS JetStream (SPEC section BU). Records gather for a few
 * milliseconds into one message a first word (`outbox` of `outbox.7`); each process has a durable
 * consumer for each first word that it listens to, and acknowledges what it has heard. A server
 * that is away costs nobody a wait: what cannot be sent is dropped and counted.
 */
export class NatsBus implements Bus {
  readonly #name: string;
  readonly #stream: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #link: NatsLink;
  readonly #outgoing: NatsOutgoing;
  readonly #redelivered: Counter;
  readonly #subscribers = new Set<Subscriber>();
  readonly #topics = new Map<string, Topic>();
  #closed = false;

  /** `cluster` keeps clusters on one server apart: ASCII letters and digits, its id. */
  constructor(args: {
    url: string;
    cluster: string;
    clock: Clock;
    random: Random;
    log: Log;
    metrics: Metrics;
  }) {
    const { url, cluster, clock, random, log, metrics } = args;
    const stream = `hongbao_${cluster}`;
    const connected = metrics.gauge({
      name: 'hongbao_bus_connected',
      help: '1 while bells reach NATS; without it settlement goes by polling',
    });
    connected.set(0);
    this.#redelivered = metrics.counter({
      name: 'hongbao_bus_redelivered_total',
      help: 'Messages of the bus that came once more because an acknowledgement was missing',
    });
    this.#name = toHex(random.bytes(NAME_BYTES));
    this.#stream = stream;
    this.#clock = clock;
    this.#log = log;
    this.#outgoing = new NatsOutgoing({
      stream,
      clock,
      metrics,
      doubt: (up) => this.#link.doubt(up),
    });
    const changed = (up: Up | null): void => {
      connected.set(up === null ? 0 : 1);
      this.#outgoing.use(up);
    };
    this.#link = new NatsLink({ url, stream, clock, random, log, changed });
  }

  /** Whether bells get through just now, as far as is known. */
  get isConnected(): boolean {
    return this.#link.up !== null;
  }

  async publish(subject: string, payload: Uint8Array): Promise<void> {
    assertMessage(subject, payload);
    if (this.#closed) return;
    this.#outgoing.add({ subject, payload: new Uint8Array(payload) });
  }

  /** Waits until NATS has a place for this process, but not for a server that is away. */
  async subscribe(subject: string, handler: Handler): Promise<Subscription> {
    assertPattern(subject);
    const subscriber: Subscriber = { pattern: subject, handler };
    if (!this.#closed) {
      this.#subscribers.add(subscriber);
      await this.#heard(wordOf(subject));
    }
    return { unsubscribe: async () => void this.#subscribers.delete(subscriber) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscribers.clear();
    for (const topic of this.#topics.values()) settle(topic);
    await this.#outgoing.close();
    await this.#forget();
    await this.#link.close();
  }

  /** The server would remember this process for a minute. */
  async #forget(): Promise<void> {
    const { up } = this.#link;
    if (up === null) return;
    const gone = [...this.#topics.keys()].map((word) =>
      up.manager.consumers.delete(this.#stream, this.#consumerOf(word)).catch(() => false),
    );
    await Promise.race([Promise.all(gone), sleep(this.#clock, RETRY_MS)]);
  }

  async #heard(word: string): Promise<void> {
    let topic = this.#topics.get(word);
    if (topic === undefined) {
      topic = { isHeard: false, waiting: [] };
      this.#topics.set(word, topic);
      void this.#listen(word, topic);
    }
    const { waiting } = topic;
    if (topic.isHeard) return;
    await new Promise<void>((resolve) => {
      const late = this.#clock.after(PLACE_WITHIN_MS, resolve);
      waiting.push(() => {
        late.cancel();
        resolve();
      });
    });
  }

  /** Until the bus is closed; what is rung while it has no consumer is not heard. */
  async #listen(word: string, topic: Topic): Promise<void> {
    for (;;) {
      const up = await this.#link.next();
      if (up === null || this.#closed) return;
      try {
        await this.#consume(up, { word, topic });
      } catch {
        this.#link.doubt(up);
      }
      topic.isHeard = false;
      if (this.#closed) return;
      await sleep(this.#clock, RETRY_MS);
    }
  }

  /** Ends when the consumer, the stream or the connection has ended. */
  async #consume(up: Up, { word, topic }: { word: string; topic: Topic }): Promise<void> {
    const name = this.#consumerOf(word);
    await up.manager.consumers.add(this.#stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      // Bells that rang before are for the poll.
      deliver_policy: DeliverPolicy.New,
      filter_subject: `${this.#stream}.${word}`,
      ack_wait: nanos(ACK_WITHIN_MS),
      max_deliver: DELIVERIES_MAX,
      inactive_threshold: nanos(FORGOTTEN_MS),
    });
    const consumer = await up.jetStream.consumers.get(this.#stream, name);
    const messages = await consumer.consume({
      max_messages: PULL_MESSAGES,
      expires: PULL_MS,
      abort_on_missing_resource: true,
    });
    settle(topic);
    topic.isHeard = true;
    for await (const message of messages) this.#take(message);
  }

  #take(message: JsMsg): void {
    if (message.redelivered) this.#redelivered.add(1);
    try {
      for (const { subject, payload } of decodeFrame(message.data)) this.#say(subject, payload);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#log.warn('bus_unreadable', { subject: message.subject, reason: error.message });
    }
    message.ack();
  }

  #say(subject: string, payload: Uint8Array): void {
    // A copy of the set: a handler may subscribe, unsubscribe or close.
    for (const subscriber of [...this.#subscribers]) {
      if (!this.#subscribers.has(subscriber) || !matches(subscriber.pattern, subject)) continue;
      try {
        subscriber.handler(subject, payload);
      } catch (error) {
        this.#log.error('bus_handler_failed', { subject, reason: String(error) });
      }
    }
  }

  #consumerOf(word: string): string {
    return `${this.#name}_${word}`;
  }
}

function settle(topic: Topic): void {
  const { waiting } = topic;
  topic.waiting = [];
  for (const resolve of waiting) resolve();
}
