import { openSqliteReplica } from '../../lib/adapter/sqlite-replica.ts';
import type { Entry } from '../../lib/core/journal-entry.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import { Books } from './books.ts';
import type { KillWorld, Open, SentPacket } from './kill-world.ts';
import { DEMO_CENTS } from './kill-world.ts';
import { pause } from './member.ts';

const PROJECTOR = new URL('../../set-node/read/projection.ts', import.meta.url);
const READ_BYTES = 4 * 1_048_576;
const SETTLE_WITHIN_MS = 20_000;
const GAUGES_WITHIN_MS = 15_000;
const CLAIMS_TRIES_MAX = 30;
const POLL_MS = 100;

/** Asks the owner and the claim list of every packet of the round, and holds them to what people were told. */
export async function checkPackets(
  world: KillWorld,
  args: { round: number; packets: readonly SentPacket[]; opens: readonly Open[] },
): Promise<void> {
  const { round, packets, opens } = args;
  const byPacket = Map.groupBy(opens, (open) => open.packet);
  await Promise.all(
    packets.map((packet) =>
      checkPacket(world, { round, packet, opens: byPacket.get(packet) ?? [] }),
    ),
  );
}

async function checkPacket(
  world: KillWorld,
  args: { round: number; packet: SentPacket; opens: readonly Open[] },
): Promise<void> {
  const { round, packet, opens } = args;
  const { findings } = world;
  const { packetId, sender, count, totalCents } = packet;
  const what = `packet ${packetId}`;
  const told = opens
    .flatMap(({ member, told: one }) =>
      one?.kind === 'claim' ? [{ ...one, userId: member.userId }] : [],
    )
    .toSorted((a, b) => a.order - b.order);
  if (told.some(({ order }, index) => order !== index + 1)) {
    findings.break(`${what}: orders are not 1..${told.length}`);
  }
  if (told.length !== Math.min(count, opens.length)) {
    findings.break(`${what}: ${told.length} of ${opens.length} got one of ${count} shares`);
  }
  const sum = told.reduce((total, { amountCents }) => total + amountCents, 0);
  if (told.length === count) {
    findings.compareCents(`${what}, drained`, { expected: totalCents, actual: sum });
  }
  const asked = { round, phase: 'check', input: { packetId } } as const;
  const owner = await sender.need({ ...asked, op: 'packet.get' });
  findings.compareCents(`${what}, taken`, { expected: sum, actual: Number(owner['takenCents']) });
  if (owner['phase'] !== (told.length === count ? 'drained' : 'live')) {
    findings.break(`${what}: phase ${String(owner['phase'])} after ${told.length} of ${count}`);
  }
  const listed = await claimList({ world, round, packet, length: told.length });
  const mine = told.map(({ userId, order, amountCents, at }) => ({
    userId,
    order,
    amountCents,
    at,
  }));
  if (JSON.stringify(listed) !== JSON.stringify(mine)) {
    findings.change(`${what}: the list of claims is not what people were told`);
  }
}

/** The list is read from a projection that may be behind: asked until it is long enough. */
async function claimList(args: {
  world: KillWorld;
  round: number;
  packet: SentPacket;
  length: number;
}): Promise<unknown[]> {
  const { round, packet, length } = args;
  const input = { packetId: packet.packetId, limit: 100 };
  let listed: unknown[] = [];
  for (let attempt = 0; attempt < CLAIMS_TRIES_MAX; attempt++) {
    const asked = { round, phase: 'check', op: 'packet.claims', input } as const;
    const { claims } = await packet.sender.need(asked);
    listed = (claims as Record<string, unknown>[]).map(({ userId, order, amountCents, at }) => ({
      userId,
      order,
      amountCents,
      at,
    }));
    if (listed.length >= length) break;
    await pause(POLL_MS);
  }
  return listed;
}

