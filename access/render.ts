import type { WalletEvent } from '../lib/core/batch.ts';
import { toHex } from '../lib/core/bytes.ts';
import type { Claim__Output } from '../proto/gen/hongbao/Claim.ts';
import type { GroupAnswer__Output } from '../proto/gen/hongbao/GroupAnswer.ts';
import type { GroupEvent__Output } from '../proto/gen/hongbao/GroupEvent.ts';
import type { Message__Output } from '../proto/gen/hongbao/Message.ts';
import type { PacketAnswer__Output } from '../proto/gen/hongbao/PacketAnswer.ts';
import type { PacketEvent__Output } from '../proto/gen/hongbao/PacketEvent.ts';
import type { EventData, EventName, Output } from './schema.ts';

/**
 * What the Sets say, in the words of the wire. Words of closed lists (kind, phase, role …) come
 * from our own Sets and pass as they are; the integration tests hold every frame to its schema.
 */
type Message = EventData<'message'>;
type Packet = Output<'packet.get'>;
type Claim = NonNullable<Packet['mine']>;

export function eventFrame<Name extends EventName>(ev: Name, d: EventData<Name>): string {
  return `{"ev":"${ev}","d":${JSON.stringify(d)}}`;
}

export function messageOf(m: Message__Output): Message {
  return {
    groupId: m.groupId,
    seq: Number(m.seq),
    sender: m.sender,
    kind: m.kind as Message['kind'],
    body: m.body,
    at: Number(m.at),
    clientMsgId: m.clientMsgId,
  };
}

export function packetEventOf(e: PacketEvent__Output): EventData<'packet'> {
  return {
    packetId: e.packetId,
    groupId: e.groupId,
    phase: e.phase as EventData<'packet'>['phase'],
    sender: e.sender,
    kind: e.kind,
    count: e.count,
    taken: e.taken,
    greeting: e.greeting,
    at: Number(e.at),
    expiresAt: Number(e.expiresAt),
    seedHash: toHex(e.seedHash),
    seed: hexOrNull(e.seed),
  };
}

export function walletEventOf(e: WalletEvent): EventData<'wallet'> {
  const { balanceCents, amountCents, reason, at } = e;
  const packetId = e.packetId === 0n ? null : String(e.packetId);
  return { balanceCents, amountCents, reason, packetId, at };
}

export function groupEventOf(e: GroupEvent__Output): EventData<'group'> {
  return {
    groupId: e.groupId,
    change: e.change as EventData<'group'>['change'],
    userId: e.user,
    name: e.name,
    role: e.role === '' ? null : e.role,
  };
}

export function groupOf(g: GroupAnswer__Output): Output<'group.get'> {
  return {
    groupId: g.groupId,
    name: g.name,
    owner: g.owner,
    history: g.history,
    lastSeq: Number(g.lastSeq),
    createdAt: Number(g.createdAt),
    members: g.members.map((m) => ({
      userId: m.user,
      role: m.role,
      joinedAt: Number(m.joinedAt),
      readSeq: Number(m.readSeq),
    })),
  };
}

export function packetOf(p: PacketAnswer__Output): Packet {
  const shown = p.amountsShown;
  return {
    packetId: p.packetId,
    groupId: p.groupId,
    sender: p.sender,
    kind: p.kind,
    strategy: p.strategy,
    timing: p.timing,
    count: p.count,
    taken: p.taken,
    greeting: p.greeting,
    phase: p.phase as Packet['phase'],
    createdAt: Number(p.createdAt),
    expiresAt: Number(p.expiresAt),
    endedAt: p.phase === 'live' ? null : Number(p.endedAt),
    seedHash: toHex(p.seedHash),
    seed: hexOrNull(p.seed),
    totalCents: shown ? Number(p.totalCents) : null,
    takenCents: shown ? Number(p.takenCents) : null,
    refundedCents: shown ? Number(p.refundedCents) : null,
    mine: claimOrNull(p.mine),
    best: shown ? claimOrNull(p.best) : null,
  };
}

export function claimOf(c: Claim__Output): Claim {
  return {
    userId: c.user,
    order: c.order,
    amountCents: Number(c.amountCents),
    at: Number(c.at),
  };
}

export function claimOrNull(c: Claim__Output | null): Claim | null {
  return c === null ? null : claimOf(c);
}

/** protobuf has no absent number: 0 is no id. */
export function idOrNull(id: string): string | null {
  return id === '0' || id === '' ? null : id;
}

function hexOrNull(bytes: Uint8Array): string | null {
  return bytes.length === 0 ? null : toHex(bytes);
}
