import { z } from 'zod';
import { WALLET_REASONS } from '../lib/core/batch.ts';
import { LIMITS } from '../lib/core/limits.ts';

/**
 * The client protocol in one place: validation, types and docs/PROTOCOL.md come from here.
 * Amounts are integer cents in fields that end in `Cents`, times are epoch milliseconds in fields
 * that end in `At`, ids are decimal strings.
 */
/** Refinements run on texts that the pattern refused, too: this one compares as text, never throws. */
const ID_MAX = String(2n ** 63n - 1n);
const id = z
  .string()
  .regex(/^[1-9][0-9]{0,18}$/)
  .refine((text) => text.length < 19 || text <= ID_MAX, 'ids are below 2^63')
  .describe('id, a decimal string');
const clientKey = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  .describe('UUIDv7 made by the client; the same one on every retry');
const seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const position = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
const leg = z.int().min(0).max(0xffff_ffff);
const page = z.int().min(1).max(LIMITS.historyPageMax).default(50);
const empty = z.strictObject({});

function marks(groupsMax: number) {
  return z
    .record(id, seq)
    .refine((seen) => Object.keys(seen).length <= groupsMax, `at most ${groupsMax} groups`)
    .describe(`last seq seen per group; at most ${groupsMax} groups`);
}

/** Every op's input. Unknown fields are refused: a typing error is not silently ignored. */
export const INPUTS = {
  hello: z.strictObject({
    token: z.string().min(1).max(4096),
    resume: marks(LIMITS.resumeGroupsMax).optional(),
  }),
  ping: z.strictObject({
    seen: marks(LIMITS.userGroupsMax).optional(),
  }),
  'wallet.get': empty,
  'wallet.history': z.strictObject({ beforeLsn: seq.optional(), limit: page }),
  'wallet.statement': z.strictObject({
    fromAt: seq.default(0).describe('log time of the first line, epoch milliseconds'),
    toAt: seq.optional().describe('lines before it; without it all there are'),
    after: z
      .strictObject({ throughLsn: position, lsn: position, leg })
      .optional()
      .describe('`next` of the page before, with the same times'),
    limit: page,
  }),
  'wallet.balanceAt': z.strictObject({ at: seq.describe('epoch milliseconds') }),
  'wallet.statistics': z.strictObject({
    year: z.int().min(2025).max(2999).describe('from midnight of 1 January, UTC+8'),
    after: z.strictObject({ lsn: position, leg }).optional().describe('`next` of the page before'),
  }),
  'wallet.topup': z.strictObject({ clientId: clientKey, amountCents: z.int() }),
  'wallet.withdraw': z.strictObject({
    clientId: clientKey,
    amountCents: z.int(),
    destination: z
      .string()
      .min(1)
      .max(LIMITS.paymentTextBytesMax)
      .describe("the gateway's word for an account or card, masked: it is kept and shown"),
  }),
  'group.create': z.strictObject({
    clientId: clientKey,
    name: z.string().min(1).max(LIMITS.groupNameBytesMax),
    history: z.enum(['all', 'from_join']).default('all'),
  }),
  'group.get': z.strictObject({ groupId: id }),
  'group.list': empty,
  'group.invite': z.strictObject({
    groupId: id,
    lifetimeMs: z.int().min(60_000).max(LIMITS.inviteLifetimeMs).default(LIMITS.inviteLifetimeMs),
  }),
  'group.join': z.strictObject({ invite: z.string().min(1).max(512) }),
  'group.leave': z.strictObject({ groupId: id, clientId: clientKey.optional() }),
  'message.send': z.strictObject({
    groupId: id,
    clientMsgId: clientKey,
    kind: z.literal('text').default('text'),
    body: z.string().min(1).max(LIMITS.messageBytesMax),
    seenSeq: seq.default(0),
  }),
  'message.history': z.strictObject({
    groupId: id,
    fromSeq: seq.default(1),
    toSeq: seq.optional(),
    limit: page,
    reverse: z.boolean().default(false).describe('the newest of the range instead of the oldest'),
  }),
  'message.read': z.strictObject({ groupId: id, seq }),
  'packet.send': z.strictObject({
    groupId: id,
    clientId: clientKey,
    totalCents: z.int(),
    count: z.int(),
    kind: z.enum(['lucky', 'equal', 'exclusive']).default('lucky'),
    strategy: z.enum(['double_mean', 'classic', 'uniform', 'equal']).optional(),
    timing: z.enum(['at_open', 'pre_split']).default('at_open'),
    greeting: z.string().max(LIMITS.greetingBytesMax).default('恭喜发财，大吉大利'),
    lifetimeMs: z.int().min(LIMITS.packetLifetimeMsMin).max(LIMITS.packetLifetimeMsMax).optional(),
    receivers: z.array(z.string().min(1).max(64)).max(LIMITS.packetCountMax).optional(),
    pay: z
      .enum(['wallet', 'gateway'])
      .default('wallet')
      .describe('gateway: it goes live when somebody has paid at `checkoutUrl`'),
  }),
  'packet.grab': z.strictObject({ packetId: id }),
  'packet.open': z.strictObject({ packetId: id }),
  'packet.get': z.strictObject({ packetId: id }),
  'packet.claims': z.strictObject({
    packetId: id,
    afterOrder: z.int().min(0).default(0),
    limit: page,
  }),
} as const;

