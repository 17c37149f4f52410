import type { Id } from '../lib/core/ids.ts';
import { asId, parseCommandId } from '../lib/core/ids.ts';
import { timeMs } from '../lib/core/units.ts';
import { parseUserId } from '../lib/core/user.ts';
import type { Door, Handler } from './door.ts';
import { command, ownerOf, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import { inviteText, parseInvite } from './invites.ts';
import type { GroupEntry, Person } from './people.ts';
import { groupOf } from './render.ts';
import type { Output } from './schema.ts';

type Summary = Output<'group.list'>['groups'][number];

/** First pause between two looks at a group that is being founded; doubles. */
const FIRST_LOOK_MS = 5;

export const groupCreate: Handler<'group.create'> = async (door, person, input) => {
  const commandId = parseCommandId(input.clientId);
  if (commandId === null) return fail('bad_argument', { message: 'd.clientId: not a UUIDv7' });
  const proposed = await proposeId(door, person, input.clientId);
  if (proposed === null) return fail('set_unavailable');
  const { name, history } = input;
  const { user, home } = person;
  const done = await command(
    door,
    { set: home, person },
    {
      type: 'group.create',
      commandId,
      user,
      groupId: proposed,
      name,
      history,
    },
  );
  if (!done.ok) return done;
  // A retry is answered with the id of the first try.
  const { groupId } = done.success;
  const ready = await waitUntilMember(door, person, groupId);
  const status = ready ? 'ready' : 'arriving';
  return { ok: true, d: { groupId: String(groupId), status, mark: done.mark } };
};

/**
 * An id for a new thing on the Set that the ring names for (user, client id) (rulings 3, 4).
 * null: no Set takes new things just now.
 */
export async function proposeId(door: Door, person: Person, clientId: string): Promise<Id | null> {
  const set = door.router.place(`${person.hash}/${clientId}`);
  return set === null ? null : door.router.takeId(set);
}

export function groupEventKey(groupId: string): string {
  return `group/${groupId}`;
}

/** The group is journaled at home; its own Set founds it when the courier has been there. */
async function waitUntilMember(door: Door, person: Person, groupId: Id): Promise<boolean> {
  const key = String(groupId);
  const until = door.clock.monotonicMs() + door.limits.arriveWaitMs;
  // Also after we stop waiting here: the sweep subscribes the person when the group is there.
  person.expected.set(key, until + door.limits.arriveWaitMs * 20);
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs *= 2) {
    const standing = await door.grants.ask(person, groupId);
    if (standing.kind === 'member') return true;
    const restMs = until - door.clock.monotonicMs();
    if (restMs <= 0) return false;
    await door.waiters.wait(groupEventKey(key), Math.min(pauseMs, restMs));
  }
}

export const groupGet: Handler<'group.get'> = async (door, person, input) => {
  const groupId = asId(BigInt(input.groupId));
  const set = ownerOf(door, groupId);
  if (set === null) return fail('group_not_found');
  const group = { user: person.user, groupId: input.groupId };
  const found = await query(door, { set, name: 'group', ask: { group }, person });
  return found.ok ? { ok: true, d: groupOf(found.answer) } : found;
};

export const groupList: Handler<'group.list'> = async (door, person) => {
  const groups = await loadSummaries(door, person);
  return Array.isArray(groups) ? { ok: true, d: { groups } } : groups;
};

/**
 * The person's groups: the home Set's list is a hint, the groups' Sets say what is true (rulings
 * 18). A group whose Set is away is shown by its name alone and tried again later.
 */
