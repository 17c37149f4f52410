import type { Op } from './decode.ts';
import { accountName } from './ledger.ts';
import type { Account, Posting, Transfer } from './parts.ts';
import type { Place } from './place.ts';

type Body = Transfer extends infer T ? (T extends Transfer ? Omit<T, 'bytes'> : never) : never;

/** A transfer that an op must have put into the outbox. */
type Send = {
  /** null: the home of a person, which only the cluster's slots tell. */
  readonly to: number | null;
  readonly lanes: readonly number[];
  readonly transfer: Body;
};

/** What an op must have moved and sent by its own words; compared with what the journal says. */
export class Effects {
  readonly #op: Op;
  readonly #place: Place;
  /** What is broken when they differ. */
  readonly #rule: string;
  readonly #postings: Posting[] = [];
  readonly #sends: Send[] = [];

  constructor(args: { op: Op; place: Place; rule: string }) {
    this.#op = args.op;
    this.#place = args.place;
    this.#rule = args.rule;
  }

  move(args: { from: Account; to: Account; amountCents: number }): void {
    const { from, to, amountCents } = args;
    this.#postings.push({ account: from, amountCents: -amountCents }, { account: to, amountCents });
  }

  /** Expects the next transfer of the op; returns the Set that it goes to. */
  send(send: Send): number {
    const actual = this.#op.sends[this.#sends.length];
    this.#sends.push(send);
    const { kind } = send.transfer;
    if (actual === undefined) throw this.#place.broken(this.#rule, `no ${kind} is sent`);
    const isThere = send.to === null || send.to === actual.to;
    if (!isThere || !send.lanes.includes(actual.lane)) {
      const way = `to Set ${actual.to}, lane ${actual.lane}`;
      throw this.#place.broken('C12', `${kind} travels ${way}`);
    }
    if (!isSame(send.transfer, actual.transfer)) {
      throw this.#place.broken(this.#rule, `${kind} is sent with other words than its op has`);
    }
    return actual.to;
  }

  /** All expected, and nothing else. */
  hold(): void {
    const { postings, sends } = this.#op;
    if (sends.length !== this.#sends.length) {
      const what = `${sends.length} transfers are sent, not ${this.#sends.length}`;
      throw this.#place.broken(this.#rule, what);
    }
    const inOrder =
      postings.length === this.#postings.length &&
      postings.every((posting, at) => isLeg(posting, this.#postings[at]));
    if (inOrder) return;
    const rest = new Map<string, number>();
    const add = (account: Account, cents: number): void => {
      const name = accountName(account);
      rest.set(name, (rest.get(name) ?? 0) + cents);
    };
    for (const { account, amountCents } of this.#postings) add(account, -amountCents);
    for (const { account, amountCents } of postings) add(account, amountCents);
    for (const [name, cents] of rest) {
      if (cents === 0) continue;
      throw this.#place.broken(
        this.#rule,
        `${name} is posted ${cents} more than ${this.#op.type} moves`,
      );
    }
  }
}

function isLeg(a: Posting, b: Posting | undefined): boolean {
  if (b === undefined || a.amountCents !== b.amountCents) return false;
  const x = a.account;
  const y = b.account;
  switch (x.kind) {
    case 'wallet':
      return y.kind === 'wallet' && x.user === y.user;
    case 'packet':
      return y.kind === 'packet' && x.packetId === y.packetId;
    case 'clearing':
      return y.kind === 'clearing' && x.peer === y.peer;
    case 'issuer':
    case 'gateway':
      return y.kind === x.kind;
  }
}

/** Every field of `a` is in `b`; definitions are the same when their bytes are (F2). */
function isSame(a: Body, b: Transfer): boolean {
  const other: Readonly<Record<string, unknown>> = b;
  for (const [name, value] of Object.entries(a) as [string, unknown][]) {
    if (name === 'definition') {
      const both = a.kind === 'packet.create' && b.kind === 'packet.create';
      if (!both || !sameBytes(a.definition.bytes, b.definition.bytes)) return false;
    } else if (other[name] !== value) return false;
  }
  return true;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
