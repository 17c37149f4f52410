import type { DatabaseSync } from 'node:sqlite';
import { AssertionFailed } from '../core/assert.ts';
import type { StoreErrorCode } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  3: 'unavailable', // PERM
  5: 'unavailable', // BUSY
  6: 'unavailable', // LOCKED
  7: 'unavailable', // NOMEM
  8: 'unavailable', // READONLY
  // IOERR: the bytes of a commit may have reached the disk although its fsync failed.
  10: 'unknown',
  11: 'corrupt', // CORRUPT
  13: 'unavailable', // FULL
  14: 'unavailable', // CANTOPEN
  18: 'rejected', // TOOBIG
  19: 'rejected', // CONSTRAINT
  20: 'rejected', // MISMATCH
  26: 'corrupt', // NOTADB
};

/** What a failed call means to its caller. Errors that are not SQLite's are bugs: `unknown`. */
export function toStoreError(error: unknown): StoreError | AssertionFailed {
  if (error instanceof StoreError || error instanceof AssertionFailed) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && 'errcode' in error && typeof error.errcode === 'number') {
    const code = CODES[error.errcode & 0xff] ?? 'unknown';
    return new StoreError(code, `SQLite ${error.errcode}: ${message}`, { cause: error });
  }
  if (error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE') {
    return new StoreError('corrupt', 'an integer is beyond what was written', { cause: error });
  }
  return new StoreError('unknown', message, { cause: error });
}

/** Runs `work` in one transaction that holds the write lock from its first statement. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite itself rolls back after FULL, IOERR and others; a second ROLLBACK would hide the cause.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Commits of `work` reach the log at once and the disk with the next append: kill -9 loses nothing,
 * a power cut only what can be computed again. For commit points, beats and projections.
 */
export function lazily<T>(db: DatabaseSync, work: () => T): T {
  db.exec('PRAGMA synchronous = NORMAL');
  try {
    return work();
  } finally {
    db.exec('PRAGMA synchronous = FULL');
  }
}
