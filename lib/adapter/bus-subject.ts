import { assert } from '../core/assert.ts';

const SUBJECT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const PATTERN = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.>)?$/;

/** [BU1d] More than any bell says; a message of many records still fits 64 KiB with it. */
export const BUS_PAYLOAD_MAX = 60 * 1_024;
/** Subjects are made of numbers and names of our own. */
const SUBJECT_LENGTH_MAX = 200;

/** What every bus asserts of a publisher (BU1c, BU1d). */
export function assertMessage(subject: string, payload: Uint8Array): void {
  assert(
    subject.length <= SUBJECT_LENGTH_MAX && SUBJECT.test(subject),
    'a subject is ASCII words joined by dots',
  );
  assert(payload.length <= BUS_PAYLOAD_MAX, 'a payload has at most 60 KiB');
}

/** What every bus asserts of a subscriber (BU1c). */
export function assertPattern(pattern: string): void {
  assert(
    pattern.length <= SUBJECT_LENGTH_MAX && PATTERN.test(pattern),
    'a subject is ASCII words joined by dots, and may end in `.>`',
  );
}

/** [BU2a] `a.>` takes all below `a`, not `a` itself. */
export function matches(pattern: string, subject: string): boolean {
  return pattern.endsWith('.>') ? subject.startsWith(pattern.slice(0, -1)) : pattern === subject;
}
