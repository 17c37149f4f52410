/** What can be wrong with a payment gateway, and with its callbacks in particular. */
import type { SendCallback } from '../../lib/adapter/sandbox-gateway.ts';
import type { ReceivedCallback } from '../../lib/port/payment-gateway.ts';
import type { Random } from '../../lib/port/random.ts';

export type SandboxFaults = {
  /** Each answer takes this long. */
  readonly slowMs: number;
  /** It takes connections and says nothing; callbacks wait until it tries again. */
  readonly away: boolean;
  /** Each callback comes so many times more, byte for byte. */
  readonly repeat: number;
  /** Callbacks wait for the next one and overtake each other. */
  readonly reorder: boolean;
  /** Of 100 callbacks, how many are lost although the gateway thinks that they were delivered. */
  readonly losePercent: number;
  /** Before each callback comes one that somebody else made up. */
  readonly forge: boolean;
  /** Of 100 payouts, how many are denied. */
  readonly denyPercent: number;
  /** Payouts stay pending until somebody ends them. */
  readonly holdPayouts: boolean;
  /** A checkout is paid by itself after so many ms; below 0: somebody has to. */
  readonly autoPayMs: number;
};

export const NO_SANDBOX_FAULTS: SandboxFaults = {
  slowMs: 0,
  away: false,
  repeat: 0,
  reorder: false,
  losePercent: 0,
  forge: false,
  denyPercent: 0,
  holdPayouts: false,
  autoPayMs: -1,
};

/** A held callback leaves after this, whether or not another one came. */
const HOLD_MS = 200;
const HELD_MAX = 16;

/** Null when a name is unknown or a value has another type than the usual one. */
export function readFaults(
  fields: Readonly<Record<string, unknown>>,
): Partial<SandboxFaults> | null {
  const usual: Readonly<Record<string, unknown>> = NO_SANDBOX_FAULTS;
  const known = Object.entries(fields).every(
    ([name, value]) => name in usual && typeof value === typeof usual[name],
  );
  return known ? fields : null;
}

/** Delivers callbacks as badly as it is told to. */
export class FaultySender {
  faults: SandboxFaults = NO_SANDBOX_FAULTS;
  readonly #post: SendCallback;
  readonly #random: Random;
  #held: (() => void)[] = [];

  constructor(args: { post: SendCallback; random: Random }) {
    this.#post = args.post;
    this.#random = args.random;
  }

  async send(signed: ReceivedCallback): Promise<number> {
    const { away, repeat, reorder, losePercent, forge, slowMs } = this.faults;
    if (away) return 0;
    if (this.#random.below(100) < losePercent) return 200;
    if (slowMs > 0) await new Promise((resolve) => setTimeout(resolve, slowMs));
    if (reorder) await this.#hold();
    if (forge) await this.#post(forged(signed));
    const status = await this.#post(signed);
    for (let again = 0; again < repeat; again++) await this.#post(signed);
    return status;
  }

  /** The newest of those that wait goes first. */
  #hold(): Promise<void> {
    return new Promise((resolve) => {
      this.#held.push(resolve);
      if (this.#held.length >= HELD_MAX) this.#letGo();
      else if (this.#held.length === 1) setTimeout(() => this.#letGo(), HOLD_MS).unref();
    });
  }

  #letGo(): void {
    for (const go of this.#held.splice(0).toReversed()) go();
  }
}

/** More money under a signature that was for less. */
function forged(signed: ReceivedCallback): ReceivedCallback {
  const text = Buffer.from(signed.body).toString('utf8');
  const body = Buffer.from(text.replace(/"amountCents":(\d+)/, '"amountCents":$19'));
  return { ...signed, body };
}
