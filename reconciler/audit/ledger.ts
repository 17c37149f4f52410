import type { Account, Posting } from './parts.ts';
import type { Place } from './place.ts';

export type Totals = {
  readonly walletsCents: number;
  readonly packetsCents: number;
  /** With what is at the gateway: all that is neither in a wallet nor in a packet. */
  readonly clearingCents: number;
  readonly issuerCents: number;
};

/** One name per account; a user's name comes last, so that no two accounts share one. */
export function accountName(account: Account): string {
  switch (account.kind) {
    case 'wallet':
      return `wallet ${account.user}`;
    case 'packet':
      return `packet ${account.packetId}`;
    case 'clearing':
      return `clearing ${account.peer}`;
    case 'issuer':
      return 'issuer';
    case 'gateway':
      return 'gateway';
  }
}

/** Balances of a wallet over time: `cents[i]` holds from `lsns[i]` on. */
type History = { readonly lsns: number[]; readonly cents: number[] };

export type LedgerDump = {
  readonly packets: ReadonlyMap<bigint, number>;
  readonly clearing: ReadonlyMap<number, number>;
  readonly wallets: ReadonlyMap<string, number>;
  readonly gatewayCents: number;
  readonly totals: Totals;
};

/** The accounts of one Set, added up from postings alone (M1, M3). */
export class Ledger {
  #packets = new Map<bigint, number>();
  #clearing = new Map<number, number>();
  #wallets = new Map<string, number>();
  /** null: of each wallet only what it has now is known. */
  readonly #histories: Map<string, History> | null;
  #walletsCents = 0;
  #packetsCents = 0;
  #clearingCents = 0;
  #gatewayCents = 0;
  #issuerCents = 0;

  constructor({ history }: { history: boolean } = { history: true }) {
    this.#histories = history ? new Map() : null;
  }

  dump(): LedgerDump {
    return {
      packets: this.#packets,
      clearing: this.#clearing,
      wallets: this.#wallets,
      gatewayCents: this.#gatewayCents,
      totals: this.totals,
    };
  }

  /** What wallets had before `lsn` is unknown from here on. */
  restore(dump: LedgerDump, lsn: number): void {
    const { packets, clearing, wallets, gatewayCents, totals } = dump;
    this.#packets = new Map(packets);
    this.#clearing = new Map(clearing);
    this.#wallets = new Map(wallets);
    this.#histories?.clear();
    for (const [user, cents] of wallets) {
      this.#histories?.set(user, { lsns: [lsn], cents: [cents] });
    }
    this.#gatewayCents = gatewayCents;
    this.#walletsCents = totals.walletsCents;
    this.#packetsCents = totals.packetsCents;
    this.#clearingCents = totals.clearingCents;
    this.#issuerCents = totals.issuerCents;
  }

  get totals(): Totals {
    return {
      walletsCents: this.#walletsCents,
      packetsCents: this.#packetsCents,
      clearingCents: this.#clearingCents,
      issuerCents: this.#issuerCents,
    };
  }

  /** Left wallets for the payment gateway, and not confirmed. */
  get gatewayCents(): number {
    return this.#gatewayCents;
  }

  wallets(): IterableIterator<string> {
    return this.#wallets.keys();
  }

  wallet(user: string): number {
    return this.#wallets.get(user) ?? 0;
  }

  /** Balance in cents after the entry with this LSN; the newest where no history is kept. */
  walletAt(user: string, lsn: number): number {
    if (this.#histories === null) return this.wallet(user);
    const history = this.#histories.get(user);
    if (history === undefined) return 0;
    const at = lastAtOrBelow(history.lsns, lsn);
    return at === -1 ? 0 : (history.cents[at] ?? 0);
  }

  /** The first LSN from `lsn` on after which the wallet had this balance, or null. */
  lsnWithBalance(args: { user: string; cents: number; from: number }): number | null {
    const { user, cents, from } = args;
    if (this.walletAt(user, from) === cents) return from;
    const history = this.#histories?.get(user);
    if (history === undefined) return null;
    for (let at = lastAtOrBelow(history.lsns, from) + 1; at < history.lsns.length; at++) {
      if (history.cents[at] === cents) return history.lsns[at] ?? null;
    }
    return null;
  }

  packet(packetId: bigint): number {
    return this.#packets.get(packetId) ?? 0;
  }

  clearing(peer: number): number {
    return this.#clearing.get(peer) ?? 0;
  }

  /** Books the legs of one op. */
  post(postings: readonly Posting[], place: Place): void {
    let sum = 0;
    for (const { account, amountCents } of postings) {
      sum += amountCents;
      switch (account.kind) {
        case 'wallet':
          this.#postWallet({ user: account.user, amountCents, place });
          break;
        case 'packet': {
          const balance = this.packet(account.packetId) + amountCents;
          if (balance < 0) throw place.broken('M3', `packet ${account.packetId} has ${balance}`);
          if (balance === 0) this.#packets.delete(account.packetId);
          else this.#packets.set(account.packetId, balance);
          this.#packetsCents += amountCents;
          break;
        }
        case 'clearing':
          this.#clearing.set(account.peer, this.clearing(account.peer) + amountCents);
          this.#clearingCents += amountCents;
          break;
        case 'issuer':
          // Above zero where people withdrew what others had paid in at another Set.
          this.#issuerCents += amountCents;
          break;
        case 'gateway':
          this.#gatewayCents += amountCents;
          this.#clearingCents += amountCents;
          if (this.#gatewayCents < 0) {
            throw place.broken('M3', `the gateway has ${this.#gatewayCents}`);
          }
          break;
      }
    }
    if (sum !== 0) throw place.broken('M1', `postings sum to ${sum}`);
  }

  #postWallet(args: { user: string; amountCents: number; place: Place }): void {
    const { user, amountCents, place } = args;
    const balance = this.wallet(user) + amountCents;
    if (balance < 0) throw place.broken('M3', `wallet ${user} has ${balance}`);
    this.#wallets.set(user, balance);
    if (this.#histories !== null) keep(this.#histories, { user, balance, lsn: place.lsn });
    this.#walletsCents += amountCents;
  }

  /** The entry's own word of the totals after it. */
  holdTotals(said: Totals, place: Place): void {
    const is = this.totals;
    for (const name of ['walletsCents', 'packetsCents', 'clearingCents', 'issuerCents'] as const) {
      if (said[name] !== is[name]) {
        throw place.broken('M1', `${name} are ${is[name]}, the entry says ${said[name]}`);
      }
    }
  }
}

function keep(
  histories: Map<string, History>,
  { user, balance, lsn }: { user: string; balance: number; lsn: number },
): void {
  let history = histories.get(user);
  if (history === undefined) histories.set(user, (history = { lsns: [], cents: [] }));
  // Nobody is shown what stood between two ops of one entry.
  if (history.lsns.at(-1) === lsn) history.cents[history.cents.length - 1] = balance;
  else {
    history.lsns.push(lsn);
    history.cents.push(balance);
  }
}

/** Place of the last number that is not above `limit`, in a rising list; -1: none. */
export function lastAtOrBelow(rising: readonly number[], limit: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rising[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
