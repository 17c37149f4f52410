import { localError } from './errors.ts';
import type { Caller } from './ops.ts';
import type { Output } from './protocol.ts';

export type StatementLine = Output<'wallet.statement'>['entries'][number];

/** A statement: opening and all lines are closing, cent by cent. */
export type Statement = {
  readonly openingCents: number;
  readonly closingCents: number;
  /** How far the journal of the home Set is in it. */
  readonly throughLsn: number;
  readonly lines: readonly StatementLine[];
};

export type Year = Omit<Output<'wallet.statistics'>, 'next' | 'asOfLsn'>;

/** A page has at most so many lines: the server's limit. */
const PAGE_LINES = 100;

/** All pages of a statement. Rejects with `bad_answer` when they do not add up. */
export async function wholeStatement(
  caller: Pick<Caller, 'request'>,
  times: { fromAt?: number; toAt?: number },
): Promise<Statement> {
  const d = { ...times, limit: PAGE_LINES };
  let page = await caller.request('wallet.statement', d);
  const { openingCents, closingCents, throughLsn } = page;
  const lines = [...page.entries];
  while (page.next !== null) {
    page = await caller.request('wallet.statement', { ...d, after: page.next });
    // A server that repeats itself must not keep us here.
    if (page.entries.length === 0) throw wrong('a page in the middle is empty');
    for (const line of page.entries) {
      if (!isBehind(line, lines.at(-1))) throw wrong('lines are not in order');
      lines.push(line);
    }
  }
  if (openingCents === null || closingCents === null) throw wrong('there are no balances');
  const sum = lines.reduce((cents, { amountCents }) => cents + amountCents, openingCents);
  if (sum !== closingCents) throw wrong(`its lines end at ${sum}, not at ${closingCents}`);
  return { openingCents, closingCents, throughLsn, lines };
}

function isBehind(line: StatementLine, before: StatementLine | undefined): boolean {
  if (before === undefined || line.lsn > before.lsn) return true;
  return line.lsn === before.lsn && line.leg > before.leg;
}

function wrong(what: string): Error {
  return localError('bad_answer', `the statement is not whole: ${what}`);
}

/** A whole year: the shares of all pages added up. */
export async function wholeYear(caller: Pick<Caller, 'request'>, year: number): Promise<Year> {
  let page = await caller.request('wallet.statistics', { year });
  const shares = { ...page.shares };
  while (page.next !== null) {
    const after = page.next;
    page = await caller.request('wallet.statistics', { year, after });
    const { largest, ...counts } = page.shares;
    for (const name of COUNTS) shares[name] += counts[name];
    if ((largest?.amountCents ?? 0) > (shares.largest?.amountCents ?? 0)) shares.largest = largest;
    if (page.next !== null && page.next.lsn === after.lsn && page.next.leg <= after.leg) break;
  }
  const { sent, sentCents, backCents, receivedPackets, receivedCents } = page;
  return { year, sent, sentCents, backCents, receivedPackets, receivedCents, shares };
}

const COUNTS = ['packets', 'lucky', 'equal', 'exclusive', 'notEnded', 'bestLuck'] as const;
