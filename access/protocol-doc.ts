import { LIMITS } from '../lib/core/limits.ts';
import {
  CALLBACK_AGE_MS_MAX,
  CALLBACK_BYTES_MAX,
  CALLBACK_HEADERS,
} from '../lib/port/payment-gateway.ts';
import { CLOSE, ERRORS } from './errors.ts';
import type { ErrorCode, Retry } from './errors.ts';
import { CALLBACK_ERRORS, COMMON_ERRORS, OP_ERRORS } from './op-errors.ts';
import type { OpName, Schema } from './schema.ts';
import { EVENTS, INPUTS, OP_NAMES, OUTPUTS, jsonSchemaOf } from './schema.ts';

/** What each op is for, in a line. */
const PURPOSE: Readonly<Record<OpName, string>> = {
  hello: 'The first frame of a socket, within 3 s. Events may arrive before its answer.',
  ping: 'Heartbeat every `heartbeatMs`, with what was seen last: finds a lost last message.',
  'wallet.get': 'The balance, and money that is on its way to it from all Sets.',
  'wallet.history': 'The statement, newest first.',
  'wallet.statement':
    'The lines of a time, oldest first, all pages as of one LSN: opening + all lines = closing.',
  'wallet.balanceAt': 'The balance at a point in time.',
  'wallet.statistics':
    'Packets sent and received in a year of UTC+8. Best luck and the largest share come page by page: they are asked of the packets.',
  'wallet.topup':
    'Money from outside: the event `wallet` says when somebody has paid at `checkoutUrl`. What is paid too late is kept.',
  'wallet.withdraw':
    'Leaves the wallet at once; what the gateway does not pay out comes back, once.',
  'group.create': '`arriving`: the group will be there soon; ask `group.list` or send it again.',
  'group.get': 'A group and its members.',
  'group.list': 'All groups of the user, as in `hello`.',
  'group.invite': 'An opaque invitation that anybody may use until it expires.',
  'group.join': 'Joins by invitation; joining twice is joining once.',
  'group.leave':
    'Ends the membership. With a `clientId` a repeat is answered as the first; not at Sets of rules 1.',
  'message.send': 'Answered when it is stored; members get the event `message`.',
  'message.history':
    'Messages of a range of seqs. A page may hold fewer than `limit`: ask on from its end.',
  'message.read': 'Moves the read cursor; several within 2 s are one move and one answer.',
  'packet.send':
    'Takes the money at once. `arriving`: paid and on its way; it never comes twice. `unpaid`: nobody sees it before it is paid from outside.',
  'packet.grab': 'May I try? Promises nothing. `wait`: the line is full, come back later.',
  'packet.open': 'Takes a share. Asking again gives the same answer, for ever.',
  'packet.get': 'A packet. Amounts are null until this user may see them.',
  'packet.claims': 'Who got what, in the order of opening.',
};

const EVENT_PURPOSE: Readonly<Record<keyof typeof EVENTS, string>> = {
  message: 'A new message of a group. A hole in `seq` is filled by `message.history`.',
  packet: 'A packet went live, was opened by somebody, is empty, or went back.',
  wallet: 'The balance changed. `claim`: the share of a packet has arrived.',
  group: 'A group was founded, or somebody joined or left.',
  level: 'How much of the service is there.',
  reconnect: 'The server is about to stop: connect again after `afterMs`, with `resume`.',
};

