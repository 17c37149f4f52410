/** What people asked and were told: what the journals are held against. */

/** The last word on an open. */
export type Told =
  | {
      readonly kind: 'claim';
      readonly amountCents: number;
      readonly order: number;
      /** Log time of the claim, ms. */
      readonly at: number;
    }
  | { readonly kind: 'refused'; readonly code: string };

/** One person's open of one packet, from the first asking to the final answer. */
export type Open = {
  readonly packetId: string;
  readonly user: string;
  /** When it was due: latency counts from here. */
  readonly dueMs: number;
  endedMs: number | null;
  /** Answers that were not final. */
  doubts: number;
  told: Told | null;
  /** What the same question was told on another day: a second device, or once more at the end. */
  readonly again: Told[];
};

export type Sent = {
  readonly user: string;
  readonly clientId: string;
  readonly totalCents: number;
  /** Its lifetime is short, and some of its shares are left to expire. */
  readonly isLeft: boolean;
  readonly lifetimeMs: number;
  /** null: not known yet, or refused. */
  packetId: string | null;
  refusal: string | null;
  /** What the repeated sending with the same id was told. */
  readonly again: string[];
};

export type Balance = {
  readonly user: string;
  readonly balanceCents: number;
  readonly arrivingCents: number;
  readonly mark: string;
};

/** Something done to the system: when it began to hurt and when it was whole again. */
export type Hurt = { readonly what: string; readonly fromMs: number; toMs: number | null };

/** Everything that people did and heard, as far as money is concerned. */
export class History {
  readonly opens: Open[] = [];
  readonly sent: Sent[] = [];
  readonly groups: {
    readonly user: string;
    readonly clientId: string;
    readonly groupId: string;
  }[] = [];
  readonly balances: Balance[] = [];
  readonly hurts: Hurt[] = [];
  readonly notes: { readonly note: string; readonly atMs: number }[] = [];
  /** Everybody with a wallet. */
  readonly people: string[] = [];
  readonly welcomeCents: number;
  readonly #doubts = new Map<string, number>();

  constructor(args: { readonly welcomeCents: number }) {
    this.welcomeCents = args.welcomeCents;
  }

  /** Epoch milliseconds on a clock that never falls: comparable with log time, and exact enough. */
  now(): number {
    return performance.timeOrigin + performance.now();
  }

  note(note: string): void {
    this.notes.push({ note, atMs: this.now() });
  }

  /** An answer after which the same was asked again, by its code. */
  doubt(code: string): void {
    this.#doubts.set(code, (this.#doubts.get(code) ?? 0) + 1);
  }

  get doubts(): ReadonlyMap<string, number> {
    return this.#doubts;
  }

  /** Was nothing hurt at that time, nor just before? `sinceMs` is the time to get well. */
  isCalm(atMs: number, sinceMs: number): boolean {
    return this.hurts.every(
      ({ fromMs, toMs }) => atMs < fromMs || (toMs !== null && atMs > toMs + sinceMs),
    );
  }

  /** Times at which somebody was told of a share, rising. */
  acknowledged(): number[] {
    const times: number[] = [];
    for (const { told, endedMs } of this.opens) {
      if (told?.kind === 'claim' && endedMs !== null) times.push(endedMs);
    }
    return times.sort((a, b) => a - b);
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
