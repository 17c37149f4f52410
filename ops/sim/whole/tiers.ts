import type { AccessLimits } from '../../../access/limits.ts';
import { limitsWith } from '../../../access/limits.ts';
import type { Assembly } from '../../../access/assembly.ts';
import { assemble } from '../../../access/assembly.ts';
import type { Tokens } from '../../../access/tokens.ts';
import type { Reconciler } from '../../../reconciler/server.ts';
import { startReconciler } from '../../../reconciler/server.ts';
import type { TopologyRouter } from '../../../router/router.ts';
import { createRouter } from '../../../router/router.ts';
import { SimProcess } from '../process.ts';
import { Gateway } from './gateway.ts';
import { NO_METRICS } from './quiet.ts';
import type { Shared } from './shared.ts';
import { logOf, randomOf } from './shared.ts';

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
};

export function startAccess(name: string, shared: Shared, tokens: Tokens): SimAccess {
  const { clock, chance, trace, cache } = shared;
  const process = new SimProcess({ name, clock });
  trace.note(`start ${name}`);
  const log = logOf(shared, name);
  const router = routerOf(process, shared);
  const gateway = new Gateway({ process, clock, chance, trace, weather: shared.sockets });
  const assembly = assemble({
    router,
    cache: cache.of(process),
    clock: process.clock,
    random: randomOf(shared),
    log,
    metrics: NO_METRICS,
    tokens,
    demoCents: WELCOME_CENTS,
    limits: LIMITS,
    publish: gateway.publish,
  });
  gateway.open(assembly);
  return { process, router, assembly, gateway };
}

/** One reconciler process with couriers for every Set. */
export type SimReconciler = { readonly process: SimProcess; readonly reconciler: Reconciler };

export function startCouriers(name: string, shared: Shared): SimReconciler {
  const { clock, trace, bus } = shared;
  const process = new SimProcess({ name, clock });
  trace.note(`start ${name}`);
  const reconciler = startReconciler({
    router: routerOf(process, shared),
    bus: bus.of(process),
    clock: process.clock,
    random: randomOf(shared),
    log: logOf(shared, name),
    metrics: NO_METRICS,
  });
  return { process, reconciler };
}

function routerOf(process: SimProcess, shared: Shared): TopologyRouter {
  const { topology, network } = shared;
  return createRouter({
    topology,
    clock: process.clock,
    random: randomOf(shared),
    log: logOf(shared, process.name),
    connect: (address) => network.connect(address, process),
  });
}
