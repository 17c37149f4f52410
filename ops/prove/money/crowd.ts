import { makeCommandId } from '../../../lib/core/ids.ts';
import type { Random } from '../../../lib/port/random.ts';
import { pause } from '../member.ts';
import type { History } from './history.ts';
import { Phone } from './phone.ts';

const AT_ONCE = 32;
const ARRIVES_WITHIN_MS = 30_000;
const ARRIVES_LOOK_MS = 30;

export type CrowdOptions = {
  readonly people: number;
  readonly groups: number;
  /** Of each group; at most `people`. */
  readonly members: number;
  /** One in so many never sends or opens. */
  readonly idleOneIn: number;
};

export type Group = { readonly groupId: string; readonly members: readonly Phone[] };

/** People on their phones, and the groups in which they meet: everybody is in several. */
export class Crowd {
  readonly phones: readonly Phone[];
  /** Those who neither send nor open: their money must stay as it is. */
  readonly idle: ReadonlySet<string>;
  readonly groups: Group[] = [];
  readonly history: History;
  readonly #options: CrowdOptions;
  readonly #random: Random;

  constructor(args: {
    readonly options: CrowdOptions;
    readonly doors: readonly { readonly port: number }[];
    readonly history: History;
    readonly random: Random;
  }) {
    const { options, doors, history, random } = args;
    this.#options = options;
    this.#random = random;
    this.history = history;
    this.phones = Array.from(
      { length: options.people },
      (_, index) =>
        new Phone({
          user: `客人-${index + 1}`,
          doors,
          random,
          onNoLine: (why) => history.doubt(`connect: ${why}`),
        }),
    );
    this.idle = new Set(
      this.phones.filter((_, at) => at % options.idleOneIn === 1).map(({ user }) => user),
    );
  }

  /** Everybody signs in, with welcome money, and is a member of his groups. */
  async gather(): Promise<void> {
    await atOnce(this.phones, async (phone) => {
      await phone.connect();
      this.history.people.push(phone.user);
    });
    const { groups, members } = this.#options;
    const plans = Array.from({ length: groups }, () => this.#pick(members));
    await atOnce(plans, (some) => this.#found(some));
  }

  newId(): string {
    return makeCommandId(Date.now(), this.#random.bytes(10));
  }

  close(): void {
    for (const phone of this.phones) phone.close();
  }

  /** Different people, in an order by chance. */
  #pick(count: number): Phone[] {
    const all = [...this.phones];
    const some: Phone[] = [];
    while (some.length < count && all.length > 0) {
      const at = this.#random.below(all.length);
      const last = all.pop();
      const one = all[at] ?? last;
      if (one === undefined || last === undefined) break;
      if (at < all.length) all[at] = last;
      some.push(one);
    }
    return some;
  }

  async #found(members: readonly Phone[]): Promise<void> {
    const [owner, ...others] = members;
    if (owner === undefined) throw new Error('a group has members');
    const clientId = this.newId();
    const made = await owner.need('group.create', { clientId, name: '红包群' });
    const groupId = String(made['groupId']);
    this.history.groups.push({ user: owner.user, clientId, groupId });
    const invite = await inviteOf(owner, groupId);
    await atOnce(others, async (phone) => void (await phone.need('group.join', { invite })), 4);
    this.groups.push({ groupId, members });
  }
}

/** The group comes to its Set by a courier: asked for until it is there. */
async function inviteOf(owner: Phone, groupId: string): Promise<string> {
  const endMs = performance.now() + ARRIVES_WITHIN_MS;
  for (;;) {
    const answer = await owner.askUntilFinal('group.invite', { groupId });
    if (answer.ok) return String(answer.d['invite']);
    if (performance.now() > endMs) throw new Error(`group.invite: ${answer.code}`);
    await pause(ARRIVES_LOOK_MS);
  }
}

/** Runs all of them, so many at a time; rejects with the first that fails. */
export async function atOnce<T>(
  all: Iterable<T>,
  run: (one: T) => Promise<void>,
  count = AT_ONCE,
): Promise<void> {
  const waiting = all[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      await run(next.value);
    }
  };
  await Promise.all(Array.from({ length: count }, work));
}
