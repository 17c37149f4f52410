import type { Metrics } from '../lib/port/metrics.ts';

/** Seconds: an answer from memory, one commit, several hops, a deadline. */
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** What the door counts. Labels are words of closed lists, never a client's text. */
export class AccessMetrics {
  readonly #connections;
  readonly #requests;
  readonly #seconds;
  readonly #framesOut;
  readonly #dropped;
  readonly #gateOpen;

  constructor(metrics: Metrics) {
    this.#connections = metrics.gauge({
      name: 'hongbao_access_connections',
      help: 'Open WebSockets.',
    });
    this.#requests = metrics.counter({
      name: 'hongbao_access_requests_total',
      help: 'Requests answered, by op and by the code of the answer.',
      labels: ['op', 'code'],
    });
    this.#seconds = metrics.histogram({
      name: 'hongbao_access_request_seconds',
      help: 'Time from a request to its answer.',
      labels: ['op'],
      buckets: BUCKETS,
    });
    this.#framesOut = metrics.counter({
      name: 'hongbao_access_frames_out_total',
      help: 'Frames sent: answers, and events once for each receiver.',
    });
    this.#dropped = metrics.counter({
      name: 'hongbao_access_dropped_total',
      help: 'Frames that a slow consumer did not take; its socket is closed.',
    });
    this.#gateOpen = metrics.counter({
      name: 'hongbao_access_gate_open_total',
      help: 'Grabs that went on to the owner because the cache did not answer.',
    });
  }

  connections(count: number): void {
    this.#connections.set(count);
  }

  request(args: { op: string; code: string; seconds: number }): void {
    const { op, code, seconds } = args;
    this.#requests.add(1, { op, code });
    this.#seconds.observe(seconds, { op });
  }

  framesOut(count: number): void {
    if (count > 0) this.#framesOut.add(count);
  }

  dropped(): void {
    this.#dropped.add(1);
  }

  gateOpen(): void {
    this.#gateOpen.add(1);
  }
}
