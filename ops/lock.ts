/**
 * Completes package-lock.json. A registry may hide the binary packages of other platforms; npm
 * then leaves their entries out of the lock, and `npm ci` of the next machine fails with EUSAGE.
 * For every optional dependency without an entry this adds one with version, os, cpu and libc,
 * read from the words of the package's name. Its integrity cannot be had and is left out.
 */

/** The part of a lock entry that is read or written here; other fields pass through. */
export interface LockEntry {
  name?: string;
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  engines?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  [field: string]: unknown;
}
export interface Lock {
  packages: Record<string, LockEntry>;
  [field: string]: unknown;
}

/** An optional dependency whose entry the lock lacks. */
export interface MissingEntry {
  /** The key that it would have in `packages`. */
  readonly key: string;
  readonly entry: LockEntry;
}

const OS_WORDS = new Map([
  ['linux', 'linux'],
  ['linuxmusl', 'linux'],
  ['darwin', 'darwin'],
  ['macos', 'darwin'],
  ['win32', 'win32'],
  ['windows', 'win32'],
  ['android', 'android'],
  ['freebsd', 'freebsd'],
  ['netbsd', 'netbsd'],
  ['openbsd', 'openbsd'],
  ['openharmony', 'openharmony'],
  ['sunos', 'sunos'],
  ['aix', 'aix'],
]);
const CPU_WORDS = new Map([
  ['x64', 'x64'],
  ['ia32', 'ia32'],
  ['x86', 'ia32'],
  ['arm64', 'arm64'],
  ['aarch64', 'arm64'],
  ['arm', 'arm'],
  ['armv7', 'arm'],
  ['ppc64', 'ppc64'],
  ['ppc64le', 'ppc64'],
  ['riscv64', 'riscv64'],
  ['s390x', 's390x'],
  ['loong64', 'loong64'],
  ['mips64el', 'mips64el'],
  ['wasm32', 'wasm32'],
]);
const LIBC_WORDS = new Map([
  ['gnu', 'glibc'],
  ['gnueabihf', 'glibc'],
  ['glibc', 'glibc'],
  ['musl', 'musl'],
  ['musleabihf', 'musl'],
  ['linuxmusl', 'musl'],
]);

/** @returns the entries that are missing, in the order of the lock; empty when it is complete */
export function missingEntries(lock: Lock): readonly MissingEntry[] {
  const missing = new Map<string, LockEntry>();
  for (const [parentKey, parent] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
      const entry = entryFor({ name, range, parent });
      // Where npm would put it: beside its parent, or inside when another version is there.
      const beside = parentKey.slice(0, parentKey.lastIndexOf('node_modules/'));
      const places = [`${beside}node_modules/${name}`, `${parentKey}/node_modules/${name}`];
      const found = lookUp({ lock, missing, from: parentKey, name });
      if (found !== undefined && (!isExact(range) || found.version === entry.version)) continue;
      const place = places.find((key) => lock.packages[key] === undefined && !missing.has(key));
      if (place !== undefined) missing.set(place, entry);
    }
  }
  return [...missing].map(([key, entry]) => ({ key, entry }));
}

/** @returns the lock with the missing entries, its keys in npm's order */
export function completed(lock: Lock, missing: readonly MissingEntry[]): Lock {
  const all = [
    ...Object.entries(lock.packages),
    ...missing.map(({ key, entry }): [string, LockEntry] => [key, entry]),
  ];
  all.sort(([a], [b]) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(all) };
}

/**
 * Reads and checks the text of a package-lock.json.
 * @throws Error when it is not JSON or not of version 3
 */
export function readLock(text: string): Lock {
  const value: unknown = JSON.parse(text);
  if (!isLock(value)) throw new Error('package-lock.json is not a lock file of version 3');
  return value;
}

/** The text that npm itself would write. */
export function lockText(lock: Lock): string {
  return `${JSON.stringify(lock, null, 2)}\n`;
}

function isLock(value: unknown): value is Lock {
  return (
    typeof value === 'object' &&
    value !== null &&
    'lockfileVersion' in value &&
    value.lockfileVersion === 3 &&
    'packages' in value &&
    typeof value.packages === 'object' &&
    value.packages !== null
  );
}

interface LookUp {
  readonly lock: Lock;
  readonly missing: ReadonlyMap<string, LockEntry>;
  /** The key of the package that asks. */
  readonly from: string;
  readonly name: string;
}

/** Node's own search: inside the asking package, then beside it, then further up. */
function lookUp({ lock, missing, from, name }: LookUp): LockEntry | undefined {
  for (let folder = from; ;) {
    const key = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    const entry = lock.packages[key] ?? missing.get(key);
    if (entry !== undefined || folder === '') return entry;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')));
  }
}

function isExact(range: string): boolean {
  return /^\d+\.\d+\.\d+[\w.+-]*$/.test(range);
}

interface EntryOptions {
  readonly name: string;
  readonly range: string;
  readonly parent: LockEntry;
}

function entryFor({ name, range, parent }: EntryOptions): LockEntry {
  const alias = /^npm:(.+)@([^@]+)$/.exec(range);
  const version = /\d+\.\d+\.\d+[\w.+-]*/.exec(alias?.[2] ?? range)?.[0];
  if (version === undefined) throw new Error(`${name}: no version can be read from '${range}'`);
  const entry: LockEntry = alias?.[1] === undefined ? { version } : { name: alias[1], version };
  const words = (alias?.[1] ?? name).split(/[/-]/);
  const cpu = wordsIn(words, CPU_WORDS);
  const os = wordsIn(words, OS_WORDS);
  const libc = os.includes('linux') ? wordsIn(words, LIBC_WORDS) : [];
  if (cpu.length > 0) entry.cpu = cpu;
  if (parent.dev === true) entry.dev = true;
  if (libc.length > 0) entry.libc = libc;
  entry.optional = true;
  if (os.length > 0) entry.os = os;
  // uWebSockets.js has one package per Node; without the bound npm would fetch all of them.
  const major = os.length > 0 ? /^\d\d$/.exec(words.at(-1) ?? '')?.[0] : undefined;
  if (major !== undefined) entry.engines = { node: `>=${major}.0.0 <${Number(major) + 1}.0.0` };
  return entry;
}

function wordsIn(words: readonly string[], table: ReadonlyMap<string, string>): string[] {
  return [...new Set(words.map((word) => table.get(word)).filter((one) => one !== undefined))];
}
