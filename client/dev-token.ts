import { HongbaoError, localError } from './errors.ts';
import { systemPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { isRecord } from './wire.ts';

/**
 * A development token for anybody, where the server offers them (embedded mode). `baseUrl` is
 * `http://host:port`. Rejects with HongbaoError: the server's code, or `offline`.
 */
export async function fetchDevToken(args: {
  readonly baseUrl: string;
  readonly userId: string;
  readonly platform?: Platform;
}): Promise<string> {
  const { baseUrl, userId, platform = systemPlatform } = args;
  let answer: Awaited<ReturnType<Platform['postJson']>>;
  try {
    answer = await platform.postJson(new URL('/v1/dev/token', baseUrl).href, { userId });
  } catch {
    throw localError('offline', 'the server cannot be reached');
  }
  const body = isRecord(answer.body) ? answer.body : {};
  if (typeof body['token'] === 'string') return body['token'];
  const error = isRecord(body['error']) ? body['error'] : {};
  const { code, message } = error;
  throw new HongbaoError({
    code: typeof code === 'string' ? code : 'token_invalid',
    message: typeof message === 'string' ? message : `no token (HTTP ${answer.status})`,
    retryable: answer.status === 429 || answer.status >= 500,
  });
}
