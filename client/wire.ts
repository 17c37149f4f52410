import { HongbaoError } from './errors.ts';

/** A frame from the server. Fields that we do not know are ignored: servers may be newer. */
export type Incoming =
  | {
      readonly kind: 'answer';
      readonly id: number;
      readonly d: unknown;
      readonly level: string | null;
    }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: HongbaoError }
  | { readonly kind: 'event'; readonly name: string; readonly d: unknown };

/** null for what is no frame: the caller drops the connection, which is out of step. */
export function parseFrame(text: string): Incoming | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(frame)) return null;
  if (typeof frame['ev'] === 'string') return { kind: 'event', name: frame['ev'], d: frame['d'] };
  const id = frame['id'];
  // A frame that the server could not read has no id to answer to.
  if (typeof id !== 'number') {
    return frame['ok'] === false
      ? { kind: 'refusal', id: -1, error: errorOf(frame['error']) }
      : null;
  }
  if (frame['ok'] === true) {
    const level = frame['level'];
    return { kind: 'answer', id, d: frame['d'], level: typeof level === 'string' ? level : null };
  }
  if (frame['ok'] === false) return { kind: 'refusal', id, error: errorOf(frame['error']) };
  return null;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorOf(value: unknown): HongbaoError {
  const fields = isRecord(value) ? value : {};
  const { code, message, retryable, retryAfterMs } = fields;
  const word = typeof code === 'string' ? code : 'internal';
  return new HongbaoError({
    code: word,
    message: typeof message === 'string' && message !== '' ? message : word,
    retryable: retryable === true,
    retryAfterMs: typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : 0,
  });
}
