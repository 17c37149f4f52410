import { makeJsonLog } from '../lib/adapter/json-log.ts';
import { MemoryBus } from '../lib/adapter/memory-bus.ts';
import { SystemClock } from '../lib/adapter/system-clock.ts';
import { SystemRandom } from '../lib/adapter/system-random.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import { logConfig } from '../lib/runtime/config.ts';
import { openSetNode } from '../lib/runtime/grpc.ts';
import { Lifecycle, guardProcess } from '../lib/runtime/lifecycle.ts';
import { serveMetrics } from '../lib/runtime/metrics-endpoint.ts';
import { createMetrics } from '../lib/runtime/metrics.ts';
import { createRouter } from '../router/router.ts';
import { needTopology } from '../router/topology-file.ts';
import { readReconcilerConfig } from './config.ts';
import { startReconciler } from './server.ts';

/** A reconciler as a process of its own, against the Sets of a topology file. */
async function main(args: { flags: readonly string[]; clock: Clock; log: Log }): Promise<void> {
  const { flags, clock, log } = args;
  const config = readReconcilerConfig(flags);
  logConfig(log, config);
  const { values } = config;
  const topology = await needTopology(values.topologyFile);

  const lifecycle = new Lifecycle({ log });
  guardProcess({ lifecycle, log });
  const random = new SystemRandom();
  const metrics = createMetrics();
  if (values.metricsPort > 0) {
    await lifecycle.start(() => serveMetrics({ port: values.metricsPort, metrics }));
  }
  const router = createRouter({ topology, clock, random, log, connect: openSetNode });
  await lifecycle.start(() => ({ name: 'router', close: () => router.close() }));
  const { pollMs, moneyMs, drainMs } = values;
  const times = { pollMs, moneyMs, drainMs };
  // Rings within this process only; from the Sets of others no bell comes, and the poll finds all.
  const bus = new MemoryBus({ clock, log });
  const reconciler = startReconciler({ router, bus, clock, random, log, metrics, times });
  await lifecycle.start(() => ({ name: 'reconciler', ...reconciler }));
  log.info('ready', { sets: router.sets().length, topologyVersion: router.topologyVersion });
}

if (import.meta.main) {
  const clock = new SystemClock();
  const log = makeJsonLog({ clock });
  main({ flags: process.argv.slice(2), clock, log }).catch((error: unknown) => {
    log.error('not_started', { reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  });
}
