import type { Grant, Role } from '../lib/core/grant.ts';
import type { Id } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import { userHash } from '../lib/core/user.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Router } from '../router/api.ts';
import { SessionMarks } from '../router/session-marks.ts';
import { Bucket } from './admission.ts';
import type { AccessLimits } from './limits.ts';
import { Recent } from './recent.ts';
import type { Session } from './sessions.ts';
import type { Topics } from './topics.ts';

/** A membership as the group's Set told it, and the grant that proves it to other Sets. */
export type GroupEntry = {
  readonly groupId: Id;
  readonly name: string;
  readonly role: Role;
  readonly grant: Grant;
  /** The same as bytes, for queries. */
  readonly grantBytes: Uint8Array;
  /** Monotonic time of the answer, ms. */
  readonly loadedAtMs: number;
  readonly version: number;
  readonly lastSeq: number;
  readonly readSeq: number;
  readonly firstSeq: number;
  readonly unread: number;
  readonly memberCount: number;
};

/** One user on this node, however many sockets. */
export class Person {
  readonly user: UserId;
  readonly hash: string;
  readonly home: SetId;
  readonly bucket: Bucket;
  readonly sessions = new Set<Session>();
  /** What the sockets here were shown of each Set (rulings 16); anew with every hello. */
  marks = new SessionMarks();
  /** Memberships by group id; the person's sockets are subscribed to exactly these. */
  readonly groups = new Map<string, GroupEntry>();
  /** Groups of the person's list whose Set has not answered yet; tried again. */
  readonly pending = new Map<string, Id>();
  /** Groups just founded: not being a member of them yet is no answer before this time, ms. */
  readonly expected = new Map<string, number>();
  /** Member version at which the person left, so that an older answer does not bring it back. */
  readonly left = new Recent<number>(64);
  /** Packets whose money has reached the wallet. */
  readonly settled = new Recent<true>(256);
  readonly opened = new Recent<true>(256);
  /** Packets in whose line the person stands. */
  readonly inLine = new Recent<true>(64);
  idleSinceMs = 0;
  /** No longer known here: answers that are still under way must not bring it back. */
  forgotten = false;

  constructor(args: { user: UserId; home: SetId; bucket: Bucket; nowMs: number }) {
    this.user = args.user;
    this.hash = userHash(args.user);
    this.home = args.home;
    this.bucket = args.bucket;
    this.idleSinceMs = args.nowMs;
  }
}

/** Everybody who has, or just had, a socket on this node. */
export class People {
  readonly #router: Router;
  readonly #clock: Clock;
  readonly #limits: AccessLimits;
  readonly #topics: Topics;
  readonly #byUser = new Map<UserId, Person>();

  constructor(args: { router: Router; clock: Clock; limits: AccessLimits; topics: Topics }) {
    this.#router = args.router;
    this.#clock = args.clock;
    this.#limits = args.limits;
    this.#topics = args.topics;
  }

  get size(): number {
    return this.#byUser.size;
  }

  find(user: string): Person | undefined {
    return this.#byUser.get(user as UserId);
  }

  all(): IterableIterator<Person> {
    return this.#byUser.values();
  }

  /** The person, made and watched for when it was not here. */
  enter(user: UserId): Person {
    const known = this.#byUser.get(user);
    if (known !== undefined) return known;
    const nowMs = this.#clock.monotonicMs();
    const { requestsPerSecond: perSecond, requestsBurst: burst } = this.#limits;
    const bucket = new Bucket({ perSecond, burst, nowMs });
    const person = new Person({ user, home: this.#router.homeOf(user), bucket, nowMs });
    this.#byUser.set(user, person);
    this.#router.watchUser(user);
    return person;
  }

  /** Forgets those who have been without a socket for `lingerMs`. */
  sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const person of this.#byUser.values()) {
      if (person.sessions.size > 0 || nowMs - person.idleSinceMs < this.#limits.lingerMs) continue;
      this.#byUser.delete(person.user);
      person.forgotten = true;
      this.#router.unwatchUser(person.user);
      this.#topics.exitAll(person);
    }
  }
}
