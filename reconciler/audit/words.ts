/** The tags of docs/spec/formats.md: place in the list = code. */
export const PACKET_KINDS = ['lucky', 'equal', 'exclusive'] as const;
export const STRATEGIES = ['double_mean', 'classic', 'uniform', 'equal'] as const;
export const TIMINGS = ['at_open', 'pre_split'] as const;
export const ROLES = ['member', 'admin', 'owner'] as const;
export const HISTORIES = ['all', 'from_join'] as const;
export const ENTRY_KINDS = ['OPS', 'EPOCH_START', 'CONFIG', 'SEAL'] as const;
export const MESSAGE_KINDS = [
  'text',
  'system',
  'red_packet',
  'image',
  'audio',
  'video',
  'file',
] as const;

/** What a gateway said of a payment, and what that made of it. */
export const RESULTS = ['paid', 'denied'] as const;
export const BECAME = ['credited', 'sent', 'paid_out', 'returned', 'dropped'] as const;

export type Strategy = (typeof STRATEGIES)[number];

/** Lanes by what travels in them: control · large credits · credits · refunds. */
export const CONTROL_LANE = 0;
export const CREDIT_LANES: readonly number[] = [1, 2];
export const REFUND_LANE = 3;
export const LANES = 4;

/** `status` of test/golden/formats.json, the list that SPEC C1 names. */
const STATUSES: Readonly<Record<number, string>> = {
  0: 'ok',
  1: 'malformed',
  2: 'bad_argument',
  10: 'amount_out_of_range',
  11: 'count_out_of_range',
  12: 'share_below_minimum',
  13: 'amount_mismatch',
  20: 'wrong_set',
  21: 'moved',
  30: 'already_opened',
  31: 'id_reused',
  32: 'id_in_future',
  40: 'grant_invalid',
  41: 'grant_expired',
  42: 'not_a_member',
  43: 'not_allowed',
  44: 'wallet_frozen',
  50: 'group_not_found',
  51: 'packet_not_found',
  52: 'payment_not_found',
  53: 'group_full',
  54: 'invite_invalid',
  55: 'invite_expired',
  56: 'too_many_groups',
  57: 'too_many_payments',
  60: 'packet_expired',
  61: 'packet_drained',
  62: 'packet_not_due',
  63: 'payment_ended',
  70: 'insufficient_funds',
  71: 'issue_limit',
  72: 'daily_limit',
  80: 'overloaded',
  81: 'set_unavailable',
  82: 'unknown',
};
const WORDS = new Set(Object.values(STATUSES));

/** The word of a status code, or undefined. */
export function statusOf(code: number): string | undefined {
  return STATUSES[code];
}

export function isStatus(word: string): boolean {
  return WORDS.has(word);
}

/** The Set that an id names for life (SPEC U4). */
export function setOf(id: bigint): number {
  return Number((id >> 12n) & 1023n);
}
