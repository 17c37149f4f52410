/** Thirty people, forty packets, a restart in the middle: every cent is where it should be. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { HongbaoClient, HongbaoError, fetchDevToken, verifyPacket } from '../../client/index.ts';
import type { Input } from '../../client/index.ts';
import type { Log } from '../../lib/port/log.ts';
import type { Embedded } from '../../ops/start.ts';
import { startEmbedded } from '../../ops/start.ts';
import { moneyNow } from '../../reconciler/money.ts';
import type { Money } from '../../reconciler/money.ts';

const PEOPLE = Array.from({ length: 30 }, (_, index) => (index === 7 ? '小红' : `user-${index}`));
const DEMO_CENTS = 50_000;
const SHORT_MS = 2_500;
const STRATEGIES = ['double_mean', 'classic', 'uniform'] as const;

const warnings: string[] = [];
const LOG: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: (event, fields) => warnings.push(`${event} ${JSON.stringify(fields)}`),
};

type Shape = { readonly sets: number; readonly replicas: number };
/** What somebody was told, and must find again. */
type Told = { user: string; amountCents: number; order: number };
type Sent = {
  readonly packetId: string;
  readonly sender: string;
  readonly totalCents: number;
  readonly kind: string;
  readonly short: boolean;
  readonly told: Told[];
  /** What came back, as the packet says when it has ended. */
  refundedCents: number;
};

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** A running house and its thirty guests. */
class House {
  readonly #dataDir: string;
  readonly #shape: Shape;
  #server: Embedded | null = null;
  readonly clients = new Map<string, HongbaoClient>();

  constructor(dataDir: string, shape: Shape) {
    this.#dataDir = dataDir;
    this.#shape = shape;
  }

