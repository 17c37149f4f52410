/** Rulings 5: slots and hashes of people, fixed for ever: a wallet that moves is a wallet lost. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SLOT_COUNT, parseUserId, slotOf, userHash } from '../../lib/core/user.ts';
import { user } from './format-examples.ts';

const golden: { user: string; bytes: number; hash: string; slot: number }[] = JSON.parse(
  readFileSync(new URL('users.json', import.meta.url), 'utf8'),
);

describe('hash: the first 16 bytes of SHA-256; slot: its first 10 bits', () => {
  test.each(golden)('$user', ({ user: name, bytes, hash, slot }) => {
    expect(Buffer.byteLength(name)).toBe(bytes);
    const digest = createHash('sha256').update(name, 'utf8').digest();
    expect(digest.toString('hex').slice(0, 32)).toBe(hash);
    expect(Math.floor(digest.readUInt16BE(0) / 64)).toBe(slot);
    expect(userHash(user(name))).toBe(hash);
    expect(slotOf(user(name))).toBe(slot);
  });

  test('the file has alice, bob, 小红 and people of 64 bytes', () => {
    const names = golden.map((row) => row.user);
    expect(names).toEqual(expect.arrayContaining(['alice', 'bob', '小红', 'x'.repeat(64)]));
    expect(golden.filter((row) => row.bytes === 64)).toHaveLength(2);
  });

  test('slots are 0..1023 and every one is somebody', () => {
    const slots = new Set<number>();
    for (let index = 0; index < 20_000; index++) slots.add(slotOf(user(`user-${index}`)));
    expect([Math.min(...slots), Math.max(...slots)]).toEqual([0, SLOT_COUNT - 1]);
    expect(slots.size).toBe(SLOT_COUNT);
  });
});

describe('who may not be a user', () => {
  test.each([
    ['nobody', ''],
    ['65 bytes', 'x'.repeat(65)],
    ['22 characters of three bytes', '红'.repeat(22)],
    ['a NUL', 'a\u0000b'],
    ['a line break', 'a\nb'],
    ['DEL', 'a\u007f'],
    ['C1', 'a\u0085'],
    ['a line separator', 'a\u2028'],
    ['a bidirectional override', 'a\u202egnp'],
    ['an isolate', 'a\u2066b'],
    ['half a pair', 'a\ud800'],
  ])('%s', (_, name) => {
    expect(parseUserId(name)).toBeNull();
  });

  test('bytes decide: a space more is another person, and so is a decomposed letter', () => {
    expect(slotOf(user('alice'))).not.toBe(slotOf(user(' alice')));
    expect(userHash(user('\u00e9'))).not.toBe(userHash(user('e\u0301')));
  });
});
