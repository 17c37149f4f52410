import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { makeCommandId } from '../../../lib/core/ids.ts';
import type { TimeMs } from '../../../lib/core/units.ts';
import type { UserId } from '../../../lib/core/user.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Tokens } from '../../../access/tokens.ts';
import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';
import { holdYes, readYes } from './answers.ts';
import type { Asker, Desk } from './answers.ts';
import type { Asked, Knew, Listener } from './connection.ts';
import { Connection, KNEW_NOTHING } from './connection.ts';
import { Errand, SEALED, View } from './errand.ts';
import type { Want } from './errand.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, flag, list, text, whole } from './fields.ts';
import type { Gateway } from './gateway.ts';
import { CUT } from './line.ts';
import type { No } from './refusal.ts';
import { readNo } from './refusal.ts';
import type { Member, Town } from './town.ts';

/** Silence after which the same request is sent again, ms. */
const PATIENCE_MS = 3_000;
/** A line on which nothing came for so long, though something was asked, is hung up. */
const SILENT_MS = 9_000;
/** The real door cuts a socket that says nothing for so long. */
const IDLE_MS = 60_000;
const PING_MS = 20_000;
/** A line that owes an answer and is quiet for so long is asked whether it lives, ms. */
const PROBE_MS = 4_000;
/** Sockets of one person: one to each access node, and one more. */
const SLOTS = 3;
/** Longest pause before the next socket: well within the time in which all must be answered. */
const PAUSE_MS_MAX = 2_000;
const TOKEN_MS = 30 * 24 * 3_600_000;
/** Some tokens end within a walk: then the socket is closed, and its owner signs in again. */
const SHORT_TOKEN_MS = 2 * 3_600_000;

/** What a person shares with all others. */
export type Company = {
  readonly clock: Clock;
  readonly chance: SeededRandom;
  readonly trace: Trace;
  readonly tokens: Tokens;
  readonly desk: Desk;
  readonly town: Town;
  /** The access processes that live now. */
  gateways(): readonly Gateway[];
  nextNumber(): number;
  /** A final answer: `d` of a yes, null for a no. */
  answered(person: Person, errand: Errand, to: { d: Fields | null; asked: Asked }): void;
};

/** One person: some sockets, and a list of things that are on their way. */
export class Person implements Asker, Listener {
  readonly user: UserId;
  readonly index: number;
  home: number | null = null;
  ledgerLsn = 0;
  /** On their way, in the order in which they began. */
  readonly errands: Errand[] = [];
  readonly memberships = new Map<string, Member>();
  readonly #company: Company;
  readonly #slots: (Connection | null)[] = Array.from({ length: SLOTS }, () => null);
  readonly #mayConnectMs: number[] = Array.from({ length: SLOTS }, () => 0);
  /** Sockets that came to nothing, one after another. */
  #failures = 0;
  readonly #views = new Map<Gateway, View>();
  /** Last seq that was shown, by group. */
  readonly #seen = new Map<string, number>();
  #token: { readonly text: string; readonly expiresAt: TimeMs } | null = null;
  #shortToken: boolean;

  constructor(company: Company, who: { user: UserId; index: number }) {
    this.user = who.user;
    this.index = who.index;
    this.#company = company;
    this.#shortToken = who.index % 4 === 3;
  }

