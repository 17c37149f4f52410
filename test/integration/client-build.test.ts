/** The built page: small, and nothing in it that a strict content security policy forbids. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { buildPage } from '../../ops/page.ts';

const SIZE_MAX = 40 * 1024;
const SOURCES = join(import.meta.dirname, '../../client/web');

let dist: string;
let log: string[] = [];

beforeAll(async () => {
  dist = await buildPage({ log: (line) => log.push(line) });
});

async function textsOf(dir: string, ends: RegExp): Promise<{ name: string; text: string }[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && ends.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (name) => ({ name, text: await readFile(name, 'utf8') })));
}

test('all of it is at most 40 kB compressed', async () => {
  const files = await textsOf(dist, /\.(html|js|css|svg)$/);
  expect(files.length).toBeGreaterThanOrEqual(4);
  const bytes = files.reduce((sum, { text }) => sum + gzipSync(text).length, 0);
  expect(bytes).toBeLessThan(SIZE_MAX);
});

test('the entry loads its own files only, and has no code or style in it', async () => {
  const html = await readFile(join(dist, 'index.html'), 'utf8');
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]);
  expect(addresses.length).toBeGreaterThanOrEqual(3);
  for (const address of addresses) {
    // access/pages.ts keeps files of this form for ever.
    expect(address).toMatch(/^\/assets\/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/);
  }
  expect(html).not.toMatch(/<style|style=|\son[a-z]+=|<script[^>]*>[^<]/);
});

test('the page is the same wherever it is built: no paths, no development mode', async () => {
  const files = await textsOf(dist, /\.(html|js|css|svg)$/);
  const root = join(import.meta.dirname, '../..');
  expect(files.filter(({ text }) => text.includes(root) || text.includes('jsxDEV'))).toEqual([]);
});

test('what people write becomes text nodes: the sources never make HTML', async () => {
  const files = (await textsOf(SOURCES, /\.(tsx?|html)$/)).filter(
    ({ name }) => !name.startsWith(dist),
  );
  expect(files.length).toBeGreaterThan(20);
  const makers = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/;
  expect(files.filter(({ text }) => makers.test(text))).toEqual([]);
});

test('a page that is up to date is not built again', async () => {
  log = [];
  expect(await buildPage({ log: (line) => log.push(line) })).toBe(dist);
  expect(log).toEqual([]);
});
