/** An empty MariaDB data directory, made once a machine and version and then only copied. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import type { Provisioned } from '../provision.ts';
import { provision } from '../provision.ts';
import { ProvisionError, runCommand } from '../provision/command.ts';
import type { Environment, Log } from '../provision/command.ts';

/** Raise it when templates must be made anew. */
const RECIPE = 2;
const MAKE_WITHIN_MS = 60_000;
const VERSION_WITHIN_MS = 10_000;
/** Who may do everything, from 127.0.0.1 only. */
export const ADMIN = 'rig_admin';
/** The admin's password, in the data directory itself: it travels with every copy. */
export const PASSWORD_FILE = 'rig-admin-password';
const SYSTEM_TABLES = ['system_tables.sql', 'system_tables_data.sql'];

export type MariaDbInstallation = {
  readonly mariadbd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Arguments that say where its files are, and as whom it runs. */
  readonly baseArgs: readonly string[];
  /** For example `10.11.19-MariaDB-0+deb12u1`. */
  readonly version: string;
  /** An empty data directory; copy it, never start a server in it. */
  readonly templateDir: string;
};

let known: Promise<MariaDbInstallation> | undefined;

/**
 * The server's program, found or fetched (see `provision`), and a template directory: 1.5 s when it
 * must be made, milliseconds afterwards. Throws ProvisionError that says what to install.
 */
export function installMariaDb(log: Log): Promise<MariaDbInstallation> {
  known ??= install(log).catch((error: unknown) => {
    known = undefined;
    throw error;
  });
  return known;
}

async function install(log: Log): Promise<MariaDbInstallation> {
  const found = await provision({ want: 'mariadb', log });
  const { mariadbd } = found.binaries;
  const env = { ...process.env, ...found.env };
  const probe = { file: mariadbd, args: ['--version'], env, timeoutMs: VERSION_WITHIN_MS };
  const words = await runCommand(probe);
  const version = /Ver (\S+)/.exec(words)?.[1] ?? words.trim();
  const baseArgs = ['--no-defaults', ...placesOf(found), ...identity()];
  const templateDir = await templatePlace(version);
  if (!(await isComplete(templateDir))) {
    log(`making a template data directory: ${templateDir}`);
    await make({ templateDir, tables: await systemTables(found), mariadbd, baseArgs, env });
  }
  return { mariadbd, env: found.env, baseArgs, version, templateDir };
}

async function isComplete(dataDir: string): Promise<boolean> {
  const password = await readFile(join(dataDir, PASSWORD_FILE), 'utf8').catch(() => '');
  return password !== '';
}

/** The SQL of the system tables: distributions and releases call folder and files differently. */
async function systemTables({ root, binaries }: Provisioned<'mariadb'>): Promise<string[]> {
  const base = root === null ? dirname(dirname(binaries.mariadbd)) : join(root, 'usr');
  for (const folder of ['share/mysql', 'share/mariadb']) {
    for (const brand of ['mysql', 'mariadb']) {
      const files = SYSTEM_TABLES.map((rest) => join(base, folder, `${brand}_${rest}`));
      const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
      if (texts.every((text) => text !== '')) return texts;
    }
  }
  throw new ProvisionError(`${base}/share has no SQL of MariaDB's system tables`);
}

function placesOf({ root }: Provisioned<'mariadb'>): string[] {
  if (root === null) return [];
  return [
    `--basedir=${root}/usr`,
    `--plugin-dir=${root}/usr/lib/mysql/plugin`,
    `--lc-messages-dir=${root}/usr/share/mysql`,
  ];
}

/** The server refuses to run as root unless it is told so by name. */
function identity(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/** In the runtime directory, or below the temporary one where that may not be written. */
async function templatePlace(version: string): Promise<string> {
  const key = createHash('sha256').update(`${RECIPE}\n${version}`).digest('hex').slice(0, 12);
  const name = `mariadb-template-${key}-${process.getuid?.() ?? 0}`;
  const checkout = join(import.meta.dirname, '../../.runtime');
  const runtime = resolve(process.env['HONGBAO_RUNTIME_DIR'] || checkout);
  const isWritable = await mkdir(runtime, { recursive: true })
    .then(() => mkdtemp(join(runtime, 'try-')))
    .then((dir) => rm(dir, { recursive: true }))
    .then(
      () => true,
      () => false,
    );
  return join(isWritable ? runtime : tmpdir(), name);
}

/** Appears complete or not at all; of two that make it at once, one wins and both are right. */
async function make(options: {
  readonly templateDir: string;
  readonly tables: readonly string[];
  readonly mariadbd: string;
  readonly baseArgs: readonly string[];
  readonly env: Environment;
}): Promise<void> {
  const { templateDir, tables, mariadbd, baseArgs, env } = options;
  const partial = await mkdtemp(`${templateDir}.partial-`);
  try {
    const password = randomBytes(18).toString('base64url');
    const sql = [
      'CREATE DATABASE mysql;',
      'USE mysql;',
      // A variable that the script reads and mariadb-install-db would set.
      'SET @auth_root_socket = NULL;',
      ...tables,
      "DELETE FROM global_priv WHERE User <> 'mariadb.sys';",
      'DELETE FROM proxies_priv;',
      'FLUSH PRIVILEGES;',
      `CREATE USER '${ADMIN}'@'127.0.0.1' IDENTIFIED BY '${password}';`,
      `GRANT ALL PRIVILEGES ON *.* TO '${ADMIN}'@'127.0.0.1' WITH GRANT OPTION;`,
      '',
    ].join('\n');
    const args = [...baseArgs, `--datadir=${partial}`, ...BOOTSTRAP_ARGS];
    await bootstrap({ mariadbd, args, env, sql });
    await writeFile(join(partial, PASSWORD_FILE), password, { mode: 0o600 });
    await rename(partial, templateDir).catch(async (error: unknown) => {
      if (!(await isComplete(templateDir))) throw error; // else a faster one was here
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

const BOOTSTRAP_ARGS = [
  '--bootstrap',
  '--skip-log-bin',
  '--performance-schema=OFF',
  '--character-set-server=utf8mb4',
  '--collation-server=utf8mb4_bin',
];

async function bootstrap(options: {
  readonly mariadbd: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly sql: string;
}): Promise<void> {
  const { mariadbd, args, env, sql } = options;
  const child = spawn(mariadbd, args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
  const late = setTimeout(() => child.kill('SIGKILL'), MAKE_WITHIN_MS);
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2_000);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(sql);
  try {
    const ended = new Promise<number | null>((done, reject) => {
      child.once('error', reject);
      child.once('exit', done);
    });
    const [status] = await Promise.all([ended, finished(child.stderr)]);
    if (status !== 0 || words.includes('ERROR:')) {
      throw new ProvisionError(`no data directory could be made (status ${status}): ${words}`);
    }
  } finally {
    clearTimeout(late);
  }
}
