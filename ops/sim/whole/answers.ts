import { unreachable } from '../../../lib/core/assert.ts';
import { hold } from '../trace.ts';
import type { Book } from './book.ts';
import type { Asked } from './connection.ts';
import type { Errand, Own, View, Want } from './errand.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, flag, list, markOf, setOf, text, whole } from './fields.ts';
import type { Told } from './told.ts';

/** Holds a yes to a command against all other answers to it (M9). */
export function holdYes(errand: Errand, d: Fields): void {
  const { mustFail, lasting, broke, name } = errand;
  hold(mustFail === null, `C3 ${name} is answered, and must be refused with ${mustFail}`);
  hold(!broke, `C7 ${name} is answered beside a sealed no`);
  const now = lasting.map((field) => d[field]);
  const before = errand.yes;
  if (before === null) {
    errand.yes = now;
    return;
  }
  const changed = now.findIndex((value, at) => value !== before[at]);
  if (changed === -1) return;
  const was = String(before[changed]);
  hold(false, `M9 ${name}: ${lasting[changed]} was ${was}, and is ${String(now[changed])}`);
}

/** Marks of one session never fall, and what it asks next shows as much (Q8). */
function holdMark(asked: Asked, { set, lsn }: { set: number; lsn: number }): void {
  const { view, generation, errand, op } = asked;
  if (generation !== view.generation || view.hellos > 0) return;
  const floor = asked.floors.get(set) ?? 0;
  if (lsn < floor) {
    const what = errand?.name ?? op;
    hold(false, `Q8 ${what} shows LSN ${lsn} of Set ${set}, ${floor} was shown before`);
  }
  view.note(set, lsn);
}

/** Whether this answer must show that own write: the same session, and no hello since. */
function mustShow<Shown>(own: Own<Shown> | null, asked: Asked): own is Own<Shown> {
  if (own === null) return false;
  const { view, generation } = own;
  return asked.view === view && asked.generation === generation && isUnbroken(view, generation);
}

function isUnbroken(view: View, generation: number): boolean {
  return view.generation === generation && view.hellos === 0;
}

/** Where answers are noted and held against each other. */
export type Desk = { readonly book: Book; readonly told: Told };

/** Who asked. */
export type Asker = {
  readonly user: string;
  /** The Set of the wallet, once a mark has told it. */
  home: number | null;
  /** Statement lines up to this LSN have been told. */
  ledgerLsn: number;
  /** Was he told that he is in, and has he not asked to leave since? */
  isMember(groupId: string): boolean;
};

