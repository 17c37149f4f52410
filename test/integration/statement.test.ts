/** Statements, balances in the past and years of the real thing, over a real socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HongbaoClient, fetchDevToken } from '../../client/index.ts';
import type { Claim } from '../../client/index.ts';
import type { Log } from '../../lib/port/log.ts';
import { startEmbedded } from '../../ops/start.ts';
import type { Embedded } from '../../ops/start.ts';

const DEMO_CENTS = 1_000_00;
const KINDS = ['lucky', 'lucky', 'equal', 'lucky', 'exclusive', 'lucky', 'equal', 'lucky'] as const;
const PEOPLE = ['alice', 'bob', '小红'];
const YEAR = new Date(Date.now() + 8 * 3_600_000).getUTCFullYear();

let dataDir: string;
let server: Embedded;
const clients = new Map<string, HongbaoClient>();
const claims = new Map<string, Claim[]>();
const SHORT = { lifetimeMs: 1_000, totalCents: 500, count: 5 };
let groupId = '';
let shortId = '';

const of = (user: string): HongbaoClient => clients.get(user)!;

async function signIn(userId: string): Promise<void> {
  const baseUrl = `http://127.0.0.1:${server.port}`;
  const client = new HongbaoClient({
    url: `ws://127.0.0.1:${server.port}/v1/ws`,
    token: () => fetchDevToken({ baseUrl, userId }),
  });
  clients.set(userId, client);
  await client.connect();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await holds()).toBe(true), { timeout: 10_000, interval: 50 });
}

/** Alice sends eight packets that all three empty, and one that she alone opens. */
async function dealAll(): Promise<void> {
  const alice = of('alice');
  for (const kind of KINDS) {
    const receivers = kind === 'exclusive' ? { receivers: PEOPLE } : {};
    const send = { groupId, totalCents: 1_000, count: 3, kind, ...receivers };
    const { packetId } = await alice.packet.send(send);
    await Promise.all(PEOPLE.map((user) => of(user).packet.grabAndOpen(packetId)));
    await until(async () => (await alice.packet.allClaims(packetId)).length === 3);
    claims.set(packetId, await alice.packet.allClaims(packetId));
  }
  shortId = (await alice.packet.send({ groupId, ...SHORT })).packetId;
  await alice.packet.grabAndOpen(shortId);
}

async function quiet(user: string): Promise<number> {
  await until(async () => (await of('alice').packet.get(shortId)).phase === 'refunded');
  await until(async () => (await of(user).wallet.get()).arrivingCents === 0);
  return (await of(user).wallet.get()).balanceCents;
}

beforeAll(async () => {
  const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
  dataDir = await mkdtemp(join(tmpdir(), 'hongbao-statement-'));
  server = await startEmbedded({
    dataDir,
    port: 0,
    host: '127.0.0.1',
    sets: 2,
    replicas: 1,
    demoCents: DEMO_CENTS,
    pageDir: join(dataDir, 'no-page'),
    log: silent,
  });
  for (const user of PEOPLE) await signIn(user);
  groupId = (await of('alice').group.create({ name: '一家人' })).groupId;
  const { invite } = await of('alice').group.invite(groupId);
  for (const user of PEOPLE.slice(1)) await of(user).group.join(invite);
  await dealAll();
});

afterAll(async () => {
  for (const client of clients.values()) client.close();
  await server?.lifecycle.end();
  await rm(dataDir, { recursive: true, force: true });
});

test('a statement ends at the balance, whole and in parts, and its pages are one', async () => {
  for (const user of PEOPLE) {
    const balanceCents = await quiet(user);
    const whole = await of(user).wallet.statement();
    expect(whole).toMatchObject({ openingCents: 0, closingCents: balanceCents });
    expect(whole.lines[0]).toMatchObject({ reason: 'wallet.open', amountCents: DEMO_CENTS });
    const middle = whole.lines[Math.floor(whole.lines.length / 2)]!.at;
    const [first, second] = await Promise.all([
      of(user).wallet.statement({ toAt: middle }),
      of(user).wallet.statement({ fromAt: middle }),
    ]);
    expect(first.closingCents).toBe(second.openingCents);
    expect([...first.lines, ...second.lines]).toEqual(whole.lines);

    const lines: unknown[] = [];
    let page = await of(user).request('wallet.statement', { limit: 1 });
    const { throughLsn } = page;
    lines.push(...page.entries);
    while (page.next !== null) {
      page = await of(user).request('wallet.statement', { limit: 1, after: page.next });
      expect(page.throughLsn).toBe(throughLsn);
      lines.push(...page.entries);
    }
    expect(lines.slice(0, whole.lines.length)).toEqual(whole.lines);
    // Only the first page knows balances.
    expect(page).toMatchObject({ openingCents: null, closingCents: null });
  }
});

