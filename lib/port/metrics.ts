/** Numbers for Prometheus. Names follow its conventions: `hongbao_…`, base units, `_total` for counters. */
export interface Metrics {
  counter(args: MetricArgs): Counter;
  gauge(args: MetricArgs): Gauge;
  histogram(args: MetricArgs & { buckets: readonly number[] }): Histogram;
  /** The text exposition format. */
  expose(): Promise<string>;
}

export type MetricArgs = { name: string; help: string; labels?: readonly string[] };
export type Labels = Readonly<Record<string, string | number>>;

export interface Counter {
  add(value: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}
