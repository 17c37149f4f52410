import { median } from './statistics.ts';

const STEP_MS = 0.05;
const STEPS = 40_000;

/** Times between 0 and 2 s in steps of 0.05 ms; longer ones count as 2 s. Adding costs nothing. */
export class Histogram {
  readonly #counts = new Uint32Array(STEPS + 1);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(ms: number, times = 1): void {
    const step = Math.min(STEPS, Math.max(0, Math.floor(ms / STEP_MS)));
    this.#counts[step] = (this.#counts[step] ?? 0) + times;
    this.#total += times;
  }

  /** The time below which `share` (0..1) of them lies, ms; NaN for none. */
  quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let step = 0; step <= STEPS; step++) {
      left -= this.#counts[step] ?? 0;
      if (left <= 0 && this.#total > 0) return (step + 0.5) * STEP_MS;
    }
    return Number.NaN;
  }
}

/** What a side did in one run. */
export type Run = {
  /** Acknowledged opens a second. */
  readonly opensPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU of all processes of the side, the client's not among them, µs an open. */
  readonly serverCpuUs: number;
  readonly clientCpuUs: number;
};

/** The median of each figure by itself. */
export function medianRun(runs: readonly Run[]): Run {
  return {
    opensPerS: median(runs.map((run) => run.opensPerS)),
    p50Ms: median(runs.map((run) => run.p50Ms)),
    p99Ms: median(runs.map((run) => run.p99Ms)),
    serverCpuUs: median(runs.map((run) => run.serverCpuUs)),
    clientCpuUs: median(runs.map((run) => run.clientCpuUs)),
  };
}

/**
 * `width` callers, each with one call on its way, until the time is over. `call` gets the number of
 * the open, from 0; it says how many opens it made, 0 when there are no more packets.
 */
export async function closedLoop(args: {
  seconds: number;
  width: number;
  call: (number: number) => Promise<number>;
  /** CPU that the servers have used so far, µs. */
  serverCpuUs: () => number;
}): Promise<Run> {
  const { seconds, width, call } = args;
  const times = new Histogram();
  const serverBefore = args.serverCpuUs();
  const ownBefore = process.cpuUsage();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let next = 0;
  let lastMs = startMs;
  const caller = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < endMs;) {
      const made = await call(next++);
      if (made === 0) return;
      lastMs = performance.now();
      times.add(lastMs - nowMs, made);
      nowMs = lastMs;
    }
  };
  await Promise.all(Array.from({ length: width }, caller));
  const own = process.cpuUsage(ownBefore);
  return {
    opensPerS: times.total / ((lastMs - startMs) / 1_000),
    p50Ms: times.quantile(0.5),
    p99Ms: times.quantile(0.99),
    serverCpuUs: (args.serverCpuUs() - serverBefore) / times.total,
    clientCpuUs: (own.user + own.system) / times.total,
  };
}
