import { expect, test } from 'vitest';
import { ManualClock } from '../../lib/adapter/manual-clock.ts';
import { MemoryCache } from '../../lib/adapter/memory-cache.ts';
import { cacheContract } from './cache.contract.ts';

cacheContract('memory', async () => {
  const clock = new ManualClock();
  const cache = new MemoryCache({ clock });
  return { cache, pass: async (ms) => clock.advance(ms), dispose: () => cache.close() };
});

test('[CA2b] a full cache forgets the least recently used', async () => {
  const cache = new MemoryCache({ clock: new ManualClock(), keysMax: 2 });
  await cache.set('a', Uint8Array.of(1), 100);
  await cache.set('b', Uint8Array.of(2), 100);
  await cache.get('a');
  await cache.set('c', Uint8Array.of(3), 100);
  expect(await cache.get('a')).toEqual(Uint8Array.of(1));
  expect(await cache.get('b')).toBeNull();
  expect(await cache.get('c')).toEqual(Uint8Array.of(3));
});

test('[CA3d] members and sets are bounded too', async () => {
  const cache = new MemoryCache({ clock: new ManualClock(), keysMax: 2, membersMax: 3 });
  for (const member of ['a', 'b', 'c', 'd']) await cache.addMember('s', member, 100);
  expect(await cache.addMember('s', 'd', 100)).toBe(3);
  await cache.addMember('t', 'a', 100);
  await cache.addMember('u', 'a', 100);
  expect(await cache.addMember('s', 'e', 100)).toBe(1);
});
