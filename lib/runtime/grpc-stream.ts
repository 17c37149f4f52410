import type { ServiceError } from '@grpc/grpc-js';
import { DecodeError } from '../core/bytes.ts';
import type { BatchStream, StreamListener } from './stream.ts';
import { queueBatchesMax } from './stream.ts';

/** What we need of a duplex call, the client's as well as the server's: the simulator has its own. */
export interface DuplexCall<In, Out> {
  on(event: 'error', heard: (error: Partial<ServiceError>) => void): unknown;
  on(event: 'cancelled' | 'end' | 'close' | 'drain', heard: () => void): unknown;
  on(event: 'data', heard: (batch: In) => void): unknown;
  /** false: it is kept, and `drain` comes when there is room again. */
  write(batch: Out): boolean;
  end(): unknown;
}

/**
 * Either end of a gRPC stream behind {@link BatchStream}. Its listeners stay attached for good: a
 * duplex stream that reports an error to nobody kills the process on shutdown.
 */
export class GrpcStream<In, Out> implements BatchStream<Out> {
  readonly #duplex: DuplexCall<In, Out>;
  readonly #abort: (reason: string) => void;
  #listener: StreamListener<In> | null = null;
  #queue: Out[] = [];
  #congested = false;
  #open = true;
  #opened = false;
  #ending = false;

  constructor(args: { duplex: DuplexCall<In, Out>; abort: (reason: string) => void }) {
    this.#duplex = args.duplex;
    this.#abort = args.abort;
  }

  get congested(): boolean {
    return this.#congested;
  }

  get open(): boolean {
    return this.#open && !this.#ending;
  }

  listen(listener: StreamListener<In>): void {
    this.#listener = listener;
    const duplex = this.#duplex;
    duplex.on('error', (error: Partial<ServiceError>) => {
      this.#close(error.details ?? error.message ?? 'stream failed');
    });
    duplex.on('cancelled', () => this.#close('cancelled by the peer'));
    duplex.on('end', () => {
      // The peer is done. Ending our half too lets the call finish with its status.
      if (this.open) duplex.end();
      this.#close(null);
    });
    duplex.on('close', () => this.#close('connection closed'));
    duplex.on('drain', () => this.#drain());
    duplex.on('data', (batch: In) => this.#receive(batch));
  }

  /** The headers of the server have come. */
  opened(): void {
    if (!this.#open || this.#opened) return;
    this.#opened = true;
    this.#listener?.opened?.();
  }

  send(batch: Out): boolean {
    if (!this.open) return false;
    if (this.#congested) {
      if (this.#queue.length >= queueBatchesMax) return false;
      this.#queue.push(batch);
      return true;
    }
    this.#write(batch);
    return true;
  }

  end(): void {
    if (!this.open) return;
    this.#ending = true;
    for (const batch of this.#queue) this.#write(batch);
    this.#queue = [];
    this.#duplex.end();
  }

  abort(reason: string): void {
    if (!this.#open) return;
    this.#abort(reason);
    this.#close(reason);
  }

  #write(batch: Out): void {
    if (!this.#duplex.write(batch)) this.#congested = true;
  }

  #drain(): void {
    this.#congested = false;
    let sent = 0;
    while (sent < this.#queue.length && !this.#congested) this.#write(this.#queue[sent++] as Out);
    this.#queue.splice(0, sent);
    if (!this.#congested && this.open) this.#listener?.drained?.();
  }

  #receive(batch: In): void {
    if (!this.#open) return;
    try {
      this.#listener?.message(batch);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.abort(`malformed: ${error.message}`);
    }
  }

  #close(reason: string | null): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue = [];
    this.#listener?.closed(reason);
  }
}
