import { toHex } from '../core/bytes.ts';
import type { Clock } from '../port/clock.ts';
import type { Log } from '../port/log.ts';

export const LOG_LEVELS = ['info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;

/**
 * One JSON line an event: time, level, event, then the fields. Goes to stderr unless `write` says
 * otherwise. A field that cannot be written is left out; a log never throws.
 */
export function makeJsonLog(args: {
  clock: Clock;
  /** The least level that is written. */
  level?: LogLevel;
  write?: (line: string) => void;
}): Log {
  const { clock, level = 'info', write = (line) => void process.stderr.write(line) } = args;
  const least = LOG_LEVELS.indexOf(level);
  const at =
    (of: LogLevel) =>
    (event: string, fields: Fields = {}): void => {
      if (LOG_LEVELS.indexOf(of) < least) return;
      const head = { time: new Date(clock.now()).toISOString(), level: of, event };
      // The head last, so that no field takes its place; first in the line all the same.
      write(`${stringify({ ...head, ...fields, ...head })}\n`);
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

function stringify(line: Fields): string {
  try {
    return JSON.stringify(line, plain);
  } catch {
    // A cycle, or a getter that throws: what happened matters more than its fields.
    const { time, level, event } = line;
    return JSON.stringify({ time, level, event, fields: 'not_serializable' });
  }
}

/** What JSON cannot say: ids, bytes, errors. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return toHex(value.subarray(0, 64));
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return value;
}
