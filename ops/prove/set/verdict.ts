import type { Entry } from '../../../lib/core/journal-entry.ts';
import { STATUSES, retryOf } from '../../../lib/core/status.ts';
import type { Operation } from '../../rig/history.ts';
import { findUnsound } from '../../rig/history-checks.ts';
import type { JournalClaim } from '../books.ts';
import { Books } from '../books.ts';
import type { Findings } from '../findings.ts';
import type { DisksOptions } from './disk.ts';
import { judgeDisks } from './disk.ts';
import type { History, Open } from './history.ts';
import { sameTold, toldText } from './history.ts';

export type Verdict = {
  readonly entries: number;
  readonly ops: number;
  readonly epochs: number;
  readonly claims: number;
  readonly discarded: number;
};

/**
 * Holds what people were told against what the replicas' disks say, and adds every cent up a second
 * time. Reads rows with a decoder of its own; nothing of the program that wrote them is believed.
 */
export function judge(
  args: DisksOptions & { readonly history: History },
  findings: Findings,
): Verdict {
  const { disks, history } = args;
  const journal = judgeDisks(args, findings);
  const books = new Books();
  try {
    books.add(journal, findings);
  } catch (error) {
    findings.break(`the journal cannot be read: ${String(error)}`);
  }
  books.checkPackets(findings);
  checkDigests(journal, { books, findings });
  checkMoney({ books, history, findings });
  checkOpens({ books, journal, history, findings });
  for (const line of findUnsound(history.recorder.operations, RULES)) findings.change(line);
  return {
    entries: books.entries,
    ops: books.ops,
    epochs: new Set(journal.map(({ epoch }) => epoch)).size,
    claims: [...books.claims.values()].reduce((sum, { length }) => sum + length, 0),
    discarded: disks.reduce((sum, disk) => sum + disk.discarded.length, 0),
  };
}

/** One person has one share of one packet, and a final refusal stays one. */
const RULES: Parameters<typeof findUnsound<Operation>>[1] = {
  keyOf: ({ op, user, input }) =>
    op === 'packet.open' ? `open of ${user}: ${JSON.stringify(input)}` : null,
  promiseOf: ({ answer }) => answer,
  isFinal: ({ answer }) => {
    const status = STATUSES.find((one) => one === (answer as { status?: string } | null)?.status);
    return status !== undefined && retryOf(status) === 'final';
  },
};

/** The last digest says the same as all postings together. */
function checkDigests(
  journal: readonly Entry[],
  { books, findings }: { books: Books; findings: Findings },
): void {
  const money = journal.at(-1)?.money;
  if (money === undefined) return findings.break('the journal is empty');
  const pairs: [string, string, number][] = [
    ['wallets', 'wallet ', money.walletsCents],
    ['packets', 'packet ', money.packetsCents],
    ['clearing', 'clearing ', money.clearingCents],
    ['issuer', 'issuer', money.issuerCents],
  ];
  for (const [name, prefix, expected] of pairs) {
    findings.compareCents(`digest of ${name}`, { expected, actual: books.total(prefix) });
  }
}

type Money = { readonly books: Books; readonly history: History; readonly findings: Findings };

function checkMoney({ books, history, findings }: Money): void {
  const issued = history.issuedCents;
  const compare = (what: string, expected: number, actual: number): void =>
    findings.compareCents(`journal: ${what}`, { expected, actual });
  compare('issuer', -issued, books.balance('issuer'));
  compare('in flight', 0, books.total('clearing '));
  compare('wallets and packets', issued, books.total('wallet ') + books.total('packet '));
  for (const [user, expected] of history.expectedBalances()) {
    compare(`wallet of ${user}`, expected, books.balance(`wallet ${user}`));
  }
  for (const { packetId, acknowledged, totalCents, count } of history.sent) {
    const found = books.sent.get(packetId);
    if (found === undefined) {
      if (acknowledged) findings.lose(`packet ${packetId}: acknowledged, yet not in the journal`);
    } else if (found.totalCents !== totalCents || found.count !== count) {
      findings.change(`packet ${packetId}: another amount or count`);
    }
  }
  if (books.sent.size !== history.sent.filter(({ acknowledged }) => acknowledged).length) {
    findings.break(`${books.sent.size} packets in the journal, not those that were sent`);
  }
}

