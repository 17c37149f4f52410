import type { ErrorCode } from './errors.ts';
import type { OpName } from './schema.ts';

/** What any request may be refused with. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  'bad_json',
  'bad_frame',
  'unknown_op',
  'bad_argument',
  'frame_too_large',
  'hello_required',
  'already_greeted',
  'token_expired',
  'rate_limited',
  'moved',
  'wrong_set',
  'malformed',
  'overloaded',
  'set_unavailable',
  'unknown',
  'internal',
];

const KEYED: readonly ErrorCode[] = ['id_reused', 'id_in_future'];
const IN_GROUP: readonly ErrorCode[] = ['group_not_found', 'not_a_member', 'not_allowed'];
const PAYING: readonly ErrorCode[] = ['wallet_frozen', 'too_many_payments'];
const GRANTED: readonly ErrorCode[] = ['not_a_member', 'grant_invalid', 'grant_expired'];

/** What each op may be refused with besides. The tests hold the server to it. */
export const OP_ERRORS: Readonly<Record<OpName, readonly ErrorCode[]>> = {
  hello: ['token_invalid', 'too_many_sockets', 'issue_limit'],
  ping: [],
  'wallet.get': [],
  'wallet.history': [],
  'wallet.statement': [],
  'wallet.balanceAt': [],
  'wallet.statistics': ['packet_not_found', ...GRANTED, 'not_allowed'],
  'wallet.topup': [
    'amount_out_of_range',
    ...KEYED,
    ...PAYING,
    'not_allowed',
    'issue_limit',
    'gateway_unavailable',
  ],
  'wallet.withdraw': [
    'amount_out_of_range',
    ...KEYED,
    ...PAYING,
    'not_allowed',
    'insufficient_funds',
  ],
  'group.create': [...KEYED, 'too_many_groups'],
  'group.get': IN_GROUP,
  'group.list': [],
  'group.invite': IN_GROUP,
  'group.join': [
    'invite_invalid',
    'invite_expired',
    'group_not_found',
    'group_full',
    'too_many_groups',
  ],
  'group.leave': [...KEYED, ...IN_GROUP],
  'message.send': [...KEYED, ...IN_GROUP],
  'message.history': IN_GROUP,
  'message.read': IN_GROUP,
  'packet.send': [
    'amount_out_of_range',
    'count_out_of_range',
    'share_below_minimum',
    ...KEYED,
    ...GRANTED,
    ...PAYING,
    'not_allowed',
    'insufficient_funds',
    'daily_limit',
    'gateway_unavailable',
  ],
  'packet.grab': ['packet_not_found'],
  'packet.open': [
    'packet_not_found',
    ...GRANTED,
    'not_allowed',
    'packet_expired',
    'packet_drained',
    'packet_not_due',
  ],
  'packet.get': ['packet_not_found', ...GRANTED],
  'packet.claims': ['packet_not_found', ...GRANTED, 'not_allowed'],
};

/** What a payment gateway may hear, over HTTP: no op is refused with these. */
export const CALLBACK_ERRORS: readonly ErrorCode[] = [
  'payment_not_found',
  'amount_mismatch',
  'payment_ended',
];
