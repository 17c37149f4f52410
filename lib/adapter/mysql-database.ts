import type { Schema } from '../port/replica-store.ts';
import { ReplicaRefused } from './mysql-errors.ts';
import type { Migration } from './mysql-migrations.ts';
import { migrate } from './mysql-migrations.ts';
import type { MysqlSession } from './mysql-session.ts';
import { makeFirstTables } from './mysql-tables.ts';

/** What lies in a replica's database: the same for every thread and process that uses it. */
export type DatabasePlan = {
  readonly set: number;
  readonly migrations: readonly Migration[];
  readonly schema: Schema;
};

const EMPTY_SUM = new Uint8Array(32);
const SINGLE_ROWS: readonly (readonly [string, readonly (number | Uint8Array)[]])[] = [
  ['INSERT IGNORE INTO commit_point VALUES (?, 0)', []],
  ['INSERT IGNORE INTO leader_beat VALUES (?, 0, 0)', []],
  // Epoch 0 stands for "none": a row is what two restores at once can lock.
  ['INSERT IGNORE INTO readmission VALUES (?, 0, ?, 0)', [new Uint8Array(16)]],
  ["INSERT IGNORE INTO projection_state VALUES (?, 0, ?, '')", [EMPTY_SUM]],
];

/**
 * Makes or checks everything that a replica's database must have before it is used. Rejects with
 * ReplicaRefused; done again costs three small reads.
 */
export async function prepareDatabase(session: MysqlSession, plan: DatabasePlan): Promise<void> {
  const { set, migrations, schema } = plan;
  await migrate(session, migrations);
  await assertEngines(session);
  const sets = await session.show('SELECT set_id FROM projection_state');
  const other = sets.find((row) => row['set_id'] !== set);
  if (other !== undefined) {
    const text = `the database belongs to Set ${String(other['set_id'])}`;
    throw new ReplicaRefused('other_set', text);
  }
  if (sets.length === 0) {
    for (const [sql, more] of SINGLE_ROWS) await session.change(sql, [set, ...more]);
  }
  await makeFirstTables(session, { set, tables: schema.tables });
}

/** Only InnoDB keeps a promise, and only MEMORY forgets at every restart. */
async function assertEngines(session: MysqlSession): Promise<void> {
  const rows = await session.show(
    `SELECT TABLE_NAME AS name, ENGINE AS engine FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE()`,
  );
  for (const { name, engine } of rows) {
    const wanted = name === 'alive' ? 'MEMORY' : 'InnoDB';
    if (engine !== wanted) {
      throw new ReplicaRefused('engine', `table ${String(name)} is ${String(engine)}`);
    }
  }
}
