/** Where the Sets of a running cluster listen, for verbs that talk to them. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SystemClock } from '../lib/adapter/system-clock.ts';
import { SystemRandom } from '../lib/adapter/system-random.ts';
import { openSetNode } from '../lib/runtime/grpc.ts';
import type { TopologyRouter } from '../router/router.ts';
import { createRouter } from '../router/router.ts';
import { loadTopology } from '../router/topology-file.ts';
import { TopologyError } from '../router/topology.ts';
import { UsageError } from './cli.ts';

const FILE = 'running.json';
const SILENT = { info() {}, warn() {}, error() {} };

/**
 * Writes the embedded server's sockets into its data directory, which only its owner can read, and
 * takes them away at its end. After kill -9 the file stays and names sockets that nobody serves.
 */
export async function tellRunning(
  dataDir: string,
  addresses: ReadonlyMap<string, string>,
): Promise<{ name: string; close(): Promise<void> }> {
  const path = join(dataDir, FILE);
  const unfinished = `${path}.new`;
  await writeFile(unfinished, JSON.stringify(Object.fromEntries(addresses)), { mode: 0o600 });
  await rename(unfinished, path);
  return { name: 'running', close: () => rm(path, { force: true }) };
}

/**
 * A router to a cluster's topology file, or to the embedded server of a data directory.
 * Throws UsageError when there is none; close the router in the end.
 */
export async function connectTo(where: {
  readonly topology: string | undefined;
  readonly data: string;
}): Promise<TopologyRouter> {
  const file = where.topology ?? join(where.data, 'topology.json');
  const topology = await loadTopology(file).catch((error: unknown) => {
    if (error instanceof TopologyError) throw new UsageError(error.message);
    throw error;
  });
  if (topology === null) throw new UsageError(`${file}: there is no topology`);
  const sockets = where.topology === undefined ? await socketsOf(where.data) : {};
  return createRouter({
    topology,
    clock: new SystemClock(),
    random: new SystemRandom(),
    log: SILENT,
    connect: (address) => openSetNode(sockets[address] ?? address),
  });
}

async function socketsOf(data: string): Promise<Readonly<Record<string, string>>> {
  const path = join(data, FILE);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null)
    throw new UsageError(`${data}: no server runs there; --topology names another`);
  const found: unknown = JSON.parse(text);
  if (typeof found !== 'object' || found === null) throw new UsageError(`${path} cannot be read`);
  const sockets = Object.entries(found).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(sockets) as Readonly<Record<string, string>>;
}
