/** How a lie gets into a journal: changes of single ops. */
import type { Posting } from '../../lib/core/account.ts';
import type { Command } from '../../lib/core/command.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import { cents } from '../../lib/core/units.ts';
import type { Change } from './check-journals.ts';

export type OpOf<T extends Command['type']> = Op & {
  readonly command: Extract<Command, { type: T }>;
  readonly outcome: Extract<Outcome, { type: T; status: 'ok' | 'already_opened' }>;
};

export function isOk<T extends Command['type']>(op: Op, type: T): op is OpOf<T> {
  return op.command.type === type && op.outcome.status === 'ok';
}

/** Changes the first op that `change` has something for. */
export function once(change: Change): Change {
  let done = false;
  return (op, entry) => {
    if (done) return null;
    const made = change(op, entry);
    done = made !== null;
    return made;
  };
}

/** {@link once} for the successes of one type. */
export function first<T extends Command['type']>(
  type: T,
  change: (op: OpOf<T>, entry: Entry) => readonly Op[] | null,
): () => Change {
  return () => once((op, entry) => (isOk(op, type) ? change(op, entry) : null));
}

export function more(postings: readonly Posting[], by: readonly number[]): Posting[] {
  return postings.map((posting, at) => ({
    ...posting,
    amountCents: cents(posting.amountCents + (by[at] ?? 0)),
  }));
}

/** A share, or a refund, of so many cents more, everywhere where it stands. */
export function larger(op: Op, by: number): Op {
  const { outcome } = op;
  const sends = op.sends.map((send) => ({
    ...send,
    transfer:
      'amountCents' in send.transfer
        ? { ...send.transfer, amountCents: cents(send.transfer.amountCents + by) }
        : send.transfer,
  }));
  const changed =
    'refundCents' in outcome
      ? { ...outcome, refundCents: cents(outcome.refundCents + by) }
      : 'amountCents' in outcome
        ? { ...outcome, amountCents: cents(outcome.amountCents + by) }
        : outcome;
  return { ...op, outcome: changed, sends, postings: more(op.postings, [-by, by]) };
}

export function withOutcome(op: Op, fields: Partial<Record<string, unknown>>): Op {
  return { ...op, outcome: { ...op.outcome, ...fields } };
}

export function withGrant(op: OpOf<'packet.open'>, fields: object | null): Op {
  const { grant } = op.command;
  if (grant === null) return op;
  return {
    ...op,
    command: { ...op.command, grant: fields === null ? null : { ...grant, ...fields } },
  };
}

export function refuse(op: Op, status: string): Op {
  return withOutcome({ ...op, postings: [], sends: [] }, { status });
}

export function credits(transfers: readonly Transfer[]): boolean {
  return transfers.length === 1 && transfers[0]?.kind === 'claim.credit';
}

export type Tamper = {
  readonly rule: RegExp;
  /** One for each journal: it may remember what it has seen. */
  readonly change: () => Change;
  /** Only one Set's books are asked: those of all Sets see something else of it first. */
  readonly alone?: true;
};