/** docs/PROTOCOL.md. A test compares the file with this, so it cannot grow old. */
export function renderProtocol(): string {
  return `${[
    ...preamble(),
    '## Requests',
    ...OP_NAMES.flatMap(opSection),
    '',
    '## Events',
    '',
    '`{"ev": name, "d": {…}}`, to every socket of the members, or of the one user.',
    ...Object.entries(EVENTS).flatMap(([name, schema]) => [
      '',
      `### \`${name}\``,
      '',
      EVENT_PURPOSE[name as keyof typeof EVENTS],
      '',
      ...fieldTable(schema, 'output'),
    ]),
    ...errorSection(),
    ...closeSection(),
    ...httpSection(),
  ].join('\n')}\n`;
}

function preamble(): string[] {
  const kib = LIMITS.frameBytesMax / 1_024;
  return [
    '# The client protocol',
    '',
    '<!-- Written from access/schema.ts by access/protocol-doc.ts; do not edit.',
    '     `WRITE_DOCS=1 vitest run test/unit/access-protocol.test.ts` writes it again. -->',
    '',
    'JSON text frames over a WebSocket at `/v1/ws`, one object a frame.',
    '',
    '- Request: `{"id": 7, "op": "packet.open", "d": {…}}`. `id` is any whole number of the',
    '  client; `d` may be left out when it is empty. Unknown fields are refused.',
    '- Answer: `{"id": 7, "ok": true, "d": {…}, "level": "full"}`, or',
    '  `{"id": 7, "ok": false, "error": {"code", "message", "retryable", "retryAfterMs"}}`.',
    '  `id` is null when it could not be read. Answers may come in another order than requests.',
    '- Event: `{"ev": "message", "d": {…}}`.',
    '- Amounts are whole cents in fields that end in `Cents`, times are milliseconds since 1970',
    '  in fields that end in `At`, ids are decimal strings. New fields may appear in answers and',
    '  events: clients ignore what they do not know.',
    '- `clientId` and `clientMsgId` are UUIDv7s that the client makes once and sends again with',
    '  every retry: the request is done once and answered the same.',
    '- `mark` is an opaque `set:epoch:lsn`.',
    '',
    'Limits:',
    '',
    `- ${kib} KiB a frame`,
    `- ${LIMITS.requestsPerSecond} requests a second and user, ${LIMITS.requestsBurst} at once`,
    `- ${LIMITS.socketsPerUserMax} sockets a user`,
    `- ${LIMITS.backpressureBytesMax / 1_024} KiB that wait for a slow client: beyond it the`,
    '  socket is cut; the client connects again and resumes',
    '',
  ];
}

function opSection(op: OpName): string[] {
  const errors = OP_ERRORS[op].map((code) => `\`${code}\` (${retryWord(code)})`);
  const besides = errors.length === 0 ? 'none' : errors.join(', ');
  return [
    '',
    `### \`${op}\``,
    '',
    PURPOSE[op],
    '',
    'In:',
    '',
    ...fieldTable(INPUTS[op], 'input'),
    '',
    'Out:',
    '',
    ...fieldTable(OUTPUTS[op], 'output'),
    '',
    `Errors besides the common ones: ${besides}.`,
  ];
}

const RETRY_WORDS: Readonly<Record<Retry, string>> = {
  final: 'final',
  retry: 'retry',
  same_id_only: 'same id only',
};

function retryWord(code: ErrorCode): string {
  return RETRY_WORDS[ERRORS[code].retry];
}

