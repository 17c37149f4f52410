import type { Counter, Gauge, Histogram, Metrics } from '../lib/port/metrics.ts';

export type CourierMetrics = {
  readonly settleLag: Histogram;
  readonly delivered: Counter;
  readonly tombstones: Counter;
  readonly retries: Counter;
  readonly oldest: Gauge;
};

export function courierMetrics(metrics: Metrics): CourierMetrics {
  return {
    settleLag: metrics.histogram({
      name: 'hongbao_settle_lag_seconds',
      help: 'From seeing a transfer in the outbox to its receipt, oldest of each delivery',
      labels: ['lane'],
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 300],
    }),
    delivered: metrics.counter({
      name: 'hongbao_settle_transfers_total',
      help: 'Transfers that their destination has committed',
      labels: ['lane'],
    }),
    tombstones: metrics.counter({
      name: 'hongbao_settle_tombstones_total',
      help: 'Transfers that their destination has refused for ever',
      labels: ['lane'],
    }),
    retries: metrics.counter({
      name: 'hongbao_settle_retries_total',
      help: 'Deliveries and acknowledgements that had to be sent again, by reason',
      labels: ['step', 'status'],
    }),
    oldest: metrics.gauge({
      name: 'hongbao_settle_oldest_seconds',
      help: 'Since when the oldest unsettled transfer is known here; 0 when all are settled',
      labels: ['lane'],
    }),
  };
}
