import type { Clock } from '../port/clock.ts';
import { sleep } from '../port/clock.ts';
import type { Counter, Metrics } from '../port/metrics.ts';
import type { BusRecord } from './nats-frame.ts';
import { encodeFrame, fitting, recordBytes } from './nats-frame.ts';
import type { Up } from './nats-link.ts';

/** Records of so many milliseconds travel together: a message costs as much as the bells in it. */
const GATHER_MS = 2;
/** A bell that could not be rung for so long has been found by the poll. */
const STALE_MS = 5_000;
export const OUTGOING_RECORDS_MAX = 10_000;
const OUTGOING_BYTES_MAX = 1_024 * 1_024;
const RETRY_MS = 100;
const CLOSE_WITHIN_MS = 200;

type Waiting = BusRecord & { readonly sinceMs: number };

/**
 * What this process has to say, bounded: the oldest is dropped and counted. One message is on its
 * way at a time and leaves when the server has acknowledged it; what fails goes again.
 */
export class NatsOutgoing {
  readonly #stream: string;
  readonly #clock: Clock;
  readonly #doubt: (up: Up) => void;
  readonly #published: Counter;
  readonly #dropped: Counter;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #up: Up | null = null;
  #isPumping = false;
  #closed = false;

  constructor(args: { stream: string; clock: Clock; metrics: Metrics; doubt: (up: Up) => void }) {
    this.#stream = args.stream;
    this.#clock = args.clock;
    this.#doubt = args.doubt;
    this.#published = args.metrics.counter({
      name: 'hongbao_bus_published_total',
      help: 'Records of the bus that NATS has acknowledged',
    });
    this.#dropped = args.metrics.counter({
      name: 'hongbao_bus_dropped_total',
      help: 'Records of the bus that were dropped because NATS was away or too slow',
    });
  }

  /** Takes `record` as it is: nobody else may write to its payload. */
  add(record: BusRecord): void {
    this.#waiting.push({ ...record, sinceMs: this.#clock.monotonicMs() });
    this.#bytes += recordBytes(record);
    this.#trim();
    this.#start();
  }

  /** The connection from now on; null while there is none. */
  use(up: Up | null): void {
    this.#up = up;
    this.#start();
  }

  /** Tries for a moment to say what is left. */
  async close(): Promise<void> {
    const lateMs = this.#clock.monotonicMs() + CLOSE_WITHIN_MS;
    const isBusy = (): boolean => this.#waiting.length > 0 && this.#up !== null;
    while (isBusy() && this.#clock.monotonicMs() < lateMs) await sleep(this.#clock, GATHER_MS);
    this.#closed = true;
    this.#waiting = [];
  }

  #start(): void {
    if (this.#isPumping || this.#closed || this.#up === null || this.#waiting.length === 0) return;
    this.#isPumping = true;
    this.#clock.after(GATHER_MS, () => void this.#pump());
  }

  async #pump(): Promise<void> {
    const up = this.#up;
    this.#dropStale();
    const [first] = this.#waiting;
    if (up !== null && first !== undefined && !this.#closed) {
      const word = wordOf(first.subject);
      const all = this.#waiting.filter(({ subject }) => wordOf(subject) === word);
      const batch = all.slice(0, fitting(all));
      const isSent = await this.#send(up, { word, batch });
      // Not before: what stays may be dropped meanwhile, as the oldest.
      if (isSent) this.#remove(new Set(batch));
      else await this.#back(up);
    }
    this.#isPumping = false;
    this.#start();
  }

  async #send(up: Up, of: { word: string; batch: readonly Waiting[] }): Promise<boolean> {
    const { word, batch } = of;
    try {
      await up.jetStream.publish(`${this.#stream}.${word}`, encodeFrame(batch));
    } catch {
      // Perhaps it was stored: a bell may ring twice.
      return false;
    }
    this.#published.add(batch.length);
    return true;
  }

  /** A server that takes the stream and no message is not asked without a pause. */
  async #back(up: Up): Promise<void> {
    this.#doubt(up);
    await sleep(this.#clock, RETRY_MS);
  }

  #remove(records: ReadonlySet<Waiting>): void {
    this.#waiting = this.#waiting.filter((record) => !records.has(record));
    this.#bytes = this.#waiting.reduce((sum, record) => sum + recordBytes(record), 0);
  }

  #trim(): void {
    while (this.#waiting.length > OUTGOING_RECORDS_MAX || this.#bytes > OUTGOING_BYTES_MAX) {
      this.#dropFirst();
    }
  }

  #dropStale(): void {
    const staleMs = this.#clock.monotonicMs() - STALE_MS;
    while ((this.#waiting[0]?.sinceMs ?? Infinity) < staleMs) this.#dropFirst();
  }

  #dropFirst(): void {
    const oldest = this.#waiting.shift();
    if (oldest === undefined) return;
    this.#bytes -= recordBytes(oldest);
    this.#dropped.add(1);
  }
}

/** What stands before the first dot: one NATS subject each. */
export function wordOf(subject: string): string {
  const dot = subject.indexOf('.');
  return dot < 0 ? subject : subject.slice(0, dot);
}
