/** What clients asked and were told: the history that the journals are held against. */
import { Recorder } from '../../rig/history.ts';

/** The last word on one open. */
export type Told =
  | {
      readonly kind: 'claim';
      readonly amountCents: number;
      readonly order: number;
      /** Log time of the claim, ms. */
      readonly at: number;
      /** Answered as the first or as a repeated one: a lost answer makes both normal. */
      readonly fresh: boolean;
      readonly epoch: number;
      /** Of the entry that the answer rests on. */
      readonly lsn: number;
    }
  | { readonly kind: 'refused'; readonly code: string };

/** `set_unavailable`, `unknown`, `overloaded`: asked again with the same bytes. */
export type Doubt = { readonly code: string; readonly atMs: number };

/** One person's open of one packet, from the first asking to the final answer. */
export type Open = {
  readonly packetId: string;
  readonly user: string;
  /** When it was due, ms of the history's clock: latency counts from here, not from the sending. */
  readonly dueMs: number;
  endedMs: number | null;
  /** Answers that were not final, in order. */
  readonly doubts: Doubt[];
  told: Told | null;
  /** What the same question was told when it was asked once more at the end. */
  again: Told | null;
};

export type Sent = {
  readonly packetId: string;
  readonly sender: string;
  readonly totalCents: number;
  readonly count: number;
  /** false: the answer is still not known. */
  acknowledged: boolean;
};

/** Everything that people did, as far as money is concerned. */
export class History {
  /** Every asking of every client, also those that were refused or lost. */
  readonly recorder = new Recorder();
  readonly opens: Open[] = [];
  readonly sent: Sent[] = [];
  /** Everybody with a wallet, and what each was given. */
  readonly people: string[] = [];
  readonly welcomeCents: number;

  constructor(args: { welcomeCents: number }) {
    this.welcomeCents = args.welcomeCents;
  }

  /** Milliseconds on a clock that never falls; the same for all marks of a proof. */
  now(): number {
    return this.recorder.nowMs();
  }

  get issuedCents(): number {
    return this.people.length * this.welcomeCents;
  }

  /** What the wallets must hold when nothing is on its way: welcome money − sent + claimed. */
  expectedBalances(): Map<string, number> {
    const balances = new Map(this.people.map((user) => [user, this.welcomeCents]));
    const add = (user: string, amount: number): void => {
      balances.set(user, (balances.get(user) ?? 0) + amount);
    };
    for (const { sender, totalCents, acknowledged } of this.sent) {
      if (acknowledged) add(sender, -totalCents);
    }
    for (const { user, told } of this.opens) {
      if (told?.kind === 'claim') add(user, told.amountCents);
    }
    return balances;
  }
}

export function sameTold(a: Told, b: Told): boolean {
  if (a.kind === 'refused' || b.kind === 'refused') {
    return a.kind === 'refused' && b.kind === 'refused' && a.code === b.code;
  }
  return a.amountCents === b.amountCents && a.order === b.order && a.at === b.at;
}

export function toldText(told: Told): string {
  return told.kind === 'claim' ? `${told.amountCents} as number ${told.order}` : told.code;
}
