/** Every kind of thing that stands in a journal or on a stream, drawn at random. */
import fc from 'fast-check';
import type { Account, Posting } from '../../lib/core/account.ts';
import type { Command, CommandType, Tombstone } from '../../lib/core/command.ts';
import { CLUSTER_ID_BYTES, MESSAGE_KINDS, SLOT_MAP_BYTES } from '../../lib/core/command.ts';
import type { Grant, Invite } from '../../lib/core/grant.ts';
import { GRANT_MAC_BYTES, ROLES } from '../../lib/core/grant.ts';
import { makeCommandId, packId } from '../../lib/core/ids.ts';
import type { EntryHead, Op } from '../../lib/core/journal-entry.ts';
import { ENTRY_KINDS } from '../../lib/core/journal-entry.ts';
import { RULES_MAX, RULES_MIN } from '../../lib/core/rules.ts';
import type { Outcome, Receipt, Refusal } from '../../lib/core/outcome.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { PACKET_KINDS, STRATEGIES, TIMINGS } from '../../lib/core/packet.ts';
import { BECAME, PAYMENT_RESULTS } from '../../lib/core/payment.ts';
import { STATUSES } from '../../lib/core/status.ts';
import type { Outgoing, Transfer } from '../../lib/core/transfer.ts';
import { HISTORIES, LANE_COUNT } from '../../lib/core/transfer.ts';
import { cents, epoch, lsn, setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import { parseUserId } from '../../lib/core/user.ts';

const MAX = Number.MAX_SAFE_INTEGER;

/** Any u64 that a number holds, the ends and the edges of 32 bits often. */
const u64 = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, MAX),
);
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u16 = fc.integer({ min: 0, max: 2 ** 16 - 1 });
const u8 = fc.integer({ min: 0, max: 255 });
const flag = fc.boolean();
const money = u64.map(cents);
/** Below zero too, as an i64 holds it. */
const signed = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(-MAX, MAX)).map(cents);
const time = u64.map(timeMs);
const at = u64.map(lsn);
const set = fc.integer({ min: 0, max: 1023 }).map(setId);
const lane = fc.integer({ min: 0, max: LANE_COUNT - 1 });
const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: size, maxLength: size });
/** Text of every plane; halves of surrogate pairs are not text. */
const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const id = fc
  .record({
    ms: fc.integer({ min: 0, max: 2 ** 41 - 1 }),
    set,
    sequence: fc.integer({ min: 0, max: 4095 }),
  })
  .map(packId);
const commandId = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), bytes(10))
  .map(([now, random]) => makeCommandId(now, random));

/** People, those with Chinese names, colons and awkward words too. */
const user: fc.Arbitrary<UserId> = fc
  .oneof(
    fc.constantFrom('alice', 'bob', '小红', 'refund', 'a:b', ' ', '\ufeffbom', '😀'.repeat(16)),
    fc.string({ minLength: 1, maxLength: 16, unit: 'grapheme' }),
    fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme-ascii' }),
  )
  .map(parseUserId)
  .filter((parsed) => parsed !== null);

/** As the codec sees it: limits of the business are checked elsewhere. */
export const definition: fc.Arbitrary<PacketDefinition> = fc.record({
  packetId: id,
  sender: user,
  groupId: id,
  kind: fc.constantFrom(...PACKET_KINDS),
  strategy: fc.constantFrom(...STRATEGIES),
  timing: fc.constantFrom(...TIMINGS),
  totalCents: money,
  count: u32,
  lifetimeMs: u64,
  greeting: words,
  receivers: fc.array(user, { maxLength: 5 }),
});

export const grant: fc.Arbitrary<Grant | null> = fc.option(
  fc.record({
    groupId: id,
    role: fc.constantFrom(...ROLES),
    rights: u16,
    groupLsn: at,
    issuedAt: time,
    mac: bytes(GRANT_MAC_BYTES),
  }),
);

