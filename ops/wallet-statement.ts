/** A person's statement for operators: all of it, checked, as CSV or JSON. */
import type { UserId } from '../lib/core/user.ts';
import type { Status } from '../lib/core/status.ts';
import type { Router } from '../router/api.ts';
import { textOfCents } from './wallet.ts';

const PAGE_LINES = 100;
/** Longer than a failover: an operator should not have to ask twice. */
const DEADLINE_MS = 15_000;

export type StatementLine = {
  readonly lsn: number;
  readonly leg: number;
  /** Log time, epoch milliseconds. */
  readonly at: number;
  readonly amountCents: number;
  /** After this line. */
  readonly balanceCents: number;
  readonly reason: string;
  /** '' when it is of no packet. */
  readonly packetId: string;
};

export type Statement = {
  readonly user: string;
  readonly fromAt: number;
  readonly toAt: number;
  readonly openingCents: number;
  readonly closingCents: number;
  /** How far the journal of the home Set is in it. */
  readonly throughLsn: number;
  readonly lines: readonly StatementLine[];
};

/** The home Set did not answer, or what it answered is not a statement. */
export class NoStatement extends Error {
  override readonly name = 'NoStatement';
  readonly status: Status;

  constructor(status: Status, message: string) {
    super(message);
    this.status = status;
  }
}

/** Lines with `fromAt` <= time < `toAt`, all as of one LSN. Rejects with {@link NoStatement}. */
export async function fetchStatement(
  router: Router,
  ask: { readonly user: UserId; readonly fromAt: number; readonly toAt: number },
): Promise<Statement> {
  const { user, fromAt, toAt } = ask;
  const set = router.homeOf(user);
  const page = async (after: { throughLsn: number; afterLsn: number; afterLeg: number }) => {
    const statement = { ...ask, ...after, limit: PAGE_LINES };
    const { status, reply } = await router.query(set, { statement }, { deadlineMs: DEADLINE_MS });
    const answer = reply?.statement;
    if (status !== 'ok' || !answer) {
      throw new NoStatement(status, `Set ${set}, home of ${user}: ${status}`);
    }
    return answer;
  };
  const first = await page({ throughLsn: 0, afterLsn: 0, afterLeg: 0 });
  const throughLsn = Number(first.throughLsn);
  const openingCents = Number(first.openingCents);
  const closingCents = Number(first.closingCents);
  const lines: StatementLine[] = [];
  let balanceCents = openingCents;
  for (let answer = first; ;) {
    for (const { lsn, index, at, amountCents, reason, packetId } of answer.lines) {
      balanceCents += Number(amountCents);
      lines.push({
        ...{ lsn: Number(lsn), leg: index, at: Number(at), amountCents: Number(amountCents) },
        ...{ balanceCents, reason, packetId: packetId === '0' ? '' : packetId },
      });
    }
    const last = lines.at(-1);
    if (!answer.more || last === undefined) break;
    answer = await page({ throughLsn, afterLsn: last.lsn, afterLeg: last.leg });
  }
  if (balanceCents !== closingCents) {
    const sums = `its lines end at ${balanceCents} cents, not at ${closingCents}`;
    throw new NoStatement('unknown', `the statement of ${user} does not add up: ${sums}`);
  }
  return { user, fromAt, toAt, openingCents, closingCents, throughLsn, lines };
}

const COLUMNS = [
  ...['user', 'time_utc', 'reason', 'packet_id', 'amount', 'amount_cents'],
  ...['balance', 'balance_cents', 'lsn', 'leg'],
];

/** RFC 4180 with a header; the first row is the opening balance, the last one the closing. */
export function csvOf(statement: Statement): string {
  const { user, openingCents, closingCents, throughLsn, lines } = statement;
  const edge = (reason: string, balanceCents: number): string[] => [
    ...[safe(user), '', reason, '', '', '', textOfCents(balanceCents), String(balanceCents)],
    ...[String(throughLsn), ''],
  ];
  const rows = lines.map((line) => [
    ...[safe(user), new Date(line.at).toISOString(), safe(line.reason), line.packetId],
    ...[textOfCents(line.amountCents), String(line.amountCents)],
    ...[textOfCents(line.balanceCents), String(line.balanceCents)],
    ...[String(line.lsn), String(line.leg)],
  ]);
  const all = [COLUMNS, edge('opening', openingCents), ...rows, edge('closing', closingCents)];
  return all.map((row) => `${row.map(quoted).join(',')}\r\n`).join('');
}

/** What a sheet would take for a formula becomes text: a user id may begin with `=`. */
function safe(text: string): string {
  return /^[\s]*[=+\-@|%\t\r]/.test(text) ? `'${text}` : text;
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
