import { assert } from '../../../lib/core/assert.ts';
import type { Random } from '../../../lib/port/random.ts';
import { pause } from '../member.ts';
import type { Crowd, Group } from './crowd.ts';
import { atOnce } from './crowd.ts';
import type { Balance, History, Open, Sent, Told } from './history.ts';
import type { Answer, Phone } from './phone.ts';
import type { Lifetimes, Terms } from './terms.ts';
import { termsOf } from './terms.ts';

const TICK_MS = 5;
/** After an outage opens come at so many times the rate until the mean is the rate again. */
const CATCH_UP = 1.6;
/** Opens that wait to be asked: enough for a takeover in which no packet is sent or delivered. */
const STOCK_S = 5;
/** So many that those who wait for a Set that is away do not keep the others from sending. */
const SENDERS = 32;
/** Opens without an answer: in an outage the rest waits in the stock, not in memory and sockets. */
const UNDER_WAY_MAX = 1_000;
const LOOK_MS = 20;
const ARRIVES_WITHIN_MS = 60_000;
/** One open in so many is asked on two devices at once; one sending in so many is repeated. */
const TWICE_ONE_IN = 32;
const RESENT_ONE_IN = 8;
const BALANCE_EVERY_MS = 100;

type Waiting = { readonly packetId: string; readonly phone: Phone };

/**
 * Opens at a steady rate, whatever becomes of those before, over packets that are sent in time.
 * Every command is asked with the same bytes until its answer is final.
 */
export class Load {
  readonly #crowd: Crowd;
  readonly #history: History;
  readonly #random: Random;
  readonly #ratePerS: number;
  readonly #lifetimes: Lifetimes;
  readonly #waiting: Waiting[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #workers: Promise<void>[] = [];
  #isSending = false;
  #timer: NodeJS.Timeout | undefined;
  #begunMs = 0;
  #due = 0;
  #asked = 0;
  /** What must not happen at all, in words. */
  readonly failures: string[] = [];

  constructor(args: {
    readonly crowd: Crowd;
    readonly random: Random;
    readonly ratePerS: number;
    readonly lifetimes: Lifetimes;
  }) {
    this.#lifetimes = args.lifetimes;
    this.#crowd = args.crowd;
    this.#history = args.crowd.history;
    this.#random = args.random;
    this.#ratePerS = args.ratePerS;
  }

