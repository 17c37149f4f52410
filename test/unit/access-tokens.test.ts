import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { timeMs } from '../../lib/core/units.ts';
import { parseUserId } from '../../lib/core/user.ts';
import { Tokens } from '../../access/tokens.ts';

const SECRET = new Uint8Array(32).fill(3);
const NOW = timeMs(1_790_000_000_000);
const tokens = new Tokens(SECRET);

/** Signed by node:crypto, so that our own signing does not check itself. */
function jwt(header: unknown, claims: unknown, secret = SECRET): string {
  const encode = (value: unknown): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const head = `${encode(header)}.${encode(claims)}`;
  return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
}

const HS256 = { alg: 'HS256', typ: 'JWT' };
const exp = NOW / 1_000 + 60;

function codeOf(token: string): string {
  const check = tokens.verify(token, NOW);
  return check.ok ? 'ok' : check.code;
}

describe('Tokens', () => {
  test('what one signs the other verifies', () => {
    const user = parseUserId('爱丽丝')!;
    const { token, expiresAt } = tokens.sign({ user, now: NOW, lifetimeMs: 1_500 });
    expect(tokens.verify(token, NOW)).toEqual({ ok: true, user, expiresAt });
    expect(expiresAt).toBe(NOW + 2_000);
    expect(codeOf(jwt(HS256, { sub: 'alice', exp }))).toBe('ok');
    expect(codeOf(jwt({ alg: 'HS256' }, { sub: 'alice', exp: exp + 0.5 }))).toBe('ok');
  });

  test('the example of RFC 7515 A.1 verifies', () => {
    const key =
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    const token =
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0' +
      'dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    // Its MAC holds, and it names nobody.
    expect(new Tokens(Buffer.from(key, 'base64url')).verify(token, timeMs(0))).toEqual({
      ok: false,
      code: 'token_invalid',
    });
    expect(
      createHmac('sha256', Buffer.from(key, 'base64url'))
        .update(token.slice(0, token.lastIndexOf('.')))
        .digest('base64url'),
    ).toBe(token.slice(token.lastIndexOf('.') + 1));
  });

  test.each([
    ['none', { alg: 'none' }],
    ['another algorithm', { alg: 'HS384' }],
    ['lower case', { alg: 'hs256' }],
    ['critical extensions', { ...HS256, crit: ['b64'], b64: false }],
    ['a key of its own', { ...HS256, jwk: {} }],
    ['another type', { ...HS256, typ: 'JOSE' }],
    ['a list', ['HS256']],
    ['null', null],
  ])('header with %s', (_, header) => {
    expect(codeOf(jwt(header, { sub: 'alice', exp }))).toBe('token_invalid');
  });

  test.each([
    ['no user', { exp }],
    ['a number as user', { sub: 5, exp }],
    ['an empty user', { sub: '', exp }],
    ['a user with a line feed', { sub: 'a\nb', exp }],
    ['a user with a direction override', { sub: 'a\u202eb', exp }],
    ['a user of 65 bytes', { sub: 'x'.repeat(65), exp }],
    ['half a character', { sub: '\ud800', exp }],
    ['no end', { sub: 'alice' }],
    ['an end as text', { sub: 'alice', exp: `${exp}` }],
    ['an endless end', { sub: 'alice', exp: 1e300 }],
    ['a beginning that is to come', { sub: 'alice', exp, nbf: exp }],
  ])('claims with %s', (_, claims) => {
    expect(codeOf(jwt(HS256, claims))).toBe('token_invalid');
  });

  test('expired, and forged is worse than expired', () => {
    expect(codeOf(jwt(HS256, { sub: 'alice', exp: NOW / 1_000 }))).toBe('token_expired');
    const forged = jwt(HS256, { sub: 'alice', exp: 1 }, new Uint8Array(32));
    expect(codeOf(forged)).toBe('token_invalid');
  });

  test('every other text is invalid', () => {
    const good = jwt(HS256, { sub: 'alice', exp });
    const [head = '', claims = '', mac = ''] = good.split('.');
    const texts = [
      '',
      '.',
      '..',
      'a.b.c',
      good.slice(0, -1),
      `${good}.`,
      `${good}=`,
      `${head}.${claims}.`,
      `${head}.${claims}.${mac}.${mac}`,
      ` ${good}`,
      `${head}.${mac}.${claims}`,
      jwt('{', { exp }),
      jwt(HS256, 'no json'),
    ];
    for (const text of texts) expect([text, codeOf(text)]).toEqual([text, 'token_invalid']);
    // The last letter of 32 bytes has two bits to spare: only one spelling is a token.
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const spellings = last.split('').filter((c) => codeOf(good.slice(0, -1) + c) === 'ok');
    expect(spellings).toEqual([good.at(-1)]);
  });

  test('a weak secret is refused', () => {
    expect(() => new Tokens(new Uint8Array(31))).toThrow('at least 32 bytes');
  });
});
