/** Debian packages without root: fetched by apt-get into private directories, unpacked by dpkg. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProvisionError, findOnPath, runCommand } from './command.ts';
import type { Environment, Log } from './command.ts';

/** Every step is bounded; a slow line (1 MB/s) still fits Chromium's 124 MB into the download. */
const UPDATE_TIMEOUT_MS = 60_000;
const QUESTION_TIMEOUT_MS = 30_000;
const DOWNLOAD_TIMEOUT_MS = 300_000;
const UNPACK_TIMEOUT_MS = 60_000;

type Archive = { readonly file: string; readonly bytes: number };

/** Throws ProvisionError unless the tools of a Debian family system are there. */
export async function requireApt(env: Environment): Promise<void> {
  for (const tool of ['apt-get', 'dpkg', 'flock']) {
    if ((await findOnPath([tool], env)) === null) {
      throw new ProvisionError(`there is no ${tool} on this machine (Debian and Ubuntu have it)`);
    }
  }
}

/**
 * Fetches `packages` with every library that this machine lacks and unpacks them into `root`,
 * which appears complete or not at all. What an interrupted run has fetched is not fetched again.
 * Call it under the lock. Throws ProvisionError with apt's last words.
 */
export async function unpackPackages(options: {
  readonly packages: readonly string[];
  readonly root: string;
  readonly runtimeDir: string;
  readonly env: Environment;
  readonly retryDelayMs: number;
  readonly log: Log;
  /** Runs on the unpacked directory before it becomes `root`; a throw keeps it from doing so. */
  readonly seal: (unpacked: string) => Promise<void>;
}): Promise<void> {
  const { packages, root, runtimeDir, retryDelayMs, log } = options;
  // apt's words are parsed below: they must not be translated.
  const env = { ...options.env, LC_ALL: 'C', LANGUAGE: 'C' };
  const lists = join(runtimeDir, 'apt', 'lists');
  const cache = join(runtimeDir, 'apt', 'cache');
  const archives = join(runtimeDir, 'apt', `archives-${basename(root)}`);
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
  await mkdir(archives, { recursive: true });
  const apt = (args: readonly string[], timeoutMs: number, cwd = cache) =>
    runCommand({
      file: 'apt-get',
      args: [...privateOptions(lists, cache), ...args],
      env,
      cwd,
      timeoutMs,
    });
  const twice = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      log(`${what}: ${messageOf(error)}; once more in ${retryDelayMs} ms`);
      await sleep(retryDelayMs);
      return await work();
    }
  };

  log(`${packages.join(', ')}: reading the package lists`);
  try {
    await twice('apt-get update', () => apt(['update'], UPDATE_TIMEOUT_MS));
  } catch (error) {
    // One broken third-party source must not stop us while Debian's own lists are here.
    const known = (await readdir(lists)).some((name) => name.includes('_Packages'));
    if (!known) throw error;
    log(`going on with the package lists at hand: ${messageOf(error)}`);
  }
  const names = await namesToFetch(packages, (args) => apt(args, QUESTION_TIMEOUT_MS));
  // Not asked among the archives: apt leaves out of its answer what lies there already.
  const uris = await apt(['download', '--print-uris', ...names], QUESTION_TIMEOUT_MS);
  const wanted = parseArchives(uris);
  if (wanted.length !== names.length) {
    throw new ProvisionError(`apt-get offers ${wanted.length} files for ${names.length} packages`);
  }
  const megabytes = Math.ceil(wanted.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
  log(`${packages.join(', ')}: fetching ${wanted.length} packages, ${megabytes} MB`);
  // apt checks the files that are there against the signed lists and fetches only the rest.
  await twice('apt-get download', () => apt(['download', ...names], DOWNLOAD_TIMEOUT_MS, archives));

  const partial = `${root}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  for (const { file } of wanted) {
    const args = ['-x', join(archives, file), partial];
    await runCommand({ file: 'dpkg', args, env, timeoutMs: UNPACK_TIMEOUT_MS });
  }
  await options.seal(partial);
  await rm(root, { recursive: true, force: true });
  await rename(partial, root);
  await rm(archives, { recursive: true, force: true });
}

/** Never touches the system's lists, cache or locks, and drops no privileges it does not have. */
function privateOptions(lists: string, cache: string): string[] {
  const settings = [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${cache}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    // Without it apt-get update exits 0 when it reached nobody.
    'APT::Update::Error-Mode=any',
    'Acquire::Languages=none',
    'Acquire::http::Timeout=15',
    'Acquire::https::Timeout=15',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}

/**
 * The packages themselves plus what they need and this machine has not. A simulation lists only
 * what is not installed; `--reinstall` makes it list the wanted ones also where they are.
 */
async function namesToFetch(
  packages: readonly string[],
  ask: (args: readonly string[]) => Promise<string>,
): Promise<string[]> {
  const plan = await ask(['-s', 'install', '--reinstall', '--no-install-recommends', ...packages]);
  const names = new Set(packages);
  for (const match of plan.matchAll(/^Inst (\S+)/gm)) {
    if (match[1] !== undefined) names.add(match[1]);
  }
  return [...names];
}

/** Lines of `--print-uris`: 'address' file bytes checksum. */
function parseArchives(text: string): Archive[] {
  const archives: Archive[] = [];
  for (const match of text.matchAll(/^'[^']*' (\S+\.deb) (\d+)/gm)) {
    const [, file, bytes] = match;
    if (file !== undefined) archives.push({ file: basename(file), bytes: Number(bytes) });
  }
  return archives;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
