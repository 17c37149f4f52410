import type { Reader, Writer } from './bytes.ts';
import { DecodeError, Writer as ByteWriter, utf8 } from './bytes.ts';
import type { Strategy } from './allocation.ts';
import type { Id } from './ids.ts';
import { readId } from './ids.ts';
import { LIMITS } from './limits.ts';
import type { Status } from './status.ts';
import { Sha256, sha256 } from './sha256.ts';
import { TextTable } from './text-table.ts';
import type { Cents } from './units.ts';
import { cents } from './units.ts';
import { utf8Length } from './bytes.ts';
import type { UserId } from './user.ts';
import { parseUserId } from './user.ts';

export const PACKET_KINDS = ['lucky', 'equal', 'exclusive'] as const;
export type PacketKind = (typeof PACKET_KINDS)[number];

export const STRATEGIES = [
  'double_mean',
  'classic',
  'uniform',
  'equal',
] as const satisfies readonly Strategy[];

/** When shares are drawn. The draws are the same either way (SPEC A6). */
export const TIMINGS = ['at_open', 'pre_split'] as const;
export type Timing = (typeof TIMINGS)[number];

/** All that a sender said of a packet, and the id that its home Set gave it. */
export type PacketDefinition = {
  readonly packetId: Id;
  readonly sender: UserId;
  readonly groupId: Id;
  readonly kind: PacketKind;
  readonly strategy: Strategy;
  readonly timing: Timing;
  readonly totalCents: Cents;
  readonly count: number;
  readonly lifetimeMs: number;
  readonly greeting: string;
  /** Who may open an exclusive packet; empty for the other kinds. */
  readonly receivers: readonly UserId[];
};

/** The first limit that the definition breaks, or null. Runs before anything is journaled. */
export function checkDefinition(d: PacketDefinition): Status | null {
  if (!Number.isSafeInteger(d.totalCents) || d.totalCents < 1) return 'amount_out_of_range';
  if (d.totalCents > LIMITS.packetTotalCentsMax) return 'amount_out_of_range';
  if (!Number.isInteger(d.count) || d.count < 1) return 'count_out_of_range';
  if (d.count > LIMITS.packetCountMax) return 'count_out_of_range';
  if (d.totalCents < d.count * LIMITS.shareCentsMin) return 'share_below_minimum';
  if (!Number.isInteger(d.lifetimeMs)) return 'bad_argument';
  if (d.lifetimeMs < LIMITS.packetLifetimeMsMin) return 'bad_argument';
  if (d.lifetimeMs > LIMITS.packetLifetimeMsMax) return 'bad_argument';
  if (!d.greeting.isWellFormed()) return 'bad_argument';
  if (utf8Length(d.greeting) > LIMITS.greetingBytesMax) return 'bad_argument';
  if ((d.kind === 'equal') !== (d.strategy === 'equal') && d.kind !== 'exclusive') {
    return 'bad_argument';
  }
  if ((d.kind === 'exclusive') !== d.receivers.length > 0) return 'bad_argument';
  if (d.receivers.length > d.count) return 'bad_argument';
  if (new Set(d.receivers).size !== d.receivers.length) return 'bad_argument';
  return null;
}

export function writeDefinition(w: Writer, d: PacketDefinition): void {
  w.big(d.packetId);
  w.text(d.sender);
  w.big(d.groupId);
  w.u8(PACKET_KINDS.indexOf(d.kind));
  w.u8(STRATEGIES.indexOf(d.strategy));
  w.u8(TIMINGS.indexOf(d.timing));
  w.u64(d.totalCents);
  w.u32(d.count);
  w.u64(d.lifetimeMs);
  w.text(d.greeting);
  w.u16(d.receivers.length);
  for (const receiver of d.receivers) w.text(receiver);
}

/** A pure function remembered: a journal names the same few thousand people all the time. */
const users = new TextTable(16_384, parseUserId);

export function readUser(r: Reader): UserId {
  const user = r.known(users);
  if (user === null) throw new DecodeError('not a user id');
  return user;
}

function pick<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new DecodeError('unknown tag');
  return value;
}

export function readDefinition(r: Reader): PacketDefinition {
  const packetId = readId(r);
  const sender = readUser(r);
  const groupId = readId(r);
  const kind = pick(PACKET_KINDS, r.u8());
  const strategy = pick(STRATEGIES, r.u8());
  const timing = pick(TIMINGS, r.u8());
  const totalCents = cents(r.u64());
  const count = r.u32();
  const lifetimeMs = r.u64();
  const greeting = r.text();
  const receivers = Array.from({ length: r.u16() }, () => readUser(r));
  return {
    packetId,
    sender,
    groupId,
    kind,
    strategy,
    timing,
    totalCents,
    count,
    lifetimeMs,
    greeting,
    receivers,
  };
}

const scratch = new ByteWriter();

/** SHA-256 of the definition as journaled: what `create` compares and the seed hash binds. */
export function definitionHash(d: PacketDefinition): Uint8Array {
  const w = scratch;
  w.reset();
  writeDefinition(w, d);
  return sha256(w.view());
}

/** Rulings 21: fixed before the first open, published with the packet. */
export function seedHashOf(args: { definition: PacketDefinition; seed: Uint8Array }): Uint8Array {
  const id = new ByteWriter(8);
  id.big(args.definition.packetId);
  return new Sha256()
    .update(utf8('hb1'))
    .update(id.view())
    .update(definitionHash(args.definition))
    .update(args.seed)
    .digest();
}
