import { assert } from './assert.ts';

/**
 * What a Set answers, in order of precedence: the first that applies wins. The number is its code
 * on disk and never changes; the word is the wire's.
 */
const STATUS_CODES = {
  // shape: decided before a command is journaled
  malformed: 1,
  bad_argument: 2,
  amount_out_of_range: 10,
  count_out_of_range: 11,
  share_below_minimum: 12,
  // routing
  wrong_set: 20,
  moved: 21,
  // idempotency: before any rule of the world
  ok: 0,
  already_opened: 30,
  id_reused: 31,
  id_in_future: 32,
  // does it exist
  group_not_found: 50,
  packet_not_found: 51,
  payment_not_found: 52,
  // is it what was agreed
  amount_mismatch: 13,
  // may this person
  grant_invalid: 40,
  grant_expired: 41,
  not_a_member: 42,
  not_allowed: 43,
  wallet_frozen: 44,
  invite_invalid: 54,
  invite_expired: 55,
  group_full: 53,
  too_many_groups: 56,
  too_many_payments: 57,
  // phase
  packet_expired: 60,
  packet_drained: 61,
  packet_not_due: 62,
  payment_ended: 63,
  // money
  insufficient_funds: 70,
  issue_limit: 71,
  daily_limit: 72,
  // the system
  overloaded: 80,
  set_unavailable: 81,
  unknown: 82,
} as const;

export type Status = keyof typeof STATUS_CODES;

export const STATUSES = Object.keys(STATUS_CODES) as Status[];

const BY_CODE = new Map<number, Status>(STATUSES.map((status) => [STATUS_CODES[status], status]));
assert(BY_CODE.size === STATUSES.length, 'status codes are unique');

export function statusCode(status: Status): number {
  return STATUS_CODES[status];
}

export function statusFromCode(code: number): Status | null {
  return BY_CODE.get(code) ?? null;
}

/** What a caller may do after a refusal: the status decides, never a text (style 17). */
export function retryOf(status: Status): 'final' | 'retry' | 'same_id_only' {
  switch (status) {
    case 'overloaded':
    case 'set_unavailable':
    case 'moved':
    case 'grant_expired':
      return 'retry';
    case 'unknown':
      return 'same_id_only';
    default:
      return 'final';
  }
}
