import type { SQLInputValue } from 'node:sqlite';

const EMPTY = new Uint8Array(8).subarray(0, 0);

/**
 * A value as node:sqlite must get it: it binds empty bytes that came from another thread (their
 * buffer has no address) as NULL.
 */
export function bindable<T extends SQLInputValue>(value: T): T | Uint8Array {
  return value instanceof Uint8Array && value.length === 0 ? EMPTY : value;
}
