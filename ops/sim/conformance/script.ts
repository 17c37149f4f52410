import { createHash } from 'node:crypto';
import type { Bootstrap, ReplicaStore } from '../../../lib/port/replica-store.ts';

/** Calls whose arguments are data; `bootstrap` brings a question, `close` none. */
type DataMethod = Exclude<keyof ReplicaStore, 'bootstrap' | 'close'>;
type DataCall = {
  [M in DataMethod]: { readonly kind: M; readonly args: Parameters<ReplicaStore[M]> };
}[DataMethod];

export type Call =
  | DataCall
  | {
      readonly kind: 'bootstrap';
      readonly args: readonly [Omit<Bootstrap, 'stillNew'>];
      /** What `stillNew` answers when it is asked; null: it is not given. */
      readonly stillNew: boolean | null;
    }
  | { readonly kind: 'close' };

/** What befalls the server instead. */
export type Incident =
  | { readonly kind: 'restart' | 'wipe' | 'drop-fence-row' | 'drop-manifest' }
  | { readonly kind: 'copy-disk' | 'restore-disk'; readonly copy: number }
  | { readonly kind: 'rot'; readonly at: number };

export type Step = Call | Incident;

/** Steps one after the other on an empty replica; the seed made them. */
export type Script = { readonly seed: number; readonly steps: readonly Step[] };

export function isIncident(step: Step): step is Incident {
  switch (step.kind) {
    case 'restart':
    case 'wipe':
    case 'drop-fence-row':
    case 'drop-manifest':
    case 'copy-disk':
    case 'restore-disk':
    case 'rot':
      return true;
    default:
      return false;
  }
}

const SHOWN_BYTES = 40;

/** Any value as text, the same for the same value: keys in order, long bytes by their checksum. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing';
    case 'bigint':
      return `${value}n`;
    case 'string':
    case 'number':
    case 'boolean':
      return Object.is(value, -0) ? '-0' : JSON.stringify(value);
    case 'object':
      return value === null ? 'null' : showObject(value);
    default:
      return typeof value;
  }
}

function showObject(value: object): string {
  if (value instanceof Uint8Array) {
    if (value.length <= SHOWN_BYTES) return `x${Buffer.from(value).toString('hex')}`;
    const sum = createHash('sha256').update(value).digest('hex').slice(0, 16);
    return `x(${value.length} bytes, ${sum})`;
  }
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${name}: ${show(field)}`);
  return `{${fields.join(', ')}}`;
}

/** A step as one line of a report. */
export function showStep(step: Step): string {
  const { kind, ...rest } = step;
  return Object.keys(rest).length === 0 ? kind : `${kind} ${show(rest)}`;
}
