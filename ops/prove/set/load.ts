import type { Id } from '../../../lib/core/ids.ts';
import { asId, setOfId } from '../../../lib/core/ids.ts';
import { succeeded } from '../../../lib/core/outcome.ts';
import { cents } from '../../../lib/core/units.ts';
import type { Random } from '../../../lib/port/random.ts';
import type { CommandAnswer } from '../../../router/api.ts';
import { pause } from '../member.ts';
import type { Doubt, Open, Sent, Told } from './history.ts';
import type { People, Person } from './people.ts';

const TICK_MS = 5;
/** After a stall of this process the missed opens come, but not more of them than this at once. */
const BURST_MAX = 500;
/** Opens that wait to be asked: enough for outages in which no packet is sent or delivered. */
const STOCK_S = 12;
const SENDERS = 6;
const LIVE_LOOK_MS = 20;
const LIFETIME_MS = 24 * 3_600_000;

type Waiting = { readonly packetId: Id; readonly person: Person };

/** Called at every final answer; `told` is of the open. */
export type AckListener = (open: Open) => void;

/**
 * Opens at a steady rate, whatever becomes of those before (an open loop), over many packets that
 * are sent in time. Every open is asked with the same bytes until its answer is final.
 */
export class Load {
  readonly #people: People;
  readonly #random: Random;
  readonly #ratePerS: number;
  readonly #waiting: Waiting[] = [];
  readonly #listeners = new Set<AckListener>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #senders: Promise<void>[] = [];
  #sending = false;
  #timer: NodeJS.Timeout | undefined;
  #begunMs = 0;
  #due = 0;
  /** Opens that were due with no packet left to open. */
  starved = 0;
  /** What must not happen at all, in words. */
  readonly failures: string[] = [];

  constructor(args: { people: People; random: Random; ratePerS: number }) {
    this.#people = args.people;
    this.#random = args.random;
    this.#ratePerS = args.ratePerS;
  }

  get ratePerS(): number {
    return this.#ratePerS;
  }

  /** Opens without a final answer. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Resolves when there is something to open for so long; false when that takes too long. */
  async untilStocked(seconds: number, withinMs: number): Promise<boolean> {
    const { history } = this.#people;
    const endMs = history.now() + withinMs;
    while (this.#waiting.length < seconds * this.#ratePerS) {
      if (history.now() > endMs || this.failures.length > 0) return false;
      await pause(LIVE_LOOK_MS);
    }
    return true;
  }