function errorSection(): string[] {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const row = (code: ErrorCode): string => {
    const { retryAfterMs, message } = ERRORS[code];
    const wait = retryAfterMs === 0 ? '' : String(retryAfterMs);
    return `| \`${code}\` | ${retryWord(code)} | ${wait} | ${message} |`;
  };
  return [
    '',
    '## Errors',
    '',
    'final: the same request will be refused again. retry: nothing was done, the same request may',
    'succeed later. same id only: it may have been done, so send the same request with the same id',
    'to learn what became of it. `retryable` is false for final ones. The code decides; the',
    'message is for people and may be more exact than here.',
    '',
    `Any request may be refused with: ${COMMON_ERRORS.map((code) => `\`${code}\``).join(', ')}.`,
    '',
    '| code | may be sent again | usual `retryAfterMs` | meaning |',
    '|---|---|---|---|',
    ...codes.map(row),
  ];
}

function closeSection(): string[] {
  return [
    '',
    '## Close codes',
    '',
    'Every close but 4002 may be followed by a new connection with `resume`.',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.values(CLOSE).map(({ code, means }) => `| ${code} | ${means} |`),
    '| 1006 | cut: a slow client, a silent line, or a frame over 64 KiB |',
  ];
}

function httpSection(): string[] {
  return [
    '',
    '## HTTP on the same port',
    '',
    '| address | answer |',
    '|---|---|',
    '| `GET /` | the chat page |',
    '| `GET /healthz` | 200 while the process lives |',
    '| `GET /readyz` | 200 when every Set is up, else 503 with `missingSets` and `draining` |',
    '| `GET /metrics` | Prometheus text |',
    '| `GET /version` | `version`, `topologyVersion` |',
    '| `POST /v1/payments/callback` | what the payment gateway says of a payment; see below |',
    '| `GET /v1/sandbox/checkout/…` | a page of the sandbox gateway; only in development |',
    '| `POST /v1/dev/token` | `{"userId"}` → `{"token", "expiresAt"}`; only in development |',
    '',
    'Tokens are JWTs signed with HS256: `sub` is the user id (1 to 64 bytes of UTF-8 without',
    'control characters), `exp` and `iat` are seconds. Errors are',
    '`{"error": {"code", "message"}}`.',
    ...callbackSection(),
  ];
}

function callbackSection(): string[] {
  const { timestamp, nonce, signature } = CALLBACK_HEADERS;
  const codes = CALLBACK_ERRORS.map((code) => `\`${code}\``).join(', ');
  return [
    '',
    '### Callbacks of the payment gateway',
    '',
    `The body, at most ${CALLBACK_BYTES_MAX / 1_024} KiB: \`{"paymentId", "result": "paid" or "denied", "amountCents",`,
    `"reference", "at"}\`. \`${timestamp}\`: milliseconds since 1970, at most ${CALLBACK_AGE_MS_MAX / 60_000} minutes from ours.`,
    `\`${nonce}\`: 16 to 64 letters, digits, \`_\` or \`-\`, never used twice. \`${signature}\`: hex of`,
    'HMAC-SHA-256 over `timestamp.nonce.body` under the shared secret. Each attempt is signed anew.',
    '',
    '| answer | meaning |',
    '|---|---|',
    '| 200 | settled, now or before |',
    '| 400 | `malformed`: not a callback |',
    '| 401 | `forged`, `stale` or `replayed` |',
    '| 404, 409 | ' + codes + ': another try changes nothing |',
    '| 429 | too much from this address that was refused; `Retry-After` |',
    '| 503 | the Set is away: again after `Retry-After` seconds |',
  ];
}

// ---- tables from JSON schema

type Json = {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Json;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Json[];
  readonly additionalProperties?: Json | boolean;
};

function fieldTable(schema: Schema, io: 'input' | 'output'): string[] {
  const rows = rowsOf(jsonSchemaOf(schema, io) as Json, '');
  if (rows.length === 0) return ['nothing'];
  return ['| field | type | |', '|---|---|---|', ...rows];
}

function rowsOf(schema: Json, prefix: string): string[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const notes = [field.description, required.has(name) ? undefined : optional(field)];
    const list = field.items?.type === 'object' ? field.items : null;
    const nested = nullable(field) ?? field;
    const inner = list ?? (nested.properties === undefined ? null : nested);
    const row = `| \`${path}\` | ${typeOf(field)} | ${notes.filter(Boolean).join('; ')} |`;
    return [row, ...(inner === null ? [] : rowsOf(inner, `${path}${list === null ? '.' : '[].'}`))];
  });
}

function optional(field: Json): string {
  return field.default === undefined ? 'optional' : `usually \`${JSON.stringify(field.default)}\``;
}

/** The other half of `X or null`. */
function nullable(field: Json): Json | undefined {
  return field.anyOf?.find(({ type }) => type !== 'null');
}

function typeOf(field: Json): string {
  if (Array.isArray(field.type)) {
    return field.type
      .map((type: string) => (type === 'null' ? type : typeOf({ type })))
      .join(' or ');
  }
  const other = nullable(field);
  if (other !== undefined) return `${typeOf(other)} or null`;
  if (field.enum !== undefined) return field.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}`;
  if (field.type === 'integer') return `whole number${bounds(field.minimum, field.maximum)}`;
  if (field.type === 'string') return `text${bounds(field.minLength, field.maxLength)}`;
  if (field.type === 'object' && field.properties === undefined) return 'map of id to number';
  return typeof field.type === 'string' ? field.type : 'any';
}

/** The ends of the safe integers are no limit that a reader has to know. */
function bounds(min: number | undefined, max: number | undefined): string {
  const from = min === undefined || min <= Number.MIN_SAFE_INTEGER ? null : min;
  const to = max === undefined || max >= Number.MAX_SAFE_INTEGER ? null : max;
  if (from === null && to === null) return '';
  if (to === null) return ` from ${from}`;
  return from === null ? ` up to ${to}` : ` ${from} to ${to}`;
}
