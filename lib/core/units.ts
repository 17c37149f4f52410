import { assert } from './assert.ts';

declare const unit: unique symbol;
type Unit<T, Name extends string> = T & { readonly [unit]: Name };

/** Integer cents (fen). Always a safe integer, never a float. */
export type Cents = Unit<number, 'Cents'>;
/** Log sequence number of one Set, 1 for the first entry; 0 means "none yet". */
export type Lsn = Unit<number, 'Lsn'>;
/** Leadership epoch of one Set: `round * 256 + node slot` (P1). */
export type Epoch = Unit<number, 'Epoch'>;
/** Number of a Set, 0..1023, part of every id that the Set mints. */
export type SetId = Unit<number, 'SetId'>;
/** Milliseconds since 1970-01-01 UTC. */
export type TimeMs = Unit<number, 'TimeMs'>;

export const SET_ID_MAX = 1023;

export function cents(value: number): Cents {
  assert(Number.isSafeInteger(value), 'cents are safe integers');
  return value as Cents;
}

export function lsn(value: number): Lsn {
  assert(Number.isSafeInteger(value) && value >= 0, 'an LSN is a safe integer, 0 or more');
  return value as Lsn;
}

export function timeMs(value: number): TimeMs {
  assert(Number.isSafeInteger(value) && value >= 0, 'a time is whole milliseconds, 0 or more');
  return value as TimeMs;
}

export function setId(value: number): SetId {
  assert(Number.isInteger(value) && value >= 0 && value <= SET_ID_MAX, 'a Set number is 0..1023');
  return value as SetId;
}

const EPOCH_SLOTS = 256;

/** P1: epochs of different nodes never collide because the node's slot is part of the number. */
export function epochOf(round: number, nodeSlot: number): Epoch {
  assert(Number.isInteger(nodeSlot) && nodeSlot >= 0 && nodeSlot < EPOCH_SLOTS, 'node slot 0..255');
  assert(Number.isInteger(round) && round >= 0 && round < 2 ** 40, 'epoch round 0..2^40');
  return (round * EPOCH_SLOTS + nodeSlot) as Epoch;
}

/** The smallest epoch of `nodeSlot` that is greater than every epoch seen (P1). */
export function nextEpoch(greatestSeen: number, nodeSlot: number): Epoch {
  return epochOf(Math.floor(greatestSeen / EPOCH_SLOTS) + 1, nodeSlot);
}

/** Slots of nodes are 0..254; 255 is nobody's. */
export const NODE_SLOT_MAX = EPOCH_SLOTS - 2;

/** Which node led, leads or wants to lead in this epoch. */
export function nodeSlotOf(of: number): number {
  return of % EPOCH_SLOTS;
}

export function epoch(value: number): Epoch {
  assert(Number.isSafeInteger(value) && value >= 0, 'an epoch is a safe integer, 0 or more');
  return value as Epoch;
}
