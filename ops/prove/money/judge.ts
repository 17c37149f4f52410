import type { Entry } from '../../../lib/core/journal-entry.ts';
import { ClusterBooks } from '../../../reconciler/audit/cluster-books.ts';
import type { Packet } from '../../../reconciler/audit/packets.ts';
import { Violation } from '../../../reconciler/audit/violation.ts';
import { Clients } from '../../sim/check/clients.ts';
import type { Findings } from '../findings.ts';
import { judgeDisks } from '../set/disk.ts';
import { readDisk } from '../set/disk-rows.ts';
import type { SetPlace } from './cluster.ts';
import { QUORUM } from './cluster.ts';
import type { Balance, History, Told } from './history.ts';
import { sameTold, toldText } from './history.ts';
import { holdStatements } from './statements.ts';
import { addMerged } from './merge.ts';
import { SettleTimes } from './settle-times.ts';

const LANES = 4;

export type Verdict = {
  readonly entries: number;
  readonly ops: number;
  /** Leaders after the first of each Set. */
  readonly takeovers: number;
  readonly claims: number;
  readonly packets: number;
  readonly drained: number;
  readonly refunds: number;
  readonly discarded: number;
  /** Lines of people's statements on all replicas. */
  readonly lines: number;
  readonly whereabouts: ReturnType<ClusterBooks['whereabouts']>;
  readonly times: SettleTimes;
};

export type Case = {
  readonly sets: readonly SetPlace[];
  readonly history: History;
  /** What everybody was told at the end, when nothing moved any more. */
  readonly last: readonly Balance[];
  /** The replicas were equal in the end: then they are held to it. */
  readonly isHealed: boolean;
  readonly findings: Findings;
};

/**
 * Holds what the servers' disks say against each other, against books that are kept from the
 * journals alone, and against what people were told. Nothing of the program that wrote is believed.
 */
export async function judge(args: Case): Promise<Verdict> {
  const { sets, history, isHealed, findings } = args;
  const journals = new Map<number, readonly Entry[]>();
  let discarded = 0;
  for (const { id, servers } of sets) {
    // One Set after the other: three copies of a long journal are in memory at once.
    const disks = await Promise.all(servers.map((server) => readDisk({ server, set: id })));
    journals.set(id, judgeDisks({ disks, quorum: QUORUM, isHealed }, findings));
    discarded += disks.reduce((sum, disk) => sum + disk.discarded.length, 0);
  }
  const books = new ClusterBooks([...journals.keys()]);
  const times = new SettleTimes();
  const isWhole = held(findings, () =>
    addMerged({ books, journals, onEntry: (entry, ops) => times.add(entry, ops) }),
  );
  holdAnswers(history, findings);
  let lines = 0;
  if (isWhole) {
    const truth = { books, history, findings };
    holdClaims(truth);
    holdPackets(truth);
    holdTransfers({ ...truth, times });
    holdWallets({ ...truth, last: args.last });
    held(findings, () => holdClients(history, books));
    for (const set of sets) lines += await holdStatements({ set, books, findings });
  }
  const packets = packetsOf(books);
  return {
    entries: [...journals.values()].reduce((sum, { length }) => sum + length, 0),
    ops: [...books.sets()].reduce((sum, { opCount }) => sum + opCount, 0),
    takeovers: [...journals.values()].reduce((sum, entries) => sum + epochsOf(entries) - 1, 0),
    claims: packets.reduce((sum, { claims }) => sum + claims.size, 0),
    packets: packets.length,
    drained: packets.filter(({ end }) => end?.kind === 'drained').length,
    refunds: packets.filter(({ end }) => end?.kind === 'refunded').length,
    discarded,
    lines,
    whereabouts: books.whereabouts(),
    times,
  };
}

type Truth = {
  readonly books: ClusterBooks;
  readonly history: History;
  readonly findings: Findings;
};

/** False, and a finding: a rule of SPEC is broken. */
function held(findings: Findings, check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    findings.break(error.message);
    return false;
  }
}

