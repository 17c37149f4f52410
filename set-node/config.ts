import { LIMITS } from '../lib/core/limits.ts';
import { RULES_MAX, RULES_MIN } from '../lib/core/rules.ts';
import { NODE_SLOT_MAX, SET_ID_MAX, setId } from '../lib/core/units.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Config } from '../lib/runtime/config.ts';
import { ConfigError, readConfig, secret, text, whole, yesNo } from '../lib/runtime/config.ts';
import type { Policy } from './machine/policy.ts';

const NODE_SETTINGS = {
  topologyFile: text('.data/topology.json', 'The topology document'),
  nodeSlot: whole(0, {
    min: 0,
    max: NODE_SLOT_MAX,
    help: 'Which node of its Sets this process is: its place among their nodes in the topology',
  }),
  sets: text('', 'Numbers of the Sets to serve, joined by commas; empty: all with this node slot'),
  host: text('', 'Address to listen on; empty: the one of the topology'),
  keyFile: text('.data/keys', "The cluster's keys; every node has the same file"),
  dbPassword: secret('Password of the database users; or dbPasswordFile'),
  dbPasswordFile: text('', 'File that holds the password of the database users'),
  natsUrl: text(
    '',
    'NATS server that bells ring over, nats://host:port; empty: couriers only poll',
  ),
  metricsPort: whole(0, {
    min: 0,
    max: 65_535,
    help: 'Port of /metrics, /healthz and /readyz on the loopback; 0 for none',
  }),
  bootstrapMs: whole(60_000, {
    min: 1_000,
    max: 3_600_000,
    help: 'How long the replicas of a new Set may take to appear, all of them',
  }),
  newSetRules: whole(RULES_MAX, {
    min: RULES_MIN,
    max: RULES_MAX,
    help: 'Rules of a Set that is new: lower while builds of before run beside it (`set upgrade`)',
  }),
  trustDisks: yesNo(
    false,
    'Signed by an operator, for one start: restarted replicas vote where no quorum is to be had',
  ),
};

/** What the operator allows; every node of a Set should have the same. */
const POLICY_SETTINGS = {
  packetTotalCentsMax: upTo(LIMITS.packetTotalCentsMax, 'Largest packet, cents'),
  packetCountMax: upTo(LIMITS.packetCountMax, 'Most shares of a packet'),
  shareCentsMin: upTo(
    LIMITS.packetTotalCentsMax,
    'Smallest mean share, cents',
    LIMITS.shareCentsMin,
  ),
  shareCentsMax: upTo(
    LIMITS.packetTotalCentsMax,
    'Largest mean share, cents',
    LIMITS.shareCentsMax,
  ),
  dailyCentsMax: upTo(LIMITS.issuedCentsMax, 'Sent a person and day, cents', LIMITS.dailyCentsMax),
  dailyPacketsMax: upTo(LIMITS.issuedCentsMax, 'Packets a person and day', LIMITS.dailyPacketsMax),
  ownPackets: yesNo(true, 'May a sender open his own packet?'),
};

function upTo(max: number, help: string, fallback = max) {
  return whole(fallback, { min: 1, max, help });
}

export const SET_NODE_SETTINGS = { ...NODE_SETTINGS, ...POLICY_SETTINGS };

export type SetNodeConfig = Config<typeof SET_NODE_SETTINGS>;

/** Throws ConfigError. `HONGBAO_…` variables and flags of lib/runtime/config.ts. */
export function readSetNodeConfig(flags: readonly string[]): SetNodeConfig {
  return readConfig({ settings: SET_NODE_SETTINGS, flags });
}

/** The policy among the settings. Throws ConfigError when its parts contradict each other. */
export function policyOf(values: SetNodeConfig['values']): Policy {
  const { packetTotalCentsMax, packetCountMax, shareCentsMin, shareCentsMax } = values;
  const { dailyCentsMax, dailyPacketsMax, ownPackets } = values;
  if (shareCentsMin > Math.min(shareCentsMax, packetTotalCentsMax)) {
    throw new ConfigError('shareCentsMin is above shareCentsMax or packetTotalCentsMax');
  }
  const packet = { packetTotalCentsMax, packetCountMax, shareCentsMin, shareCentsMax };
  return { ...packet, dailyCentsMax, dailyPacketsMax, ownPackets };
}

/** `1, 2` → Sets 1 and 2; empty: null, all of them. Throws ConfigError. */
export function setsOf(list: string): readonly SetId[] | null {
  const words = list.split(',').map((one) => one.trim());
  const numbers = words.filter((one) => one !== '').map(Number);
  for (const number of numbers) {
    if (Number.isInteger(number) && number >= 0 && number <= SET_ID_MAX) continue;
    throw new ConfigError(`sets are numbers from 0 to ${SET_ID_MAX}, joined by commas`);
  }
  return numbers.length === 0 ? null : numbers.map(setId);
}
