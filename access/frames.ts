import type { Failure } from './errors.ts';
import { fail } from './errors.ts';
import type { Input, OpName } from './schema.ts';
import { FRAME, INPUTS } from './schema.ts';

/** A well-formed request, its `d` checked against its op. One member per op, so `op` narrows `d`. */
export type Request = {
  [Op in OpName]: {
    readonly ok: true;
    readonly id: number;
    readonly op: Op;
    readonly d: Input<Op>;
  };
}[OpName];

/** `id` and `op` as far as they could be read. */
export type BadRequest = Failure & { readonly id: number | null; readonly op: OpName | null };

/** Messages may quote what the client sent: not more of it than this. */
const MESSAGE_CHARS_MAX = 200;

type Issue = { readonly path: readonly PropertyKey[]; readonly message: string };

/** Reads one text frame. Never throws, whatever the text. */
export function parseFrame(text: string): Request | BadRequest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ...fail('bad_json'), id: null, op: null };
  }
  const frame = FRAME.safeParse(json);
  if (!frame.success) {
    const message = explain(frame.error.issues, '');
    return { ...fail('bad_frame', { message }), id: idOf(json), op: null };
  }
  const { id, op, d } = frame.data;
  if (!isOp(op)) return { ...fail('unknown_op'), id, op: null };
  const input = INPUTS[op].safeParse(d === undefined ? {} : d);
  if (!input.success) return { ...refuseInput(op, d, input.error.issues), id, op };
  // The schema of this very op accepted it: the one cast of this file.
  return { ok: true, id, op, d: input.data } as Request;
}

function isOp(text: string): text is OpName {
  return Object.hasOwn(INPUTS, text);
}

function idOf(json: unknown): number | null {
  if (typeof json !== 'object' || json === null || !('id' in json)) return null;
  const { id } = json;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : null;
}

/** A number that is no amount of money answers in the Set's words, not as a wrong type. */
function refuseInput(op: OpName, d: unknown, issues: readonly Issue[]): Failure {
  if (op === 'packet.send' && issues.length === 1 && typeof d === 'object' && d !== null) {
    const at = issues[0]?.path[0];
    if (at === 'totalCents' && 'totalCents' in d && typeof d.totalCents === 'number') {
      return fail('amount_out_of_range');
    }
    if (at === 'count' && 'count' in d && typeof d.count === 'number') {
      return fail('count_out_of_range');
    }
  }
  return fail('bad_argument', { message: explain(issues, 'd') });
}

/** `d.packetId: Invalid string …`: where, then what. */
function explain(issues: readonly Issue[], root: string): string {
  const issue = issues[0];
  if (issue === undefined) return 'the request does not fit its schema';
  const path = [root, ...issue.path.map(String)].filter((part) => part !== '').join('.');
  const text = path === '' ? issue.message : `${path}: ${issue.message}`;
  return text.length <= MESSAGE_CHARS_MAX ? text : `${text.slice(0, MESSAGE_CHARS_MAX)}…`;
}
