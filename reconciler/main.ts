import { openFsObjectStore } from '../lib/adapter/fs-object-store.ts';
import { HttpGateway } from '../lib/adapter/http-gateway.ts';
import { makeJsonLog } from '../lib/adapter/json-log.ts';
import { MemoryBus } from '../lib/adapter/memory-bus.ts';
import { NatsBus } from '../lib/adapter/nats-bus.ts';
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
import type { Work } from './members.ts';
import { Members } from './members.ts';
import type { Reconciler } from './server.ts';
import { Auditor, startPaymentDesk, startReconciler } from './server.ts';

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
  let reconciler: Reconciler | null = null;
  if (values.metricsPort > 0) {
    const cases = { '/cases': () => reconciler?.cases() ?? null };
    const documents = values.settle ? cases : {};
    const { metricsPort: port } = values;
    await lifecycle.start(() => serveMetrics({ port, metrics, documents }));
  }
  const router = createRouter({ topology, clock, random, log, connect: openSetNode });
  await lifecycle.start(() => ({ name: 'router', close: () => router.close() }));
  const { pollMs, bellPollMs, moneyMs, drainMs, watchMs, natsUrl: url } = values;
  const times = { pollMs, bellPollMs, moneyMs, drainMs, watchMs };
  // Without a server it rings within this process only: no Set is heard, and the poll finds all.
  const { clusterId: cluster } = topology;
  const nats = url === '' ? null : new NatsBus({ url, cluster, clock, random, log, metrics });
  const bus = nats ?? new MemoryBus({ clock, log });
  await lifecycle.start(() => ({ name: 'bus', close: () => bus.close() }));
  const bellsRing = (): boolean => nats?.isConnected ?? false;
  // What this one is not there for is another's alone.
  const does: Work[] = values.settle ? ['outbox'] : [];
  if (values.settle && values.gatewayUrl !== '') does.push('payments');
  if (values.audit) does.push('audit');
  const common = { router, clock, random, log, metrics };
  let mayAudit: () => boolean;
  if (values.settle) {
    reconciler = startReconciler({ ...common, bus, times, bellsRing, does });
    const { drain, stop } = reconciler;
    await lifecycle.start(() => ({ name: 'reconciler', drain, stop }));
    ({ mayAudit } = reconciler);
  } else {
    const members = new Members({ ...common, bus, does });
    await lifecycle.start(() => ({ name: 'members', stop: () => members.stop() }));
    mayAudit = () => members.owns('audit');
  }
  if (reconciler !== null && values.gatewayUrl !== '') {
    const { gatewayUrl, gatewayKey: apiKey } = values;
    // Callbacks go to the access nodes: their secret has no business here.
    const secrets = { apiKey, callbackSecret: null };
    const gateway = new HttpGateway({ url: gatewayUrl, ...secrets, clock, log });
    const { owns } = reconciler;
    const desk = { router, gateway, clock, random, log, metrics };
    await lifecycle.start(() => ({
      name: 'payments',
      ...startPaymentDesk({ ...desk, owns: (set) => owns(`payments.${set}`) }),
    }));
  }
  if (values.audit) {
    const { auditFolder: folder } = values;
    const store = folder === '' ? null : await openFsObjectStore({ folder });
    const auditor = new Auditor({ router, clock, log, metrics, store, mayAudit });
    await lifecycle.start(() => ({ name: 'audit', stop: () => auditor.stop() }));
  }
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
