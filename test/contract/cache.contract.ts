import { expect } from 'vitest';
import type { Cache } from '../../lib/port/cache.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface CacheWorld {
  readonly cache: Cache;
  readonly pass: (ms: number) => Promise<void>;
  dispose(): Promise<void>;
}

const A = Uint8Array.of(1);
const B = Uint8Array.of(2);

const CACHE_RULES: readonly Rule<CacheWorld>[] = [
  {
    id: 'CA1a',
    says: 'null when never set or deleted, else the last value of that key',
    check: async ({ cache }) => {
      expect(await cache.get('a')).toBeNull();
      await cache.set('a', A, 1_000);
      await cache.set('b', B, 1_000);
      expect([await cache.get('a'), await cache.get('b')]).toEqual([A, B]);
      await cache.set('a', B, 1_000);
      expect(await cache.get('a')).toEqual(B);
      await cache.delete('a');
      await cache.delete('never');
      expect([await cache.get('a'), await cache.get('b')]).toEqual([null, B]);
    },
  },
  {
    id: 'CA1b',
    says: 'bytes are copied on the way in and on the way out',
    check: async ({ cache }) => {
      const bytes = A.slice();
      await cache.set('a', bytes, 1_000);
      bytes.fill(9);
      (await cache.get('a'))?.fill(9);
      expect(await cache.get('a')).toEqual(A);
    },
  },
  {
    id: 'CA2a',
    says: 'a value lives its time to live and no longer; setting it again starts anew',
    check: async ({ cache, pass }) => {
      await cache.set('a', A, 100);
      await pass(60);
      expect(await cache.get('a')).toEqual(A);
      await cache.set('a', B, 100);
      await pass(60);
      expect(await cache.get('a')).toEqual(B);
      await pass(60);
      expect(await cache.get('a')).toBeNull();
    },
  },
  {
    id: 'CA3a',
    says: 'counts distinct living members; adding one again prolongs it',
    check: async ({ cache, pass }) => {
      expect(await cache.addMember('s', 'ann', 100)).toBe(1);
      expect(await cache.addMember('s', 'bob', 100)).toBe(2);
      expect(await cache.addMember('t', 'cat', 100)).toBe(1);
      await pass(60);
      expect(await cache.addMember('s', 'ann', 100)).toBe(2);
      await pass(60);
      expect(await cache.addMember('s', 'dan', 100)).toBe(2);
    },
  },
  {
    id: 'CA3b',
    says: 'a removed member no longer counts, and an unknown one may be removed',
    check: async ({ cache }) => {
      await cache.addMember('s', 'ann', 1_000);
      await cache.addMember('s', 'bob', 1_000);
      await cache.removeMember('s', 'ann');
      await cache.removeMember('s', 'nobody');
      await cache.removeMember('none', 'nobody');
      expect(await cache.addMember('s', 'cat', 1_000)).toBe(2);
    },
  },
  {
    id: 'CA3c',
    says: 'a value and a set of one key are two things',
    check: async ({ cache }) => {
      await cache.set('k', A, 1_000);
      expect(await cache.addMember('k', 'ann', 1_000)).toBe(1);
      await cache.delete('k');
      expect(await cache.addMember('k', 'bob', 1_000)).toBe(2);
      expect(await cache.get('k')).toBeNull();
    },
  },
];

export function cacheContract(name: string, make: () => Promise<CacheWorld>): void {
  runRules(`cache: ${name}`, CACHE_RULES, make);
}
