import { DecodeError } from '../lib/core/bytes.ts';

/** A number that proto carries as text because it has 64 bits. Throws DecodeError when it is not safe. */
export function wireNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new DecodeError('a number of the wire is not safe');
  return value;
}
