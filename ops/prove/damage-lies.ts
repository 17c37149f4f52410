/**
 * Lies that are sealed: checksums, chain, totals and query tables are those of an honest writer of
 * these very ops, on every replica. Only books that know the rules can see them.
 */
import type { Posting } from '../../lib/core/account.ts';
import { sha256 } from '../../lib/adapter/node-crypto.ts';
import { Writer } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { encodeCommand } from '../../lib/core/command.ts';
import type { Entry, Op } from '../../lib/core/journal-entry.ts';
import { ZERO_SUM, decodeOps, seal, writeOp } from '../../lib/core/journal-entry.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import type { Outgoing, Transfer } from '../../lib/core/transfer.ts';
import { cents } from '../../lib/core/units.ts';
import type { Random } from '../../lib/port/random.ts';

type OpOf<T extends Command['type']> = Op & {
  readonly command: Extract<Command, { type: T }>;
  readonly outcome: Extract<Outcome, { type: T; status: 'ok' | 'already_opened' }>;
};

/** Other ops in the place of one; null: nothing to lie about here. */
type OpLie = (op: Op) => readonly Op[] | null;

export type Lie =
  | { readonly kind: string; readonly of: 'op'; readonly lie: OpLie }
  /** About the head of one entry; those above are chained to it. */
  | { readonly kind: string; readonly of: 'head'; readonly lie: (entry: Entry) => Entry | null };

const NEVER_SENT = 1_000;

function on<T extends Command['type']>(type: T, lie: (op: OpOf<T>) => readonly Op[] | null): OpLie {
  return (op) =>
    op.command.type === type && op.outcome.status === 'ok' ? lie(op as OpOf<T>) : null;
}

