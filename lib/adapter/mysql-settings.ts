import { ReplicaRefused } from './mysql-errors.ts';
import type { MysqlSession } from './mysql-session.ts';

/** Variables as `SHOW` gives them, names in lower case. */
export type Settings = ReadonlyMap<string, string>;

/** A batch of 1 MiB, a lagging replica's chunk of 4 MiB, a projection statement: with room. */
const PACKET_BYTES_MIN = 16 * 1_048_576;

// MariaDB 10.11 says tx_isolation, MySQL 8 says transaction_isolation.
const NAMES = [
  'autocommit',
  'tx_isolation',
  'transaction_isolation',
  'sql_mode',
  'innodb_lock_wait_timeout',
  'character_set_client',
  'innodb_flush_log_at_trx_commit',
  'innodb_doublewrite',
  'innodb_flush_method',
  'debug_no_sync',
  'log_bin',
  'sync_binlog',
  'max_allowed_packet',
];

export async function readSettings(session: MysqlSession): Promise<Settings> {
  const names = NAMES.map((name) => `'${name}'`).join(', ');
  const rows = await session.show(`SHOW SESSION VARIABLES WHERE Variable_name IN (${names})`);
  return new Map(
    rows.map((row) => [String(row['Variable_name']).toLowerCase(), String(row['Value'])]),
  );
}

/** Why this server must not serve a replica, or null (replication.md: refused at start). */
export function refusalOf(settings: Settings): ReplicaRefused | null {
  const value = (name: string): string => (settings.get(name) ?? '').toUpperCase();
  if (value('innodb_flush_log_at_trx_commit') !== '1') {
    return new ReplicaRefused('flush_log', 'innodb_flush_log_at_trx_commit must be 1');
  }
  // MySQL 8.0.30 knows more modes; only these two write every page twice.
  if (!['ON', '1', 'DETECT_AND_RECOVER'].includes(value('innodb_doublewrite'))) {
    return new ReplicaRefused('doublewrite', 'innodb_doublewrite must be on');
  }
  // Names of old servers for "do not ask the disk"; whoever has neither variable never says so.
  const method = value('innodb_flush_method');
  if (method === 'NOSYNC' || method === 'LITTLESYNC' || value('debug_no_sync') === 'ON') {
    return new ReplicaRefused('no_sync', 'the server does not wait for its disk');
  }
  // With a binary log its sync decides which prepared transactions survive a power cut.
  if (value('log_bin') === 'ON' && value('sync_binlog') !== '1') {
    return new ReplicaRefused('sync_binlog', 'sync_binlog must be 1 where there is a binary log');
  }
  if (!(Number(value('max_allowed_packet')) >= PACKET_BYTES_MIN)) {
    return new ReplicaRefused('max_allowed_packet', 'max_allowed_packet must be 16 MiB or more');
  }
  const isolation = value('transaction_isolation') || value('tx_isolation');
  if (isolation !== 'READ-COMMITTED') {
    return new ReplicaRefused('isolation', `the isolation level is ${isolation}`);
  }
  const modes = value('sql_mode').split(',');
  if (!modes.includes('STRICT_ALL_TABLES') || !modes.includes('NO_ENGINE_SUBSTITUTION')) {
    return new ReplicaRefused('sql_mode', 'sql_mode is not strict');
  }
  // Text in statements is escaped with backslashes, and quotes are quotes of text.
  if (modes.includes('NO_BACKSLASH_ESCAPES') || modes.includes('ANSI_QUOTES')) {
    return new ReplicaRefused('sql_mode', 'sql_mode changes how text is written');
  }
  if (value('autocommit') !== 'ON' || value('innodb_lock_wait_timeout') !== '1') {
    return new ReplicaRefused('session', 'the session did not take its settings');
  }
  if (value('character_set_client') !== 'UTF8MB4') {
    return new ReplicaRefused('session', 'the session does not speak utf8mb4');
  }
  return null;
}
