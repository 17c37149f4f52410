/** Rulings 4: ids come from replicated state; neither a clock nor a takeover mints one twice. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import type { IdCursor } from '../../lib/core/ids.ts';
import {
  ID_CURSOR_START,
  ID_EPOCH_MS,
  IDS_PER_MS,
  commandIdTime,
  idPlus,
  isReserved,
  makeCommandId,
  packId,
  parseCommandId,
  parseId,
  reserveBlock,
  setOfId,
} from '../../lib/core/ids.ts';
import { setId, timeMs } from '../../lib/core/units.ts';

const SET = setId(5);

function reserve(cursor: IdCursor, ts: number, count: number) {
  return reserveBlock({ cursor, ts: timeMs(ts), set: SET, count });
}

describe('reserveBlock', () => {
  test('follows log time', () => {
    const { first } = reserve(ID_CURSOR_START, ID_EPOCH_MS + 77, 10);
    expect(first).toBe(packId({ ms: 77, set: SET, sequence: 0 }));
  });

  test('a block lies within one millisecond; the id clock runs ahead when it is full', () => {
    const full = reserve(ID_CURSOR_START, ID_EPOCH_MS + 77, IDS_PER_MS);
    const next = reserve(full.cursor, ID_EPOCH_MS + 77, 2);
    expect(next.first).toBe(packId({ ms: 78, set: SET, sequence: 0 }));
    const wide = reserve(next.cursor, ID_EPOCH_MS + 77, IDS_PER_MS - 1);
    expect(wide.first).toBe(packId({ ms: 79, set: SET, sequence: 0 }));
  });

  test('whatever the clock does, no id is given twice, and all given ones are known', () => {
    const wish = fc.record({
      at: fc.integer({ min: -1_000, max: 1_000 }),
      count: fc.integer({ min: 1, max: IDS_PER_MS }),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 50 }), (wishes) => {
        let cursor = ID_CURSOR_START;
        let last = -1n;
        for (const { at, count } of wishes) {
          const block = reserve(cursor, Math.max(0, ID_EPOCH_MS + at), count);
          expect(block.first > last).toBe(true);
          expect(isReserved(block.first, cursor)).toBe(false);
          cursor = block.cursor;
          last = idPlus(block.first, count - 1);
          expect(isReserved(idPlus(block.first, count - 1), cursor)).toBe(true);
          expect(setOfId(idPlus(block.first, count - 1))).toBe(SET);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('nothing, and more than a millisecond holds, are bugs', () => {
    expect(() => reserve(ID_CURSOR_START, 0, 0)).toThrow(AssertionFailed);
    expect(() => reserve(ID_CURSOR_START, 0, IDS_PER_MS + 1)).toThrow(AssertionFailed);
    const id = packId({ ms: 1, set: SET, sequence: IDS_PER_MS - 1 });
    expect(() => idPlus(id, 1)).toThrow(AssertionFailed);
  });
});

test.each([
  ['0', 0n],
  ['1', 1n],
  ['9223372036854775807', 2n ** 63n - 1n],
])('parseId(%s)', (text, id) => expect(parseId(text)).toBe(id));

test.each([
  '',
  '01',
  '-1',
  '+1',
  '1.0',
  '1e3',
  ' 1',
  '0x1',
  '9223372036854775808',
  '99999999999999999999',
  '１',
])('parseId refuses %j', (text) => expect(parseId(text)).toBeNull());

test('a command id carries its time, whatever the chance', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      fc.uint8Array({ minLength: 10, maxLength: 10 }),
      (now, random) => {
        const id = makeCommandId(now, random);
        expect(parseCommandId(id)).toBe(id);
        expect(commandIdTime(id)).toBe(now);
      },
    ),
  );
});

test('a command id in capitals is another text and not taken', () => {
  expect(parseCommandId('019B7600-0000-7000-8000-0123456789AB')).toBeNull();
});
