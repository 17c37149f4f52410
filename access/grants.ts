import { DecodeError, Reader } from '../lib/core/bytes.ts';
import { readGrant } from '../lib/core/grant.ts';
import type { Id } from '../lib/core/ids.ts';
import { setOfId } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { Membership__Output } from '../proto/gen/hongbao/Membership.ts';
import type { Router } from '../router/api.ts';
import type { AccessLimits } from './limits.ts';
import type { GroupEntry, Person } from './people.ts';
import { groupTopic } from './sessions.ts';
import type { Topics } from './topics.ts';

/** What the event of a leaving may take from the group's Set to here. */
const LEFT_EVENT_MS = 500;

/** What is known of a person's membership now. */
export type Standing =
  | { readonly kind: 'member'; readonly entry: GroupEntry }
  | { readonly kind: 'stranger' }
  /** The group's Set does not answer; `entry` is what it last said, if anything. */
  | { readonly kind: 'unavailable'; readonly entry: GroupEntry | null };

/** Memberships and the grants in them (rulings 1, 18), asked of the groups' Sets. */
export class Grants {
  readonly #router: Router;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: AccessLimits;
  readonly #topics: Topics;
  /** One question at a time about one person in one group. */
  readonly #asking = new Map<string, Promise<Standing>>();

  constructor(args: {
    router: Router;
    clock: Clock;
    log: Log;
    limits: AccessLimits;
    topics: Topics;
  }) {
    this.#router = args.router;
    this.#clock = args.clock;
    this.#log = args.log;
    this.#limits = args.limits;
    this.#topics = args.topics;
  }

  /** A grant that may be sent as it is; asks for the next one in time. The hot path: no promise. */
  fresh(person: Person, groupId: Id): GroupEntry | null {
    const entry = person.groups.get(String(groupId));
    if (entry === undefined) return null;
    const ageMs = this.#clock.monotonicMs() - entry.loadedAtMs;
    if (ageMs >= this.#limits.grantUseMs) return null;
    if (ageMs >= this.#limits.grantRefreshMs) void this.ask(person, groupId);
    return entry;
  }

  /** Asks the group's Set, whatever is known. Never rejects. */
  ask(person: Person, groupId: Id, atLsn?: number): Promise<Standing> {
    const key = `${person.hash}/${groupId}`;
    const asking = this.#asking.get(key);
    // An answer that must show a write of ours is not the one that was asked for before it; and a no
    // may be older than this request: whoever was told that he is in meanwhile asks for himself.
    if (asking !== undefined && atLsn === undefined) {
      return asking.then((standing) => {
        if (standing.kind !== 'stranger') return standing;
        const newer = this.#asking.get(key);
        return newer === undefined || newer === asking ? this.#askAnew(person, groupId) : newer;
      });
    }
    return this.#askAnew(person, groupId, atLsn);
  }

  #askAnew(person: Person, groupId: Id, atLsn?: number): Promise<Standing> {
    const key = `${person.hash}/${groupId}`;
    const asked = this.#ask(person, groupId, atLsn).finally(() => {
      if (this.#asking.get(key) === asked) this.#asking.delete(key);
    });
    this.#asking.set(key, asked);
    return asked;
  }

