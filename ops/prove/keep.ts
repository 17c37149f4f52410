import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Rig } from '../rig/rig.ts';

/** Copies logs and settings of a rig, without the servers' data, for an inquest; returns where to. */
export async function keepLogs(rig: Rig, name: string): Promise<string> {
  const dir = join(tmpdir(), `hb-${name}-${process.pid}-${Date.now()}`);
  const isData = (path: string): boolean =>
    /\/(data|old-copy)(\/|$)/.test(path.slice(rig.dir.length));
  await cp(rig.dir, dir, { recursive: true, filter: (path) => !isData(path) });
  return dir;
}