export type OpName = keyof typeof INPUTS;
export type Input<Op extends OpName> = z.output<(typeof INPUTS)[Op]>;

export const OP_NAMES = Object.keys(INPUTS) as OpName[];

const cents = z.int().describe('integer cents');
const time = z.int().describe('epoch milliseconds');
const mark = z.string().describe('opaque session mark `set:epoch:lsn`');

const paymentId = id.describe('id of a payment, a decimal string');
const checkoutUrl = z
  .string()
  .describe('where to pay; a path is one of the server that answered, as the sandbox has them');

const unread = z.int().min(0).max(100).describe('100 is shown as 99+');
const groupSummary = z.object({
  groupId: id,
  name: z.string(),
  role: z.enum(['member', 'admin', 'owner']),
  lastSeq: seq,
  readSeq: seq,
  firstSeq: seq,
  unread,
  memberCount: z.int(),
});
const message = z.object({
  groupId: id,
  seq,
  sender: z.string(),
  kind: z.enum(['text', 'system', 'red_packet', 'image', 'audio', 'video', 'file']),
  body: z.string().describe('text; JSON text for system and red_packet'),
  at: time,
  clientMsgId: z.string().describe('empty for messages that no client sent'),
});
const claim = z.object({ userId: z.string(), order: z.int(), amountCents: cents, at: time });
const packet = z.object({
  packetId: id,
  groupId: id,
  sender: z.string(),
  kind: z.string(),
  strategy: z.string(),
  timing: z.string(),
  count: z.int(),
  taken: z.int(),
  greeting: z.string(),
  phase: z.enum(['live', 'drained', 'refunded']),
  createdAt: time,
  expiresAt: time,
  endedAt: time.nullable(),
  seedHash: z.string().describe('hex'),
  seed: z.string().nullable().describe('hex, when ended'),
  totalCents: cents.nullable().describe('null until one may see amounts'),
  takenCents: cents.nullable(),
  refundedCents: cents.nullable(),
  mine: claim.nullable(),
  best: claim.nullable(),
});

