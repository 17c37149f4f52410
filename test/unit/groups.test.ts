/** Rulings 19: unread messages from one cursor and running counts, in bounded memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packId } from '../../lib/core/ids.ts';
import { LIMITS } from '../../lib/core/limits.ts';
import { setId, timeMs } from '../../lib/core/units.ts';
import type { UserId } from '../../lib/core/user.ts';
import type { Group, Member } from '../../set-node/machine/groups.ts';
import { appendMessage, countsAt, firstSeqOf, unreadOf } from '../../set-node/machine/groups.ts';
import { user } from '../golden/format-examples.ts';

const ANN = user('ann');
const BOB = user('bob');

function member(): Member {
  return {
    role: 'member',
    joinedAt: timeMs(0),
    joinedSeq: 0,
    readSeq: 0,
    readCount: 0,
    ownAfter: 0,
  };
}

function makeGroup(): Group {
  return {
    groupId: packId({ ms: 1, set: setId(1), sequence: 0 }),
    name: '家',
    owner: ANN,
    history: 'all',
    createdAt: timeMs(0),
    members: new Map([
      [ANN, member()],
      [BOB, member()],
    ]),
    version: 1,
    seq: 0,
    counting: 0,
    recent: [],
  };
}

function read(group: Group, name: UserId, seq: number): number {
  const reader = group.members.get(name)!;
  Object.assign(reader, countsAt(group, { seq, user: name, member: reader }), { readSeq: seq });
  return unreadOf(group, reader);
}

test('others count, own and system messages do not', () => {
  const group = makeGroup();
  expect(appendMessage(group, { sender: ANN, counts: true })).toBe(1);
  appendMessage(group, { sender: BOB, counts: true });
  appendMessage(group, { sender: BOB, counts: false });
  expect(unreadOf(group, group.members.get(ANN)!)).toBe(1);
  expect(unreadOf(group, group.members.get(BOB)!)).toBe(1);
  expect(read(group, ANN, 2)).toBe(0);
  expect(read(group, BOB, 1)).toBe(0);
});

describe('against a list of all messages', () => {
  const message = fc.record({
    sender: fc.constantFrom(ANN, BOB, user('gone')),
    counts: fc.boolean(),
  });
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ say: message }) },
    {
      weight: 1,
      arbitrary: fc.record({
        reads: fc.constantFrom(ANN, BOB),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
  );

  test('unread is exact, below the cap, within the ring', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: LIMITS.unreadRing, size: 'max' }), (steps) => {
        const group = makeGroup();
        const all: { sender: UserId; counts: boolean }[] = [];
        const cursor = new Map([
          [ANN, 0],
          [BOB, 0],
        ]);
        for (const each of steps) {
          if ('say' in each) {
            all.push(each.say);
            appendMessage(group, each.say);
          } else {
            const seq = Math.max(cursor.get(each.reads)!, Math.round(each.part * all.length));
            cursor.set(each.reads, seq);
            read(group, each.reads, seq);
          }
          for (const [name, seq] of cursor) {
            const unread = all.slice(seq).filter((m) => m.counts && m.sender !== name).length;
            const shown = unreadOf(group, group.members.get(name)!);
            expect(shown).toBe(Math.min(unread, LIMITS.unreadShownMax));
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

test('memory of messages is bounded, and far below the ring a badge says 99+', () => {
  const group = makeGroup();
  for (let index = 0; index < 1_000; index++) appendMessage(group, { sender: ANN, counts: true });
  expect(group.recent).toHaveLength(LIMITS.unreadRing);
  expect(read(group, BOB, 3)).toBe(LIMITS.unreadShownMax);
  expect(read(group, BOB, 1_000)).toBe(0);
});

test('who may see what came before', () => {
  const group = makeGroup();
  const late = { ...member(), joinedSeq: 41 };
  expect(firstSeqOf(group, late)).toBe(1);
  expect(firstSeqOf({ ...group, history: 'from_join' }, late)).toBe(42);
});
