import { unreachable } from './assert.ts';
import type { Reader, Writer } from './bytes.ts';
import { DecodeError } from './bytes.ts';
import type { Id } from './ids.ts';
import { readId } from './ids.ts';
import { LIMITS } from './limits.ts';
import type { PacketDefinition, PacketKind } from './packet.ts';
import { PACKET_KINDS, readDefinition, readUser, writeDefinition } from './packet.ts';
import type { Cents, SetId, TimeMs } from './units.ts';
import { cents, timeMs } from './units.ts';
import type { UserId } from './user.ts';

export const HISTORIES = ['all', 'from_join'] as const;
/** What a new member may read of the time before. */
export type HistoryRule = (typeof HISTORIES)[number];

/** What one Set owes another. Typed tuples with lengths, never joined text (rulings 5). */
export type Transfer =
  | { kind: 'packet.create'; definition: PacketDefinition; sentAt: TimeMs }
  | {
      kind: 'packet.announce';
      packetId: Id;
      groupId: Id;
      sender: UserId;
      packetKind: PacketKind;
      count: number;
      greeting: string;
      seedHash: Uint8Array;
      expiresAt: TimeMs;
    }
  | { kind: 'claim.credit'; packetId: Id; groupId: Id; user: UserId; amountCents: Cents }
  | { kind: 'packet.refund'; packetId: Id; groupId: Id; user: UserId; amountCents: Cents }
  | { kind: 'group.found'; groupId: Id; owner: UserId; name: string; history: HistoryRule }
  | {
      kind: 'member.hint';
      groupId: Id;
      user: UserId;
      /** The group's member version: the highest wins, also for absent ones (rulings 18). */
      version: number;
      present: boolean;
      name: string;
    };

export type TransferKind = Transfer['kind'];

export const TRANSFER_CODES: Record<TransferKind, number> = {
  'packet.create': 1,
  'packet.announce': 2,
  'claim.credit': 3,
  'packet.refund': 4,
  'group.found': 5,
  'member.hint': 6,
};

/** Lanes do not wait for each other. The control lane is delivered in order (SPEC S3). */
export const LANES = { control: 0, largeCredit: 1, credit: 2, refund: 3 } as const;
export const LANE_COUNT = 4;

export function laneOf(t: Transfer): number {
  switch (t.kind) {
    case 'claim.credit':
      return t.amountCents >= LIMITS.largeClaimCentsMin ? LANES.largeCredit : LANES.credit;
    case 'packet.refund':
      return LANES.refund;
    case 'packet.create':
    case 'packet.announce':
    case 'group.found':
    case 'member.hint':
      return LANES.control;
    default:
      return unreachable(t);
  }
}

/** Money that travels with the transfer; 0 for those that carry none. */
export function moneyOf(t: Transfer): Cents {
  switch (t.kind) {
    case 'packet.create':
      return t.definition.totalCents;
    case 'claim.credit':
    case 'packet.refund':
      return t.amountCents;
    default:
      return cents(0);
  }
}

/** One outbox entry: number counts from 1 without gaps per (source, destination, lane) (rulings 9). */
export type Outgoing = {
  readonly to: SetId;
  readonly lane: number;
  readonly number: number;
  readonly transfer: Transfer;
};

export function writeTransfer(w: Writer, t: Transfer): void {
  w.u8(TRANSFER_CODES[t.kind]);
  switch (t.kind) {
    case 'packet.create':
      writeDefinition(w, t.definition);
      w.u64(t.sentAt);
      return;
    case 'packet.announce':
      w.big(t.packetId);
      w.big(t.groupId);
      w.text(t.sender);
      w.u8(PACKET_KINDS.indexOf(t.packetKind));
      w.u32(t.count);
      w.text(t.greeting);
      w.fixed(t.seedHash, 32);
      w.u64(t.expiresAt);
      return;
    case 'claim.credit':
    case 'packet.refund':
      w.big(t.packetId);
      w.big(t.groupId);
      w.text(t.user);
      w.u64(t.amountCents);
      return;
    case 'group.found':
      w.big(t.groupId);
      w.text(t.owner);
      w.text(t.name);
      w.u8(HISTORIES.indexOf(t.history));
      return;
    case 'member.hint':
      w.big(t.groupId);
      w.text(t.user);
      w.u64(t.version);
      w.u8(t.present ? 1 : 0);
      w.text(t.name);
      return;
    default:
      unreachable(t);
  }
}

export function readHistory(r: Reader): HistoryRule {
  const rule = HISTORIES[r.u8()];
  if (rule === undefined) throw new DecodeError('unknown history rule');
  return rule;
}

export function readFlag(r: Reader): boolean {
  const value = r.u8();
  if (value > 1) throw new DecodeError('a flag is 0 or 1');
  return value === 1;
}

export function readTransfer(r: Reader): Transfer {
  const code = r.u8();
  switch (code) {
    case 1:
      return { kind: 'packet.create', definition: readDefinition(r), sentAt: timeMs(r.u64()) };
    case 2: {
      const packetId = readId(r);
      const groupId = readId(r);
      const sender = readUser(r);
      const packetKind = PACKET_KINDS[r.u8()];
      if (packetKind === undefined) throw new DecodeError('unknown packet kind');
      const count = r.u32();
      const greeting = r.text();
      const seedHash = r.fixed(32);
      const expiresAt = timeMs(r.u64());
      return {
        kind: 'packet.announce',
        packetId,
        groupId,
        sender,
        packetKind,
        count,
        greeting,
        seedHash,
        expiresAt,
      };
    }
    case 3:
    case 4: {
      const packetId = readId(r);
      const groupId = readId(r);
      const user = readUser(r);
      const amountCents = cents(r.u64());
      const kind = code === 3 ? 'claim.credit' : 'packet.refund';
      return { kind, packetId, groupId, user, amountCents };
    }
    case 5: {
      const groupId = readId(r);
      const owner = readUser(r);
      return { kind: 'group.found', groupId, owner, name: r.text(), history: readHistory(r) };
    }
    case 6: {
      const groupId = readId(r);
      const user = readUser(r);
      const version = r.u64();
      return {
        kind: 'member.hint',
        groupId,
        user,
        version,
        present: readFlag(r),
        name: r.text(),
      };
    }
    default:
      throw new DecodeError('unknown transfer kind');
  }
}
