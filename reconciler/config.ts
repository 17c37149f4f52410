import type { Config } from '../lib/runtime/config.ts';
import { readConfig, text, whole } from '../lib/runtime/config.ts';

export const RECONCILER_SETTINGS = {
  topologyFile: text('.data/topology.json', 'The topology document'),
  pollMs: whole(200, { min: 10, max: 60_000, help: 'How often outboxes are looked into' }),
  moneyMs: whole(2_000, { min: 100, max: 60_000, help: 'How often the cents are counted' }),
  drainMs: whole(2_000, { min: 0, max: 60_000, help: 'What settling at the end may take' }),
  metricsPort: whole(0, { min: 0, max: 65_535, help: 'Port of /metrics; 0 for none' }),
};

export type ReconcilerConfig = Config<typeof RECONCILER_SETTINGS>;

/** Throws ConfigError. `HONGBAO_…` variables and flags of lib/runtime/config.ts. */
export function readReconcilerConfig(flags: readonly string[]): ReconcilerConfig {
  return readConfig({ settings: RECONCILER_SETTINGS, flags });
}
