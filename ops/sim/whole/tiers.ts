import type { AccessLimits } from '../../../access/limits.ts';
import { limitsWith } from '../../../access/limits.ts';
import type { Assembly } from '../../../access/assembly.ts';
import { assemble } from '../../../access/assembly.ts';
import { Callbacks } from '../../../access/payments.ts';
import type { Tokens } from '../../../access/tokens.ts';
import type { Reconciler } from '../../../reconciler/server.ts';
import { Auditor, startPaymentDesk, startReconciler } from '../../../reconciler/server.ts';
import type { ObjectStore } from '../../../lib/port/object-store.ts';
import type { TopologyRouter } from '../../../router/router.ts';
import { createRouter } from '../../../router/router.ts';
import { SimProcess } from '../process.ts';
import { Gateway } from './gateway.ts';
import { NO_METRICS } from './quiet.ts';
import type { Shared } from './shared.ts';
import { logOf, randomOf } from './shared.ts';

/** Minutes of a walk are few: what is written and forgotten seldom must happen in them. */
const AUDIT_TIMES = { checkpointMs: 5_000 };
/** Money that a new person finds, cents. */
const WELCOME_CENTS = 100_000;
/** People of a walk ask faster than people do: the rate limit has tests of its own. */
const LIMITS: AccessLimits = limitsWith({ requestsPerSecond: 1_000, requestsBurst: 1_000 });

/** One access process: the real door behind simulated sockets. */
export type SimAccess = {
  readonly process: SimProcess;
  readonly router: TopologyRouter;
  readonly assembly: Assembly;
  readonly gateway: Gateway;
  readonly callbacks: Callbacks;
};

export function startAccess(name: string, shared: Shared, tokens: Tokens): SimAccess {
  const { clock, chance, trace, cache } = shared;
  const process = new SimProcess({ name, clock });
  trace.note(`start ${name}`);
  const log = logOf(shared, name);
  const router = routerOf(process, shared);
  const gateway = new Gateway({ process, clock, chance, trace, weather: shared.sockets });
  const payments = shared.payments.of(process);
  const assembly = assemble({
    router,
    cache: cache.of(process),
    clock: process.clock,
    random: randomOf(shared),
    log,
    metrics: NO_METRICS,
    tokens,
    demoCents: WELCOME_CENTS,
    gateway: payments,
    limits: LIMITS,
    publish: gateway.publish,
  });
  gateway.open(assembly);
  const callbacks = new Callbacks({
    gateway: payments,
    router,
    clock: process.clock,
    log,
    metrics: NO_METRICS,
  });
  return { process, router, assembly, gateway, callbacks };
}

/** One reconciler process: couriers for every Set, the desk of payments, and the audit. */
export type SimReconciler = {
  readonly process: SimProcess;
  readonly reconciler: Reconciler;
  /** null: nobody audits in this walk. */
  readonly auditor: Auditor | null;
};

/** `store` outlives the process: checkpoints of the audit; null: it does not audit. */
export function startCouriers(
  name: string,
  shared: Shared,
  store: ObjectStore | null,
): SimReconciler {
  const { clock, trace, bus } = shared;
  const process = new SimProcess({ name, clock });
  trace.note(`start ${name}`);
  const router = routerOf(process, shared);
  const log = logOf(shared, name);
  const common = { router, clock: process.clock, log, metrics: NO_METRICS };
  const random = randomOf(shared);
  const reconciler = startReconciler({ ...common, bus: bus.of(process), random });
  const { owns, mayAudit } = reconciler;
  startPaymentDesk({
    ...common,
    gateway: shared.payments.of(process),
    random: randomOf(shared),
    owns: (set) => owns(`payments.${set}`),
  });
  const audit = { ...common, store, mayAudit, times: AUDIT_TIMES };
  const auditor = store === null ? null : new Auditor(audit);
  return { process, reconciler, auditor };
}

export function routerOf(process: SimProcess, shared: Shared): TopologyRouter {
  const { topology, network } = shared;
  return createRouter({
    topology,
    clock: process.clock,
    random: randomOf(shared),
    log: logOf(shared, process.name),
    connect: (address) => network.connect(address, process),
  });
}
