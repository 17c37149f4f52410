import { describe, expect, test } from 'vitest';
import { AssertionFailed } from '../../lib/core/assert.ts';
import { checkShape } from '../../lib/core/command.ts';
import { makeCommandId } from '../../lib/core/ids.ts';
import { LIMITS, assertLimits } from '../../lib/core/limits.ts';
import type { PacketDefinition } from '../../lib/core/packet.ts';
import { checkDefinition } from '../../lib/core/packet.ts';
import { cents } from '../../lib/core/units.ts';
import { DEFINITION, EXCLUSIVE, GRANT, user } from '../golden/format-examples.ts';

describe('how the limits relate', () => {
  test('as they are', () => {
    expect(() => assertLimits()).not.toThrow();
  });

  /** Each breaks one relation; a process with them does not start. */
  const BROKEN: Partial<Record<keyof typeof LIMITS, number>>[] = [
    { packetTotalCentsMax: LIMITS.packetCountMax - 1 },
    { messageBytesMax: LIMITS.frameBytesMax },
    { commandBytesMax: LIMITS.frameBytesMax },
    { batchBytesMax: LIMITS.commandBytesMax * 2 },
    { answerKeptMs: LIMITS.answerLookupAfterMs },
    { packetLifetimeMs: LIMITS.packetLifetimeMsMax + 1 },
    { unreadRing: LIMITS.unreadShownMax },
    { backpressureBytesMax: LIMITS.frameBytesMax },
    { issuedCentsMax: LIMITS.setTotalCentsMax + 1 },
    { setTotalCentsMax: 2 ** 52 },
    { topupCentsMax: LIMITS.issuedCentsMax },
    { deliverTransfersMax: LIMITS.transferWindowMax + 1 },
  ];

  test.each(BROKEN)('%o is refused', (change) => {
    expect(() => assertLimits({ ...LIMITS, ...change } as typeof LIMITS)).toThrow(AssertionFailed);
  });
});

describe('a definition', () => {
  test.each([DEFINITION, EXCLUSIVE])('that keeps the limits', (definition) => {
    expect(checkDefinition(definition)).toBeNull();
  });

  const total = (amount: number) => ({ totalCents: cents(amount) });
  const BAD: [string, Partial<PacketDefinition>][] = [
    ['amount_out_of_range', total(0)],
    ['amount_out_of_range', total(-1)],
    ['amount_out_of_range', total(LIMITS.packetTotalCentsMax + 1)],
    ['count_out_of_range', { count: 0 }],
    ['count_out_of_range', { count: 1.5 }],
    ['count_out_of_range', { count: LIMITS.packetCountMax + 1 }],
    ['share_below_minimum', { ...total(9), count: 10 }],
    // The first that applies wins: an amount before a count.
    ['amount_out_of_range', { ...total(0), count: 0 }],
    ['bad_argument', { lifetimeMs: LIMITS.packetLifetimeMsMin - 1 }],
    ['bad_argument', { lifetimeMs: LIMITS.packetLifetimeMsMax + 1 }],
    ['bad_argument', { lifetimeMs: 1_000.5 }],
    ['bad_argument', { greeting: '红'.repeat(43) }],
    ['bad_argument', { greeting: '\ud800' }],
    ['bad_argument', { kind: 'equal' }],
    ['bad_argument', { strategy: 'equal' }],
    ['bad_argument', { kind: 'exclusive' }],
    ['bad_argument', { receivers: [user('bob')] }],
  ];

  test.each(BAD)('%s: %o', (status, change) => {
    expect(checkDefinition({ ...DEFINITION, ...change })).toBe(status);
  });

  test('exclusive: at most one receiver a share, each once', () => {
    const bob = user('bob');
    expect(checkDefinition({ ...EXCLUSIVE, receivers: [bob, bob] })).toBe('bad_argument');
    const three = [bob, user('a'), user('b')];
    expect(checkDefinition({ ...EXCLUSIVE, receivers: three })).toBe('bad_argument');
  });

  test('the edges themselves are allowed', () => {
    const { packetTotalCentsMax, packetCountMax, greetingBytesMax } = LIMITS;
    const edge = { ...total(packetTotalCentsMax), count: packetCountMax };
    expect(checkDefinition({ ...DEFINITION, ...edge })).toBeNull();
    expect(checkDefinition({ ...DEFINITION, ...total(10), count: 10 })).toBeNull();
    expect(checkDefinition({ ...DEFINITION, greeting: 'x'.repeat(greetingBytesMax) })).toBeNull();
  });
});

describe('the shape of other commands', () => {
  const commandId = makeCommandId(0, new Uint8Array(10));
  const { groupId } = GRANT;
  const message = {
    type: 'message.send',
    commandId,
    user: user('bob'),
    groupId,
    kind: 'text',
    body: 'x',
    seenSeq: 0,
  } as const;
  const group = {
    type: 'group.create',
    commandId,
    user: user('bob'),
    groupId,
    name: '家',
    history: 'all',
  } as const;

  test('a message has text that fits, and clients do not write for the system', () => {
    expect(checkShape(message)).toBeNull();
    expect(checkShape({ ...message, body: '' })).toBe('bad_argument');
    expect(checkShape({ ...message, body: 'x'.repeat(LIMITS.messageBytesMax) })).toBeNull();
    expect(checkShape({ ...message, body: 'x'.repeat(LIMITS.messageBytesMax + 1) })).toBe(
      'bad_argument',
    );
    expect(checkShape({ ...message, body: '\udc00' })).toBe('bad_argument');
    expect(checkShape({ ...message, kind: 'system' })).toBe('not_allowed');
    expect(checkShape({ ...message, kind: 'red_packet' })).toBe('not_allowed');
  });

  test('a group has a name that fits', () => {
    expect(checkShape(group)).toBeNull();
    expect(checkShape({ ...group, name: '' })).toBe('bad_argument');
    expect(checkShape({ ...group, name: '家'.repeat(32) })).toBeNull();
    expect(checkShape({ ...group, name: '家'.repeat(33) })).toBe('bad_argument');
    expect(checkShape({ ...group, name: '\ud800' })).toBe('bad_argument');
  });

  test('ids are reserved 1..4096 at a time', () => {
    for (const [count, status] of [
      [0, 'count_out_of_range'],
      [1, null],
      [4096, null],
      [4097, 'count_out_of_range'],
    ] as const) {
      expect(checkShape({ type: 'ids.reserve', count })).toBe(status);
    }
  });
});