export async function loadSummaries(door: Door, person: Person): Promise<Summary[] | Failure> {
  const { user, home } = person;
  const ask = { groupHints: { user } };
  const found = await query(door, { set: home, name: 'groupHints', ask, person });
  if (!found.ok) return found;
  const names = new Map<string, string>();
  for (const hint of found.answer.hints) if (hint.present) names.set(hint.groupId, hint.name);
  // The list may be behind: memberships that their Set has confirmed count too.
  for (const [key, entry] of person.groups) if (!names.has(key)) names.set(key, entry.name);
  const away = await door.grants.load(
    person,
    [...names.keys()].map((key) => asId(BigInt(key))),
  );
  const awayKeys = new Set(away.map(String));
  const summaries: Summary[] = [];
  for (const [key, name] of names) {
    const entry = person.groups.get(key);
    if (entry !== undefined) summaries.push(summaryOf(door, entry));
    else if (awayKeys.has(key)) summaries.push(awaySummary(key, name));
  }
  return summaries;
}

function summaryOf(door: Door, entry: GroupEntry): Summary {
  const groupId = String(entry.groupId);
  return {
    groupId,
    name: entry.name,
    role: entry.role,
    // What was pushed between the Set's answer and our subscription: the client asks for it.
    lastSeq: Math.max(entry.lastSeq, door.topics.get(groupId)?.toldSeq ?? 0),
    readSeq: entry.readSeq,
    firstSeq: entry.firstSeq,
    unread: entry.unread,
    memberCount: entry.memberCount,
  };
}

function awaySummary(groupId: string, name: string): Summary {
  const none = { lastSeq: 0, readSeq: 0, firstSeq: 0, unread: 0, memberCount: 0 };
  return { groupId, name, role: 'member', ...none };
}

export const groupInvite: Handler<'group.invite'> = async (door, person, input) => {
  const groupId = asId(BigInt(input.groupId));
  const set = ownerOf(door, groupId);
  if (set === null) return fail('group_not_found');
  const { groupId: id, lifetimeMs } = input;
  const ask = { invite: { user: person.user, groupId: id, lifetimeMs } };
  const found = await query(door, { set, name: 'invite', ask, person });
  if (!found.ok) return found;
  const inviter = parseUserId(found.answer.inviter);
  if (inviter === null) return fail('internal');
  const expiresAt = timeMs(Number(found.answer.expiresAt));
  const invite = inviteText({ groupId, inviter, expiresAt, mac: found.answer.mac });
  return { ok: true, d: { invite, expiresAt } };
};

export const groupJoin: Handler<'group.join'> = async (door, person, input) => {
  const invite = parseInvite(input.invite);
  if (invite === null) return fail('invite_invalid');
  const { groupId } = invite;
  const set = ownerOf(door, groupId);
  if (set === null) return fail('invite_invalid');
  const done = await command(
    door,
    { set, person },
    { type: 'group.join', user: person.user, invite },
  );
  if (!done.ok) return done;
  const standing = await door.grants.ask(person, groupId, done.lsn);
  // Joined for certain, but not to be shown: joining again answers the same.
  if (standing.kind !== 'member') return fail('unknown');
  return { ok: true, d: { group: summaryOf(door, standing.entry), mark: done.mark } };
};

export const groupLeave: Handler<'group.leave'> = async (door, person, input) => {
  const groupId = asId(BigInt(input.groupId));
  const set = ownerOf(door, groupId);
  if (set === null) return fail('group_not_found');
  const commandId = input.clientId === undefined ? null : parseCommandId(input.clientId);
  if (commandId === null && input.clientId !== undefined) {
    return fail('bad_argument', { message: 'd.clientId: not a UUIDv7' });
  }
  const leave = { type: 'group.leave', user: person.user, groupId } as const;
  let done = await command(door, { set, person }, { ...leave, commandId });
  // A Set at rules 1 cannot read the id: there, as without one, a repeat is `not_a_member` (ADR 7).
  if (!done.ok && done.code === 'malformed' && commandId !== null) {
    done = await command(door, { set, person }, { ...leave, commandId: null });
  }
  if (!done.ok) return done;
  door.grants.leaving(person, groupId, done.success.version);
  return { ok: true, d: { mark: done.mark } };
};