const invite: fc.Arbitrary<Invite> = fc.record({
  groupId: id,
  inviter: user,
  expiresAt: time,
  mac: bytes(GRANT_MAC_BYTES),
});

type TransferOf<Kind extends Transfer['kind']> = Extract<Transfer, { kind: Kind }>;
const credit = { packetId: id, groupId: id, user, amountCents: money };

/** One arbitrary for each kind: a kind without one does not compile. */
const TRANSFERS: { [Kind in Transfer['kind']]: fc.Arbitrary<TransferOf<Kind>> } = {
  'packet.create': fc.record({ kind: fc.constant('packet.create'), definition, sentAt: time }),
  'packet.announce': fc.record({
    kind: fc.constant('packet.announce'),
    packetId: id,
    groupId: id,
    sender: user,
    packetKind: fc.constantFrom(...PACKET_KINDS),
    count: u32,
    greeting: words,
    seedHash: bytes(32),
    expiresAt: time,
  }),
  'claim.credit': fc.record({ kind: fc.constant('claim.credit'), ...credit }),
  'packet.refund': fc.record({ kind: fc.constant('packet.refund'), ...credit }),
  'group.found': fc.record({
    kind: fc.constant('group.found'),
    groupId: id,
    owner: user,
    name: words,
    history: fc.constantFrom(...HISTORIES),
  }),
  'member.hint': fc.record({
    kind: fc.constant('member.hint'),
    groupId: id,
    user,
    version: u64,
    present: flag,
    name: words,
  }),
};
export const transfer: fc.Arbitrary<Transfer> = fc.oneof(...Object.values(TRANSFERS));

const tombstone: fc.Arbitrary<Tombstone> = fc.record({
  number: u64,
  reason: fc.constantFrom(...STATUSES),
});

type CommandOf<Type extends CommandType> = Extract<Command, { type: Type }>;
const COMMANDS: { [Type in CommandType]: fc.Arbitrary<CommandOf<Type>> } = {
  'set.configure': fc.record({
    type: fc.constant('set.configure'),
    clusterId: bytes(CLUSTER_ID_BYTES),
    replicas: u8,
    quorum: u8,
    rules: u16,
    slots: bytes(SLOT_MAP_BYTES),
  }),
  'ids.reserve': fc.record({ type: fc.constant('ids.reserve'), count: u16 }),
  'wallet.open': fc.record({ type: fc.constant('wallet.open'), user, welcomeCents: money }),
  'packet.send': fc.record({ type: fc.constant('packet.send'), commandId, definition, grant }),
  'packet.open': fc.record({ type: fc.constant('packet.open'), packetId: id, user, grant }),
  'packet.expire': fc.record({ type: fc.constant('packet.expire'), packetId: id }),
  'group.create': fc.record({
    type: fc.constant('group.create'),
    commandId,
    user,
    groupId: id,
    name: words,
    history: fc.constantFrom(...HISTORIES),
  }),
  'group.join': fc.record({ type: fc.constant('group.join'), user, invite }),
  'group.leave': fc.record({
    type: fc.constant('group.leave'),
    user,
    groupId: id,
    commandId: fc.option(commandId),
  }),
  'message.send': fc.record({
    type: fc.constant('message.send'),
    commandId,
    user,
    groupId: id,
    kind: fc.constantFrom(...MESSAGE_KINDS),
    body: words,
    seenSeq: u64,
  }),
  'message.read': fc.record({ type: fc.constant('message.read'), user, groupId: id, seq: u64 }),
  'transfer.deliver': fc.record({
    type: fc.constant('transfer.deliver'),
    from: set,
    lane,
    first: u64,
    transfers: fc.array(transfer, { maxLength: 4 }),
  }),
  'transfer.ack': fc.record({
    type: fc.constant('transfer.ack'),
    to: set,
    lane,
    upTo: u64,
    tombstones: fc.array(tombstone, { maxLength: 4 }),
    receiptEpoch: u64.map(epoch),
    receiptLsn: at,
  }),
  'wallet.topup': fc.record({
    type: fc.constant('wallet.topup'),
    commandId,
    user,
    amountCents: money,
  }),
  'wallet.withdraw': fc.record({
    type: fc.constant('wallet.withdraw'),
    commandId,
    user,
    amountCents: money,
    destination: words,
  }),
  'packet.pay': fc.record({ type: fc.constant('packet.pay'), commandId, definition, grant }),
  'payment.settle': fc.record({
    type: fc.constant('payment.settle'),
    paymentId: id,
    result: fc.constantFrom(...PAYMENT_RESULTS),
    amountCents: money,
    reference: words,
  }),
  'payment.expire': fc.record({ type: fc.constant('payment.expire'), paymentId: id }),
  'wallet.freeze': fc.record({
    type: fc.constant('wallet.freeze'),
    commandId,
    operator: user,
    user,
    frozen: flag,
    reason: words,
  }),
  'wallet.adjust': fc.record({
    type: fc.constant('wallet.adjust'),
    commandId,
    operator: user,
    user,
    amountCents: signed,
    reason: words,
  }),
};
export const command: fc.Arbitrary<Command> = fc.oneof(...Object.values(COMMANDS));

