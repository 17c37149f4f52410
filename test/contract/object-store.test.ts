import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFsObjectStore } from '../../lib/adapter/fs-object-store.ts';
import { MemoryObjectStore } from '../../lib/adapter/memory-object-store.ts';
import { objectStoreContract } from './object-store.contract.ts';
import { makeFolder } from './folder.ts';

objectStoreContract('memory', async () => ({
  store: new MemoryObjectStore(),
  dispose: async () => undefined,
}));

objectStoreContract('files', async () => {
  const folder = makeFolder();
  const store = await openFsObjectStore({ folder });
  return { store, dispose: async () => rmSync(folder, { recursive: true }) };
});

test('[OB1c] what a crash left unfinished is no object and is cleared after an hour', async () => {
  const folder = makeFolder();
  const unfinished = join(folder, '.unfinished');
  mkdirSync(unfinished);
  writeFileSync(join(unfinished, 'old'), 'half');
  writeFileSync(join(unfinished, 'young'), 'half');
  const twoHoursAgo = new Date(Date.now() - 7_200_000);
  utimesSync(join(unfinished, 'old'), twoHoursAgo, twoHoursAgo);
  const store = await openFsObjectStore({ folder });
  await store.put('a/b', Uint8Array.of(1));
  expect(await store.list({ prefix: '', limit: 10 })).toEqual(['a/b']);
  expect(readdirSync(unfinished)).toEqual(['young']);
  expect(existsSync(join(folder, 'a', 'b.object'))).toBe(true);
  rmSync(folder, { recursive: true });
});
