import type { Command, CommandType } from '../../lib/core/command.ts';
import { keyOf, mayBeEvicted } from '../../lib/core/command.ts';
import type { Id } from '../../lib/core/ids.ts';
import { ID_EPOCH_MS, asId, isReserved, msOfId, setOfId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { decodeOutcome } from '../../lib/core/outcome.ts';
import type { PaymentPurpose } from '../../lib/core/payment.ts';
import type { Lsn } from '../../lib/core/units.ts';
import { cents, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { ReplicaStore } from '../../lib/port/replica-store.ts';
import type { Earlier } from '../machine/context.ts';
import type { SetState } from '../machine/state.ts';

/** Must a projection be asked before this command can be decided (rulings 9)? Pure. */
export function needsLookup(state: SetState, command: Command): boolean {
  const key = keyOf(command);
  if (key !== null) {
    return mayBeEvicted(key.commandId, state.ts) && state.answers.get(key) === undefined;
  }
  if (command.type === 'packet.open') return isForgotten(state, command.packetId);
  if (command.type === 'payment.settle') {
    const { paymentId } = command;
    return state.payments.get(paymentId) === undefined && isMintedHere(state, paymentId);
  }
  return command.type === 'transfer.deliver' && oldIds(state, command).length > 0;
}

/** Was it minted here, and is it not in memory? */
function isForgotten(state: SetState, packetId: Id): boolean {
  return isMintedHere(state, packetId) && !state.packets.has(packetId);
}

function isMintedHere(state: SetState, id: Id): boolean {
  return setOfId(id) === state.setId && isReserved(id, state.idCursor);
}

/**
 * Packets that a delivery would create under ids old enough to have ended and been forgotten. An id
 * is minted before its packet lives, so a young one cannot have left memory.
 */
function oldIds(state: SetState, command: Extract<Command, { type: 'transfer.deliver' }>): Id[] {
  const { from, lane, first, transfers } = command;
  return transfers.flatMap((transfer, index) => {
    if (transfer.kind !== 'packet.create') return [];
    const { packetId } = transfer.definition;
    const ageMs = state.ts - (ID_EPOCH_MS + msOfId(packetId));
    if (ageMs < LIMITS.endedPacketKeptMs || !isForgotten(state, packetId)) return [];
    return state.inbox.has({ from, lane, number: first + index }) ? [] : [packetId];
  });
}

/**
 * Asks one replica that shows at least `atLsn`: what left memory is there, because eviction waits
 * for Q projections. null when this replica does not show that much yet.
 */
export async function lookUp(args: {
  state: SetState;
  store: ReplicaStore;
  command: Command;
  atLsn: Lsn;
}): Promise<Earlier | null> {
  const { state, store, command, atLsn } = args;
  if (command.type === 'transfer.deliver') {
    const found = await Promise.all(
      oldIds(state, command).map((id) =>
        store.scan({ table: 'red_packet', prefix: [id], limit: 1 }),
      ),
    );
    if (found.some(({ asOfLsn }) => asOfLsn < atLsn)) return null;
    const ids = found.flatMap(({ rows }) => rows.map((row) => row[0] as Id));
    return { kind: 'packets', ids: new Set(ids) };
  }
  const key = keyOf(command);
  if (key !== null) {
    const reply = await store.scan({
      table: 'command_answer',
      prefix: [key.user, key.commandId],
      limit: 1,
    });
    if (reply.asOfLsn < atLsn) return null;
    const row = reply.rows[0];
    if (row === undefined) return { kind: 'nothing' };
    // Of the type that was journaled: a reused id may belong to another kind of command.
    const outcome = decodeOutcome(row[3] as CommandType, row[4] as Uint8Array);
    return { kind: 'answer', fingerprint: row[2] as string, outcome };
  }
  if (command.type === 'payment.settle') return lookUpPayment({ store, command, atLsn });
  if (command.type !== 'packet.open') return { kind: 'nothing' };
  const { packetId, user } = command;
  const [claims, packets] = await Promise.all([
    store.scan({
      table: 'red_packet_record',
      prefix: [packetId],
      limit: LIMITS.packetCountMax,
    }),
    store.scan({ table: 'red_packet', prefix: [packetId], limit: 1 }),
  ]);
  if (claims.asOfLsn < atLsn || packets.asOfLsn < atLsn) return null;
  const claim = claims.rows.find((row) => row[2] === user);
  if (claim !== undefined) {
    const amountCents = cents(claim[3] as number);
    return {
      kind: 'claim',
      amountCents,
      order: claim[1] as number,
      at: timeMs(claim[4] as number),
    };
  }
  const packet = packets.rows[0];
  const phase = packet?.[11];
  if (packet === undefined || (phase !== 'drained' && phase !== 'refunded'))
    return { kind: 'nothing' };
  return { kind: 'ended', phase, groupId: asId(packet[1] as bigint) };
}

async function lookUpPayment(args: {
  store: ReplicaStore;
  command: Extract<Command, { type: 'payment.settle' }>;
  atLsn: Lsn;
}): Promise<Earlier | null> {
  const { store, command, atLsn } = args;
  const reply = await store.scan({ table: 'payment', prefix: [command.paymentId], limit: 1 });
  if (reply.asOfLsn < atLsn) return null;
  const row = reply.rows[0];
  if (row === undefined) return { kind: 'nothing' };
  const [, owner, purpose, amountCents, state, , , , , dueAt, endedAt] = row;
  // One that is under way never leaves memory: a row that says so is older than the end.
  if (state !== 'paid' && state !== 'denied' && state !== 'expired') return null;
  return {
    kind: 'payment',
    state,
    purpose: purpose as PaymentPurpose,
    owner: owner as UserId,
    amountCents: cents(amountCents as number),
    inTime: (endedAt as number) < (dueAt as number),
  };
}
