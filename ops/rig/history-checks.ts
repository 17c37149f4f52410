/** What must hold of any history, and the figures that are read from it. */
import { isDeepStrictEqual } from 'node:util';
import { quantile } from '../bench/statistics.ts';
import type { Operation } from './history.ts';

/** In words, what no system may do; empty when the history is sound. */
export function findUnsound<T extends Operation>(
  operations: readonly T[],
  rules: {
    /** What names a command that may be repeated, or null: asked twice, it is answered once. */
    readonly keyOf: (operation: T) => string | null;
    /** The part of a yes that may never change. */
    readonly promiseOf: (operation: T) => unknown;
    /** Whether a refusal is for ever, so that no yes may follow. */
    readonly isFinal: (operation: T) => boolean;
  },
): string[] {
  const found: string[] = [];
  const firstByKey = new Map<string, T>();
  for (const operation of byEnd(operations, found)) {
    const key = rules.keyOf(operation);
    if (key === null || operation.end === 'unknown') continue;
    if (operation.end === 'fail' && !rules.isFinal(operation)) continue;
    const first = firstByKey.get(key);
    if (first === undefined) {
      firstByKey.set(key, operation);
    } else if (first.end !== operation.end) {
      found.push(
        `${key}: ${first.end} at ${first.endedMs}, ${operation.end} at ${operation.endedMs}`,
      );
    } else if (operation.end === 'ok') {
      const same = isDeepStrictEqual(rules.promiseOf(first), rules.promiseOf(operation));
      if (!same) found.push(`${key}: two answers, at ${first.endedMs} and ${operation.endedMs}`);
    }
  }
  return found;
}

/** In the order in which the clients learned; one that never ended, or too early, is a finding. */
function byEnd<T extends Operation>(operations: readonly T[], found: string[]): T[] {
  const ended: { operation: T; endedMs: number }[] = [];
  for (const operation of operations) {
    const { number, op, user, invokedMs, endedMs } = operation;
    if (endedMs === null || operation.end === null)
      found.push(`${op} ${number} of ${user} never ended`);
    else if (endedMs < invokedMs) found.push(`${op} ${number} of ${user} ended before it began`);
    else ended.push({ operation, endedMs });
  }
  return ended.toSorted((a, b) => a.endedMs - b.endedMs).map(({ operation }) => operation);
}

export type HistorySummary = {
  readonly ok: number;
  readonly fail: number;
  readonly unknown: number;
  /** From invocation to yes, ms; NaN without any yes. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
};

/** Counts and times of the operations that were invoked within [fromMs, toMs). */
export function summarize(
  operations: readonly Operation[],
  span: { readonly fromMs: number; readonly toMs: number },
): HistorySummary {
  const count = { ok: 0, fail: 0, unknown: 0 };
  const times: number[] = [];
  for (const { end, endedMs, invokedMs } of operations) {
    if (end === null || endedMs === null || invokedMs < span.fromMs || invokedMs >= span.toMs)
      continue;
    count[end] += 1;
    if (end === 'ok') times.push(endedMs - invokedMs);
  }
  return {
    ...count,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    worstMs: quantile(times, 1),
  };
}

/**
 * The longest time within [fromMs, toMs] in which nobody was told yes, ms: how long a fault that was
 * noted at `fromMs` was felt. An answer that was already on its way does not shorten it.
 */
export function longestSilenceMs(
  operations: readonly Operation[],
  span: { readonly fromMs: number; readonly toMs: number },
): number {
  const { fromMs, toMs } = span;
  const times = operations
    .flatMap(({ end, endedMs }) => (end === 'ok' && endedMs !== null ? [endedMs] : []))
    .filter((ms) => ms > fromMs && ms < toMs)
    .toSorted((a, b) => a - b);
  let longest = 0;
  let last = fromMs;
  for (const ms of [...times, toMs]) {
    longest = Math.max(longest, ms - last);
    last = ms;
  }
  return longest;
}