const receipt: fc.Arbitrary<Receipt> = fc.oneof(
  fc.record({
    kind: fc.constant('live' as const),
    sealedSeed: fc.uint8Array({ maxLength: 80 }),
    seedHash: bytes(32),
  }),
  fc.record({ kind: fc.constant('message' as const), seq: u64 }),
  fc.record({ kind: fc.constantFrom('applied' as const, 'duplicate' as const) }),
  fc.record({ kind: fc.constant('tombstone' as const), reason: fc.constantFrom(...STATUSES) }),
);

const seed = fc.oneof(fc.constant(new Uint8Array(0)), bytes(32));
const ok = { status: fc.constant('ok' as const) };
type OutcomeOf<Type extends CommandType> = Extract<Outcome, { type: Type }>;
const SUCCESSES: { [Type in CommandType]: fc.Arbitrary<OutcomeOf<Type>> } = {
  'set.configure': fc.record({ type: fc.constant('set.configure'), ...ok }),
  'ids.reserve': fc.record({ type: fc.constant('ids.reserve'), ...ok, firstId: id, count: u16 }),
  'wallet.open': fc.record({
    type: fc.constant('wallet.open'),
    ...ok,
    balanceCents: money,
    welcomed: flag,
  }),
  'packet.send': fc.record({ type: fc.constant('packet.send'), ...ok, packetId: id }),
  'packet.open': fc.record({
    type: fc.constant('packet.open'),
    status: fc.constantFrom('ok', 'already_opened'),
    amountCents: money,
    order: u32,
    left: u32,
    at: time,
    seed,
  }),
  'packet.expire': fc.record({
    type: fc.constant('packet.expire'),
    ...ok,
    refundCents: money,
    seed,
  }),
  'group.create': fc.record({ type: fc.constant('group.create'), ...ok, groupId: id }),
  'group.join': fc.record({
    type: fc.constant('group.join'),
    ...ok,
    role: fc.constantFrom(...ROLES),
    version: u64,
    joinedSeq: u64,
    seq: u64,
  }),
  'group.leave': fc.record({ type: fc.constant('group.leave'), ...ok, version: u64, seq: u64 }),
  'message.send': fc.record({ type: fc.constant('message.send'), ...ok, seq: u64, at: time }),
  'message.read': fc.record({
    type: fc.constant('message.read'),
    ...ok,
    seq: u64,
    readCount: u64,
    ownAfter: u64,
    unread: u32,
  }),
  'transfer.deliver': fc.record({
    type: fc.constant('transfer.deliver'),
    ...ok,
    receipts: fc.array(receipt, { maxLength: 6 }),
  }),
  'transfer.ack': fc.record({ type: fc.constant('transfer.ack'), ...ok, upTo: u64 }),
  'wallet.topup': fc.record({
    type: fc.constant('wallet.topup'),
    ...ok,
    paymentId: id,
    dueAt: time,
  }),
  'wallet.withdraw': fc.record({
    type: fc.constant('wallet.withdraw'),
    ...ok,
    paymentId: id,
    balanceCents: money,
  }),
  'packet.pay': fc.record({
    type: fc.constant('packet.pay'),
    ...ok,
    packetId: id,
    paymentId: id,
    dueAt: time,
  }),
  'payment.settle': fc.record({
    type: fc.constant('payment.settle'),
    ...ok,
    became: fc.constantFrom(...BECAME),
    user,
    amountCents: money,
  }),
  'payment.expire': fc.record({ type: fc.constant('payment.expire'), ...ok }),
  'wallet.freeze': fc.record({ type: fc.constant('wallet.freeze'), ...ok, frozen: flag }),
  'wallet.adjust': fc.record({ type: fc.constant('wallet.adjust'), ...ok, balanceCents: money }),
};
export const COMMAND_TYPES = Object.keys(SUCCESSES) as CommandType[];

