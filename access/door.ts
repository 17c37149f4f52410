import { checkShape } from '../lib/core/command.ts';
import type { Command } from '../lib/core/command.ts';
import type { Id } from '../lib/core/ids.ts';
import { setOfId } from '../lib/core/ids.ts';
import { succeeded } from '../lib/core/outcome.ts';
import type { Success } from '../lib/core/outcome.ts';
import type { Cents, SetId } from '../lib/core/units.ts';
import { epoch as epochOf, lsn } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { PaymentGateway } from '../lib/port/payment-gateway.ts';
import type { Random } from '../lib/port/random.ts';
import type { QueryReply__Output } from '../proto/gen/hongbao/QueryReply.ts';
import type { Ask, CommandAnswer, Router } from '../router/api.ts';
import { markText } from '../router/api.ts';
import type { CursorMoves } from './cursor-moves.ts';
import type { Failure } from './errors.ts';
import { fail, failOf } from './errors.ts';
import type { Gate } from './grab.ts';
import type { Grants } from './grants.ts';
import type { AccessLimits } from './limits.ts';
import type { PacketMemo } from './packet-memo.ts';
import type { People, Person } from './people.ts';
import type { Input, OpName, Output } from './schema.ts';
import type { Tokens } from './tokens.ts';
import type { Topics } from './topics.ts';
import type { Waiters } from './waiters.ts';

/** All that the ops work with. Built in assembly.ts; nothing here knows uWebSockets.js. */
export type Door = {
  readonly router: Router;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: AccessLimits;
  readonly tokens: Tokens;
  /** Demo money of a new user; 0: none is given and no wallet is opened at hello. */
  readonly demoCents: Cents;
  /** null: money neither enters nor leaves. */
  readonly gateway: PaymentGateway | null;
  readonly people: People;
  readonly topics: Topics;
  readonly grants: Grants;
  readonly packets: PacketMemo;
  readonly gate: Gate;
  readonly moves: CursorMoves;
  readonly waiters: Waiters;
  /** The newest epoch heard of each Set, for marks of reads. */
  readonly epochs: Map<SetId, number>;
};

export type Reply<Op extends OpName> = { readonly ok: true; readonly d: Output<Op> } | Failure;

/** Answers one request of a person; never before the Set has (W=2 stands behind every success). */
export type Handler<Op extends OpName> = (
  door: Door,
  person: Person,
  input: Input<Op>,
) => Promise<Reply<Op>>;

/** The Set that the id names; null when there is none with that number, so that nothing has the id. */
export function ownerOf(door: Door, id: Id): SetId | null {
  const set = setOfId(id);
  return door.router.sets().includes(set) ? set : null;
}

type CommandOf<Type extends Command['type']> = Extract<Command, { type: Type }>;
type SuccessOf<Type extends Command['type']> = Extract<Success, { type: Type }>;

/**
 * Checks the command's shape here, so that bad input costs no hop, and sends it.
 * @returns the success with its mark, or the refusal in the words of the wire
 */
export async function command<Type extends Command['type']>(
  door: Door,
  to: { readonly set: SetId; readonly person: Person },
  c: CommandOf<Type>,
): Promise<Done<Type> | Failure> {
  const shape = checkShape(c);
  if (shape !== null) return failOf(shape);
  const { set, person } = to;
  return doneOf(door, c.type, await door.router.command(set, c, { session: person.marks }));
}

export type Done<Type extends Command['type']> = {
  readonly ok: true;
  readonly already: boolean;
  readonly success: SuccessOf<Type>;
  readonly mark: string;
  readonly lsn: number;
};

/** Reads a Set's answer to a command of this type. */
export function doneOf<Type extends Command['type']>(
  door: Door,
  type: Type,
  { outcome, mark }: CommandAnswer,
): Done<Type> | Failure {
  if (!succeeded(outcome)) return failOf(outcome.status);
  if (mark.epoch > (door.epochs.get(mark.setId) ?? 0)) door.epochs.set(mark.setId, mark.epoch);
  if (!isOfType(outcome, type)) {
    door.log.error('access.wrong_outcome', { asked: type, got: outcome.type });
    return fail('internal');
  }
  return {
    ok: true,
    already: outcome.status === 'already_opened',
    success: outcome,
    mark: markText(mark),
    lsn: mark.lsn,
  };
}

function isOfType<Type extends Command['type'], Out extends Success>(
  outcome: Out,
  type: Type,
): outcome is Out & SuccessOf<Type> {
  return outcome.type === type;
}

export type AnswerName = NonNullable<QueryReply__Output['answer']>;

export type Found<Name extends AnswerName> = {
  readonly ok: true;
  readonly answer: NonNullable<QueryReply__Output[Name]>;
  readonly asOfLsn: number;
  readonly mark: string;
};

/** Asks a Set for the answer of this name; a refusal comes in the words of the wire. */
export async function query<Name extends AnswerName>(
  door: Door,
  args: {
    set: SetId;
    name: Name;
    ask: Ask;
    deadlineMs?: number;
    /** Who is shown the answer; null: nobody, it is for this node. */
    person: Person | null;
  },
): Promise<Found<Name> | Failure> {
  const { set, name, ask, deadlineMs, person } = args;
  const { status, reply } = await door.router.query(set, ask, {
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(person === null ? {} : { session: person.marks }),
  });
  if (status !== 'ok') return failOf(status);
  const answer = reply?.[name];
  if (reply === null || answer === undefined || answer === null) {
    door.log.error('access.wrong_answer', { asked: name });
    return fail('internal');
  }
  const asOfLsn = Number(reply.asOfLsn);
  return { ok: true, answer, asOfLsn, mark: readMark(door, set, asOfLsn) };
}

function readMark(door: Door, setId: SetId, asOfLsn: number): string {
  const epoch = epochOf(door.epochs.get(setId) ?? 0);
  return markText({ setId, epoch, lsn: lsn(asOfLsn) });
}
