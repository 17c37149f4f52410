import type { Id } from '../lib/core/ids.ts';
import { setOfId } from '../lib/core/ids.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { CommandAnswer, Router } from '../router/api.ts';
import type { Person } from './people.ts';

type Moves = { next: { seq: number; answer: Promise<CommandAnswer> } | null };

/** Read cursors: at most one command per member, group and `periodMs` (rulings 19). */
export class CursorMoves {
  readonly #router: Router;
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #recent = new Map<string, Moves>();

  constructor(args: { router: Router; clock: Clock; periodMs: number }) {
    this.#router = args.router;
    this.#clock = args.clock;
    this.#periodMs = args.periodMs;
  }

  /** Moves now, or together with others when the last move is younger than the period. */
  move(person: Person, groupId: Id, seq: number): Promise<CommandAnswer> {
    const key = `${person.hash}/${groupId}`;
    const moves = this.#recent.get(key);
    if (moves === undefined) return this.#send({ person, groupId, key, seq: () => seq });
    if (moves.next !== null) {
      moves.next.seq = Math.max(moves.next.seq, seq);
      return moves.next.answer;
    }
    const { promise, resolve } = Promise.withResolvers<CommandAnswer>();
    const next = { seq, answer: promise };
    moves.next = next;
    this.#clock.after(this.#periodMs, () => {
      resolve(this.#send({ person, groupId, key, seq: () => next.seq }));
    });
    return promise;
  }

  #send(args: {
    person: Person;
    groupId: Id;
    key: string;
    seq: () => number;
  }): Promise<CommandAnswer> {
    const { person, groupId, key, seq } = args;
    const moves: Moves = { next: null };
    this.#recent.set(key, moves);
    this.#clock.after(this.#periodMs, () => {
      if (moves.next === null && this.#recent.get(key) === moves) this.#recent.delete(key);
    });
    const command = { type: 'message.read', user: person.user, groupId, seq: seq() } as const;
    return this.#router.command(setOfId(groupId), command, { session: person.marks });
  }
}
