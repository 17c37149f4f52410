import { AssertionFailed } from '../core/assert.ts';
import type { StoreErrorCode } from '../port/replica-store.ts';
import { StoreError } from '../port/replica-store.ts';

/** Server errors that mean the same whatever was asked. Numbers, because texts and names differ. */
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  // Nothing was done: the statement was rolled back, or never begun.
  20: 'unavailable', // disk full, from the file layer
  28: 'unavailable', // no space left on device
  1021: 'unavailable', // DISK_FULL
  1037: 'unavailable', // OUTOFMEMORY
  1038: 'unavailable', // OUT_OF_SORTMEMORY
  1040: 'unavailable', // CON_COUNT_ERROR
  1041: 'unavailable', // OUT_OF_RESOURCES
  1114: 'unavailable', // RECORD_FILE_FULL
  1203: 'unavailable', // TOO_MANY_USER_CONNECTIONS
  1205: 'unavailable', // LOCK_WAIT_TIMEOUT
  1206: 'unavailable', // LOCK_TABLE_FULL
  1213: 'unavailable', // LOCK_DEADLOCK
  1226: 'unavailable', // USER_LIMIT_REACHED
  1290: 'unavailable', // OPTION_PREVENTS_STATEMENT (read only)
  1461: 'unavailable', // MAX_PREPARED_STMT_COUNT_REACHED
  1792: 'unavailable', // CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  1836: 'unavailable', // READ_ONLY_MODE
  // The server, not the data: another setting or another right mends it, and nothing was done.
  1044: 'unavailable', // DBACCESS_DENIED
  1045: 'unavailable', // ACCESS_DENIED
  1049: 'unavailable', // BAD_DB
  1054: 'unavailable', // BAD_FIELD: another schema
  1142: 'unavailable', // TABLEACCESS_DENIED
  1146: 'unavailable', // NO_SUCH_TABLE
  1153: 'unavailable', // NET_PACKET_TOO_LARGE: batches are far below what a server must take
  1227: 'unavailable', // SPECIFIC_ACCESS_DENIED
  1286: 'unavailable', // UNKNOWN_STORAGE_ENGINE
  // These bytes would be refused again, by every server.
  1048: 'rejected', // BAD_NULL
  1062: 'rejected', // DUP_ENTRY
  1064: 'rejected', // PARSE_ERROR
  1071: 'rejected', // TOO_LONG_KEY
  1118: 'rejected', // TOO_BIG_ROWSIZE
  1136: 'rejected', // WRONG_VALUE_COUNT_ON_ROW
  1264: 'rejected', // WARN_DATA_OUT_OF_RANGE
  1366: 'rejected', // TRUNCATED_WRONG_VALUE_FOR_FIELD
  1406: 'rejected', // DATA_TOO_LONG
  1690: 'rejected', // DATA_OUT_OF_RANGE
  // What is on the disk is not what was written.
  126: 'corrupt',
  127: 'corrupt',
  134: 'corrupt',
  144: 'corrupt',
  145: 'corrupt',
  1034: 'corrupt', // NOT_KEYFILE
  1035: 'corrupt', // OLD_KEYFILE
  1194: 'corrupt', // CRASHED_ON_USAGE
  1195: 'corrupt', // CRASHED_ON_REPAIR
  1712: 'corrupt', // INDEX_CORRUPT
  1812: 'corrupt', // TABLESPACE_MISSING
  1877: 'corrupt', // TABLE_CORRUPT
  1932: 'corrupt', // NO_SUCH_TABLE_IN_ENGINE
};

/** DBACCESS_DENIED, ACCESS_DENIED, BAD_DB, ACCESS_DENIED_NO_PASSWORD. */
const ACCESS_REFUSED = [1044, 1045, 1049, 1698];
export const DUPLICATE_KEY = 1062;
export const NO_SUCH_TABLE = 1146;
export const NO_SUCH_THREAD = 1094;

/** Why a server is not taken as a replica, for people and for alarms. */
export type RefusalReason =
  | 'flush_log'
  | 'doublewrite'
  | 'no_sync'
  | 'sync_binlog'
  | 'isolation'
  | 'sql_mode'
  | 'session'
  | 'max_allowed_packet'
  | 'engine'
  | 'migration'
  | 'other_set'
  | 'access_denied'
  | 'no_database';

/** A server, a database or a user that must not serve a replica: an operator has to act. */
export class ReplicaRefused extends StoreError {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string, options?: ErrorOptions) {
    super('rejected', `${message} (${reason})`, options);
    this.reason = reason;
  }
}

/** The server's error number, or null for anything that the server did not say. */
export function errnoOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errno' in error)) return null;
  // Errors of the socket have a negative number.
  return typeof error.errno === 'number' && error.errno > 0 ? error.errno : null;
}

/**
 * What a failed call means to its caller. `sent`: something of it may have reached the server;
 * `writes`: then it may have been done.
 */
export function toStoreError(
  error: unknown,
  { writes, sent }: { writes: boolean; sent: boolean },
): StoreError | AssertionFailed {
  if (error instanceof StoreError || error instanceof AssertionFailed) return error;
  const message = error instanceof Error ? error.message : String(error);
  const errno = errnoOf(error);
  const otherwise = writes && sent ? 'unknown' : 'unavailable';
  // A server that came back empty has neither user nor database until somebody makes them.
  const isShut = !sent && errno !== null && ACCESS_REFUSED.includes(errno);
  if (errno !== null && !isShut) {
    return new StoreError(CODES[errno] ?? otherwise, `server error ${errno}: ${message}`, {
      cause: error,
    });
  }
  return new StoreError(otherwise, message, { cause: error });
}
