import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import type { UserId } from '../../../lib/core/user.ts';
import { parseUserId } from '../../../lib/core/user.ts';
import type { Clock } from '../../../lib/port/clock.ts';
import type { Tokens } from '../../../access/tokens.ts';
import type { Trace } from '../trace.ts';
import { hold } from '../trace.ts';
import { Book } from './book.ts';
import type { Gateway } from './gateway.ts';
import { Person } from './person.ts';
import { Script } from './script.ts';
import type { Told } from './told.ts';
import { Town } from './town.ts';

/** Things on their way at once, of all people. */
const OPEN_MAX = 48;
/** After the faults everybody is answered within this, ms. */
const LIVENESS_MS = 10_000;
/** Commands of 100 that somebody asks for again although they have been answered. */
const REPEATS = 6;

export type PeopleTotals = {
  /** Commands, each counted once however often it was sent. */
  commands: number;
  queries: number;
  /** Final answers, to repeats too. */
  answers: number;
  /** Commands that were asked for again on purpose. */
  repeats: number;
};

export type PeopleArgs = {
  /** The world's: people have good clocks. */
  readonly clock: Clock;
  readonly chance: SeededRandom;
  readonly trace: Trace;
  /** The access processes that live now. */
  readonly gateways: () => readonly Gateway[];
  readonly tokens: Tokens;
  /** How many people there are. */
  readonly users: number;
  /** Commands of the whole walk. */
  readonly commandsMax: number;
  /** Calls of {@link People.tick} over which they are spread. */
  readonly ticks: number;
  readonly told: Told;
};

/** All people of a walk: they ask, wait, ask again elsewhere, and hold what they are told. */
export class People {
  readonly totals: PeopleTotals = { commands: 0, queries: 0, answers: 0, repeats: 0 };
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #chance: SeededRandom;
  readonly #people: readonly Person[];
  readonly #script: Script;
  readonly #book: Book;
  readonly #commandsMax: number;
  readonly #perTick: number;
  /** Commands that may begin: so many ticks have been. */
  #due = 0;
  #number = 0;
  /** When everybody must be answered, ms; null: people still begin things. */
  #answeredByMs: number | null = null;

  constructor(args: PeopleArgs) {
    const { clock, chance, trace, gateways, tokens, told } = args;
    this.#clock = clock;
    this.#trace = trace;
    this.#chance = chance;
    this.#commandsMax = args.commandsMax;
    this.#perTick = args.commandsMax / args.ticks;
    const town = new Town();
    this.#book = new Book(told);
    const company = {
      clock,
      chance,
      trace,
      tokens,
      desk: { book: this.#book, told },
      town,
      gateways,
      nextNumber: () => this.#number++,
      answered: (person, errand, to) => {
        this.totals.answers += 1;
        this.#script.answered(person, errand, to);
      },
    } satisfies ConstructorParameters<typeof Person>[0];
    const names = Array.from({ length: args.users }, (_, at) => userOf(at));
    this.#people = names.map((user, index) => new Person(company, { user, index }));
    this.#script = new Script({ people: this.#people, chance, town });
  }

  /** Every 50 ms or so: what is due is sent, and somebody may begin something. */
  tick(): void {
    if (this.#answeredByMs === null) this.#begin();
    for (const person of this.#people) person.tick();
    if (this.#answeredByMs === null || this.#clock.monotonicMs() <= this.#answeredByMs) return;
    const waiting = this.#waiting();
    this.#trace.guard(() => hold(waiting === null, `liveness: ${waiting}`));
  }

  #begin(): void {
    this.#due = Math.min(this.#commandsMax, this.#due + this.#perTick);
    while (this.totals.commands < this.#due && this.#open < OPEN_MAX) {
      const errand = this.#script.step();
      if (errand === null) return;
      if (errand.isCommand) this.totals.commands += 1;
      else this.totals.queries += 1;
      if (errand.isCommand && this.#chance.below(100) < REPEATS) this.again(1);
    }
  }

  /** Asks again for up to `count` commands that have been answered: the answers must be the same (M9). */
  again(count: number): void {
    this.totals.repeats += this.#script.again(count);
  }

  get #open(): number {
    return this.#people.reduce((sum, { errands }) => sum + errands.length, 0);
  }

  /** Commands that wait for a final answer. */
  get openCommands(): number {
    let open = 0;
    for (const { errands } of this.#people) {
      for (const { isCommand } of errands) if (isCommand) open += 1;
    }
    return open;
  }

  /** No faults from now on: nothing new begins, and 10 s later everything has its answer. */
  settle(): void {
    this.#answeredByMs = this.#clock.monotonicMs() + LIVENESS_MS;
  }

  /** Whether every command and question, and every request on a socket that stands, is answered. */
  get settled(): boolean {
    return this.#people.every(
      (person) => person.errands.length === 0 && person.unanswered() === undefined,
    );
  }

  /** Was anybody told that this packet is there? */
  isShown(packetId: string): boolean {
    return this.#book.packet(packetId).shown;
  }

  /** Who there is. */
  get users(): readonly UserId[] {
    return this.#people.map(({ user }) => user);
  }

  /** What is not answered in time; null when everything is. */
  #waiting(): string | null {
    for (const person of this.#people) {
      const [errand] = person.errands;
      if (errand !== undefined) return `${errand.name} has no answer after ${errand.tries} tries`;
      const request = person.unanswered(LIVENESS_MS);
      if (request !== undefined) return `no reply to ${request} ms`;
    }
    return null;
  }

  /** Everybody hangs up. */
  leave(): void {
    for (const person of this.#people) person.leave();
  }
}

function userOf(at: number): UserId {
  const user = parseUserId(`p${at}`);
  if (user === null) throw new Error('not a user id');
  return user;
}