function packetsOf(books: ClusterBooks): Packet[] {
  return [...books.sets()].flatMap(({ packets }) => [...packets.all()]);
}

function epochsOf(entries: readonly Entry[]): number {
  return new Set(entries.map(({ epoch }) => epoch)).size;
}

/** Refusals that are over for everybody, and so for whom it was not meant as well. */
const OVER = new Set(['packet_drained', 'packet_expired']);

/** Who was not meant (no entry of a journal) hears of a packet that has left memory that it is over. */
function isSameAnswer(told: Told, other: Told): boolean {
  if (sameTold(told, other)) return true;
  const words = [told, other].map((one) => (one.kind === 'refused' ? one.code : ''));
  return words.includes('not_allowed') && words.some((word) => OVER.has(word));
}

/** The same question has one answer: on two devices, by a repeated command, and days later. */
function holdAnswers({ opens, sent }: History, findings: Findings): void {
  for (const { packetId, user, told, again } of opens) {
    const what = `${user} in packet ${packetId}`;
    if (told === null) findings.break(`${what}: never answered`);
    for (const other of told === null ? [] : again) {
      if (told === null || isSameAnswer(told, other)) continue;
      findings.change(`${what}: ${toldText(told)}, and ${toldText(other)}`);
    }
  }
  for (const { user, clientId, packetId, refusal, again } of sent) {
    const first = packetId ?? refusal;
    const other = again.find((word) => word !== first);
    if (first === null) findings.break(`${clientId} of ${user}: never answered`);
    else if (other !== undefined) findings.change(`${clientId} of ${user}: ${first}, and ${other}`);
  }
}

/** Every share that somebody was told is in a journal once, and there is no other. */
function holdClaims({ books, history, findings }: Truth): void {
  let told = 0;
  for (const { packetId, user, told: word } of history.opens) {
    if (word === null) continue;
    const claim = books.claim({ packetId: BigInt(packetId), user });
    const what = `${user} in packet ${packetId}: ${toldText(word)}`;
    if (word.kind === 'refused') {
      if (claim !== undefined) findings.change(`${what}, yet there is a share`);
      continue;
    }
    told += 1;
    if (claim === undefined) findings.lose(`${what}, and no journal has it`);
    else if (claim.amountCents !== word.amountCents || claim.order !== word.order) {
      findings.change(`${what}, in the journal ${claim.amountCents} as number ${claim.order}`);
      findings.compareCents(what, { expected: word.amountCents, actual: claim.amountCents });
    }
  }
  const there = packetsOf(books).reduce((sum, { claims }) => sum + claims.size, 0);
  if (there !== told) findings.break(`${there} shares in the journals, ${told} were told`);
}

/** Every packet that was promised is there, and every one has ended: drained, or its rest gone back. */
function holdPackets({ books, history, findings }: Truth): void {
  const promised = history.sent.filter(({ packetId }) => packetId !== null);
  for (const { packetId, totalCents, user } of promised) {
    const found = books.packet(BigInt(packetId ?? 0));
    if (found === undefined) findings.lose(`packet ${packetId} of ${user} is in no journal`);
    else if (found.definition.totalCents !== totalCents || found.definition.sender !== user) {
      findings.change(`packet ${packetId} of ${user}: of somebody else, or another amount`);
    }
  }
  const all = packetsOf(books);
  if (all.length !== promised.length) {
    findings.break(`${all.length} packets in the journals, ${promised.length} were promised`);
  }
  for (const { definition, end, restCents } of all) {
    if (end !== null) continue;
    findings.break(`packet ${definition.packetId} has not ended: ${restCents} cents are in it`);
  }
}

