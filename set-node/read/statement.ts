import { LIMITS } from '../../lib/core/limits.ts';
import { dayOf } from '../../lib/core/payment.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { ReplicaStore, Row, ScanReply } from '../../lib/port/replica-store.ts';
import type { StatementAnswer } from '../../proto/gen/hongbao/StatementAnswer.ts';
import type { StatementQuery__Output } from '../../proto/gen/hongbao/StatementQuery.ts';
import type { StatisticsAnswer } from '../../proto/gen/hongbao/StatisticsAnswer.ts';
import type { StatisticsQuery__Output } from '../../proto/gen/hongbao/StatisticsQuery.ts';
import { needUser } from './reads.ts';
import type { WireLine } from './table-rows.ts';
import { ledgerLineOf } from './table-rows.ts';
import type { WalletDay } from './wallet-days.ts';
import { walletDayOf } from './wallet-days.ts';

/** Rows of one scan: a bounded part of a replica's time. */
const SCAN_ROWS = 1_000;
/** A balance in the middle of a day reads the lines of that day: more than these are `overloaded`. */
const DAY_LINES_MAX = 20_000;
/** Lines that one question about shares goes through. */
const WALK_LINES = 50;
/** Milliseconds from midnight of UTC+8 to midnight UTC. */
const ZONE_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;

type Tables = Pick<ReplicaStore, 'scan'>;

/** What a page of a statement or of shares shows; null: these tables are behind what it is about. */
export type Shown<Answer> = { readonly asOfLsn: number; readonly answer: Answer } | null;

/** A day has so many lines that its middle is not worth a replica's time. */
export class TooManyLines extends Error {
  override readonly name = 'TooManyLines';
}

/**
 * A page of a statement from one replica (SPEC Q10). The first scan says how far the tables go, and
 * everything after it counts lines up to that LSN alone: opening + lines = closing, whatever is
 * projected meanwhile. Throws DecodeError, StoreError, TooManyLines.
 */
export async function readStatement(
  store: Tables,
  ask: StatementQuery__Output,
): Promise<Shown<StatementAnswer>> {
  const user = needUser(ask.user);
  const fromAt = Number(ask.fromAt);
  const toAt = Number(ask.toAt);
  const limit = Math.min(ask.limit, LIMITS.historyPageMax);
  const asked = Number(ask.throughLsn);
  if (asked > 0) {
    const book = new WalletBook({ store, user, throughLsn: asked });
    const after = { lsn: Number(ask.afterLsn), leg: ask.afterLeg };
    const page = await book.page({ after, toAt, limit });
    const answer = { throughLsn: String(asked), ...page };
    return book.isBehind ? null : { asOfLsn: book.shownLsn, answer };
  }
  const { days, asOfLsn } = await readDays({ store, user });
  const book = new WalletBook({ store, user, throughLsn: asOfLsn });
  const openingCents = await book.balanceBefore(fromAt, days);
  const closingCents = fromAt === toAt ? openingCents : await book.balanceBefore(toAt, days);
  let page: Page = { lines: [], more: false };
  if (limit > 0 && fromAt < toAt) {
    const first = await book.firstFrom(fromAt);
    page = await book.page({ after: { lsn: first - 1, leg: LAST_LEG }, toAt, limit });
  }
  const answer = {
    openingCents: String(openingCents),
    closingCents: String(closingCents),
    throughLsn: String(asOfLsn),
    ...page,
  };
  return book.isBehind ? null : { asOfLsn, answer };
}

/**
 * Sums of whole days of a person, and the shares among the next lines. Bounded: a year has 366
 * days, and a page {@link WALK_LINES} lines. Throws DecodeError, StoreError.
 */
export async function readStatistics(
  store: Tables,
  ask: StatisticsQuery__Output,
): Promise<Shown<StatisticsAnswer>> {
  const user = needUser(ask.user);
  const fromAt = Number(ask.fromAt);
  const toAt = Number(ask.toAt);
  const from = dayOf(fromAt);
  const found = await readDays({ store, user, from, to: dayOf(toAt - 1) });
  const { days, asOfLsn } = found;
  const book = new WalletBook({ store, user, throughLsn: asOfLsn });
  let after = { lsn: Number(ask.afterLsn), leg: ask.afterLeg };
  if (after.lsn === 0) after = { lsn: (await book.firstFrom(fromAt)) - 1, leg: LAST_LEG };
  const page = await book.page({ after, toAt, limit: WALK_LINES });
  if (book.isBehind) return null;
  const sum = (of: (day: WalletDay) => number): string =>
    String(days.reduce((total, day) => total + of(day), 0));
  const last = page.lines.at(-1);
  const answer = {
    sentLucky: sum((day) => day.sentLucky),
    sentEqual: sum((day) => day.sentEqual),
    sentExclusive: sum((day) => day.sentExclusive),
    sentCents: sum((day) => day.sentCents),
    backCents: sum((day) => day.backCents),
    receivedPackets: sum((day) => day.receivedPackets),
    receivedCents: sum((day) => day.receivedCents),
    received: page.lines.filter(({ reason }) => reason === 'claim.credit'),
    more: page.more,
    lastLsn: last?.lsn ?? '0',
    lastLeg: last?.index ?? 0,
  };
  return { asOfLsn, answer };
}

