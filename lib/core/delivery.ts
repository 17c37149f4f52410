import { assert } from './assert.ts';
import { Writer } from './bytes.ts';
import { COMMAND_CODES } from './command.ts';
import { LIMITS } from './limits.ts';
import type { SetId } from './units.ts';

/** Bytes of a `transfer.deliver` besides its transfers. */
export const DELIVERY_HEAD_BYTES = 14;

/**
 * `encodeCommand` of a `transfer.deliver` whose transfers are encoded already, as their source did
 * it: who carries them reads none. They are validated where they are received, by `decodeCommand`.
 */
export function encodeDelivery(args: {
  from: SetId;
  lane: number;
  /** Number of the first; the others follow without gaps. */
  first: number;
  transfers: readonly Uint8Array[];
}): Uint8Array {
  const { from, lane, first, transfers } = args;
  assert(transfers.length <= LIMITS.deliverTransfersMax, 'a delivery is bounded');
  const size = transfers.reduce((sum, { length }) => sum + length, DELIVERY_HEAD_BYTES);
  const w = new Writer(size);
  w.u8(COMMAND_CODES['transfer.deliver']);
  w.u16(from);
  w.u8(lane);
  w.u64(first);
  w.u16(transfers.length);
  assert(w.length === DELIVERY_HEAD_BYTES, 'the head has its size');
  for (const transfer of transfers) w.fixed(transfer, transfer.length);
  return w.view();
}
