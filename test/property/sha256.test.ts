import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../lib/core/bytes.ts';
import { HmacKey, hmacSha256, swapBytes } from '../../lib/core/hmac.ts';
import { sha256, Sha256 } from '../../lib/core/sha256.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe('SHA-256 against node:crypto', () => {
  test('every length from 0 to 300, also in the middle of a larger buffer', () => {
    const source = Uint8Array.from({ length: 310 }, (_, i) => (i * 167 + 13) % 256);
    for (let length = 0; length <= 300; length++) {
      const message = source.subarray(7, 7 + length);
      const expected = createHash('sha256').update(message).digest('hex');
      expect(toHex(sha256(message)), `${length} bytes`).toBe(expected);
      expect(toHex(sha256(Buffer.from(message))), `${length} bytes in a Buffer`).toBe(expected);
    }
  });

  test('any pieces give the digest of the whole', () => {
    fc.assert(
      fc.property(fc.array(bytes(200), { maxLength: 12 }), (pieces) => {
        const ours = new Sha256();
        const theirs = createHash('sha256');
        for (const piece of pieces) {
          ours.update(piece);
          theirs.update(piece);
        }
        const digest = toHex(ours.digest());
        expect(digest).toBe(theirs.digest('hex'));
        expect(digest).toBe(toHex(sha256(Buffer.concat(pieces))));
      }),
      { numRuns: 500 },
    );
  });

  test('every split of 200 bytes in two', () => {
    const message = Uint8Array.from({ length: 200 }, (_, i) => i);
    const expected = createHash('sha256').update(message).digest('hex');
    for (let at = 0; at <= message.length; at++) {
      const hash = new Sha256().update(message.subarray(0, at)).update(message.subarray(at));
      expect(toHex(hash.digest()), `split at ${at}`).toBe(expected);
    }
  });
});

describe('HMAC-SHA-256 against node:crypto', () => {
  test('any key, any message', () => {
    fc.assert(
      fc.property(bytes(150), bytes(300), (key, message) => {
        const expected = createHmac('sha256', key).update(message).digest('hex');
        expect(toHex(hmacSha256(key, message))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('the MAC of a pair is the MAC of its eight bytes', () => {
    fc.assert(
      fc.property(bytes(64), u32, u32, (seed, first, second) => {
        const message = Buffer.alloc(8);
        message.writeUInt32LE(first, 0);
        message.writeUInt32LE(second, 4);
        const words = new Int32Array(8);
        new HmacKey(seed).macOfPair(first, second, words);
        const mac = Buffer.alloc(32);
        words.forEach((word, i) => mac.writeInt32BE(word, 4 * i));
        expect(mac.toString('hex')).toBe(createHmac('sha256', seed).update(message).digest('hex'));
        expect(words.map(swapBytes).map(swapBytes)).toEqual(words);
      }),
      { numRuns: 300 },
    );
  });
});
