import { expect } from 'vitest';
import type { ObjectStore } from '../../lib/port/object-store.ts';
import type { Rule } from './rule.ts';
import { runRules } from './rule.ts';

export interface ObjectWorld {
  readonly store: ObjectStore;
  dispose(): Promise<void>;
}

const A = Uint8Array.of(1, 2, 3);
const B = Uint8Array.of(1, 2, 4);

const OBJECT_RULES: readonly Rule<ObjectWorld>[] = [
  {
    id: 'OB1a',
    says: 'the same bytes again are there already, other bytes are refused and change nothing',
    check: async ({ store }) => {
      expect(await store.put('media/a', A)).toBe('stored');
      expect(await store.put('media/a', A)).toBe('exists');
      expect(await store.put('media/a', B)).toBe('differs');
      expect(await store.get('media/a')).toEqual(A);
    },
  },
  {
    id: 'OB1b',
    says: 'of writers at once exactly one stores, and everybody reads its bytes',
    check: async ({ store }) => {
      const all = [A, B, A, B, A, B].map((bytes) => store.put('x', bytes));
      const answers = await Promise.all(all);
      expect(answers.filter((answer) => answer === 'stored')).toHaveLength(1);
      const winner = answers.indexOf('stored') % 2 === 0 ? A : B;
      expect(await store.get('x')).toEqual(winner);
      expect(answers.filter((answer) => answer === 'differs')).toHaveLength(3);
    },
  },
  {
    id: 'OB2a',
    says: 'null when there is none; an object may be empty, and may lie above others',
    check: async ({ store }) => {
      expect(await store.get('a')).toBeNull();
      expect(await store.put('a/b', A)).toBe('stored');
      expect(await store.get('a')).toBeNull();
      expect(await store.put('a', new Uint8Array(0))).toBe('stored');
      expect(await store.get('a')).toEqual(new Uint8Array(0));
      expect(await store.get('a/b')).toEqual(A);
    },
  },
  {
    id: 'OB2b',
    says: 'bytes are copied on the way in and on the way out',
    check: async ({ store }) => {
      const bytes = A.slice();
      await store.put('a', bytes);
      bytes.fill(9);
      (await store.get('a'))?.fill(9);
      expect(await store.get('a')).toEqual(A);
    },
  },
  {
    id: 'OB2c',
    says: 'a deleted object is gone and its name is free; deleting nothing is fine',
    check: async ({ store }) => {
      await store.put('a/b', A);
      await store.delete('a/b');
      await store.delete('a/b');
      await store.delete('no/such');
      expect(await store.get('a/b')).toBeNull();
      expect(await store.put('a/b', B)).toBe('stored');
    },
  },
  {
    id: 'OB3a',
    says: 'names with the prefix come in byte order, after `after`, up to the limit',
    check: async ({ store }) => {
      for (const name of ['b', 'a/2', 'a-b', 'a', 'a/1', 'a_b', 'a/1/x', 'ab'])
        await store.put(name, A);
      const list = (args: { prefix: string; after?: string; limit?: number }): Promise<string[]> =>
        store.list({ limit: 100, ...args });
      const inOrder = ['a', 'a-b', 'a/1', 'a/1/x', 'a/2', 'a_b', 'ab'];
      expect(await list({ prefix: '' })).toEqual([...inOrder, 'b']);
      expect(await list({ prefix: 'a' })).toEqual(inOrder);
      expect(await list({ prefix: 'a/' })).toEqual(['a/1', 'a/1/x', 'a/2']);
      expect(await list({ prefix: 'a/1' })).toEqual(['a/1', 'a/1/x']);
      expect(await list({ prefix: 'a', after: 'a/1', limit: 2 })).toEqual(['a/1/x', 'a/2']);
      expect(await list({ prefix: 'none/' })).toEqual([]);
    },
  },
  {
    id: 'OB4a',
    says: 'a name that is not plain is an assertion: none leads out of the store',
    check: async ({ store }) => {
      const names = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '..',
        '../a',
        'a/../b',
        'A',
        'a.b',
        'a b',
        'é',
        '\0',
      ];
      for (const name of [...names, 'x'.repeat(201), 'x/'.repeat(300) + 'x']) {
        await expect(store.put(name, A)).rejects.toMatchObject({ name: 'AssertionFailed' });
        await expect(store.get(name)).rejects.toMatchObject({ name: 'AssertionFailed' });
        await expect(store.delete(name)).rejects.toMatchObject({ name: 'AssertionFailed' });
      }
      for (const prefix of ['..', '../', '/', 'a//']) {
        await expect(store.list({ prefix, limit: 1 })).rejects.toMatchObject({
          name: 'AssertionFailed',
        });
      }
    },
  },
];

export function objectStoreContract(name: string, make: () => Promise<ObjectWorld>): void {
  runRules(`object store: ${name}`, OBJECT_RULES, make);
}