  /** Fills the stock, then opens. */
  async start(): Promise<void> {
    this.#isSending = true;
    for (let each = 0; each < SENDERS; each++) this.#workers.push(this.#guard(this.#sendOn()));
    while (this.#waiting.length < this.#stockMin && this.failures.length === 0)
      await pause(LOOK_MS);
    this.#workers.push(this.#guard(this.#askBalances()));
    this.#begunMs = this.#history.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Asks no more; resolves when everything that was asked has its final answer. */
  async end(): Promise<void> {
    this.#isSending = false;
    clearInterval(this.#timer);
    await Promise.all(this.#workers);
    await Promise.all(this.#underWay);
  }

  /** Asks a part of all opens once more. Returns how many. */
  async askAgain(countMax: number): Promise<number> {
    const answered = this.#history.opens.filter(({ told }) => told !== null);
    const step = Math.max(1, Math.ceil(answered.length / countMax));
    const offset = this.#random.below(step);
    const chosen = answered.filter((_, index) => index % step === offset);
    const phones = new Map(this.#crowd.phones.map((phone) => [phone.user, phone]));
    await atOnce(chosen, async (open) => {
      const phone = phones.get(open.user);
      assert(phone !== undefined, 'somebody of the crowd opened it');
      open.again.push(await this.#ask(open, phone));
    });
    return chosen.length;
  }

  /** What everybody has, as he is told when nothing moves any more. */
  async askEverybody(): Promise<Balance[]> {
    const told: Balance[] = [];
    await atOnce(this.#crowd.phones, async (phone) => {
      told.push(await this.#askBalance(phone));
    });
    return told;
  }

  /** Opens that were due and never asked: no packet was left to open, or too many were under way. */
  get undone(): number {
    return this.#due - this.#asked;
  }

  get #stockMin(): number {
    return this.#ratePerS * STOCK_S;
  }

  #tick(): void {
    const elapsedS = (this.#history.now() - this.#begunMs) / 1_000;
    this.#due = Math.floor(elapsedS * this.#ratePerS);
    // What an outage left undone is made up for, yet never in one burst.
    const most = Math.ceil((this.#ratePerS * CATCH_UP * TICK_MS) / 1_000);
    const now = Math.min(this.#due - this.#asked, most);
    for (let each = 0; each < now; each++) if (!this.#openNext()) return;
  }

  /** False: no packet is left to open, or too many are under way. */
  #openNext(): boolean {
    const at = this.#waiting.length === 0 ? -1 : this.#random.below(this.#waiting.length);
    const next = this.#waiting[at];
    if (next === undefined || this.#underWay.size >= UNDER_WAY_MAX) return false;
    this.#asked += 1;
    const last = this.#waiting.pop();
    if (last !== undefined && next !== last) this.#waiting[at] = last;
    const { packetId, phone } = next;
    const open: Open = {
      packetId,
      user: phone.user,
      dueMs: this.#history.now(),
      endedMs: null,
      doubts: 0,
      told: null,
      again: [],
    };
    this.#history.opens.push(open);
    const asking = this.#guard(this.#openOne(open, phone));
    this.#underWay.add(asking);
    void asking.then(() => this.#underWay.delete(asking));
    return true;
  }

  async #openOne(open: Open, phone: Phone): Promise<void> {
    const isTwice = this.#random.below(TWICE_ONE_IN) === 0;
    const devices = Array.from({ length: isTwice ? 2 : 1 }, async (_, device) => {
      const told = await this.#ask(open, phone);
      if (device > 0) return void open.again.push(told);
      open.told = told;
      open.endedMs = this.#history.now();
    });
    await Promise.all(devices);
  }

  async #ask(open: Open, phone: Phone): Promise<Told> {
    const { packetId } = open;
    const answer = await phone.askUntilFinal('packet.open', { packetId }, (code) => {
      open.doubts += 1;
      this.#history.doubt(`packet.open ${code}`);
    });
    return toldOf(answer);
  }

  /** One sender: a packet after the other while there are too few opens in stock. */
  async #sendOn(): Promise<void> {
    while (this.#isSending) {
      if (this.#waiting.length < this.#stockMin) await this.#sendOne();
      else await pause(LOOK_MS);
    }
  }

  async #sendOne(): Promise<void> {
    const { groups, idle } = this.#crowd;
    const group = groups[this.#random.below(groups.length)];
    assert(group !== undefined, 'there are groups');
    const phone = group.members[this.#random.below(group.members.length)];
    assert(phone !== undefined, 'a group has members');
    if (idle.has(phone.user)) return;
    const active = group.members.filter(({ user }) => !idle.has(user));
    const terms = termsOf({
      random: this.#random,
      members: active.length,
      lifetimes: this.#lifetimes,
    });
    // Other people each time open what is left to expire, and are meant by what is exclusive.
    const from = this.#random.below(active.length);
    const members = [...active.slice(from), ...active.slice(0, from)];
    const clientId = this.#crowd.newId();
    const { totalCents, isLeft, lifetimeMs } = terms;
    const said = { user: phone.user, clientId, totalCents, isLeft, lifetimeMs };
    const sent: Sent = { ...said, packetId: null, refusal: null, again: [] };
    this.#history.sent.push(sent);
    const wish = wishOf({ terms, group: { ...group, members }, clientId });
    const send = (): Promise<Answer> =>
      phone.askUntilFinal('packet.send', wish, (code) => {
        this.#history.doubt(`packet.send ${code}`);
      });
    const repeats = this.#random.below(RESENT_ONE_IN) === 0 ? [send(), send()] : [send()];
    const [first, second] = await Promise.all(repeats);
    if (first === undefined) return;
    if (second !== undefined) sent.again.push(wordOf(second));
    if (!first.ok) {
      sent.refusal = first.code;
      if (first.code !== 'insufficient_funds') throw new Error(`packet.send: ${first.code}`);
      return;
    }
    const packetId = String(first.d['packetId']);
    sent.packetId = packetId;
    if (first.d['status'] !== 'live') await untilLive(phone, packetId);
    const openers = members.slice(0, terms.openers);
    this.#waiting.push(...openers.map((one) => ({ packetId, phone: one })));
  }

  /** Somebody looks into his wallet, again and again. */
  async #askBalances(): Promise<void> {
    const { phones } = this.#crowd;
    while (this.#isSending) {
      const phone = phones[this.#random.below(phones.length)];
      if (phone !== undefined) await this.#askBalance(phone);
      await pause(BALANCE_EVERY_MS);
    }
  }

  async #askBalance(phone: Phone): Promise<Balance> {
    const { balanceCents, arrivingCents, mark } = await phone.need('wallet.get', {});
    const balance: Balance = {
      user: phone.user,
      balanceCents: Number(balanceCents),
      arrivingCents: Number(arrivingCents),
      mark: String(mark),
    };
    this.#history.balances.push(balance);
    return balance;
  }

  /** A failure is a finding, and ends nothing but what failed. */
  #guard(work: Promise<void>): Promise<void> {
    return work.catch((error: unknown) => {
      this.failures.push(error instanceof Error ? error.message : String(error));
    });
  }
}

function wishOf(args: { terms: Terms; group: Group; clientId: string }) {
  const { terms, group, clientId } = args;
  const { kind, strategy, timing, totalCents, count, lifetimeMs } = terms;
  const receivers = group.members.slice(0, terms.receivers).map(({ user }) => user);
  return {
    groupId: group.groupId,
    clientId,
    kind,
    strategy,
    timing,
    totalCents,
    count,
    lifetimeMs,
    ...(receivers.length > 0 ? { receivers } : {}),
  };
}

/** An open before the courier was here would rightly be told that there is no packet. */
async function untilLive(phone: Phone, packetId: string): Promise<void> {
  const endMs = performance.now() + ARRIVES_WITHIN_MS;
  for (;;) {
    const answer = await phone.askUntilFinal('packet.get', { packetId });
    if (answer.ok) return;
    if (performance.now() > endMs) throw new Error(`packet ${packetId} does not arrive`);
    await pause(LOOK_MS);
  }
}

function wordOf(answer: Answer): string {
  return answer.ok ? String(answer.d['packetId']) : answer.code;
}

function toldOf(answer: Answer): Told {
  if (!answer.ok) return { kind: 'refused', code: answer.code };
  const { amountCents, order, at } = answer.d;
  if (typeof amountCents !== 'number' || typeof order !== 'number' || typeof at !== 'number') {
    throw new Error('an open is answered with amount, order and time');
  }
  return { kind: 'claim', amountCents, order, at };
}
