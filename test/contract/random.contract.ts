import { expect } from 'vitest';
import type { Random } from '../../lib/port/random.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface RandomWorld {
  readonly random: Random;
  dispose(): Promise<void>;
}

const RANDOM_RULES: readonly Rule<RandomWorld>[] = [
  {
    id: 'RA1a',
    says: 'bytes have their length, a buffer of their own, and do not repeat',
    check: async ({ random }) => {
      const one = random.bytes(32);
      const two = random.bytes(32);
      expect([one.length, two.length, random.bytes(0).length]).toEqual([32, 32, 0]);
      expect(one).not.toEqual(two);
      expect(one.buffer.byteLength).toBe(32);
    },
  },
  {
    id: 'RA1b',
    says: 'every value of a byte appears about equally often',
    check: async ({ random }) => {
      const counts = Array.from({ length: 256 }, () => 0);
      for (const byte of random.bytes(256 * 1_000)) counts[byte] = (counts[byte] ?? 0) + 1;
      // 1,000 each; six standard deviations are 190.
      expect(Math.min(...counts)).toBeGreaterThan(810);
      expect(Math.max(...counts)).toBeLessThan(1_190);
    },
  },
  {
    id: 'RA2a',
    says: 'below is uniform, also where n does not divide 2^32',
    check: async ({ random }) => {
      const n = 3_000_000_000;
      const thirds = [0, 0, 0];
      for (let draw = 0; draw < 30_000; draw++) {
        const third = Math.floor(random.below(n) / 1_000_000_000);
        thirds[third] = (thirds[third] ?? 0) + 1;
      }
      // 10,000 each; six standard deviations are 490. Plain remainders would give 14,000.
      for (const count of thirds) expect(Math.abs(count - 10_000)).toBeLessThan(490);
    },
  },
  {
    id: 'RA2b',
    says: 'below stays in its range and takes 1 .. 2^32 only',
    check: async ({ random }) => {
      expect(random.below(1)).toBe(0);
      const dice = Array.from({ length: 1_000 }, () => random.below(6));
      expect(new Set(dice)).toEqual(new Set([0, 1, 2, 3, 4, 5]));
      expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
      for (const n of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
        expect(() => random.below(n)).toThrow('below takes');
      }
    },
  },
];

export function randomContract(name: string, make: () => Promise<RandomWorld>): void {
  runRules(`random: ${name}`, RANDOM_RULES, make);
}
