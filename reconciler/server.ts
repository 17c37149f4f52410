import type { Bus, Subscription } from '../lib/port/bus.ts';
import type { Clock } from '../lib/port/clock.ts';
import { sleep } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Metrics } from '../lib/port/metrics.ts';
import type { Random } from '../lib/port/random.ts';
import { LANE_COUNT } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Router } from '../router/api.ts';
import type { CasesReport } from './cases.ts';
import { Cases } from './cases.ts';
import { courierMetrics } from './courier-metrics.ts';
import { Courier } from './courier.ts';
import type { Work, WorkKey } from './members.ts';
import { Members } from './members.ts';
import { moneyNow } from './money.ts';

/** With them, composition roots need this file alone. */
export { Auditor } from './auditor.ts';
export { startPaymentDesk } from './payments.ts';

export type { CasesReport } from './cases.ts';

export type ReconcilerTimes = {
  /** The bus may lose every bell: outboxes are looked into this often all the same. */
  readonly pollMs: number;
  /** The same while {@link startReconciler}'s `bellsRing` says that bells get through. */
  readonly bellPollMs: number;
  /** How often the cents are counted. */
  readonly moneyMs: number;
  /** What a drain may take; the rest stays in the outboxes, where it is safe. */
  readonly drainMs: number;
  /** How often the outboxes that another reconciler carries are looked into. */
  readonly watchMs: number;
};

const TIMES: ReconcilerTimes = {
  pollMs: 200,
  bellPollMs: 200,
  moneyMs: 2_000,
  drainMs: 2_000,
  watchMs: 5_000,
};
const DRAIN_LOOK_MS = 10;

export type Reconciler = {
  /** Settles what is in the outboxes now, at most `drainMs`, and stops. */
  readonly drain: () => Promise<void>;
  /** Stops at once. Whatever is on its way is found again by the next one. */
  readonly stop: () => Promise<void>;
  /** Lanes that do not move, for people. */
  readonly cases: () => CasesReport;
  /** One of the reconcilers that audit and hear each other does; without a bus all of them may. */
  readonly mayAudit: () => boolean;
  /** Does this one do what `key` stands for, of all that do such work and hear each other? */
  readonly owns: (key: WorkKey) => boolean;
};

/**
 * Settles between all Sets of the router, and counts where every cent is. Reconcilers that share a
 * bus share the outboxes; each of them may die at any moment.
 */
export function startReconciler(args: {
  router: Router;
  bus: Bus;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  times?: Partial<ReconcilerTimes>;
  /** Whether the bus gets through just now; absent: nobody knows, and looks as if it did not. */
  bellsRing?: () => boolean;
  /** What this process is there for: the others leave it that part. Default: all of it. */
  does?: readonly Work[];
}): Reconciler {
  const { router, bus, clock, random, log } = args;
  const times = { ...TIMES, ...args.times };
  const metrics = courierMetrics(args.metrics);
  const cases = new Cases({ log, metrics: args.metrics });
  const members = new Members({ ...args });
  const couriers = new Map<SetId, Courier>();
  let stopped = false;

  const courierOf = (source: SetId): Courier => {
    let courier = couriers.get(source);
    if (courier === undefined) {
      courier = new Courier(source, { router, clock, random, log, metrics, cases });
      couriers.set(source, courier);
    }
    courier.owns = members.owns(`outbox.${source}`);
    return courier;
  };
  // Sets may join while this runs: the topology is asked each time.
  const wakeAll = (): void => {
    for (const source of router.sets()) courierOf(source).wake();
  };
  let lookedAtMs = clock.monotonicMs();
  const poll = (): void => {
    const nowMs = clock.monotonicMs();
    const everyMs = args.bellsRing?.() === true ? times.bellPollMs : 0;
    if (nowMs - lookedAtMs >= everyMs) {
      lookedAtMs = nowMs;
      wakeAll();
    } else for (const source of router.sets()) courierOf(source);
    for (let lane = 0; lane < LANE_COUNT; lane++) {
      const ages = [...couriers.values()].map((courier) => courier.oldestSeconds(lane));
      metrics.oldest.set(Math.max(0, ...ages), { lane });
    }
  };
  const watchAll = (): void => {
    for (const courier of couriers.values()) void courier.watch();
  };

  const bell = (subject: string): void => {
    const source = Number(subject.slice('outbox.'.length));
    const known = router.sets().find((set) => set === source);
    if (known !== undefined) courierOf(known).wake();
  };
  const subscription: Promise<Subscription | null> = bus
    .subscribe('outbox.>', bell)
    .catch((error: unknown) => {
      log.warn('bell_unheard', { reason: String(error) });
      return null;
    });

  const timers = [
    clock.every(times.pollMs, poll),
    clock.every(times.watchMs, watchAll),
    clock.every(times.moneyMs, countMoney(args)),
  ];
  wakeAll();

  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    for (const timer of timers) timer.cancel();
    for (const courier of couriers.values()) courier.stop();
    await members.stop();
    await (await subscription)?.unsubscribe();
  };

  return {
    stop,
    cases: () => ({ reconciler: members.id, members: members.count, ...cases.report() }),
    mayAudit: () => members.owns('audit'),
    owns: (key) => members.owns(key),
    drain: async () => {
      const end = clock.monotonicMs() + times.drainMs;
      wakeAll();
      while (!stopped && clock.monotonicMs() < end) {
        await sleep(clock, DRAIN_LOOK_MS);
        const busy = [...couriers.values()].filter((courier) => !courier.isIdle);
        if (busy.length === 0) break;
        for (const courier of busy) courier.nudge();
      }
      await stop();
    },
  };
}

const WHERE = ['wallets', 'packets', 'in_flight', 'issued', 'pending'] as const;

/** Publishes where the cents are; the mismatch gauge has one healthy value, 0. */
function countMoney(args: { router: Router; log: Log; metrics: Metrics }): () => void {
  const { router, log, metrics } = args;
  const where = metrics.gauge({
    name: 'hongbao_money_cents',
    help: 'Where every cent is, over all Sets',
    labels: ['where'],
  });
  const mismatch = metrics.gauge({
    name: 'hongbao_money_mismatch_cents',
    help: 'Cents that are too many or missing; the only healthy value is 0',
  });
  const missing = metrics.gauge({
    name: 'hongbao_money_sets_missing',
    help: 'Sets that did not answer the last count',
  });
  let counting = false;
  return () => {
    if (counting) return;
    counting = true;
    void moneyNow(router).then((money) => {
      counting = false;
      missing.set(money.missing.length);
      // A sum without one Set would show its money as gone.
      if (money.missing.length > 0) return;
      const values = [
        money.walletsCents,
        money.packetsCents,
        money.inFlightCents,
        money.issuedCents,
        money.pendingCents,
      ];
      for (const [index, name] of WHERE.entries()) where.set(values[index] ?? 0, { where: name });
      mismatch.set(money.mismatchCents);
      if (money.mismatchCents !== 0) log.error('money_mismatch', { ...money });
    });
  };
}
