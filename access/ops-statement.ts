import type { LedgerLine__Output } from '../proto/gen/hongbao/LedgerLine.ts';
import { ownerOf, query } from './door.ts';
import type { Door, Found, Handler } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import { asId } from '../lib/core/ids.ts';
import type { Person } from './people.ts';
import { idOrNull } from './render.ts';
import type { Output } from './schema.ts';

/** Years and days of statistics begin at midnight of UTC+8. */
const ZONE_MS = 8 * 3_600_000;
const NO_GRANT = new Uint8Array();

export const walletStatement: Handler<'wallet.statement'> = async (door, person, input) => {
  const { user, home } = person;
  const { fromAt, toAt = Number.MAX_SAFE_INTEGER, after, limit } = input;
  if (fromAt > toAt) return fail('bad_argument', { message: 'fromAt is after toAt' });
  const statement = {
    user,
    fromAt,
    toAt,
    throughLsn: after?.throughLsn ?? 0,
    afterLsn: after?.lsn ?? 0,
    afterLeg: after?.leg ?? 0,
    limit,
  };
  const found = await query(door, { set: home, name: 'statement', ask: { statement }, person });
  if (!found.ok) return found;
  const { openingCents, closingCents, lines, more } = found.answer;
  const throughLsn = Number(found.answer.throughLsn);
  const last = lines.at(-1);
  const d = {
    openingCents: after === undefined ? Number(openingCents) : null,
    closingCents: after === undefined ? Number(closingCents) : null,
    throughLsn,
    entries: lines.map(lineOf),
    next: more && last !== undefined ? { throughLsn, ...placeOf(last) } : null,
    asOfLsn: found.asOfLsn,
  };
  return { ok: true, d };
};

/** What was in the wallet when all of that millisecond had happened. */
export const walletBalanceAt: Handler<'wallet.balanceAt'> = async (door, person, input) => {
  const { user, home } = person;
  const at = input.at + 1;
  const statement = { user, fromAt: at, toAt: at };
  const found = await query(door, { set: home, name: 'statement', ask: { statement }, person });
  if (!found.ok) return found;
  const balanceCents = Number(found.answer.openingCents);
  return { ok: true, d: { balanceCents, at: input.at, asOfLsn: found.asOfLsn } };
};

/**
 * A year: what the home Set has added up, and one page of the shares received. Of those the Sets of
 * the packets are asked, because who was luckiest shows at a packet's end only.
 */
export const walletStatistics: Handler<'wallet.statistics'> = async (door, person, input) => {
  const { user, home } = person;
  const { year, after } = input;
  const statistics = {
    user,
    fromAt: Date.UTC(year, 0, 1) - ZONE_MS,
    toAt: Date.UTC(year + 1, 0, 1) - ZONE_MS,
    afterLsn: after?.lsn ?? 0,
    afterLeg: after?.leg ?? 0,
  };
  const found = await query(door, { set: home, name: 'statistics', ask: { statistics }, person });
  if (!found.ok) return found;
  const sums = found.answer;
  const shares = await sharesOf(door, person, sums.received);
  if (!shares.ok) return shares;
  const sent = {
    lucky: Number(sums.sentLucky),
    equal: Number(sums.sentEqual),
    exclusive: Number(sums.sentExclusive),
  };
  const d = {
    year,
    sent,
    sentCents: Number(sums.sentCents),
    backCents: Number(sums.backCents),
    receivedPackets: Number(sums.receivedPackets),
    receivedCents: Number(sums.receivedCents),
    shares: shares.shares,
    next: sums.more ? { lsn: Number(sums.lastLsn), leg: sums.lastLeg } : null,
    asOfLsn: found.asOfLsn,
  };
  return { ok: true, d };
};

type Shares = Output<'wallet.statistics'>['shares'];

async function sharesOf(
  door: Door,
  person: Person,
  lines: readonly LedgerLine__Output[],
): Promise<{ readonly ok: true; readonly shares: Shares } | Failure> {
  const shares: Shares = {
    packets: lines.length,
    lucky: 0,
    equal: 0,
    exclusive: 0,
    notEnded: 0,
    bestLuck: 0,
    largest: null,
  };
  const ends = await Promise.all(lines.map((line) => endOf(door, person, line.packetId)));
  for (const [index, end] of ends.entries()) {
    if (!end.ok) return end;
    const { kind, best } = end.answer;
    if (kind === 'lucky' || kind === 'equal' || kind === 'exclusive') shares[kind] += 1;
    if (best === null) shares.notEnded += 1;
    else if (best.user === person.user) shares.bestLuck += 1;
    const { packetId = '', amountCents = '0' } = lines[index] ?? {};
    const cents = Number(amountCents);
    if (cents > (shares.largest?.amountCents ?? 0)) {
      shares.largest = { packetId, amountCents: cents };
    }
  }
  return { ok: true, shares };
}

/** Who opened a packet may ask for its best luck without a grant, also after leaving the group. */
function endOf(door: Door, person: Person, packetId: string): Promise<Found<'claims'> | Failure> {
  const set = ownerOf(door, asId(BigInt(packetId)));
  if (set === null) return Promise.resolve(fail('set_unavailable'));
  const claims = { user: person.user, packetId, grant: NO_GRANT, afterOrder: 0, limit: 0 };
  return query(door, { set, name: 'claims', ask: { claims }, person });
}

type Line = Output<'wallet.statement'>['entries'][number];

function placeOf(line: LedgerLine__Output): { lsn: number; leg: number } {
  return { lsn: Number(line.lsn), leg: line.index };
}

function lineOf(line: LedgerLine__Output): Line {
  return {
    ...placeOf(line),
    amountCents: Number(line.amountCents),
    reason: line.reason,
    packetId: idOrNull(line.packetId),
    at: Number(line.at),
  };
}
