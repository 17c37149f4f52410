import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { assert } from '../lib/core/assert.ts';

/** One file of the built page, in memory. */
export type Page = {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Uint8Array;
  /** Built assets carry a hash in their names and never change. */
  readonly forever: boolean;
};

/** By URL path. Only what is in this map can be had: no path of a client touches the disk. */
export type Pages = ReadonlyMap<string, Page>;

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json; charset=utf-8',
  webmanifest: 'application/manifest+json; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  jpg: 'image/jpeg',
  webp: 'image/webp',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
  txt: 'text/plain; charset=utf-8',
};

/** A page is small; a wrong directory (a home, a disk) is not taken into memory. */
const PAGE_FILES_MAX = 512;
const PAGE_BYTES_MAX = 16 * 1_048_576;

/**
 * Reads the directory of the built page, once, at start. A directory that is not there is a page
 * that was not built: an empty map. Files of unknown types are left out.
 */
export function readPages(dir: string): Pages {
  const pages = new Map<string, Page>();
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) return pages;
  let bytesRead = 0;
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const type = TYPES[entry.name.slice(entry.name.lastIndexOf('.') + 1)];
    if (type === undefined) continue;
    const bytes = readFileSync(path);
    bytesRead += bytes.length;
    assert(pages.size < PAGE_FILES_MAX, `a page has at most ${PAGE_FILES_MAX} files: ${dir}`);
    assert(bytesRead <= PAGE_BYTES_MAX, `a page has at most ${PAGE_BYTES_MAX} bytes: ${dir}`);
    const url = `/${relative(dir, path).split(sep).join('/')}`;
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
    const forever = /^\/assets\/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/.test(url);
    const page = { type, etag: `"${hash}"`, bytes, forever };
    pages.set(url, page);
    if (url === '/index.html') pages.set('/', page);
  }
  return pages;
}
