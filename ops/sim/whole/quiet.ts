import type { Metrics } from '../../../lib/port/metrics.ts';

/** Nobody scrapes a simulated process. */
export const NO_METRICS: Metrics = {
  counter: () => ({ add: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
  expose: () => Promise.resolve(''),
};
