/** The page's parts that need no browser: money as text, and a group's messages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageLog, packetIdOf, previewOf, systemText } from '../../client/web/message-log.ts';
import type { Message } from '../../client/index.ts';
import { formatAmount, formatCents, parseCents } from '../../client/web/money.ts';
import { durationText } from '../../client/web/time.ts';

describe('money', () => {
  test.each([
    ['10', 1_000],
    ['10.', 1_000],
    ['10.5', 1_050],
    ['10.05', 1_005],
    ['.5', 50],
    ['0.29', 29],
    [' 1.1 ', 110],
    ['0', 0],
    ['007', 700],
    ['3。14', 314],
    // 1.005 × 100 is 100.49999999999999 for a float.
    ['1.01', 101],
    ['999999999.99', 99_999_999_999],
  ])('%j are %i cents', (text, cents) => {
    expect(parseCents(text)).toBe(cents);
  });

  test.each(['', '.', '-1', '+1', '1,5', '1.005', '1e3', '1 0', '٣', 'NaN', '0x10', '9999999999'])(
    '%j is no amount',
    (text) => {
      expect(parseCents(text)).toBeNull();
    },
  );

  test('what is written can be read again, to the cent', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999_999_999 }), (cents) => {
        expect(parseCents(formatAmount(cents).replaceAll(',', ''))).toBe(cents);
      }),
    );
  });

  test('large sums and debts read well', () => {
    expect(formatCents(123_456_789)).toBe('¥1,234,567.89');
    expect(formatCents(5)).toBe('¥0.05');
    expect(formatCents(-1_050)).toBe('−¥10.50');
    expect(formatCents(Number.MAX_SAFE_INTEGER)).toBe('¥90,071,992,547,409.91');
  });
});

const GROUP = {
  groupId: '1',
  name: 'Family',
  role: 'member',
  lastSeq: 0,
  readSeq: 0,
  firstSeq: 1,
  unread: 0,
  memberCount: 2,
} as const;

function message(seq: number, more: Partial<Message> = {}): Message {
  const plain = { groupId: '1', sender: 'bob', kind: 'text', body: `m${seq}`, at: seq } as const;
  return { ...plain, seq, clientMsgId: '', ...more };
}

describe('a group’s messages', () => {
  test('pages and pushes come together in order, each message once', () => {
    const log = new MessageLog(GROUP);
    log.add([5, 6, 7].map((seq) => message(seq)));
    log.add([8, 3, 4, 5, 8].map((seq) => message(seq)));
    expect(log.messages.map((one) => one.seq)).toEqual([3, 4, 5, 6, 7, 8]);
    expect(log.summary.lastSeq).toBe(8);
    expect(log.hasOlder).toBe(true);
    log.add([2, 1].map((seq) => message(seq)));
    expect(log.hasOlder).toBe(false);
  });

  test('the confirmed message takes the place of the one that was on its way', () => {
    const log = new MessageLog(GROUP);
    const outgoing = { body: 'hi', at: 1, state: 'sending' as const, reason: '' };
    log.outgoing.push({ ...outgoing, clientMsgId: 'a' }, { ...outgoing, clientMsgId: 'b' });
    log.add([message(1, { clientMsgId: 'a', sender: 'me' })]);
    expect(log.outgoing.map((one) => one.clientMsgId)).toEqual(['b']);
  });

  test('the badge stops at a hundred, shown as 99+', () => {
    const log = new MessageLog({ ...GROUP, unread: 98 });
    for (let push = 0; push < 5; push++) log.countUnread();
    expect(log.summary.unread).toBe(100);
  });

  test('what lies before a hole is forgotten, to be read again', () => {
    const log = new MessageLog(GROUP);
    log.add([1, 2, 3, 9].map((seq) => message(seq)));
    log.cutAbove(8);
    expect(log.messages.map((one) => one.seq)).toEqual([9]);
    expect(log.hasOlder).toBe(true);
  });

  test('bodies that are no JSON, or not what we expect, break nothing', () => {
    for (const body of ['', '{', 'null', '[]', '{"packetId":7}', '{"event":{}}']) {
      expect(packetIdOf(message(1, { kind: 'red_packet', body }))).toBeNull();
      expect(previewOf(message(1, { kind: 'red_packet', body }), 'me')).toBe('bob: 🧧 red packet');
      expect(systemText(message(1, { kind: 'system', body }), 'me')).toContain('changed');
    }
  });

  test('system messages speak of people by name and of us as you', () => {
    const joined = (userId: string, inviter: string): string => {
      const body = JSON.stringify({ event: 'joined', userId, inviter });
      return systemText(message(1, { kind: 'system', body }), 'me');
    };
    expect(joined('bob', 'me')).toBe('bob joined, invited by you');
    expect(joined('me', 'eve')).toBe('You joined, invited by eve');
    expect(joined('bob', 'bob')).toBe('bob joined');
  });
});

test('durations are short and never negative', () => {
  expect([-5, 400, 12_400, 125_000, 3 * 3_600_000].map(durationText)).toEqual([
    '0.0 s',
    '0.4 s',
    '12 s',
    '2 min',
    '3 h',
  ]);
});
