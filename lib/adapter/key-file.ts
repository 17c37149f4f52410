import { randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  constants,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

const SECRET_BYTES = 32;
const FILE_BYTES = 2 * SECRET_BYTES;
const OTHERS = 0o077;

export type ClusterKeys = {
  /** Signs grants and invitations; every Set of the cluster has it. */
  readonly clusterSecret: Uint8Array;
  /** Seals the seeds of packets in journals. */
  readonly seedKey: Uint8Array;
};

/**
 * Reads the cluster's keys, and makes them the first time: 64 random bytes in a file that only its
 * owner can read. Throws when others can, when it is no plain file or has another length: a key
 * that changed would make sealed seeds unreadable, so it is never made anew over what is there.
 */
export function loadKeyFile(path: string): ClusterKeys {
  const file = openKeyFile(path) ?? makeKeyFile(path);
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw new Error(`${path} is no plain file`);
    if ((mode & OTHERS) !== 0) {
      throw new Error(`${path} can be used by others: chmod 600 it, or replace the cluster's keys`);
    }
    const bytes = new Uint8Array(FILE_BYTES);
    if (size !== FILE_BYTES || readSync(file, bytes, 0, FILE_BYTES, 0) !== FILE_BYTES) {
      throw new Error(`${path} does not hold ${FILE_BYTES} bytes of keys`);
    }
    return { clusterSecret: bytes.slice(0, SECRET_BYTES), seedKey: bytes.slice(SECRET_BYTES) };
  } finally {
    closeSync(file);
  }
}

function openKeyFile(path: string): number | null {
  try {
    // Not through a link, and without waiting for the other end of a pipe.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole before it has its name; of two processes at once the first one's keys are everybody's. */
function makeKeyFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${randomUUID()}`;
  const file = openSync(unfinished, 'wx', 0o600);
  try {
    writeSync(file, randomBytes(FILE_BYTES));
    fsyncSync(file);
    linkSync(unfinished, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    closeSync(file);
    rmSync(unfinished, { force: true });
  }
  const made = openKeyFile(path);
  if (made === null) throw new Error(`${path} was removed while it was made`);
  return made;
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
