import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { retryOf, STATUSES } from '../../lib/core/status.ts';
import type { ErrorCode } from '../../access/errors.ts';
import { ERRORS, fail, failOf, failureFrame } from '../../access/errors.ts';
import { CALLBACK_ERRORS, COMMON_ERRORS, OP_ERRORS } from '../../access/op-errors.ts';
import { renderProtocol } from '../../access/protocol-doc.ts';
import { OP_NAMES } from '../../access/schema.ts';

const FILE = join(import.meta.dirname, '../../docs/PROTOCOL.md');

test('docs/PROTOCOL.md is what the schemas say', () => {
  if (process.env['WRITE_DOCS'] === '1') writeFileSync(FILE, renderProtocol());
  expect(readFileSync(FILE, 'utf8')).toBe(renderProtocol());
});

test('the document names every op, code and field that ends in a unit', () => {
  const text = renderProtocol();
  for (const op of OP_NAMES) expect(text).toContain(`### \`${op}\``);
  for (const code of Object.keys(ERRORS)) expect(text).toContain(`| \`${code}\` |`);
  expect(text).toContain('| `totalCents` | whole number |');
  expect(text).toContain('| `groups[].lastSeq` |');
});

test('every refusal of a Set has its word here and the same advice as in the core', () => {
  for (const status of STATUSES) {
    if (status === 'ok' || status === 'already_opened') continue;
    expect([status, ERRORS[status].retry]).toEqual([status, retryOf(status)]);
  }
});

test('a wait belongs to what may be sent again, and only to that', () => {
  for (const [code, { retry, retryAfterMs, message }] of Object.entries(ERRORS)) {
    expect([code, retryAfterMs > 0]).toEqual([code, retry !== 'final']);
    expect(message.length).toBeGreaterThan(10);
  }
});

test('every code belongs to some op or to callbacks, and no op lists a common one twice', () => {
  const all = new Set<ErrorCode>([
    ...COMMON_ERRORS,
    ...CALLBACK_ERRORS,
    ...Object.values(OP_ERRORS).flat(),
  ]);
  expect([...all].toSorted()).toEqual(Object.keys(ERRORS).toSorted());
  for (const codes of Object.values(OP_ERRORS)) {
    expect(codes.filter((code) => COMMON_ERRORS.includes(code))).toEqual([]);
  }
});

test('a refusal on the wire', () => {
  const frame = failureFrame(7, fail('rate_limited', { retryAfterMs: 12 }));
  expect(JSON.parse(frame)).toEqual({
    id: 7,
    ok: false,
    error: {
      code: 'rate_limited',
      message: ERRORS.rate_limited.message,
      retryable: true,
      retryAfterMs: 12,
    },
  });
  expect(JSON.parse(failureFrame(null, fail('bad_json')))).toMatchObject({ id: null });
  // A success that is treated as a refusal is a bug of ours, not of the client.
  expect(failOf('ok').code).toBe('internal');
});
