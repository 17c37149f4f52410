import type { Posting } from '../../lib/core/account.ts';
import { unreachable } from '../../lib/core/assert.ts';
import { toHex } from '../../lib/core/bytes.ts';
import type { Command } from '../../lib/core/command.ts';
import { fingerprintOf, keyOf, rulesOf } from '../../lib/core/command.ts';
import { commandIdTime, reserveBlock, setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import type { Outcome } from '../../lib/core/outcome.ts';
import { refuse } from '../../lib/core/outcome.ts';
import type { Status } from '../../lib/core/status.ts';
import { cents } from '../../lib/core/units.ts';
import { slotOf } from '../../lib/core/user.ts';
import type { Decision, Findings, World } from './context.ts';
import { withoutEffects } from './context.ts';
import { createGroup, joinGroup, leaveGroup, readMessages, sendMessage } from './decide-group.ts';
import { expirePacket, openPacket, sendPacket } from './decide-packet.ts';
import {
  adjustWallet,
  expirePayment,
  freezeWallet,
  payPacket,
  settlePayment,
  topUp,
  withdraw,
} from './decide-payment.ts';
import type { At, Of } from './decision.ts';
import { clearing, done, refused, wallet } from './decision.ts';
import type { SetState } from './state.ts';

/**
 * Decides one command against the state without changing it. The order in each room is the order
 * of precedence: shape was checked before; then routing, "have I answered this?", the world, money.
 * Deliveries are decided transfer by transfer in deliver.ts.
 */
export function decide(args: {
  state: SetState;
  command: Exclude<Command, { type: 'transfer.deliver' }>;
  found: Findings;
  world: World;
}): Decision {
  const { state, command } = args;
  // What a leader of a build without this command says, so that the sender falls back (rulings 8).
  if (rulesOf(command) > state.rules) return refused(command, 'malformed');
  const misrouted = whyNotHere(state, command);
  if (misrouted !== null) return refused(command, misrouted);
  const repeated = answerAgain(args);
  if (repeated !== null) return withoutEffects(repeated);
  switch (command.type) {
    case 'set.configure':
      return done({ outcome: { type: command.type, status: 'ok' } });
    case 'ids.reserve': {
      const block = reserveBlock({
        cursor: state.idCursor,
        ts: args.world.ts,
        set: state.setId,
        count: command.count,
      });
      const outcome = {
        type: command.type,
        status: 'ok',
        firstId: block.first,
        count: command.count,
      } as const;
      return done({ outcome });
    }
    case 'wallet.open':
      return openWallet(args, command);
    case 'packet.send':
      return sendPacket(args, command);
    case 'packet.open':
      return openPacket(args, command);
    case 'packet.expire':
      return expirePacket(args, command);
    case 'group.create':
      return createGroup(args, command);
    case 'group.join':
      return joinGroup(args, command);
    case 'group.leave':
      return leaveGroup(args, command);
    case 'message.send':
      return sendMessage(args, command);
    case 'message.read':
      return readMessages(args, command);
    case 'transfer.ack':
      return finishTransfers(args, command);
    case 'wallet.topup':
      return topUp(args, command);
    case 'wallet.withdraw':
      return withdraw(args, command);
    case 'packet.pay':
      return payPacket(args, command);
    case 'payment.settle':
      return settlePayment(args, command);
    case 'payment.expire':
      return expirePayment(args, command);
    case 'wallet.freeze':
      return freezeWallet(args, command);
    case 'wallet.adjust':
      return adjustWallet(args, command);
    default:
      return unreachable(command);
  }
}

/** C1: is this the Set that owns what the command is about? null: yes. */
function whyNotHere(state: SetState, command: Command): Status | null {
  switch (command.type) {
    case 'wallet.open':
    case 'group.create':
    case 'wallet.topup':
    case 'wallet.withdraw':
    case 'wallet.freeze':
    case 'wallet.adjust':
      return state.ownsSlot(slotOf(command.user)) ? null : 'moved';
    case 'packet.send':
    case 'packet.pay':
      return state.ownsSlot(slotOf(command.definition.sender)) ? null : 'moved';
    case 'packet.open':
      return setOfId(command.packetId) === state.setId ? null : 'wrong_set';
    case 'group.join':
      return setOfId(command.invite.groupId) === state.setId ? null : 'wrong_set';
    case 'group.leave':
    case 'message.send':
    case 'message.read':
      return setOfId(command.groupId) === state.setId ? null : 'wrong_set';
    case 'payment.settle':
    case 'payment.expire':
      return setOfId(command.paymentId) === state.setId ? null : 'wrong_set';
    case 'set.configure':
    case 'ids.reserve':
    case 'packet.expire':
    case 'transfer.deliver':
    case 'transfer.ack':
      return null;
    default:
      return unreachable(command);
  }
}

/** Style 2: idempotency before the rules of the world. null: this id has not been answered. */
function answerAgain(args: {
  state: SetState;
  command: Command;
  found: Findings;
  world: World;
}): Outcome | null {
  const { command, state, found, world } = args;
  const key = keyOf(command);
  if (key === null) return null;
  if (commandIdTime(key.commandId) > world.ts + LIMITS.commandIdAheadMsMax) {
    return refuse(command.type, 'id_in_future');
  }
  const earlier =
    state.answers.get(key) ?? (found.earlier?.kind === 'answer' ? found.earlier : undefined);
  if (earlier !== undefined) {
    const same = earlier.fingerprint === toHex(fingerprintOf(command));
    return same ? earlier.outcome : refuse(command.type, 'id_reused');
  }
  return state.answers.size >= LIMITS.answersMax ? refuse(command.type, 'overloaded') : null;
}

function openWallet({ state }: At, command: Of<'wallet.open'>): Decision {
  const { type, user, welcomeCents } = command;
  const person = state.people.get(user);
  const balance = person?.balanceCents ?? 0;
  if (person?.welcomed || welcomeCents === 0) {
    return withoutEffects({ type, status: 'ok', balanceCents: cents(balance), welcomed: false });
  }
  if (welcomeCents - state.issuerCents > LIMITS.issuedCentsMax)
    return refused(command, 'issue_limit');
  return done({
    outcome: { type, status: 'ok', balanceCents: cents(balance + welcomeCents), welcomed: true },
    postings: [
      { account: { kind: 'issuer' }, amountCents: cents(-welcomeCents) },
      wallet(user, welcomeCents),
    ],
  });
}

/** Receipts: rows below `upTo` are done; money of a tombstoned one goes back to who sent it. */
function finishTransfers({ state }: At, command: Of<'transfer.ack'>): Decision {
  const { type, to, lane, upTo } = command;
  if (upTo >= state.outbox.nextNumber(to, lane)) return refused(command, 'bad_argument');
  const { first, transfers } = state.outbox.peek({ to, lane, upTo });
  if (transfers.length === 0) return withoutEffects({ type, status: 'ok', upTo });
  const postings: Posting[] = [];
  for (const number of new Set(command.tombstones.map((tombstone) => tombstone.number))) {
    const transfer = transfers[number - first];
    if (transfer?.kind !== 'packet.create') continue;
    const { sender, totalCents } = transfer.definition;
    postings.push(clearing(to, -totalCents), wallet(sender, totalCents));
  }
  return done({ outcome: { type, status: 'ok', upTo }, postings });
}
