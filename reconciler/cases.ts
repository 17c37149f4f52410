import { unreachable } from '../lib/core/assert.ts';
import type { Status } from '../lib/core/status.ts';
import type { TransferKind } from '../lib/core/transfer.ts';
import { LANES } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Log } from '../lib/port/log.ts';
import type { Gauge, Metrics } from '../lib/port/metrics.ts';

const CASE_REASONS = ['unreadable', 'refused', 'old', 'failing'] as const;
/**
 * Why a person should look. `unreadable`, `refused`: the receiver said a final no, and no retry of
 * ours changes that; `old`, `failing`: nobody has said yes for too long.
 */
export type CaseReason = (typeof CASE_REASONS)[number];

/** One lane that does not move, told by its oldest entry. */
export type Case = {
  readonly reason: CaseReason;
  readonly from: SetId;
  readonly to: SetId;
  readonly lane: number;
  readonly number: number;
  /** Undelivered, or delivered and not confirmed by its source. */
  readonly step: 'deliver' | 'ack';
  /** null: this build cannot read it either. */
  readonly kind: TransferKind | null;
  /** Money of this one transfer. */
  readonly cents: number;
  /** Entries behind it in the lane, as far as they have been read. */
  readonly behind: number;
  /** Wall time in ms since 1970 at which this reconciler first saw it; it may be older. */
  readonly firstSeenMs: number;
  readonly tries: number;
  /** null: nobody has answered yet. */
  readonly lastAnswer: Status | null;
};

/** A case as an operator reads it. */
type CaseReport = Case & {
  readonly laneName: string;
  readonly what: string;
  readonly advice: string;
};

/** What `GET /cases` answers. */
export type CasesReport = {
  readonly reconciler: string;
  readonly members: number;
  readonly open: readonly CaseReport[];
  /** Open ones beyond the bound of the list. */
  readonly more: number;
};

/** Enough for a person to see what is wrong; the counts go on beyond it. */
const CASES_LISTED_MAX = 256;

/**
 * The dead letters: lanes whose money does not move. Nothing is taken out of a lane and no retry
 * ends; a case is opened when it is time that somebody looks, and closes itself when the lane moves.
 */
export class Cases {
  readonly #log: Log;
  readonly #gauge: Gauge;
  readonly #open = new Map<string, Case>();

  constructor(args: { log: Log; metrics: Metrics }) {
    this.#log = args.log;
    this.#gauge = args.metrics.gauge({
      name: 'hongbao_settle_cases',
      help: 'Lanes of transfers that do not move, by reason',
      labels: ['reason'],
    });
    this.#count();
  }

  /** The case of this lane is as told: opened if there is none, else brought up to date. */
  tell(now: Case): void {
    const key = keyOf(now);
    const known = this.#open.get(key);
    this.#open.set(key, now);
    const isSame =
      known?.reason === now.reason && known.number === now.number && known.step === now.step;
    if (isSame) return;
    this.#count();
    const { reason, lane, number, lastAnswer, tries } = now;
    const { what, advice } = reportOf(now);
    const { from, to } = now;
    this.#log.error('case_opened', {
      reason,
      from,
      to,
      lane,
      number,
      lastAnswer,
      tries,
      what,
      advice,
    });
  }

  /** The lane moves again, or another reconciler looks after it. */
  close(lane: { from: SetId; to: SetId; lane: number }): void {
    const key = keyOf(lane);
    const known = this.#open.get(key);
    if (known === undefined) return;
    this.#open.delete(key);
    this.#count();
    const { reason, from, to, number } = known;
    this.#log.info('case_closed', { reason, from, to, lane: known.lane, number });
  }

  /** The worst reasons first, then the oldest. */
  report(): Pick<CasesReport, 'open' | 'more'> {
    const sorted = [...this.#open.values()].toSorted(
      (a, b) => rankOf(a) - rankOf(b) || a.firstSeenMs - b.firstSeenMs,
    );
    const open = sorted.slice(0, CASES_LISTED_MAX).map(reportOf);
    return { open, more: sorted.length - open.length };
  }

  #count(): void {
    for (const reason of CASE_REASONS) {
      const open = [...this.#open.values()].filter((each) => each.reason === reason);
      this.#gauge.set(open.length, { reason });
    }
  }
}

function keyOf({ from, to, lane }: { from: SetId; to: SetId; lane: number }): string {
  return `${from}/${to}/${lane}`;
}

function rankOf({ reason }: Case): number {
  return CASE_REASONS.indexOf(reason);
}

const LANE_NAMES = new Map<number, string>(
  Object.entries(LANES).map(([name, lane]) => [lane, name]),
);

function reportOf(one: Case): CaseReport {
  const laneName = LANE_NAMES.get(one.lane) ?? String(one.lane);
  return { ...one, laneName, what: whatOf(one), advice: adviceOf(one) };
}

function whatOf({ kind, step, from, to, number }: Case): string {
  const name = kind ?? 'something unreadable';
  return step === 'deliver'
    ? `${name} number ${number} of Set ${from} does not reach Set ${to}`
    : `${name} number ${number} reached Set ${to}, and Set ${from} does not confirm it`;
}

/** What an operator can do. Money is safe in all of these: it stands in the outbox of its source. */
function adviceOf({ reason, step, from, to, lastAnswer }: Case): string {
  const asked = step === 'deliver' ? to : from;
  switch (reason) {
    case 'unreadable':
      return (
        `Set ${to} cannot read what Set ${from} wrote, nor can this build. Give the nodes of Set ${to} ` +
        `and the reconcilers the build of Set ${from}. If all are of one build: damage or a bug, report it.`
      );
    case 'refused':
      return refusedAdvice({ step, from, to, lastAnswer });
    case 'old':
    case 'failing':
      return (
        `Does Set ${asked} serve (set status)? Can this reconciler reach it? Nothing else is needed: ` +
        `it is tried again for ever, and both ends know what they have done.`
      );
    default:
      return unreachable(reason);
  }
}

function refusedAdvice(args: {
  step: Case['step'];
  from: SetId;
  to: SetId;
  lastAnswer: Status | null;
}): string {
  const { step, from, to, lastAnswer } = args;
  if (step === 'ack') {
    return (
      `Set ${from} does not know what Set ${to} has received of it: a Set that was set back to an old ` +
      `copy. Keep all replicas as they are, compare both journals (audit), report it.`
    );
  }
  if (lastAnswer === 'issue_limit') {
    return (
      `Set ${to} holds as much money as a Set may. It is taken as soon as there is room: withdrawals, ` +
      `or packets sent to people of other Sets.`
    );
  }
  if (lastAnswer === 'malformed') {
    return (
      `Set ${to} does not take what this build can read: are its nodes older than those of Set ${from}? ` +
      `Give them the same build. If all are of one build, report it.`
    );
  }
  return `Set ${to} answers ${lastAnswer}, which no retry changes: a bug. Report it with both journals.`;
}
