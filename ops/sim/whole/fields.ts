import { hold } from '../trace.ts';

/** The fields of a JSON object of the wire, not looked at yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** Readers of docs/PROTOCOL.md's types: a field that is missing or wrong is a violation. */
export function fieldsOf(value: unknown, what: string): Fields {
  hold(typeof value === 'object' && value !== null, `protocol: ${what} is no object`);
  return value as Fields;
}

export function text(d: Fields, name: string): string {
  const value = d[name];
  hold(typeof value === 'string', `protocol: ${name} is ${String(value)}, not a text`);
  return value;
}

export function textOrNull(d: Fields, name: string): string | null {
  return d[name] === null ? null : text(d, name);
}

export function whole(d: Fields, name: string): number {
  const value = d[name];
  const isWhole = typeof value === 'number' && Number.isSafeInteger(value);
  hold(isWhole, `protocol: ${name} is ${String(value)}, not a whole number`);
  return value;
}

export function wholeOrNull(d: Fields, name: string): number | null {
  return d[name] === null ? null : whole(d, name);
}

export function flag(d: Fields, name: string): boolean {
  const value = d[name];
  hold(typeof value === 'boolean', `protocol: ${name} is ${String(value)}, not a boolean`);
  return value;
}

export function list(d: Fields, name: string): readonly Fields[] {
  const value = d[name];
  hold(Array.isArray(value), `protocol: ${name} is no list`);
  return value.map((one) => fieldsOf(one, name));
}

/** A session mark, `set:epoch:lsn`. */
export function markOf(d: Fields): { readonly set: number; readonly lsn: number; text: string } {
  const mark = text(d, 'mark');
  const [set = NaN, , lsn = NaN] = mark.split(':').map(Number);
  hold(Number.isSafeInteger(set) && Number.isSafeInteger(lsn), `protocol: the mark is ${mark}`);
  return { set, lsn, text: mark };
}

/** The Set in whose name an id was made (U4). */
export function setOf(id: string): number {
  return Number((BigInt(id) >> 12n) & 1023n);
}