const refusal: fc.Arbitrary<Refusal> = fc.record({
  type: fc.constantFrom(...COMMAND_TYPES),
  status: fc.constantFrom(...STATUSES).filter((s) => s !== 'ok' && s !== 'already_opened'),
}) as fc.Arbitrary<Refusal>;

/** What a command of this type may come to. */
function outcomeOf(type: CommandType): fc.Arbitrary<Outcome> {
  return fc.oneof(
    { weight: 3, arbitrary: SUCCESSES[type] as fc.Arbitrary<Outcome> },
    { weight: 1, arbitrary: refusal.map(({ status }): Refusal => ({ type, status })) },
  );
}
export const outcome: fc.Arbitrary<Outcome> = fc.constantFrom(...COMMAND_TYPES).chain(outcomeOf);

const account: fc.Arbitrary<Account> = fc.oneof(
  fc.record({ kind: fc.constant('wallet' as const), user }),
  fc.record({ kind: fc.constant('packet' as const), packetId: id }),
  fc.record({ kind: fc.constant('clearing' as const), peer: set }),
  fc.record({ kind: fc.constantFrom('issuer' as const, 'gateway' as const) }),
);
export const posting: fc.Arbitrary<Posting> = fc.record({
  account,
  amountCents: signed,
});

const outgoing: fc.Arbitrary<Outgoing> = fc.record({ to: set, lane, number: u64, transfer });

export const op: fc.Arbitrary<Op> = command.chain((each) =>
  fc.record({
    command: fc.constant(each),
    outcome: outcomeOf(each.type),
    postings: fc.array(posting, { maxLength: 4 }),
    sends: fc.array(outgoing, { maxLength: 3 }),
  }),
);

const amount = fc.integer({ min: -(2 ** 50), max: 2 ** 50 });
/** A head whose money sums to zero, as `seal` asks. */
export const head: fc.Arbitrary<EntryHead> = fc.record({
  setId: set,
  lsn: u64.filter((value) => value >= 1).map(lsn),
  epoch: u64.map(epoch),
  leaderId: bytes(16),
  kind: fc.constantFrom(...ENTRY_KINDS),
  prev: bytes(32),
  ts: time,
  commitLsn: at,
  acked: fc.tuple(at, at, at),
  format: fc.integer({ min: RULES_MIN, max: RULES_MAX }),
  opCount: fc.constant(0),
  money: fc.tuple(amount, amount, amount).map(([wallets, packets, clearing]) => ({
    walletsCents: cents(wallets),
    packetsCents: cents(packets),
    clearingCents: cents(clearing),
    issuerCents: cents(0 - (wallets + packets + clearing)),
  })),
});
