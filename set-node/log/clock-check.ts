import type { Clock } from '../../lib/port/clock.ts';
import type { Probe, ReplicaStore } from '../../lib/port/replica-store.ts';
import { askAll } from './ask-all.ts';

/** Rulings 7: packets would expire early. */
export const AHEAD_MS_MAX = 5_000;

/** Two replicas of a Set on one disk are one replica: refused at start. Final. */
export class SharedDataDirectory extends Error {
  override readonly name = 'SharedDataDirectory';
  readonly code = 'shared_data_directory';
}

/**
 * How far this node's clock is ahead of the median of its replicas', ms; 0 when it is not, null when
 * fewer than Q answer. Throws {@link SharedDataDirectory} when two of them share a disk.
 */
export async function clockAheadMs(args: {
  replicas: readonly ReplicaStore[];
  quorum: number;
  clock: Clock;
}): Promise<number | null> {
  const { replicas, quorum, clock } = args;
  // Ours is read first: a slow answer makes us look behind, never ahead.
  const now = clock.now();
  const probes = await askAll({
    calls: replicas.map((store) => store.probe()),
    isEnough: (found) => found.filter((probe) => probe !== null).length >= quorum,
    clock,
  });
  assertApart(probes);
  const clocks = probes.filter((probe) => probe !== null).map(({ clockMs }) => clockMs);
  if (clocks.length < quorum) return null;
  clocks.sort((a, b) => a - b);
  const lower = clocks[Math.floor((clocks.length - 1) / 2)] ?? now;
  const upper = clocks[Math.floor(clocks.length / 2)] ?? now;
  return Math.max(0, now - (lower + upper) / 2);
}

export function isTooFarAhead(aheadMs: number): boolean {
  return aheadMs > AHEAD_MS_MAX;
}

/** Throws {@link SharedDataDirectory}. */
export function assertApart(probes: readonly (Probe | null)[]): void {
  const seen = new Map<string, number>();
  for (const [replica, probe] of probes.entries()) {
    if (probe === null) continue;
    const other = seen.get(probe.dataDirectory);
    if (other !== undefined) {
      throw new SharedDataDirectory(
        `replicas ${other} and ${replica} share the data directory ${probe.dataDirectory}`,
      );
    }
    seen.set(probe.dataDirectory, replica);
  }
}
