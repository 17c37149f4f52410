import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../lib/core/bytes.ts';
import { HmacKey } from '../../lib/core/hmac.ts';
import { Draw } from '../../lib/core/keystream.ts';

// Fixed for ever: a revealed seed must give the same shares in every version and every language.
// Made by a separate program from the text of the rule (Python's hmac and integers).
const COUNTING = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
const ONES = new Uint8Array(32).fill(0xff);

const BLOCKS: { seed: Uint8Array; k: number; i: number; block: string }[] = [
  {
    seed: COUNTING,
    k: 1,
    i: 0,
    block: '3b345d4e3f7a9922d8942f7c4f9c46a36307684beb1c02f98dba9327be8e1617',
  },
  {
    seed: COUNTING,
    k: 1,
    i: 1,
    block: '739087fd8365d61a43ae3a72fda0bf828eb21e87a516ced488f0238b1d68e412',
  },
  {
    seed: COUNTING,
    k: 2,
    i: 0,
    block: 'be563a677f0334d6c3b6b698db0ba3baa59ee0f41841cc64677e64e16c27ddfb',
  },
  {
    seed: COUNTING,
    k: 100,
    i: 1,
    block: 'b19c17494d046ddec555bdb8f6aa066bb332a3c55c0571a9f9db00b40e205ff5',
  },
  {
    seed: COUNTING,
    k: 2 ** 32 - 1,
    i: 0,
    block: 'ab4a1c3e42e7ba0c798ef10af9fce91973571731b8911602b7c1d3ce3174a78b',
  },
  {
    seed: ONES,
    k: 1,
    i: 0,
    block: '27ba2a6e71697f2ee3cd6c403b0fa138d1e9b152e23a400b0bb6fa2669e683f6',
  },
  {
    seed: ONES,
    k: 100,
    i: 0,
    block: '3e4f9463d14ec516df9d246a2d9cea376381956f288944efb827b0bf354fa1b1',
  },
];

/** The ten words of blocks 0 and 1 of draw 1, as numbers in hex. */
const WORDS = [
  '7a3f4e5d343b',
  '7c2f94d82299',
  '0763a3469c4f',
  'f9021ceb4b68',
  '8ebe2793ba8d',
  '6583fd879073',
  '723aae431ad6',
  'b28e82bfa0fd',
  'd4ce16a5871e',
  '681d8b23f088',
];

describe('the keystream of a packet', () => {
  test.each(BLOCKS)('block $i of draw $k is HMAC-SHA-256(seed, k, i)', ({ seed, k, i, block }) => {
    const message = new Uint8Array(8);
    const view = new DataView(message.buffer);
    view.setUint32(0, k, true);
    view.setUint32(4, i, true);
    expect(toHex(new HmacKey(seed).mac(message))).toBe(block);
  });

  test('a block gives five words of 48 bits, little-endian, and block 1 follows block 0', () => {
    const draw = new Draw(COUNTING, 1);
    const words = WORDS.map(() =>
      draw
        .below(2 ** 48)
        .toString(16)
        .padStart(12, '0'),
    );
    expect(words).toEqual(WORDS);
  });

  test('a key gives the words of its seed', () => {
    const draw = new Draw(new HmacKey(COUNTING), 1);
    const words = WORDS.map(() =>
      draw
        .below(2 ** 48)
        .toString(16)
        .padStart(12, '0'),
    );
    expect(words).toEqual(WORDS);
  });

  test.each([
    {
      k: 1,
      last: 261886482861729,
      half: 114476097728648,
      values: [1, 2, 1, 8, 5, 139, 2923633366],
    },
    { k: 2, last: 209162824525112, half: 37395558829973, values: [0, 2, 5, 6, 91, 772, 490069520] },
  ])('draw $k modulo many sizes', ({ k, last, half, values }) => {
    const draw = new Draw(COUNTING, k);
    expect([2, 3, 6, 10, 100, 1000, 2 ** 32].map((n) => draw.below(n))).toEqual(values);
    expect(draw.below(2 ** 47 + 1)).toBe(half);
    draw.below(2 ** 48 - 1);
    expect(draw.below(2 ** 48)).toBe(last);
  });

  test('words at or above the limit are skipped: half of them below 2^47 + 1', () => {
    const draw = new Draw(COUNTING, 7);
    const drawn = Array.from({ length: 12 }, () => draw.below(2 ** 47 + 1));
    expect(drawn).toEqual([
      52001768221633, 96376730390780, 93370498398376, 32242868330312, 32558204168455,
      22583469966388, 87835008803712, 44849328572140, 37376793906654, 20668670965253,
      70398322021698, 85487970755716,
    ]);
    // 21 words went by for the 12: the next is number 22, in block 4.
    const all = new Draw(COUNTING, 7);
    for (let n = 0; n < 21; n++) all.below(2 ** 48);
    expect(draw.below(2 ** 48)).toBe(all.below(2 ** 48));
  });

  test('below(1) is 0 and uses no word', () => {
    const draw = new Draw(COUNTING, 1);
    for (let n = 0; n < 7; n++) expect(draw.below(1)).toBe(0);
    expect(draw.below(2 ** 48).toString(16)).toBe(WORDS[0]);
  });

  test('two draws that take turns do not disturb each other', () => {
    const one = new Draw(COUNTING, 1);
    const two = new Draw(COUNTING, 2);
    const turns = Array.from({ length: 10 }, () => [one.below(2 ** 48), two.below(2 ** 48)]);
    const alone = new Draw(COUNTING, 2);
    expect(turns.map(([word = 0]) => word.toString(16).padStart(12, '0'))).toEqual(WORDS);
    expect(turns.map(([, word]) => word)).toEqual(turns.map(() => alone.below(2 ** 48)));
  });

  test('what is no draw asserts', () => {
    expect(() => new Draw(new Uint8Array(31), 1)).toThrow('32 bytes');
    for (const k of [0, -1, 1.5, 2 ** 32, Number.NaN]) {
      expect(() => new Draw(COUNTING, k), `k = ${k}`).toThrow('1..2^32-1');
    }
    const draw = new Draw(COUNTING, 1);
    for (const n of [0, -1, 0.5, 2 ** 48 + 1, Number.NaN, Infinity]) {
      expect(() => draw.below(n), `n = ${n}`).toThrow('1..2^48');
    }
  });
});