export const LIES: readonly Lie[] = [
  ...opLies({
    'posting: one leg a cent more': (op) =>
      op.postings.length > 0 ? [{ ...op, postings: legs(op, [1]) }] : null,
    'posting: a cent more is moved': (op) =>
      op.postings.length > 1 ? [{ ...op, postings: legs(op, [-1, 1]) }] : null,
    'posting: a wallet instead of another': (op) => otherWallet(op),
    'posting: both legs are gone': (op) =>
      op.postings.length > 1 ? [{ ...op, postings: op.postings.slice(2) }] : null,
    'claim: a cent more': on('packet.open', (op) => [larger(op, 1)]),
    'claim: a cent less': on('packet.open', (op) => [larger(op, -1)]),
    'claim: doubled': on('packet.open', (op) => [op, op]),
    'claim: the next order': on('packet.open', (op) => [said(op, { order: op.outcome.order + 1 })]),
    'claim: gone': on('packet.open', () => []),
    'claim: of somebody else': on('packet.open', (op) => [
      { ...op, command: { ...op.command, user: `${op.command.user}~` as typeof op.command.user } },
    ]),
    'claim: another seed': on('packet.open', (op) =>
      op.outcome.seed.length > 0 ? [said(op, { seed: flipped(op.outcome.seed) })] : null,
    ),
    'claim: a share left': on('packet.open', (op) => [said(op, { left: op.outcome.left + 1 })]),
    'refund: a cent less': on('packet.expire', (op) => [refunded(op, -1)]),
    'refund: twice': on('packet.expire', (op) => [op, op]),
    'refund: gone': on('packet.expire', () => []),
    'packet: sent twice': on('packet.send', (op) => [op, op]),
    'packet: never sent': on('packet.send', () => []),
    'outbox: an entry changed': (op) => outgoing(op, (send) => amountMore(send)),
    'outbox: an entry removed': (op) =>
      op.sends.length > 0 ? [{ ...op, sends: op.sends.slice(1) }] : null,
    'outbox: an entry twice': (op) =>
      op.sends.length > 0 ? [{ ...op, sends: [...op.sends, ...op.sends] }] : null,
    'outbox: renumbered': (op) => outgoing(op, (send) => ({ ...send, number: send.number + 1 })),
    'outbox: another lane': (op) =>
      outgoing(op, (send) => ({ ...send, lane: send.lane === 3 ? 0 : 3 })),
    'outbox: another Set': (op) =>
      outgoing(op, (send) => ({ ...send, to: (3 - send.to) as typeof send.to })),
    'inbox: a delivery twice': on('transfer.deliver', (op) => [op, op]),
    'inbox: a delivery gone': on('transfer.deliver', () => []),
    'inbox: a delivery changed': on('transfer.deliver', (op) => delivered(op, amountOff)),
    'inbox: a number skipped': on('transfer.deliver', (op) => [
      { ...op, command: { ...op.command, first: op.command.first + 1 } },
    ]),
    'receipt: a duplicate': on('transfer.deliver', (op) => receipt(op, { kind: 'duplicate' })),
    'receipt: a tombstone invented': on('transfer.deliver', (op) =>
      receipt(op, { kind: 'tombstone', reason: 'id_reused' }),
    ),
    // Without a receipt, or with one for less, it is a history that could have been: the next one
    // would say the rest. These could not.
    'receipt: done and never sent': on('transfer.ack', (op) => {
      const upTo = op.command.upTo + NEVER_SENT;
      return [{ ...said(op, { upTo }), command: { ...op.command, upTo } }];
    }),
    'receipt: less is done than it says': on('transfer.ack', (op) => [
      said(op, { upTo: op.outcome.upTo - 1 }),
    ]),
    'receipt: a tombstone of nobody': on('transfer.ack', (op) => {
      const tombstone = { number: op.command.upTo, reason: 'id_reused' } as const;
      return [{ ...op, command: { ...op.command, tombstones: [tombstone] } }];
    }),
    'receipt: a tombstone forgotten': on('transfer.ack', (op) =>
      op.command.tombstones.length > 0
        ? [{ ...op, postings: [], command: { ...op.command, tombstones: [] } }]
        : null,
    ),
    'message: a seq skipped': on('message.send', (op) => [said(op, { seq: op.outcome.seq + 1 })]),
    'message: twice': on('message.send', (op) => [op, op]),
    'member: joins twice': on('group.join', (op) => [op, op]),
    'member: another version': on('group.join', (op) => [
      said(op, { version: op.outcome.version + 1 }),
    ]),
    'member: leaves twice': on('group.leave', (op) => [op, op]),
    'ids: given twice': on('ids.reserve', (op) => [op, op]),
    'wallet: welcomed twice': on('wallet.open', (op) => [op, op]),
    'wallet: more than was said': on('wallet.open', (op) => [
      { ...op, postings: legs(op, [-1, 1]) },
    ]),
    'payment: settled twice': on('payment.settle', (op) => [op, op]),
    'payment: settled with more': on('payment.settle', (op) => [
      {
        ...op,
        command: { ...op.command, amountCents: cents(op.command.amountCents + 1) },
        outcome: { ...op.outcome, amountCents: cents(op.outcome.amountCents + 1) },
        postings: legs(op, [-1, 1]),
      },
    ]),
    'payment: settled and never asked for': on('wallet.topup', () => []),
    'payment: a withdrawal twice': on('wallet.withdraw', (op) => [op, op]),
    'wallet: adjusted twice': on('wallet.adjust', (op) => [op, op]),
    'wallet: adjusted by more': on('wallet.adjust', (op) => [
      { ...op, postings: legs(op, [-1, 1]) },
    ]),
  }),
  ...headLies({
    'head: a cent between totals': (entry) => {
      const { walletsCents, issuerCents } = entry.money;
      const money = { walletsCents: cents(walletsCents + 1), issuerCents: cents(issuerCents - 1) };
      return { ...entry, money: { ...entry.money, ...money } };
    },
    'head: another leader': (entry) => ({ ...entry, leaderId: flipped(entry.leaderId) }),
    'head: an epoch of its own': (entry) => ({
      ...entry,
      epoch: (entry.epoch + 1) as typeof entry.epoch,
    }),
    'head: a day later': (entry) => ({
      ...entry,
      ts: (entry.ts + 86_400_000) as typeof entry.ts,
    }),
    'head: another kind': (entry) => ({ ...entry, kind: entry.kind === 'OPS' ? 'SEAL' : 'OPS' }),
    'head: other rules': (entry) => ({
      ...entry,
      format: entry.format === 1 ? 2 : entry.format - 1,
    }),
    'head: committed before it was there': (entry) => ({
      ...entry,
      commitLsn: entry.lsn,
    }),
    'head: acknowledged before it was there': (entry) => ({
      ...entry,
      acked: [entry.lsn, entry.acked[1], entry.acked[2]],
    }),
  }),
];

function opLies(lies: Readonly<Record<string, OpLie>>): Lie[] {
  return Object.entries(lies).map(([kind, lie]) => ({ kind, of: 'op', lie }));
}

function headLies(lies: Readonly<Record<string, (entry: Entry) => Entry | null>>): Lie[] {
  return Object.entries(lies).map(([kind, lie]) => ({ kind, of: 'head', lie }));
}

function legs(op: Op, by: readonly number[]): Posting[] {
  return op.postings.map((posting, at) => ({
    ...posting,
    amountCents: cents(posting.amountCents + (by[at] ?? 0)),
  }));
}

function otherWallet(op: Op): Op[] | null {
  const at = op.postings.findIndex(({ account }) => account.kind === 'wallet');
  const posting = op.postings[at];
  if (posting?.account.kind !== 'wallet') return null;
  const account = { ...posting.account, user: `${posting.account.user}~` };
  const postings = op.postings.map((each, index) =>
    index === at ? { ...posting, account } : each,
  );
  return [{ ...op, postings: postings as Posting[] }];
}

function said(op: Op, fields: Readonly<Record<string, unknown>>): Op {
  return { ...op, outcome: { ...op.outcome, ...fields } };
}

/** Everywhere where it stands. */
function larger(op: OpOf<'packet.open'>, by: number): Op {
  const amountCents = cents(op.outcome.amountCents + by);
  return { ...said(op, { amountCents }), ...moved(op, by) };
}

