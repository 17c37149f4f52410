import type { Reader, Writer } from '../../lib/core/bytes.ts';
import { DecodeError } from '../../lib/core/bytes.ts';
import { readId } from '../../lib/core/ids.ts';
import { readDefinition, readUser, writeDefinition } from '../../lib/core/packet.ts';
import { BECAME } from '../../lib/core/payment.ts';
import { readFlag } from '../../lib/core/transfer.ts';
import { cents, lsn, timeMs } from '../../lib/core/units.ts';
import type { PaymentEnd, PaymentTerms } from './payments.ts';
import type { SetState } from './state.ts';

const TERMS = { none: 0, topup: 1, packet: 2, withdraw: 3 } as const;
const ENDS = { none: 0, paid: 1, denied: 2, expired: 3 } as const;

/** The last section of a snapshot, written from rules 3 on: freezes, tallies, payments. */
export function writePayments(w: Writer, s: SetState): void {
  const people = [...s.people].filter(([, { frozen, tally }]) => frozen || tally !== null);
  w.u32(people.length);
  for (const [user, { frozen, tally }] of people) {
    w.text(user);
    w.u8(frozen ? 1 : 0);
    w.u8(tally === null ? 0 : 1);
    if (tally === null) continue;
    w.u64(tally.day);
    w.u64(tally.cents);
    w.u32(tally.packets);
  }
  w.u32(s.payments.size);
  for (const payment of s.payments.values()) {
    w.big(payment.paymentId);
    w.text(payment.owner);
    w.u64(payment.amountCents);
    writeTerms(w, payment.terms);
    writeEnd(w, payment.end);
  }
}

/** The pair of {@link writePayments}. Throws DecodeError. */
export function readPayments(r: Reader, s: SetState): void {
  for (let left = r.u32(); left > 0; left--) {
    const person = s.person(readUser(r));
    person.frozen = readFlag(r);
    if (!readFlag(r)) continue;
    const day = r.u64();
    const spent = r.u64();
    person.tally = { day, cents: spent, packets: r.u32() };
  }
  for (let left = r.u32(); left > 0; left--) {
    const paymentId = readId(r);
    const owner = readUser(r);
    const amountCents = cents(r.u64());
    const terms = readTerms(r);
    const end = readEnd(r);
    if (terms === null && end === null) throw new DecodeError('a pending payment has terms');
    s.payments.add({ paymentId, owner, amountCents, terms, end });
  }
  // What the gateway has is what pending withdrawals took from wallets (M11).
  s.gatewayCents = s.payments.goingCents;
  s.clearingCents += s.gatewayCents;
}

function writeTerms(w: Writer, terms: PaymentTerms | null): void {
  w.u8(TERMS[terms?.purpose ?? 'none']);
  if (terms === null) return;
  w.u64(terms.createdAt);
  if (terms.purpose === 'withdraw') return w.text(terms.destination);
  w.u64(terms.dueAt);
  if (terms.purpose === 'packet') writeDefinition(w, terms.definition);
}

function readTerms(r: Reader): PaymentTerms | null {
  const code = r.u8();
  if (code === TERMS.none) return null;
  const createdAt = timeMs(r.u64());
  if (code === TERMS.withdraw) return { purpose: 'withdraw', createdAt, destination: r.text() };
  const dueAt = timeMs(r.u64());
  if (code === TERMS.topup) return { purpose: 'topup', createdAt, dueAt };
  if (code !== TERMS.packet) throw new DecodeError('unknown purpose of a payment');
  return { purpose: 'packet', createdAt, dueAt, definition: readDefinition(r) };
}

function writeEnd(w: Writer, end: PaymentEnd | null): void {
  w.u8(ENDS[end?.kind ?? 'none']);
  if (end === null) return;
  w.u64(end.at);
  w.u64(end.lsn);
  if (end.kind === 'expired') return;
  w.u8(BECAME.indexOf(end.became));
  w.text(end.reference);
}

function readEnd(r: Reader): PaymentEnd | null {
  const code = r.u8();
  if (code === ENDS.none) return null;
  const at = timeMs(r.u64());
  const endLsn = lsn(r.u64());
  if (code === ENDS.expired) return { kind: 'expired', at, lsn: endLsn };
  if (code !== ENDS.paid && code !== ENDS.denied) throw new DecodeError('unknown end of a payment');
  const became = BECAME[r.u8()];
  if (became === undefined) throw new DecodeError('unknown end of a payment');
  const kind = code === ENDS.paid ? 'paid' : 'denied';
  return { kind, at, lsn: endLsn, became, reference: r.text() };
}