/** Reads a yes: what of it needs no journal is held at once, the rest is told. */
export function readYes(
  desk: Desk,
  asker: Asker,
  to: { errand: Errand; asked: Asked; d: Fields },
): void {
  const { errand, asked, d } = to;
  const { want, key } = errand;
  const { told, book } = desk;
  const { user } = asker;
  switch (want.op) {
    case 'group.create':
    case 'group.join':
    case 'group.leave': {
      const mark = markOf(d);
      holdMark(asked, mark);
      const clientId = want.op === 'group.join' ? null : key;
      const { groupId, change } = membershipOf(want, d);
      told.groups.push({ user, groupId, change, clientId, mark: mark.text });
      if (want.op === 'group.create') asker.home ??= mark.set;
      return;
    }
    case 'message.send': {
      const { groupId, body } = want;
      const mark = markOf(d);
      holdMark(asked, mark);
      const [seq, at] = [whole(d, 'seq'), whole(d, 'at')];
      book.placed(`${groupId} ${user} ${key}`, `${groupId}/${seq}`);
      told.messages.push({ how: 'reply', user, groupId, clientMsgId: key, seq, at, body });
      return;
    }
    case 'packet.send': {
      const { definition } = want;
      const mark = markOf(d);
      holdMark(asked, mark);
      const packetId = text(d, 'packetId');
      book.sent(packetId, definition);
      asker.home ??= mark.set;
      const { groupId, totalCents, count } = definition;
      const isUnpaid = text(d, 'status') === 'unpaid';
      hold(isUnpaid === (want.pay === 'gateway'), `M11 ${errand.name} is ${text(d, 'status')}`);
      if (isUnpaid) {
        const due = dueOf(d);
        const amountCents = totalCents;
        const payment = { ...due, purpose: 'packet', amountCents, packetId } as const;
        told.payments.push({ user, clientId: key, ...payment });
        return;
      }
      const terms = { groupId, totalCents, count };
      told.sends.push({ user, clientId: key, packetId, ...terms, mark: mark.text });
      return;
    }
    case 'packet.open':
      return readOpen(desk, { user, packetId: want.packetId, asked, d });
    case 'packet.grab':
      hold(GRABS.has(text(d, 'status')), `protocol: ${errand.name} says ${text(d, 'status')}`);
      return;
    case 'packet.get': {
      const { packetId } = book.packetShown(d, asked.knew.ended);
      hold(packetId === want.packetId, `protocol: ${errand.name} answers for ${packetId}`);
      hold(
        !asked.knew.opened || d['mine'] !== null,
        `Q1 ${errand.name} hides the asker's own share`,
      );
      return;
    }
    case 'packet.claims': {
      const { packetId, afterOrder, own } = want;
      holdMark(asked, { set: setOf(packetId), lsn: whole(d, 'asOfLsn') });
      book.claimsShown(packetId, d, afterOrder);
      if (!mustShow(own, asked)) return;
      const { order } = own.shown;
      const isThere = list(d, 'claims').some((one) => one['order'] === order);
      hold(isThere, `Q8 ${errand.name} hides the asker's own share ${order}`);
      return;
    }
    case 'wallet.get': {
      const mark = markOf(d);
      holdMark(asked, mark);
      asker.home ??= mark.set;
      const [balanceCents, arrivingCents] = [whole(d, 'balanceCents'), whole(d, 'arrivingCents')];
      hold(balanceCents >= 0 && arrivingCents >= 0, `M3 ${user} has ${balanceCents} c`);
      const arrivingComplete = flag(d, 'arrivingComplete');
      const money = { balanceCents, arrivingCents, arrivingComplete };
      told.balances.push({ user, ...money, mark: mark.text, ...sessionOf(asked, mark.set) });
      return;
    }
    case 'wallet.topup': {
      const mark = markOf(d);
      holdMark(asked, mark);
      asker.home ??= mark.set;
      const { amountCents } = want;
      const payment = { ...dueOf(d), purpose: 'topup', amountCents, packetId: null } as const;
      told.payments.push({ user, clientId: key, ...payment });
      return;
    }
    case 'wallet.withdraw': {
      const mark = markOf(d);
      holdMark(asked, mark);
      asker.home ??= mark.set;
      hold(whole(d, 'balanceCents') >= 0, `M3 ${user} has ${String(d['balanceCents'])} c`);
      const [paymentId, { amountCents }] = [text(d, 'paymentId'), want];
      const payment = { purpose: 'withdraw', paymentId, amountCents, packetId: null } as const;
      told.payments.push({ user, clientId: key, dueAt: null, ...payment });
      return;
    }
    case 'wallet.history':
      return readStatement(desk, asker, { errand, want, asked, d });
    case 'message.history': {
      const { groupId, fromSeq, own } = want;
      holdMark(asked, { set: setOf(groupId), lsn: whole(d, 'asOfLsn') });
      const messages = list(d, 'messages');
      book.page(messages, groupId);
      const [first, last] = [messages[0]?.['seq'], messages.at(-1)?.['seq']];
      hold(
        typeof first !== 'number' || first >= fromSeq,
        `Q2 ${errand.name} begins at ${String(first)}`,
      );
      if (typeof last === 'number') {
        hold(last <= whole(d, 'lastSeq'), `M10 ${errand.name} ends behind the last seq`);
      }
      // Who left and came back may read only what came after (C8).
      const stayed = asked.knew.member && asker.isMember(groupId);
      if (!stayed || !mustShow(own, asked)) return;
      const { seq } = own.shown;
      const isThere = messages.some((one) => one['seq'] === seq);
      hold(isThere, `Q8 ${errand.name} hides the asker's own message ${seq}`);
      return;
    }
    case 'group.list':
    case 'group.invite':
    case 'message.read':
      return;
    default:
      return unreachable(want);
  }
}