test('what was in a wallet at any time is what its lines had come to', async () => {
  await quiet('bob');
  const { lines, closingCents } = await of('bob').wallet.statement();
  for (const at of [lines[0]!.at - 1, ...lines.map((line) => line.at), Date.now() + 60_000]) {
    const due = lines.reduce((sum, line) => sum + (line.at <= at ? line.amountCents : 0), 0);
    expect((await of('bob').wallet.balanceAt(at)).balanceCents).toBe(due);
  }
  expect((await of('bob').wallet.balanceAt(Date.now())).balanceCents).toBe(closingCents);
});

test('a year: packets by kind, what came and went, the largest share, and best luck', async () => {
  for (const user of PEOPLE) {
    await quiet(user);
    const year = await of(user).wallet.statistics(YEAR);
    const isAlice = user === 'alice';
    const mine = [...claims].map(([packetId, all]) => ({
      packetId,
      all,
      share: all.find(({ userId }) => userId === user)!,
    }));
    const short = isAlice ? (await of(user).packet.get(shortId)).mine : null;
    const shares = [...mine.map(({ share }) => share), ...(short ? [short] : [])];
    const cents = shares.map(({ amountCents }) => amountCents);
    const best = mine.filter(({ all, share }) => {
      const most = Math.max(...all.map(({ amountCents }) => amountCents));
      return all.find(({ amountCents }) => amountCents === most) === share;
    });
    expect(year).toMatchObject({
      year: YEAR,
      sent: isAlice ? { lucky: 6, equal: 2, exclusive: 1 } : { lucky: 0, equal: 0, exclusive: 0 },
      sentCents: isAlice ? 8_500 : 0,
      backCents: isAlice ? SHORT.totalCents - short!.amountCents : 0,
      receivedPackets: shares.length,
      receivedCents: cents.reduce((sum, amount) => sum + amount, 0),
      shares: {
        packets: shares.length,
        lucky: isAlice ? 6 : 5,
        equal: 2,
        exclusive: 1,
        notEnded: 0,
        bestLuck: best.length + (isAlice ? 1 : 0),
      },
    });
    expect(year.shares.largest?.amountCents).toBe(Math.max(...cents));
    const other = await of(user).wallet.statistics(YEAR - 1);
    expect(other).toMatchObject({ receivedPackets: 0, sentCents: 0, shares: { packets: 0 } });
  }
});

test('nobody sees another wallet, and nonsense is refused', async () => {
  const bob = of('bob');
  const ask = (d: object) => bob.request('wallet.statement', d);
  const bad = { code: 'bad_argument' };
  await expect(ask({ userId: 'alice' })).rejects.toMatchObject(bad);
  await expect(ask({ user: 'alice' })).rejects.toMatchObject(bad);
  await expect(ask({ fromAt: 2, toAt: 1 })).rejects.toMatchObject(bad);
  await expect(ask({ limit: 101 })).rejects.toMatchObject(bad);
  await expect(bob.wallet.balanceAt(-1)).rejects.toMatchObject(bad);
  await expect(bob.wallet.statistics(1999)).rejects.toMatchObject(bad);
  // An LSN that the journal has not come to.
  const ahead = { throughLsn: Number.MAX_SAFE_INTEGER, lsn: 1, leg: 0 };
  await expect(ask({ after: ahead })).rejects.toMatchObject(bad);
  // A place in the journal is no key to what others have there.
  const own = await bob.wallet.statement();
  const after = { throughLsn: own.throughLsn, lsn: 1, leg: 0 };
  const page = await bob.request('wallet.statement', { after });
  expect(page.entries.length).toBeGreaterThan(3);
  for (const entry of page.entries) expect(own.lines).toContainEqual(entry);
});
