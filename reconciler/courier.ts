import { DecodeError, Reader } from '../lib/core/bytes.ts';
import type { Command } from '../lib/core/command.ts';
import type { Outcome } from '../lib/core/outcome.ts';
import { succeeded } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';
import { retryOf } from '../lib/core/status.ts';
import { LANE_COUNT, readTransfer } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import { epoch, lsn, setId } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Random } from '../lib/port/random.ts';
import type { OutboxEntry__Output } from '../proto/gen/hongbao/OutboxEntry.ts';
import type { Router } from '../router/api.ts';
import { Backoff } from '../router/backoff.ts';
import type { CourierMetrics } from './courier-metrics.ts';
import type { Ack, Delivery } from './lane.ts';
import { Lane } from './lane.ts';

const COURIER_LIMITS = {
  /** Between two looks into one outbox: far below the 50 ms in which a claim settles. */
  lookEveryMs: 10,
  /** Outbox entries of one query: two full deliveries to each of some lanes. */
  fetchEntriesMax: 1_024,
  retryFirstMs: 50,
  /** A Set that failed over is back in a second or two: money does not wait longer than that. */
  retryLastMs: 500,
} as const;

export type CourierPorts = {
  readonly router: Router;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: CourierMetrics;
};

type Route = {
  readonly to: SetId;
  readonly number: number;
  readonly lane: Lane;
  readonly deliverBackoff: Backoff;
  readonly ackBackoff: Backoff;
  /** Between a failure and its next try. */
  deliveryWaits: boolean;
  ackWaits: boolean;
};

/**
 * Carries the outbox of one source Set: reads it, delivers each lane in order, and tells the source
 * what was received. Retries for ever and never skips; it may die anywhere. Lanes and destinations
 * do not wait for each other.
 */
