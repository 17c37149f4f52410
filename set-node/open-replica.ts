import { MysqlProjectors } from '../lib/adapter/mysql-projector.ts';
import { openMysqlReplica } from '../lib/adapter/mysql-replica.ts';
import { openSqliteReplica } from '../lib/adapter/sqlite-replica.ts';
import type { SetId } from '../lib/core/units.ts';
import type { Clock } from '../lib/port/clock.ts';
import type { Log } from '../lib/port/log.ts';
import type { ReplicaStore } from '../lib/port/replica-store.ts';
import { ConfigError } from '../lib/runtime/config.ts';

const PROJECTOR = new URL('./read/projection.ts', import.meta.url);
const MIGRATIONS = new URL('../ops/schema/', import.meta.url);
const SQLITE = 'sqlite:';
const MYSQL = 'mysql:';

export type OpenReplicaArgs = {
  readonly setId: SetId;
  /** As it stands in a topology: `mysql://user@host:port/database`, or `sqlite:/path` for trials. */
  readonly dsn: string;
  /** Of the database user; '' for none. */
  readonly password: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared by the replicas of the Set ({@link projectorsOf}); default: a thread for each. */
  readonly projectors?: MysqlProjectors;
};

/** One thread for all replicas of a Set in this process, made when something is projected. */
export function projectorsOf(setId: SetId): MysqlProjectors {
  return new MysqlProjectors({ setId, schemaModule: PROJECTOR });
}

/**
 * Opens one replica of a Set with the tables that set-nodes project. Throws ConfigError for a DSN of
 * another kind, StoreError `rejected` where the server or the file must not serve this replica.
 */
export async function openReplica(args: OpenReplicaArgs): Promise<ReplicaStore> {
  const { setId, dsn, password, clock, log, projectors } = args;
  if (dsn.startsWith(SQLITE)) {
    const path = dsn.slice(SQLITE.length);
    return openSqliteReplica({ path, setId, schemaModule: PROJECTOR });
  }
  if (!dsn.startsWith(MYSQL)) {
    throw new ConfigError(`Set ${setId}: a replica is mysql://user@host:port/database`);
  }
  return openMysqlReplica({
    url: dsn,
    ...(password === '' ? {} : { password }),
    setId,
    schemaModule: PROJECTOR,
    migrations: MIGRATIONS,
    clock,
    log,
    ...(projectors === undefined ? {} : { projectIn: projectors }),
  });
}