/** Every transfer has its receipt, every share and every rest was booked once, nothing is on its way. */
function holdTransfers({ books, times, findings }: Truth & { readonly times: SettleTimes }): void {
  const sets = [...books.sets()];
  for (const { setId, outbox } of sets) {
    for (const { setId: to } of sets) {
      for (let lane = 0; lane < LANES; lane++) {
        const open = outbox.sentUpTo(to, lane) - outbox.doneUpTo(to, lane);
        if (open > 0)
          findings.break(`Set ${setId}, lane ${lane} to ${to}: ${open} without receipt`);
      }
    }
  }
  const { inFlightCents } = books.whereabouts();
  findings.compareCents('in flight', { expected: 0, actual: inFlightCents });
  if (times.missing > 0) findings.break(`${times.missing} shares and rests were never booked`);
  if (times.unknown > 0) findings.break(`${times.unknown} were booked more than once`);
  const packets = packetsOf(books);
  const due = {
    claim: packets.reduce((sum, { claims }) => sum + claims.size, 0),
    refund: packets.filter(({ end }) => end?.kind === 'refunded').length,
  };
  for (const kind of ['claim', 'refund'] as const) {
    const count = times.settled.filter((one) => one.kind === kind).length;
    if (count !== due[kind]) findings.break(`${due[kind]} ${kind}s, ${count} were settled`);
  }
}

/** What everybody has: as the journals say, as he was told, and as his own story adds up to. */
function holdWallets(args: Truth & { readonly last: readonly Balance[] }): void {
  const { books, history, findings, last } = args;
  const issued = history.people.length * history.welcomeCents;
  const { walletsCents, packetsCents, issuedCents } = books.whereabouts();
  findings.compareCents('issued', { expected: issued, actual: issuedCents });
  findings.compareCents('wallets and packets', {
    expected: issued,
    actual: walletsCents + packetsCents,
  });
  const told = new Map(last.map((one) => [one.user, one]));
  const story = storyOf(history, books);
  for (const user of history.people) {
    const actual = books.homeOf(user)?.ledger.wallet(user) ?? 0;
    findings.compareCents(`wallet of ${user}`, { expected: story.get(user) ?? 0, actual });
    const { balanceCents, arrivingCents } = told.get(user) ?? {
      balanceCents: NaN,
      arrivingCents: 0,
    };
    findings.compareCents(`balance told to ${user}`, { expected: actual, actual: balanceCents });
    findings.compareCents(`arriving for ${user}`, { expected: 0, actual: arrivingCents });
  }
}

/** Welcome money − sent + shares as people know them, + the rests that were never shared out. */
function storyOf(history: History, books: ClusterBooks): Map<string, number> {
  const story = new Map(history.people.map((user) => [user, history.welcomeCents]));
  const add = (user: string, amount: number): void => {
    story.set(user, (story.get(user) ?? 0) + amount);
  };
  const shared = new Map<string, number>();
  for (const { user, packetId, told } of history.opens) {
    if (told?.kind !== 'claim') continue;
    add(user, told.amountCents);
    shared.set(packetId, (shared.get(packetId) ?? 0) + told.amountCents);
  }
  for (const { user, packetId, totalCents } of history.sent) {
    if (packetId === null) continue;
    add(user, -totalCents);
    const hasEnded = books.packet(BigInt(packetId))?.end !== null;
    if (hasEnded) add(user, totalCents - (shared.get(packetId) ?? 0));
  }
  return story;
}

/** The client checks of the simulator: the same words, held against the same books. */
function holdClients(history: History, books: ClusterBooks): void {
  const clients = new Clients();
  for (const { user, packetId, told } of history.opens) {
    if (told?.kind === 'claim') {
      const { amountCents, order, at } = told;
      clients.toldOpen({ user, packetId, amountCents, order, at });
    } else if (told !== null) clients.toldNo({ user, status: told.code, packetId });
  }
  for (const { user, clientId, packetId, refusal } of history.sent) {
    if (packetId !== null) clients.toldSend({ user, clientId, packetId });
    else if (refusal !== null) clients.toldNo({ user, status: refusal, clientId });
  }
  for (const group of history.groups) clients.toldGroup(group);
  for (const { user, balanceCents, mark } of history.balances) {
    clients.toldBalance({ user, balanceCents, mark });
  }
  clients.finish(books);
}