  async #ask(person: Person, groupId: Id, atLsn?: number): Promise<Standing> {
    const unanswered = await this.load(person, [groupId], atLsn);
    const entry = person.groups.get(String(groupId)) ?? null;
    if (unanswered.length > 0) return { kind: 'unavailable', entry };
    return entry === null ? { kind: 'stranger' } : { kind: 'member', entry };
  }

  /** A grant that may be sent, asked for when there is none. */
  standing(person: Person, groupId: Id): Standing | Promise<Standing> {
    const entry = this.fresh(person, groupId);
    return entry === null ? this.ask(person, groupId) : { kind: 'member', entry };
  }

  /**
   * Brings memberships up to date, one question per Set, and subscribes the person's sockets to
   * those that hold. Interest is registered before the question, so that nothing falls between
   * the answer's last seq and the first pushed message (rulings 17).
   * @returns the groups whose Set did not answer
   */
  async load(person: Person, groupIds: readonly Id[], atLsn?: number): Promise<Id[]> {
    if (person.forgotten) return [...groupIds];
    for (const groupId of groupIds) this.#topics.enter(person, groupId);
    const bySet = Map.groupBy(groupIds, setOfId);
    const answers = [...bySet].map(([set, ids]) => this.#loadFrom({ person, set, ids, atLsn }));
    return (await Promise.all(answers)).flat();
  }

  async #loadFrom(args: {
    person: Person;
    set: SetId;
    ids: readonly Id[];
    atLsn: number | undefined;
  }): Promise<readonly Id[]> {
    const { person, set, ids, atLsn } = args;
    const membership = { user: person.user, groupIds: ids.map(String) };
    const at = atLsn === undefined ? {} : { atLsn };
    const ask = { ...at, membership };
    const { status, reply } = await this.#router.query(set, ask, { session: person.marks });
    if (person.forgotten) return ids;
    const list = status === 'ok' ? reply?.membership?.memberships : undefined;
    if (list === undefined) {
      for (const id of ids) if (!person.groups.has(String(id))) person.pending.set(String(id), id);
      return ids;
    }
    const byGroup = new Map(list.map((one) => [one.groupId, one]));
    const asOfLsn = Number(reply?.asOfLsn ?? 0);
    for (const id of ids) this.#apply(person, id, { asOfLsn, found: byGroup.get(String(id)) });
    return [];
  }

  #apply(
    person: Person,
    groupId: Id,
    { asOfLsn, found }: { asOfLsn: number; found: Membership__Output | undefined },
  ): void {
    const key = String(groupId);
    person.pending.delete(key);
    const entry = found === undefined ? null : this.#entryOf(groupId, found);
    if (entry === null) {
      // A no has no version: one that was said before the yes that is known takes nothing away.
      if (asOfLsn < (person.groups.get(key)?.grant.groupLsn ?? 0)) return;
      const until = person.expected.get(key);
      if (until !== undefined && until > this.#clock.monotonicMs()) return;
      this.drop(person, groupId);
      return;
    }
    const known = person.groups.get(key);
    const newest = Math.max(known?.version ?? 0, person.left.get(key) ?? 0);
    // The question overtook a later event: the event is the truth.
    if (entry.version < newest || person.left.get(key) === entry.version) return;
    person.expected.delete(key);
    person.groups.set(key, entry);
    const topic = this.#topics.enter(person, groupId);
    // The first to enter is told by the answer; those who are here already wait for the push.
    if (topic.people.size === 1 && known === undefined) {
      topic.toldSeq = Math.max(topic.toldSeq, entry.lastSeq);
    } else {
      this.#topics.heard(key, entry.lastSeq);
    }
    for (const session of person.sessions) session.subscribe(groupTopic(key));
  }

  /**
   * The person left with this member version. The person's other sockets hear of it by the group's
   * event, which ends the subscription; when it does not come, this does.
   */
  leaving(person: Person, groupId: Id, version: number): void {
    const key = String(groupId);
    // Said again under its id, it is the version of long ago.
    person.left.set(key, Math.max(version, person.left.get(key) ?? 0));
    this.#clock.after(LEFT_EVENT_MS, () => this.drop(person, groupId, version));
  }

  /** No member any more: no grant, no events. `version` is the member version of the leaving. */
  drop(person: Person, groupId: Id, version?: number): void {
    const key = String(groupId);
    if (version !== undefined) {
      // Joined again in the meantime.
      if ((person.groups.get(key)?.version ?? 0) > version) return;
      person.left.set(key, version);
    }
    person.groups.delete(key);
    person.pending.delete(key);
    person.expected.delete(key);
    this.#topics.exit(person, groupId);
    for (const session of person.sessions) session.unsubscribe(groupTopic(key));
  }

  #entryOf(groupId: Id, m: Membership__Output): GroupEntry | null {
    if (!m.member) return null;
    try {
      // A copy: a slice would keep the whole message of the Set in memory.
      const grantBytes = new Uint8Array(m.grant);
      const grant = readGrant(new Reader(grantBytes));
      if (grant === null) return null;
      return {
        groupId,
        name: m.name,
        role: grant.role,
        grant,
        grantBytes,
        loadedAtMs: this.#clock.monotonicMs(),
        version: Number(m.version),
        lastSeq: Number(m.lastSeq),
        readSeq: Number(m.readSeq),
        firstSeq: Number(m.firstSeq),
        unread: m.unread,
        memberCount: m.memberCount,
      };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#log.error('access.grant_unreadable', { groupId: String(groupId) });
      return null;
    }
  }
}
