/** What the settle bench does to one real Set. */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../lib/core/assert.ts';
import { decodeWalletEvents } from '../../lib/core/batch.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Lsn } from '../../lib/core/units.ts';
import { openSetNode } from '../../lib/runtime/grpc.ts';
import { BenchSet } from './bench-set.ts';
import { Histogram } from './load.ts';
import { SetLoad } from './set-load.ts';
import { OPENERS, SetPeople } from './set-people.ts';

/** Messages of 100 opens on their way while the outbox is filled. */
const WINDOW = 16;
const LOOK_MS = 5;
const WITHIN_MS = 120_000;
/** Members' grants are good for a minute. */
const GRANTS_MS = 20_000;

/** A new Set with NATS and its people. */
export async function withBells<T>(
  body: (set: BenchSet, people: SetPeople) => Promise<T>,
): Promise<T> {
  const set = await BenchSet.create({ bells: true });
  try {
    await set.startNode();
    const people = await SetPeople.gather(set.topology);
    try {
      return await body(set, people);
    } finally {
      await people.close();
    }
  } finally {
    await set.close();
  }
}

export type Settled = {
  readonly records: number;
  readonly perS: number;
  /**
   * All servers of the side, the courier's process among them, until every table shows the last of
   * the records, which is later than their money is in the wallet; µs a record.
   */
  readonly serverCpuUs: number;
};

/** Fills the outbox with so many claims, then times a courier that comes to an outbox like that. */
export async function settleAll(args: {
  set: BenchSet;
  people: SetPeople;
  packets: number;
}): Promise<Settled> {
  const { set, people } = args;
  await fill(args);
  await set.startCourier();
  // What it settled before it said that it was ready does not count.
  const records = await people.pendingTransfers();
  const startMs = performance.now();
  const startCpuUs = set.serverCpuUs();
  assert(records > 0, 'the outbox is longer than the start of a courier');
  await people.settled();
  const seconds = (performance.now() - startMs) / 1_000;
  const lsn = await people.newestLsn();
  await shown(set, (at) => at >= lsn);
  const serverCpuUs = (set.serverCpuUs() - startCpuUs) / records;
  await set.stopCourier();
  return { records, perS: records / seconds, serverCpuUs };
}

async function fill(args: { set: BenchSet; people: SetPeople; packets: number }): Promise<void> {
  const { set, people, packets: count } = args;
  people.carry(true);
  const packets = await people.packets(count);
  people.carry(false);
  const load = await SetLoad.open({ address: set.address, openers: people.openers });
  load.useGrants(await people.grants());
  const seconds = WITHIN_MS / 1_000;
  const serverCpuUs = (): number => set.serverCpuUs();
  // Until there are no more packets.
  const run = await load.saturate({ seconds, window: WINDOW, packets, spread: 1, serverCpuUs });
  load.close();
  assert(run.refused.size === 0, 'every open is taken');
  // The rows of the claims are not the courier's work.
  await shown(set, (at) => load.acked.lagSeconds(at) === 0);
}

/** Until every replica's tables show what is needed. */
async function shown(set: BenchSet, isEnough: (at: Lsn) => boolean): Promise<void> {
  const stores = await set.stores();
  const lateMs = performance.now() + WITHIN_MS;
  for (;;) {
    const lsns = await Promise.all(stores.map((store) => store.projectedLsn()));
    if (lsns.every(isEnough)) return;
    assert(performance.now() < lateMs, 'the tables catch up');
    await sleep(LOOK_MS);
  }
}

export type Paced = {
  readonly opensPerS: number;
  /** From sending an open to hearing of the credit on the Set's event stream. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly credits: number;
  readonly pendingTransfers: number;
};

/** Opens at this rate while a courier settles: how long until the money is in the wallet. */
export async function paceSettling(args: {
  set: BenchSet;
  people: SetPeople;
  perS: number;
  seconds: number;
}): Promise<Paced> {
  const { set, people, perS, seconds } = args;
  people.carry(true);
  const packets = await people.packets(Math.ceil((perS * seconds * 1.02) / OPENERS) + 1);
  people.carry(false);
  const load = await SetLoad.open({ address: set.address, openers: people.openers });
  load.useGrants(await people.grants());
  await set.startCourier();
  const credits = await Credits.watch(set.address, people.openers);
  const renewing = setInterval(() => {
    void people.grants().then((grants) => load.useGrants(grants));
  }, GRANTS_MS);
  try {
    const run = await load.pace({
      seconds,
      perS,
      packets,
      spread: 1,
      serverCpuUs: () => set.serverCpuUs(),
      sent: (number) => credits.sent(packets[number]),
    });
    const pendingTransfers = await people.pendingTransfers();
    await people.settled();
    await credits.heard(run.offered * seconds * 0.99);
    const { times } = credits;
    return {
      opensPerS: run.opensPerS,
      p50Ms: times.quantile(0.5),
      p99Ms: times.quantile(0.99),
      credits: times.total,
      pendingTransfers,
    };
  } finally {
    clearInterval(renewing);
    credits.close();
    load.close();
    await set.stopCourier();
  }
}

/** The event stream of an access node that all openers sit at. */
class Credits {
  readonly times = new Histogram();
  readonly #sentAt = new Map<bigint, number>();
  readonly #client;

  private constructor(address: string) {
    this.#client = openSetNode(address);
  }

  static async watch(address: string, users: readonly string[]): Promise<Credits> {
    const credits = new Credits(address);
    await new Promise<void>((listening, failed) => {
      let isTold = false;
      const stream = credits.#client.events({
        opened: () => {
          isTold = stream.send({ addUsers: [...users] });
        },
        message: ({ wallets, walletCount }) => {
          if (walletCount > 0) credits.#hear(wallets);
          if (isTold) listening();
        },
        closed: (reason) => failed(new Error(`the event stream broke: ${reason}`)),
      });
    });
    return credits;
  }

  sent(packetId: Id | undefined): void {
    assert(packetId !== undefined, 'a packet is there');
    this.#sentAt.set(packetId, performance.now());
  }

  /** Until so many credits were heard. */
  async heard(count: number): Promise<void> {
    const lateMs = performance.now() + WITHIN_MS;
    while (this.times.total < count) {
      assert(performance.now() < lateMs, 'every credit is told of');
      await sleep(LOOK_MS);
    }
  }

  close(): void {
    this.#client.close();
  }

  #hear(wallets: Uint8Array): void {
    const nowMs = performance.now();
    for (const { packetId, reason } of decodeWalletEvents(wallets)) {
      const sentMs = this.#sentAt.get(packetId);
      if (reason === 'claim' && sentMs !== undefined) this.times.add(nowMs - sentMs);
    }
  }
}
