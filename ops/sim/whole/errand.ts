import type { Definition } from './book.ts';

/** What a session was told of a write of its own: its next list shows it (Q8). */
export type Own<Shown> = {
  readonly shown: Shown;
  readonly view: View;
  readonly generation: number;
};

/** One thing that somebody wants, and what its answer is held against. */
export type Want =
  | { readonly op: 'group.create'; readonly name: string; readonly history: string }
  | { readonly op: 'group.join'; readonly groupId: string; readonly invite: string }
  | { readonly op: 'group.leave'; readonly groupId: string }
  | { readonly op: 'message.send'; readonly groupId: string; readonly body: string }
  | {
      readonly op: 'packet.send';
      readonly definition: Definition;
      readonly storm: boolean;
      readonly pay: 'wallet' | 'gateway';
    }
  | { readonly op: 'wallet.topup'; readonly amountCents: number }
  | { readonly op: 'wallet.withdraw'; readonly amountCents: number; readonly destination: string }
  | { readonly op: 'packet.open'; readonly packetId: string; readonly groupId: string }
  | { readonly op: 'packet.grab'; readonly packetId: string; readonly groupId: string }
  | { readonly op: 'packet.get'; readonly packetId: string; readonly groupId: string }
  | {
      readonly op: 'packet.claims';
      readonly packetId: string;
      readonly groupId: string;
      readonly afterOrder: number;
      readonly own: Own<{ readonly order: number }> | null;
    }
  | { readonly op: 'wallet.get' }
  | {
      readonly op: 'wallet.history';
      readonly limit: number;
      readonly own: Own<{ readonly packetId: string; readonly totalCents: number }> | null;
    }
  | { readonly op: 'group.list' }
  | { readonly op: 'group.invite'; readonly groupId: string; readonly lifetimeMs: number }
  | { readonly op: 'message.read'; readonly groupId: string; readonly seq: number }
  | {
      readonly op: 'message.history';
      readonly groupId: string;
      readonly fromSeq: number;
      readonly own: Own<{ readonly seq: number }> | null;
    };

/** What changes the world, or would. */
const COMMANDS: ReadonlySet<Want['op']> = new Set<Want['op']>([
  'group.create',
  'group.join',
  'group.leave',
  'message.send',
  'packet.send',
  'packet.open',
  'wallet.topup',
  'wallet.withdraw',
]);

/** Commands that carry an id of the client: the same answer for ever (C3). */
const KEYED: ReadonlySet<Want['op']> = new Set<Want['op']>([
  'group.create',
  'group.leave',
  'message.send',
  'packet.send',
  'wallet.topup',
  'wallet.withdraw',
]);

/** Noes that are journaled like a yes (C7): the same id has the same no for ever. */
export const SEALED: ReadonlySet<string> = new Set([
  'insufficient_funds',
  'wallet_frozen',
  'too_many_payments',
  'daily_limit',
]);

/** The fields of a yes that no later yes to the same command may change (M9). */
const LASTING: Partial<Record<Want['op'], readonly string[]>> = {
  'group.create': ['groupId'],
  'message.send': ['seq', 'at'],
  'packet.send': ['packetId', 'paymentId', 'dueAt'],
  'wallet.topup': ['paymentId', 'dueAt'],
  'wallet.withdraw': ['paymentId', 'balanceCents'],
  'packet.open': ['amountCents', 'order', 'at'],
};

/** What one person was shown through one access node since his last hello there (Q8). */
export class View {
  /** Highest LSN that an answer has shown, by Set. */
  readonly lsns = new Map<number, number>();
  /** Grows with every hello: marks begin anew. */
  generation = 0;
  /** Hellos that are not answered yet: nobody knows whether the marks are gone. */
  hellos = 0;
  /** For who reads of it. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  greeted(): void {
    this.generation += 1;
    this.hellos += 1;
    this.lsns.clear();
  }

  note(set: number, lsn: number): void {
    if (lsn > (this.lsns.get(set) ?? 0)) this.lsns.set(set, lsn);
  }
}

/** A want on its way: the same bytes at every try until a final answer comes. */
export class Errand {
  readonly number: number;
  readonly user: string;
  readonly want: Want;
  /** For traces and refusals: the client's id, or what it is about. */
  readonly key: string;
  /** `d` of the frame. */
  readonly body: string;
  /** The only code that it may be refused with for good, and must be: it is wrong on purpose. */
  readonly mustFail: string | null;
  tries = 0;
  /** On its way, or to be sent again. */
  open = true;
  nextTryMs = 0;
  /** Where the newest try went: the next one goes elsewhere as often as not. */
  lastSlot = -1;
  /** To be sent over two sessions at once. */
  twice = false;
  yes: readonly unknown[] | null = null;
  /** The sealed no (C7). */
  broke = false;

  constructor(args: {
    number: number;
    user: string;
    want: Want;
    key: string;
    body: string;
    mustFail?: string | null;
  }) {
    this.number = args.number;
    this.user = args.user;
    this.want = args.want;
    this.key = args.key;
    this.body = args.body;
    this.mustFail = args.mustFail ?? null;
  }

  get isCommand(): boolean {
    return COMMANDS.has(this.want.op);
  }

  get isKeyed(): boolean {
    return KEYED.has(this.want.op);
  }

  get lasting(): readonly string[] {
    return LASTING[this.want.op] ?? [];
  }

  get name(): string {
    return `${this.user} #${this.number} ${this.want.op} ${this.key}`;
  }
}