  get #nowMs(): number {
    return this.#company.clock.monotonicMs();
  }

  // ---- errands

  /** Wants something new, under an id of its own where the op has one. */
  begin(
    want: Want,
    bodyOf: (key: string) => object,
    more: { mustFail?: string; key?: string } = {},
  ): Errand {
    const { clock, chance, trace } = this.#company;
    const key = more.key ?? makeCommandId(clock.now(), chance.bytes(10));
    const errand = new Errand({
      number: this.#company.nextNumber(),
      user: this.user,
      want,
      key,
      body: JSON.stringify(bodyOf(key)),
      mustFail: more.mustFail ?? null,
    });
    this.errands.push(errand);
    if (errand.isCommand) trace.note(`${errand.name} begins`);
    return errand;
  }

  /** Asks once more for what has been answered (M9). */
  repeat(errand: Errand): void {
    if (errand.open) return;
    errand.open = true;
    errand.nextTryMs = 0;
    this.errands.push(errand);
    this.#company.trace.note(`${errand.name} is asked again`);
  }

  /** Sends what is due; looks after the sockets. */
  tick(): void {
    const now = this.#nowMs;
    for (let slot = 0; slot < SLOTS; slot++) this.#lookAfter(slot, now);
    for (const errand of this.errands) if (errand.nextTryMs <= now) this.#send(errand, now);
  }

  #send(errand: Errand, now: number): void {
    const slot = this.#slotFor(errand);
    const connection = this.#live(slot) ?? this.#live((slot + 1) % SLOTS);
    if (connection === null) {
      this.#connect(slot, now);
      return;
    }
    this.#ask(errand, connection);
    if (errand.twice) {
      errand.twice = false;
      const other =
        this.#live((connection.slot + 1) % SLOTS) ?? this.#live((connection.slot + 2) % SLOTS);
      if (other !== null) this.#ask(errand, other);
    }
  }

  /** Over the other access node as often as not. */
  #slotFor({ lastSlot }: Errand): number {
    const { chance } = this.#company;
    if (lastSlot === -1) return chance.below(8) === 0 ? 2 : chance.below(2);
    return chance.below(2) === 0 ? lastSlot : (lastSlot + 1) % SLOTS;
  }

  /** Asks at once on the connection of an answer, while its session stands. */
  askOn(errand: Errand, slot: number): void {
    const connection = this.#live(slot);
    if (connection !== null) this.#ask(errand, connection);
  }

  #ask(errand: Errand, connection: Connection): void {
    errand.tries += 1;
    errand.lastSlot = connection.slot;
    errand.nextTryMs = this.#nowMs + PATIENCE_MS;
    if (errand.tries > 1 && errand.isCommand) {
      this.#company.trace.note(`${errand.name} try ${errand.tries} to ${connection.gateway.name}`);
    }
    const { want, body } = errand;
    connection.ask({ op: want.op, body, errand, knew: this.#knew(errand) });
  }

  /** What is certain now, so that the answer must not be older. */
  #knew({ want, yes }: Errand): Knew {
    const member = this.isMember(groupOf(want));
    if (!('packetId' in want)) return { ...KNEW_NOTHING, yes: yes !== null, member };
    const { shown, ended, byUser } = this.#company.desk.book.packet(want.packetId);
    return { yes: yes !== null, shown, ended, opened: byUser.has(this.user), member };
  }

  isMember(groupId: string): boolean {
    const membership = this.memberships.get(groupId);
    return membership !== undefined && membership.sure && !membership.left;
  }

  // ---- sockets

  #live(slot: number): Connection | null {
    const connection = this.#slots[slot] ?? null;
    return connection?.live === true ? connection : null;
  }

  #lookAfter(slot: number, now: number): void {
    const connection = this.#slots[slot] ?? null;
    if (connection === null) return;
    if (now - connection.sentMs > IDLE_MS) return connection.leave(CUT);
    const asked = connection.oldest();
    const quiet = now - Math.max(connection.heardMs, asked?.atMs ?? now);
    if (quiet > SILENT_MS) return connection.leave(CUT);
    // A line that brings other answers is good, and owes us this one.
    const doubtful = quiet > PROBE_MS && now - connection.sentMs > PROBE_MS;
    if (!connection.live || (!doubtful && now - connection.sentMs <= PING_MS)) return;
    const body = JSON.stringify({ seen: Object.fromEntries(this.#seen) });
    connection.ask({ op: 'ping', body, errand: null, knew: KNEW_NOTHING });
  }

  /** A socket for this slot, when there is none and its time has come. */
  #connect(slot: number, now: number): void {
    if (this.#slots[slot] !== null || (this.#mayConnectMs[slot] ?? 0) > now) return;
    const { trace, chance } = this.#company;
    const gateways = this.#company.gateways();
    const at = slot < 2 ? slot : chance.below(2);
    const gateway = gateways[at % Math.max(1, gateways.length)];
    this.#mayConnectMs[slot] = now + this.#pauseMs();
    this.#failures += 1;
    if (gateway === undefined) return;
    const nowMs = (): number => this.#nowMs;
    const view = this.#viewOf(gateway);
    const connection = new Connection({ gateway, view, slot, trace, owner: this, nowMs });
    if (connection.over) return;
    this.#slots[slot] = connection;
    const resume = chance.below(4) === 0 ? undefined : Object.fromEntries(this.#seen);
    const body = JSON.stringify({ token: this.#signIn(), resume });
    connection.resumed = resume ?? {};
    connection.ask({ op: 'hello', body, errand: null, knew: KNEW_NOTHING });
  }

  /** Longer after every socket that came to nothing. */
  #pauseMs(): number {
    const most = Math.min(PAUSE_MS_MAX, 100 * 2 ** Math.min(this.#failures, 10));
    return 50 + this.#company.chance.below(most);
  }

  #viewOf(gateway: Gateway): View {
    for (const old of this.#views.keys()) if (old.process.dead) this.#views.delete(old);
    const known = this.#views.get(gateway) ?? new View(`${this.user} at ${gateway.name}`);
    this.#views.set(gateway, known);
    return known;
  }

  #signIn(): string {
    const { clock, tokens } = this.#company;
    const now = clock.now();
    if (this.#token === null || this.#token.expiresAt <= now) {
      const lifetimeMs = this.#shortToken ? SHORT_TOKEN_MS : TOKEN_MS;
      const { token, expiresAt } = tokens.sign({ user: this.user, now, lifetimeMs });
      this.#token = { text: token, expiresAt };
    }
    return this.#token.text;
  }

  /** Hangs up everywhere. */
  leave(): void {
    for (const connection of this.#slots) connection?.leave(CUT);
  }

  /** A request that has waited so long for its reply on a socket that stands; undefined: none. */
  unanswered(olderThanMs = 0): string | undefined {
    const before = this.#nowMs - olderThanMs;
    for (const connection of this.#slots) {
      const asked = connection?.oldest();
      if (!connection || asked === undefined || asked.atMs > before) continue;
      const what = asked.errand?.name ?? `${this.user} ${asked.op}`;
      return `${what}, asked of ${connection.gateway.name} at ${Math.round(asked.atMs)}`;
    }
    return undefined;
  }

  // ---- what is heard

  live(connection: Connection, d: Fields): void {
    this.#failures = 0;
    hold(text(d, 'userId') === this.user, `protocol: ${this.user} is greeted as another`);
    const missed = Map.groupBy(list(d, 'missed'), (one) => text(one, 'groupId'));
    for (const [groupId, messages] of missed) this.#company.desk.book.page(messages, groupId);
    const recovered = flag(d, 'recovered');
    for (const group of list(d, 'groups')) {
      const groupId = text(group, 'groupId');
      const mark = connection.resumed[groupId];
      const lastSeq = whole(group, 'lastSeq');
      const isBehind = Math.max(mark ?? 0, whole(group, 'firstSeq') - 1) < lastSeq;
      if (mark === undefined || !this.isMember(groupId) || !isBehind) continue;
      const messages = missed.get(groupId);
      if (messages === undefined) {
        hold(!recovered, `Q2 ${this.user}: nothing of ${groupId} from ${mark} to ${lastSeq}`);
        continue;
      }
      const [first, last] = [messages[0]?.['seq'], messages.at(-1)?.['seq']];
      // Pushed to him in the moment of his joining: what he may not read is not missing either.
      const from = Math.max(mark + 1, whole(group, 'firstSeq'));
      const complete = first === from && last === lastSeq;
      const wanted = `${from} to ${lastSeq}`;
      hold(
        complete,
        `Q2 ${this.user}: ${String(first)} to ${String(last)} of ${groupId}, not ${wanted}`,
      );
    }
    for (const messages of missed.values()) for (const one of messages) this.#see(one);
  }

  #see(d: Fields): void {
    const groupId = text(d, 'groupId');
    this.#seen.set(groupId, Math.max(this.#seen.get(groupId) ?? 0, whole(d, 'seq')));
  }

  news(event: string, d: Fields, isFirst: boolean): void {
    const { book, told } = this.#company.desk;
    if (event === 'message') {
      if (isFirst) book.message(d);
      this.#see(d);
    } else if (event === 'packet') {
      if (isFirst) this.#company.town.heard(book.packetNews(d), d);
    } else if (event === 'wallet') {
      const [balanceCents, amountCents] = [whole(d, 'balanceCents'), whole(d, 'amountCents')];
      hold(balanceCents >= 0, `M3 ${this.user} has ${balanceCents} c`);
      const packetId = d['packetId'] === null ? null : text(d, 'packetId');
      const [reason, at] = [text(d, 'reason'), whole(d, 'at')];
      told.walletNews.push({ user: this.user, balanceCents, amountCents, reason, packetId, at });
    } else {
      hold(EVENTS.has(event), `protocol: there is no event ${event}`);
    }
  }

  answered(connection: Connection, asked: Asked, reply: Fields): void {
    const { errand } = asked;
    if (reply['ok'] === true) {
      const d = fieldsOf(reply['d'], 'd');
      if (errand !== null) this.#yes({ errand, asked, d, connection });
      return;
    }
    const no = readNo(reply, asked, errand !== null && this.isMember(groupOf(errand.want)));
    if (no.code === 'token_expired') {
      this.#token = null;
      this.#shortToken = false;
    }
    if (errand !== null) this.#no({ errand, asked, no });
    // A hello that is refused is tried on another socket.
    else if (asked.op === 'hello') connection.leave(CUT);
  }

  #yes(args: { errand: Errand; asked: Asked; d: Fields; connection: Connection }): void {
    const { errand, asked, d, connection } = args;
    const { desk, trace } = this.#company;
    holdYes(errand, d);
    readYes(desk, this, { errand, asked, d });
    if (!errand.open) return;
    if (errand.isCommand) {
      const said = errand.lasting.map((field) => String(d[field])).join(' ');
      trace.note(`${connection.gateway.name} says yes to ${errand.name}: ${said}`);
    }
    this.#close(errand);
    this.#company.answered(this, errand, { d, asked });
  }

  #no({ errand, asked, no }: { errand: Errand; asked: Asked; no: No }): void {
    const { desk, trace, chance } = this.#company;
    const { code, final, retryAfterMs } = no;
    const { want } = errand;
    if (code === 'packet_drained' && 'packetId' in want) desk.book.end(want.packetId, 'drained');
    if (SEALED.has(code) && errand.isKeyed) {
      errand.broke = true;
      if (want.op === 'packet.send') desk.book.refused(want.definition);
    }
    if (errand.isCommand) {
      const key = want.op === 'packet.open' ? want.packetId : errand.key;
      const sealed = errand.broke;
      desk.told.refusals.push({ user: this.user, op: want.op, key, code, final, sealed });
    }
    if (!errand.open) return;
    if (!final) {
      errand.nextTryMs =
        this.#nowMs + Math.ceil(retryAfterMs / 2) + chance.below(retryAfterMs + 50);
      return;
    }
    if (errand.isCommand) trace.note(`no to ${errand.name}: ${code}`);
    this.#close(errand);
    this.#company.answered(this, errand, { d: null, asked });
  }

  #close(errand: Errand): void {
    errand.open = false;
    this.errands.splice(this.errands.indexOf(errand), 1);
  }

  gone(connection: Connection, code: number, lost: readonly Asked[]): void {
    if (this.#slots[connection.slot] === connection) this.#slots[connection.slot] = null;
    const { trace, chance } = this.#company;
    trace.note(
      `${this.user} loses ${connection.gateway.name} (${code}), ${lost.length} unanswered`,
    );
    const now = this.#nowMs;
    this.#mayConnectMs[connection.slot] = now + this.#pauseMs();
    for (const { errand } of lost) if (errand !== null) errand.nextTryMs = now + chance.below(300);
  }
}

const EVENTS: ReadonlySet<string> = new Set(['group', 'level', 'reconnect']);

/** The group that it is about; '' for none. */
function groupOf(want: Want): string {
  if (want.op === 'packet.send') return want.definition.groupId;
  return 'groupId' in want ? want.groupId : '';
}
