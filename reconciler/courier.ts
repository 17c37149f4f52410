import { DecodeError } from '../lib/core/bytes.ts';
import type { Command } from '../lib/core/command.ts';
import { encodeDelivery } from '../lib/core/delivery.ts';
import type { Outcome } from '../lib/core/outcome.ts';
import { succeeded } from '../lib/core/outcome.ts';
import { retryOf } from '../lib/core/status.ts';
import { LANE_COUNT, LANES } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import { epoch, lsn, setId } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { EncodedCommand, Router } from '../router/api.ts';
import type { Cases } from './cases.ts';
import type { CourierMetrics } from './courier-metrics.ts';
import type { Ack, Delivery } from './lane.ts';
import { Lane, LANE_AHEAD_MAX } from './lane.ts';
import type { Paged } from './outbox-page.ts';
import { pageOf } from './outbox-page.ts';
import type { Way } from './way.ts';
import { caseOf, newWay, passed } from './way.ts';

const COURIER_LIMITS = {
  /** Between two looks into one outbox: far below the 50 ms in which a claim settles. */
  lookEveryMs: 10,
  /** Outbox entries of one query: as many as may be on their way of one lane. */
  fetchEntriesMax: 4_096,
  /**
   * A look that found so many may not have seen the end of some lane: of n lanes each gets its part
   * of the look, so that one that was cut brings N/n, and the others at least n - 1, together 90.
   */
  moreBehindMin: 64,
  /**
   * Deliveries of one lane in one turn, half of what may be on its way: while its receiver commits
   * one half the courier makes the other, and neither waits for the other.
   */
  turnDeliveriesMax: LANE_AHEAD_MAX / 2,
  /** Another's lane whose oldest entry has not moved since the look before (5 s) is carried here too. */
  adoptAgeMs: 4_000,
} as const;

/** The greatest number: nothing more of this lane for now. */
const NOTHING_MORE = Number.MAX_SAFE_INTEGER;

export type CourierPorts = {
  readonly router: Router;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: CourierMetrics;
  readonly cases: Cases;
};

type Route = {
  readonly to: SetId;
  readonly number: number;
  readonly lane: Lane;
  readonly out: Way;
  readonly back: Way;
  /** Carried although the outbox is another's: it stood still there. */
  adopted: boolean;
  /** Of a lane that is another's: the oldest entry of its outbox, and since when it is. */
  head: { readonly number: number; readonly sinceMs: number } | null;
};

/**
 * Carries the outbox of one source Set: reads it, delivers each lane, and tells the source what was
 * received. Retries for ever and never skips; it may die anywhere, and others may carry the
 * same lanes at the same time: both ends are idempotent. Lanes and destinations do not wait for each
 * other; those of greater urgency go first.
 */
