import { DecodeError } from '../lib/core/bytes.ts';
import type { TaggedReply } from '../lib/core/batch.ts';
import { decodeReplies, encodeCommands } from '../lib/core/batch.ts';
import type { Command } from '../lib/core/command.ts';
import { encodeCommand } from '../lib/core/command.ts';
import { decodeOutcome, refuse } from '../lib/core/outcome.ts';
import type { Status } from '../lib/core/status.ts';
import { STATUSES, statusCode } from '../lib/core/status.ts';
import type { SetId } from '../lib/core/units.ts';
import type { SetNodeClient } from '../lib/runtime/stream.ts';
import type { CommandBatch } from '../proto/gen/hongbao/CommandBatch.ts';
import type { CommandReplyBatch__Output } from '../proto/gen/hongbao/CommandReplyBatch.ts';
import type { QueryBatch } from '../proto/gen/hongbao/QueryBatch.ts';
import type { QueryReply__Output } from '../proto/gen/hongbao/QueryReply.ts';
import type { QueryReplyBatch__Output } from '../proto/gen/hongbao/QueryReplyBatch.ts';
import type { Ask, CommandAnswer, EncodedCommand, QueryAnswer } from './api.ts';
import type { Wire } from './channel.ts';
import type { Standing } from './nodes.ts';
import { wireNumber } from './wire-number.ts';

export function commandRequest(command: Command | EncodedCommand): EncodedCommand {
  return 'bytes' in command ? command : { type: command.type, bytes: encodeCommand(command) };
}

/** What the two channels of a Set know of it; the newest batch wins. */
export type SetFacts = { epoch: number; queueWaitUs: number };

type WireArgs = {
  readonly set: SetId;
  /** The client of a node of the Set. */
  readonly line: (slot: number) => SetNodeClient;
  readonly topologyVersion: () => number;
  readonly facts: SetFacts;
};

export type CommandWire = Wire<
  EncodedCommand,
  CommandBatch,
  CommandReplyBatch__Output,
  TaggedReply,
  CommandAnswer
>;

/** Bytes of a batch besides the commands: a tag and a length each. */
const ITEM_OVERHEAD_BYTES = 8;

export function commandWire(args: WireArgs): CommandWire {
  const { set, facts } = args;
  return {
    open: (listener, slot) => args.line(slot).commands(listener),
    standing: standingOf,
    isRefusal: ({ outcome }) => isUnavailable(outcome),
    pack: (items) => ({
      topologyVersion: args.topologyVersion(),
      body: encodeCommands(items.map(({ tag, request }) => ({ tag, command: request.bytes }))),
    }),
    unpack: (batch) => {
      demandSet(batch.setId, set);
      const epoch = wireNumber(batch.epoch);
      if (epoch > 0) facts.epoch = epoch;
      facts.queueWaitUs = batch.queueWaitUs;
      return decodeReplies(batch.body);
    },
    answer: ({ request, doubtful, reply }) => {
      const outcome = decodeOutcome(request.type, reply.outcome);
      // 16b: the copy that was refused is not the only one; the first may be sealed.
      const lies = outcome.status === 'set_unavailable' || outcome.status === 'overloaded';
      return {
        outcome: doubtful && lies ? refuse(request.type, 'unknown') : outcome,
        mark: { setId: set, epoch: facts.epoch, lsn: reply.lsn },
      };
    },
    sizeOf: (request) => request.bytes.length + ITEM_OVERHEAD_BYTES,
    fail: (request, failure) => ({
      outcome: refuse(request.type, failure),
      mark: { setId: set, epoch: facts.epoch, lsn: 0 },
    }),
  };
}

/** A no shows something of the Set as well: a session must not hear yes from older tables next. */
export type LineAnswer = QueryAnswer & { readonly asOfLsn: number };

export type QueryWire = Wire<
  Ask,
  QueryBatch,
  QueryReplyBatch__Output,
  QueryReply__Output,
  LineAnswer
>;

export function queryWire(args: WireArgs): QueryWire {
  return {
    open: (listener, slot) => args.line(slot).queries(listener),
    standing: standingOf,
    isRefusal: ({ status }) => status === 'set_unavailable',
    pack: (items) => ({
      topologyVersion: args.topologyVersion(),
      queries: items.map(({ tag, request }) => ({ ...request, tag })),
    }),
    unpack: (batch) => {
      demandSet(batch.setId, args.set);
      return batch.replies;
    },
    answer: ({ reply }) => {
      const status = statusOf(reply.status);
      const asOfLsn = wireNumber(reply.asOfLsn);
      return { status, reply: status === 'ok' ? reply : null, asOfLsn };
    },
    sizeOf: askBytes,
    // A read changes nothing, so there is no doubt about it: it was not answered, that is all.
    fail: (_, failure) => ({
      status: failure === 'overloaded' ? failure : 'set_unavailable',
      reply: null,
      asOfLsn: 0,
    }),
  };
}

export function standingOf(batch: {
  readonly epoch: string;
  readonly leaderEpoch: string;
}): Standing {
  return { epoch: wireNumber(batch.epoch), leaderEpoch: wireNumber(batch.leaderEpoch) };
}

/** A refusal is its status alone. */
function isUnavailable(outcome: Uint8Array): boolean {
  const { byteLength, byteOffset, buffer } = outcome;
  if (byteLength !== 2) return false;
  return new DataView(buffer, byteOffset).getUint16(0, true) === UNAVAILABLE;
}

const UNAVAILABLE = statusCode('set_unavailable');

const WORDS: ReadonlyMap<string, Status> = new Map(STATUSES.map((status) => [status, status]));

function statusOf(word: string): Status {
  const status = WORDS.get(word);
  if (status === undefined) throw new DecodeError('unknown status word');
  return status;
}

/** Only lists make a question long: ids and cursors take about 16 bytes each. */
function askBytes(ask: Ask): number {
  const listed =
    (ask.membership?.groupIds?.length ?? 0) +
    (ask.lastSeqs?.groupIds?.length ?? 0) +
    (ask.outbox?.cursors?.length ?? 0);
  return 256 + listed * 16;
}

/** A line that leads to another Set must never have its answers believed. */
function demandSet(answered: number, asked: SetId): void {
  if (answered !== asked) throw new DecodeError(`Set ${answered} answers for Set ${asked}`);
}
