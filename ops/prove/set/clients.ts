import { MemoryBus } from '../../../lib/adapter/memory-bus.ts';
import { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { SystemClock } from '../../../lib/adapter/system-clock.ts';
import { SystemRandom } from '../../../lib/adapter/system-random.ts';
import type { Log } from '../../../lib/port/log.ts';
import { createMetrics } from '../../../lib/runtime/metrics.ts';
import type { SetNodeClient } from '../../../lib/runtime/stream.ts';
import type { Reconciler } from '../../../reconciler/server.ts';
import { startReconciler } from '../../../reconciler/server.ts';
import type { TopologyRouter } from '../../../router/router.ts';
import { createRouter } from '../../../router/router.ts';
import type { Topology } from '../../../router/topology.ts';
import { pause } from '../member.ts';
import { History } from './history.ts';
import { Load } from './load.ts';
import { People } from './people.ts';

/** Enough for a proof of an hour of sending. */
const WELCOME_CENTS = 100_000_000;

export type ClientOptions = {
  readonly people: number;
  readonly ratePerS: number;
  readonly seed: number;
};

/** NaN where a Set did not answer. */
type Settled = { readonly pendingTransfers: number; readonly mismatchCents: number };

/** What stands on the other side of the Set: a router as access has it, people, and a courier. */
export class Clients {
  readonly router: TopologyRouter;
  readonly history = new History({ welcomeCents: WELCOME_CENTS });
  readonly people: People;
  readonly load: Load;
  readonly #reconciler: Reconciler;

  constructor(args: {
    options: ClientOptions;
    topology: Topology;
    connect: (address: string) => SetNodeClient;
    log: Log;
  }) {
    const { options, topology, connect, log } = args;
    const { history } = this;
    const clock = new SystemClock();
    // Ids and back-off need not repeat; the choice of packets, people and amounts does.
    const random = new SystemRandom();
    const bus = new MemoryBus({ clock, log });
    const metrics = createMetrics();
    const router = createRouter({ topology, clock, random, log, connect });
    this.router = router;
    this.people = new People({ router, history, random, count: options.people });
    const { people } = this;
    const seeded = new SeededRandom(options.seed);
    this.load = new Load({ people, random: seeded, ratePerS: options.ratePerS });
    this.#reconciler = startReconciler({ router, bus, clock, random, log, metrics });
  }

  /** Asks until nothing is on its way any more; the last answer when that takes too long. */
  async settle(withinMs: number): Promise<Settled> {
    const endMs = performance.now() + withinMs;
    const sets = this.router.sets();
    for (;;) {
      const answers = await Promise.all(sets.map((set) => this.router.query(set, { money: {} })));
      const money = answers.map(({ reply }) => reply?.money ?? null);
      const sum = (read: (one: NonNullable<(typeof money)[number]>) => string | number): number =>
        money.reduce((total, one) => total + (one === null ? Number.NaN : Number(read(one))), 0);
      const settled = {
        pendingTransfers: sum((one) => one.pendingTransfers),
        mismatchCents:
          sum((one) => one.walletsCents) +
          sum((one) => one.packetsCents) +
          sum((one) => one.clearingCents) +
          sum((one) => one.issuerCents),
      };
      if (settled.pendingTransfers === 0 || performance.now() > endMs) return settled;
      await pause(50);
    }
  }

  async close(): Promise<void> {
    this.people.stop();
    await this.#reconciler.stop();
    await this.router.close();
  }
}
