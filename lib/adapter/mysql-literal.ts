import type { Row, Value } from '../port/replica-store.ts';

const SPECIAL = /['\\\0]/;
const EACH_SPECIAL = /['\\\0]/g;

// The claims of a packet follow each other: its id is turned into digits once.
let lastId = 0n;
let lastIdText = '0';

/** A value as text of a statement, for a session with backslash escapes (asserted at connect). */
export function literal(value: Value): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') {
    if (value !== lastId) {
      lastId = value;
      lastIdText = value.toString();
    }
    return lastIdText;
  }
  if (value === null) return 'NULL';
  if (typeof value === 'string') {
    if (!SPECIAL.test(value)) return `'${value}'`;
    return `'${value.replace(EACH_SPECIAL, (each) => (each === '\0' ? '\\0' : `\\${each}`))}'`;
  }
  if (value.length === 0) return "''";
  return `x'${Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')}'`;
}

/** Values with commas between. Of a key: text that two share only when they are equal. */
export function literals(values: Row): string {
  let text = literal(values[0] ?? null);
  for (let at = 1; at < values.length; at++) text += `,${literal(values[at] ?? null)}`;
  return text;
}

export function tuple(values: Row): string {
  return `(${literals(values)})`;
}