/** What people were told is in the journal exactly once, and nothing else is. */
function checkOpens(args: Money & { readonly journal: readonly Entry[] }): void {
  const { books, journal, history, findings } = args;
  const byPacket = Map.groupBy(history.opens, ({ packetId }) => packetId);
  let told = 0;
  for (const [packetId, opens] of byPacket) {
    const claims = Map.groupBy(books.claims.get(packetId) ?? [], ({ user }) => user);
    for (const open of opens) {
      const found = claims.get(open.user) ?? [];
      checkAnswer(open, { found, findings });
      if (open.told?.kind === 'claim') {
        told += 1;
        checkMark(open, { found: found[0], journal, findings });
      }
    }
    checkRealTime(opens, findings);
  }
  const there = [...books.claims.values()].reduce((sum, claims) => sum + claims.length, 0);
  if (there !== told) findings.break(`journal: ${there} claims, ${told} were told`);
}

function checkAnswer(
  open: Open,
  { found, findings }: { found: readonly JournalClaim[]; findings: Findings },
): void {
  const { packetId, user, told, again } = open;
  const what = `${user} in packet ${packetId}`;
  if (told === null) return findings.break(`${what}: never answered`);
  if (again !== null && !sameTold(told, again)) {
    findings.change(`${what}: ${toldText(told)}, asked again ${toldText(again)}`);
  }
  // A second first time means that the first one had been forgotten.
  if (again?.kind === 'claim' && again.fresh) findings.lose(`${what}: opened twice`);
  const [claim] = found;
  if (told.kind === 'refused') {
    if (claim !== undefined) findings.change(`${what}: ${told.code}, yet there is a claim`);
  } else if (claim === undefined) {
    findings.lose(`${what}: ${toldText(told)} was acknowledged and is not in the journal`);
  } else if (found.length > 1) {
    findings.lose(`${what}: ${found.length} claims`);
  } else if (claim.amountCents !== told.amountCents || claim.order !== told.order) {
    const { amountCents, order } = claim;
    findings.change(`${what}: ${toldText(told)}, in the journal ${amountCents} as ${order}`);
    findings.compareCents(what, { expected: told.amountCents, actual: amountCents });
  }
}

/** The entry stands where the answer said, and the answer's epoch had begun. */
function checkMark(
  open: Open,
  args: {
    found: JournalClaim | undefined;
    journal: readonly Entry[];
    findings: Findings;
  },
): void {
  const { told, user, packetId } = open;
  const { found, journal, findings } = args;
  if (told?.kind !== 'claim' || found === undefined) return;
  const what = `${user} in packet ${packetId}`;
  if (found.lsn > told.lsn) findings.break(`${what}: marked ${told.lsn}, stands at ${found.lsn}`);
  if (told.fresh && found.epoch !== told.epoch) {
    findings.break(`${what}: answered in epoch ${told.epoch}, journaled in ${found.epoch}`);
  }
  const marked = journal[told.lsn - 1];
  if (marked === undefined || marked.epoch > told.epoch) {
    findings.break(`${what}: its mark ${told.epoch}:${told.lsn} is not of this journal`);
  }
}

/** Who asked after another was answered stands behind him: the packet is one after the other. */
function checkRealTime(opens: readonly Open[], findings: Findings): void {
  const claims = opens.flatMap((open) =>
    open.told?.kind === 'claim' && open.endedMs !== null
      ? [{ dueMs: open.dueMs, endedMs: open.endedMs, order: open.told.order, user: open.user }]
      : [],
  );
  const byEnd = claims.toSorted((a, b) => a.endedMs - b.endedMs);
  let next = 0;
  let highest = 0;
  for (const open of claims.toSorted((a, b) => a.dueMs - b.dueMs)) {
    for (let one = byEnd[next]; one !== undefined && one.endedMs < open.dueMs; one = byEnd[next]) {
      highest = Math.max(highest, one.order);
      next += 1;
    }
    if (open.order > highest) continue;
    findings.break(`${open.user}: number ${open.order}, though ${highest} was answered before`);
  }
}
