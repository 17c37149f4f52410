import { assert } from '../lib/core/assert.ts';
import { utf8 } from '../lib/core/bytes.ts';
import { HmacKey } from '../lib/core/hmac.ts';
import type { TimeMs } from '../lib/core/units.ts';
import { timeMs } from '../lib/core/units.ts';
import type { UserId } from '../lib/core/user.ts';
import { parseUserId } from '../lib/core/user.ts';

export type TokenCheck =
  | { readonly ok: true; readonly user: UserId; readonly expiresAt: TimeMs }
  | { readonly ok: false; readonly code: 'token_invalid' | 'token_expired' };

/** HS256 has a 256-bit key or it is weaker than its name (RFC 7518, 3.2). */
export const TOKEN_SECRET_BYTES_MIN = 32;

const HEADER = encode({ alg: 'HS256', typ: 'JWT' });
const INVALID = { ok: false, code: 'token_invalid' } as const;
const EXPIRED = { ok: false, code: 'token_expired' } as const;

/**
 * JSON web tokens (RFC 7519) with HS256 and nothing else: the header cannot choose the algorithm.
 * Claims: `sub` the user id, `exp`, `iat` and `nbf` in seconds.
 */
export class Tokens {
  readonly #key: HmacKey;

  constructor(secret: Uint8Array) {
    assert(secret.length >= TOKEN_SECRET_BYTES_MIN, 'a token secret has at least 32 bytes');
    this.#key = new HmacKey(secret);
  }

  sign(args: { user: UserId; now: TimeMs; lifetimeMs: number }): {
    token: string;
    expiresAt: TimeMs;
  } {
    const iat = Math.floor(args.now / 1_000);
    const exp = iat + Math.ceil(args.lifetimeMs / 1_000);
    const head = `${HEADER}.${encode({ sub: args.user, iat, exp })}`;
    const mac = Buffer.from(this.#key.mac(utf8(head))).toString('base64url');
    return { token: `${head}.${mac}`, expiresAt: timeMs(exp * 1_000) };
  }

  /** Never throws. A forged token is `token_invalid` whatever its dates say. */
  verify(token: string, now: TimeMs): TokenCheck {
    const parts = token.split('.');
    const [header = '', payload = '', signature = ''] = parts;
    if (parts.length !== 3 || !isOurHeader(decode(header))) return INVALID;
    const mac = bytesOf(signature);
    if (mac === null || !equalInTime(mac, this.#key.mac(utf8(`${header}.${payload}`)))) {
      return INVALID;
    }
    const claims = decode(payload);
    if (claims === null) return INVALID;
    const { sub, exp, nbf } = claims;
    if (typeof sub !== 'string' || !isSeconds(exp)) return INVALID;
    if (nbf !== undefined && (!isSeconds(nbf) || nbf * 1_000 > now)) return INVALID;
    const user = parseUserId(sub);
    if (user === null) return INVALID;
    if (exp * 1_000 <= now) return EXPIRED;
    return { ok: true, user, expiresAt: timeMs(Math.floor(exp * 1_000)) };
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function bytesOf(text: string): Buffer | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  // The last letter may carry bits that are dropped: two texts must not be one token.
  return bytes.toString('base64url') === text ? bytes : null;
}

function decode(text: string): Record<string, unknown> | null {
  const bytes = bytesOf(text);
  if (bytes === null) return null;
  try {
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
    return isObject ? { ...json } : null;
  } catch {
    return null;
  }
}

/** Exactly HS256; `crit` and everything else that would change the meaning is refused. */
function isOurHeader(header: Record<string, unknown> | null): boolean {
  if (header === null || header['alg'] !== 'HS256') return false;
  if (header['typ'] !== undefined && header['typ'] !== 'JWT') return false;
  return Object.keys(header).every((key) => key === 'alg' || key === 'typ' || key === 'kid');
}

/** 10^11 seconds is the year 5138: times stay safe integers in milliseconds. */
function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= 1e11;
}

/** Takes the same time wherever the first difference is. */
function equalInTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a[index]! ^ b[index]!;
  return difference === 0;
}