type Page = { readonly lines: WireLine[]; readonly more: boolean };
/** A leg's number is below the bytes of an entry. */
const LAST_LEG = Number.MAX_SAFE_INTEGER;

/**
 * The days of a person, newest first. What is projected while older ones are read belongs to the
 * newest day or to later ones (log time never falls): all of it is as of the first scan.
 */
async function readDays(args: {
  store: Tables;
  user: UserId;
  from?: number;
  to?: number;
}): Promise<{ readonly days: WalletDay[]; readonly asOfLsn: number }> {
  const { store, user, from = 0 } = args;
  let to = args.to ?? Number.MAX_SAFE_INTEGER;
  const days: WalletDay[] = [];
  let asOfLsn: number | null = null;
  for (;;) {
    const reply: ScanReply = await store.scan({
      table: 'wallet_day',
      prefix: [user],
      from,
      to,
      reverse: true,
      limit: SCAN_ROWS,
    });
    asOfLsn ??= reply.asOfLsn;
    for (const row of reply.rows) days.push(walletDayOf(row));
    const oldest = days.at(-1);
    if (reply.rows.length < SCAN_ROWS || oldest === undefined || oldest.day <= from) break;
    to = oldest.day - 1;
  }
  return { days, asOfLsn };
}

/** One person's lines up to one LSN, in the tables of one replica. */
class WalletBook {
  readonly #store: Tables;
  readonly #user: UserId;
  readonly #throughLsn: number;
  /** The least that a scan showed. */
  shownLsn = Number.MAX_SAFE_INTEGER;

  constructor(args: { store: Tables; user: UserId; throughLsn: number }) {
    this.#store = args.store;
    this.#user = args.user;
    this.#throughLsn = args.throughLsn;
  }

  /** A scan showed less than the LSN that this is about: nothing of it is to be believed. */
  get isBehind(): boolean {
    return this.shownLsn < this.#throughLsn;
  }

  /** Cents in the wallet before log time `at`: whole days, and the lines of the day that it is in. */
  async balanceBefore(at: number, days: readonly WalletDay[]): Promise<number> {
    const day = dayOf(at);
    let sum = 0;
    let within: WalletDay | undefined;
    for (const one of days) {
      if (one.day < day) sum += one.netCents;
      else if (one.day === day) within = one;
    }
    const dayStart = day * DAY_MS - ZONE_MS;
    if (within === undefined || at === dayStart) return sum;
    if (within.lines > DAY_LINES_MAX) throw new TooManyLines(`${within.lines} lines in a day`);
    let after = { lsn: (await this.firstFrom(dayStart)) - 1, leg: LAST_LEG };
    for (;;) {
      const { lines, more } = await this.page({ after, toAt: at, limit: SCAN_ROWS });
      for (const line of lines) sum += Number(line.amountCents);
      const last = lines.at(-1);
      if (!more || last === undefined || this.isBehind) return sum;
      after = { lsn: Number(last.lsn), leg: last.index };
    }
  }

  /**
   * LSN of the first line at or after log time `at`, one above the last when there is none. Lines
   * are found by LSN only, and log time never falls: halved until it is found, a row each time.
   */
  async firstFrom(at: number): Promise<number> {
    let low = 1;
    let high = this.#throughLsn + 1;
    if (at <= 0) return low;
    while (low < high && !this.isBehind) {
      const middle = Math.floor((low + high) / 2);
      const [line] = await this.#scan({ from: middle, limit: 1 });
      if (line === undefined || Number(line.at) >= at) high = middle;
      else low = Number(line.lsn) + 1;
    }
    return low;
  }

  /** Lines behind one, before log time `toAt`. An entry may have more legs than a page has lines. */
  async page(args: {
    after: { readonly lsn: number; readonly leg: number };
    toAt: number;
    limit: number;
  }): Promise<Page> {
    const { after, toAt, limit } = args;
    const wanted = limit + 1;
    const found: WireLine[] = [];
    if (after.leg < LAST_LEG && after.lsn >= 1) {
      found.push(...(await this.#scan({ lsn: after.lsn, from: after.leg + 1, limit: wanted })));
    }
    if (found.length < wanted && after.lsn < this.#throughLsn) {
      found.push(...(await this.#scan({ from: after.lsn + 1, limit: wanted - found.length })));
    }
    const lines = found.filter((line) => Number(line.at) < toAt);
    return { lines: lines.slice(0, limit), more: lines.length > limit };
  }

  /** Legs of one entry from `from` on, or lines from LSN `from` on. */
  async #scan(args: { lsn?: number; from: number; limit: number }): Promise<WireLine[]> {
    const { lsn, from, limit } = args;
    const reply = await this.#store.scan({
      table: 'ledger_entry',
      prefix: lsn === undefined ? [this.#user] : [this.#user, lsn],
      from,
      ...(lsn === undefined ? { to: this.#throughLsn } : {}),
      limit,
    });
    this.shownLsn = Math.min(this.shownLsn, reply.asOfLsn);
    return reply.rows.map((row: Row) => ledgerLineOf(row));
  }
}
