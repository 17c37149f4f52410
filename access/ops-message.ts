import type { Id } from '../lib/core/ids.ts';
import { asId, parseCommandId } from '../lib/core/ids.ts';
import type { Message__Output } from '../proto/gen/hongbao/Message.ts';
import type { Door, Found, Handler } from './door.ts';
import { command, doneOf, ownerOf, query } from './door.ts';
import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import type { Person } from './people.ts';
import { messageOf } from './render.ts';

/** To the last message, whatever its seq. */
const OPEN_END = Number.MAX_SAFE_INTEGER;
/** A message's frame without its body, bytes. */
const MESSAGE_FRAME_BYTES = 200;

export const messageSend: Handler<'message.send'> = async (door, person, input) => {
  const commandId = parseCommandId(input.clientMsgId);
  if (commandId === null) return fail('bad_argument', { message: 'd.clientMsgId: not a UUIDv7' });
  const groupId = asId(BigInt(input.groupId));
  const { kind, body, seenSeq } = input;
  const { user } = person;
  const set = ownerOf(door, groupId);
  if (set === null) return fail('group_not_found');
  const done = await command(
    door,
    { set, person },
    {
      type: 'message.send',
      commandId,
      user,
      groupId,
      kind,
      body,
      seenSeq,
    },
  );
  if (!done.ok) return done;
  return { ok: true, d: { seq: done.success.seq, at: done.success.at, mark: done.mark } };
};

export const messageHistory: Handler<'message.history'> = async (door, person, input) => {
  const { fromSeq, limit, reverse } = input;
  const toSeq = input.toSeq ?? OPEN_END;
  const groupId = asId(BigInt(input.groupId));
  const found = await history(door, person, { groupId, fromSeq, toSeq, limit, reverse });
  if (!found.ok) return found;
  const messages = cutPage(found.answer.messages, { reverse, bytesMax: door.limits.pageBytesMax });
  // A page of old messages may come from tables that do not know the newest yet.
  const toldSeq = door.topics.get(input.groupId)?.toldSeq ?? 0;
  const lastSeq = Math.max(Number(found.answer.lastSeq), toldSeq);
  return { ok: true, d: { messages: messages.map(messageOf), lastSeq, asOfLsn: found.asOfLsn } };
};

export type Range = {
  readonly groupId: Id;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly limit: number;
  readonly reverse: boolean;
};

/** Messages of a group as this person may read them. */
export async function history(
  door: Door,
  person: Person,
  { groupId, ...range }: Range,
): Promise<Found<'history'> | Failure> {
  const set = ownerOf(door, groupId);
  if (set === null) return fail('group_not_found');
  const key = String(groupId);
  // A range that ends is answered whole or not at all; one to the end shows all that was pushed.
  const marks = range.toSeq === OPEN_END ? door.topics.get(key)?.marks : undefined;
  const history = { user: person.user, groupId: key, ...range };
  const ask = { history, atLsn: marks?.at(set) ?? 0 };
  return query(door, { set, name: 'history', ask, person });
}

/**
 * As many messages as fit one answer, at least one: the oldest, or with `reverse` the newest.
 * Whoever asks for a range and gets less asks for the rest.
 */
export function cutPage(
  messages: readonly Message__Output[],
  args: { reverse: boolean; bytesMax: number },
): readonly Message__Output[] {
  const { reverse, bytesMax } = args;
  const count = messages.length;
  let bytes = 0;
  for (let taken = 0; taken < count; taken++) {
    const message = messages[reverse ? count - 1 - taken : taken];
    bytes += messageBytes(message?.body ?? '');
    if (bytes > bytesMax && taken > 0) {
      return reverse ? messages.slice(count - taken) : messages.slice(0, taken);
    }
  }
  return messages;
}

export function messageBytes(body: string): number {
  return MESSAGE_FRAME_BYTES + Buffer.byteLength(body);
}

export const messageRead: Handler<'message.read'> = async (door, person, input) => {
  const groupId = asId(BigInt(input.groupId));
  if (ownerOf(door, groupId) === null) return fail('group_not_found');
  const answer = await door.moves.move(person, groupId, input.seq);
  const done = doneOf(door, 'message.read', answer);
  if (!done.ok) return done;
  return { ok: true, d: { readSeq: done.success.seq, unread: done.success.unread } };
};
