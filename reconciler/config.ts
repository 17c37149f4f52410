import type { Config } from '../lib/runtime/config.ts';
import { ConfigError, readConfig, secret, text, whole, yesNo } from '../lib/runtime/config.ts';

export const RECONCILER_SETTINGS = {
  topologyFile: text('.data/topology.json', 'The topology document'),
  pollMs: whole(200, { min: 10, max: 60_000, help: 'How often outboxes are looked into' }),
  bellPollMs: whole(1_000, {
    min: 10,
    max: 60_000,
    help: 'The same while NATS carries bells: they tell at once, this finds what they missed',
  }),
  natsUrl: text(
    '',
    'NATS server that bells ring over, nats://host:port; empty: none, only polling',
  ),
  moneyMs: whole(2_000, { min: 100, max: 60_000, help: 'How often the cents are counted' }),
  watchMs: whole(5_000, {
    min: 100,
    max: 60_000,
    help: 'How often the outboxes that another reconciler carries are looked into',
  }),
  settle: yesNo(true, 'Carries transfers and asks the gateway; no: this one only audits'),
  audit: yesNo(true, 'Audits the journals of all Sets, when no other reconciler does'),
  auditFolder: text('', 'Folder of the checkpoints of the audit; empty: none, it begins anew'),
  drainMs: whole(2_000, { min: 0, max: 60_000, help: 'What settling at the end may take' }),
  gatewayUrl: text('', 'Payment gateway, https://host/path; empty: no payments are looked after'),
  gatewayKey: secret('Our key at the payment gateway'),
  metricsPort: whole(0, { min: 0, max: 65_535, help: 'Port of /metrics; 0 for none' }),
};

export type ReconcilerConfig = Config<typeof RECONCILER_SETTINGS>;

/** Throws ConfigError. `HONGBAO_…` variables and flags of lib/runtime/config.ts. */
export function readReconcilerConfig(flags: readonly string[]): ReconcilerConfig {
  const config = readConfig({ settings: RECONCILER_SETTINGS, flags });
  const { gatewayUrl, gatewayKey, settle, audit } = config.values;
  if (!settle && !audit) throw new ConfigError('settle and audit are off: nothing is left to do');
  if (gatewayUrl !== '' && gatewayKey === '') {
    throw new ConfigError('gatewayUrl goes with a gatewayKey');
  }
  return config;
}
