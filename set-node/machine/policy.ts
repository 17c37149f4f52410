import { LIMITS } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import type { Status } from '../../lib/core/status.ts';

/**
 * What an operator allows, within LIMITS. It is asked when a command is decided and never at a
 * replay, so that it may change from one start to the next.
 */
export type Policy = {
  readonly packetTotalCentsMax: number;
  readonly packetCountMax: number;
  /** Mean of a packet's shares; of the `equal` kind every one. */
  readonly shareCentsMin: number;
  readonly shareCentsMax: number;
  /** What one person sends in packets on one day of UTC+8. */
  readonly dailyCentsMax: number;
  readonly dailyPacketsMax: number;
  /** May a sender open his own packet? */
  readonly ownPackets: boolean;
};

export const DEFAULT_POLICY: Policy = {
  packetTotalCentsMax: LIMITS.packetTotalCentsMax,
  packetCountMax: LIMITS.packetCountMax,
  shareCentsMin: LIMITS.shareCentsMin,
  shareCentsMax: LIMITS.shareCentsMax,
  dailyCentsMax: LIMITS.dailyCentsMax,
  dailyPacketsMax: LIMITS.dailyPacketsMax,
  ownPackets: true,
};

/** The first rule of the operator that the packet breaks, or null. */
export function checkPolicy(policy: Policy, d: PacketDefinition): Status | null {
  if (d.totalCents > policy.packetTotalCentsMax) return 'amount_out_of_range';
  if (d.count > policy.packetCountMax) return 'count_out_of_range';
  if (d.totalCents > d.count * policy.shareCentsMax) return 'amount_out_of_range';
  return d.totalCents < d.count * policy.shareCentsMin ? 'share_below_minimum' : null;
}
