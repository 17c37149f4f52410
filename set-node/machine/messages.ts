import { toHex } from '../../lib/core/bytes.ts';
import type { MessageKind } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import type { Op } from '../../lib/core/journal-entry.ts';
import { succeeded } from '../../lib/core/outcome.ts';
import type { TimeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';

/** A message as history, tail and push show it. */
export type Message = {
  readonly groupId: Id;
  readonly seq: number;
  readonly sender: UserId;
  readonly kind: MessageKind;
  /** Text; JSON text for `system` and `red_packet`. */
  readonly body: string;
  readonly at: TimeMs;
  /** Empty when no client sent it. */
  readonly clientMsgId: string;
};

/** The messages that an op appended, in order. */
export function messagesOf(op: Op, ts: TimeMs): Message[] {
  const { command, outcome } = op;
  if (!succeeded(outcome)) return [];
  if (command.type === 'message.send' && outcome.type === 'message.send') {
    const { groupId, user, kind, body, commandId } = command;
    const { seq, at } = outcome;
    return [{ groupId, seq, sender: user, kind, body, at, clientMsgId: commandId }];
  }
  if (command.type === 'group.join' && outcome.type === 'group.join') {
    const { groupId, inviter } = command.invite;
    const body = { event: 'joined', userId: command.user, inviter };
    return [system({ groupId, seq: outcome.seq, sender: command.user, body, at: ts })];
  }
  if (command.type === 'group.leave' && outcome.type === 'group.leave') {
    const { groupId, user } = command;
    const body = { event: 'left', userId: user };
    return [system({ groupId, seq: outcome.seq, sender: user, body, at: ts })];
  }
  if (command.type === 'transfer.deliver' && outcome.type === 'transfer.deliver') {
    return delivered({ command, receipts: outcome.receipts, ts });
  }
  return [];
}

function delivered(args: {
  command: Extract<Op['command'], { type: 'transfer.deliver' }>;
  receipts: Extract<
    Op['outcome'],
    { type: 'transfer.deliver'; status: 'ok' | 'already_opened' }
  >['receipts'];
  ts: TimeMs;
}): Message[] {
  const messages: Message[] = [];
  for (const [index, transfer] of args.command.transfers.entries()) {
    const receipt = args.receipts[index];
    if (receipt?.kind !== 'message') continue;
    const { seq } = receipt;
    if (transfer.kind === 'group.found') {
      const { groupId, owner, name } = transfer;
      const body = { event: 'founded', userId: owner, name };
      messages.push(system({ groupId, seq, sender: owner, body, at: args.ts }));
    } else if (transfer.kind === 'packet.announce') {
      const { groupId, sender, packetId, packetKind, count, greeting, seedHash, expiresAt } =
        transfer;
      const body = JSON.stringify({
        packetId: String(packetId),
        kind: packetKind,
        count,
        greeting,
        seedHash: toHex(seedHash),
        expiresAt,
      });
      messages.push({
        groupId,
        seq,
        sender,
        kind: 'red_packet',
        body,
        at: args.ts,
        clientMsgId: '',
      });
    }
  }
  return messages;
}

function system(args: {
  groupId: Id;
  seq: number;
  sender: UserId;
  body: Readonly<Record<string, string>>;
  at: TimeMs;
}): Message {
  return { ...args, kind: 'system', body: JSON.stringify(args.body), clientMsgId: '' };
}
