import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { loadMigrations, statementsOf } from '../../lib/adapter/mysql-migrations.ts';
import { refusalOf } from '../../lib/adapter/mysql-settings.ts';
import { lsn, setId } from '../../lib/core/units.ts';
import type { Change } from '../../lib/port/replica-store.ts';
import type { ServerWorld } from './mysql-server.rules.ts';
import { MIGRATIONS } from '../../ops/sim/conformance/mysql-world.ts';
import { FENCE_A, makeChain, startVoter, commitTo } from './replica-world.ts';
import type { Rule } from './rule.ts';

const GOOD: readonly (readonly [string, string])[] = [
  ['autocommit', 'ON'],
  ['tx_isolation', 'READ-COMMITTED'],
  ['sql_mode', 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'],
  ['innodb_lock_wait_timeout', '1'],
  ['character_set_client', 'utf8mb4'],
  ['innodb_flush_log_at_trx_commit', '1'],
  ['innodb_doublewrite', 'ON'],
  ['log_bin', 'OFF'],
  ['sync_binlog', '0'],
  ['max_allowed_packet', '16777216'],
];

function reasonFor(changes: Readonly<Record<string, string>>): string | null {
  return refusalOf(new Map([...GOOD, ...Object.entries(changes)]))?.reason ?? null;
}

const refused = (reason: string) => ({ name: 'StoreError', code: 'rejected', reason });

/** RS20 and RS21: migrations, and servers that must not serve a replica. */
export const SCHEMA_RULES: readonly Rule<ServerWorld>[] = [
  {
    id: 'RS20a',
    says: 'an empty database gets every migration once, with its hash, also from many at once',
    check: async ({ bench }) => {
      await bench.disk.drop();
      const stores = await Promise.all(Array.from({ length: 4 }, () => bench.open()));
      await Promise.all(stores.map((store) => store.close()));
      const rows = await bench.disk.query(
        'SELECT version, name FROM schema_migration ORDER BY version',
      );
      const wanted = (await loadMigrations(MIGRATIONS)).map(({ version, name }) => ({
        version,
        name,
      }));
      expect(rows).toEqual(wanted);
      expect(await bench.disk.query('SELECT * FROM leader_beat')).toEqual([
        { set_id: 7, epoch: 0, n: 0 },
      ]);
    },
  },
  {
    id: 'RS20b',
    says: 'a migration that a crash left half done is done again',
    check: async ({ bench }) => {
      await bench.disk.drop();
      const sql = await readFile(new URL('0001-replica.sql', MIGRATIONS), 'utf8');
      for (const statement of statementsOf(sql).slice(0, 4)) await bench.disk.change(statement);
      const store = await bench.open();
      await startVoter(store);
      expect(await store.fenceRow()).toMatchObject({ proved: true });
      await store.close();
    },
  },
  {
    id: 'RS20c',
    says: 'an applied migration that was changed since, or that we do not know, is refused',
    check: async ({ bench }) => {
      const [first, ...rest] = await loadMigrations(MIGRATIONS);
      if (first === undefined) throw new Error('there is a migration');
      const changed = [{ ...first, sql: `${first.sql}\n-- changed` }, ...rest];
      await expect(bench.open({ migrations: changed })).rejects.toMatchObject(refused('migration'));
      await expect(bench.open({ migrations: [] })).rejects.toMatchObject(refused('migration'));
      await (await bench.open()).close();
    },
  },
  {
    id: 'RS20d',
    says: 'a further migration is applied to a database in use, and keeps what is there',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const migrations = await loadMigrations(MIGRATIONS);
      const sql = 'CREATE TABLE further (a INT) ENGINE=InnoDB;\n-- a comment; with a semicolon\n';
      const version = migrations.length + 1;
      const more = [...migrations, { version, name: 'further', sql }];
      await (await bench.open({ migrations: more })).close();
      await (await bench.open({ migrations: more })).close();
      expect(await bench.disk.query('SELECT * FROM further')).toEqual([]);
      expect(await store.fenceRow()).toMatchObject({ proved: true });
      await bench.disk.change('DROP TABLE further');
      await bench.disk.change('DELETE FROM schema_migration WHERE version = ?', [version]);
    },
  },
  {
    id: 'RS20e',
    says: 'the database of another Set is refused',
    check: async ({ bench }) => {
      await expect(bench.open({ setId: setId(8) })).rejects.toMatchObject(refused('other_set'));
    },
  },
  {
    id: 'RS20f',
    says: 'tables of another version stay until somebody projects, who makes them anew',
    check: async ({ bench, store }) => {
      await startVoter(store);
      const changes = (): Change[] => [
        { kind: 'add', table: 'totals', key: ['a'], deltas: { amount: 2 } },
      ];
      const entries = makeChain({ prev: null, count: 3, changes });
      await store.append({ fence: FENCE_A, entries });
      await commitTo(store, 3);
      await store.project(lsn(3));
      await bench.disk.change("UPDATE projection_state SET tables_sum = REPEAT('x', 32)");
      await bench.disk.change('UPDATE totals SET amount = 99');
      const standby = await bench.open();
      const scan = { table: 'totals', prefix: [], limit: 9 };
      await expect(standby.scan(scan)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await bench.disk.query('SELECT amount FROM totals')).toEqual([{ amount: 99 }]);
      expect(await standby.project(lsn(3))).toBe(3);
      expect(await standby.scan(scan)).toEqual({ asOfLsn: 3, rows: [['a', 6, 0, null]] });
      await standby.close();
    },
  },
  {
    id: 'RS21a',
    says: 'a server that could lose what it acknowledged is refused, with the reason',
    check: async ({ bench }) => {
      const { server } = bench.disk;
      await server.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
      await expect(bench.open()).rejects.toMatchObject(refused('flush_log'));
      await server.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
      await server.query('SET GLOBAL max_allowed_packet = 1048576');
      await expect(bench.open()).rejects.toMatchObject(refused('max_allowed_packet'));
      await server.query('SET GLOBAL max_allowed_packet = 16777216');
      await (await bench.open()).close();
    },
  },
  {
    id: 'RS21b',
    says: 'each setting that a promise rests on is looked at, by the names of both databases',
    check: async () => {
      expect(reasonFor({})).toBeNull();
      const mysql = { tx_isolation: '', transaction_isolation: 'READ-COMMITTED' };
      expect(reasonFor({ ...mysql, innodb_doublewrite: 'DETECT_AND_RECOVER' })).toBeNull();
      expect(reasonFor({ innodb_flush_log_at_trx_commit: '0' })).toBe('flush_log');
      expect(reasonFor({ innodb_doublewrite: 'OFF' })).toBe('doublewrite');
      expect(reasonFor({ innodb_doublewrite: 'DETECT_ONLY' })).toBe('doublewrite');
      expect(reasonFor({ innodb_flush_method: 'nosync' })).toBe('no_sync');
      expect(reasonFor({ innodb_flush_method: 'littlesync' })).toBe('no_sync');
      expect(reasonFor({ debug_no_sync: 'ON' })).toBe('no_sync');
      expect(reasonFor({ innodb_flush_method: 'O_DIRECT', debug_no_sync: 'OFF' })).toBeNull();
      expect(reasonFor({ log_bin: 'ON' })).toBe('sync_binlog');
      expect(reasonFor({ log_bin: 'ON', sync_binlog: '1' })).toBeNull();
      expect(reasonFor({ tx_isolation: 'REPEATABLE-READ' })).toBe('isolation');
      expect(reasonFor({ sql_mode: 'NO_ENGINE_SUBSTITUTION' })).toBe('sql_mode');
      const ansi = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES';
      expect(reasonFor({ sql_mode: ansi })).toBe('sql_mode');
      expect(reasonFor({ autocommit: 'OFF' })).toBe('session');
      expect(reasonFor({ character_set_client: 'latin1' })).toBe('session');
      expect(reasonFor({ max_allowed_packet: '' })).toBe('max_allowed_packet');
    },
  },
  {
    id: 'RS21c',
    says: 'a table in an engine that forgets or keeps the wrong things is refused',
    check: async ({ bench }) => {
      await bench.disk.change('ALTER TABLE leader_beat ENGINE=MyISAM');
      await expect(bench.open()).rejects.toMatchObject(refused('engine'));
      await bench.disk.change('ALTER TABLE leader_beat ENGINE=InnoDB');
      await bench.disk.change('ALTER TABLE alive ENGINE=InnoDB');
      await expect(bench.open()).rejects.toMatchObject(refused('engine'));
      await bench.disk.change('ALTER TABLE alive ENGINE=MEMORY');
      await (await bench.open()).close();
    },
  },
  {
    id: 'RS21d',
    says: 'a wrong password or database is refused at the start, and no text repeats the password',
    check: async ({ bench }) => {
      const denied = bench.open({ password: 'not-it' });
      await expect(denied).rejects.toMatchObject(refused('access_denied'));
      await expect(denied).rejects.not.toThrow('not-it');
      const nowhere = bench.open({
        url: bench.disk.url.replace('hongbao_set_7', 'hongbao_set_77'),
      });
      // Without rights on a database a user is not told whether it exists.
      await expect(nowhere).rejects.toMatchObject({ code: 'rejected' });
      const bad = bench.open({ url: 'mysql://me:hidden@host' });
      await expect(bad).rejects.toMatchObject({ code: 'rejected' });
      await expect(bad).rejects.not.toThrow('hidden');
    },
  },
];
