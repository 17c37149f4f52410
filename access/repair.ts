import type { Id } from '../lib/core/ids.ts';
import { setOfId } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Timer } from '../lib/port/clock.ts';
import type { Message__Output } from '../proto/gen/hongbao/Message.ts';
import type { Door } from './door.ts';
import { history } from './ops-message.ts';
import { lastSeqs } from './ops-session.ts';
import type { Person } from './people.ts';

/** A push that is on its way has this long to arrive. */
const VERIFY_AFTER_MS = 500;
/** People whose memberships are asked for at a time after a gap, so that it is no stampede. */
const PEOPLE_AT_ONCE = 64;
const SWEEP_MS = 2_000;

/**
 * No last message is lost (rulings 17): when events may be missing, the groups' last seqs are asked
 * for, and of a group that has more the newest message is pushed. Clients see the hole and pull.
 */
export class Repair {
  readonly #door: Door;
  readonly #push: (message: Message__Output) => void;
  readonly #toVerify = new Map<string, Id>();
  readonly #sweeper: Timer;
  #verifying: Timer | null = null;
  #sweeping = false;
  #stopped = false;

  constructor(args: { door: Door; push: (message: Message__Output) => void }) {
    this.#door = args.door;
    this.#push = args.push;
    this.#sweeper = args.door.clock.every(SWEEP_MS, () => void this.#sweep());
  }

  stop(): void {
    this.#stopped = true;
    this.#sweeper.cancel();
    this.#verifying?.cancel();
  }

  /** The last messages of this group may not have been pushed: looks soon, if they do not come. */
  verify(groupId: Id): void {
    if (this.#stopped) return;
    this.#toVerify.set(String(groupId), groupId);
    this.#verifying ??= this.#door.clock.after(VERIFY_AFTER_MS, () => {
      this.#verifying = null;
      const groupIds = [...this.#toVerify.values()];
      this.#toVerify.clear();
      void this.#check(groupIds);
    });
  }

  /** Events of this Set may be missing: messages, and people who joined or left. */
  gap(set: SetId): void {
    if (this.#stopped) return;
    const topics = this.#door.topics.ofSet(set);
    void this.#check(topics.map((topic) => topic.groupId));
    const people = new Set(topics.flatMap((topic) => [...topic.people]));
    void this.#reload([...people], set);
  }

  async #check(groupIds: readonly Id[]): Promise<void> {
    for (const [groupId, seq] of await lastSeqs(this.#door, { groupIds, person: null })) {
      const topic = this.#door.topics.get(groupId);
      if (topic === undefined || topic.toldSeq >= seq) continue;
      const reader = [...topic.people].find((person) => person.groups.has(groupId));
      if (reader === undefined) continue;
      const newest = { fromSeq: seq, toSeq: seq, limit: 1, reverse: true };
      const found = await history(this.#door, reader, { groupId: topic.groupId, ...newest });
      const message = found.ok ? found.answer.messages[0] : undefined;
      if (!found.ok || message === undefined) continue;
      topic.marks.note(setOfId(topic.groupId), found.asOfLsn);
      this.#push(message);
    }
  }

  async #reload(people: readonly Person[], set: SetId): Promise<void> {
    for (let at = 0; at < people.length; at += PEOPLE_AT_ONCE) {
      const some = people.slice(at, at + PEOPLE_AT_ONCE);
      await Promise.all(some.map((person) => this.#reloadOne(person, set)));
    }
  }

  async #reloadOne(person: Person, set: SetId): Promise<void> {
    // Who went in the meantime is not brought back.
    if (this.#door.people.find(person.user) !== person) return;
    const ids = [...person.groups.values()].map(({ groupId }) => groupId);
    await this.#door.grants.load(
      person,
      ids.filter((id) => setOfId(id) === set),
    );
  }

  /** Forgets people who are gone, and asks again about groups whose Set did not answer. */
  async #sweep(): Promise<void> {
    const { people, grants, topics, clock } = this.#door;
    people.sweep();
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      const nowMs = clock.monotonicMs();
      const waiting = [...people.all()].filter((one) => one.pending.size + one.expected.size > 0);
      for (const person of waiting.slice(0, PEOPLE_AT_ONCE)) {
        const ids = [...person.pending.values()];
        for (const [key, untilMs] of person.expected) {
          if (untilMs < nowMs) person.expected.delete(key);
          const topic = topics.get(key);
          if (topic !== undefined) ids.push(topic.groupId);
        }
        await grants.load(person, ids);
      }
    } finally {
      this.#sweeping = false;
    }
  }
}
