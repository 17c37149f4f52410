import { DecodeError, Reader } from '../lib/core/bytes.ts';
import { LANE_COUNT } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import { setId } from '../lib/core/units.ts';
import type { OutboxAnswer__Output } from '../proto/gen/hongbao/OutboxAnswer.ts';

/** One outbox entry as its source sent it. */
export type Paged = {
  readonly to: SetId;
  readonly lane: number;
  readonly number: number;
  /** Encoded; it shares memory with the rest of its page. */
  readonly transfer: Uint8Array;
};

/** The entries of an answer, in order of number within each lane. Throws DecodeError. */
export function pageOf({ runs, entries }: OutboxAnswer__Output): Paged[] {
  const page: Paged[] = [];
  for (const run of runs) {
    const [to, lane] = [setOf(run.to), laneOf(run.lane)];
    const r = new Reader(run.transfers);
    for (let number = Number(run.first); r.rest > 0; number++) {
      page.push({ to, lane, number, transfer: r.blob() });
    }
  }
  // Of a node of a build before runs.
  for (const { to, lane, number, transfer } of entries) {
    page.push({ to: setOf(to), lane: laneOf(lane), number: Number(number), transfer });
  }
  return page;
}

function setOf(value: number): SetId {
  if (value > 1_023) throw new DecodeError('a Set number is 0..1023');
  return setId(value);
}

function laneOf(value: number): number {
  if (value >= LANE_COUNT) throw new DecodeError('unknown lane');
  return value;
}
