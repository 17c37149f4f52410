/** A disk that can be full: a small tmpfs in a mount namespace of its own, with or without root. */
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../lib/core/assert.ts';
import { ProvisionError } from '../provision/command.ts';
import { MariaDb } from './mariadb.ts';
import type { MariaDbOptions } from './mariadb.ts';
import { ProcessFailed, RigProcess } from './process.ts';
import type { Rig } from './rig.ts';

const MOUNTED = 'mounted';
const MOUNT_WITHIN_MS = 5_000;
/** The first that works; the second needs no root, but a kernel that lets users make namespaces. */
const WAYS = [
  { unshare: ['--mount'], nsenter: ['--mount'] },
  {
    unshare: ['--user', '--map-root-user', '--mount'],
    nsenter: ['--user', '--mount', '--preserve-credentials'],
  },
];
const FILL_CHUNKS = [1_048_576, 4_096];
/** 12 MB of tables, 12 MB of temporary ones, and a redo log that must not be what runs out. */
const SERVER_MEGABYTES = 64;
const SERVER_ARGS = ['--innodb-log-file-size=8M'];

export class SmallDisk {
  /** Its root, by a path that holds for this process and for those that entered. */
  readonly dir: string;
  /** For `ProcessOptions.enter`. */
  readonly enter: readonly string[];
  readonly #holder: RigProcess;

  private constructor(args: { dir: string; enter: readonly string[]; holder: RigProcess }) {
    this.dir = args.dir;
    this.enter = args.enter;
    this.#holder = args.holder;
  }

  /**
   * Lives until its rig closes: a process holds the namespace, and the mount goes with it, also after
   * kill -9. Throws ProvisionError where the machine lets nobody mount.
   */
  static async make(options: {
    readonly rig: Rig;
    readonly name: string;
    readonly megabytes: number;
  }): Promise<SmallDisk> {
    const { rig, name, megabytes } = options;
    assert(Number.isSafeInteger(megabytes) && megabytes > 0, 'a disk has a size');
    const place = join(rig.dir, name);
    await mkdir(place, { recursive: true, mode: 0o700 });
    const mount = `mount -t tmpfs -o size=${megabytes}m,mode=0700 none "$0" && exec "$@"`;
    const refusals: string[] = [];
    for (const way of WAYS) {
      const holder = new RigProcess({
        name: `small disk ${name}`,
        command: 'sh',
        args: ['-c', `echo ${MOUNTED}; exec sleep 2147483`],
        enter: ['unshare', ...way.unshare, 'sh', '-c', mount, place],
        logFile: join(rig.dir, `${name}.log`),
        isReady: (output) => output.includes(MOUNTED),
        readyWithinMs: MOUNT_WITHIN_MS,
      });
      try {
        await holder.start();
      } catch (error) {
        if (!(error instanceof ProcessFailed)) throw error;
        refusals.push(error.message.trim());
        continue;
      }
      const enter = ['nsenter', '--target', String(holder.pid), ...way.nsenter];
      const dir = `/proc/${holder.pid}/root${place}`;
      return rig.own(new SmallDisk({ dir, enter, holder }));
    }
    throw new ProvisionError(
      'a small disk can be made on Linux only, as root (CAP_SYS_ADMIN) or where users may make ' +
        `namespaces (sysctl kernel.unprivileged_userns_clone=1): ${refusals.join('; ')}`,
    );
  }

  /** Bytes that can still be written. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.dir);
    return bavail * bsize;
  }

  /** Writes zeros until nothing fits any more. */
  async fill(): Promise<void> {
    const file = await open(join(this.dir, 'fill'), 'a', 0o600);
    try {
      for (const size of FILL_CHUNKS) {
        const chunk = Buffer.alloc(size);
        while (await fits(() => file.write(chunk))) continue;
      }
    } finally {
      await file.close();
    }
  }

  /** Takes away what {@link fill} wrote. */
  async free(): Promise<void> {
    await rm(join(this.dir, 'fill'), { force: true });
  }

  close(): Promise<void> {
    return this.#holder.kill();
  }
}

/** A MariaDB whose data lives on a disk of 64 MB. */
export async function startOnSmallDisk(
  options: Omit<MariaDbOptions, 'dir' | 'enter'>,
): Promise<{ readonly disk: SmallDisk; readonly server: MariaDb }> {
  const { rig, name, args = [] } = options;
  const disk = await SmallDisk.make({ rig, name: `${name}_disk`, megabytes: SERVER_MEGABYTES });
  const server = await MariaDb.start({
    ...options,
    dir: disk.dir,
    enter: disk.enter,
    args: [...SERVER_ARGS, ...args],
  });
  return { disk, server };
}

/** False when there was no room; a write that is cut short is the last that fits. */
async function fits(write: () => Promise<{ bytesWritten: number }>): Promise<boolean> {
  try {
    return (await write()).bytesWritten > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
