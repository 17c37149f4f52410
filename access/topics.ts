import type { Id } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import { setOfId } from '../lib/core/ids.ts';
import type { Router } from '../router/api.ts';
import { SessionMarks } from '../router/session-marks.ts';
import type { Person } from './people.ts';

/** A group that somebody here is, or may be, a member of. */
export type Topic = {
  readonly groupId: Id;
  readonly people: Set<Person>;
  /** The highest seq that the sockets here know of: told at their hello, or pushed. */
  toldSeq: number;
  /** What of each Set was pushed to the sockets here. */
  readonly marks: SessionMarks;
};

/** Interest of this node in groups: registered for the first person, given up after the last. */
export class Topics {
  readonly #router: Router;
  readonly #verify: (groupId: Id) => void;
  readonly #byGroup = new Map<string, Topic>();

  /** `verify` is told of every group whose pushed messages may have a hole at the end. */
  constructor(router: Router, verify: (groupId: Id) => void) {
    this.#router = router;
    this.#verify = verify;
  }

  get(groupId: string): Topic | undefined {
    return this.#byGroup.get(groupId);
  }

  ofSet(set: SetId): Topic[] {
    return [...this.#byGroup.values()].filter((topic) => setOfId(topic.groupId) === set);
  }

  enter(person: Person, groupId: Id): Topic {
    const key = String(groupId);
    let topic = this.#byGroup.get(key);
    if (topic === undefined) {
      topic = { groupId, people: new Set(), toldSeq: 0, marks: new SessionMarks() };
      this.#byGroup.set(key, topic);
      this.#router.watchGroup(groupId);
      // What was said before the Set knew of our interest was not pushed.
      this.#verify(groupId);
    }
    topic.people.add(person);
    return topic;
  }

  /** The group's Set says that this is its last seq. The push may still be on its way. */
  heard(groupId: string, lastSeq: number): void {
    const topic = this.#byGroup.get(groupId);
    if (topic !== undefined && lastSeq > topic.toldSeq) this.#verify(topic.groupId);
  }

  exit(person: Person, groupId: Id): void {
    const key = String(groupId);
    const topic = this.#byGroup.get(key);
    if (topic === undefined || !topic.people.delete(person) || topic.people.size > 0) return;
    this.#byGroup.delete(key);
    this.#router.unwatchGroup(groupId);
  }

  exitAll(person: Person): void {
    for (const entry of person.groups.values()) this.exit(person, entry.groupId);
    for (const groupId of person.pending.values()) this.exit(person, groupId);
    for (const key of person.expected.keys()) {
      const topic = this.#byGroup.get(key);
      if (topic !== undefined) this.exit(person, topic.groupId);
    }
  }
}
