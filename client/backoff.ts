import type { Platform } from './platform.ts';

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 10_000;

/**
 * Full jitter: uniform in [min, min(max, min·2^attempt)], so that many clients whom one event cut
 * off do not come back together. `attempt` counts from 0; result in milliseconds.
 */
export function fullJitterMs(args: {
  readonly attempt: number;
  readonly random: number;
  readonly minMs?: number;
  readonly maxMs?: number;
}): number {
  const { attempt, random, minMs = RECONNECT_MS_MIN, maxMs = RECONNECT_MS_MAX } = args;
  // 2^30 is beyond every cap; a larger exponent would only overflow.
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(30, attempt + 1));
  return minMs + random * (ceiling - minMs);
}

export function sleep(platform: Platform, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    platform.after(delayMs, resolve);
  });
}
