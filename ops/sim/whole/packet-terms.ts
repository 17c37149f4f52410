import type { SeededRandom } from '../../../lib/adapter/seeded-random.ts';
import { LIMITS } from '../../../lib/core/limits.ts';
import type { Definition } from './book.ts';
import type { GroupTalk } from './town.ts';

const DAY_MS = 24 * 3_600_000;

/** What people say of their packets, drawn from the seed: all kinds, strategies and lifetimes. */
export class PacketTerms {
  readonly #chance: SeededRandom;
  /** By number, as in {@link GroupTalk}. */
  readonly #users: readonly string[];
  #greetings = 0;

  constructor(args: { chance: SeededRandom; users: readonly string[] }) {
    this.#chance = args.chance;
    this.#users = args.users;
  }

  /** `storm`: half as many shares as members, alive while all of them come at once. */
  draw({ groupId, members }: GroupTalk, storm: boolean): Definition {
    const chance = this.#chance;
    const kind = storm ? 'lucky' : this.#pick(['lucky', 'lucky', 'equal', 'exclusive'] as const);
    const receivers = kind === 'exclusive' ? this.#receivers(members) : [];
    const people = Math.max(1, members.length);
    const few = storm ? Math.ceil(people / 2) : 1 + chance.below(people + 2);
    const count = Math.max(few, receivers.length);
    return {
      groupId,
      totalCents: count + this.#cents(),
      count,
      kind,
      strategy: this.#strategy(kind),
      timing: this.#pick(['at_open', 'pre_split'] as const),
      lifetimeMs: this.#lifetime(storm),
      greeting: `wish ${this.#greetings++}`,
      receivers,
    };
  }

  #pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.#chance.below(list.length)] ?? list[0];
  }

  #receivers(members: readonly number[]): string[] {
    const some = members.filter(() => this.#chance.below(2) === 0);
    if (some.length === 0) some.push(this.#chance.below(this.#users.length));
    return some.map((at) => this.#users[at] ?? '');
  }

  /** Mostly little: some packets have one cent a share, a few are larger than a wallet can pay. */
  #cents(): number {
    const dice = this.#chance.below(10);
    if (dice === 0) return 0;
    if (dice === 1) return 15_000 + this.#chance.below(4_800);
    return this.#chance.below(1_500);
  }

  #strategy(kind: 'lucky' | 'equal' | 'exclusive'): string {
    if (kind === 'equal') return 'equal';
    const lucky = ['double_mean', 'double_mean', 'classic', 'uniform'] as const;
    return kind === 'lucky' ? this.#pick(lucky) : this.#pick([...lucky, 'equal']);
  }

  #lifetime(storm: boolean): number {
    const dice = storm ? 9 : this.#chance.below(10);
    if (dice === 0) return LIMITS.packetLifetimeMsMin;
    if (dice < 5) return LIMITS.packetLifetimeMsMin + this.#chance.below(20_000);
    if (dice < 7) return 60_000 + this.#chance.below(3_600_000);
    return dice < 9 ? DAY_MS : 10 * 60_000;
  }
}

/** `d` of `packet.send`. */
export function packetBody(clientId: string, { receivers, ...fields }: Definition): object {
  return { clientId, ...fields, ...(receivers.length === 0 ? {} : { receivers }) };
}
