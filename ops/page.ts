/**
 * The chat page, built when it is missing or older than its sources. Vite builds in memory and the
 * files are put in place one by one, the entry last: whoever reads meanwhile sees the old page or
 * the new one.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'client/web');
const DIST = join(PAGE, 'dist');
const STAMP = join(DIST, '.stamp');
/** All that can change the page. */
const SOURCES = ['client', 'lib/core', 'package-lock.json'];
const ENTRY = 'index.html';

type BuiltFile = { readonly fileName: string; readonly content: string | Uint8Array };

/**
 * Returns the directory of the built page. Milliseconds when its sources have not changed, else
 * about a second. Rejects when the page does not build or cannot be written.
 */
export async function buildPage(options: {
  readonly log: (line: string) => void;
}): Promise<string> {
  const wanted = await checksum();
  if ((await readStamp()) === wanted) return DIST;
  options.log('building the chat page');
  await putInPlace(await build());
  await replace(STAMP, `${wanted}\n`);
  return DIST;
}

async function readStamp(): Promise<string> {
  return (await readFile(STAMP, 'utf8').catch(() => '')).trim();
}

async function checksum(): Promise<string> {
  const hash = createHash('sha256');
  const files = (await Promise.all(SOURCES.map((source) => filesOf(join(ROOT, source))))).flat();
  for (const file of files.toSorted()) {
    hash
      .update(`${relative(ROOT, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex');
}

async function filesOf(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(`${DIST}/`));
}

async function build(): Promise<BuiltFile[]> {
  // Loaded here: a start with a page that is already built does without it.
  const vite = await import('vite');
  const built = await vite.build({ root: PAGE, logLevel: 'error', build: { write: false } });
  const outputs = Array.isArray(built) ? built : [built];
  const files = outputs.flatMap((one) => ('output' in one ? one.output : []));
  return files.map((file) => ({
    fileName: file.fileName,
    content: file.type === 'chunk' ? file.code : file.source,
  }));
}

async function putInPlace(files: readonly BuiltFile[]): Promise<void> {
  const names = files.map((file) => file.fileName);
  const entryLast = files.toSorted((a, b) => rank(a) - rank(b));
  for (const { fileName, content } of entryLast) {
    await replace(join(DIST, fileName), content);
  }
  for (const file of await readdir(join(DIST, 'assets')).catch(() => [])) {
    if (!names.includes(`assets/${file}`)) await rm(join(DIST, 'assets', file), { force: true });
  }
}

function rank(file: BuiltFile): number {
  return file.fileName === ENTRY ? 1 : 0;
}

/** Never half a file, also when two builds run at once. */
async function replace(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}`;
  await writeFile(beside, content);
  await rename(beside, path);
}
