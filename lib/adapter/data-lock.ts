import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another living process serves from this directory. */
class DataInUse extends Error {
  override readonly name = 'DataInUse';
  readonly code = 'data_in_use';
}

/**
 * Holds a data directory for this process. The lock is the operating system's, taken through an
 * empty database: it is gone the moment the process is, also after kill -9.
 */
export function lockData(directory: string): { release(): void } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch {
    database.close();
    throw new DataInUse(`${directory} is in use by another Hongbao`);
  }
  return { release: () => database.close() };
}