  async open(): Promise<void> {
    const pageDir = join(this.#dataDir, 'page');
    await mkdir(pageDir, { recursive: true });
    const server = await startEmbedded({
      ...this.#shape,
      pageDir,
      dataDir: join(this.#dataDir, 'data'),
      port: 0,
      host: '127.0.0.1',
      demoCents: DEMO_CENTS,
      log: LOG,
      limits: { requestsPerSecond: 2_000, requestsBurst: 4_000 },
    });
    this.#server = server;
    await Promise.all(
      PEOPLE.map(async (userId) => {
        const token = await fetchDevToken({ baseUrl: server.url, userId });
        const url = `${server.url.replace('http', 'ws')}/v1/ws`;
        const client = new HongbaoClient({ url, token });
        this.clients.set(userId, client);
        await client.connect();
      }),
    );
  }

  async close(): Promise<void> {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
    const clean = (await this.#server?.lifecycle.end()) ?? true;
    this.#server = null;
    if (!clean) throw new Error('a part did not end in time');
  }

  of(user: string): HongbaoClient {
    const client = this.clients.get(user);
    if (client === undefined) throw new Error(`${user} is not connected`);
    return client;
  }

  money(): Promise<Money> {
    if (this.#server === null) throw new Error('the house is closed');
    return moneyNow(this.#server.router);
  }

  /** Nothing on its way any more. */
  async rest(withinMs: number): Promise<Money> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const money = await this.money();
      if (money.mismatchCents !== 0)
        throw new Error(`${money.mismatchCents} cents too much or missing`);
      if (money.quiet && money.pendingTransfers === 0) return money;
      if (performance.now() > deadline) return money;
      await pause(20);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function makeGroup(house: House): Promise<string> {
  const owner = house.of(PEOPLE[0]!);
  const { groupId } = await owner.group.create({ name: '大家庭' });
  const { invite } = await owner.group.invite(groupId);
  await Promise.all(PEOPLE.slice(1).map((user) => house.of(user).group.join(invite)));
  return groupId;
}

function packetOf(index: number, groupId: string): Omit<Input<'packet.send'>, 'clientId'> {
  const short = index % 5 === 0;
  const count = 2 + (index % 7);
  const common = {
    groupId,
    count,
    totalCents: count + ((index * 137) % 2_000),
    timing: index % 2 === 0 ? ('at_open' as const) : ('pre_split' as const),
    ...(short ? { lifetimeMs: SHORT_MS } : {}),
  };
  if (index % 4 === 1) return { ...common, kind: 'equal', strategy: 'equal' };
  if (index % 8 === 3) {
    return { ...common, kind: 'exclusive', receivers: [PEOPLE[2]!, PEOPLE[7]!] };
  }
  return { ...common, kind: 'lucky', strategy: STRATEGIES[index % 3]! };
}

async function sendAll(house: House, groupId: string, indexes: number[]): Promise<Sent[]> {
  return Promise.all(
    indexes.map(async (index): Promise<Sent> => {
      const sender = PEOPLE[(index * 3) % PEOPLE.length]!;
      const wish = packetOf(index, groupId);
      const { packetId } = await house.of(sender).packet.send(wish);
      const { totalCents, kind = 'lucky' } = wish;
      return {
        packetId,
        sender,
        totalCents,
        kind,
        short: index % 5 === 0,
        told: [],
        refundedCents: 0,
      };
    }),
  );
}

const LATE = ['packet_drained', 'packet_expired', 'not_allowed'];

async function openOne(house: House, sent: Sent, user: string): Promise<void> {
  try {
    const opened = await house.of(user).packet.open(sent.packetId);
    sent.told.push({ user, amountCents: opened.amountCents, order: opened.order });
  } catch (error) {
    if (!(error instanceof HongbaoError) || !LATE.includes(error.code)) throw error;
  }
}

/** Short-lived packets get one taker, so that they expire; the others get everybody. */
async function openAll(house: House, packets: readonly Sent[]): Promise<void> {
  await Promise.all(
    packets.flatMap((sent, at) => {
      const takers = sent.short ? [PEOPLE[at % PEOPLE.length]!] : PEOPLE;
      return takers.map((user) => openOne(house, sent, user));
    }),
  );
}

async function balances(house: House): Promise<Record<string, number>> {
  const all = await Promise.all(
    PEOPLE.map(async (user) => [user, (await house.of(user).wallet.get()).balanceCents] as const),
  );
  return Object.fromEntries(all);
}

/** Shares, refund and total of one packet, as the journal, the claimers and the seed have them. */
async function checkPacket(house: House, sent: Sent): Promise<number> {
  const someone = house.of(sent.sender);
  const packet = await someone.packet.get(sent.packetId);
  const claims = await someone.packet.allClaims(sent.packetId);
  expect(claims.map(({ order }) => order)).toEqual(claims.map((_, at) => at + 1));
  expect(new Set(claims.map(({ userId }) => userId)).size).toBe(claims.length);
  const found = claims.map(({ userId: user, amountCents, order }) => ({
    user,
    amountCents,
    order,
  }));
  // M10: what each was told is what stands there, and nobody else got anything.
  expect(found).toEqual(sent.told.toSorted((a, b) => a.order - b.order));
  const taken = claims.reduce((sum, { amountCents }) => sum + amountCents, 0);
  const refunded = packet.refundedCents ?? 0;
  sent.refundedCents = refunded;
  const { phase } = packet;
  // Only an exclusive packet waits: its people took theirs, a share stays for nobody.
  const waits = phase === 'live' && sent.kind === 'exclusive';
  const rest = waits ? sent.totalCents - taken : 0;
  expect(taken + refunded + rest).toBe(sent.totalCents);
  const expected = sent.short && claims.length < packet.count ? 'refunded' : 'drained';
  expect(phase).toBe(waits ? 'live' : expected);
  const verdict = verifyPacket({ packet, claims }).status;
  expect(verdict).toBe(sent.kind === 'exclusive' ? 'not_verifiable' : 'verified');
  return rest;
}

/** Every claim credited once, every refund once, and the lines add up to the balance. */
async function checkHistory(house: House, user: string, packets: readonly Sent[]): Promise<void> {
  const { balanceCents, arrivingCents } = await house.of(user).wallet.get();
  expect(arrivingCents).toBe(0);
  // A history comes from any replica and may lag; it catches up at once.
  let entries = (await house.of(user).wallet.history({ limit: 100 })).entries;
  const sum = () => entries.reduce((total, { amountCents }) => total + amountCents, 0);
  for (let tries = 0; tries < 50 && sum() !== balanceCents; tries++) {
    await pause(40);
    entries = (await house.of(user).wallet.history({ limit: 100 })).entries;
  }
  expect(sum(), `lines of ${user}`).toBe(balanceCents);
  for (const sent of packets) {
    const lines = entries.filter(({ packetId }) => packetId === sent.packetId);
    const mine = sent.told.filter((told) => told.user === user);
    const credits = lines.filter(({ reason }) => reason.includes('claim'));
    expect(credits.map(({ amountCents }) => amountCents)).toEqual(
      mine.map(({ amountCents }) => amountCents),
    );
    const refunds = lines.filter(({ reason }) => reason.includes('refund'));
    const back = user === sent.sender && sent.refundedCents > 0 ? [sent.refundedCents] : [];
    expect(refunds.map(({ amountCents }) => amountCents)).toEqual(back);
  }
}

/** Milliseconds from the answer to an open until the wallet has the money, one after the other. */
async function settleTimes(house: House, groupId: string): Promise<number[]> {
  const times: number[] = [];
  const count = 15;
  const { packetId } = await house.of(PEOPLE[1]!).packet.send({
    groupId,
    totalCents: 1_500,
    count,
  });
  for (const user of PEOPLE.slice(0, count)) {
    const client = house.of(user);
    let creditedAt = Number.POSITIVE_INFINITY;
    const credited = new Promise<void>((resolve) => {
      const off = client.on('wallet', (event) => {
        if (event.packetId !== packetId || event.reason !== 'claim') return;
        creditedAt = performance.now();
        off();
        resolve();
      });
    });
    await client.packet.open(packetId);
    const answeredAt = performance.now();
    await Promise.race([credited, pause(3_000)]);
    times.push(Math.max(0, creditedAt - answeredAt));
  }
  return times.toSorted((a, b) => a - b);
}

describe.each([
  { sets: 1, replicas: 1 },
  { sets: 3, replicas: 1 },
  { sets: 1, replicas: 3 },
])('$sets Set(s), $replicas replica(s)', (shape) => {
  test('shares, wallets, refunds and a restart keep every cent', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'hb-money-'));
    ends.push(() => rm(dataDir, { recursive: true, force: true }));
    const house = new House(dataDir, shape);
    ends.push(() => house.close());
    const started = performance.now();
    warnings.length = 0;

    await house.open();
    const groupId = await makeGroup(house);
    const packets = await sendAll(house, groupId, range(0, 20));
    await openAll(house, packets);

    // In the middle: short-lived packets still live, credits perhaps on their way.
    const before = await house.money();
    await house.close();
    await house.open();
    const after = await house.money();
    expect(after.issuedCents).toBe(before.issuedCents);
    expect(after.issuedCents).toBe(PEOPLE.length * DEMO_CENTS);
    expect(after.mismatchCents).toBe(0);
    for (const sent of packets)
      for (const told of sent.told.slice(0, 1)) {
        const again = await house.of(told.user).packet.open(sent.packetId);
        expect(again).toMatchObject({
          status: 'already_opened',
          amountCents: told.amountCents,
          order: told.order,
        });
      }

    packets.push(...(await sendAll(house, groupId, range(20, 40))));
    await openAll(house, packets.slice(20));
    const times = await settleTimes(house, groupId);
    // The last short-lived ones end, and the Set looks for them four times a second.
    await pause(SHORT_MS + 500);
    const rest = await house.rest(5_000);
    expect(rest).toMatchObject({
      inFlightCents: 0,
      pendingTransfers: 0,
      mismatchCents: 0,
      missing: [],
    });

    let waiting = 0;
    for (const sent of packets) waiting += await checkPacket(house, sent);
    expect(rest.packetsCents).toBe(waiting);
    expect(rest.walletsCents + rest.packetsCents).toBe(PEOPLE.length * DEMO_CENTS);
    const all = await balances(house);
    expect(Object.values(all).reduce((sum, each) => sum + each, 0)).toBe(rest.walletsCents);
    for (const user of PEOPLE) await checkHistory(house, user, packets);
    expect(packets.filter((sent) => sent.refundedCents > 0).length).toBeGreaterThanOrEqual(6);
    expect(packets.flatMap((sent) => sent.told).length).toBeGreaterThan(120);

    const [median, worst] = [times[times.length >> 1]!, times.at(-1)!];
    console.log(
      `${shape.sets} Set(s), ${shape.replicas} replica(s): settled in ${median.toFixed(1)} ms ` +
        `(median), ${worst.toFixed(1)} ms (worst of ${times.length}); ` +
        `${((performance.now() - started) / 1_000).toFixed(1)} s in all`,
    );
    expect(median).toBeLessThan(1_000);
    expect(warnings).toEqual([]);
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
