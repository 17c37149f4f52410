import type { Config } from '../lib/runtime/config.ts';
import { ConfigError, readConfig, secret, text, whole, yesNo } from '../lib/runtime/config.ts';
import { CALLBACK_SECRET_BYTES_MIN } from '../lib/port/payment-gateway.ts';
import { TOKEN_SECRET_BYTES_MIN } from './tokens.ts';

const HOUR_MS = 3_600_000;

export const ACCESS_SETTINGS = {
  topologyFile: text('.data/topology.json', 'The topology document'),
  host: text('127.0.0.1', 'Address to listen on'),
  port: whole(8_080, { min: 0, max: 65_535, help: 'Port to listen on; 0: any free one' }),
  pageDir: text('client/web/dist', 'The built chat page'),
  tokenSecret: secret('Secret of the HS256 tokens, at least 32 bytes of text'),
  origins: text('', 'Web origins that may open sockets, joined by commas; empty: only its own'),
  devTokens: yesNo(false, 'Give anybody a token for any name: never in production'),
  devTokenMs: whole(24 * HOUR_MS, { min: 1_000, max: 90 * 24 * HOUR_MS, help: 'Their lifetime' }),
  standbyReads: yesNo(true, 'Lists may come from nodes that stand by, so that leaders have time'),
  gatewayUrl: text(
    '',
    'Payment gateway, https://host/path; empty: money neither enters nor leaves',
  ),
  gatewayKey: secret('Our key at the payment gateway'),
  gatewayCallbackSecret: secret('Secret that its callbacks are signed with, at least 32 bytes'),
  demoCents: whole(0, { min: 0, max: 1_000_000, help: 'Demo money of a new user, cents' }),
};

export type AccessConfig = Config<typeof ACCESS_SETTINGS>;

/**
 * `HONGBAO_…` variables and flags of lib/runtime/config.ts.
 * @throws ConfigError on a bad value, a missing secret, and demo money where tokens are real
 */
export function readAccessConfig(flags: readonly string[]): AccessConfig {
  const config = readConfig({ settings: ACCESS_SETTINGS, flags });
  const { tokenSecret, devTokens, demoCents, ...gateway } = config.values;
  if (Buffer.byteLength(tokenSecret) < TOKEN_SECRET_BYTES_MIN) {
    throw new ConfigError(`tokenSecret has at least ${TOKEN_SECRET_BYTES_MIN} bytes`);
  }
  if (demoCents > 0 && !devTokens) {
    throw new ConfigError('demoCents gives money away: it goes with devTokens only');
  }
  if (gateway.gatewayUrl === '') return config;
  if (Buffer.byteLength(gateway.gatewayCallbackSecret) < CALLBACK_SECRET_BYTES_MIN) {
    throw new ConfigError(`gatewayCallbackSecret has at least ${CALLBACK_SECRET_BYTES_MIN} bytes`);
  }
  if (gateway.gatewayKey === '') throw new ConfigError('gatewayUrl goes with a gatewayKey');
  return config;
}

/** `a, b` → `['a', 'b']`; empty: null, the server's own origin only. */
export function originsOf(list: string): readonly string[] | null {
  const origins = list
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  return origins.length === 0 ? null : origins;
}
