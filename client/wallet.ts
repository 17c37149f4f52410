import { fullJitterMs } from './backoff.ts';
import { HongbaoError } from './errors.ts';
import type { Platform } from './platform.ts';
import type { Outputs, WalletEvent } from './protocol.ts';

export type Balance = {
  readonly balanceCents: number;
  /** Won or refunded, on its way to the wallet. */
  readonly arrivingCents: number;
};

/** How often the wallet is asked about money that it does not show yet. */
const ASK_MS_MIN = 200;
const ASK_MS_MAX = 5_000;
/** Credits whose event overtook the answer to the open: remembered to be subtracted once. */
const CREDITED_MAX = 1_000;

export type WalletOptions = {
  readonly platform: Platform;
  readonly get: () => Promise<Outputs['wallet.get']>;
  readonly changed: (balance: Balance) => void;
};

/**
 * The balance as events and answers tell it, and what is arriving. What is shown as arriving is
 * asked about, with backoff, until it has come (rulings 17): an event may be lost, money not.
 */
export class Wallet {
  readonly #options: WalletOptions;
  #balanceCents: number | null = null;
  /** What the Sets said was on its way when they were last asked. */
  #reportedCents = 0;
  /** packet → cents that we won and have not seen credited. */
  readonly #won = new Map<string, number>();
  readonly #credited = new Set<string>();
  /** Counts wallet events: an answer that one overtook may show an older balance. */
  #events = 0;
  #attempt = 0;
  #cancel: (() => void) | null = null;
  #asking = false;
  /** The last answer was overtaken by an event, or a Set was silent: it does not count as settled. */
  #unsure = false;
  #stopped = false;

  constructor(options: WalletOptions) {
    this.#options = options;
  }

  /** null before the first answer. */
  get balance(): Balance | null {
    if (this.#balanceCents === null) return null;
    let wonCents = 0;
    for (const cents of this.#won.values()) wonCents += cents;
    // The Sets know of refunds and other devices too, we of what was won a moment ago.
    const arrivingCents = Math.max(wonCents, this.#reportedCents);
    return { balanceCents: this.#balanceCents, arrivingCents };
  }

  event(event: WalletEvent): void {
    this.#events += 1;
    this.#balanceCents = event.balanceCents;
    if (event.reason === 'claim' || event.reason === 'refund') {
      this.#reportedCents = Math.max(0, this.#reportedCents - event.amountCents);
    }
    if (event.reason === 'claim' && event.packetId !== null && !this.#won.delete(event.packetId)) {
      this.#credited.add(event.packetId);
      const [oldest] = this.#credited;
      if (this.#credited.size > CREDITED_MAX && oldest !== undefined) this.#credited.delete(oldest);
    }
    this.#tell();
  }

  /** An open was answered with `settle: arriving`. */
  opened(packetId: string, amountCents: number): void {
    if (this.#credited.has(packetId)) return;
    this.#won.set(packetId, amountCents);
    this.#attempt = 0;
    this.#tell();
    this.#schedule();
  }

  /** Asks now, and goes on asking while something is arriving. */
  refresh(): void {
    this.#attempt = 0;
    this.#cancel?.();
    this.#cancel = null;
    void this.#ask();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #tell(): void {
    const { balance } = this;
    if (balance !== null) this.#options.changed(balance);
  }

  #schedule(): void {
    if (this.#stopped || this.#cancel !== null) return;
    const { platform } = this.#options;
    const attempt = this.#attempt;
    this.#attempt += 1;
    const delay = fullJitterMs({
      attempt,
      random: platform.random(),
      minMs: ASK_MS_MIN,
      maxMs: ASK_MS_MAX,
    });
    this.#cancel = platform.after(delay, () => {
      this.#cancel = null;
      if (this.#mustAsk()) void this.#ask();
    });
  }

  #mustAsk(): boolean {
    return this.#unsure || this.#won.size > 0 || this.#reportedCents > 0;
  }

  async #ask(): Promise<void> {
    if (this.#asking) {
      this.#unsure = true;
      return;
    }
    this.#asking = true;
    this.#unsure = false;
    const eventsBefore = this.#events;
    const wonBefore = [...this.#won.keys()];
    try {
      const answer = await this.#options.get();
      if (this.#events === eventsBefore) {
        this.#take(answer, wonBefore);
      } else {
        this.#unsure = true;
      }
    } catch (error) {
      if (!(error instanceof HongbaoError)) throw error;
      this.#unsure = !error.final;
    } finally {
      this.#asking = false;
    }
    if (this.#mustAsk()) this.#schedule();
  }

  #take(answer: Outputs['wallet.get'], wonBefore: readonly string[]): void {
    this.#balanceCents = answer.balanceCents;
    this.#reportedCents = answer.arrivingCents;
    if (!answer.arrivingComplete) this.#unsure = true;
    else if (answer.arrivingCents === 0) {
      // Nothing is on its way anywhere: what was won before we asked has come.
      for (const packetId of wonBefore) this.#won.delete(packetId);
    }
    this.#tell();
  }
}
