import { figure } from '../cli.ts';
import type { Bench } from './bench.ts';
import { benchDriver } from './driver.ts';
import { benchOpenEmbedded } from './open-embedded.ts';
import { rounded } from './statistics.ts';

/** Everything in one process over 500 sockets, and the driver by itself. */
export const openEmbeddedBench: Bench = {
  seconds: 4,
  runs: 3,
  conditions: () => ({
    durability: 'SQLite WAL, synchronous=FULL, N=1, Q=1; every answer after fsync',
    processes: 'server and client are two processes on one machine',
  }),
  run: async (flags, log) => {
    log('driver alone');
    const driver = await benchDriver({ runs: flags.runs });
    const { full, half } = await benchOpenEmbedded({ ...flags, log });
    return [
      figure({
        name: 'durable opens over 500 sockets',
        value: Math.round(full.opensPerS),
        unit: 'opens/s',
        goal: { atLeast: 20_000 },
      }),
      figure({ name: 'p99 at that rate', value: rounded(full.p99Ms, 1), unit: 'ms' }),
      figure({
        name: 'server CPU an open, all threads',
        value: rounded(full.serverCpuUs, 1),
        unit: 'µs',
      }),
      figure({
        name: 'rate of the half-load run',
        value: Math.round(half.opensPerS),
        unit: 'opens/s',
      }),
      figure({ name: 'p50 at half of it', value: rounded(half.p50Ms, 1), unit: 'ms' }),
      figure({
        name: 'p99 at half of it',
        value: rounded(half.p99Ms, 1),
        unit: 'ms',
        goal: { atMost: 50 },
      }),
      figure({
        name: 'driver alone, CPU an open',
        value: rounded(driver.cpuUs, 2),
        unit: 'µs',
        goal: { atMost: 5 },
      }),
      figure({ name: 'driver alone, rate', value: Math.round(driver.opensPerS), unit: 'opens/s' }),
    ];
  },
};