export class Courier {
  readonly #source: SetId;
  readonly #ports: CourierPorts;
  readonly #routes = new Map<number, Route>();
  /** By lane, then by destination: the order in which they leave. */
  #order: Route[] = [];
  /** False: another reconciler carries this outbox, and this one only what stands still there. */
  #owns = true;
  #fetching = false;
  /** Rung while fetching: the answer may be older than the bell. */
  #again = false;
  #watching = false;
  /** Something came of these: what follows leaves together, when all that came with it is noted. */
  #moved = new Set<Route>();
  #stopped = false;
  /** No look since the last {@link wake} found anything that was not held already. */
  #drained = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(source: SetId, ports: CourierPorts) {
    this.#source = source;
    this.#ports = ports;
  }

  /** The newest look found nothing, and everything before it is delivered and confirmed. */
  get isIdle(): boolean {
    if (this.#carriesAny && !this.#drained) return false;
    return this.#order.every((route) => route.lane.isIdle);
  }

  /** What is held when this ends is carried all the same: to stop halfway would help nobody. */
  set owns(owns: boolean) {
    if (owns === this.#owns) return;
    this.#owns = owns;
    for (const route of this.#order) [route.adopted, route.head] = [false, null];
    if (owns) this.wake();
  }

  get #carriesAny(): boolean {
    return this.#owns || this.#order.some((route) => route.adopted);
  }

  /** Age of the oldest unsettled entry of this lane since it was first seen here, seconds. */
  oldestSeconds(lane: number): number {
    const now = this.#ports.clock.monotonicMs();
    let oldestMs = 0;
    for (const route of this.#order) {
      if (route.number !== lane || route.lane.isIdle) continue;
      oldestMs = Math.max(oldestMs, now - (route.lane.oldest?.seenAtMs ?? now));
    }
    return oldestMs / 1_000;
  }

  /** Looks into the outbox now; what is found goes out at once. */
  wake(): void {
    if (this.#stopped || !this.#carriesAny) return;
    this.#drained = false;
    if (this.#fetching) {
      this.#again = true;
      return;
    }
    this.#fetching = true;
    const { clock } = this.#ports;
    // At rest at once; under load the bells of a few milliseconds are one look and one delivery.
    const restMs = this.#lookedAtMs + COURIER_LIMITS.lookEveryMs - clock.monotonicMs();
    if (restMs <= 0) void this.#fetch();
    else clock.after(restMs, () => void this.#fetch());
  }

  /** Looks again unless a look is under way: for those who wait until it is idle. */
  nudge(): void {
    if (!this.#fetching) this.wake();
  }

  /** Abandons what is on its way. */
  stop(): void {
    this.#stopped = true;
  }

  /** Looks whether another's lanes move, and carries those that do not. */
  async watch(): Promise<void> {
    if (this.#stopped || this.#owns || this.#watching) return;
    this.#watching = true;
    this.#openRoutes();
    const limit = this.#order.length;
    const page = await this.#ask({ after: () => 0, limit });
    this.#watching = false;
    if (this.#stopped || this.#owns || page === null) return;
    const now = this.#ports.clock.monotonicMs();
    for (const route of this.#order) {
      const oldest = page.find((each) => each.to === route.to && each.lane === route.number);
      if (oldest === undefined) route.head = null;
      else if (route.head?.number !== oldest.number) {
        route.head = { number: oldest.number, sinceMs: now };
      } else if (!route.adopted && now - route.head.sinceMs >= COURIER_LIMITS.adoptAgeMs) {
        route.adopted = true;
        const { to, number: lane } = route;
        this.#ports.log.warn('lane_adopted', { from: this.#source, to, lane, at: oldest.number });
      }
    }
    this.wake();
  }

  async #fetch(): Promise<void> {
    if (this.#stopped) return;
    this.#lookedAtMs = this.#ports.clock.monotonicMs();
    this.#openRoutes();
    const page = await this.#ask({
      after: (route) => this.#cursorOf(route),
      limit: COURIER_LIMITS.fetchEntriesMax,
    });
    this.#fetching = false;
    if (this.#stopped) return;
    const fresh = page === null ? 0 : this.#offer(page);
    this.#drained = page?.length === 0 && !this.#again;
    if (this.#drained) for (const route of this.#order) route.adopted &&= !route.lane.isIdle;
    for (const route of this.#order) if (!route.lane.isIdle) this.#pump(route);
    this.#review();
    // After much there is more behind it; anything else waits for the bell or the poll.
    if (this.#again || fresh >= COURIER_LIMITS.moreBehindMin) {
      this.#again = false;
      this.wake();
    }
  }

  /** null: no answer, or none that can be read. */
  async #ask(args: { after: (route: Route) => number; limit: number }): Promise<Paged[] | null> {
    const { after, limit } = args;
    // What is not named is read from its beginning: with 100 Sets nearly all of them, nearly always.
    const cursors: { to: number; lane: number; after: number }[] = [];
    for (const route of this.#order) {
      const from = after(route);
      if (from > 0) cursors.push({ to: route.to, lane: route.number, after: from });
    }
    const ask = { outbox: { cursors, limit, packed: true } };
    const { status, reply } = await this.#ports.router.query(this.#source, ask);
    if (status !== 'ok' || !reply?.outbox) return null;
    try {
      return pageOf(reply.outbox);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#ports.log.error('outbox_unreadable', { from: this.#source, reason: error.message });
      return null;
    }
  }

  #offer(page: readonly Paged[]): number {
    const seenAtMs = this.#ports.clock.monotonicMs();
    let fresh = 0;
    for (const { to, lane: number, number: at, transfer } of page) {
      const route = this.#route(to, number);
      if (!this.#carries(route)) continue;
      const before = route.lane.heldCount;
      route.lane.offer({ number: at, transfer, seenAtMs });
      fresh += route.lane.heldCount - before;
    }
    this.#putInOrder();
    return fresh;
  }

  #carries(route: Route): boolean {
    return this.#owns || route.adopted;
  }

  /** 0: all of what is there. Of an idle lane its source has let go all that was read. */
  #cursorOf(route: Route): number {
    if (!this.#carries(route)) return NOTHING_MORE;
    return route.lane.isIdle ? 0 : (route.lane.cursor ?? NOTHING_MORE);
  }

  #pump(route: Route): void {
    if (this.#stopped) return;
    const { lane } = route;
    for (let left: number = COURIER_LIMITS.turnDeliveriesMax; !route.out.waits; left--) {
      const delivery = left > 0 ? lane.nextDelivery() : null;
      if (delivery === null) {
        if (left === 0) this.#pumpSoon(route);
        break;
      }
      void this.#deliver(route, delivery);
    }
    if (!route.back.waits) {
      const ack = lane.nextAck();
      if (ack !== null) void this.#ack(route, ack);
    }
  }

  /** Answers come many in a message: one acknowledgement for them, and one message of deliveries. */
  #pumpSoon(route: Route): void {
    this.#moved.add(route);
    if (this.#moved.size > 1) return;
    this.#ports.clock.soon(() => {
      const moved = this.#moved;
      this.#moved = new Set();
      for (const each of this.#order) if (moved.has(each)) this.#pump(each);
    });
  }

  async #deliver(route: Route, delivery: Delivery): Promise<void> {
    const { clock, metrics } = this.#ports;
    const { to, number: lane } = route;
    const { first, held } = delivery;
    const transfers = held.map(({ transfer }) => transfer);
    const bytes = encodeDelivery({ from: this.#source, lane, first, transfers });
    const { outcome, mark } = await this.#send(to, { type: 'transfer.deliver', bytes });
    if (this.#stopped) return;
    const receipts =
      succeeded(outcome) && outcome.type === 'transfer.deliver' ? outcome.receipts : null;
    if (receipts?.length !== transfers.length) {
      const isFinal = retryOf(outcome.status) === 'final';
      if (isFinal) route.lane.deliveryRefused(delivery);
      else route.lane.deliveryFailed(delivery);
      if (isFinal && transfers.length === 1) route.out.refused = first;
      // Those that left together fail together: one failure, one pause.
      if (!route.out.waits) this.#retry(route, { outcome, step: 'deliver', way: route.out });
      return;
    }
    const wasFull = route.lane.cursor === null;
    route.lane.received({ receipts, epoch: mark.epoch, lsn: mark.lsn }, delivery);
    passed(route.out);
    const oldest = held[0]?.seenAtMs ?? clock.monotonicMs();
    metrics.settleLag.observe((clock.monotonicMs() - oldest) / 1_000, { lane });
    metrics.delivered.add(transfers.length, { lane });
    this.#pumpSoon(route);
    if (wasFull) this.wake();
  }

  async #ack(route: Route, ack: Ack): Promise<void> {
    const { outcome } = await this.#send(this.#source, {
      type: 'transfer.ack',
      to: route.to,
      lane: route.number,
      upTo: ack.upTo,
      tombstones: ack.tombstones,
      receiptEpoch: epoch(ack.receiptEpoch),
      receiptLsn: lsn(ack.receiptLsn),
    });
    if (this.#stopped) return;
    if (!succeeded(outcome)) {
      route.lane.ackFailed();
      if (retryOf(outcome.status) === 'final') route.back.refused = route.lane.oldest?.number ?? 0;
      this.#retry(route, { outcome, step: 'ack', way: route.back });
      return;
    }
    route.lane.acked();
    passed(route.back);
    if (ack.tombstones.length > 0) {
      this.#ports.metrics.tombstones.add(ack.tombstones.length, { lane: route.number });
    }
    this.#reviewRoute(route);
    this.#pump(route);
  }

  #retry(route: Route, args: { outcome: Outcome; step: 'deliver' | 'ack'; way: Way }): void {
    const { outcome, step, way } = args;
    const { status } = outcome;
    this.#ports.metrics.retries.add(1, { step, status });
    way.tries += 1;
    way.lastAnswer = status;
    way.waits = true;
    this.#reviewRoute(route);
    this.#ports.clock.after(way.backoff.next(), () => {
      way.waits = false;
      this.#pump(route);
    });
  }

  #send(to: SetId, command: Command | EncodedCommand): ReturnType<Router['command']> {
    return this.#ports.router.command(to, command);
  }

  #review(): void {
    // The case of one that became idle was closed by its last acknowledgement.
    for (const route of this.#order) if (!route.lane.isIdle) this.#reviewRoute(route);
  }

  /** Opens, updates or closes the case of a lane. */
  #reviewRoute(route: Route): void {
    const { cases, clock } = this.#ports;
    const where = { from: this.#source, to: route.to, lane: route.number };
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.now() };
    const found = caseOf({ where, lane: route.lane, out: route.out, back: route.back, now });
    if (found === null) cases.close(where);
    else cases.tell(found);
  }

  /** A route for every lane of every Set: Sets may join while this runs. */
  #openRoutes(): void {
    for (const to of this.#ports.router.sets()) {
      for (let lane = 0; lane < LANE_COUNT; lane++) this.#route(to, lane);
    }
    this.#putInOrder();
  }

  #putInOrder(): void {
    if (this.#order.length === this.#routes.size) return;
    this.#order = [...this.#routes.values()].toSorted((a, b) => a.number - b.number || a.to - b.to);
  }

  #route(to: SetId, number: number): Route {
    const key = to * LANE_COUNT + number;
    let route = this.#routes.get(key);
    if (route === undefined) {
      const { random } = this.#ports;
      route = {
        to: setId(to),
        number,
        // Money is added in any order; what makes groups and packets goes one by one.
        lane: new Lane(number === LANES.control ? 1 : LANE_AHEAD_MAX),
        out: newWay(random),
        back: newWay(random),
        adopted: false,
        head: null,
      };
      this.#routes.set(key, route);
    }
    return route;
  }
}
