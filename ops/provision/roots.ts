/** Unpacked sets in the runtime directory: made once, recognised by a stamp, checked by a probe. */
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, requireApt, unpackPackages } from './apt.ts';
import { ProvisionError, runCommand } from './command.ts';
import type { Environment, Log } from './command.ts';
import { withLock } from './lock.ts';
import { specOf, variableOf } from './sets.ts';
import type { SetName } from './sets.ts';

export type Context = {
  readonly env: Environment;
  /** Absolute. */
  readonly runtimeDir: string;
  /** Do not use what the system has. */
  readonly isPrivate: boolean;
  readonly retryDelayMs: number;
  readonly log: Log;
};

type Stamp = {
  /** A root of another recipe, release or processor is made anew. */
  readonly made: string;
  /** Which packages the machine itself had; when it changes, the programs must prove that they run. */
  readonly installed: string;
};

/** Raise it when the unpacked tree must be made anew although the packages are the same. */
const RECIPE = 1;
/** Somebody else may be on a slow line: longer than two whole downloads. */
const LOCK_WAIT_MS = 900_000;
const PROBE_TIMEOUT_MS = 30_000;
const STAMP_FILE = '.stamp.json';

/**
 * The absolute root of a set; fetched and unpacked when missing or made for another machine.
 * Throws ProvisionError that says what to install.
 */
export async function unpackedRoot(set: SetName, context: Context): Promise<string> {
  const { env, runtimeDir, retryDelayMs, log } = context;
  const { packages } = specOf(set);
  const root = join(runtimeDir, `root-${set}`);
  if (await isUsable({ set, root, env })) return root;
  try {
    await requireApt(env);
    await mkdir(runtimeDir, { recursive: true });
    await withLock({
      file: join(runtimeDir, 'provision.lock'),
      waitMs: LOCK_WAIT_MS,
      log,
      body: async () => {
        // Whoever held the lock before us may have done the work.
        if (await isUsable({ set, root, env })) return;
        const startedMs = performance.now();
        const seal = async (unpacked: string) => {
          await probe({ set, root: unpacked, env });
          await writeStamp(unpacked, await stampOf(set));
        };
        await unpackPackages({ packages, root, runtimeDir, env, retryDelayMs, log, seal });
        log(`${set}: ready after ${Math.round(performance.now() - startedMs)} ms in ${root}`);
      },
    });
    return root;
  } catch (error) {
    const variables = Object.keys(specOf(set).binaries).map(variableOf);
    const orName = variables.length === 0 ? '' : `, or name it in ${variables.join(' and ')}`;
    throw new ProvisionError(
      `${set} is missing and could not be fetched into ${runtimeDir}: ${messageOf(error)}. ` +
        `Install it (Debian: apt-get install ${packages.join(' ')})${orName}.`,
      { cause: error },
    );
  }
}

/** What the loader needs to run a program of an unpacked root; inherited directories come last. */
export async function libraryEnvironment(options: {
  readonly set: SetName;
  readonly root: string;
  readonly env: Environment;
}): Promise<Record<string, string>> {
  const { set, root, env } = options;
  const dirs: string[] = [];
  for (const base of [join(root, 'usr/lib'), join(root, 'lib')]) {
    for (const name of await readdir(base).catch(() => [])) {
      if (!name.includes('-linux-gnu')) continue;
      dirs.push(join(base, name));
      dirs.push(...specOf(set).libraryDirs.map((dir) => join(base, name, dir)));
    }
  }
  const inherited = env['LD_LIBRARY_PATH'];
  if (inherited !== undefined && inherited !== '') dirs.push(inherited);
  return dirs.length === 0 ? {} : { LD_LIBRARY_PATH: dirs.join(':') };
}

export async function fileExists(file: string): Promise<boolean> {
  return stat(file).then(
    (facts) => facts.isFile(),
    () => false,
  );
}

/**
 * True when the stamp fits this machine. Libraries that a machine has were not fetched, so a root
 * carried to another one (a cache, an image) or one after an upgrade has to prove itself again.
 */
async function isUsable(options: {
  readonly set: SetName;
  readonly root: string;
  readonly env: Environment;
}): Promise<boolean> {
  const { set, root, env } = options;
  const stamp = await readStamp(root);
  const current = await stampOf(set);
  if (stamp === null || stamp.made !== current.made) return false;
  if (stamp.installed === current.installed) return true;
  try {
    await probe({ set, root, env });
  } catch {
    return false;
  }
  // Another user's root stays readable; it is then probed every time.
  await writeStamp(root, current).catch(() => {});
  return true;
}

async function stampOf(set: SetName): Promise<Stamp> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => process.platform);
  const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? release;
  const { packages } = specOf(set);
  const installed = await stat('/var/lib/dpkg/status').then(
    ({ size, mtimeMs }) => `${size} bytes of ${Math.round(mtimeMs)}`,
    () => 'none',
  );
  return { made: JSON.stringify([RECIPE, packages, system, process.arch]), installed };
}

async function readStamp(root: string): Promise<Stamp | null> {
  try {
    return JSON.parse(await readFile(join(root, STAMP_FILE), 'utf8')) as Stamp;
  } catch {
    return null;
  }
}

async function writeStamp(root: string, stamp: Stamp): Promise<void> {
  await writeFile(join(root, STAMP_FILE), `${JSON.stringify(stamp)}\n`);
}

/** Every file of the table is there and every program starts, with the libraries it will have. */
async function probe(options: {
  readonly set: SetName;
  readonly root: string;
  readonly env: Environment;
}): Promise<void> {
  const { set, root, env } = options;
  const { files, binaries } = specOf(set);
  for (const file of files) {
    if (!(await fileExists(join(root, file)))) {
      throw new ProvisionError(`the packages do not contain ${file}`);
    }
  }
  const libraries = await libraryEnvironment(options);
  for (const { file } of Object.values(binaries)) {
    await runCommand({
      file: join(root, file),
      args: ['--version'],
      env: { ...env, ...libraries },
      timeoutMs: PROBE_TIMEOUT_MS,
    });
  }
}