/** Every op's output. */
export const OUTPUTS = {
  hello: z.object({
    userId: z.string(),
    sessionId: z.string(),
    heartbeatMs: z.int(),
    serverAt: time,
    groups: z.array(groupSummary),
    recovered: z.boolean(),
    missed: z.array(message).describe('messages after the resume marks, when recovered'),
  }),
  ping: z.object({
    at: time,
    behind: z.record(id, seq).describe('groups whose last seq is higher than the one seen'),
  }),
  'wallet.get': z.object({
    balanceCents: cents,
    arrivingCents: cents,
    arrivingComplete: z.boolean().describe('false when a Set did not answer'),
    mark,
  }),
  'wallet.history': z.object({
    entries: z.array(
      z.object({
        lsn: z.int(),
        amountCents: cents,
        reason: z.string(),
        packetId: id.nullable(),
        at: time,
      }),
    ),
    asOfLsn: z.int(),
  }),
  'wallet.topup': z.object({ paymentId, checkoutUrl, dueAt: time, mark }),
  'wallet.withdraw': z.object({ paymentId, balanceCents: cents, mark }),
  'wallet.statement': z.object({
    openingCents: cents.nullable().describe('before fromAt; null but on the first page'),
    closingCents: cents.nullable().describe('before toAt: opening and all lines; as opening'),
    throughLsn: z.int().describe('the statement goes so far, on all of its pages'),
    entries: z.array(
      z.object({
        lsn: z.int(),
        leg: z.int(),
        amountCents: cents,
        reason: z.string(),
        packetId: id.nullable(),
        at: time,
      }),
    ),
    next: z
      .object({ throughLsn: z.int(), lsn: z.int(), leg: z.int() })
      .nullable()
      .describe('`after` of the next page; null on the last one'),
    asOfLsn: z.int(),
  }),
  'wallet.balanceAt': z.object({
    balanceCents: cents.describe('with all lines of that time and before, as of asOfLsn'),
    at: time,
    asOfLsn: z.int(),
  }),
  'wallet.statistics': z.object({
    year: z.int(),
    sent: z
      .object({ lucky: z.int(), equal: z.int(), exclusive: z.int() })
      .describe('packets by kind; the sums up to shares are of the whole year'),
    sentCents: cents,
    backCents: cents.describe('rests that came back in the year, of packets of any year'),
    receivedPackets: z.int(),
    receivedCents: cents,
    shares: z
      .object({
        packets: z.int(),
        lucky: z.int(),
        equal: z.int(),
        exclusive: z.int(),
        notEnded: z.int().describe('nobody knows yet who is luckiest'),
        bestLuck: z.int().describe('of ended packets'),
        largest: z.object({ packetId: id, amountCents: cents }).nullable(),
      })
      .describe('of this page of lines alone; add up the pages'),
    next: z
      .object({ lsn: z.int(), leg: z.int() })
      .nullable()
      .describe('`after` of the next page; null on the last one'),
    asOfLsn: z.int(),
  }),
  'group.create': z.object({ groupId: id, status: z.enum(['ready', 'arriving']), mark }),
  'group.get': z.object({
    groupId: id,
    name: z.string(),
    owner: z.string(),
    history: z.string(),
    lastSeq: seq,
    createdAt: time,
    members: z.array(
      z.object({
        userId: z.string(),
        role: z.string(),
        joinedAt: time,
        readSeq: seq,
      }),
    ),
  }),
  'group.list': z.object({ groups: z.array(groupSummary) }),
  'group.invite': z.object({ invite: z.string(), expiresAt: time }),
  'group.join': z.object({ group: groupSummary, mark }),
  'group.leave': z.object({ mark }),
  'message.send': z.object({ seq, at: time, mark }),
  'message.history': z.object({ messages: z.array(message), lastSeq: seq, asOfLsn: z.int() }),
  'message.read': z.object({ readSeq: seq, unread }),
  'packet.send': z.object({
    packetId: id,
    status: z.enum(['live', 'arriving', 'unpaid']),
    seedHash: z.string().nullable(),
    paymentId: paymentId.optional().describe('with `unpaid` only, as the next two'),
    checkoutUrl: checkoutUrl.optional(),
    dueAt: time.optional(),
    mark,
  }),
  'packet.grab': z.object({
    status: z.enum(['go', 'wait', 'already_opened', 'drained', 'expired']),
    retryAfterMs: z.int(),
  }),
  'packet.open': z.object({
    status: z.enum(['opened', 'already_opened']),
    amountCents: cents,
    order: z.int(),
    left: z.int().nullable(),
    at: time,
    settle: z.enum(['arriving', 'settled']),
    mark,
  }),
  'packet.get': packet,
  'packet.claims': z.object({
    claims: z.array(claim),
    best: claim.nullable(),
    asOfLsn: z.int(),
  }),
} as const satisfies Record<OpName, z.ZodType>;

export type Output<Op extends OpName> = z.output<(typeof OUTPUTS)[Op]>;

/** Events: `{"ev": name, "d": …}`. */
export const EVENTS = {
  message,
  packet: z.object({
    packetId: id,
    groupId: id,
    phase: z.enum(['live', 'progress', 'drained', 'refunded']),
    sender: z.string(),
    kind: z.string(),
    count: z.int(),
    taken: z.int(),
    greeting: z.string(),
    at: time,
    expiresAt: time,
    seedHash: z.string(),
    seed: z.string().nullable(),
  }),
  wallet: z.object({
    balanceCents: cents,
    amountCents: cents,
    reason: z.enum(WALLET_REASONS),
    packetId: id.nullable(),
    at: time,
  }),
  group: z.object({
    groupId: id,
    change: z.enum(['founded', 'joined', 'left']),
    userId: z.string(),
    name: z.string(),
    role: z.string().nullable(),
  }),
  level: z.object({ level: z.string() }),
  reconnect: z.object({ reason: z.string(), afterMs: z.int() }),
} as const;

export type EventName = keyof typeof EVENTS;
export type EventData<Name extends EventName> = z.output<(typeof EVENTS)[Name]>;

/** A request frame before its `d` is checked against its op. */
export const FRAME = z.strictObject({
  id: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  op: z.string().max(64),
  d: z.unknown().optional(),
  traceparent: z.string().max(64).optional(),
});

export type Schema = z.ZodType;

/** The same as JSON schema, for the documentation. */
export function jsonSchemaOf(schema: Schema, io: 'input' | 'output'): unknown {
  return z.toJSONSchema(schema, { io });
}
