import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { link, mkdir, open, readFile, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { equalBytes } from '../core/bytes.ts';
import type { ObjectStore } from '../port/object-store.ts';
import { assertListing, assertObjectName, listPage } from './object-name.ts';

/** Keeps object `a` apart from the folder of `a/b`; no name has a dot. */
const ENDING = '.object';
/** Where objects grow; no name begins with a dot. */
const UNFINISHED = '.unfinished';
/** What a crash left behind; nobody writes one object for an hour. */
const LEFT_BEHIND_MS = 3_600_000;

/** Opens or makes a store in `folder` and clears what a crash left unfinished. */
export async function openFsObjectStore({ folder }: { folder: string }): Promise<ObjectStore> {
  const unfinished = join(folder, UNFINISHED);
  await mkdir(unfinished, { recursive: true });
  for (const name of await readdir(unfinished)) {
    const file = join(unfinished, name);
    const { mtimeMs } = await stat(file);
    if (mtimeMs < Date.now() - LEFT_BEHIND_MS) await rm(file, { force: true });
  }
  return new FsObjectStore(folder);
}

/** Objects as files (SPEC section OB). Listing reads the whole folder of its prefix. */
class FsObjectStore implements ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put(name: string, bytes: Uint8Array): Promise<'stored' | 'exists' | 'differs'> {
    const path = this.#path(name);
    const grown = await this.get(name);
    if (grown !== null) return equalBytes(grown, bytes) ? 'exists' : 'differs';
    const unfinished = join(this.#folder, UNFINISHED, randomUUID());
    try {
      await writeDurably(unfinished, bytes);
      await this.#makeFolder(dirname(path));
      // A link, not a rename: of two writers at once exactly one gets the name.
      await link(unfinished, path);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      const there = await readFile(path);
      return equalBytes(there, bytes) ? 'exists' : 'differs';
    } finally {
      await rm(unfinished, { force: true });
    }
    await syncFolder(dirname(path));
    return 'stored';
  }

  async get(name: string): Promise<Uint8Array | null> {
    try {
      return new Uint8Array(await readFile(this.#path(name)));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  async delete(name: string): Promise<void> {
    const path = this.#path(name);
    await rm(path, { force: true });
    await syncFolder(dirname(path)).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  }

  async list(args: { prefix: string; after?: string; limit: number }): Promise<string[]> {
    assertListing(args);
    const folder = join(this.#folder, ...args.prefix.split('/').slice(0, -1));
    const files = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
      (error: unknown): Dirent[] => {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      },
    );
    const names = files
      .filter((file) => file.isFile() && file.name.endsWith(ENDING))
      .map((file) => relative(this.#folder, join(file.parentPath, file.name)))
      .map((path) => path.slice(0, -ENDING.length).split(sep).join('/'));
    return listPage(names, args);
  }

  #path(name: string): string {
    assertObjectName(name);
    return `${join(this.#folder, ...name.split('/'))}${ENDING}`;
  }

  /** Makes the folder and syncs every one above it up to the store's own, so that none is lost. */
  async #makeFolder(folder: string): Promise<void> {
    const first = await mkdir(folder, { recursive: true });
    if (first === undefined) return;
    for (let at = folder; at.length > this.#folder.length; at = dirname(at)) {
      await syncFolder(dirname(at));
    }
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
