import type { Counter, Gauge, Metrics } from '../lib/port/metrics.ts';

export type AuditMetrics = {
  readonly cents: Gauge;
  readonly mismatch: Gauge;
  readonly lag: Gauge;
  readonly lsn: Gauge;
  readonly active: Gauge;
  readonly horizon: Gauge;
  readonly violations: Counter;
};

/** What the continuous audit says of itself and of the money. */
export function auditMetrics(metrics: Metrics): AuditMetrics {
  return {
    cents: metrics.gauge({
      name: 'hongbao_audit_cents',
      help: 'Where every cent is by the journals alone: all but issued add up to issued',
      labels: ['where'],
    }),
    mismatch: metrics.gauge({
      name: 'hongbao_audit_mismatch',
      help: 'Counter-examples that the audit has found; the only healthy value is 0',
    }),
    lag: metrics.gauge({
      name: 'hongbao_audit_lag_seconds',
      help: 'How long the oldest committed entry waits to be audited, over all Sets',
    }),
    lsn: metrics.gauge({
      name: 'hongbao_audit_lsn',
      help: 'LSN up to which the books of a Set go',
      labels: ['set'],
    }),
    active: metrics.gauge({
      name: 'hongbao_audit_active',
      help: '1 while this reconciler audits',
    }),
    horizon: metrics.gauge({
      name: 'hongbao_audit_horizon_seconds',
      help: 'How long ended packets, answers and payments stay in memory',
    }),
    violations: metrics.counter({
      name: 'hongbao_audit_violations_total',
      help: 'Counter-examples found, by the rule of SPEC that each breaks',
      labels: ['rule'],
    }),
  };
}
