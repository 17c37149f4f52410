import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Topology } from './topology.ts';
import { TopologyError, encodeTopology, parseTopology, whyNotExtends } from './topology.ts';

/** null when there is no file. Throws {@link TopologyError} with the path when it cannot be used. */
export async function loadTopology(path: string): Promise<Topology | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    return parseTopology(text);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    throw new TopologyError(`${path}: ${error.message}`, { cause: error });
  }
}

/**
 * Writes the first version, or one that extends what is there; whole or not at all, and on disk
 * before it resolves. Throws {@link TopologyError} otherwise. One writer at a time is the caller's duty.
 */
export async function saveTopology(path: string, topology: Topology): Promise<void> {
  const old = await loadTopology(path);
  if (old?.hash === topology.hash) return;
  const reason = old === null ? null : whyNotExtends(old, topology);
  if (reason !== null) throw new TopologyError(`${path} is not replaced: ${reason}`);
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o644);
  try {
    await file.writeFile(encodeTopology(topology));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The same, for a process that cannot do without. Throws also where there is no file. */
export async function needTopology(path: string): Promise<Topology> {
  const topology = await loadTopology(path);
  if (topology === null) throw new Error(`${path}: there is no topology`);
  return topology;
}
