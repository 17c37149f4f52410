import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTopology } from '../../router/topology-file.ts';
import type { TopologySet } from '../../router/topology.ts';
import type { SetPlan } from './audit.ts';
import { openMysqlReader } from './mysql-reader.ts';
import type { ReplicaReader } from './reader.ts';
import { openSqliteReader } from './sqlite-reader.ts';

const SQLITE = 'sqlite:';
const REPLICAS_MAX = 3;

/** There is nothing to audit where somebody pointed; the message says why. */
export class NothingToAudit extends Error {
  override readonly name = 'NothingToAudit';
}

/**
 * The Sets of a topology document with all their replicas. Those that it gives no DSN for are files
 * in `dataDir`, as `./hongbao start` makes them. Retired Sets are read too: their journals hold
 * money's history. Rejects with NothingToAudit or TopologyError.
 */
export async function plansOf(args: {
  topologyFile: string;
  dataDir: string;
  /** Of the database users; '' when the DSNs name theirs. */
  password: string;
}): Promise<SetPlan[]> {
  const { topologyFile, dataDir, password } = args;
  const topology = await loadTopology(topologyFile);
  if (topology === null) throw new NothingToAudit(`${topologyFile}: there is no topology`);
  return Promise.all(
    topology.sets.map(async (set) => {
      const dsns = set.replicas.length > 0 ? set.replicas : await filesOf(set, dataDir);
      if (dsns.length === 0)
        throw new NothingToAudit(`Set ${set.id} has no replicas in ${dataDir}`);
      return planOf({ setId: set.id, dsns, password });
    }),
  );
}

/** `dsns`: `mysql://user@host:port/database` or `sqlite:/path`, by replica. */
export function planOf(args: {
  setId: number;
  dsns: readonly string[];
  password: string;
}): SetPlan {
  const { setId, dsns, password } = args;
  const replicas = dsns.map((dsn, replica) => {
    const where = `Set ${setId}, replica ${replica} (${nameOf(dsn)})`;
    const open = async (): Promise<ReplicaReader> => {
      if (!dsn.startsWith(SQLITE)) return openMysqlReader({ dsn, password, setId, replica, where });
      return openSqliteReader({ path: dsn.slice(SQLITE.length), setId, replica, where });
    };
    return { where, open };
  });
  return { setId, replicas };
}

/** Without whom one signs in as. */
function nameOf(dsn: string): string {
  if (dsn.startsWith(SQLITE)) return dsn.slice(SQLITE.length);
  return URL.canParse(dsn) ? `${new URL(dsn).host}${new URL(dsn).pathname}` : 'unknown';
}

async function filesOf(set: TopologySet, dataDir: string): Promise<string[]> {
  const dsns: string[] = [];
  for (let replica = 0; replica < REPLICAS_MAX; replica++) {
    const path = join(dataDir, `set-${set.id}`, `replica-${replica}.sqlite`);
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) dsns.push(`${SQLITE}${path}`);
  }
  return dsns;
}
