import { Violation } from '../../../reconciler/audit/violation.ts';
import type { Answer } from '../../../reconciler/audit/answers.ts';
import type { ClusterBooks } from '../../../reconciler/audit/cluster-books.ts';

/** Ids are decimal strings, as on the wire; a command id is the client's UUIDv7. */
type Told = { readonly user: string };
export type ToldOpen = Told & {
  readonly packetId: string;
  readonly amountCents: number;
  readonly order: number;
  /** Log time of the open, milliseconds. */
  readonly at: number;
};
export type ToldSend = Told & { readonly clientId: string; readonly packetId: string };
export type ToldGroup = Told & { readonly clientId: string; readonly groupId: string };
export type ToldMessage = Told & {
  readonly groupId: string;
  readonly clientMsgId: string;
  readonly seq: number;
  /** What he wrote, when the caller knows it. */
  readonly body?: string;
};
export type ToldBalance = Told & {
  readonly balanceCents: number;
  /** `set:epoch:lsn` as the answer had it. */
  readonly mark: string;
  /**
   * One person through one access node (SPEC Q8); answers of a session never go back in time. Left
   * out: what was told is held against the mark alone.
   */
  readonly session?: string;
  /** Highest mark of that Set which the session had when it asked. */
  readonly knewMark?: string;
};
/** A final no, by the status that the client read. */
export type ToldNo = Told & { readonly status: string } & (
    | { readonly clientId: string }
    | { readonly packetId: string }
  );
/** A message, a claim or a list entry that somebody was shown, pushed or read (I9). */
export type ToldSeen = Told & {
  readonly groupId: string;
  readonly seq: number;
  /** Empty when no client sent it. */
  readonly clientMsgId: string;
  readonly sender: string;
};

export type ToldPayment = Told & {
  readonly clientId: string;
  readonly purpose: 'topup' | 'packet' | 'withdraw';
  readonly paymentId: string;
  /** null: it pays for no packet. */
  readonly packetId: string | null;
};

/** A no to an open after which nobody of that name may stand in the packet. */
const OVER = new Set(['packet_drained', 'packet_expired']);

const PAYMENTS = {
  topup: 'wallet.topup',
  packet: 'packet.pay',
  withdraw: 'wallet.withdraw',
} as const;

/** What people were told, kept until it is held against the journals (M9, M10, I1, I9). */
export class Clients {
  readonly #opens = new Map<string, ToldOpen>();
  readonly #commands = new Map<string, { readonly type: Answer['type']; readonly told: Words }>();
  readonly #noCommands = new Map<string, ToldNo & { readonly clientId: string }>();
  readonly #noOpens = new Map<string, ToldNo & { readonly packetId: string }>();
  readonly #balances: ToldBalance[] = [];
  readonly #seen = new Map<string, ToldSeen>();

  /** `ok` and `already_opened` alike: the same amount, order and time for ever. */
  toldOpen(told: ToldOpen): void {
    const { user, packetId, amountCents, order, at } = told;
    const key = `${packetId} ${user}`;
    const earlier = this.#opens.get(key);
    this.#opens.set(key, told);
    const isSame =
      earlier === undefined ||
      (earlier.amountCents === amountCents && earlier.order === order && earlier.at === at);
    if (!isSame) {
      const first = `${earlier.amountCents} cents as ${earlier.order}`;
      const then = `${amountCents} cents as ${order}`;
      throw new Violation(`M9 packet ${packetId}: ${user} was told ${first}, then ${then}`);
    }
    if (this.#noOpens.has(key)) {
      throw new Violation(`M9 packet ${packetId}: ${user} was told no, then ${amountCents} cents`);
    }
  }

  toldSend({ user, clientId, packetId }: ToldSend): void {
    this.#toldCommand('packet.send', { user, commandId: clientId, about: packetId, seq: 0 });
  }

  /** The packet's id is the answer's, where there is one; the payment's is held by the cashbook. */
  toldPayment({ user, clientId, purpose, paymentId, packetId }: ToldPayment): void {
    const about = packetId ?? paymentId;
    this.#toldCommand(PAYMENTS[purpose], { user, commandId: clientId, about, seq: 0 });
  }