export class Courier {
  readonly #source: SetId;
  readonly #ports: CourierPorts;
  readonly #routes = new Map<number, Route>();
  #fetching = false;
  /** Rung while fetching: the answer may be older than the bell. */
  #again = false;
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
    if (!this.#drained) return false;
    return [...this.#routes.values()].every((route) => route.lane.isIdle);
  }

  /** Looks into the outbox now; what is found goes out at once. */
  wake(): void {
    if (this.#stopped) return;
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

  async #fetch(): Promise<void> {
    if (this.#stopped) return;
    const { router, clock } = this.#ports;
    this.#lookedAtMs = clock.monotonicMs();
    const cursors = router.sets().flatMap((to) =>
      Array.from({ length: LANE_COUNT }, (_, lane) => ({
        to,
        lane,
        // The greatest number: nothing more of this lane for now.
        after: this.#route(to, lane).lane.cursor ?? Number.MAX_SAFE_INTEGER,
      })),
    );
    const limit = COURIER_LIMITS.fetchEntriesMax;
    const { status, reply } = await router.query(this.#source, { outbox: { cursors, limit } });
    this.#fetching = false;
    if (this.#stopped) return;
    const entries = status === 'ok' ? (reply?.outbox?.entries ?? []) : null;
    const fresh = entries === null ? 0 : this.#offer(entries);
    this.#drained = entries?.length === 0 && !this.#again;
    for (const route of this.#routes.values()) this.#pump(route);
    // A full page has more behind it; anything else waits for the bell or the poll.
    if (this.#again || (fresh > 0 && entries?.length === limit)) {
      this.#again = false;
      this.wake();
    }
  }

  /** Holds what can be read, up to the first of a lane that cannot: that one is never skipped. */
  #offer(entries: readonly OutboxEntry__Output[]): number {
    const { clock, log, metrics } = this.#ports;
    const unreadable = new Set<Lane>();
    const seenAtMs = clock.monotonicMs();
    let fresh = 0;
    for (const entry of entries) {
      const { lane } = this.#route(setId(entry.to), entry.lane);
      if (unreadable.has(lane)) continue;
      try {
        const reader = new Reader(entry.transfer);
        const transfer = readTransfer(reader);
        reader.end();
        const before = lane.heldCount;
        const bytes = entry.transfer.length;
        lane.offer({ number: Number(entry.number), transfer, bytes, seenAtMs });
        fresh += lane.heldCount - before;
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        unreadable.add(lane);
        metrics.stuck.add(1, { reason: 'unreadable' });
        const { to, lane: number } = entry;
        log.error('transfer_unreadable', {
          from: this.#source,
          to,
          lane: number,
          at: entry.number,
        });
      }
    }
    return fresh;
  }

  #pump(route: Route): void {
    if (this.#stopped) return;
    const { lane } = route;
    if (!route.deliveryWaits) {
      const delivery = lane.nextDelivery();
      if (delivery !== null) void this.#deliver(route, delivery);
    }
    if (!route.ackWaits) {
      const ack = lane.nextAck();
      if (ack !== null) void this.#ack(route, ack);
    }
  }

  async #deliver(route: Route, delivery: Delivery): Promise<void> {
    const { clock, metrics } = this.#ports;
    const { to, number: lane } = route;
    const transfers = delivery.held.map((held) => held.transfer);
    const { outcome, mark } = await this.#send(to, {
      type: 'transfer.deliver',
      from: this.#source,
      lane,
      first: delivery.first,
      transfers,
    });
    if (this.#stopped) return;
    const receipts =
      succeeded(outcome) && outcome.type === 'transfer.deliver' ? outcome.receipts : null;
    if (receipts?.length !== transfers.length) {
      route.lane.deliveryFailed();
      route.deliveryWaits = true;
      this.#retry(route, { outcome, step: 'deliver', backoff: route.deliverBackoff });
      return;
    }
    const wasFull = route.lane.cursor === null;
    route.lane.received({ receipts, epoch: mark.epoch, lsn: mark.lsn });
    route.deliverBackoff.reset();
    const oldest = delivery.held[0]?.seenAtMs ?? clock.monotonicMs();
    metrics.settleLag.observe((clock.monotonicMs() - oldest) / 1_000, { lane });
    metrics.delivered.add(transfers.length, { lane });
    this.#pump(route);
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
      route.ackWaits = true;
      this.#retry(route, { outcome, step: 'ack', backoff: route.ackBackoff });
      return;
    }
    route.lane.acked();
    route.ackBackoff.reset();
    if (ack.tombstones.length > 0) {
      this.#ports.metrics.tombstones.add(ack.tombstones.length, { lane: route.number });
    }
    this.#pump(route);
  }

  #retry(
    route: Route,
    args: { outcome: Outcome; step: 'deliver' | 'ack'; backoff: Backoff },
  ): void {
    const { clock, log, metrics } = this.#ports;
    const { outcome, step, backoff } = args;
    const status: Status = outcome.status;
    metrics.retries.add(1, { step, status });
    // A refusal for good cannot be: a lane that no try will free needs a person.
    if (retryOf(status) === 'final') {
      metrics.stuck.add(1, { reason: 'refused' });
      const { to, number: lane } = route;
      log.error('lane_stuck', { from: this.#source, to, lane, step, status });
    }
    clock.after(backoff.next(), () => {
      if (step === 'deliver') route.deliveryWaits = false;
      else route.ackWaits = false;
      this.#pump(route);
    });
  }

  #send(to: SetId, command: Command): ReturnType<Router['command']> {
    return this.#ports.router.command(to, command);
  }

  #route(to: SetId, number: number): Route {
    const key = to * LANE_COUNT + number;
    let route = this.#routes.get(key);
    if (route === undefined) {
      const { random } = this.#ports;
      const { retryFirstMs: firstMs, retryLastMs: lastMs } = COURIER_LIMITS;
      route = {
        to,
        number,
        lane: new Lane(),
        deliverBackoff: new Backoff({ random, firstMs, lastMs }),
        ackBackoff: new Backoff({ random, firstMs, lastMs }),
        deliveryWaits: false,
        ackWaits: false,
      };
      this.#routes.set(key, route);
    }
    return route;
  }
}
