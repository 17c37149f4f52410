import type { MariaDb } from '../../rig/mariadb.ts';
import { databaseOf } from '../../rig/mariadb.ts';

/** How far one replica is, by its own rows. */
export type Vote = {
  readonly isVoter: boolean;
  readonly headLsn: number;
  readonly commitLsn: number;
  readonly projectedLsn: number;
};

/** Is this replica a voter by its own word: an alive row with its incarnation? Plain SQL. */
export async function readVote({ server, set }: { server: MariaDb; set: number }): Promise<Vote> {
  const database = databaseOf(set);
  const [row] = await server.query(
    `SELECT (SELECT COUNT(*) FROM ${database}.replica_state s JOIN ${database}.alive a
               ON a.set_id = s.set_id AND a.incarnation = s.incarnation) AS voters,
            (SELECT COALESCE(MAX(lsn), 0) FROM ${database}.journal) AS head,
            (SELECT COALESCE(MAX(commit_lsn), 0) FROM ${database}.commit_point) AS committed,
            (SELECT COALESCE(MAX(projected_lsn), 0) FROM ${database}.projection_state) AS projected`,
  );
  return {
    isVoter: Number(row?.['voters']) === 1,
    headLsn: Number(row?.['head']),
    commitLsn: Number(row?.['committed']),
    projectedLsn: Number(row?.['projected']),
  };
}
