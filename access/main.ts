import { HttpGateway } from '../lib/adapter/http-gateway.ts';
import { makeJsonLog } from '../lib/adapter/json-log.ts';
import { MemoryCache } from '../lib/adapter/memory-cache.ts';
import { SystemClock } from '../lib/adapter/system-clock.ts';
import { SystemRandom } from '../lib/adapter/system-random.ts';
import { utf8 } from '../lib/core/bytes.ts';
import { assertLimits } from '../lib/core/limits.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import { logConfig } from '../lib/runtime/config.ts';
import { openSetNode } from '../lib/runtime/grpc.ts';
import { Lifecycle, guardProcess } from '../lib/runtime/lifecycle.ts';
import { createMetrics, processMetrics } from '../lib/runtime/metrics.ts';
import { createRouter } from '../router/router.ts';
import { needTopology } from '../router/topology-file.ts';
import { originsOf, readAccessConfig } from './config.ts';
import { startAccess } from './server.ts';
import { Tokens } from './tokens.ts';

/** An access node as a process of its own, in front of the Sets of a topology file. */
async function main(args: { flags: readonly string[]; clock: Clock; log: Log }): Promise<void> {
  const { flags, clock, log } = args;
  assertLimits();
  const config = readAccessConfig(flags);
  logConfig(log, config);
  const { values } = config;
  const topology = await needTopology(values.topologyFile);

  const lifecycle = new Lifecycle({ log });
  guardProcess({ lifecycle, log });
  const random = new SystemRandom();
  const metrics = createMetrics();
  const refresh = processMetrics(metrics);
  const { standbyReads } = values;
  const connect = openSetNode;
  const router = createRouter({ topology, clock, random, log, connect, standbyReads });
  await lifecycle.start(() => ({ name: 'router', close: () => router.close() }));
  const { host, port, pageDir, demoCents, devTokens, devTokenMs } = values;
  const access = await startAccess({
    host,
    port,
    pageDir,
    demoCents,
    router,
    clock,
    random,
    log,
    metrics: {
      counter: (of) => metrics.counter(of),
      gauge: (of) => metrics.gauge(of),
      histogram: (of) => metrics.histogram(of),
      // The process is measured when somebody asks.
      expose: () => {
        refresh();
        return metrics.expose();
      },
    },
    // The line before a packet is of this node alone: a smaller filter, never a wrong one.
    cache: new MemoryCache({ clock }),
    tokens: new Tokens(utf8(values.tokenSecret)),
    devTokens: devTokens ? { lifetimeMs: devTokenMs } : null,
    gateway:
      values.gatewayUrl === ''
        ? null
        : new HttpGateway({
            url: values.gatewayUrl,
            apiKey: values.gatewayKey,
            callbackSecret: utf8(values.gatewayCallbackSecret),
            clock,
            log,
          }),
    ...withOrigins(values.origins),
  });
  await lifecycle.start(() => ({
    name: 'access',
    drain: () => access.drain(),
    stop: () => Promise.resolve(access.stop()),
  }));
  log.info('ready', { port: access.port, topologyVersion: router.topologyVersion });
}

function withOrigins(list: string): { origins?: readonly string[] } {
  const origins = originsOf(list);
  return origins === null ? {} : { origins };
}

if (import.meta.main) {
  const clock = new SystemClock();
  const log = makeJsonLog({ clock });
  main({ flags: process.argv.slice(2), clock, log }).catch((error: unknown) => {
    log.error('not_started', { reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  });
}
