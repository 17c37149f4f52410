import { toHex } from '../lib/core/bytes.ts';
import type { Id } from '../lib/core/ids.ts';
import { asId, setOfId } from '../lib/core/ids.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Message__Output } from '../proto/gen/hongbao/Message.ts';
import { SessionMarks } from '../router/session-marks.ts';
import type { Door, Handler, Reply } from './door.ts';
import { command, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import { loadSummaries } from './ops-group.ts';
import { history, messageBytes } from './ops-message.ts';
import type { Person } from './people.ts';
import { messageOf } from './render.ts';
import type { Input, Output } from './schema.ts';
import type { Session } from './sessions.ts';

/** How often a client pings; the server closes a socket that is silent for three times this. */
export const HEARTBEAT_MS = 20_000;

const SESSION_ID_BYTES = 16;

/** The first request of a socket. The session is live when this succeeds. */
export async function hello(
  door: Door,
  session: Session,
  input: Input<'hello'>,
): Promise<Reply<'hello'>> {
  const token = door.tokens.verify(input.token, door.clock.now());
  if (!token.ok) return fail(token.code);
  const person = door.people.enter(token.user);
  if (person.sessions.size >= door.limits.socketsPerUserMax) return fail('too_many_sockets');
  session.greet(person);
  const welcome = await greet(door, person, input.resume ?? {});
  if (!welcome.ok) {
    session.backToConnecting(door.clock, door.limits);
    return welcome;
  }
  session.goLive(token.expiresAt);
  return welcome;
}

async function greet(
  door: Door,
  person: Person,
  resume: Readonly<Record<string, number>>,
): Promise<Reply<'hello'>> {
  // The client may come from another node, and have been shown more there than is known here.
  person.marks = new SessionMarks();
  if (door.demoCents > 0) {
    const { user, home } = person;
    const { demoCents: welcomeCents } = door;
    const opened = await command(
      door,
      { set: home, person },
      { type: 'wallet.open', user, welcomeCents },
    );
    if (!opened.ok) return opened;
  }
  const groups = await loadSummaries(door, person);
  if (!Array.isArray(groups)) return groups;
  const { missed, recovered } = await missedMessages(door, person, { groups, resume });
  return {
    ok: true,
    d: {
      userId: person.user,
      sessionId: toHex(door.random.bytes(SESSION_ID_BYTES)),
      heartbeatMs: HEARTBEAT_MS,
      serverAt: door.clock.now(),
      groups,
      recovered,
      missed: missed.map(messageOf),
    },
  };
}

type Missed = { readonly missed: readonly Message__Output[]; readonly recovered: boolean };

/**
 * The messages after the client's marks, group by group whole or not at all. `recovered` is false
 * when a group was left out: too many, too large, its Set away, or a mark ahead of the group.
 */
async function missedMessages(
  door: Door,
  person: Person,
  args: {
    groups: Output<'hello'>['groups'];
    resume: Readonly<Record<string, number>>;
  },
): Promise<Missed> {
  const { resumePerGroupMax, resumeMax, pageBytesMax } = door.limits;
  const asked: Promise<readonly Message__Output[] | null>[] = [];
  let total = 0;
  let recovered = true;
  for (const { groupId, lastSeq } of args.groups) {
    const mark = args.resume[groupId];
    if (mark === undefined || mark === lastSeq) continue;
    const count = lastSeq - mark;
    if (count < 0 || count > resumePerGroupMax || total + count > resumeMax) {
      recovered = false;
      continue;
    }
    total += count;
    asked.push(fill(door, person, { groupId: asId(BigInt(groupId)), mark, lastSeq }));
  }
  const missed: Message__Output[] = [];
  let bytes = 0;
  for (const messages of await Promise.all(asked)) {
    const size = (messages ?? []).reduce((sum, { body }) => sum + messageBytes(body), 0);
    if (messages === null || bytes + size > pageBytesMax) {
      recovered = false;
      continue;
    }
    bytes += size;
    missed.push(...messages);
  }
  return { missed, recovered };
}

/** The messages after `mark` up to `lastSeq`, or null when they could not all be had. */
async function fill(
  door: Door,
  person: Person,
  args: { groupId: Id; mark: number; lastSeq: number },
): Promise<readonly Message__Output[] | null> {
  const { groupId, mark, lastSeq } = args;
  // From the first message that this member may read: the time before is not missing.
  const firstSeq = person.groups.get(String(groupId))?.firstSeq ?? 1;
  const fromSeq = Math.max(mark + 1, firstSeq);
  const count = lastSeq - fromSeq + 1;
  if (count <= 0) return [];
  const range = { groupId, fromSeq, toSeq: lastSeq, limit: count, reverse: false };
  const found = await history(door, person, range);
  if (!found.ok) return null;
  return found.answer.messages.length === count ? found.answer.messages : null;
}

/** A heartbeat with a digest: finds the last message that was lost with nothing after it. */
export const ping: Handler<'ping'> = async (door, person, input) => {
  const seen = input.seen ?? {};
  const mine = Object.keys(seen).filter((groupId) => person.groups.has(groupId));
  const groupIds = mine.map((groupId) => asId(BigInt(groupId)));
  const last = await lastSeqs(door, { groupIds, person });
  const behind: Record<string, number> = {};
  for (const [groupId, seq] of last) {
    door.topics.heard(groupId, seq);
    if (seq > (seen[groupId] ?? 0)) behind[groupId] = seq;
  }
  return { ok: true, d: { at: door.clock.now(), behind } };
};

/** Last seqs by group id; groups whose Set does not answer are left out. */
export async function lastSeqs(
  door: Door,
  { groupIds, person }: { groupIds: readonly Id[]; person: Person | null },
): Promise<Map<string, number>> {
  const bySet = Map.groupBy(groupIds, setOfId);
  const ask = async ([set, ids]: [SetId, Id[]]): Promise<[string, number][]> => {
    const found = await query(door, {
      set,
      name: 'lastSeqs',
      ask: { lastSeqs: { groupIds: ids.map(String) } },
      person,
    });
    return found.ok ? found.answer.last.map(({ groupId, seq }) => [groupId, Number(seq)]) : [];
  };
  return new Map((await Promise.all([...bySet].map(ask))).flat());
}

/** Refusals of hello after which the socket is of no use. */
export function closesSocket(failure: Failure): 'token' | 'tooManySockets' | null {
  switch (failure.code) {
    case 'token_invalid':
    case 'token_expired':
      return 'token';
    case 'too_many_sockets':
      return 'tooManySockets';
    default:
      return null;
  }
}
