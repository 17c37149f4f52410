-- One replica of one Set: a database holds nothing else (docs/spec/ports.md, section RS).
-- A migration is never edited once released; every statement can be run again, because DDL commits
-- by itself and a crash may leave half of a file done.

-- The fence, and nothing else: an append locks this row for one statement.
CREATE TABLE IF NOT EXISTS replica_state (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  cluster_id VARBINARY(64) NOT NULL,
  replica_id TINYINT UNSIGNED NOT NULL,
  incarnation BIGINT UNSIGNED NOT NULL,
  fence_epoch BIGINT UNSIGNED NOT NULL,
  fence_owner BINARY(16) NOT NULL,
  cfg VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Empty after every restart: proof that this server has not been away.
CREATE TABLE IF NOT EXISTS alive (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  incarnation BIGINT UNSIGNED NOT NULL
) ENGINE=MEMORY;

-- The newest re-admission that this replica has heard of; outlives the row of replica_state.
CREATE TABLE IF NOT EXISTS readmission (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL,
  owner BINARY(16) NOT NULL,
  incarnation BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE IF NOT EXISTS commit_point (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  commit_lsn BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE IF NOT EXISTS projection_state (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  projected_lsn BIGINT UNSIGNED NOT NULL,
  tables_sum BINARY(32) NOT NULL,
  tables_made MEDIUMBLOB NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE IF NOT EXISTS leader_beat (
  set_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL,
  n BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE IF NOT EXISTS journal (
  lsn BIGINT UNSIGNED NOT NULL,
  set_id SMALLINT UNSIGNED NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  leader_id BINARY(16) NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  prev BINARY(32) NOT NULL,
  sum BINARY(32) NOT NULL,
  ts BIGINT UNSIGNED NOT NULL,
  commit_lsn BIGINT UNSIGNED NOT NULL,
  acked_0 BIGINT UNSIGNED NOT NULL,
  acked_1 BIGINT UNSIGNED NOT NULL,
  acked_2 BIGINT UNSIGNED NOT NULL,
  fmt SMALLINT UNSIGNED NOT NULL,
  n_ops INT UNSIGNED NOT NULL,
  money_wallets BIGINT NOT NULL,
  money_packets BIGINT NOT NULL,
  money_clearing BIGINT NOT NULL,
  money_issuer BIGINT NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  PRIMARY KEY (set_id, lsn)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Truncated rows are kept for audit; one LSN may be discarded many times.
CREATE TABLE IF NOT EXISTS journal_discarded (
  place BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  lsn BIGINT UNSIGNED NOT NULL,
  set_id SMALLINT UNSIGNED NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  leader_id BINARY(16) NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  prev BINARY(32) NOT NULL,
  sum BINARY(32) NOT NULL,
  ts BIGINT UNSIGNED NOT NULL,
  commit_lsn BIGINT UNSIGNED NOT NULL,
  acked_0 BIGINT UNSIGNED NOT NULL,
  acked_1 BIGINT UNSIGNED NOT NULL,
  acked_2 BIGINT UNSIGNED NOT NULL,
  fmt SMALLINT UNSIGNED NOT NULL,
  n_ops INT UNSIGNED NOT NULL,
  money_wallets BIGINT NOT NULL,
  money_packets BIGINT NOT NULL,
  money_clearing BIGINT NOT NULL,
  money_issuer BIGINT NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  discarded_by_epoch BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Chunks first, the manifest last: only whole snapshots are seen.
CREATE TABLE IF NOT EXISTS snapshot (
  set_id SMALLINT UNSIGNED NOT NULL,
  lsn BIGINT UNSIGNED NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  bytes MEDIUMBLOB NOT NULL,
  PRIMARY KEY (set_id, lsn, chunk)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE IF NOT EXISTS snapshot_manifest (
  set_id SMALLINT UNSIGNED NOT NULL,
  lsn BIGINT UNSIGNED NOT NULL,
  chunks INT UNSIGNED NOT NULL,
  bytes MEDIUMBLOB NOT NULL,
  PRIMARY KEY (set_id, lsn)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