  onEnd(listener: AckListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Fills the stock, then opens. */
  async start(): Promise<void> {
    this.#sending = true;
    for (let each = 0; each < SENDERS; each++) this.#senders.push(this.#sendOn());
    while (this.#waiting.length < this.#stockMin && this.failures.length === 0) await pause(20);
    this.#begunMs = this.#people.history.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Asks no more, and waits for nobody: for a Set that will not answer. */
  abandon(): void {
    this.#sending = false;
    clearInterval(this.#timer);
  }

  /** Asks no more; resolves when every open and every packet has its final answer. */
  async end(): Promise<void> {
    this.abandon();
    await Promise.all(this.#senders);
    await Promise.all(this.#inFlight);
  }

  /** Asks a part of all opens once more: the answers must be those that were given. */
  async askAgain(countMax: number): Promise<number> {
    const answered = this.#people.history.opens.filter(({ told }) => told !== null);
    const step = Math.max(1, Math.ceil(answered.length / countMax));
    const offset = this.#random.below(step);
    const chosen = answered.filter((_, index) => index % step === offset);
    const people = new Map<string, Person>(this.#people.all.map((one) => [one.user, one]));
    const waiting = chosen.values();
    const work = async (): Promise<void> => {
      for (const open of waiting) {
        const person = people.get(open.user);
        if (person === undefined) continue;
        const answer = await this.#ask({ packetId: asId(BigInt(open.packetId)), person }, []);
        open.again = toldOf(answer);
      }
    };
    await Promise.all(Array.from({ length: 64 }, work));
    return chosen.length;
  }

  get #stockMin(): number {
    return this.#ratePerS * STOCK_S;
  }

  #tick(): void {
    const { history } = this.#people;
    const elapsedS = (history.now() - this.#begunMs) / 1_000;
    const due = Math.floor(elapsedS * this.#ratePerS);
    const now = Math.min(due - this.#due, BURST_MAX);
    for (let each = 0; each < now; each++) {
      const dueMs = this.#begunMs + ((this.#due + each) * 1_000) / this.#ratePerS;
      this.#openOne(dueMs);
    }
    this.#due = due;
  }

  #openOne(dueMs: number): void {
    const { history } = this.#people;
    const at = this.#waiting.length === 0 ? -1 : this.#random.below(this.#waiting.length);
    const next = this.#waiting[at];
    const last = this.#waiting.pop();
    if (next === undefined || last === undefined) {
      this.starved += 1;
      return;
    }
    if (next !== last) this.#waiting[at] = last;
    const open: Open = {
      packetId: String(next.packetId),
      user: next.person.user,
      dueMs,
      endedMs: null,
      doubts: [],
      told: null,
      again: null,
    };
    history.opens.push(open);
    const asking = this.#finish(open, next).catch((error: unknown) => {
      this.failures.push(String(error));
    });
    this.#inFlight.add(asking);
    void asking.then(() => this.#inFlight.delete(asking));
  }

  async #finish(open: Open, waiting: Waiting): Promise<void> {
    const answer = await this.#ask(waiting, open.doubts);
    open.endedMs = this.#people.history.now();
    open.told = toldOf(answer);
    for (const listener of this.#listeners) listener(open);
  }

  async #ask({ packetId, person }: Waiting, doubts: Doubt[]): Promise<CommandAnswer> {
    for (let attempt = 0; ; attempt++) {
      const grant = await this.#people.grantOf(person);
      const command = { type: 'packet.open', packetId, user: person.user, grant } as const;
      const asked = await this.#people.ask(setOfId(packetId), command);
      doubts.push(...asked.doubts);
      const { answer } = asked;
      if (answer.outcome.status !== 'grant_expired' || attempt > 0) return answer;
      await this.#people.renew(person);
    }
  }

  /** One sender: a packet after the other while there are too few opens in stock. */
  async #sendOn(): Promise<void> {
    try {
      while (this.#sending) {
        if (this.#waiting.length < this.#stockMin) await this.#sendOne();
        else await pause(20);
      }
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  async #sendOne(): Promise<void> {
    const people = this.#people;
    const { history, all } = people;
    const person = all[this.#random.below(all.length)];
    if (person === undefined) throw new Error('nobody sends');
    const packetId = await people.newId(person.user);
    const plan = planOf(this.#random, all.length);
    const sent: Sent = {
      packetId: String(packetId),
      sender: person.user,
      totalCents: plan.totalCents,
      count: plan.count,
      acknowledged: false,
    };
    history.sent.push(sent);
    const sending = {
      type: 'packet.send',
      commandId: people.newCommandId(),
      definition: {
        packetId,
        sender: person.user,
        groupId: people.groupId,
        kind: 'lucky',
        strategy: plan.strategy,
        timing: plan.timing,
        totalCents: cents(plan.totalCents),
        count: plan.count,
        lifetimeMs: LIFETIME_MS,
        greeting: '',
        receivers: [],
      },
    } as const;
    for (let attempt = 0; ; attempt++) {
      const grant = await people.grantOf(person);
      const set = people.router.homeOf(person.user);
      const { outcome } = (await people.ask(set, { ...sending, grant })).answer;
      if (succeeded(outcome)) break;
      if (outcome.status !== 'grant_expired' || attempt > 0) {
        throw new Error(`packet.send was refused: ${outcome.status}`);
      }
      await people.renew(person);
    }
    sent.acknowledged = true;
    await this.#untilLive(packetId, person);
    this.#waiting.push(...all.map((each) => ({ packetId, person: each })));
  }

  /** An open before the courier was here would rightly be told that there is no packet. */
  async #untilLive(packetId: Id, { user }: Person): Promise<void> {
    const packet = { user, packetId: String(packetId), grant: new Uint8Array() };
    while (this.#sending) {
      const { status } = await this.#people.router.query(setOfId(packetId), { packet });
      if (status === 'ok') return;
      await pause(LIVE_LOOK_MS);
    }
  }
}

const STRATEGIES = ['double_mean', 'classic', 'uniform'] as const;

/** Some drain exactly, some have losers, some keep a rest, a few pay large shares (their own lane). */
function planOf(random: Random, people: number) {
  const shape = random.below(10);
  let count = people;
  if (shape === 0) count = 3;
  else if (shape < 3) count = Math.ceil(people * 0.75);
  else if (shape < 5) count = people + 5;
  count = Math.min(count, 100);
  const totalCents = shape === 0 ? 20_000 : count + random.below(99 * count);
  const strategy = STRATEGIES[random.below(STRATEGIES.length)] ?? 'double_mean';
  const timing = random.below(2) === 0 ? ('at_open' as const) : ('pre_split' as const);
  return { count, totalCents, strategy, timing };
}

function toldOf({ outcome, mark }: CommandAnswer): Told {
  if (!succeeded(outcome)) return { kind: 'refused', code: outcome.status };
  if (outcome.type !== 'packet.open') throw new Error('an open is answered as an open');
  return {
    kind: 'claim',
    amountCents: outcome.amountCents,
    order: outcome.order,
    at: outcome.at,
    fresh: outcome.status === 'ok',
    epoch: mark.epoch,
    lsn: mark.lsn,
  };
}
