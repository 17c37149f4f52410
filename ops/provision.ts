/**
 * Programs that Hongbao's tests and clusters need (a browser, servers) on a machine where nobody
 * may install anything: found, or fetched and unpacked into the runtime directory.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProvisionError, findOnPath, isExecutable } from './provision/command.ts';
import type { Environment, Log } from './provision/command.ts';
import { fontEnvironment } from './provision/fonts.ts';
import { libraryEnvironment, unpackedRoot } from './provision/roots.ts';
import type { Context } from './provision/roots.ts';
import { specOf, variableOf } from './provision/sets.ts';
import type { BinaryOf, Want } from './provision/sets.ts';

export type Provisioned<W extends Want = Want> = {
  readonly want: W;
  readonly source: 'environment' | 'path' | 'private';
  /** The directory it was unpacked into, or null where the system's own is used. */
  readonly root: string | null;
  /** Absolute paths by program name. */
  readonly binaries: Readonly<Record<BinaryOf<W>, string>>;
  /** To be laid over the environment of every process started from `binaries`. */
  readonly env: Readonly<Record<string, string>>;
};

type Installed = {
  readonly source: 'environment' | 'path';
  readonly files: Readonly<Record<string, string>>;
  readonly isComplete: boolean;
};

const RETRY_DELAY_MS = 2_000;
const CHECKOUT_RUNTIME = fileURLToPath(new URL('../.runtime', import.meta.url));

/**
 * Finds the programs of a set, first found wins: the environment variable that names the program
 * (`HONGBAO_CHROMIUM`), PATH (not with `HONGBAO_RUNTIME=private`), the runtime directory
 * (`HONGBAO_RUNTIME_DIR`, else `.runtime` of the checkout), Debian packages unpacked into it.
 * Milliseconds when they are there; about ten seconds and 130 MB for a first Chromium.
 * Throws ProvisionError that says what to install.
 */
export async function provision<W extends Want>(options: {
  readonly want: W;
  readonly log: Log;
  readonly env?: Environment;
  /** Pause before the one retry of a network step. */
  readonly retryDelayMs?: number;
}): Promise<Provisioned<W>> {
  const { want, log, env = process.env, retryDelayMs = RETRY_DELAY_MS } = options;
  const runtimeDir = resolve(env['HONGBAO_RUNTIME_DIR'] || CHECKOUT_RUNTIME);
  const context: Context = { env, runtimeDir, isPrivate: readMode(env), retryDelayMs, log };
  const installed = await findInstalled(want, context);
  const fonts = want === 'chromium' ? () => fontEnvironment(context) : async () => ({});
  if (installed.isComplete) {
    const { source, files } = installed;
    return { want, source, root: null, binaries: typed<W>(files), env: await fonts() };
  }
  const root = await unpackedRoot(want, context);
  const files: Record<string, string> = { ...installed.files };
  for (const [name, { file }] of Object.entries(specOf(want).binaries)) {
    files[name] ??= join(root, file);
  }
  const libraries = await libraryEnvironment({ set: want, root, env });
  const binaries = typed<W>(files);
  return { want, source: 'private', root, binaries, env: { ...libraries, ...(await fonts()) } };
}

/** Both callers have given every program of the table a path. */
function typed<W extends Want>(files: Readonly<Record<string, string>>) {
  return files as Record<BinaryOf<W>, string>;
}

function readMode(env: Environment): boolean {
  const mode = env['HONGBAO_RUNTIME'] ?? '';
  if (mode !== '' && mode !== 'private') {
    throw new ProvisionError(`HONGBAO_RUNTIME is '${mode}': leave it empty or say 'private'`);
  }
  return mode === 'private';
}

/** Programs that the environment names, and the rest from PATH if all of the rest are there. */
async function findInstalled(want: Want, context: Context): Promise<Installed> {
  const named: Record<string, string> = {};
  const onPath: Record<string, string> = {};
  const all = Object.entries(specOf(want).binaries);
  for (const [name, { names }] of all) {
    const variable = variableOf(name);
    const given = context.env[variable] ?? '';
    if (given !== '') {
      // A wrong name is an error: to search on would hide it.
      if (!(await isExecutable(given))) {
        throw new ProvisionError(`${variable} names ${given}, which is no executable file`);
      }
      named[name] = resolve(given);
    } else if (!context.isPrivate) {
      const file = await findOnPath(names, context.env);
      if (file !== null) onPath[name] = file;
    }
  }
  const count = Object.keys(named).length;
  if (count === all.length) return { source: 'environment', files: named, isComplete: true };
  // Half from PATH and half unpacked would mix versions (a server and its client).
  const isComplete = count + Object.keys(onPath).length === all.length;
  const files = isComplete ? { ...onPath, ...named } : named;
  return { source: 'path', files, isComplete };
}