/** Waits until nothing is on its way any more, then compares every wallet and the gauges. */
export async function checkMoney(world: KillWorld, round: number): Promise<void> {
  const { findings, members } = world;
  const deadline = performance.now() + SETTLE_WITHIN_MS;
  await Promise.all(
    members.map(async (member) => {
      for (;;) {
        const wallet = await member.need({ round, phase: 'check', op: 'wallet.get', input: {} });
        if (wallet['arrivingCents'] === 0 && wallet['arrivingComplete'] === true) return;
        if (performance.now() > deadline) {
          return findings.break(`${member.userId}: ${String(wallet['arrivingCents'])} for ever`);
        }
        await pause(POLL_MS);
      }
    }),
  );
  // A second look: the first one asked balance and arrivals of several Sets, one after the other.
  let wallets = 0;
  await Promise.all(
    members.map(async (member) => {
      const { userId } = member;
      const wallet = await member.need({ round, phase: 'check', op: 'wallet.get', input: {} });
      const actual = Number(wallet['balanceCents']);
      wallets += actual;
      const expected = world.expectedBalance(userId);
      findings.compareCents(`round ${round}: wallet of ${userId}`, { expected, actual });
    }),
  );
  // Gauges that would be waited for in vain say nothing new about a run that does not hold.
  if (findings.none) await checkGauges(world, { round, wallets });
}

async function checkGauges(
  world: KillWorld,
  args: { round: number; wallets: number },
): Promise<void> {
  const { findings } = world;
  const issued = world.members.length * DEMO_CENTS;
  const expected = {
    wallets: args.wallets,
    packets: issued - args.wallets,
    in_flight: 0,
    issued,
    pending: 0,
  };
  const deadline = performance.now() + GAUGES_WITHIN_MS;
  for (;;) {
    const metrics = await world.process.metrics();
    const mismatch = metrics.get('hongbao_money_mismatch_cents') ?? 0;
    findings.compareCents(`round ${args.round}: mismatch gauge`, { expected: 0, actual: mismatch });
    const of = (where: string): number =>
      metrics.get(`hongbao_money_cents{where="${where}"}`) ?? NaN;
    const wrong = Object.entries(expected).filter(([where, value]) => of(where) !== value);
    if (wrong.length === 0) return;
    if (performance.now() > deadline) {
      for (const [where, value] of wrong) {
        const what = `round ${args.round}: gauge of ${where}`;
        findings.compareCents(what, { expected: value, actual: of(where) });
      }
      return;
    }
    await pause(POLL_MS);
  }
}

/** Reads the journals of the stopped process and adds everything up a second time. */
export async function checkJournals(world: KillWorld): Promise<Books> {
  const { findings, options } = world;
  const books = new Books();
  for (let set = 1; set <= options.sets; set++) {
    books.add(await readJournal(world, set), findings);
  }
  books.checkPackets(findings);
  for (const { userId } of world.members) {
    const expected = world.expectedBalance(userId);
    const actual = books.balance(`wallet ${userId}`);
    findings.compareCents(`journal: wallet of ${userId}`, { expected, actual });
  }
  const issued = world.members.length * DEMO_CENTS;
  findings.compareCents('journal: issuer', { expected: -issued, actual: books.balance('issuer') });
  const onTheWay = books.total('clearing ');
  findings.compareCents('journal: on the way', { expected: 0, actual: onTheWay });
  const kept = books.total('wallet ') + books.total('packet ');
  findings.compareCents('journal: wallets and packets', { expected: issued, actual: kept });
  checkOpens(world, books);
  return books;
}

/** What people were told is in the journal, and nothing else is. */
function checkOpens(world: KillWorld, books: Books): void {
  const { findings } = world;
  let told = 0;
  for (const { packet, member, told: one, acknowledged } of world.opens) {
    const claims = books.claims.get(packet.packetId) ?? [];
    const found = claims.find(({ user }) => user === member.userId);
    const what = `journal: ${member.userId} in packet ${packet.packetId}`;
    if (one?.kind !== 'claim') {
      if (found !== undefined) findings.change(`${what}: refused, yet there is a claim`);
      continue;
    }
    told += 1;
    if (found === undefined) {
      findings.lose(`${what}: ${acknowledged ? 'acknowledged' : 'answered'}, yet not there`);
    } else if (found.amountCents !== one.amountCents || found.order !== one.order) {
      findings.change(`${what}: another amount or order`);
    }
  }
  const there = [...books.claims.values()].reduce((sum, claims) => sum + claims.length, 0);
  if (there !== told) findings.break(`journal: ${there} claims, ${told} were told`);
}

async function readJournal(world: KillWorld, set: number): Promise<Entry[]> {
  const path = world.replicaPath(set);
  const store = await openSqliteReplica({ path, setId: setId(set), schemaModule: PROJECTOR });
  try {
    const entries: Entry[] = [];
    for (;;) {
      const after = lsn(entries.at(-1)?.lsn ?? 0);
      const more = await store.read({ after, limitBytes: READ_BYTES });
      if (more.length === 0) return entries;
      entries.push(...more);
    }
  } finally {
    await store.close();
  }
}
