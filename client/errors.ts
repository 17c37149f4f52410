/** The SDK's own codes; all others are the server's words. */
export type LocalCode = 'offline' | 'timeout' | 'closed' | 'connection_lost' | 'bad_answer';

export type ErrorParts = {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
};

/**
 * Every failure of the SDK. `code` decides what to do, the text is for people.
 * - `offline`: never left this machine; `timeout`: may or may not have been done. Asking again with
 *   the same client id is safe and gives the answer of the first try.
 * - `closed`: the client was closed or signed out.
 */
export class HongbaoError extends Error {
  override readonly name = 'HongbaoError';
  readonly code: string;
  /** May the same request, with the same id, succeed later? */
  readonly retryable: boolean;
  /** The server's wish; 0 when it has none. */
  readonly retryAfterMs: number;

  constructor(parts: ErrorParts) {
    super(parts.message);
    this.code = parts.code;
    this.retryable = parts.retryable;
    this.retryAfterMs = parts.retryAfterMs ?? 0;
  }

  /** The answer is known and will not change. */
  get final(): boolean {
    return !this.retryable;
  }
}

export function localError(code: LocalCode, message: string): HongbaoError {
  return new HongbaoError({ code, message, retryable: code !== 'closed' && code !== 'bad_answer' });
}

/** Is a token the reason? Then waiting does not help, another token may. */
export function isAuthError(error: HongbaoError): boolean {
  return error.code === 'token_invalid' || error.code === 'token_expired';
}

/** docs/PROTOCOL.md: the token is invalid or has run out. All other codes only mean: come back. */
const CLOSE_TOKEN = 4002;

export function authErrorOfClose(code: number): HongbaoError | null {
  if (code !== CLOSE_TOKEN) return null;
  return new HongbaoError({ code: 'token_expired', message: 'token refused', retryable: false });
}
