import { hold } from '../trace.ts';
import type { Asked, Knew } from './connection.ts';
import type { Errand } from './errand.ts';
import { SEALED } from './errand.ts';
import type { Fields } from './fields.ts';
import { fieldsOf, flag, text, whole } from './fields.ts';

/** The same request may be sent again after these (docs/PROTOCOL.md, Errors). */
const AGAIN: ReadonlySet<string> = new Set([
  'rate_limited',
  'gateway_unavailable',
  'internal',
  'moved',
  'grant_expired',
  'overloaded',
  'set_unavailable',
  'unknown',
]);
/** Of the socket, not of the request: it goes over another one. */
const OF_THE_SOCKET: ReadonlySet<string> = new Set([
  'token_expired',
  'token_invalid',
  'too_many_sockets',
]);
/** People who ask as they should are never told these. */
const BUGS: ReadonlySet<string> = new Set([
  'bad_json',
  'bad_frame',
  'unknown_op',
  'frame_too_large',
  'hello_required',
  'already_greeted',
  'internal',
  'malformed',
  'wrong_set',
  'grant_invalid',
  'invite_invalid',
  'issue_limit',
  'packet_not_due',
  'payment_not_found',
  'amount_mismatch',
  'payment_ended',
]);
/** Wrong on purpose only. */
const OURS: ReadonlySet<string> = new Set([
  'bad_argument',
  'amount_out_of_range',
  'count_out_of_range',
  'share_below_minimum',
  'id_reused',
]);
const OTHERS: ReadonlySet<string> = new Set([
  'id_in_future',
  'group_not_found',
  'packet_not_found',
  'not_a_member',
  'not_allowed',
  'invite_expired',
  'group_full',
  'too_many_groups',
  'packet_expired',
  'packet_drained',
  ...SEALED,
]);

export type No = {
  readonly code: string;
  readonly final: boolean;
  readonly retryAfterMs: number;
};

/**
 * Reads a refusal and holds it against what was certain when the question left. `isMember`: the
 * asker has not asked to leave since.
 */
export function readNo(reply: Fields, asked: Asked, isMember: boolean): No {
  const error = fieldsOf(reply['error'], 'error');
  const code = text(error, 'code');
  const what = `${asked.errand?.name ?? asked.op} is refused with ${code}`;
  const isKnown = AGAIN.has(code) || OF_THE_SOCKET.has(code) || OURS.has(code) || OTHERS.has(code);
  hold(isKnown || BUGS.has(code), `protocol: ${what}, which is no code`);
  hold(!BUGS.has(code), `protocol: ${what}`);
  const retryable = flag(error, 'retryable');
  hold(retryable === AGAIN.has(code), `protocol: ${what}, retryable ${retryable}`);
  const final = !AGAIN.has(code) && !OF_THE_SOCKET.has(code);
  if (asked.errand !== null && final)
    holdNo({
      errand: asked.errand,
      code,
      knew: { ...asked.knew, member: asked.knew.member && isMember },
      what,
    });
  return { code, final, retryAfterMs: whole(error, 'retryAfterMs') };
}

function holdNo(args: { errand: Errand; code: string; knew: Knew; what: string }): void {
  const { errand, code, knew, what } = args;
  const { yes, shown, ended, opened, member } = knew;
  const { mustFail, want } = errand;
  if (mustFail !== null) return hold(code === mustFail, `C3 ${what}, and must be with ${mustFail}`);
  hold(!OURS.has(code), `C1 ${what}, and nothing is wrong with it`);
  const lasting = errand.isKeyed || want.op === 'packet.open';
  hold(!(yes && lasting), `M9 ${what} after a yes`);
  if (want.op === 'packet.open') hold(!opened, `C5 ${what} after it was opened`);
  if (code === 'packet_not_found') hold(!shown, `M10 ${what} after it was shown`);
  if (code === 'packet_expired') hold(ended !== 'drained', `M7 ${what} after its end, drained`);
  if (code === 'packet_drained') hold(ended !== 'refunded', `M7 ${what} after its end, refunded`);
  if (code === 'not_a_member' || code === 'group_not_found')
    hold(!member, `Q1 ${what} to a member`);
  if (want.op === 'packet.claims' && code === 'not_allowed')
    hold(!opened, `Q4 ${what} to an opener`);
  if (SEALED.has(code)) hold(errand.yes === null, `C7 ${what} beside a yes`);
}