function sessionOf({ view, generation, floors }: Asked, set: number) {
  if (generation === -1) return {};
  const session = `${view.name}, hello ${generation}`;
  return { session, knewMark: `${set}:0:${floors.get(set) ?? 0}` };
}

/** A payment that somebody can pay at the page that it names. */
function dueOf(d: Fields): { paymentId: string; dueAt: number } {
  const paymentId = text(d, 'paymentId');
  const page = text(d, 'checkoutUrl');
  hold(page === `pay/${paymentId}`, `PG1 payment ${paymentId} is to be paid at ${page}`);
  return { paymentId, dueAt: whole(d, 'dueAt') };
}

const GRABS: ReadonlySet<string> = new Set(['go', 'wait', 'already_opened', 'drained', 'expired']);

type GroupWant = Extract<Want, { op: 'group.create' | 'group.join' | 'group.leave' }>;

function membershipOf(want: GroupWant, d: Fields) {
  if (want.op === 'group.create')
    return { groupId: text(d, 'groupId'), change: 'created' } as const;
  if (want.op === 'group.leave') return { groupId: want.groupId, change: 'left' } as const;
  const groupId = text(fieldsOf(d['group'], 'group'), 'groupId');
  hold(groupId === want.groupId, `protocol: joined ${groupId} instead of ${want.groupId}`);
  return { groupId, change: 'joined' } as const;
}

function readOpen(
  { book, told }: Desk,
  args: { user: string; packetId: string; asked: Asked; d: Fields },
): void {
  const { user, packetId, asked, d } = args;
  const mark = markOf(d);
  holdMark(asked, mark);
  const status = text(d, 'status');
  hold(status === 'opened' || status === 'already_opened', `protocol: an open says ${status}`);
  const claim = {
    user,
    order: whole(d, 'order'),
    amountCents: whole(d, 'amountCents'),
    at: whole(d, 'at'),
  };
  const { ended, opened } = asked.knew;
  if (status === 'opened') {
    hold(!opened, `C5 ${user} opened ${packetId} twice`);
    hold(ended === null, `M6 ${user} opened ${packetId}, which was ${ended}`);
  }
  book.claim(packetId, claim);
  told.opens.push({ ...claim, packetId, status, mark: mark.text });
}

/** A statement: lines newest first, each told once. */
function readStatement(
  { told }: Desk,
  asker: Asker,
  args: {
    errand: Errand;
    want: Extract<Want, { op: 'wallet.history' }>;
    asked: Asked;
    d: Fields;
  },
): void {
  const { errand, want, asked, d } = args;
  const { user } = asker;
  const { limit, own } = want;
  const asOfLsn = whole(d, 'asOfLsn');
  if (asker.home !== null) holdMark(asked, { set: asker.home, lsn: asOfLsn });
  let below = Infinity;
  let sumCents = 0;
  let shown = false;
  const entries = list(d, 'entries');
  for (const one of entries) {
    const lsn = whole(one, 'lsn');
    const amountCents = whole(one, 'amountCents');
    const packetId = one['packetId'] === null ? null : text(one, 'packetId');
    hold(lsn <= below, `Q3 ${errand.name}: LSN ${lsn} stands below ${below}`);
    below = lsn;
    sumCents += amountCents;
    if (own !== null && packetId === own.shown.packetId) {
      shown ||= amountCents === -own.shown.totalCents;
    }
    if (lsn <= asker.ledgerLsn) continue;
    const line = { lsn, amountCents, reason: text(one, 'reason'), packetId, at: whole(one, 'at') };
    told.ledgerLines.push({ user, ...line });
  }
  asker.ledgerLsn = Math.max(asker.ledgerLsn, asOfLsn);
  if (entries.length >= limit) return;
  hold(sumCents >= 0, `M3 the statement of ${user} at LSN ${asOfLsn} comes to ${sumCents} c`);
  if (mustShow(own, asked)) {
    hold(shown, `Q8 ${errand.name} hides the asker's own packet ${own.shown.packetId}`);
  }
}
