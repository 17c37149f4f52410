import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as prometheus from 'prom-client';
import { assert } from '../core/assert.ts';
import type { MetricArgs, Metrics } from '../port/metrics.ts';

type Configuration = {
  name: string;
  help: string;
  labelNames: string[];
  registers: prometheus.Registry[];
};

export type RuntimeMetrics = Metrics & {
  /** Of the text that `expose` makes, for the header of the answer. */
  readonly contentType: string;
};

/**
 * Metrics of one world, in a registry of its own: two worlds in one process do not mix. Asking
 * again for a name gives the same metric, so that each of several Sets may register "its" counter.
 */
export function createMetrics(): RuntimeMetrics {
  const registry = new prometheus.Registry();

  /** Asserts that a name is one kind of metric everywhere. */
  const known = <T>(args: MetricArgs, kind: new (configuration: never) => T): T | null => {
    const found = registry.getSingleMetric(args.name);
    if (found === undefined) return null;
    assert(found instanceof kind, `${args.name} has one kind everywhere`);
    return found;
  };
  const configure = (args: MetricArgs): Configuration => ({
    name: args.name,
    help: args.help,
    labelNames: [...(args.labels ?? [])],
    registers: [registry],
  });

  return {
    contentType: registry.contentType,
    counter: (args) => {
      const metric =
        known<prometheus.Counter<string>>(args, prometheus.Counter) ??
        new prometheus.Counter<string>(configure(args));
      return { add: (value, labels) => metric.inc(labels ?? {}, value) };
    },
    gauge: (args) => {
      const metric =
        known<prometheus.Gauge<string>>(args, prometheus.Gauge) ??
        new prometheus.Gauge<string>(configure(args));
      return { set: (value, labels) => metric.set(labels ?? {}, value) };
    },
    histogram: (args) => {
      const metric =
        known<prometheus.Histogram<string>>(args, prometheus.Histogram) ??
        new prometheus.Histogram<string>({ ...configure(args), buckets: [...args.buckets] });
      return { observe: (value, labels) => metric.observe(labels ?? {}, value) };
    },
    expose: () => registry.metrics(),
  };
}

const NS_PER_S = 1e9;
const LOOP_RESOLUTION_MS = 10;

/**
 * Registers what Prometheus expects of any process. Not the library's default metrics: promtool
 * rejects five of their names. Values are read anew by the returned function, before an `expose`.
 */
export function processMetrics(metrics: Metrics): () => void {
  const cpu = metrics.counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time',
  });
  const resident = metrics.gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory',
  });
  const started = metrics.gauge({
    name: 'process_start_time_seconds',
    help: 'Start of the process since 1970',
  });
  const openFiles = metrics.gauge({ name: 'process_open_fds', help: 'Open file descriptors' });
  const heap = metrics.gauge({
    name: 'hongbao_heap_used_bytes',
    help: 'JavaScript heap in use',
  });
  const loop = metrics.gauge({
    name: 'hongbao_event_loop_delay_seconds',
    help: 'Delay of the event loop since the last scrape',
    labels: ['stat'],
  });
  started.set(Math.round(Date.now() / 1_000 - process.uptime()));
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  let counted = 0;

  return () => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6;
    cpu.add(seconds - counted);
    counted = seconds;
    const memory = process.memoryUsage();
    resident.set(memory.rss);
    heap.set(memory.heapUsed);
    const files = countOpenFiles();
    if (files !== null) openFiles.set(files);
    // The histogram has no values before its first sample; what it then says are not numbers.
    const stat = (ns: number): number => (Number.isFinite(ns) ? ns / NS_PER_S : 0);
    loop.set(stat(delay.mean), { stat: 'mean' });
    loop.set(stat(delay.percentile(99)), { stat: 'p99' });
    loop.set(stat(delay.max), { stat: 'max' });
    delay.reset();
  };
}

/** null where the system does not tell (macOS). */
function countOpenFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return null;
  }
}
