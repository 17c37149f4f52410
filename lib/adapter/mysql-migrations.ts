import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { assert } from '../core/assert.ts';
import { equalBytes } from '../core/bytes.ts';
import { StoreError } from '../port/replica-store.ts';
import { NO_SUCH_TABLE, ReplicaRefused, errnoOf } from './mysql-errors.ts';
import type { MysqlSession } from './mysql-session.ts';

/** One numbered forward step of the schema. */
export type Migration = {
  /** 1, 2, 3, … without a gap. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
};

const FILE = /^(\d{4})-([a-z0-9-]+)\.sql$/;
/** Somebody else may be making the tables of an empty database. */
const LOCK_WAIT_S = 4;
const TABLE = `CREATE TABLE IF NOT EXISTS schema_migration (
  version INT UNSIGNED NOT NULL PRIMARY KEY,
  name VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sha256 BINARY(32) NOT NULL,
  applied_at DATETIME(3) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`;

/** The migrations of a directory of `NNNN-name.sql` files, in order. Throws where a number is missing. */
export async function loadMigrations(directory: URL): Promise<Migration[]> {
  const folder = directory.href.endsWith('/') ? directory : new URL(`${directory.href}/`);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).toSorted();
  return Promise.all(
    files.map(async (file, index) => {
      const [, number, name] = FILE.exec(file) ?? [];
      const isNext = number !== undefined && Number(number) === index + 1;
      assert(isNext && name !== undefined, `${file} is migration ${index + 1}`);
      return { version: index + 1, name, sql: await readFile(new URL(file, folder), 'utf8') };
    }),
  );
}

/**
 * Brings a database to the newest version; several at once are safe. Refuses (reason `migration`) a
 * database whose applied steps differ from ours, or that a newer program has been at.
 */
export async function migrate(
  session: MysqlSession,
  migrations: readonly Migration[],
): Promise<void> {
  if ((await countApplied(session, migrations)) === migrations.length) return;
  await locked(session, async () => {
    await session.run(TABLE);
    for (const step of migrations.slice(await countApplied(session, migrations))) {
      // DDL commits by itself: a crash in between leaves a step that is run again.
      for (const statement of statementsOf(step.sql)) await session.run(statement);
      await session.change('INSERT INTO schema_migration VALUES (?, ?, ?, UTC_TIMESTAMP(3))', [
        step.version,
        step.name,
        hashOf(step),
      ]);
    }
  });
}

/** Runs `work` while no other migrator of this database does. Throws StoreError `unavailable`. */
export async function locked<T>(session: MysqlSession, work: () => Promise<T>): Promise<T> {
  // A lock's name has 64 characters at most, and is the server's, not the database's.
  const name = `CONCAT('hb:', LEFT(SHA1(DATABASE()), 32))`;
  const rows = await session.show(`SELECT GET_LOCK(${name}, ${LOCK_WAIT_S}) AS got`);
  if (rows[0]?.['got'] !== 1) {
    throw new StoreError('unavailable', 'another process is changing the tables');
  }
  try {
    return await work();
  } finally {
    // A connection that is lost gives its locks back by itself.
    if (!session.isLost) await session.show(`SELECT RELEASE_LOCK(${name}) AS freed`);
  }
}

async function countApplied(
  session: MysqlSession,
  migrations: readonly Migration[],
): Promise<number> {
  const applied = await readApplied(session);
  for (const [index, row] of applied.entries()) {
    const step = migrations[index];
    const label = `migration ${String(row['version'])} (${String(row['name'])})`;
    if (step === undefined || row['version'] !== step.version) {
      throw new ReplicaRefused('migration', `${label} is newer than this program or out of order`);
    }
    const hash = row['sha256'];
    if (!(hash instanceof Uint8Array) || !equalBytes(hash, hashOf(step))) {
      throw new ReplicaRefused('migration', `${label} was changed after it had been applied`);
    }
  }
  return applied.length;
}

async function readApplied(session: MysqlSession) {
  try {
    return await session.show(
      'SELECT version, name, sha256 FROM schema_migration ORDER BY version',
    );
  } catch (error) {
    if (errnoOf(error) === NO_SUCH_TABLE) return [];
    throw error;
  }
}

function hashOf(step: Migration): Uint8Array {
  return createHash('sha256').update(step.sql).digest();
}

/** Statements end with a semicolon at the end of a line; comments are whole lines. */
export function statementsOf(sql: string): string[] {
  const code = sql
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n');
  return code
    .split(/;\s*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
