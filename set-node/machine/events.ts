import type { WalletEvent, WalletReason } from '../../lib/core/batch.ts';
import { unpackBytes } from '../../lib/core/bytes.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Op } from '../../lib/core/journal-entry.ts';
import type { Receipt } from '../../lib/core/outcome.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import { isPaymentCommand } from '../../lib/core/payment.ts';
import type { Transfer } from '../../lib/core/transfer.ts';
import type { Lsn, TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Event } from '../../proto/gen/hongbao/Event.ts';
import { messagesOf } from './messages.ts';
import type { Packet, SetState } from './state.ts';

/** An event and who wants it: a group's nodes, a user's nodes, or every node (packets). */
export type RoutedEvent = {
  readonly kind: 'event';
  readonly event: Event;
  readonly groupId: Id | null;
  readonly user: UserId | null;
};
export type Routed =
  | RoutedEvent
  | { readonly kind: 'wallet'; readonly wallet: WalletEvent; readonly user: UserId };

type Args = { state: SetState; op: Op; lsn: Lsn; ts: TimeMs };

/**
 * What the world hears of an op that has been applied. Sent only once its entry is committed.
 */
export function eventsOf({ state, op, lsn, ts }: Args): Routed[] {
  const { command, outcome } = op;
  if (!succeeded(outcome)) return [];
  const out: Routed[] = [];
  for (const m of messagesOf(op, ts)) {
    const message = {
      groupId: String(m.groupId),
      seq: m.seq,
      sender: m.sender,
      kind: m.kind,
      body: m.body,
      at: m.at,
      clientMsgId: m.clientMsgId,
    };
    out.push({ kind: 'event', event: { lsn, message }, groupId: m.groupId, user: null });
  }
  const group = (args: {
    groupId: Id;
    change: string;
    user: UserId;
    version: number;
    role: string;
  }): void => {
    const { groupId, user, change, role } = args;
    const name = state.groups.get(groupId)?.name ?? '';
    const event = {
      lsn,
      group: { groupId: String(groupId), change, user, name, version: args.version, role },
    };
    out.push({ kind: 'event', event, groupId, user });
  };
  const money = (args: {
    user: UserId;
    amountCents: number;
    reason: WalletReason;
    packetId: Id | null;
  }): void => {
    const { user, amountCents, reason } = args;
    const balanceCents = state.people.get(user)?.balanceCents ?? 0;
    const packetId = args.packetId ?? 0n;
    const wallet = { user, balanceCents, amountCents, reason, packetId, at: ts };
    out.push({ kind: 'wallet', wallet, user });
  };

  if (command.type === 'packet.open' && outcome.type === 'packet.open') {
    // Progress is told once a batch, by the batcher: 500 opens of one packet are one event.
    const packet = outcome.left === 0 ? state.packets.get(command.packetId) : undefined;
    if (packet !== undefined) out.push(packetEvent({ packet, phase: 'drained', lsn, ts }));
  } else if (command.type === 'packet.expire') {
    const packet = state.packets.get(command.packetId);
    if (packet !== undefined) out.push(packetEvent({ packet, phase: 'refunded', lsn, ts }));
  } else if (command.type === 'group.join' && outcome.type === 'group.join') {
    const { version, role } = outcome;
    group({ groupId: command.invite.groupId, change: 'joined', user: command.user, version, role });
  } else if (command.type === 'group.leave' && outcome.type === 'group.leave') {
    const { version } = outcome;
    group({ groupId: command.groupId, change: 'left', user: command.user, version, role: '' });
  } else if (command.type === 'wallet.open') {
    const { user, welcomeCents } = command;
    money({ user, amountCents: welcomeCents, reason: 'welcome', packetId: null });
  } else if (command.type === 'packet.send') {
    const { sender, totalCents, packetId } = command.definition;
    money({ user: sender, amountCents: -totalCents, reason: 'send', packetId });
  } else if (command.type === 'transfer.ack') {
    for (const { account, amountCents } of op.postings) {
      if (account.kind !== 'wallet') continue;
      money({ user: account.user, amountCents, reason: 'undo', packetId: null });
    }
  } else if (isPaymentCommand(command)) {
    for (const { account, amountCents } of op.postings) {
      if (account.kind !== 'wallet') continue;
      money({ user: account.user, amountCents, reason: reasonOf(op), packetId: null });
    }
  } else if (command.type === 'transfer.deliver' && outcome.type === 'transfer.deliver') {
    for (const [index, transfer] of command.transfers.entries()) {
      const receipt = outcome.receipts[index];
      if (receipt === undefined || !happened(receipt)) continue;
      deliveredEvent({
        transfer,
        group,
        money,
        packet: (id) => {
          const packet = state.packets.get(id);
          if (packet !== undefined) out.push(packetEvent({ packet, phase: 'live', lsn, ts }));
        },
      });
    }
  }
  return out;
}

/** Why a payment or an operator moved the money of a wallet. */
function reasonOf({ command, outcome }: Op): WalletReason {
  if (command.type === 'wallet.withdraw') return 'withdraw';
  if (command.type === 'wallet.adjust') return 'adjust';
  return 'became' in outcome && outcome.became === 'returned' ? 'returned' : 'topup';
}

function happened(receipt: Receipt): boolean {
  const { kind } = receipt;
  return kind !== 'duplicate' && kind !== 'stale' && kind !== 'tombstone';
}

function deliveredEvent(args: {
  transfer: Transfer;
  group: (args: {
    groupId: Id;
    change: string;
    user: UserId;
    version: number;
    role: string;
  }) => void;
  money: (args: {
    user: UserId;
    amountCents: number;
    reason: WalletReason;
    packetId: Id | null;
  }) => void;
  packet: (id: Id) => void;
}): void {
  const { transfer } = args;
  if (transfer.kind === 'packet.create') args.packet(transfer.definition.packetId);
  if (transfer.kind === 'claim.credit' || transfer.kind === 'packet.refund') {
    const { user, amountCents, packetId } = transfer;
    const reason = transfer.kind === 'claim.credit' ? 'claim' : 'refund';
    args.money({ user, amountCents, reason, packetId });
  }
  if (transfer.kind === 'group.found') {
    const { groupId, owner } = transfer;
    args.group({ groupId, change: 'founded', user: owner, version: 1, role: 'owner' });
  }
}

/** What everybody may know of a packet. */
export function packetEvent(args: {
  packet: Packet;
  phase: string;
  lsn: Lsn;
  ts: TimeMs;
}): RoutedEvent {
  const { packet, phase } = args;
  const d = packet.definition;
  const event: Event = {
    lsn: args.lsn,
    packet: {
      packetId: String(d.packetId),
      groupId: String(d.groupId),
      phase,
      sender: d.sender,
      kind: d.kind,
      count: d.count,
      taken: packet.claims.size,
      greeting: d.greeting,
      at: args.ts,
      expiresAt: packet.expiresAt,
      seedHash: Buffer.from(unpackBytes(packet.seedHash)),
      seed: Buffer.from(packet.end?.seed ?? []),
    },
  };
  return { kind: 'event', event, groupId: d.groupId, user: null };
}