  toldGroup({ user, clientId, groupId }: ToldGroup): void {
    this.#toldCommand('group.create', { user, commandId: clientId, about: groupId, seq: 0 });
  }

  /** With a client id only: without one a repeat is not known for one (SPEC C3). */
  toldLeave({ user, clientId, groupId }: ToldGroup): void {
    this.#toldCommand('group.leave', { user, commandId: clientId, about: groupId, seq: 0 });
  }

  toldMessage({ user, groupId, clientMsgId, seq, body }: ToldMessage): void {
    const words = { user, commandId: clientMsgId, about: groupId, seq };
    this.#toldCommand('message.send', body === undefined ? words : { ...words, body });
  }

  #toldCommand(type: Answer['type'], told: Words): void {
    const key = told.commandId + told.user;
    const earlier = this.#commands.get(key);
    const isSame =
      earlier === undefined ||
      (earlier.type === type && earlier.told.about === told.about && earlier.told.seq === told.seq);
    if (!isSame) {
      const first = `${earlier.told.about}/${earlier.told.seq}`;
      const what = `${type} ${told.commandId} of ${told.user}`;
      throw new Violation(`M9 ${what} was answered ${first}, then ${told.about}/${told.seq}`);
    }
    this.#commands.set(key, { type, told: { ...earlier?.told, ...told } });
    const no = this.#noCommands.get(key);
    if (no !== undefined) {
      const what = `${type} ${told.commandId} of ${told.user}`;
      throw new Violation(`M9 ${what} was refused with ${no.status}, then done`);
    }
  }

  /**
   * A no after which the client gives up: never `unknown`, `overloaded` or anything else that may
   * be tried again. `id_reused` says that the id was done with other words, so it is not kept.
   */
  toldNo(no: ToldNo): void {
    const { user, status } = no;
    if (status === 'id_reused') return;
    if ('clientId' in no) {
      const key = no.clientId + user;
      if (this.#commands.has(key)) {
        throw new Violation(`M9 ${no.clientId} of ${user} was done, then refused with ${status}`);
      }
      this.#noCommands.set(key, no);
    } else if (OVER.has(status)) {
      const key = `${no.packetId} ${user}`;
      if (this.#opens.has(key)) {
        throw new Violation(`M9 packet ${no.packetId}: ${user} had a share, then ${status}`);
      }
      this.#noOpens.set(key, no);
    }
  }

  toldBalance(told: ToldBalance): void {
    this.#balances.push(told);
  }

  /** Shown to anybody: the same seq of a group is the same message for all (I9). */
  toldSeen(seen: ToldSeen): void {
    const key = `${seen.groupId} ${seen.seq}`;
    const earlier = this.#seen.get(key);
    this.#seen.set(key, seen);
    if (earlier === undefined) return;
    if (earlier.clientMsgId === seen.clientMsgId && earlier.sender === seen.sender) return;
    const people = `${earlier.user} and ${seen.user}`;
    throw new Violation(`I9 group ${seen.groupId}, seq ${seen.seq}: ${people} saw two messages`);
  }

  /** Everything told, against journals that are whole. Throws the first Violation. */
  finish(books: ClusterBooks): void {
    for (const told of this.#opens.values()) holdOpen(told, books);
    for (const { type, told } of this.#commands.values()) holdCommand({ type, told, books });
    for (const no of this.#noCommands.values()) holdNotDone(no, books);
    for (const { user, packetId, status } of this.#noOpens.values()) {
      if (books.claim({ packetId: BigInt(packetId), user }) !== undefined) {
        throw new Violation(`M10 packet ${packetId}: ${user} was told ${status} and has a share`);
      }
    }
    for (const seen of this.#seen.values()) holdSeen(seen, books);
    holdBalances(this.#balances, books);
  }
}

type Words = {
  readonly user: string;
  readonly commandId: string;
  /** Packet or group, a decimal string. */
  readonly about: string;
  readonly seq: number;
  readonly body?: string;
};

function holdOpen(told: ToldOpen, books: ClusterBooks): void {
  const { user, packetId, amountCents, order, at } = told;
  const claim = books.claim({ packetId: BigInt(packetId), user });
  const what = `packet ${packetId}: ${user} was told ${amountCents} cents as ${order}`;
  if (claim === undefined) throw new Violation(`I1 ${what}, and no journal has it`);
  if (claim.amountCents !== amountCents || claim.order !== order || claim.at !== at) {
    const real = `${claim.amountCents} as ${claim.order} at ${claim.at}`;
    throw new Violation(`M10 ${what} at ${at}, the journal has ${real}`);
  }
}

function holdCommand(args: { type: Answer['type']; told: Words; books: ClusterBooks }): void {
  const { type, told, books } = args;
  const { user, commandId, about, seq, body } = told;
  const answer = books.answer({ user, commandId });
  const what = `${type} ${commandId} of ${user}`;
  if (answer === undefined) throw new Violation(`I1 ${what} was answered, and no journal has it`);
  const isSame =
    answer.type === type &&
    answer.status === 'ok' &&
    String(answer.about) === about &&
    answer.seq === seq &&
    (body === undefined || answer.words === body);
  if (isSame) return;
  const real = `${answer.type} ${answer.status} ${answer.about}/${answer.seq}`;
  throw new Violation(`M10 ${what} was answered ${about}/${seq}, the journal has ${real}`);
}

function holdNotDone(no: ToldNo & { readonly clientId: string }, books: ClusterBooks): void {
  const { user, clientId, status } = no;
  const answer = books.answer({ user, commandId: clientId });
  if (answer?.status !== 'ok') return;
  const what = `${clientId} of ${user} was refused with ${status}`;
  throw new Violation(`M10 ${what}, and ${answer.type} stands at LSN ${answer.lsn}`);
}

function holdSeen(seen: ToldSeen, books: ClusterBooks): void {
  const { user, groupId, seq, clientMsgId, sender } = seen;
  const id = BigInt(groupId);
  const what = `group ${groupId}, seq ${seq}, shown to ${user}`;
  const last = lastSeqOf(id, books);
  if (seq > last) throw new Violation(`I9 ${what}: the journal ends with ${last}`);
  if (clientMsgId === '') return;
  const answer = books.answer({ user: sender, commandId: clientMsgId });
  if (answer?.type !== 'message.send' || answer.about !== id || answer.seq !== seq) {
    throw new Violation(`I9 ${what}: the journal has no such message of ${sender}`);
  }
}

function lastSeqOf(groupId: bigint, books: ClusterBooks): number {
  let last = 0;
  for (const { groups } of books.sets()) last = Math.max(last, groups.lastSeq(groupId));
  return last;
}

/** `set:epoch:lsn`. */
function readMark(mark: string): { setId: number; lsn: number } {
  const [setId, , lsn] = mark.split(':').map(Number);
  if (setId === undefined || lsn === undefined || !Number.isSafeInteger(setId + lsn)) {
    throw new Violation(`Q8 a mark that is none: ${mark}`);
  }
  return { setId, lsn };
}

/**
 * Every balance was one, at the LSN of its mark or later, because what waits for a commit may show
 * more than its mark (SPEC Q8). In a session each is as new as what the session knew when it asked.
 */
function holdBalances(all: readonly ToldBalance[], books: ClusterBooks): void {
  for (const { user, balanceCents, mark, session, knewMark } of all) {
    const { setId, lsn } = readMark(mark);
    const { ledger, lsn: end } = books.set(setId);
    const what = `${user} was shown ${balanceCents} at ${mark}`;
    if (lsn > end) throw new Violation(`I9 ${what}: the journal ends with LSN ${end}`);
    const from = { user, cents: balanceCents, from: lsn };
    const shownAt = ledger.lsnWithBalance(from);
    if (shownAt === null) {
      throw new Violation(
        `M10 ${what}, and had ${ledger.walletAt(user, lsn)} and never that later`,
      );
    }
    if (session === undefined || knewMark === undefined) continue;
    const knew = readMark(knewMark);
    if (knew.setId !== setId) continue;
    const due = Math.max(knew.lsn, lsn);
    if (ledger.lsnWithBalance({ ...from, from: due }) === null) {
      throw new Violation(`I9 ${what} in session ${session}, which knew ${knewMark} already`);
    }
  }
}