function refunded(op: OpOf<'packet.expire'>, by: number): Op {
  return { ...said(op, { refundCents: cents(op.outcome.refundCents + by) }), ...moved(op, by) };
}

function moved(op: Op, by: number): Pick<Op, 'sends' | 'postings'> {
  const sends = op.sends.map((send) => ({ ...send, transfer: plus(send.transfer, by) }));
  return { sends, postings: legs(op, [-by, by]) };
}

function plus(transfer: Transfer, by: number): Transfer {
  if (!('amountCents' in transfer)) return transfer;
  return { ...transfer, amountCents: cents(transfer.amountCents + by) };
}

function outgoing(op: Op, change: (send: Outgoing) => Outgoing | null): Op[] | null {
  const [first, ...others] = op.sends;
  const made = first === undefined ? null : change(first);
  return made === null ? null : [{ ...op, sends: [made, ...others] }];
}

function amountMore(send: Outgoing): Outgoing | null {
  return 'amountCents' in send.transfer ? { ...send, transfer: plus(send.transfer, 1) } : null;
}

/** The first transfer that carries money says another amount, and its legs do as well. */
function amountOff(transfer: Transfer): Transfer | null {
  return 'amountCents' in transfer ? plus(transfer, 1) : null;
}

function delivered(
  op: OpOf<'transfer.deliver'>,
  change: (transfer: Transfer) => Transfer | null,
): Op[] | null {
  const [first, ...others] = op.command.transfers;
  const made = first === undefined ? null : change(first);
  if (made === null || op.postings.length < 2) return null;
  const command = { ...op.command, transfers: [made, ...others] };
  return [{ ...op, command, postings: legs(op, [-1, 1]) }];
}

function receipt(
  op: OpOf<'transfer.deliver'>,
  changed: OpOf<'transfer.deliver'>['outcome']['receipts'][number],
): Op[] | null {
  const [first, ...others] = op.outcome.receipts;
  if (first === undefined || first.kind === changed.kind) return null;
  return [said(op, { receipts: [changed, ...others] })];
}

function flipped(bytes: Uint8Array): Uint8Array {
  const changed = new Uint8Array(bytes);
  changed[0] = (changed[0] ?? 0) ^ 1;
  return changed;
}

/** The journal of one Set with one lie in it, sealed again from there on; null: there is no place. */
export function tell(journal: readonly Entry[], lie: Lie, random: Random): Entry[] | null {
  const places = placesOf(journal, lie);
  const place = places.length === 0 ? undefined : places[random.below(places.length)];
  if (place === undefined) return null;
  const lied = journal.map((entry, index) => (index === place.index ? place.lie() : entry));
  return lie.of === 'op' ? totalled(lied) : chained(lied);
}

function placesOf(
  journal: readonly Entry[],
  lie: Lie,
): { readonly index: number; readonly lie: () => Entry }[] {
  const places: { index: number; lie: () => Entry }[] = [];
  for (const [index, entry] of journal.entries()) {
    if (lie.of === 'head') {
      // The first entries and the last have fewer neighbours to be held against.
      const isInside = index > 2 && index < journal.length - 1;
      const made = isInside ? lie.lie(entry) : null;
      if (made !== null) places.push({ index, lie: () => made });
      continue;
    }
    const ops = decodeOps(entry);
    for (const [at, op] of ops.entries()) {
      const made = lie.lie(op);
      if (made === null) continue;
      places.push({ index, lie: () => withOps(entry, ops.toSpliced(at, 1, ...made)) });
    }
  }
  return places;
}

function withOps(entry: Entry, ops: readonly Op[]): Entry {
  const w = new Writer();
  for (const op of ops) writeOp(w, { ...op, command: encodeCommand(op.command) });
  return { ...entry, opCount: ops.length, payload: w.finish() };
}

/** With the totals that its ops come to, where they sum to zero. */
function totalled(journal: readonly Entry[]): Entry[] {
  const total = { wallet: 0, packet: 0, clearing: 0, gateway: 0, issuer: 0 };
  const entries = journal.map((entry) => {
    for (const { postings } of decodeOps(entry)) {
      for (const { account, amountCents } of postings) total[account.kind] += amountCents;
    }
    const sum = total.wallet + total.packet + total.clearing + total.gateway + total.issuer;
    if (sum !== 0) return entry;
    const money = {
      walletsCents: cents(total.wallet),
      packetsCents: cents(total.packet),
      clearingCents: cents(total.clearing + total.gateway),
      issuerCents: cents(total.issuer),
    };
    return { ...entry, money };
  });
  return chained(entries);
}

function chained(journal: readonly Entry[]): Entry[] {
  let prev = ZERO_SUM;
  return journal.map((entry) => {
    const { sum: _, payload, ...head } = entry;
    const sealed = seal({ head: { ...head, prev }, payload, hash: sha256 });
    prev = sealed.sum;
    return sealed;
  });
}
