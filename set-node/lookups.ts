import type { Command } from '../lib/core/command.ts';
import { keyOf, mayBeEvicted } from '../lib/core/command.ts';
import { asId, isReserved, setOfId } from '../lib/core/ids.ts';
import { decodeOutcome } from '../lib/core/outcome.ts';
import type { Lsn } from '../lib/core/units.ts';
import { cents, timeMs } from '../lib/core/units.ts';
import type { ReplicaStore } from '../lib/port/replica-store.ts';
import type { Earlier } from './context.ts';
import type { SetState } from './state.ts';

/** Must a projection be asked before this command can be decided (rulings 9)? Pure. */
export function needsLookup(state: SetState, command: Command): boolean {
  const key = keyOf(command);
  if (key !== null) {
    return mayBeEvicted(key.commandId, state.ts) && state.answers.get(key) === undefined;
  }
  if (command.type !== 'packet.open') return false;
  const { packetId } = command;
  return (
    setOfId(packetId) === state.setId && !state.packets.has(packetId) &&
    isReserved(packetId, state.idCursor)
  );
}

/**
 * Asks one replica that shows at least `atLsn`: what left memory is there, because eviction waits
 * for Q projections. null when this replica does not show that much yet.
 */
export async function lookUp(args: {
  store: ReplicaStore;
  command: Command;
  atLsn: Lsn;
}): Promise<Earlier | null> {
  const { store, command, atLsn } = args;
  const key = keyOf(command);
  if (key !== null) {
    const reply = await store.scan({ table: 'command_answer', prefix: [key.user, key.commandId], limit: 1 });
    if (reply.asOfLsn < atLsn) return null;
    const row = reply.rows[0];
    if (row === undefined) return { kind: 'nothing' };
    const outcome = decodeOutcome(command.type, row[4] as Uint8Array);
    return { kind: 'answer', fingerprint: row[2] as string, outcome };
  }
  if (command.type !== 'packet.open') return { kind: 'nothing' };
  const { packetId, user } = command;
  const [claims, packets] = await Promise.all([
    store.scan({ table: 'red_packet_record', prefix: [packetId, user], limit: 1 }),
    store.scan({ table: 'red_packet', prefix: [packetId], limit: 1 }),
  ]);
  if (claims.asOfLsn < atLsn || packets.asOfLsn < atLsn) return null;
  const claim = claims.rows[0];
  if (claim !== undefined) {
    const amountCents = cents(claim[3] as number);
    return { kind: 'claim', amountCents, order: claim[2] as number, at: timeMs(claim[4] as number) };
  }
  const packet = packets.rows[0];
  const phase = packet?.[11];
  if (packet === undefined || (phase !== 'drained' && phase !== 'refunded')) return { kind: 'nothing' };
  return { kind: 'ended', phase, groupId: asId(packet[1] as bigint) };
}
