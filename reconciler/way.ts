import { DecodeError, Reader } from '../lib/core/bytes.ts';
import type { Status } from '../lib/core/status.ts';
import type { Transfer } from '../lib/core/transfer.ts';
import { moneyOf, readTransfer } from '../lib/core/transfer.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Random } from '../lib/port/random.ts';
import { Backoff } from '../router/backoff.ts';
import type { Case, CaseReason } from './cases.ts';
import type { Lane, Oldest } from './lane.ts';

const WAY_LIMITS = {
  retryFirstMs: 50,
  /** A Set that failed over is back in a second or two: money does not wait longer than that. */
  retryLastMs: 500,
  /** A takeover takes a second or two: whoever says no for so long is not taking over. */
  caseTriesMin: 50,
  caseAgeMs: 60_000,
} as const;

/** One of the two ways of a lane: out to the destination, and back to the source. */
export type Way = {
  readonly backoff: Backoff;
  /** Between a failure and its next try. */
  waits: boolean;
  /** Failures since the last success. */
  tries: number;
  lastAnswer: Status | null;
  /** The one entry that was refused for good, alone; null since something passed. */
  refused: number | null;
};

export function newWay(random: Random): Way {
  const { retryFirstMs: firstMs, retryLastMs: lastMs } = WAY_LIMITS;
  const backoff = new Backoff({ random, firstMs, lastMs });
  return { backoff, waits: false, tries: 0, lastAnswer: null, refused: null };
}

/** Something went through. */
export function passed(way: Way): void {
  way.backoff.reset();
  way.tries = 0;
  way.lastAnswer = 'ok';
  way.refused = null;
}

/** What a person should hear of this lane; null: nothing (SPEC S5). */
export function caseOf(args: {
  where: { readonly from: SetId; readonly to: SetId; readonly lane: number };
  lane: Lane;
  out: Way;
  back: Way;
  now: { readonly monotonicMs: number; readonly wallMs: number };
}): Case | null {
  const { where, lane, out, back, now } = args;
  const { oldest } = lane;
  if (oldest === null) return null;
  const { number, step, seenAtMs } = oldest;
  const way = step === 'ack' ? back : out;
  const ageMs = now.monotonicMs - seenAtMs;
  const reason = reasonOf({ oldest, way, ageMs });
  if (reason === null) return null;
  const transfer = read(oldest.transfer);
  return {
    ...where,
    reason: reason === 'refused' && transfer === null ? 'unreadable' : reason,
    number,
    step,
    kind: transfer?.kind ?? null,
    cents: transfer === null ? 0 : moneyOf(transfer),
    behind: step === 'deliver' ? lane.heldCount - 1 : lane.heldCount,
    firstSeenMs: now.wallMs - Math.round(ageMs),
    tries: way.tries,
    lastAnswer: way.lastAnswer,
  };
}

function reasonOf(args: { oldest: Oldest; way: Way; ageMs: number }): CaseReason | null {
  const { oldest, way, ageMs } = args;
  if (way.refused === oldest.number) return 'refused';
  if (ageMs >= WAY_LIMITS.caseAgeMs) return 'old';
  return way.tries >= WAY_LIMITS.caseTriesMin ? 'failing' : null;
}

/** null: this build cannot. Only for people: nobody's carrying depends on it. */
function read(bytes: Uint8Array): Transfer | null {
  try {
    const reader = new Reader(bytes);
    const transfer = readTransfer(reader);
    reader.end();
    return transfer;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}
