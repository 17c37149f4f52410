import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '../../lib/core/bytes.ts';
import { HmacKey, hmacSha256, swapBytes } from '../../lib/core/hmac.ts';
import { sha256, Sha256 } from '../../lib/core/sha256.ts';

const A_MILLION = utf8('a'.repeat(1_000_000));

describe('SHA-256, vectors of FIPS 180-4 and RFC 6234', () => {
  const vectors: [string, Uint8Array, string][] = [
    [
      'the empty message',
      new Uint8Array(0),
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    ],
    ['abc', utf8('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'two blocks',
      utf8('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    ['a million a', A_MILLION, 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
    [
      'RFC 6234 test 4',
      utf8('0123456701234567012345670123456701234567012345670123456701234567'.repeat(10)),
      '594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5',
    ],
    [
      'RFC 6234 test 6, one byte',
      fromHex('19'),
      '68aa2e2ee5dff96e3355e6c7ee373e3d6a4e17f75f9518d843709c0c9bc3e3d4',
    ],
    [
      'RFC 6234 test 8, 16 bytes',
      fromHex('e3d72570dcdd787ce3887ab2cd684652'),
      '175ee69b02ba9b58e2b0a5fd13819cea573f3940a94f825128cf4209beabb4e8',
    ],
  ];
  test.each(vectors)('%s', (_name, message, digest) => {
    expect(toHex(sha256(message))).toBe(digest);
    expect(toHex(new Sha256().update(message).digest())).toBe(digest);
  });

  test('a digest is a fresh array, and two calls do not share it', () => {
    const first = sha256(utf8('abc'));
    const kept = toHex(first);
    sha256(utf8('something else'));
    expect(toHex(first)).toBe(kept);
  });

  test('digest() does not end the message', () => {
    const hash = new Sha256().update(utf8('ab'));
    expect(toHex(hash.digest())).toBe(toHex(sha256(utf8('ab'))));
    expect(toHex(hash.digest())).toBe(toHex(sha256(utf8('ab'))));
    expect(toHex(hash.update(utf8('c')).digest())).toBe(toHex(sha256(utf8('abc'))));
  });

  test('two messages in pieces at once do not mix', () => {
    const one = new Sha256();
    const two = new Sha256();
    for (let i = 0; i < 100; i++) {
      one.update(utf8(`one ${i}`));
      two.update(utf8(`two ${i} and more`));
    }
    const join = (word: string) => Array.from({ length: 100 }, (_, i) => word.replace('#', `${i}`));
    expect(toHex(one.digest())).toBe(toHex(sha256(utf8(join('one #').join('')))));
    expect(toHex(two.digest())).toBe(toHex(sha256(utf8(join('two # and more').join('')))));
  });
});

describe('HMAC-SHA-256, vectors of RFC 4231', () => {
  const vectors: [string, string, Uint8Array, string][] = [
    [
      'test 1',
      '0b'.repeat(20),
      utf8('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      'test 2, a key shorter than the digest',
      toHex(utf8('Jefe')),
      utf8('what do ya want for nothing?'),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      'test 3',
      'aa'.repeat(20),
      fromHex('dd'.repeat(50)),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      'test 4',
      '0102030405060708090a0b0c0d0e0f10111213141516171819',
      fromHex('cd'.repeat(50)),
      '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    ],
    [
      'test 6, a key longer than a block',
      'aa'.repeat(131),
      utf8('Test Using Larger Than Block-Size Key - Hash Key First'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
    [
      'test 7, key and message longer than a block',
      'aa'.repeat(131),
      utf8(
        'This is a test using a larger than block-size key and a larger than block-size data. ' +
          'The key needs to be hashed before being used by the HMAC algorithm.',
      ),
      '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
    ],
  ];
  test.each(vectors)('%s', (_name, key, message, mac) => {
    expect(toHex(hmacSha256(fromHex(key), message))).toBe(mac);
    const held = new HmacKey(fromHex(key));
    expect(toHex(held.mac(message))).toBe(mac);
    expect(toHex(held.mac(message)), 'a key may be used again').toBe(mac);
  });

  test('swapBytes turns a word round', () => {
    expect(swapBytes(0x01020304)).toBe(0x04030201);
    expect(swapBytes(0x000000ff) >>> 0).toBe(0xff000000);
    expect(swapBytes(swapBytes(-559038737))).toBe(-559038737);
  });
});
