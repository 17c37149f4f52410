import { DecodeError, Reader, Writer, toHex, utf8 } from '../lib/core/bytes.ts';
import { sha256 } from '../lib/core/sha256.ts';
import type { Bus, Subscription } from '../lib/port/bus.ts';
import type { Clock, Timer } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Gauge, Metrics } from '../lib/port/metrics.ts';
import type { Random } from '../lib/port/random.ts';

const SUBJECT = 'reconciler.alive';

const MEMBERS_LIMITS = {
  /** Between two signs of life. */
  sayEveryMs: 500,
  /** Four lost signs: less would hand work to and fro on a bus that loses a few. */
  silentMs: 2_000,
  /** More are not believed: whoever floods the bus takes no memory. */
  membersMax: 256,
} as const;

/** The kinds of work that members divide: the first word of a key. */
const WORKS = ['outbox', 'payments', 'audit'] as const;
export type Work = (typeof WORKS)[number];
/** What is divided: `outbox.7`, `payments.7`, `audit`. */
export type WorkKey = Work | `${Work}.${number}`;

type Sign = {
  readonly id: string;
  readonly number: number;
  readonly isLast: boolean;
  readonly does: readonly Work[];
};
type Peer = { readonly heardAtMs: number; readonly does: readonly Work[] };

/**
 * Who else reconciles, by what the bus says, and who does what: of those that do such work at all,
 * the member with the greatest hash of (member, key) owns the key (D. Thaler, C. Ravishankar, "Using
 * Name-Based Mappings to Increase Hit Rates", 1998), so that a member that dies hands on its own
 * keys and nobody else's.
 *
 * This divides work and decides no safety (SPEC S2): without a bus, and in each half of a split one,
 * everybody owns everything, and both ends of a transfer are idempotent.
 */
export class Members {
  readonly id: string;
  readonly #does: readonly Work[];
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gauge: Gauge;
  /** Who lives, and when each was last heard, monotonic milliseconds. */
  readonly #peers = new Map<string, Peer>();
  /** Number of the newest sign of each, also of those that are gone. */
  readonly #heardUpTo = new Map<string, number>();
  readonly #timer: Timer;
  readonly #subscription: Promise<Subscription | null>;
  /** By key; emptied when somebody comes or goes. */
  readonly #owners = new Map<string, string>();
  #number = 0;
  #stopped = false;

  /** `does`: what this one is there for; nobody else does its part of that. Default: all of it. */
  constructor(args: {
    bus: Bus;
    clock: Clock;
    random: Random;
    log: Log;
    metrics: Metrics;
    does?: readonly Work[];
  }) {
    this.id = toHex(args.random.bytes(8));
    this.#does = args.does ?? WORKS;
    this.#bus = args.bus;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#gauge = args.metrics.gauge({
      name: 'hongbao_settle_members',
      help: 'Reconcilers that carry transfers and that this one knows to be alive, itself included',
    });
    this.#gauge.set(this.#settling);
    this.#subscription = args.bus
      .subscribe(SUBJECT, (_, payload) => this.#hear(payload))
      .catch((error: unknown) => {
        args.log.warn('members_unheard', { reason: String(error) });
        return null;
      });
    this.#timer = args.clock.every(MEMBERS_LIMITS.sayEveryMs, () => this.#beat());
    this.#say(false);
  }

  /** Members that live and carry transfers, this one included. */
  get count(): number {
    this.#forgetSilent();
    return this.#settling;
  }

  get #settling(): number {
    const all = [this.#does, ...[...this.#peers.values()].map(({ does }) => does)];
    return all.filter((does) => does.includes('outbox')).length;
  }

  /** Does this member do what `key` stands for? */
  owns(key: WorkKey): boolean {
    const work = key.split('.')[0] as Work;
    if (!this.#does.includes(work)) return false;
    this.#forgetSilent();
    let owner = this.#owners.get(key);
    if (owner === undefined) {
      // Who does no such work would leave it undone.
      const others = [...this.#peers].filter(([, { does }]) => does.includes(work));
      owner = ownerOf(key, [this.id, ...others.map(([id]) => id)]);
      this.#owners.set(key, owner);
    }
    return owner === this.id;
  }

  /** Says goodbye, so that others need not wait for the silence. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#say(true);
    this.#stopped = true;
    this.#timer.cancel();
    await (await this.#subscription)?.unsubscribe();
  }

  #beat(): void {
    this.#say(false);
    this.#forgetSilent();
  }

  #say(isLast: boolean): void {
    if (this.#stopped) return;
    this.#number += 1;
    const sign = writeSign({ id: this.id, number: this.#number, isLast, does: this.#does });
    this.#bus.publish(SUBJECT, sign).catch((error: unknown) => {
      this.#log.warn('members_unsaid', { reason: String(error) });
    });
  }

  #hear(payload: Uint8Array): void {
    const sign = readSign(payload);
    if (this.#stopped || sign === null || sign.id === this.id) return;
    // A bus may repeat, and bring late: an old sign is no life.
    if (sign.number <= (this.#heardUpTo.get(sign.id) ?? 0)) return;
    this.#note(sign);
    if (sign.isLast) {
      if (this.#peers.delete(sign.id)) this.#changed('reconciler_left', sign.id);
      return;
    }
    const isNew = !this.#peers.has(sign.id);
    if (isNew && this.#peers.size >= MEMBERS_LIMITS.membersMax - 1) return;
    this.#peers.set(sign.id, { heardAtMs: this.#clock.monotonicMs(), does: sign.does });
    if (!isNew) return;
    this.#changed('reconciler_joined', sign.id);
    // The newcomer owns everything until it hears of us.
    this.#say(false);
  }

  #note({ id, number }: Sign): void {
    // The one that was heard longest ago goes first.
    this.#heardUpTo.delete(id);
    this.#heardUpTo.set(id, number);
    if (this.#heardUpTo.size <= MEMBERS_LIMITS.membersMax) return;
    for (const oldest of this.#heardUpTo.keys()) {
      this.#heardUpTo.delete(oldest);
      return;
    }
  }

  #forgetSilent(): void {
    const since = this.#clock.monotonicMs() - MEMBERS_LIMITS.silentMs;
    for (const [id, { heardAtMs }] of this.#peers) {
      if (heardAtMs > since) continue;
      this.#peers.delete(id);
      this.#changed('reconciler_silent', id);
    }
  }

  #changed(event: string, member: string): void {
    this.#owners.clear();
    const members = this.#settling;
    this.#gauge.set(members);
    this.#log.info(event, { member, self: this.id, members });
  }
}

/** The member with the greatest hash of (member, key). */
export function ownerOf(key: string, members: readonly string[]): string {
  const weighed = members.map((id) => ({ id, weight: toHex(sha256(utf8(`${id}/${key}`))) }));
  const best = weighed.reduce((a, b) => (b.weight > a.weight ? b : a));
  return best.id;
}

function writeSign({ id, number, isLast, does }: Sign): Uint8Array {
  const w = new Writer(64);
  w.u8(isLast ? 1 : 0);
  w.u64(number);
  w.text(id);
  w.text(does.join(' '));
  return w.finish();
}

/** null: not a sign that this build reads. */
function readSign(payload: Uint8Array): Sign | null {
  try {
    const r = new Reader(payload);
    const isLast = r.u8() === 1;
    const number = r.u64();
    const id = r.text();
    const words = r.text().split(' ');
    r.end();
    const does = WORKS.filter((work) => words.includes(work));
    return id.length > 0 && id.length <= 64 ? { id, number, isLast, does } : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}
