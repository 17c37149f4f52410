import { afterAll, beforeAll } from 'vitest';
import { STATEMENT_RULES } from './mysql-projection.rules.ts';
import { SCHEMA_RULES } from './mysql-schema.rules.ts';
import { SERVER_RULES } from './mysql-server.rules.ts';
import type { ServerWorld } from './mysql-server.rules.ts';
import { MysqlBench, makeMysqlWorld } from './mysql-world.ts';
import { replicaStoreContract } from './replica-store.contract.ts';
import { runRules } from './rule.ts';

let bench: MysqlBench;

beforeAll(async () => {
  bench = await MysqlBench.start();
});

afterAll(async () => {
  await bench.close();
});

async function makeServerWorld(): Promise<ServerWorld> {
  await bench.disk.empty();
  const store = await bench.open();
  return { bench, store, dispose: () => store.close() };
}

replicaStoreContract('mysql', () => makeMysqlWorld(bench));
runRules('mysql: the server', SERVER_RULES, makeServerWorld);
runRules('mysql: schema and refusals', SCHEMA_RULES, makeServerWorld);
runRules('mysql: its statements', STATEMENT_RULES, makeServerWorld);
