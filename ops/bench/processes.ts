import { readFileSync } from 'node:fs';

/** Linux counts CPU in hundredths of a second for everybody who reads /proc, on every machine. */
const TICK_US = 10_000;

/**
 * CPU that these processes have used so far, all threads, user and system, microseconds; in steps of
 * 10 ms. NaN where there is no /proc. A process that has ended counts as 0.
 */
export function cpuUsOf(pids: readonly number[]): number {
  if (process.platform !== 'linux') return Number.NaN;
  return pids.reduce((sum, pid) => sum + ticksOf(pid) * TICK_US, 0);
}

function ticksOf(pid: number): number {
  try {
    return ticksIn(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return 0;
  }
}

/** Fields 14 and 15; the name before them stands in brackets and may contain anything. */
export function ticksIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
