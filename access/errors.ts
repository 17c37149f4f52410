import type { Status } from '../lib/core/status.ts';

/** Refusals that the door itself gives; all others are words of lib/core/status.ts. */
export type DoorCode =
  | 'bad_json'
  | 'bad_frame'
  | 'unknown_op'
  | 'frame_too_large'
  | 'hello_required'
  | 'already_greeted'
  | 'token_invalid'
  | 'token_expired'
  | 'too_many_sockets'
  | 'rate_limited'
  | 'gateway_unavailable'
  | 'internal';

export type ErrorCode = DoorCode | Exclude<Status, 'ok' | 'already_opened'>;

/** `same_id_only`: it may have been done, so only the same request with the same key may follow. */
export type Retry = 'final' | 'retry' | 'same_id_only';

export type ErrorFacts = {
  readonly retry: Retry;
  /** Usual wait before the next try, ms; 0 for final ones. */
  readonly retryAfterMs: number;
  /** What happened and what to do, for a person who reads a log. */
  readonly message: string;
};

function final(message: string): ErrorFacts {
  return { retry: 'final', retryAfterMs: 0, message };
}

function again(retryAfterMs: number, message: string): ErrorFacts {
  return { retry: 'retry', retryAfterMs, message };
}

/** Every code of the wire (docs/PROTOCOL.md is written from it). */
export const ERRORS: Readonly<Record<ErrorCode, ErrorFacts>> = {
  bad_json: final('the frame is not JSON; send one JSON object in a text frame'),
  bad_frame: final('the frame is not {"id", "op", "d"}; send those fields and no others'),
  unknown_op: final('there is no such op; see docs/PROTOCOL.md for the list'),
  frame_too_large: final('the frame is over 16 KiB; send less at once'),
  hello_required: final('send hello first and wait for its answer'),
  already_greeted: final('this socket has said hello; open another one for another token'),
  token_invalid: final('the token is not one of ours; sign in again'),
  token_expired: final('the token has expired; sign in again'),
  too_many_sockets: final('this user has too many open sockets; close one first'),
  rate_limited: again(1_000, 'too many requests; wait and send it again'),
  gateway_unavailable: again(
    2_000,
    'the payment gateway is away; nobody has paid, send the same request again',
  ),
  internal: {
    retry: 'same_id_only',
    retryAfterMs: 1_000,
    message: 'the server failed at this request; send the same one again',
  },

  malformed: final('the Set could not read the request; report this as a bug'),
  bad_argument: final('a field is missing, unknown or not allowed; correct it'),
  amount_out_of_range: final('the amount is not allowed; send whole cents within the limits'),
  count_out_of_range: final('the number of shares is not allowed; send 1 to 100'),
  share_below_minimum: final('less than one cent a share; send more money or fewer shares'),
  wrong_set: final('the id names a Set that does not own it; check the id'),
  moved: again(200, 'it has moved to another Set; send the same request again'),
  id_reused: final('this client id was used for another request; make a new one'),
  id_in_future: final('the time in the client id is ahead of ours; set the clock'),
  group_not_found: final('there is no such group; check the id'),
  packet_not_found: final('there is no such packet; check the id'),
  payment_not_found: final('there is no such payment; check the id'),
  amount_mismatch: final('the amount is not the one of the payment; nothing was moved'),
  grant_invalid: final('the proof of membership does not hold; report this as a bug'),
  grant_expired: again(500, 'membership could not be confirmed in time; try again'),
  not_a_member: final('only members of the group may do this; join it first'),
  not_allowed: final('your role or the rules do not allow this'),
  wallet_frozen: final('the wallet is frozen; it can only receive, ask the operator'),
  invite_invalid: final('the invitation is not one of ours; ask for a new one'),
  invite_expired: final('the invitation has expired; ask for a new one'),
  group_full: final('the group is full'),
  too_many_groups: final('you are in as many groups as one may be; leave one first'),
  too_many_payments: final('too many payments are under way; finish one or wait until it ends'),
  packet_expired: final('the packet has expired and its rest went back'),
  packet_drained: final('the packet is empty; others were faster'),
  packet_not_due: final('the packet cannot be opened yet; wait until it is due'),
  payment_ended: final('the payment has ended another way'),
  insufficient_funds: final('there is not enough money in the wallet'),
  issue_limit: final('no more money may be issued'),
  daily_limit: final('that is more than one may send on one day; try again tomorrow'),
  overloaded: again(1_000, 'too busy just now; wait and send the same request again'),
  set_unavailable: again(1_000, 'a part of the system is away; nothing was done, try again'),
  unknown: {
    retry: 'same_id_only',
    retryAfterMs: 2_000,
    message: 'it may have been done; send the same request again to find out',
  },
};

export type Failure = {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs: number;
};

/** @param more `message` in place of the usual one, `retryAfterMs` when it is known better. */
export function fail(
  code: ErrorCode,
  more?: { readonly message?: string; readonly retryAfterMs?: number },
): Failure {
  const facts = ERRORS[code];
  return {
    ok: false,
    code,
    message: more?.message ?? facts.message,
    retryAfterMs: more?.retryAfterMs ?? facts.retryAfterMs,
  };
}

/** A refusal of a Set in the words of the wire. A success here is a bug of the caller. */
export function failOf(status: Status): Failure {
  return status === 'ok' || status === 'already_opened' ? fail('internal') : fail(status);
}

/** The frame of a refusal. `id` is null when the request's own could not be read. */
export function failureFrame(id: number | null, failure: Failure): string {
  const { code, message, retryAfterMs } = failure;
  const retryable = ERRORS[code].retry !== 'final';
  return JSON.stringify({ id, ok: false, error: { code, message, retryable, retryAfterMs } });
}

/** Why a socket was closed (docs/PROTOCOL.md). 4xxx are ours. */
export const CLOSE = {
  goingAway: { code: 1001, means: 'the server stops; connect again' },
  frameTooLarge: { code: 1009, means: 'a frame was over 16 KiB' },
  restart: { code: 1012, means: 'the server restarts; connect again after the `reconnect` event' },
  helloTimeout: { code: 4001, means: 'no hello within 3 s' },
  token: { code: 4002, means: 'the token is invalid or has expired; sign in again' },
  tooManySockets: { code: 4003, means: 'the user has too many open sockets' },
} as const;

export type CloseReason = keyof typeof CLOSE;
