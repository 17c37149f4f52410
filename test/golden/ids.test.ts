/** Ids of things and of commands. The file was made by a separate program (Python's integers). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DecodeError, Reader, Writer, fromHex, toHex } from '../../lib/core/bytes.ts';
import {
  ID_EPOCH_MS,
  commandIdBytes,
  commandIdFromBytes,
  commandIdTime,
  makeCommandId,
  msOfId,
  packId,
  parseCommandId,
  parseId,
  sequenceOfId,
  setOfId,
} from '../../lib/core/ids.ts';
import { setId } from '../../lib/core/units.ts';

const golden: {
  ids: { ms: number; set: number; sequence: number; id: string; hex: string }[];
  commandIds: { text: string; hex: string; timeMs: number }[];
  made: { now: number; random: string; text: string }[];
} = JSON.parse(readFileSync(new URL('ids.json', import.meta.url), 'utf8'));

test('ids count milliseconds from 2025-01-01 UTC', () => {
  expect(ID_EPOCH_MS).toBe(1_735_689_600_000);
});

describe('41 bits of milliseconds, 10 of Set, 12 of sequence', () => {
  test.each(golden.ids)('$ms ms, Set $set, number $sequence is $id', (vector) => {
    const { ms, sequence } = vector;
    const id = packId({ ms, set: setId(vector.set), sequence });
    expect(String(id)).toBe(vector.id);
    expect(parseId(vector.id)).toBe(id);
    expect([msOfId(id), setOfId(id), sequenceOfId(id)]).toEqual([ms, vector.set, sequence]);
    const w = new Writer();
    w.big(id);
    expect(toHex(w.view())).toBe(vector.hex);
    expect(new Reader(fromHex(vector.hex)).big()).toBe(id);
  });

  test('the largest id is below 2^63: BIGINT and signed columns hold it', () => {
    expect(golden.ids.at(-1)?.id).toBe(String(2n ** 63n - 1n));
  });
});

describe('command ids are UUIDv7', () => {
  test.each(golden.commandIds)('$text', ({ text, hex, timeMs }) => {
    const id = parseCommandId(text);
    if (id === null) throw new Error(`${text} was refused`);
    expect(toHex(commandIdBytes(id))).toBe(hex);
    expect(commandIdFromBytes(fromHex(hex))).toBe(text);
    expect(commandIdTime(id)).toBe(timeMs);
  });

  test.each(golden.made)('made at $now', ({ now, random, text }) => {
    expect(makeCommandId(now, fromHex(random))).toBe(text);
  });

  test.each([
    ['version 4', '019b76000000400080000123456789ab'],
    ['another variant', '019b76000000700000000123456789ab'],
    ['zeros', '00000000000000000000000000000000'],
  ])('%s is refused', (_, hex) => {
    expect(() => commandIdFromBytes(fromHex(hex))).toThrow(DecodeError);
  });
});
