import { HongbaoError } from '../index.ts';

/** What a person can do about it; the server's own text is for those who read logs. */
const WORDS: Readonly<Record<string, string>> = {
  offline: 'You are offline. Nothing was sent.',
  timeout: 'No answer yet. It may have gone through: trying again is safe.',
  connection_lost: 'The connection was lost. Trying again is safe.',
  closed: 'You are signed out.',
  token_invalid: 'This server does not let that name in.',
  token_expired: 'Your session has ended. Please sign in again.',
  gateway_unavailable: 'Payments are away for a moment. Please try again.',
  too_many_payments: 'Too many payments are open. Finish one first.',
  wallet_frozen: 'Your wallet is frozen. Please ask the operator.',
  daily_limit: 'That is more than one may send in a day.',
  insufficient_funds: 'Your wallet does not hold that much.',
  not_a_member: 'Only members of this group can do that.',
  group_not_found: 'That group does not exist.',
  group_full: 'The group is full.',
  too_many_groups: 'You are in as many groups as one can be. Leave one first.',
  invite_invalid: 'This invitation is not valid. Ask for a new one.',
  invite_expired: 'This invitation has expired. Ask for a new one.',
  packet_not_found: 'This red packet does not exist.',
  packet_expired: 'This red packet has expired.',
  packet_drained: 'All shares are taken.',
  rate_limited: 'That was very fast. Please wait a second.',
  overloaded: 'It is very busy right now. Please try again.',
  set_unavailable: 'Part of the system is away for a moment. Please try again.',
  unknown: 'No answer yet. It may have gone through: trying again is safe.',
  frame_too_large: 'That is too long to send.',
};

export function explain(error: unknown): string {
  if (error instanceof HongbaoError) return WORDS[error.code] ?? error.message;
  return 'Something went wrong in this page.';
}

/** Did it not happen, or do we not know? */
export function isUncertain(error: unknown): boolean {
  return error instanceof HongbaoError && !error.final && error.code !== 'offline';
}
