/** Rulings 9: every transfer number is remembered for ever, in bounded memory. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { setId } from '../../lib/core/units.ts';
import { Inbox } from '../../set-node/machine/inbox.ts';

const from = setId(4);

test('any order, duplicates too: each number is new once, and only the highest run is kept', () => {
  const numbers = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 120 });
  fc.assert(
    fc.property(numbers, (arriving) => {
      const inbox = new Inbox();
      const seen = new Set<number>();
      for (const number of arriving) {
        const at = { from, lane: 1, number };
        expect(inbox.has(at)).toBe(seen.has(number));
        if (!seen.has(number)) inbox.record({ ...at, refused: null });
        seen.add(number);
      }
      const lane = inbox.lane(from, 1);
      let upTo = 0;
      while (seen.has(upTo + 1)) upTo += 1;
      expect(lane.upTo).toBe(upTo);
      expect([...lane.above].toSorted((a, b) => a - b)).toEqual(
        [...seen].filter((number) => number > upTo).toSorted((a, b) => a - b),
      );
    }),
  );
});

test('[M8] a number that was received is not received again', () => {
  const inbox = new Inbox();
  inbox.record({ from, lane: 0, number: 1, refused: null });
  expect(() => inbox.record({ from, lane: 0, number: 1, refused: null })).toThrow(AssertionFailed);
});

test('a tombstone stays when the run has passed it', () => {
  const inbox = new Inbox();
  inbox.record({ from, lane: 0, number: 2, refused: 'wrong_set' });
  for (const number of [1, 3, 4]) inbox.record({ from, lane: 0, number, refused: null });
  expect(inbox.lane(from, 0).upTo).toBe(4);
  expect(inbox.tombstone({ from, lane: 0, number: 2 })).toBe('wrong_set');
  expect(inbox.tombstone({ from, lane: 0, number: 3 })).toBeUndefined();
});

test('lanes and sources do not know of each other', () => {
  const inbox = new Inbox();
  inbox.record({ from, lane: 0, number: 1, refused: null });
  expect(inbox.has({ from, lane: 1, number: 1 })).toBe(false);
  expect(inbox.has({ from: setId(5), lane: 0, number: 1 })).toBe(false);
  expect([...inbox.lanes()].map(({ upTo }) => upTo)).toEqual([1]);
});

test('the window ends where it says', () => {
  const inbox = new Inbox();
  const last = LIMITS.transferWindowMax;
  expect(inbox.fits({ from, lane: 0, number: last })).toBe(true);
  expect(inbox.fits({ from, lane: 0, number: last + 1 })).toBe(false);
  const beyond = { from, lane: 0, number: last + 1, refused: null };
  expect(() => inbox.record(beyond)).toThrow(AssertionFailed);
  inbox.record({ from, lane: 0, number: 1, refused: null });
  inbox.record(beyond);
  expect(inbox.lane(from, 0).above.size).toBe(1);
});
